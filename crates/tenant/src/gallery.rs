//! A gallery as its tenant sees it.

use crate::Error;
use crate::derive::GalleryKeys;
use crate::key::TenantKey;
use crate::manifest::Manifest;
use crate::sealed::{self, Reader};
use crate::slotmap::SubjectId;
use crate::template::Quantiser;
use std::num::NonZeroUsize;
use std::ops::Range;
use tyto_kernels::{NttPoly, PACKED_POLY_BYTES, split};
use tyto_pqc::random;
use tyto_scheme::{GalleryId, GalleryParameters, Layout, Masks, Pseudonym};

pub use crate::template::Metric;

/// Longest gallery name, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// A thread is started for no fewer polynomials: each takes some ten microseconds, and so does the thread.
const LEAST_POLYNOMIALS: usize = 16;

const DESCRIPTOR: &str = "gallery descriptor";
const MASKS: &str = "masks";
/// What masks were expanded by: raised when that changes, so that none of an older program are read.
const MASKS_VERSION: u8 = 1;
const MASKS_LABEL: &str = "tyto/v1/masks";
const DESCRIPTOR_LABEL: &str = "tyto/v1/descriptor";

/// What binds derivations, seals and open objects to one gallery.
pub(crate) type Context = [u8; tyto_scheme::mask::CONTEXT_BYTES];

/// A gallery opened with the tenant key: its keys, its masks, its name and metric. Costs some megabytes and
/// milliseconds to make; share it.
pub struct Gallery {
    parameters: GalleryParameters,
    context: Context,
    name: String,
    quantiser: Quantiser,
    pub(crate) keys: GalleryKeys,
    pub(crate) masks: Masks,
    /// `w = sum a_c * A_c`.
    pub(crate) w: NttPoly,
    threads: usize,
    expanded: bool,
}

/// What the server is told to create a gallery.
#[derive(Debug)]
pub struct NewGallery {
    /// The public parameters.
    pub parameters: GalleryParameters,
    /// Name and metric, sealed.
    pub sealed_descriptor: Vec<u8>,
    /// The empty manifest, version 1, sealed.
    pub sealed_manifest: Vec<u8>,
}

impl Gallery {
    /// Makes a gallery with a fresh random id.
    ///
    /// # Errors
    /// [`Error::NameLength`], [`Error::MaximumNorm`], or no OS randomness.
    pub fn create(
        key: &TenantKey,
        name: &str,
        layout: Layout,
        metric: Metric,
    ) -> Result<(Self, NewGallery), Error> {
        Self::create_with_id(key, GalleryId(random::bytes()?), name, layout, metric)
    }

    pub(crate) fn create_with_id(
        key: &TenantKey,
        gallery: GalleryId,
        name: &str,
        layout: Layout,
        metric: Metric,
    ) -> Result<(Self, NewGallery), Error> {
        let parameters = GalleryParameters { gallery, layout, mask_epoch: 0, key: key.id() };
        let gallery = Self::assemble(key, parameters, name.to_owned(), metric, None)?;
        let new = NewGallery {
            parameters,
            sealed_descriptor: gallery.seal_descriptor()?,
            sealed_manifest: Manifest::empty().seal(&gallery)?,
        };
        Ok((gallery, new))
    }

    /// Opens a gallery that the server described.
    ///
    /// # Errors
    /// [`Error::OtherKey`], or [`Error::Sealed`] if the descriptor was not made with this key for these parameters.
    pub fn open(
        key: &TenantKey,
        parameters: GalleryParameters,
        sealed_descriptor: &[u8],
    ) -> Result<Self, Error> {
        let (name, metric) = Self::peek(key, &parameters, sealed_descriptor)?;
        Self::assemble(key, parameters, name, metric, None)
    }

    /// The same with masks that [`Gallery::seal_masks`] wrote. Masks of another gallery, or that anyone altered, are
    /// ignored: the gallery's are then expanded.
    ///
    /// # Errors
    /// As [`Gallery::open`].
    pub fn open_with_masks(
        key: &TenantKey,
        parameters: GalleryParameters,
        sealed_descriptor: &[u8],
        sealed_masks: &[u8],
    ) -> Result<Self, Error> {
        let (name, metric) = Self::peek(key, &parameters, sealed_descriptor)?;
        let keys = GalleryKeys::derive(key, &parameters)?;
        let place: [&[u8]; 1] = [&parameters.context()];
        let masks = sealed::open(&keys.masks, MASKS, MASKS_LABEL, &place, sealed_masks).ok();
        let masks = masks.and_then(|bytes| {
            Masks::from_bytes(&parameters.layout, bytes.strip_prefix(&[MASKS_VERSION])?).ok()
        });
        Self::assemble(key, parameters, name, metric, masks)
    }

    /// The expanded masks, `version 1 || packed polynomials`, for a file of this tenant's: opening them takes less time than expanding them again.
    ///
    /// # Errors
    /// No OS randomness.
    ///
    /// # Security
    /// Masks are public, but altered ones would show what they hide: they are authenticated with the tenant key.
    pub fn seal_masks(&self) -> Result<Vec<u8>, Error> {
        let plain = [&[MASKS_VERSION][..], &self.masks.to_bytes()].concat();
        sealed::seal(&self.keys.masks, MASKS_LABEL, &[&self.context], &plain)
    }

    /// Whether the masks were expanded when the gallery was opened, and not read.
    pub fn has_expanded_masks(&self) -> bool {
        self.expanded
    }

