//! Derivations from the tenant key. Every one is KMAC256 or KMACXOF256 (NIST SP 800-185) with the label as
//! customization; all but the key id begin with the gallery's context (see
//! [`tyto_scheme::GalleryParameters::context`]). `docs/formats.md` lists them.

use crate::key::TenantKey;
use crate::sample;
use tyto_kernels::{NttPoly, Poly, forward};
use tyto_pqc::Secret32;
use tyto_pqc::aead::SealingKey;
use tyto_pqc::kmac::{self, Kmac256, XofReader};
use tyto_scheme::{BlockId, GalleryParameters, Layout};
use zeroize::Zeroizing;

/// `KMAC256(key, parts, 256, label)`.
pub(crate) fn subkey(key: &Secret32, label: &str, parts: &[&[u8]]) -> Secret32 {
    let mut mac = Kmac256::new(key.expose(), label.as_bytes());
    parts.iter().for_each(|part| mac.update(part));
    Secret32::from_fn(|out| mac.finalize(out))
}

/// `KMACXOF256(key, parts, label)`.
pub(crate) fn stream(key: &Secret32, label: &str, parts: &[&[u8]]) -> XofReader {
    let mut mac = Kmac256::new(key.expose(), label.as_bytes());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize_xof()
}

/// The keys of one gallery.
pub(crate) struct GalleryKeys {
    pub(crate) record: SealingKey,
    pub(crate) entry: SealingKey,
    pub(crate) manifest: SealingKey,
    pub(crate) descriptor: SealingKey,
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
        Zeroizing::new(forward(&sample::ternary(stream(&self.0, "tyto/v1/secret", &[]))))
    }

    /// `t * e_c`.
    pub(crate) fn scaled_errors(&self, chunk: u16) -> Zeroizing<Poly> {
        sample::scaled_errors(stream(&self.0, "tyto/v1/error", &[&chunk.to_le_bytes()]))
    }

    /// The pads of polynomial `chunk` of a block, one per coefficient, in `[0, t)`.
    pub(crate) fn block_pads(&self, chunk: u16) -> Zeroizing<Vec<u16>> {
        sample::pads(stream(&self.0, "tyto/v1/pad", &[&chunk.to_le_bytes()]), tyto_kernels::N)
    }

    /// The pads of a ticket's query, one per coordinate of the padded dimension, in `[0, t)`.
    pub(crate) fn query_pads(&self, layout: &Layout) -> Zeroizing<Vec<u16>> {
        sample::pads(stream(&self.0, "tyto/v1/pad", &[]), layout.padded_dimension())
    }

    /// The secret weights of a block's check vector, one per slot.
    pub(crate) fn lambdas(&self, layout: &Layout) -> Zeroizing<Vec<u64>> {
        sample::lambdas(stream(&self.0, "tyto/v1/lambda", &[]), layout.slots())
    }
}
