//! Known answers, asked for before a process serves.
//!
//! A defective CPU, a damaged binary or a vector backend that computes wrongly must stop a process before it signs or
//! accepts anything. The answers under `known/` come from other implementations: `known/README.md`.

#[cfg(test)]
mod tests;

use tyto_kernels::keccak::{LANES, RATE_BYTES, Squeezer};

use crate::kmac::Kmac256;
use crate::{Error, Secret32, aead, digest, gcm, hkdf, mldsa, mlkem, slhdsa, stream};

/// One primitive and its known answer.
struct Check {
    primitive: &'static str,
    /// What the primitive gives must agree with these bytes, of which every bit matters.
    known: &'static [u8],
    /// An error of the primitive is a wrong answer too.
    holds: fn(&[u8]) -> bool,
}

/// What is signed.
const MESSAGE: &[u8] = b"Tyto self-test";
/// What is not.
const OTHER_MESSAGE: &[u8] = b"Tyto self-tesu";

const CHECKS: [Check; 14] = [
    Check { primitive: "SHA3-256", known: &SHA3_256_ABC, holds: sha3_256 },
    Check { primitive: "SHA3-256 on the vector backend", known: &SHA3_256_ABC, holds: sha3_256_many },
    Check { primitive: "SHAKE256 on the vector backend", known: &SHAKE256_ABC, holds: shake256_many },
    Check { primitive: "KMAC256", known: &KMAC256_SAMPLE_6, holds: kmac256 },
    Check { primitive: "HKDF with SHA3-256", known: &HKDF_SHA3_256, holds: hkdf },
    Check { primitive: "AES-256-GCM", known: &GCM_SEALED, holds: |known| gcm(known).unwrap_or(false) },
    Check {
        primitive: "AES-256-GCM-SIV",
        known: &GCM_SIV_SEALED,
        holds: |known| gcm_siv(known).unwrap_or(false),
    },
    Check { primitive: "AES-256 in counter mode", known: &AES_256_CTR_ZERO, holds: aes_ctr },
    Check {
        primitive: "ML-KEM-768",
        known: include_bytes!("known/ml-kem-768.bin"),
        holds: |known| ml_kem(mlkem::ParameterSet::MlKem768, known).unwrap_or(false),
    },
    Check {
        primitive: "ML-KEM-1024",
        known: include_bytes!("known/ml-kem-1024.bin"),
        holds: |known| ml_kem(mlkem::ParameterSet::MlKem1024, known).unwrap_or(false),
    },
    Check {
        primitive: "ML-DSA-65",
        known: include_bytes!("known/ml-dsa-65.bin"),
        holds: |known| ml_dsa(known).unwrap_or(false),
    },
    Check {
        primitive: "SLH-DSA-SHAKE-128f",
        known: include_bytes!("known/slh-dsa-shake-128f.bin"),
        holds: |known| slh_dsa(slhdsa::ParameterSet::Shake128f, known).unwrap_or(false),
    },
    Check {
        primitive: "SLH-DSA-SHAKE-128f signing",
        known: include_bytes!("known/slh-dsa-shake-128f.bin"),
        holds: |known| slh_dsa_signing(known).unwrap_or(false),
    },
    Check {
        primitive: "SLH-DSA-SHA2-128f",
        known: include_bytes!("known/slh-dsa-sha2-128f.bin"),
        holds: |known| slh_dsa(slhdsa::ParameterSet::Sha2_128f, known).unwrap_or(false),
    },
];

/// NIST "SHA3-256" example values: of `abc`.
const SHA3_256_ABC: [u8; 32] = [
    0x3a, 0x98, 0x5d, 0xa7, 0x4f, 0xe2, 0x25, 0xb2, 0x04, 0x5c, 0x17, 0x2d, 0x6b, 0xd3, 0x90, 0xbd, 0x85,
    0x5f, 0x08, 0x6e, 0x3e, 0x9d, 0x52, 0x5b, 0x46, 0xbf, 0xe2, 0x45, 0x11, 0x43, 0x15, 0x32,
];

/// FIPS 202: the first 64 bytes of SHAKE256 of `abc`.
const SHAKE256_ABC: [u8; 64] = [
    0x48, 0x33, 0x66, 0x60, 0x13, 0x60, 0xa8, 0x77, 0x1c, 0x68, 0x63, 0x08, 0x0c, 0xc4, 0x11, 0x4d, 0x8d,
    0xb4, 0x45, 0x30, 0xf8, 0xf1, 0xe1, 0xee, 0x4f, 0x94, 0xea, 0x37, 0xe7, 0x8b, 0x57, 0x39, 0xd5, 0xa1,
    0x5b, 0xef, 0x18, 0x6a, 0x53, 0x86, 0xc7, 0x57, 0x44, 0xc0, 0x52, 0x7e, 0x1f, 0xaa, 0x9f, 0x87, 0x26,
    0xe4, 0x62, 0xa1, 0x2a, 0x4f, 0xeb, 0x06, 0xbd, 0x88, 0x01, 0xe7, 0x51, 0xe4,
];

