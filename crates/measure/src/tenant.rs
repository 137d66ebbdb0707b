//! The tenant's side, on one thread: provisioning, records, tickets, queries, decryption.

use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;
use std::time::Duration;

use tyto_engine::{Block, BlockState, read_queries};
use tyto_kernels::{
    NttPoly, PackedBlock, PackedQuery, Poly, detect, forward_into, inverse_into, match_blocks,
};
use tyto_scheme::query::Kind;
use tyto_scheme::segment::read_polynomials;
use tyto_scheme::{Layout, ParameterSet, reply};
use tyto_tenant::block::{BlockChange, Fill, OpenBlock, Provisioned};
use tyto_tenant::decrypt::{BlockView, Pending};
use tyto_tenant::probe::{Identification, Ticket, Verification, whole_query};
use tyto_tenant::record::Record;
use tyto_tenant::{Gallery, Metric, SubjectId, Template, TenantKey};

use crate::numbers::Numbers;
use crate::report::TenantCost;
use crate::timing::{Turns, in_turn_for, repeats};
use crate::{Control, Error, Options};

/// The last error of work that is timed, which has nobody to give it to.
#[derive(Default)]
struct Failures(Cell<Option<Error>>);

impl Failures {
    fn note<T>(&self, result: Result<T, impl Into<Error>>) -> Option<T> {
        result.map_err(|error| self.0.set(Some(error.into()))).ok()
    }

    fn end(self) -> Result<(), Error> {
        self.0.into_inner().map_or(Ok(()), Err)
    }
}

/// Full blocks of a world; one query is matched with all of them.
const BLOCKS: usize = 4;

/// Both sides of a gallery whose blocks are full, without network.
pub struct World {
    gallery: Gallery,
    verification: Gallery,
    empty: Provisioned,
    fills: Vec<Fill>,
    sealed_record: Vec<u8>,
    views: Vec<BlockView>,
    blocks: Vec<Block>,
    templates: Vec<Template>,
}

/// A template that depends on nothing but its number.
///
/// # Errors
/// None for dimensions that a layout has.
pub fn template(number: usize, dimension: usize) -> Result<Template, Error> {
    // At most 240 coordinates are set, to at most 2: the sum of squares stays within the range.
    let step = dimension.div_ceil(240).max(2);
    let value = |i: usize| if i.is_multiple_of(step) { ((number * 31 + i * 17) % 5) as i32 - 2 } else { 0 };
    let mut values: Vec<i32> = (0..dimension).map(value).collect();
    values[0] = 1;
    Ok(Template::from_integers(&values)?)
}

impl World {
    /// Makes a gallery of `dimension` coordinates (identification layout) with full blocks.
    ///
    /// # Errors
    /// A dimension that the scheme refuses, or no OS randomness.
    pub fn new(dimension: u32) -> Result<Self, Error> {
        let key = TenantKey::generate()?;
        let layout = Layout::identification(ParameterSet::Exact41, dimension)?;
        let (gallery, _) = Gallery::create(&key, "measured", layout, Metric::Cosine)?;
        let gallery = gallery.with_threads(NonZeroUsize::MIN);
        let for_verification = Layout::verification(ParameterSet::Exact41, dimension)?;
        let (verification, _) = Gallery::create(&key, "measured", for_verification, Metric::Cosine)?;
        let verification = verification.with_threads(NonZeroUsize::MIN);
        let templates: Result<Vec<_>, _> =
            (0..layout.slots()).map(|i| template(i, layout.dimension())).collect();
        let templates = templates?;
        let (mut open, empty) = OpenBlock::provision(&gallery)?;
        let subject = SubjectId::new("subject")?;
        let first = open.fill(&gallery, subject.clone(), &templates[0])?;
        let mut world = Self {
            gallery,
            verification,
            empty,
            fills: vec![first],
            sealed_record: Vec::new(),
            views: Vec::new(),
            blocks: Vec::new(),
            templates,
        };
        (0..BLOCKS).try_for_each(|_| world.add_full_block(&subject))?;
        Ok(world)
    }

