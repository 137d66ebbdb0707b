//! Probes on their way to the server: whole queries, and tickets.
//!
//! A ticket is a query of pads, uploaded ahead of time; `delta = x - pad mod t` turns it into a probe. Using a ticket
//! consumes it, so it cannot be used twice.

use crate::Error;
use crate::decrypt::Pending;
use crate::derive::{Seed, Streams, stream, subkey};
use crate::gallery::{Context, Gallery};
use crate::sample::{self, Scratch};
use crate::template::Template;
use std::marker::PhantomData;
use std::ops::Range;
use tyto_kernels::{
    NttPoly, PACKED_POLY_BYTES, Poly, Wiped, forward_swap, in_parallel, inverse_swap, modq, pack,
    weigh_and_hide,
};
use tyto_pqc::{Secret32, kmac, random};
use tyto_scheme::params::{centre_t, reduce_t};
use tyto_scheme::query::{Kind, Target, begin_ticket};
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

/// What its owner needs of one query to decrypt its answers.
pub(crate) struct QuerySecret {
    /// `s'`.
    pub(crate) s: Zeroizing<NttPoly>,
    /// `u - s' * w` with `u = sum a_c * B_c` and `w = sum a_c * A_c`, which is `sum a_c * m_c` with
    /// `m_c = t * e'_c + X_c`.
    pub(crate) m: Zeroizing<NttPoly>,
}

/// Encrypts coordinates modulo t under a query's own seed, packed: `B_c = A_c * s' + t * e'_c + X_c`.
fn encrypt(gallery: &Gallery, seed: &Seed, coordinates: &[u16], packed: &mut [u8]) -> QuerySecret {
    let s = seed.secret();
    let errors = seed.errors(gallery.layout().chunks());
    let mut m = Zeroizing::new(NttPoly::zero());
    for part in in_parallel(gallery.split_packed(packed), |(chunks, packed)| {
        encrypt_part(gallery, &errors, &s, coordinates, chunks, packed)
    }) {
        m.add_assign(&part);
    }
    QuerySecret { s, m }
}

/// Some polynomials of a query. Returns their part of `sum a_c * m_c`.
fn encrypt_part(
    gallery: &Gallery,
    errors: &Streams,
    s: &NttPoly,
    coordinates: &[u16],
    chunks: Range<usize>,
    packed: &mut [[u8; PACKED_POLY_BYTES]],
) -> Zeroizing<NttPoly> {
    let masks = &gallery.masks;
    let mut scratch = Scratch::new();
    let mut poly = Zeroizing::new(Poly::zero());
    let mut sum = Zeroizing::new(NttPoly::zero());
    let mut m = Zeroizing::new(NttPoly::zero());
    for (chunk, packed) in chunks.zip(packed) {
        scratch.noise(errors.at(chunk), None, &mut poly);
        add_coordinates(gallery.layout(), coordinates, chunk, &mut poly);
        forward_swap(&mut poly, &mut sum);
        weigh_and_hide(chunk, &masks.gallery, &mut m, &masks.query, s, &mut sum);
        inverse_swap(&mut sum, &mut poly);
        pack::pack(poly.as_slice(), packed);
    }
    m
}

/// Adds the coordinates that belong to a polynomial, centred modulo t and with the sign of their places.
fn add_coordinates(layout: &Layout, coordinates: &[u16], chunk: usize, poly: &mut Poly) {
    let first = chunk * layout.stride();
    for (v, &value) in coordinates[first..first + layout.stride()].iter().enumerate() {
        let (_, index, negated) = layout.query_position(first + v);
        let value = i64::from(centre_t(value));
        let coefficient = &mut poly.as_mut_slice()[index];
        *coefficient = modq::add(*coefficient, modq::from_i64(if negated { -value } else { value }));
    }
}

