use tyto_kernels::{PackedQuery, Poly, forward};
use tyto_scheme::{Delta, Layout};

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

/// Turns a prepared ticket's pads into a probe.
///
/// # Panics
/// If the query was made for another layout.
pub fn add_deltas(layout: &Layout, query: &mut PackedQuery, delta: &Delta) {
    let mut change = vec![Poly::zero(); layout.chunks()];
    delta.add_to_query(layout, &mut change);
    for (c, poly) in change.iter().enumerate() {
        // At stride 1 a probe has constant polynomials only, whose NTT needs no transform.
        if layout.stride() == 1 {
            query.add_constant(c, poly.as_slice()[0]);
        } else {
            query.add(c, &forward(poly));
        }
    }
}
