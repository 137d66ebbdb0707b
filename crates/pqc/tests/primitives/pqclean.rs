//! The `pqcrypto` crates (C code of `PQClean`, no longer maintained) beside ours: where they agree and where they do not.
//! No product depends on them; the decision record 0029 says why.

use pqcrypto_mldsa::{mldsa44, mldsa65, mldsa87};
use pqcrypto_mlkem::{mlkem768, mlkem1024};
use pqcrypto_sphincsplus::sphincsshake128fsimple as sphincs;
use pqcrypto_sphincsplus::{
    sphincssha2192ssimple, sphincssha2256fsimple, sphincsshake192ssimple, sphincsshake256fsimple,
};
use pqcrypto_traits::{kem, sign};
use shake::{ExtendableOutput as _, Shake128, Shake256, Update as _, XofReader as _};
use tyto_pqc::{mldsa, mlkem, slhdsa};

use crate::acvp::{cases, field, groups, parameter_set};

macro_rules! ml_kem_agrees {
    ($peer:ident, $set:expr) => {{
        use kem::{Ciphertext as _, PublicKey as _, SecretKey as _, SharedSecret as _};
        let (public, private) = $peer::keypair();
        let key = mlkem::DecapsulationKey::from_bytes($set, private.as_bytes()).unwrap();
        assert_eq!(key.encapsulation_key().as_bytes(), public.as_bytes());
        let (secret, ciphertext) = $peer::encapsulate(&public);
        let ours = mlkem::Ciphertext::from_bytes($set, ciphertext.as_bytes()).unwrap();
        assert_eq!(key.decapsulate(&ours).unwrap().expose(), secret.as_bytes());

        let key = mlkem::DecapsulationKey::generate($set).unwrap();
        let private = $peer::SecretKey::from_bytes(&key.to_bytes().unwrap()).unwrap();
        let (ciphertext, secret) = key.encapsulation_key().encapsulate().unwrap();
        let theirs = $peer::Ciphertext::from_bytes(ciphertext.as_bytes()).unwrap();
        assert_eq!($peer::decapsulate(&theirs, &private).as_bytes(), secret.expose());
        // Implicit rejection too.
        let mut flipped = ciphertext.as_bytes().to_vec();
        flipped[100] ^= 1;
        let theirs = $peer::decapsulate(&$peer::Ciphertext::from_bytes(&flipped).unwrap(), &private);
        let ours = key.decapsulate(&mlkem::Ciphertext::from_bytes($set, &flipped).unwrap()).unwrap();
        assert_eq!(theirs.as_bytes(), ours.expose());
    }};
}

#[test]
fn ml_kem_agrees_in_both_directions() {
    ml_kem_agrees!(mlkem768, mlkem::ParameterSet::MlKem768);
    ml_kem_agrees!(mlkem1024, mlkem::ParameterSet::MlKem1024);
}

/// FIPS 203 section 7.2 and 7.3: `PQClean` encapsulates to a key that is not reduced modulo `q`, and decapsulates with one
/// whose hash is wrong.
#[test]
fn ml_kem_of_pqclean_checks_no_key() {
    use kem::{Ciphertext as _, PublicKey as _, SecretKey as _};
    let set = mlkem::ParameterSet::MlKem768;
    let key = mlkem::DecapsulationKey::generate(set).unwrap();
    let mut public = key.encapsulation_key().as_bytes().to_vec();
    public[..3].fill(0xff);
    assert!(mlkem::EncapsulationKey::from_bytes(set, &public).is_err());
    let (_, ciphertext) = mlkem768::encapsulate(&mlkem768::PublicKey::from_bytes(&public).unwrap());
    assert_eq!(ciphertext.as_bytes().len(), set.ciphertext_bytes());

    let mut private = key.to_bytes().unwrap().to_vec();
    let hash_at = private.len() - 64;
    private[hash_at] ^= 1;
    assert!(mlkem::DecapsulationKey::from_bytes(set, &private).is_err());
    let private = mlkem768::SecretKey::from_bytes(&private).unwrap();
    mlkem768::decapsulate(&ciphertext, &private);
}