/// The coordinates of `factor * x mod t`, padded.
fn scaled(layout: &Layout, x: &Template, factor: u16) -> Wiped<u16> {
    let mut values = Wiped::zeros(layout.padded_dimension());
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

/// Makes a whole query for a probe: its polynomials, packed, and what decrypts the answers. Its secrets derive from fresh randomness and the probe together, so that even a
/// machine whose randomness repeats cannot put two probes under one secret.
///
/// # Errors
/// [`Error::Dimension`], or no OS randomness.
pub fn whole_query<M: Mode>(
    gallery: &Gallery,
    x: &Template,
    target: M::Target,
) -> Result<(Vec<u8>, Pending<M>), Error> {
    whole_query_with_nonce(gallery, Secret32::random()?.expose(), x, target)
}

pub(crate) fn whole_query_with_nonce<M: Mode>(
    gallery: &Gallery,
    nonce: &[u8; 32],
    x: &Template,
    target: M::Target,
) -> Result<(Vec<u8>, Pending<M>), Error> {
    let layout = gallery.layout();
    check_dimension(layout, x)?;
    let target = M::target(target);
    let content: Zeroizing<Vec<u8>> =
        Zeroizing::new(x.values().iter().flat_map(|v| v.to_le_bytes()).collect());
    let key = &gallery.keys.query;
    let id = subkey(key, "tyto/v1/query-id", &[nonce, &target.to_bytes(), &content]);
    let rho = matches!(M::KIND, Kind::Verify)
        .then(|| sample::rho(stream(key, "tyto/v1/query-rho", &[id.expose()])));
    let mut packed = vec![0; M::KIND.polynomials_bytes(layout)];
    let queries = packed.chunks_exact_mut(layout.polynomials_bytes());
    let encrypt_one = |(index, (factor, packed)): (usize, (u16, &mut [u8]))| {
        let seed = Seed(subkey(key, "tyto/v1/query-seed", &[id.expose(), &[index as u8]]));
        encrypt(gallery, &seed, &scaled(layout, x, factor), packed)
    };
    let factors = [Some(1), rho].into_iter().flatten();
    let secrets = factors.zip(queries).enumerate().map(encrypt_one).collect();
    Ok((packed, Pending::new(gallery, x.clone(), secrets, rho, None)))
}

/// What turns a ticket into a probe, as it goes to the server and comes back with the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketUse {
    /// The ticket.
    pub ticket: TicketId,
    /// One delta per query.
    pub deltas: Vec<Delta>,
    /// The backend's MAC over gallery, ticket, target and deltas.
    pub tag: [u8; 16],
}

impl TicketUse {
    /// The deltas, one after the other.
    pub fn delta_bytes(&self) -> Vec<u8> {
        self.deltas.iter().flat_map(Delta::to_bytes).collect()
    }
}

/// What a capture device makes of a ticket and a probe; it goes to the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceUse {
    /// The ticket.
    pub ticket: TicketId,
    /// `x - pad mod t`.
    pub delta: Delta,
    /// The device's MAC over gallery, ticket, target and delta.
    pub tag: [u8; 16],
}

const USE_LABEL: &[u8] = b"tyto/v1/ticket-use";
const DEVICE_LABEL: &[u8] = b"tyto/v1/device-use";

/// Gallery, ticket, target, deltas: what a tag of a ticket's use binds.
fn bound(context: &Context, ticket: TicketId, target: &Target, deltas: &[u8]) -> Vec<u8> {
    [context.as_slice(), &ticket.0, &target.to_bytes(), deltas].concat()
}

/// What a capture device holds of a ticket: the pads of its probe and a MAC key; no tenant key, no lattice code, and
/// nothing of the check query, so that a stolen device cannot help a server to forge a score. It is consumed by its
/// use.
pub struct DeviceTicket {
    ticket: TicketId,
    layout: Layout,
    context: Context,
    pads: Wiped<u16>,
    key: Secret32,
}

impl DeviceTicket {
    /// The ticket's id.
    pub fn id(&self) -> TicketId {
        self.ticket
    }

    /// Binds a probe to the ticket.
    ///
    /// # Errors
    /// [`Error::Dimension`].
    pub fn bind(self, x: &Template, target: &Target) -> Result<DeviceUse, Error> {
        check_dimension(&self.layout, x)?;
        let delta = subtract(&self.layout, &scaled(&self.layout, x, 1), &self.pads)?;
        Ok(self.sign(delta, target))
    }

    fn sign(&self, delta: Delta, target: &Target) -> DeviceUse {
        let message = bound(&self.context, self.ticket, target, &delta.to_bytes());
        let tag = kmac::mac16(self.key.expose(), DEVICE_LABEL, &[&message]);
        DeviceUse { ticket: self.ticket, delta, tag }
    }

