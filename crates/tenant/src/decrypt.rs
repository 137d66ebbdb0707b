//! Decryption, and the checks without which no score leaves this crate.
//!
//! A score is decrypted only from a reply that was claimed by the [`BlockView`] of exactly its block and version, and
//! only once per query and block: both are matters of types and of the query's own bookkeeping.

use crate::Error;
use crate::derive::GalleryKeys;
use crate::gallery::{Context, Gallery};
use crate::probe::{Identification, Mode, QuerySecret, TicketUse, Verification};
use crate::record::Record;
use crate::sample::reduce_p;
use crate::template::Template;
use std::collections::HashSet;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tyto_kernels::{Decoder, NttPoly, Poly, Wiped, forward, inverse_swap};
use tyto_scheme::params::{T, reduce_t};
use tyto_scheme::{BlockId, Layout, reply};
use zeroize::{Zeroize, Zeroizing};

/// A block's record made ready to decrypt replies of that block at that version.
pub struct BlockView {
    context: Context,
    record: Record,
    hint: NttPoly,
    secrets: Arc<BlockSecrets>,
}

/// What derives from the block id alone and so outlives versions.
struct BlockSecrets {
    s: Zeroizing<NttPoly>,
    lambdas: Wiped<u64>,
}

impl BlockView {
    /// Derives the block's secrets and transforms its hint: some tens of microseconds, 48 KB at stride 1.
    pub fn new(gallery: &Gallery, record: Record) -> Self {
        let seed = GalleryKeys::block_seed(&gallery.keys, record.block());
        let secrets = BlockSecrets { s: seed.secret(), lambdas: seed.lambdas(gallery.layout()) };
        let hint = forward(&record.hint);
        Self { context: *gallery.context(), hint, record, secrets: Arc::new(secrets) }
    }

    /// The view of another version of the same block.
    ///
    /// # Panics
    /// If the record is another block's.
    #[must_use]
    pub fn at(&self, record: Record) -> Self {
        assert_eq!(self.record.block(), record.block(), "a view follows one block");
        let hint = forward(&record.hint);
        Self { context: self.context, hint, record, secrets: Arc::clone(&self.secrets) }
    }

    /// The record.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Claims a whole block's reply for this view.
    ///
    /// # Errors
    /// [`Error::Version`] if it is of another block or version; [`Error::Scheme`] if its length is wrong.
    pub fn claim_block(
        &self,
        layout: &Layout,
        block: BlockId,
        version: u64,
        packed: &[u8],
    ) -> Result<BlockReply<'_>, Error> {
        self.check_version(block, version)?;
        Ok(BlockReply { view: self, coefficients: reply::unpack(layout, packed)? })
    }

    /// Claims single slots' replies (slot, coefficient, check coefficient) for this view.
    ///
    /// # Errors
    /// [`Error::Version`]; [`Error::Slots`] if there is no slot or one comes twice; [`Error::NotEnrolled`] if the record
    /// does not list a slot as filled.
    ///
    /// # Security
    /// That these are all slots of the claimed subject, and of no other, is for the caller to see from the slot map.
    pub fn claim_slots(
        &self,
        block: BlockId,
        version: u64,
        replies: Vec<(u16, [u16; 2])>,
    ) -> Result<SlotReplies<'_>, Error> {
        self.check_version(block, version)?;
        let mut slots: Vec<_> = replies.iter().map(|(slot, _)| slot).collect();
        slots.sort_unstable();
        if slots.is_empty() || slots.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Error::Slots(block));
        }
        match replies.iter().find(|(slot, _)| !self.record.is_filled(*slot)) {
            Some(&(slot, _)) => Err(Error::NotEnrolled { block, slot }),
            None => Ok(SlotReplies { view: self, replies }),
        }
    }

    fn check_version(&self, block: BlockId, version: u64) -> Result<(), Error> {
        let record = self.record.version();
        if block == self.record.block() && version == record {
            Ok(())
        } else {
            Err(Error::Version { block, reply: version, record })
        }
    }
}

impl std::fmt::Debug for BlockView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlockView({:?}, [redacted])", self.record)
    }
}

/// A reply for a whole block, claimed by the view that can decrypt it.
#[derive(Debug)]
pub struct BlockReply<'a> {
    view: &'a BlockView,
    coefficients: Vec<u16>,
}

/// Replies for single slots of a block, claimed by the view that can decrypt them.
#[derive(Debug)]
pub struct SlotReplies<'a> {
    view: &'a BlockView,
    replies: Vec<(u16, [u16; 2])>,
}

/// A query that was sent and waits for its answers. Wiped on drop.
///
/// Every answer to it is decrypted at most once, and none after one was refused. On a machine whose operating system
/// repeats its randomness this holds within a process, not across processes.
pub struct Pending<M: Mode> {
    x: Template,
    sides: Vec<QuerySecret>,
    rho: Option<u16>,
    expected_use: Option<TicketUse>,
    context: Context,
    echo_checked: AtomicBool,
    refused: AtomicBool,
    answered: Mutex<HashSet<BlockId>>,
    mode: PhantomData<M>,
}

impl QuerySecret {
    /// `s_B * (u - s' * w) + s' * h`: what a reply differs by from the noisy scores.
    fn blind(&self, view: &BlockView) -> Zeroizing<Poly> {
        let mut sum = Zeroizing::new(NttPoly::zero());
        let mut blind = Zeroizing::new(Poly::zero());
        sum.assign_sum_of_products([&view.secrets.s, &self.m, &self.s, &view.hint]);
        inverse_swap(&mut sum, &mut blind);
        blind
    }
}

