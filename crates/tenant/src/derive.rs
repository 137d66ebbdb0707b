//! Derivations from the tenant key. Every one is KMAC256 (NIST SP 800-185) with the label as customization; all but
//! the key id begin with the gallery's context (see [`tyto_scheme::GalleryParameters::context`]). What is a stream is
//! the 32-byte output expanded by AES-256 in counter mode. `docs/formats.md` lists them.

use crate::key::TenantKey;
use crate::sample::Scratch;
use tyto_kernels::{NttPoly, Wiped, forward};
use tyto_pqc::Secret32;
use tyto_pqc::aead::SealingKey;
use tyto_pqc::kmac::{self, Kmac256};
use tyto_pqc::stream::KeyStream;
use tyto_scheme::{BlockId, GalleryParameters, Layout};
use zeroize::Zeroizing;

/// `KMAC256(key, parts, 256, label)`.
pub(crate) fn subkey(key: &Secret32, label: &str, parts: &[&[u8]]) -> Secret32 {
    let mut mac = Kmac256::new(key.expose(), label.as_bytes());
    parts.iter().for_each(|part| mac.update(part));
    Secret32::from_fn(|out| mac.finalize(out))
}

/// The stream whose key is `KMAC256(key, parts, 256, label)`.
pub(crate) fn stream(key: &Secret32, label: &str, parts: &[&[u8]]) -> KeyStream {
    KeyStream::new(subkey(key, label, parts).expose())
}

/// The keys of one gallery.
pub(crate) struct GalleryKeys {
    pub(crate) record: SealingKey,
    pub(crate) entry: SealingKey,
    pub(crate) manifest: SealingKey,
    pub(crate) descriptor: SealingKey,
    pub(crate) masks: SealingKey,
    pub(crate) query: Secret32,
    delta: Secret32,
    pseudonym: Secret32,
    block: Secret32,
}

impl GalleryKeys {
    pub(crate) fn derive(key: &TenantKey, parameters: &GalleryParameters) -> Result<Self, tyto_pqc::Error> {
        let context = parameters.context();
        let derive = |label| subkey(key.secret(), label, &[&context]);
        Ok(Self {
            record: SealingKey::new(&derive("tyto/v1/record-key"))?,
            entry: SealingKey::new(&derive("tyto/v1/entry-key"))?,
            manifest: SealingKey::new(&derive("tyto/v1/manifest-key"))?,
            descriptor: SealingKey::new(&derive("tyto/v1/descriptor-key"))?,
            masks: SealingKey::new(&derive("tyto/v1/masks-key"))?,
            query: derive("tyto/v1/query-key"),
            delta: derive("tyto/v1/delta-key"),
            pseudonym: derive("tyto/v1/pseudonym-key"),
            block: derive("tyto/v1/block-key"),
        })
    }

    pub(crate) fn pseudonym(&self, subject: &[u8]) -> [u8; 16] {
        kmac::mac16(self.pseudonym.expose(), b"tyto/v1/pseudonym", &[subject])
    }

    pub(crate) fn delta_tag(&self, block: BlockId, slot: u16, delta: &[u8]) -> [u8; 16] {
        kmac::mac16(self.delta.expose(), b"tyto/v1/delta", &[&block.0, &slot.to_le_bytes(), delta])
    }

    pub(crate) fn delta_tag_holds(&self, block: BlockId, slot: u16, delta: &[u8], tag: &[u8]) -> bool {
        kmac::verify16(self.delta.expose(), b"tyto/v1/delta", &[&block.0, &slot.to_le_bytes(), delta], tag)
    }

    pub(crate) fn block_seed(&self, block: BlockId) -> Seed {
        Seed(subkey(&self.block, "tyto/v1/block-seed", &[&block.0]))
    }
}

/// The seed of one block or of one query; its polynomials are independent streams, so that they can be made in any
/// order and side by side.
pub(crate) struct Seed(pub(crate) Secret32);

impl Seed {
    /// The ternary secret, in NTT form.
    pub(crate) fn secret(&self) -> Zeroizing<NttPoly> {
        let secret = Scratch::new().ternary(stream(&self.0, "tyto/v1/secret", &[]));
        Zeroizing::new(forward(&secret))
    }

    /// The streams of the errors of the first `chunks` polynomials.
    pub(crate) fn errors(&self, chunks: usize) -> Streams {
        Streams::new(&self.0, "tyto/v1/error", chunks)
    }

    /// The streams of the pads of a block's first `chunks` polynomials.
    pub(crate) fn block_pads(&self, chunks: usize) -> Streams {
        Streams::new(&self.0, "tyto/v1/pad", chunks)
    }

    /// The pads of a ticket's query, one per coordinate of the padded dimension, in `[0, t)`.
    pub(crate) fn query_pads(&self, layout: &Layout) -> Wiped<u16> {
        let mut pads = Wiped::zeros(layout.padded_dimension());
        Scratch::new().pads(stream(&self.0, "tyto/v1/ticket-pad", &[]), &mut pads);
        pads
    }

    /// The secret weights of a block's check vector, one per slot.
    pub(crate) fn lambdas(&self, layout: &Layout) -> Wiped<u64> {
        Scratch::new().lambdas(stream(&self.0, "tyto/v1/lambda", &[]), layout.slots())
    }
}

/// Streams of one kind, one per polynomial: the stream of the label gives their keys, one after the other.
pub(crate) struct Streams(Wiped<u8>);

impl Streams {
    fn new(seed: &Secret32, label: &str, chunks: usize) -> Self {
        let mut keys = Wiped::zeros(Secret32::BYTES * chunks);
        stream(seed, label, &[]).read(&mut keys);
        Self(keys)
    }

    /// The stream of polynomial `chunk`.
    pub(crate) fn at(&self, chunk: usize) -> KeyStream {
        KeyStream::new(&self.0.as_chunks().0[chunk])
    }
}
