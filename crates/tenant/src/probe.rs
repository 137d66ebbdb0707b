//! Probes on their way to the server: whole queries, and tickets.
//!
//! A ticket is a query of pads, uploaded ahead of time; `delta = x - pad mod t` turns it into a probe. Using a ticket
//! consumes it, so it cannot be used twice.

use crate::Error;
use crate::decrypt::Pending;
use crate::derive::{Seed, stream, subkey};
use crate::gallery::Gallery;
use crate::sample;
use crate::template::Template;
use std::marker::PhantomData;
use tyto_kernels::{NttPoly, Poly, forward, inverse, modq};
use tyto_pqc::{Secret32, kmac, random};
use tyto_scheme::params::{NORM2_MAX, T, centre_t, reduce_t};
use tyto_scheme::query::{Kind, QueryPolynomials, Target, write_ticket};
use tyto_scheme::{Delta, Layout, Pseudonym, TicketId};
use zeroize::Zeroizing;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Verification {}
    impl Sealed for super::Identification {}
}

/// 1:1 or 1:N; a type, so that an answer of one cannot be taken for the other.
pub trait Mode: sealed::Sealed {
    /// The kind of query.
    const KIND: Kind;
    /// What a probe of this mode is compared with.
    type Target: Copy;
    /// The same, as it is bound by MACs and attestations.
    fn target(target: Self::Target) -> Target;
}

/// 1:1.
#[derive(Debug, Clone, Copy)]
pub enum Verification {}

/// 1:N.
#[derive(Debug, Clone, Copy)]
pub enum Identification {}

impl Mode for Verification {
    const KIND: Kind = Kind::Verify;
    type Target = Pseudonym;
    fn target(target: Pseudonym) -> Target {
        Target::Subject(target)
    }
}

impl Mode for Identification {
    const KIND: Kind = Kind::Identify;
    type Target = ();
    fn target((): ()) -> Target {
        Target::Gallery
    }
}

/// The secret and the public half of one query, as its owner needs them to decrypt.
pub(crate) struct QuerySecret {
    pub(crate) s: Zeroizing<NttPoly>,
    /// `u = sum a_c * B_c`.
    pub(crate) u: NttPoly,
}

/// Encrypts message polynomials under a query's own seed: `B_c = A_c * s' + t * e'_c + X_c`.
fn encrypt(gallery: &Gallery, seed: &Seed, messages: &mut [Poly]) -> (Vec<Poly>, QuerySecret) {
    let s = seed.secret();
    let mut u = NttPoly::zero();
    let mut product = NttPoly::zero();
    let masks = gallery.masks.gallery.iter().zip(&gallery.masks.query);
    let encrypt_chunk = |(chunk, (message, (a, big_a))): (usize, (&mut Poly, (&NttPoly, &NttPoly)))| {
        message.add_assign(&seed.scaled_errors(chunk as u16));
        product.copy_from(big_a);
        product.mul_assign(&s);
        let mut b = inverse(&product);
        b.add_assign(message);
        product.add_assign(&forward(message));
        u.mul_add_assign(a, &product);
        b
    };
    let polynomials = messages.iter_mut().zip(masks).enumerate().map(encrypt_chunk).collect();
    (polynomials, QuerySecret { s, u })
}

/// Puts coordinates, centred modulo t, at their places in zero polynomials.
fn place(layout: &Layout, values: &[u16], polynomials: &mut [Poly]) {
    for (coordinate, &value) in values.iter().enumerate() {
        let (chunk, index, negated) = layout.query_position(coordinate);
        let value = i64::from(centre_t(value));
        polynomials[chunk].as_mut_slice()[index] = modq::from_i64(if negated { -value } else { value });
    }
}

/// The coordinates of `factor * x mod t`, padded.
fn scaled(layout: &Layout, x: &Template, factor: u16) -> Zeroizing<Vec<u16>> {
    let mut values = Zeroizing::new(vec![0; layout.padded_dimension()]);
    for (value, &x) in values.iter_mut().zip(x.values()) {
        *value = reduce_t(i32::from(x) * i32::from(factor));
    }
    values
}

fn check_dimension(layout: &Layout, x: &Template) -> Result<(), Error> {
    match x.values().len() {
        found if found == layout.dimension() => Ok(()),
        found => Err(Error::Dimension { found, expected: layout.dimension() }),
    }
}

/// Makes a whole query for a probe. Its secrets derive from fresh randomness and the probe together, so that even a
/// machine whose randomness repeats cannot put two probes under one secret.
///
/// # Errors
/// [`Error::Dimension`], or no OS randomness.
pub fn whole_query<M: Mode>(
    gallery: &Gallery,
    x: &Template,
    target: M::Target,
) -> Result<(QueryPolynomials, Pending<M>), Error> {
    whole_query_with_nonce(gallery, &random::bytes()?, x, target)
}

