//! Tests of the secret side against a server played by plain kernels.

mod exactness;
mod noise;
mod refusals;
mod vectors;

use crate::Error;
use crate::block::{BlockChange, Fill, OpenBlock, Provisioned, Removal};
use crate::decrypt::{BlockView, Pending};
use crate::gallery::{Gallery, Metric};
use crate::key::TenantKey;
use crate::probe::{self, Identification, Mode, Ticket, TicketUse, Verification};
use crate::record::Record;
use crate::slotmap::{SlotMap, SubjectId};
use crate::template::Template;
use tyto_kernels::{NttPoly, Poly, forward, inverse};
use tyto_scheme::query::{QueryPolynomials, parse_ticket};
use tyto_scheme::segment::read_polynomials;
use tyto_scheme::{BlockId, Delta, Layout, ParameterSet, reply};

/// Whether the long form of a test was asked for.
pub(crate) fn soak() -> bool {
    std::env::var_os("TYTO_SOAK").is_some_and(|value| value != "0")
}

/// `SplitMix64`: test data only.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Roughly Gaussian.
    pub(crate) fn gaussian(&mut self) -> f32 {
        let sum: f64 = (0..12).map(|_| self.next() as f64 / u64::MAX as f64).sum();
        (sum - 6.0) as f32
    }

    pub(crate) fn vector(&mut self, dimension: usize) -> Vec<f32> {
        (0..dimension).map(|_| self.gaussian()).collect()
    }

    pub(crate) fn template(&mut self, gallery: &Gallery) -> Template {
        gallery.quantiser().quantise(&self.vector(gallery.layout().dimension())).unwrap()
    }
}

pub(crate) fn gallery(d: u32, k: u32) -> Gallery {
    let layout = Layout::new(ParameterSet::Exact41, d, k).unwrap();
    Gallery::create(&TenantKey::generate().unwrap(), "test", layout, Metric::Cosine).unwrap().0
}

/// A whole query as the server reads it.
pub(crate) fn whole_query<M: Mode>(
    gallery: &Gallery,
    x: &Template,
    target: M::Target,
) -> Result<(QueryPolynomials, Pending<M>), Error> {
    let (packed, pending) = probe::whole_query(gallery, x, target)?;
    Ok((QueryPolynomials::parse(gallery.layout(), M::KIND, &packed)?, pending))
}

pub(crate) fn subject(number: usize) -> SubjectId {
    SubjectId::new(format!("subject {number}")).unwrap()
}

/// Templates that sit at the edges of the range: flat, one-hot, antipodal, of the largest sum of squares.
pub(crate) fn edge_templates(gallery: &Gallery) -> Vec<Template> {
    let d = gallery.layout().dimension();
    let quantise = |vector: Vec<f32>| gallery.quantiser().quantise(&vector).unwrap();
    let one_hot =
        |at: usize, value: f32| quantise((0..d).map(|i| if i == at { value } else { 0.0 }).collect());
    let mut largest = vec![0; d];
    // 31^2 + 7^2 + 3^2 = 1019
    largest.iter_mut().zip([31, -7, 3]).for_each(|(place, value)| *place = value);
    let mut templates = vec![
        quantise(vec![1.0; d]),
        quantise(vec![-1.0; d]),
        one_hot(0, 1.0),
        one_hot(d - 1, -1.0),
        one_hot(d / 2, 1.0),
    ];
    if d >= 3 {
        let opposite: Vec<_> = largest.iter().map(|v| -v).collect();
        templates.extend([largest, opposite].map(|values| Template::from_integers(&values).unwrap()));
    }
    templates
}

/// The server's side of one block: ciphertexts only.
pub(crate) struct ServerBlock {
    pub(crate) block: BlockId,
    pub(crate) version: u64,
    pub(crate) polynomials: Vec<Poly>,
}

impl ServerBlock {
    pub(crate) fn new(layout: &Layout, provisioned: &Provisioned) -> Self {
        let polynomials = read_polynomials("block", &provisioned.polynomials, layout.chunks()).unwrap();
        Self { block: provisioned.record.block(), version: 1, polynomials }
    }

    pub(crate) fn apply(&mut self, layout: &Layout, writes: &[(u16, &Delta)], removals: &[(u16, &Delta)]) {
        writes.iter().for_each(|(slot, delta)| delta.add_to_block(layout, *slot, &mut self.polynomials));
        removals
            .iter()
            .for_each(|(slot, delta)| delta.subtract_from_block(layout, *slot, &mut self.polynomials));
        self.version += 1;
    }

    /// `r = sum b_c * B_c`.
    pub(crate) fn product(&self, query: &[Poly]) -> Poly {
        let mut sum = NttPoly::zero();
        for (b, query) in self.polynomials.iter().zip(query) {
            sum.mul_add_assign(&forward(b), &forward(query));
        }
        inverse(&sum)
    }

    pub(crate) fn coefficients(&self, layout: &Layout, query: &[Poly]) -> Vec<u16> {
        reply::compress(layout, &self.product(query))
    }
}

/// One block, both sides, with what was enrolled in the clear.
pub(crate) struct World {
    pub(crate) gallery: Gallery,
    pub(crate) open: OpenBlock,
    pub(crate) record: Record,
    pub(crate) server: ServerBlock,
    pub(crate) slots: SlotMap,
    pub(crate) enrolled: Vec<(u16, Template)>,
    pub(crate) stored: Vec<(u16, Delta, [u8; 16])>,
}