/// NIST `KMAC_samples.pdf`, sample 6.
const KMAC256_SAMPLE_6: [u8; 64] = [
    0xb5, 0x86, 0x18, 0xf7, 0x1f, 0x92, 0xe1, 0xd5, 0x6c, 0x1b, 0x8c, 0x55, 0xdd, 0xd7, 0xcd, 0x18, 0x8b,
    0x97, 0xb4, 0xca, 0x4d, 0x99, 0x83, 0x1e, 0xb2, 0x69, 0x9a, 0x83, 0x7d, 0xa2, 0xe4, 0xd9, 0x70, 0xfb,
    0xac, 0xfd, 0xe5, 0x00, 0x33, 0xae, 0xa5, 0x85, 0xf1, 0xa2, 0x70, 0x85, 0x10, 0xc3, 0x2d, 0x07, 0x88,
    0x08, 0x01, 0xbd, 0x18, 0x28, 0x98, 0xfe, 0x47, 0x68, 0x76, 0xfc, 0x89, 0x65,
];

/// RFC 5869 appendix A.1, with SHA3-256 (from Python's `hmac`): the first 32 bytes of the output.
const HKDF_SHA3_256: [u8; 32] = [
    0x0c, 0x51, 0x60, 0x50, 0x1d, 0x65, 0x02, 0x1d, 0xea, 0xf2, 0xc1, 0x4f, 0x5a, 0xbc, 0xe0, 0x4c, 0x5b,
    0xd2, 0x63, 0x5a, 0xbc, 0xee, 0xba, 0x61, 0xc2, 0xed, 0xb6, 0xe8, 0xed, 0x72, 0x67, 0x49,
];

/// The GCM specification's test case 14: the zero block under the zero key and nonce, and its tag.
const GCM_SEALED: [u8; 32] = [
    0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18, 0xd0,
    0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19,
];

/// RFC 8452 appendix C.2: nonce, ciphertext and tag of the plaintext `01 00 ...` (8 bytes), no associated data, under the
/// key `01 00 ...`.
const GCM_SIV_SEALED: [u8; 36] = [
    0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc2, 0xef, 0x32, 0x8e, 0x5c,
    0x71, 0xc8, 0x3b, 0x84, 0x31, 0x22, 0x13, 0x0f, 0x73, 0x64, 0xb7, 0x61, 0xe0, 0xb9, 0x74, 0x27, 0xe3,
    0xdf, 0x28,
];

/// The GCM specification's encryptions of the counters 0, 1 and 2 under the zero key.
const AES_256_CTR_ZERO: [u8; 48] = [
    0xdc, 0x95, 0xc0, 0x78, 0xa2, 0x40, 0x89, 0x89, 0xad, 0x48, 0xa2, 0x14, 0x92, 0x84, 0x20, 0x87, 0x53,
    0x0f, 0x8a, 0xfb, 0xc7, 0x45, 0x36, 0xb9, 0xa9, 0x63, 0xb4, 0xf1, 0xc4, 0xcb, 0x73, 0x8b, 0xce, 0xa7,
    0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18,
];

/// Whether all primitives of this crate give their known answers, and Keccak on the CPU's vector instructions among
/// them; and whether what they make anew verifies, and what was altered does not. It takes some milliseconds.
///
/// # Errors
/// [`Error::SelfTest`] names the first that does not: the process must not go on.
pub fn self_test() -> Result<(), Error> {
    let failed = CHECKS.iter().find(|check| !(check.holds)(check.known));
    failed.map_or(Ok(()), |check| Err(Error::SelfTest { primitive: check.primitive }))
}

fn sha3_256(known: &[u8]) -> bool {
    digest::sha3_256(&[b"abc"]) == known
}

/// All states and some of a second round.
fn sha3_256_many(known: &[u8]) -> bool {
    let digests = digest::sha3_256_many([[&b"abc"[..]]; LANES + 3]);
    digests.iter().all(|digest| digest == known)
}

fn shake256_many(known: &[u8]) -> bool {
    let mut blocks = [[[0; RATE_BYTES]; 1]; LANES];
    Squeezer::shake256(tyto_kernels::detect(), &[[&b"abc"[..]]; LANES]).next_blocks(&mut blocks);
    blocks.iter().all(|[block]| block[..known.len()] == *known)
}