    /// The delta alone, for a dishonest device to alter.
    #[cfg(test)]
    pub(crate) fn delta_for_test(&self, x: &Template) -> Vec<u16> {
        subtract(&self.layout, &scaled(&self.layout, x, 1), &self.pads).unwrap().values().to_vec()
    }

    /// What a dishonest device, which has the MAC key, can make.
    #[cfg(test)]
    pub(crate) fn sign_for_test(&self, delta: Delta, target: &Target) -> DeviceUse {
        self.sign(delta, target)
    }
}

impl std::fmt::Debug for DeviceTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceTicket({}, [redacted])", self.ticket)
    }
}

/// `values - pads mod t`.
fn subtract(layout: &Layout, values: &[u16], pads: &[u16]) -> Result<Delta, Error> {
    let difference = |(&value, &pad): (&u16, &u16)| reduce_t(i32::from(value) - i32::from(pad));
    Ok(Delta::new(layout, values.iter().zip(pads).map(difference).collect())?)
}

/// A ticket as its backend keeps it until it is used. Its secrets come from a seed of its own, not from the tenant key,
/// and are wiped with it: after that nobody can decrypt the probe.
pub struct Ticket<M: Mode> {
    id: TicketId,
    layout: Layout,
    context: Context,
    secrets: Vec<QuerySecret>,
    pads: Vec<Wiped<u16>>,
    rho: Option<Zeroizing<u16>>,
    device_key: Secret32,
    use_key: Secret32,
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
        let place: [&[u8]; 2] = [gallery.context(), &ticket.0];
        let rho =
            matches!(M::KIND, Kind::Verify).then(|| sample::rho(stream(seed, "tyto/v1/ticket-rho", &place)));
        let mut bytes = begin_ticket(gallery.parameters(), ticket, M::KIND);
        let header_bytes = bytes.len();
        bytes.resize(M::KIND.ticket_bytes(layout), 0);
        let mut secrets = Vec::new();
        let mut pads = Vec::new();
        let queries = bytes[header_bytes..].chunks_exact_mut(layout.polynomials_bytes());
        for (index, packed) in queries.enumerate() {
            let query =
                Seed(subkey(seed, "tyto/v1/ticket-query-seed", &[place[0], place[1], &[index as u8]]));
            let query_pads = query.query_pads(layout);
            secrets.push(encrypt(gallery, &query, &query_pads, packed));
            pads.push(query_pads);
        }
        let kept = Self {
            id: ticket,
            layout: *layout,
            context: *gallery.context(),
            secrets,
            pads,
            rho: rho.map(Zeroizing::new),
            device_key: subkey(seed, "tyto/v1/ticket-device-key", &place),
            use_key: subkey(seed, "tyto/v1/ticket-use-key", &place),
            mode: PhantomData,
        };
        (kept, bytes)
    }

    /// The ticket's id.
    pub fn id(&self) -> TicketId {
        self.id
    }

    /// Splits off what a capture device needs. What remains accepts one use that the device made.
    pub fn for_device(self) -> (DeviceTicket, IssuedTicket<M>) {
        let device = DeviceTicket {
            ticket: self.id,
            layout: self.layout,
            context: self.context,
            pads: self.pads[0].clone(),
            key: self.device_key.duplicate(),
        };
        (device, IssuedTicket(self))
    }

    /// Binds a probe of this process: device and backend in one.
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::OtherGallery`].
    pub fn bind(
        self,
        gallery: &Gallery,
        x: &Template,
        target: M::Target,
    ) -> Result<(TicketUse, Pending<M>), Error> {
        gallery.check_context(&self.context)?;
        check_dimension(&self.layout, x)?;
        let delta = subtract(&self.layout, &scaled(&self.layout, x, 1), &self.pads[0])?;
        self.finish(gallery, x.clone(), delta, target)
    }

    /// Makes the whole use of a probe whose first delta is known, and what will decrypt its answer.
    fn finish(
        self,
        gallery: &Gallery,
        x: Template,
        delta: Delta,
        target: M::Target,
    ) -> Result<(TicketUse, Pending<M>), Error> {
        let (layout, ticket) = (gallery.layout(), self.id);
        let mut deltas = vec![delta];
        if let Some(rho) = &self.rho {
            deltas.push(subtract(layout, &scaled(layout, &x, **rho), &self.pads[1])?);
        }
        let mut used = TicketUse { ticket, deltas, tag: [0; 16] };
        let message = bound(&self.context, ticket, &M::target(target), &used.delta_bytes());
        used.tag = kmac::mac16(self.use_key.expose(), USE_LABEL, &[&message]);
        let mut secrets = self.secrets;
        for (secret, delta) in secrets.iter_mut().zip(&used.deltas) {
            for part in in_parallel(gallery.split_chunks(), |chunks| use_part(gallery, delta, chunks)) {
                secret.m.add_assign(&part);
            }
        }
        let pending = Pending::new(gallery, x, secrets, self.rho.as_deref().copied(), Some(used.clone()));
        Ok((used, pending))
    }
}

/// What the use of a ticket adds to `sum a_c * m_c` by some polynomials.
fn use_part(gallery: &Gallery, delta: &Delta, chunks: Range<usize>) -> Zeroizing<NttPoly> {
    let layout = gallery.layout();
    let mut a = NttPoly::zero();
    let mut change = Zeroizing::new(Poly::zero());
    let mut transformed = Zeroizing::new(NttPoly::zero());
    let mut sum = Zeroizing::new(NttPoly::zero());
    for chunk in chunks {
        gallery.masks.gallery.read(chunk, &mut a);
        change.as_mut_slice().fill(0);
        add_coordinates(layout, delta.values(), chunk, &mut change);
        if layout.stride() == 1 {
            // The change is a constant: its transform is the constant in every place.
            sum.mul_scalar_add_assign(&a, change.as_slice()[0]);
        } else {
            forward_swap(&mut change, &mut transformed);
            sum.mul_add_assign(&a, &transformed);
        }
    }
    sum
}

impl<M: Mode> std::fmt::Debug for Ticket<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ticket({}, [redacted])", self.id)
    }
}

/// A ticket whose pads went to a device.
#[derive(Debug)]
pub struct IssuedTicket<M: Mode>(Ticket<M>);

impl<M: Mode> IssuedTicket<M> {
    /// The ticket's id.
    pub fn id(&self) -> TicketId {
        self.0.id
    }

    /// Whether the device made this use for this target. Ask before [`IssuedTicket::accept`], which consumes the
    /// ticket: anyone who knows its id can send something in its name.
    ///
    /// # Errors
    /// [`Error::TicketTag`].
    pub fn check(&self, used: &DeviceUse, target: M::Target) -> Result<(), Error> {
        let Self(ticket) = self;
        let message = bound(&ticket.context, ticket.id, &M::target(target), &used.delta.to_bytes());
        let holds = kmac::verify16(ticket.device_key.expose(), DEVICE_LABEL, &[&message], &used.tag);
        let fits = used.ticket == ticket.id && used.delta.values().len() == ticket.layout.padded_dimension();
        if holds && fits { Ok(()) } else { Err(Error::TicketTag(ticket.id)) }
    }

    /// Accepts a use that the device made: checks its MAC, removes the pad, checks the range, adds the check query, and
    /// only then allows a decryption.
    ///
    /// # Errors
    /// [`Error::TicketTag`], [`Error::ProbeRange`], [`Error::OtherGallery`].
    pub fn accept(
        self,
        gallery: &Gallery,
        used: &DeviceUse,
        target: M::Target,
    ) -> Result<(TicketUse, Pending<M>), Error> {
        gallery.check_context(&self.0.context)?;
        self.check(used, target)?;
        let Self(ticket) = self;
        let sum = |(&pad, &delta): (&u16, &u16)| centre_t(reduce_t(i32::from(pad) + i32::from(delta)));
        let probe = ticket.pads[0].iter().zip(used.delta.values()).map(sum).collect::<Vec<_>>();
        let probe = Zeroizing::new(probe);
        let (real, padding) = probe.split_at(ticket.layout.dimension());
        let refused = Error::ProbeRange(ticket.id);
        if padding.iter().any(|&v| v != 0) {
            return Err(refused);
        }
        let x = Template::from_integers(real).map_err(|_| refused)?;
        ticket.finish(gallery, x, used.delta.clone(), target)
    }
}
