//! Queries and tickets as they are sent.
//!
//! A ticket is `"TYTOTKT1" || set u16 || dimension u16 || stride u16 || kind u16 || gallery 16 || key id 16 || epoch u32
//! || ticket id 16`, then the `C` polynomials of its query, or of its two queries if it is for verification. A whole
//! query is sent as its polynomials alone.

use crate::ids::{GalleryId, KeyId, Pseudonym, TicketId};
use crate::mask::GalleryParameters;
use crate::segment::{check_header, for_each_polynomial, read_polynomials, write_polynomials};
use crate::wire::Fields;
use crate::{Delta, Error, Layout};
use tyto_kernels::Poly;

/// First bytes of a ticket: name and version.
pub const TICKET_MAGIC: &[u8; 8] = b"TYTOTKT1";
/// Bytes before a ticket's first polynomial.
pub const TICKET_HEADER_BYTES: usize = 8 + 4 * 2 + 16 + 16 + 4 + 16;
/// Most bytes of a ticket.
pub const MAX_TICKET_BYTES: usize = 64 << 20;

/// What a query is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// 1:1; two queries, the second of `rho * x`.
    Verify = 1,
    /// 1:N; one query.
    Identify = 2,
}

impl Kind {
    /// Queries that belong together.
    pub const fn queries(self) -> usize {
        match self {
            Self::Verify => 2,
            Self::Identify => 1,
        }
    }

    /// Bytes of the polynomials of a whole query.
    pub fn polynomials_bytes(self, layout: &Layout) -> usize {
        self.queries() * layout.polynomials_bytes()
    }

    /// Bytes of a ticket.
    pub fn ticket_bytes(self, layout: &Layout) -> usize {
        TICKET_HEADER_BYTES + self.polynomials_bytes(layout)
    }
}

/// What a probe is compared with; part of what a ticket's MAC and an attestation bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Every template of one subject.
    Subject(Pseudonym),
    /// Every template of the gallery.
    Gallery,
}

impl Target {
    /// The kind of query that this target needs.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Subject(_) => Kind::Verify,
            Self::Gallery => Kind::Identify,
        }
    }

    /// `kind u8 || pseudonym 16` (zeros for a whole gallery).
    pub fn to_bytes(&self) -> [u8; 17] {
        let mut bytes = [0; 17];
        bytes[0] = self.kind() as u8;
        if let Self::Subject(pseudonym) = self {
            bytes[1..].copy_from_slice(&pseudonym.0);
        }
        bytes
    }
}

/// The polynomials of the one or two queries of a probe: `queries()[j][c]`.
pub struct QueryPolynomials(Vec<Vec<Poly>>);

impl QueryPolynomials {
    /// Takes `kind.queries()` queries of `C` polynomials.
    pub fn new(queries: Vec<Vec<Poly>>) -> Self {
        Self(queries)
    }

    /// Parses packed polynomials of a whole query.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Coefficient`].
    pub fn parse(layout: &Layout, kind: Kind, bytes: &[u8]) -> Result<Self, Error> {
        let mut all = read_polynomials("query", bytes, kind.queries() * layout.chunks())?;
        let second = all.split_off(layout.chunks());
        Ok(Self(if second.is_empty() { vec![all] } else { vec![all, second] }))
    }

    /// Gives the packed polynomials of a whole query, one at a time, to `read`: which query, which polynomial of it,
    /// and its bytes.
    ///
    /// # Errors
    /// [`Error::Length`], or what `read` finds: [`Error::Coefficient`].
    pub fn for_each_packed(
        layout: &Layout,
        kind: Kind,
        bytes: &[u8],
        mut read: impl FnMut(usize, usize, &[u8]) -> Result<(), tyto_kernels::Error>,
    ) -> Result<(), Error> {
        let chunks = layout.chunks();
        for_each_polynomial("query", bytes, kind.queries() * chunks, |number, bytes| {
            read(number / chunks, number % chunks, bytes)
        })
    }

    /// The queries.
    pub fn queries(&self) -> &[Vec<Poly>] {
        &self.0
    }

    /// The packed form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.0.iter().for_each(|query| write_polynomials(query, &mut out));
        out
    }

    /// Turns a ticket's pads into a probe. One delta per query.
    pub fn apply(&mut self, layout: &Layout, deltas: &[Delta]) {
        for (query, delta) in self.0.iter_mut().zip(deltas) {
            delta.add_to_query(layout, query);
        }
    }
}

/// Writes a ticket.
pub fn write_ticket(
    parameters: &GalleryParameters,
    ticket: TicketId,
    kind: Kind,
    polynomials: &QueryPolynomials,
) -> Vec<u8> {
    let mut out = begin_ticket(parameters, ticket, kind);
    out.extend_from_slice(&polynomials.to_bytes());
    out
}