    fn add_full_block(&mut self, subject: &SubjectId) -> Result<(), Error> {
        let layout = self.gallery.layout();
        let (mut open, provisioned) = OpenBlock::provision(&self.gallery)?;
        let fill = |template| open.fill(&self.gallery, subject.clone(), template);
        let fills = self.templates.iter().map(fill).collect::<Result<Vec<_>, _>>()?;
        let change = BlockChange::new(&self.gallery, &provisioned.record, &fills, &[])?;
        let mut polynomials = read_polynomials("block", &provisioned.polynomials, layout.chunks())?;
        fills.iter().for_each(|fill| fill.delta().add_to_block(layout, fill.slot(), &mut polynomials));
        let state = BlockState {
            id: change.record.block(),
            version: change.record.version(),
            changed_at: 1,
            record: change.sealed_record.as_slice().into(),
            record_digest: [0; 32],
            entries: change.record.entries(),
        };
        self.blocks.push(Block::from_polynomials(layout, state, polynomials, &[], &[]));
        self.sealed_record = change.sealed_record;
        self.views.push(BlockView::new(&self.gallery, change.record));
        Ok(())
    }

    /// The transforms that provisioning one block needs: two for each polynomial.
    fn transform(&self, poly: &mut Poly, transformed: &mut NttPoly) {
        for _ in 0..self.gallery.layout().chunks() {
            forward_into(poly, transformed);
            inverse_into(transformed, poly);
        }
    }

    fn query(&self) -> Result<(PackedQuery, Pending<Identification>), Error> {
        let x = template(7, self.gallery.layout().dimension())?;
        let (query, pending) = whole_query::<Identification>(&self.gallery, &x, ())?;
        pending.check_echo(None)?;
        let query = read_queries(self.gallery.layout(), Kind::Identify, &query)?.remove(0);
        Ok((query, pending))
    }

    /// The server's work for all blocks of the world.
    fn answer(&self, query: &PackedQuery, products: &mut [NttPoly], r: &mut Poly) -> Vec<Vec<u8>> {
        let layout = self.gallery.layout();
        let packed: Vec<&PackedBlock> = self.blocks.iter().map(Block::packed).collect();
        match_blocks(detect(), &packed, &[query], products);
        let reply = |product: &mut NttPoly| {
            inverse_into(product, r);
            reply::pack(layout, &reply::compress(layout, r))
        };
        products.iter_mut().map(reply).collect()
    }

    fn decrypt(
        &self,
        pending: &Pending<Identification>,
        answer: &[Vec<u8>],
    ) -> Result<Vec<Vec<(u16, i32)>>, Error> {
        let open = |(view, packed): (&BlockView, &Vec<u8>)| {
            let record = view.record();
            let claimed =
                view.claim_block(self.gallery.layout(), record.block(), record.version(), packed)?;
            Ok(pending.decrypt(&self.gallery, claimed)?)
        };
        self.views.iter().zip(answer).map(open).collect()
    }

    /// Whether the scores of all blocks are those of the plaintext.
    fn check(&self, blocks: &[Vec<(u16, i32)>]) -> Result<(), Error> {
        let x = template(7, self.gallery.layout().dimension())?;
        let exact =
            |&(slot, score): &(u16, i32)| score == x.inner_product(&self.templates[usize::from(slot)]);
        let full = |scores: &Vec<_>| scores.len() == self.templates.len() && scores.iter().all(exact);
        if blocks.len() == BLOCKS && blocks.iter().all(full) {
            Ok(())
        } else {
            Err(Error::WrongResult { what: "decrypting a block" })
        }
    }