impl<M: Mode> Pending<M> {
    pub(crate) fn new(
        gallery: &Gallery,
        x: Template,
        secrets: Vec<QuerySecret>,
        rho: Option<u16>,
        expected_use: Option<TicketUse>,
    ) -> Self {
        Self {
            x,
            sides: secrets,
            rho,
            expected_use,
            context: *gallery.context(),
            echo_checked: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            answered: Mutex::default(),
            mode: PhantomData,
        }
    }

    /// Checks that the server names the ticket use that was made, or none for a whole query; nothing is decrypted
    /// before.
    ///
    /// # Errors
    /// [`Error::TicketTag`]; the query is then spent.
    pub fn check_echo(&self, echoed: Option<&TicketUse>) -> Result<(), Error> {
        if self.expected_use.as_ref() == echoed {
            self.echo_checked.store(true, Ordering::Release);
            return Ok(());
        }
        match self.expected_use.as_ref().or(echoed) {
            Some(used) => self.refuse(Error::TicketTag(used.ticket)),
            None => Ok(()),
        }
    }

    /// After a failed check no further answer to the query is decrypted: each would be one more guess at its secrets.
    fn refuse<V>(&self, error: Error) -> Result<V, Error> {
        self.refused.store(true, Ordering::Release);
        Err(error)
    }

    /// What a noise test subtracts from an uncompressed product.
    #[cfg(test)]
    pub(crate) fn blind_of(&self, view: &BlockView) -> Poly {
        (*self.sides[0].blind(view)).clone()
    }

    /// One decryption per query and block, ever, and none after a refusal.
    fn begin(&self, gallery: &Gallery, view: &BlockView) -> Result<(), Error> {
        gallery.check_context(&self.context)?;
        gallery.check_context(&view.context)?;
        if self.refused.load(Ordering::Acquire) {
            return Err(Error::QuerySpent);
        }
        if !self.echo_checked.load(Ordering::Acquire) {
            return Err(Error::EchoUnchecked);
        }
        let block = view.record.block();
        let fresh = self.answered.lock().unwrap_or_else(PoisonError::into_inner).insert(block);
        if fresh { Ok(()) } else { Err(Error::AnsweredTwice(block)) }
    }
}

impl<M: Mode> Drop for Pending<M> {
    fn drop(&mut self) {
        self.rho.zeroize();
    }
}

impl<M: Mode> std::fmt::Debug for Pending<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pending([redacted])")
    }
}

impl Pending<Identification> {
    /// Decrypts a whole block's reply: the scores of its filled slots, in order of slot.
    ///
    /// # Errors
    /// [`Error::CheckVector`] if `sum lambda_i * score_i != <v, x> mod P`: no score of the block is then given out.
    #[expect(clippy::needless_pass_by_value, reason = "a claimed reply is consumed by its one decryption")]
    pub fn decrypt(&self, gallery: &Gallery, reply: BlockReply<'_>) -> Result<Vec<(u16, i32)>, Error> {
        let (view, layout) = (reply.view, gallery.layout());
        self.begin(gallery, view)?;
        let blind = self.sides[0].blind(view);
        let mut strided;
        let blinds = if layout.stride() == 1 {
            blind.as_slice()
        } else {
            strided = Wiped::zeros(layout.slots());
            strided
                .iter_mut()
                .zip(blind.as_slice().iter().step_by(layout.stride()))
                .for_each(|(s, b)| *s = *b);
            &strided[..]
        };
        let mut scores = Zeroizing::new(vec![0; layout.slots()]);
        let (filled, weights) = (&view.record.filled, &view.secrets.lambdas);
        let weighed = decoder(layout).scores(blinds, &reply.coefficients, filled, weights, &mut scores);
        let terms = view.record.check.iter().zip(self.x.values());
        let expected: i128 = terms.map(|(&v, &x)| i128::from(v) * i128::from(x)).sum();
        if reduce_p(weighed) == reduce_p(expected) {
            let scores = (0..).zip(scores.iter().copied());
            Ok(scores
                .filter(|(slot, _)| view.record.is_filled(*slot))
                .map(|(slot, score)| (slot, score.into()))
                .collect())
        } else {
            self.refuse(Error::CheckVector(view.record.block()))
        }
    }
}

impl Pending<Verification> {
    /// Decrypts the replies of some slots of one block, in their order.
    ///
    /// # Errors
    /// [`Error::CheckQuery`] if a score of the second query is not rho times that of the first.
    #[expect(clippy::needless_pass_by_value, reason = "claimed replies are consumed by their one decryption")]
    pub fn decrypt(&self, gallery: &Gallery, reply: SlotReplies<'_>) -> Result<Vec<(u16, i32)>, Error> {
        let (view, layout) = (reply.view, gallery.layout());
        self.begin(gallery, view)?;
        let blinds: Vec<_> = self.sides.iter().map(|side| side.blind(view)).collect();
        let rho = i32::from(self.rho.expect("a verification has its rho"));
        let decoder = decoder(layout);
        let decrypt_slot = |&(slot, coefficients): &(u16, [u16; 2])| {
            let index = usize::from(slot) * layout.stride();
            let score = |j: usize| i32::from(decoder.score(blinds[j].as_slice()[index], coefficients[j]));
            let (score, check) = (score(0), score(1));
            if reduce_t(score * rho) == reduce_t(check) {
                Ok((slot, score))
            } else {
                self.refuse(Error::CheckQuery { block: view.record.block(), slot })
            }
        };
        reply.replies.iter().map(decrypt_slot).collect()
    }
}

/// What turns replies into scores.
fn decoder(layout: &Layout) -> Decoder {
    Decoder::new(layout.reply_bits().into(), T as u16)
}