/// Writes what comes before the packed polynomials of a ticket, with room for those.
pub fn begin_ticket(parameters: &GalleryParameters, ticket: TicketId, kind: Kind) -> Vec<u8> {
    let layout = &parameters.layout;
    let mut out = Vec::with_capacity(kind.ticket_bytes(layout));
    out.extend_from_slice(TICKET_MAGIC);
    for field in [
        layout.parameter_set().id(),
        layout.dimension() as u16,
        layout.stride() as u16,
        u16::from(kind as u8),
    ] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.extend_from_slice(&parameters.gallery.0);
    out.extend_from_slice(&parameters.key.0);
    out.extend_from_slice(&parameters.mask_epoch.to_le_bytes());
    out.extend_from_slice(&ticket.0);
    out
}

/// Parses a ticket and checks it against its gallery.
///
/// # Errors
/// Names the field that is wrong, or the coefficient that is not below q.
pub fn parse_ticket(
    parameters: &GalleryParameters,
    bytes: &[u8],
) -> Result<(TicketId, Kind, QueryPolynomials), Error> {
    const WHAT: &str = "ticket";
    if bytes.len() < TICKET_HEADER_BYTES {
        return Err(Error::Length { what: WHAT, found: bytes.len(), expected: TICKET_HEADER_BYTES });
    }
    let (header, polynomials) = bytes.split_at(TICKET_HEADER_BYTES);
    let mut fields = Fields(header);
    if fields.take() != *TICKET_MAGIC {
        return Err(Error::Magic(WHAT));
    }
    let header = [fields.u16(), fields.u16(), fields.u16()];
    let kind = match fields.u16() {
        1 => Kind::Verify,
        2 => Kind::Identify,
        _ => return Err(Error::Magic(WHAT)),
    };
    check_header(WHAT, parameters, header, GalleryId(fields.take()), KeyId(fields.take()), fields.u32())?;
    let ticket = TicketId(fields.take());
    Ok((ticket, kind, QueryPolynomials::parse(&parameters.layout, kind, polynomials)?))
}

/// Parses the deltas of a ticket use: one per query of the kind, one after the other.
///
/// # Errors
/// [`Error::Length`] or [`Error::DeltaRange`].
pub fn parse_deltas(layout: &Layout, kind: Kind, bytes: &[u8]) -> Result<Vec<Delta>, Error> {
    let expected = kind.queries() * layout.delta_bytes();
    if bytes.len() != expected {
        return Err(Error::Length { what: "ticket deltas", found: bytes.len(), expected });
    }
    bytes.chunks_exact(layout.delta_bytes()).map(|delta| Delta::from_bytes(layout, delta)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> GalleryParameters {
        GalleryParameters::new(GalleryId([1; 16]), 1, 4, 2, 0, KeyId([2; 16])).unwrap()
    }

    fn polynomials(kind: Kind) -> QueryPolynomials {
        let query = |j: usize| {
            let poly = |c: usize| {
                let mut poly = Poly::zero();
                poly.as_mut_slice()[7] = (10 * j + c) as u64;
                poly
            };
            vec![poly(0), poly(1)]
        };
        QueryPolynomials::new((0..kind.queries()).map(query).collect())
    }

    #[test]
    fn tickets_of_both_kinds_round_trip() {
        let parameters = parameters();
        for kind in [Kind::Verify, Kind::Identify] {
            let bytes = write_ticket(&parameters, TicketId([3; 16]), kind, &polynomials(kind));
            assert_eq!(bytes.len(), kind.ticket_bytes(&parameters.layout));
            let (ticket, parsed_kind, parsed) = parse_ticket(&parameters, &bytes).unwrap();
            assert_eq!((ticket, parsed_kind), (TicketId([3; 16]), kind));
            assert_eq!(parsed.queries().len(), kind.queries());
            assert_eq!(parsed.to_bytes(), polynomials(kind).to_bytes());
            for cut in [0, 5, TICKET_HEADER_BYTES, bytes.len() - 1] {
                assert!(parse_ticket(&parameters, &bytes[..cut]).is_err());
            }
        }
    }

    #[test]
    fn a_ticket_under_another_key_or_gallery_is_refused() {
        let mut other = parameters();
        let bytes = write_ticket(&other, TicketId([3; 16]), Kind::Identify, &polynomials(Kind::Identify));
        other.key = KeyId([9; 16]);
        let mismatch = |field| Some(Error::Mismatch { object: "ticket", field });
        assert_eq!(parse_ticket(&other, &bytes).err(), mismatch("key id"));
        other.key = KeyId([2; 16]);
        other.mask_epoch = 1;
        assert_eq!(parse_ticket(&other, &bytes).err(), mismatch("mask epoch"));
    }
}