    /// Opens a descriptor alone, without expanding masks: name and metric.
    ///
    /// # Errors
    /// As [`Gallery::open`].
    pub fn peek(
        key: &TenantKey,
        parameters: &GalleryParameters,
        sealed_descriptor: &[u8],
    ) -> Result<(String, Metric), Error> {
        if parameters.key != key.id() {
            return Err(Error::OtherKey);
        }
        let keys = GalleryKeys::derive(key, parameters)?;
        let context = parameters.context();
        let plain =
            sealed::open(&keys.descriptor, DESCRIPTOR, DESCRIPTOR_LABEL, &[&context], sealed_descriptor)?;
        let mut reader = Reader::new(DESCRIPTOR, 1, &plain)?;
        let [kind] = reader.array()?;
        let max_norm = f64::from_bits(reader.u64()?);
        let [length] = reader.array()?;
        let name = reader.bytes(MAX_NAME_BYTES)?.get(..usize::from(length)).unwrap_or_default();
        let name = String::from_utf8(name.to_vec());
        reader.end()?;
        let unknown = Error::SealedVersion { object: DESCRIPTOR };
        match (kind, name) {
            (1, Ok(name)) => Ok((name, Metric::Cosine)),
            (2, Ok(name)) => Ok((name, Metric::InnerProduct { max_norm })),
            _ => Err(unknown),
        }
    }

    fn assemble(
        key: &TenantKey,
        parameters: GalleryParameters,
        name: String,
        metric: Metric,
        masks: Option<Masks>,
    ) -> Result<Self, Error> {
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(Error::NameLength { found: name.len(), max: MAX_NAME_BYTES });
        }
        let quantiser = Quantiser::new(metric, parameters.layout.dimension())?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let expanded = masks.is_none();
        let masks = masks.unwrap_or_else(|| Masks::expand(&parameters, threads));
        let mut w = NttPoly::zero();
        let (mut a, mut big_a) = (NttPoly::zero(), NttPoly::zero());
        for chunk in 0..parameters.layout.chunks() {
            masks.gallery.read(chunk, &mut a);
            masks.query.read(chunk, &mut big_a);
            w.mul_add_assign(&a, &big_a);
        }
        let keys = GalleryKeys::derive(key, &parameters)?;
        Ok(Self {
            parameters,
            context: parameters.context(),
            name,
            quantiser,
            keys,
            masks,
            w,
            threads,
            expanded,
        })
    }

    /// Bounds the threads that one computation with many polynomials or blocks is spread over; all cores otherwise.
    #[must_use]
    pub fn with_threads(self, threads: NonZeroUsize) -> Self {
        Self { threads: threads.get(), ..self }
    }

    /// `version 1 || metric u8 || maximum norm f64 || name length u8 || name, padded to 128`.
    fn seal_descriptor(&self) -> Result<Vec<u8>, Error> {
        let (kind, max_norm) = match self.quantiser.metric() {
            Metric::Cosine => (1, 0.0),
            Metric::InnerProduct { max_norm } => (2, max_norm),
        };
        let mut plain = vec![1, kind];
        plain.extend_from_slice(&max_norm.to_le_bytes());
        plain.push(self.name.len() as u8);
        plain.extend_from_slice(self.name.as_bytes());
        plain.resize(11 + MAX_NAME_BYTES, 0);
        sealed::seal(&self.keys.descriptor, DESCRIPTOR_LABEL, &[&self.context], &plain)
    }

    /// The public parameters.
    pub fn parameters(&self) -> &GalleryParameters {
        &self.parameters
    }

    /// The layout.
    pub fn layout(&self) -> &Layout {
        &self.parameters.layout
    }

    /// The name that the tenant gave it; the server never sees it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What turns vectors into templates of this gallery.
    pub fn quantiser(&self) -> &Quantiser {
        &self.quantiser
    }

    /// What the server knows a subject by.
    pub fn pseudonym(&self, subject: &SubjectId) -> Pseudonym {
        Pseudonym(self.keys.pseudonym(subject.as_bytes()))
    }

    /// Bytes that bind derivations and seals to this gallery.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Refuses an object that was made for another gallery.
    pub(crate) fn check_context(&self, context: &Context) -> Result<(), Error> {
        if *context == self.context { Ok(()) } else { Err(Error::OtherGallery) }
    }

    /// Ranges of `items`, of which each takes as long as `polynomials` polynomials, for different threads.
    pub(crate) fn split(&self, items: usize, polynomials: usize) -> impl Iterator<Item = Range<usize>> {
        split(self.threads, items, LEAST_POLYNOMIALS.div_ceil(polynomials))
    }

    /// The chunks of one block or query, for different threads.
    pub(crate) fn split_chunks(&self) -> impl Iterator<Item = Range<usize>> {
        self.split(self.layout().chunks(), 1)
    }

    /// The same, each with the place that its packed polynomials go to.
    pub(crate) fn split_packed<'a>(
        &self,
        mut packed: &'a mut [u8],
    ) -> impl Iterator<Item = (Range<usize>, &'a mut [[u8; PACKED_POLY_BYTES]])> {
        self.split_chunks().map(move |chunks| {
            let place =
                packed.split_off_mut(..chunks.len() * PACKED_POLY_BYTES).expect("C packed polynomials");
            (chunks, place.as_chunks_mut().0)
        })
    }
}

impl std::fmt::Debug for Gallery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gallery").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}
