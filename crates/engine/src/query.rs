use tyto_kernels::{NttPoly, PackedQuery, Poly, forward, forward_into, forward_packed, modq};
use tyto_scheme::params::centre_t;
use tyto_scheme::query::{Kind, QueryPolynomials};
use tyto_scheme::{Delta, Error, Layout};

/// Brings a query's polynomials into the form that the kernels read.
///
/// # Panics
/// If there is no polynomial, or more than the kernels take; a layout has neither.
pub fn prepare_query(polynomials: &[Poly]) -> PackedQuery {
    let mut query = PackedQuery::new(polynomials.len());
    for (c, poly) in polynomials.iter().enumerate() {
        query.set(c, &forward(poly));
    }
    query
}

/// Reads the packed polynomials of a whole query and brings them into the form that the kernels read.
///
/// # Errors
/// [`Error::Length`] or [`Error::Coefficient`].
pub fn read_queries(layout: &Layout, kind: Kind, bytes: &[u8]) -> Result<Vec<PackedQuery>, Error> {
    let mut queries = vec![PackedQuery::new(layout.chunks()); kind.queries()];
    Transform::new().read(layout, kind, bytes, &mut queries)?;
    Ok(queries)
}

/// Turns a prepared ticket's pads into a probe.
///
/// # Panics
/// If the query was made for another layout.
pub fn add_deltas(layout: &Layout, query: &mut PackedQuery, delta: &Delta) {
    Transform::new().add_deltas(layout, query, delta);
}

/// Memory for one polynomial on its way into a query.
pub(crate) struct Transform {
    coefficients: Poly,
    values: NttPoly,
}

impl Transform {
    pub(crate) fn new() -> Self {
        Self { coefficients: Poly::zero(), values: NttPoly::zero() }
    }

    /// [`read_queries`] into queries that are there, of the layout's number of polynomials.
    pub(crate) fn read(
        &mut self,
        layout: &Layout,
        kind: Kind,
        bytes: &[u8],
        queries: &mut [PackedQuery],
    ) -> Result<(), Error> {
        QueryPolynomials::for_each_packed(layout, kind, bytes, |query, chunk, bytes| {
            forward_packed(bytes, &mut self.values)?;
            queries[query].set(chunk, &self.values);
            Ok(())
        })
    }

    /// See [`add_deltas`]. One transform per polynomial, as many as it would take to change the coefficients of a
    /// ticket that was not transformed ahead.
    pub(crate) fn add_deltas(&mut self, layout: &Layout, query: &mut PackedQuery, delta: &Delta) {
        if layout.stride() == 1 {
            // A probe has constant polynomials only, whose NTT needs no transform.
            for (chunk, &value) in delta.values().iter().enumerate() {
                query.add_constant(chunk, modq::from_i64(centre_t(value).into()));
            }
            return;
        }
        for chunk in 0..layout.chunks() {
            self.coefficients.as_mut_slice().fill(0);
            delta.add_chunk_to_query(layout, chunk, &mut self.coefficients);
            forward_into(&self.coefficients, &mut self.values);
            query.add(chunk, &self.values);
        }
    }
}