pub(crate) fn whole_query_with_nonce<M: Mode>(
    gallery: &Gallery,
    nonce: &[u8; 32],
    x: &Template,
    target: M::Target,
) -> Result<(QueryPolynomials, Pending<M>), Error> {
    let layout = gallery.layout();
    check_dimension(layout, x)?;
    let target = M::target(target);
    let content: Zeroizing<Vec<u8>> =
        Zeroizing::new(x.values().iter().flat_map(|v| v.to_le_bytes()).collect());
    let key = &gallery.keys.query;
    let id = subkey(key, "tyto/v1/query-id", &[nonce, &target.to_bytes(), &content]);
    let rho = matches!(M::KIND, Kind::Verify)
        .then(|| sample::rho(stream(key, "tyto/v1/query-rho", &[id.expose()])));
    let mut polynomials = Vec::new();
    let mut secrets = Vec::new();
    for (index, factor) in [Some(1), rho].into_iter().flatten().enumerate() {
        let seed = Seed(subkey(key, "tyto/v1/query-seed", &[id.expose(), &[index as u8]]));
        let mut messages = gallery.zero_polynomials();
        place(layout, &scaled(layout, x, factor), &mut messages);
        let (query, secret) = encrypt(gallery, &seed, &mut messages);
        polynomials.push(query);
        secrets.push(secret);
    }
    Ok((QueryPolynomials::new(polynomials), Pending::new(gallery, x.clone(), secrets, rho, None)))
}

/// What turns a ticket into a probe, as it goes to the server and comes back with the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketUse {
    /// The ticket.
    pub ticket: TicketId,
    /// One delta per query.
    pub deltas: Vec<Delta>,
    /// MAC over ticket, gallery, target and deltas.
    pub tag: [u8; 16],
}

impl TicketUse {
    /// The deltas, one after the other.
    pub fn delta_bytes(&self) -> Vec<u8> {
        self.deltas.iter().flat_map(Delta::to_bytes).collect()
    }
}

/// What a capture device holds of a ticket: pads, rho and MAC key; no tenant key, no lattice code. It is consumed by
/// its use.
pub struct DeviceTicket {
    ticket: TicketId,
    layout: Layout,
    context: [u8; tyto_scheme::mask::CONTEXT_BYTES],
    pads: Vec<Zeroizing<Vec<u16>>>,
    rho: Option<u16>,
    mac_key: Secret32,
}

impl DeviceTicket {
    /// Binds a probe to the ticket.
    ///
    /// # Errors
    /// [`Error::Dimension`].
    pub fn bind(self, x: &Template, target: &Target) -> Result<TicketUse, Error> {
        check_dimension(&self.layout, x)?;
        let delta = |(pads, factor): (&Zeroizing<Vec<u16>>, u16)| {
            let x = scaled(&self.layout, x, factor);
            let difference = |(&x, &pad): (&u16, &u16)| reduce_t(i32::from(x) - i32::from(pad));
            Delta::new(&self.layout, x.iter().zip(pads.iter()).map(difference).collect())
        };
        let factors = [Some(1), self.rho].into_iter().flatten();
        let deltas = self.pads.iter().zip(factors).map(delta).collect::<Result<Vec<_>, _>>()?;
        Ok(self.sign(TicketUse { ticket: self.ticket, deltas, tag: [0; 16] }, target))
    }

    fn sign(&self, mut used: TicketUse, target: &Target) -> TicketUse {
        used.tag = kmac::mac16(
            self.mac_key.expose(),
            USE_LABEL,
            &self.use_parts(&used, target).each_ref().map(Vec::as_slice),
        );
        used
    }

    /// What a dishonest device, which has the MAC key, can make.
    #[cfg(test)]
    pub(crate) fn sign_for_test(&self, used: TicketUse, target: &Target) -> TicketUse {
        self.sign(used, target)
    }

    fn use_parts(&self, used: &TicketUse, target: &Target) -> [Vec<u8>; 4] {
        [self.context.to_vec(), self.ticket.0.to_vec(), target.to_bytes().to_vec(), used.delta_bytes()]
    }

    fn tag_holds(&self, used: &TicketUse, target: &Target) -> bool {
        let parts = self.use_parts(used, target);
        kmac::verify16(self.mac_key.expose(), USE_LABEL, &parts.each_ref().map(Vec::as_slice), &used.tag)
    }

    /// A second copy, so that the backend can go on to check what the device made.
    fn duplicate(&self) -> Self {
        let mac_key = self.mac_key.duplicate();
        Self {
            pads: self.pads.clone(),
            mac_key,
            ticket: self.ticket,
            layout: self.layout,
            context: self.context,
            rho: self.rho,
        }
    }
}

impl std::fmt::Debug for DeviceTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceTicket({}, [redacted])", self.ticket)
    }
}

const USE_LABEL: &[u8] = b"tyto/v1/ticket-use";

/// A ticket as its backend keeps it until the answer comes. Its secrets come from a seed of its own, not from the
/// tenant key, and are wiped with it: after that nobody can decrypt the probe.
pub struct Ticket<M: Mode> {
    device: DeviceTicket,
    secrets: Vec<QuerySecret>,
    mode: PhantomData<M>,
}