macro_rules! ml_dsa_agrees {
    ($peer:ident, $set:expr) => {{
        use sign::{DetachedSignature as _, PublicKey as _};
        let (public, private) = $peer::keypair();
        let signature = $peer::detached_sign(b"message", &private);
        let ours = mldsa::VerifyingKey::from_bytes_for($set, public.as_bytes()).unwrap();
        assert_eq!(ours.verify(b"message", signature.as_bytes()), Ok(()));
        assert!(ours.verify(b"massage", signature.as_bytes()).is_err());

        let key = mldsa::SigningKey::generate_for($set).unwrap();
        let public = $peer::PublicKey::from_bytes(key.verifying_key().as_bytes()).unwrap();
        let signature = $peer::DetachedSignature::from_bytes(&key.sign(b"message").unwrap()).unwrap();
        assert!($peer::verify_detached_signature(&signature, b"message", &public).is_ok());
        assert!($peer::verify_detached_signature(&signature, b"massage", &public).is_err());
    }};
}

#[test]
fn ml_dsa_agrees_in_both_directions() {
    ml_dsa_agrees!(mldsa44, mldsa::ParameterSet::MlDsa44);
    ml_dsa_agrees!(mldsa65, mldsa::ParameterSet::MlDsa65);
    ml_dsa_agrees!(mldsa87, mldsa::ParameterSet::MlDsa87);
}

/// Numbers of ML-DSA-44 (FIPS 204 table 1).
mod ml_dsa_44 {
    pub(super) const Q: u64 = 8_380_417;
    pub(super) const ZETA: u64 = 1753;
    pub(super) const K: u8 = 4;
    pub(super) const L: usize = 4;
    pub(super) const GAMMA1: u32 = 1 << 17;
    pub(super) const GAMMA2: u64 = (Q - 1) / 88;
    pub(super) const BETA: u32 = 78;
    /// Bytes of the hint: `omega + k`.
    pub(super) const HINT_BYTES: usize = 84;
}

fn power(base: u64, mut exponent: u64) -> u64 {
    let (mut square, mut result) = (base, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * square % ml_dsa_44::Q;
        }
        square = square * square % ml_dsa_44::Q;
        exponent >>= 1;
    }
    result
}

/// The entry of row `row` in column 0 of the matrix of the seed 0 (FIPS 204 algorithms 30 and 32), as coefficients:
/// the definition of the inverse NTT (section 7.5), with no regard to speed.
fn matrix_entry(row: u8) -> Vec<u64> {
    use ml_dsa_44::{Q, ZETA};
    let mut xof = Shake128::default();
    xof.update(&[0; 32]);
    xof.update(&[0, row]);
    let mut reader = xof.finalize_xof();
    let mut values = Vec::with_capacity(256);
    while values.len() < 256 {
        let mut bytes = [0; 3];
        reader.read(&mut bytes);
        let value = u64::from(bytes[0]) | u64::from(bytes[1]) << 8 | u64::from(bytes[2] & 0x7f) << 16;
        if value < Q {
            values.push(value);
        }
    }
    let points: Vec<u64> = (0..=255_u8).map(|i| power(ZETA, 2 * u64::from(i.reverse_bits()) + 1)).collect();
    let coefficient = |j: u64| {
        let terms = values.iter().zip(&points).map(|(v, p)| v * power(power(*p, j), Q - 2) % Q);
        terms.sum::<u64>() % Q * power(256, Q - 2) % Q
    };
    (0..256).map(coefficient).collect()
}

/// `HighBits` (algorithm 37).
fn high_bits(value: u64) -> u8 {
    use ml_dsa_44::{GAMMA2, Q};
    // r0 is in (-gamma2, gamma2].
    let rounded = (value + GAMMA2 - 1) / (2 * GAMMA2);
    if rounded == (Q - 1) / (2 * GAMMA2) { 0 } else { rounded as u8 }
}

