use crate::query::Transform;
use crate::snapshot::{Located, Snapshot};
use tyto_kernels::{PackedQuery, StridedProduct, detect};
use tyto_scheme::query::Kind;
use tyto_scheme::{Delta, Error, Layout, reply};

/// Queries of a verification: that of the probe and the one that checks it.
const QUERIES: usize = Kind::Verify.queries();

/// The comparison with one template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Comparison {
    /// The template.
    pub template: Located,
    /// Compressed score coefficient of the first query.
    pub coefficient: u16,
    /// The same of the second query, which checks it.
    pub check: u16,
}

/// A verification's two queries, and the memory in which they are compared with templates. One after the other uses
/// it: as long as the layout stays the same, nothing is allocated from the packed query to the coefficients.
pub struct Verification {
    transform: Transform,
    /// None yet, or one for each query.
    queries: Vec<PackedQuery>,
    products: [StridedProduct; QUERIES],
}

impl Default for Verification {
    fn default() -> Self {
        Self::new()
    }
}

impl Verification {
    /// Memory for one verification at a time.
    pub fn new() -> Self {
        let products = std::array::from_fn(|_| StridedProduct::new());
        Self { transform: Transform::new(), queries: Vec::new(), products }
    }

    /// Takes a whole query as it was sent: the packed polynomials of both queries.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Coefficient`]. There is no query then.
    pub fn read(&mut self, layout: &Layout, bytes: &[u8]) -> Result<(), Error> {
        let fits = |query: &PackedQuery| query.polynomials() == layout.chunks();
        let expected = Kind::Verify.polynomials_bytes(layout);
        if bytes.len() == expected && !(self.queries.len() == QUERIES && self.queries.iter().all(fits)) {
            self.queries = vec![PackedQuery::new(layout.chunks()); QUERIES];
        }
        let read = self.transform.read(layout, Kind::Verify, bytes, &mut self.queries);
        if read.is_err() {
            self.queries.clear();
        }
        read
    }

    /// Takes the prepared queries of a ticket and turns their pads into the probe.
    ///
    /// # Panics
    /// If there are not two queries and deltas of this layout.
    pub fn use_ticket(&mut self, layout: &Layout, queries: Vec<PackedQuery>, deltas: &[Delta]) {
        assert_eq!((queries.len(), deltas.len()), (QUERIES, QUERIES), "a verification has two queries");
        self.queries = queries;
        for (query, delta) in self.queries.iter_mut().zip(deltas) {
            self.transform.add_deltas(layout, query, delta);
        }
    }

    /// Compares the queries with templates of a snapshot and gives each comparison to `each`, in order. Templates of
    /// one block that come one after the other cost little more than one of them.
    ///
    /// # Panics
    /// If no queries were taken, if they are of another layout, or if a template is not in the snapshot.
    pub fn compare(&mut self, snapshot: &Snapshot, templates: &[Located], mut each: impl FnMut(Comparison)) {
        assert_eq!(self.queries.len(), QUERIES, "queries were taken");
        let layout = snapshot.layout();
        for in_block in templates.chunk_by(|a, b| a.ordinal == b.ordinal) {
            let block = &snapshot.blocks()[in_block[0].ordinal];
            for (product, query) in self.products.iter_mut().zip(&self.queries) {
                product.multiply(detect(), block.packed(), query, layout.stride());
            }
            for &template in in_block {
                let slot = usize::from(template.slot);
                let coefficient =
                    |product: &StridedProduct| reply::compress_coefficient(layout, product.coefficient(slot));
                let [coefficient, check] = self.products.each_ref().map(coefficient);
                each(Comparison { template, coefficient, check });
            }
        }
    }
}