impl<M: Mode> Ticket<M> {
    /// Makes a ticket from fresh randomness, and the bytes to upload.
    ///
    /// # Errors
    /// No OS randomness.
    pub fn generate(gallery: &Gallery) -> Result<(Self, Vec<u8>), Error> {
        Ok(Self::from_seed(gallery, TicketId(random::bytes()?), &Secret32::random()?))
    }

    pub(crate) fn from_seed(gallery: &Gallery, ticket: TicketId, seed: &Secret32) -> (Self, Vec<u8>) {
        let layout = gallery.layout();
        let bound: [&[u8]; 2] = [gallery.context(), &ticket.0];
        let rho =
            matches!(M::KIND, Kind::Verify).then(|| sample::rho(stream(seed, "tyto/v1/ticket-rho", &bound)));
        let mut polynomials = Vec::new();
        let mut secrets = Vec::new();
        let mut pads = Vec::new();
        for index in 0..M::KIND.queries() {
            let query =
                Seed(subkey(seed, "tyto/v1/ticket-query-seed", &[bound[0], bound[1], &[index as u8]]));
            let query_pads = query.query_pads(layout);
            let mut messages = gallery.zero_polynomials();
            place(layout, &query_pads, &mut messages);
            let (query, secret) = encrypt(gallery, &query, &mut messages);
            polynomials.push(query);
            secrets.push(secret);
            pads.push(query_pads);
        }
        let context = gallery.context().try_into().expect("a context has its length");
        let mac_key = subkey(seed, "tyto/v1/ticket-mac-key", &bound);
        let device = DeviceTicket { ticket, layout: *layout, context, pads, rho, mac_key };
        let bytes = write_ticket(gallery.parameters(), ticket, M::KIND, &QueryPolynomials::new(polynomials));
        (Self { device, secrets, mode: PhantomData }, bytes)
    }

    /// The ticket's id.
    pub fn id(&self) -> TicketId {
        self.device.ticket
    }

    /// What a capture device needs. The backend then accepts exactly one use, with [`Ticket::accept`].
    pub fn for_device(&self) -> DeviceTicket {
        self.device.duplicate()
    }

    /// Binds a probe of this process: device and backend in one.
    ///
    /// # Errors
    /// [`Error::Dimension`].
    pub fn bind(
        self,
        gallery: &Gallery,
        x: &Template,
        target: M::Target,
    ) -> Result<(TicketUse, Pending<M>), Error> {
        let used = self.for_device().bind(x, &M::target(target))?;
        let pending = self.accept(gallery, &used, target)?;
        Ok((used, pending))
    }

    /// Accepts a use that a device made: checks its MAC, removes the pad, checks the range, and only then allows a
    /// decryption.
    ///
    /// # Errors
    /// [`Error::TicketTag`], [`Error::ProbeRange`], [`Error::ProbeCheck`].
    pub fn accept(self, gallery: &Gallery, used: &TicketUse, target: M::Target) -> Result<Pending<M>, Error> {
        let (layout, ticket) = (gallery.layout(), self.id());
        let whole = used.ticket == ticket && used.deltas.len() == M::KIND.queries();
        if !whole || !self.device.tag_holds(used, &M::target(target)) {
            return Err(Error::TicketTag(ticket));
        }
        let unpadded = |(pads, delta): (&Zeroizing<Vec<u16>>, &Delta)| {
            let sum = |(&pad, &delta): (&u16, &u16)| reduce_t(i32::from(pad) + i32::from(delta));
            Zeroizing::new(pads.iter().zip(delta.values()).map(sum).collect::<Vec<_>>())
        };
        let probes: Vec<_> = self.device.pads.iter().zip(&used.deltas).map(unpadded).collect();
        let centred = Zeroizing::new(probes[0].iter().map(|&v| centre_t(v)).collect::<Vec<_>>());
        let (real, padding) = centred.split_at(layout.dimension());
        let x = Template::from_integers(real).map_err(|error| match error {
            Error::Range { found, max } => Error::ProbeRange { ticket, found, max },
            _ => Error::ProbeRange { ticket, found: 0, max: NORM2_MAX },
        })?;
        let consistent = |rho: u16| {
            probes[0]
                .iter()
                .zip(probes[1].iter())
                .all(|(&x, &y)| u64::from(x) * u64::from(rho) % T == u64::from(y))
        };
        if padding.iter().any(|&v| v != 0) || !self.device.rho.is_none_or(consistent) {
            return Err(Error::ProbeCheck(ticket));
        }
        let mut secrets = self.secrets;
        for (secret, delta) in secrets.iter_mut().zip(&used.deltas) {
            let mut change = gallery.zero_polynomials();
            delta.add_to_query(layout, &mut change);
            for (a, change) in gallery.masks.gallery.iter().zip(&change) {
                if layout.stride() == 1 {
                    // The change is a constant: its transform is the constant in every place.
                    secret.u.mul_scalar_add_assign(a, change.as_slice()[0]);
                } else {
                    secret.u.mul_add_assign(a, &forward(change));
                }
            }
        }
        Ok(Pending::new(gallery, x, secrets, self.device.rho, Some(used.clone())))
    }
}

impl<M: Mode> std::fmt::Debug for Ticket<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ticket({}, [redacted])", self.id())
    }
}