/// A public key with `t1 = 0`, and the signature of `message` whose `z` is the polynomial `first`, a constant, and then
/// zeros. It satisfies the equation of `Verify_internal` (algorithm 8) whatever the challenge is, so that the bound on
/// `z` alone decides.
fn signature_with(matrix: &[Vec<u64>], first: u32, message: &[u8]) -> [Vec<u8>; 2] {
    use ml_dsa_44::{GAMMA1, HINT_BYTES, L, Q};
    let public = vec![0; mldsa::ParameterSet::MlDsa44.public_key_bytes()];
    let hash = |parts: &[&[u8]], out: &mut [u8]| {
        let mut xof = Shake256::default();
        parts.iter().for_each(|part| xof.update(part));
        xof.finalize_xof().read(out);
    };
    let [mut tr, mut mu, mut challenge] = [[0; 64], [0; 64], [0; 64]];
    hash(&[&public], &mut tr);
    hash(&[&tr, &[0, 0], message], &mut mu);
    let high: Vec<u8> = matrix.iter().flatten().map(|a| high_bits(a * u64::from(first) % Q)).collect();
    // SimpleBitPack of six bits each.
    let packed: Vec<u8> = (high.as_chunks::<4>().0.iter())
        .flat_map(|[a, b, c, d]| [a | b << 6, b >> 2 | c << 4, c >> 4 | d << 2])
        .collect();
    hash(&[&mu, &packed], &mut challenge[..32]);
    // BitPack of `gamma1 - z` in 18 bits each.
    let mut bits = Vec::with_capacity(L * 256 * 18);
    for i in 0..L * 256 {
        let value = if i == 0 { GAMMA1 - first } else { GAMMA1 };
        bits.extend((0..18).map(|bit| (value >> bit & 1) as u8));
    }
    let z: Vec<u8> = bits.as_chunks::<8>().0.iter().map(|b| (0..8).map(|i| b[i] << i).sum()).collect();
    [public, [&challenge[..32], &z, &[0; HINT_BYTES]].concat()]
}

/// `||z|| < gamma1 - beta` (FIPS 204 algorithm 8, line 13). The AVX2 code of `PQClean` leaves it out and relies on the
/// encoding, which keeps `z` within `gamma1` only: it accepts what no other implementation does.
#[test]
fn ml_dsa_of_pqclean_with_avx2_ignores_the_norm_bound() {
    use ml_dsa_44::{BETA, GAMMA1, K};
    use sign::{DetachedSignature as _, PublicKey as _};
    #[cfg(target_arch = "x86_64")]
    let has_bound = !std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    let has_bound = true;
    let matrix: Vec<_> = (0..K).map(matrix_entry).collect();
    for first in [0, 1, GAMMA1 - BETA - 1, GAMMA1 - BETA, GAMMA1] {
        let [public, signature] = signature_with(&matrix, first, b"message");
        let is_short = first < GAMMA1 - BETA;

        let ours = mldsa::VerifyingKey::from_bytes_for(mldsa::ParameterSet::MlDsa44, &public).unwrap();
        assert_eq!(ours.verify(b"message", &signature).is_ok(), is_short, "z = {first}");
        let oracle = ml_dsa::VerifyingKey::<ml_dsa::MlDsa44>::decode(&public[..].try_into().unwrap());
        let decoded = ml_dsa::Signature::decode(&signature[..].try_into().unwrap());
        let is_accepted = decoded.is_some_and(|s| oracle.verify_with_context(b"message", b"", &s));
        assert_eq!(is_accepted, is_short, "z = {first}");

        let theirs = mldsa44::PublicKey::from_bytes(&public).unwrap();
        let signature = mldsa44::DetachedSignature::from_bytes(&signature).unwrap();
        let is_accepted = mldsa44::verify_detached_signature(&signature, b"message", &theirs).is_ok();
        assert_eq!(is_accepted, is_short || !has_bound, "z = {first}");
    }
}