    /// Times everything in turn. Each round makes a fresh query, has it answered, and decrypts the answer.
    ///
    /// # Errors
    /// [`Error::WrongResult`]; no OS randomness.
    pub fn cost(&self, budget: Duration, min_rounds: usize) -> Result<TenantCost, Error> {
        let failures = Failures::default();
        let opens = repeats(Duration::from_millis(2), || failures.note(self.open_record()).unwrap_or(()));
        let original = Numbers(7).poly();
        let (mut poly, mut transformed) = (original.clone(), NttPoly::zero());
        let mut transform = || self.transform(&mut poly, &mut transformed);
        let mut provision = || drop(failures.note(OpenBlock::provision(&self.gallery)));
        let mut identification = || drop(failures.note(Ticket::<Identification>::generate(&self.gallery)));
        let mut verification = || drop(failures.note(Ticket::<Verification>::generate(&self.verification)));
        let mut record = || failures.note(self.next_record()).unwrap_or(());
        let mut open = || (0..opens).for_each(|_| failures.note(self.open_record()).unwrap_or(()));
        // From here on each piece needs what the one before it made.
        let (asked, answer, scores) =
            (RefCell::new(None), RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let mut ask = || {
            asked.replace(failures.note(self.query()));
        };
        let (mut products, mut r) = (vec![NttPoly::zero(); BLOCKS], Poly::zero());
        let mut serve = || {
            if let Some((query, _)) = &*asked.borrow() {
                answer.replace(self.answer(query, &mut products, &mut r));
            }
        };
        let mut decrypt = || {
            if let Some((_, pending)) = &*asked.borrow() {
                scores.replace(failures.note(self.decrypt(pending, &answer.borrow())).unwrap_or_default());
            }
        };
        let mut check = || failures.note(self.check(&scores.take())).unwrap_or(());
        let turns = in_turn_for(
            budget,
            min_rounds,
            &mut [
                &mut transform,
                &mut provision,
                &mut identification,
                &mut verification,
                &mut record,
                &mut open,
                &mut ask,
                &mut serve,
                &mut decrypt,
                &mut check,
            ],
        );
        failures.end()?;
        if poly.as_slice() != original.as_slice() {
            return Err(Error::WrongResult { what: "the transform and its inverse" });
        }
        Ok(cost(self.gallery.layout(), &turns, opens))
    }

    fn next_record(&self) -> Result<(), Error> {
        let change = BlockChange::new(&self.gallery, &self.empty.record, &self.fills, &[])?;
        if change.record.filled_count() == 1 {
            Ok(())
        } else {
            Err(Error::WrongResult { what: "a block record" })
        }
    }

    fn open_record(&self) -> Result<(), Error> {
        let known = self.views[BLOCKS - 1].record();
        let opened = Record::open(&self.gallery, known.block(), known.version(), &self.sealed_record)?;
        if opened.filled_count() == known.filled_count() {
            Ok(())
        } else {
            Err(Error::WrongResult { what: "opening a record" })
        }
    }
}

fn cost(layout: &Layout, turns: &Turns, opens: u32) -> TenantCost {
    let ms = |index| 1e3 * turns.fastest(index).as_secs_f64();
    TenantCost {
        dimension: layout.dimension(),
        provision_block_ms: ms(1),
        provision_over_ntts: turns.ratio(1, 0),
        identification_ticket_ms: ms(2),
        verification_ticket_ms: ms(3),
        record_ms: ms(4),
        open_record_us: 1e3 * ms(5) / f64::from(opens),
        decrypt_block_us: 1e3 * ms(8) / BLOCKS as f64,
        decrypt_over_server: turns.ratio(8, 7),
    }
}

/// The costs at the usual dimensions.
pub(crate) fn costs(options: &Options, control: &Control<'_>) -> Result<Vec<TenantCost>, Error> {
    let dimensions: &[u32] = if options.is_quick { &[128] } else { &[128, 512] };
    let mut costs = Vec::new();
    for &dimension in dimensions {
        control.step(&format!("the tenant's side, {dimension} dimensions"))?;
        costs.push(World::new(dimension)?.cost(options.share(7), 3)?);
    }
    Ok(costs)
}