fn kmac256(known: &[u8]) -> bool {
    let key: Vec<u8> = (0x40..=0x5f).collect();
    let message: Vec<u8> = (0..200).collect();
    let mut mac = Kmac256::new(&key, b"My Tagged Application");
    mac.update(&message);
    let mut found = [0; 64];
    mac.finalize(&mut found);
    found == known
}

fn hkdf(known: &[u8]) -> bool {
    let salt: [u8; 13] = core::array::from_fn(|i| i as u8);
    let info: [u8; 10] = core::array::from_fn(|i| 0xf0 + i as u8);
    hkdf::expand(&hkdf::extract(&salt, &[0x0b; 22]), &[&info]).expose() == known
}

fn gcm(known: &[u8]) -> Result<bool, Error> {
    let key = gcm::Key::new(&Secret32::from_fn(|_| ()))?;
    let mut opened = known.to_vec();
    let length = key.open_in_place([0; gcm::NONCE_BYTES], b"", &mut opened)?;
    Ok(opened[..length] == [0; 16])
}

fn gcm_siv(known: &[u8]) -> Result<bool, Error> {
    let key = aead::SealingKey::new(&Secret32::from_fn(|key| key[0] = 1))?;
    let mut sealed = key.seal(b"about", MESSAGE)?;
    let is_opened = *key.open(b"about", &sealed)? == MESSAGE && key.open(b"above", &sealed).is_err();
    sealed[aead::OVERHEAD] ^= 1;
    let is_refused = key.open(b"about", &sealed).is_err();
    Ok(is_opened && is_refused && *key.open(b"", known)? == [1, 0, 0, 0, 0, 0, 0, 0])
}

fn aes_ctr(known: &[u8]) -> bool {
    let mut found = [0; 48];
    stream::KeyStream::new(&[0; 32]).read(&mut found);
    found == known
}

/// `known` is a decapsulation key, a ciphertext, its shared secret, and the secret of implicit rejection for the
/// ciphertext with its first bit flipped.
fn ml_kem(set: mlkem::ParameterSet, known: &[u8]) -> Result<bool, Error> {
    let (key, rest) = known.split_at(set.decapsulation_key_bytes());
    let (ciphertext, secrets) = rest.split_at(set.ciphertext_bytes());
    let (secret, rejected) = secrets.split_at(mlkem::SHARED_SECRET_BYTES);
    let key = mlkem::DecapsulationKey::from_bytes(set, key)?;
    let decapsulate = |ciphertext: &[u8]| key.decapsulate(&mlkem::Ciphertext::from_bytes(set, ciphertext)?);
    let mut flipped = ciphertext.to_vec();
    flipped[0] ^= 1;
    let (fresh, fresh_secret) = key.encapsulation_key().encapsulate()?;
    Ok(decapsulate(ciphertext)?.expose() == secret
        && decapsulate(&flipped)?.expose() == rejected
        && key.decapsulate(&fresh)? == fresh_secret)
}

/// `known` is PKCS#8, the public key and a signature. A fresh signature verifies, and neither of another message.
fn ml_dsa(known: &[u8]) -> Result<bool, Error> {
    let at = known.len() - mldsa::SIGNATURE_BYTES;
    let (private, public) = known[..at].split_at(at - mldsa::VERIFYING_KEY_BYTES);
    let key = mldsa::SigningKey::from_pkcs8(private)?;
    let verifying = key.verifying_key();
    let fresh = key.sign(MESSAGE)?;
    for signature in [&known[at..], &fresh] {
        verifying.verify(MESSAGE, signature)?;
        if verifying.verify(OTHER_MESSAGE, signature).is_ok() {
            return Ok(false);
        }
    }
    Ok(verifying.as_bytes() == public)
}

/// `known` is a public key and a signature with the empty context, which is not one of another message.
fn slh_dsa(set: slhdsa::ParameterSet, known: &[u8]) -> Result<bool, Error> {
    let (public, signature) = known.split_at(set.public_key_bytes());
    let key = slhdsa::VerifyingKey::from_bytes(set, public)?;
    key.verify(MESSAGE, b"", signature)?;
    Ok(key.verify(OTHER_MESSAGE, b"", signature).is_err())
}

/// `known` is the public key of the seeds 0, 1, 2, ... and the signature without randomness.
fn slh_dsa_signing(known: &[u8]) -> Result<bool, Error> {
    let set = slhdsa::ParameterSet::Shake128f;
    let (public, signature) = known.split_at(set.public_key_bytes());
    let seeds: [u8; 48] = std::array::from_fn(|i| i as u8);
    let key = slhdsa::SigningKey::from_bytes(set, &[&seeds[..32], public].concat())?;
    Ok(key.sign_deterministic(MESSAGE, b"")? == signature)
}