/// Round 3 of SPHINCS+ is not FIPS 205: neither accepts what the other signs, although keys and signatures have the same
/// lengths. The prefix of the pure interface is put before the message for them.
#[test]
fn sphincs_plus_is_not_slh_dsa() {
    use sign::{DetachedSignature as _, PublicKey as _};
    let set = slhdsa::ParameterSet::Shake128f;
    let message = b"\x00\x00message";
    let key = slhdsa::SigningKey::generate(set).unwrap();
    let signature = key.sign(b"message", b"").unwrap();
    assert_eq!(key.verifying_key().verify(b"message", b"", &signature), Ok(()));
    let theirs = sphincs::PublicKey::from_bytes(key.verifying_key().as_bytes()).unwrap();
    let signature = sphincs::DetachedSignature::from_bytes(&signature).unwrap();
    assert!(sphincs::verify_detached_signature(&signature, message, &theirs).is_err());

    let (public, private) = sphincs::keypair();
    let signature = sphincs::detached_sign(message, &private);
    assert!(sphincs::verify_detached_signature(&signature, message, &public).is_ok());
    let ours = slhdsa::VerifyingKey::from_bytes(set, public.as_bytes()).unwrap();
    assert!(ours.verify(b"message", b"", signature.as_bytes()).is_err());
}

macro_rules! sphincs_verifies {
    ($peer:ident) => {
        |key: &[u8], message: &[u8], signature: &[u8]| {
            use sign::{DetachedSignature as _, PublicKey as _};
            let key = $peer::PublicKey::from_bytes(key).unwrap();
            let signature = $peer::DetachedSignature::from_bytes(signature).unwrap();
            $peer::verify_detached_signature(&signature, message, &key).is_ok()
        }
    };
}

/// Of the valid signatures among NIST's vectors for FIPS 205, whose messages have no prefix, it accepts none.
#[test]
fn sphincs_plus_accepts_no_acvp_signature() {
    let Some(groups) = groups("SLH-DSA-sigVer-FIPS205/internalProjection.json.gz") else { return };
    let mut valid = 0;
    for group in &groups {
        let verifies: fn(&[u8], &[u8], &[u8]) -> bool = match parameter_set(group) {
            "SLH-DSA-SHA2-192s" => sphincs_verifies!(sphincssha2192ssimple),
            "SLH-DSA-SHA2-256f" => sphincs_verifies!(sphincssha2256fsimple),
            "SLH-DSA-SHAKE-192s" => sphincs_verifies!(sphincsshake192ssimple),
            "SLH-DSA-SHAKE-256f" => sphincs_verifies!(sphincsshake256fsimple),
            "SLH-DSA-SHAKE-128f" => sphincs_verifies!(sphincs),
            other => panic!("{other}"),
        };
        for case in cases(group).iter().filter(|case| case["testPassed"] == true) {
            let [key, message, signature] = ["pk", "message", "signature"].map(|name| field(case, name));
            assert!(!verifies(&key, &message, &signature), "tcId {}", case["tcId"]);
            valid += 1;
        }
    }
    println!(
        "ACVP SLH-DSA sigVer: round-3 SPHINCS+ accepts 0 of {valid} valid signatures, at least 15 expected"
    );
    assert!(valid >= 15, "{valid} valid signatures");
}

/// Private keys that can be copied without a trace, and are not wiped. Ours are neither `Copy` nor `Clone`.
#[test]
fn private_keys_of_pqclean_are_copied() {
    fn is_copied<T: Copy>(_: &T) -> bool {
        !std::mem::needs_drop::<T>()
    }
    assert!(is_copied(&mlkem768::keypair().1));
    assert!(is_copied(&mldsa65::keypair().1));
    assert!(is_copied(&sphincs::keypair().1));
    assert!(std::mem::needs_drop::<mlkem::DecapsulationKey>());
    assert!(std::mem::needs_drop::<mldsa::SigningKey>());
    assert!(std::mem::needs_drop::<slhdsa::SigningKey>());
}