impl World {
    pub(crate) fn new(gallery: Gallery) -> Self {
        let (open, provisioned) = OpenBlock::provision(&gallery).unwrap();
        let slots = SlotMap::new(&gallery, open.block());
        let server = ServerBlock::new(gallery.layout(), &provisioned);
        Self { gallery, open, record: provisioned.record, server, slots, enrolled: vec![], stored: vec![] }
    }

    pub(crate) fn enrol(&mut self, templates: &[Template]) {
        let first = self.enrolled.len();
        let fill = |(i, t): (usize, &Template)| self.open.fill(&self.gallery, subject(first + i), t).unwrap();
        let fills: Vec<Fill> = templates.iter().enumerate().map(fill).collect();
        let change = BlockChange::new(&self.gallery, &self.record, &fills, &[]).unwrap();
        let writes: Vec<_> = fills.iter().map(|fill| (fill.slot(), fill.delta())).collect();
        self.server.apply(self.gallery.layout(), &writes, &[]);
        self.stored.extend(fills.iter().map(|fill| (fill.slot(), fill.delta().clone(), *fill.tag())));
        self.enrolled.extend(fills.iter().zip(templates).map(|(fill, t)| (fill.slot(), t.clone())));
        self.follow(&change);
    }

    pub(crate) fn remove(&mut self, index: usize) {
        let stored = self.stored.remove(index);
        self.enrolled.remove(index);
        let removals =
            Removal::from_stored(&self.gallery, &self.record, std::slice::from_ref(&stored)).unwrap();
        let change = BlockChange::new(&self.gallery, &self.record, &[], &removals).unwrap();
        self.server.apply(self.gallery.layout(), &[], &[(stored.0, &stored.1)]);
        self.follow(&change);
    }

    /// Takes over the next record as any client would: from its sealed form.
    fn follow(&mut self, change: &BlockChange) {
        let (block, version) = (self.open.block(), change.base_version + 1);
        self.record = Record::open(&self.gallery, block, version, &change.sealed_record).unwrap();
        for entry in &change.entries {
            self.slots.append(&self.gallery, entry).unwrap();
        }
        self.slots.check(&self.record).unwrap();
    }

    pub(crate) fn view(&self) -> BlockView {
        BlockView::new(&self.gallery, self.record.clone())
    }

    pub(crate) fn layout(&self) -> &Layout {
        self.gallery.layout()
    }

    pub(crate) fn identify(
        &self,
        query: &QueryPolynomials,
        pending: &Pending<Identification>,
    ) -> Vec<(u16, i32)> {
        let coefficients = self.server.coefficients(self.layout(), &query.queries()[0]);
        let view = self.view();
        let packed = reply::pack(self.layout(), &coefficients);
        let claimed =
            view.claim_block(self.layout(), self.server.block, self.server.version, &packed).unwrap();
        pending.decrypt(&self.gallery, claimed).unwrap()
    }

    pub(crate) fn slot_coefficients(&self, query: &QueryPolynomials) -> Vec<(u16, [u16; 2])> {
        let both = [0, 1].map(|j| self.server.coefficients(self.layout(), &query.queries()[j]));
        self.enrolled.iter().map(|&(slot, _)| (slot, [0, 1].map(|j| both[j][usize::from(slot)]))).collect()
    }

    pub(crate) fn verify(
        &self,
        query: &QueryPolynomials,
        pending: &Pending<Verification>,
    ) -> Vec<(u16, i32)> {
        let view = self.view();
        let replies = self.slot_coefficients(query);
        let claimed = view.claim_slots(self.server.block, self.server.version, replies).unwrap();
        pending.decrypt(&self.gallery, claimed).unwrap()
    }

    pub(crate) fn expected(&self, x: &Template) -> Vec<(u16, i32)> {
        self.enrolled.iter().map(|(slot, y)| (*slot, x.inner_product(y))).collect()
    }

    /// The server's half of a ticket: parses the upload and applies the use.
    pub(crate) fn apply_ticket(&self, upload: &[u8], used: &TicketUse) -> QueryPolynomials {
        let (ticket, _, mut query) = parse_ticket(self.gallery.parameters(), upload).unwrap();
        assert_eq!(ticket, used.ticket);
        query.apply(self.layout(), &used.deltas);
        query
    }

    pub(crate) fn identify_by_ticket(&self, x: &Template) -> Vec<(u16, i32)> {
        let (ticket, upload) = Ticket::<Identification>::generate(&self.gallery).unwrap();
        let (used, pending) = ticket.bind(&self.gallery, x, ()).unwrap();
        pending.check_echo(Some(&used)).unwrap();
        self.identify(&self.apply_ticket(&upload, &used), &pending)
    }

    pub(crate) fn verify_by_ticket(&self, x: &Template) -> Vec<(u16, i32)> {
        let (ticket, upload) = Ticket::<Verification>::generate(&self.gallery).unwrap();
        let target = self.gallery.pseudonym(&subject(0));
        let (used, pending) = ticket.bind(&self.gallery, x, target).unwrap();
        pending.check_echo(Some(&used)).unwrap();
        self.verify(&self.apply_ticket(&upload, &used), &pending)
    }

    pub(crate) fn identify_whole(&self, x: &Template) -> Vec<(u16, i32)> {
        let (query, pending) = whole_query::<Identification>(&self.gallery, x, ()).unwrap();
        pending.check_echo(None).unwrap();
        self.identify(&query, &pending)
    }

    pub(crate) fn verify_whole(&self, x: &Template) -> Vec<(u16, i32)> {
        let target = self.gallery.pseudonym(&subject(0));
        let (query, pending) = whole_query::<Verification>(&self.gallery, x, target).unwrap();
        pending.check_echo(None).unwrap();
        self.verify(&query, &pending)
    }
}
