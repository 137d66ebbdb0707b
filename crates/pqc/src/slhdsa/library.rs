//! The parameter sets that are left to the crate `slh-dsa`.

use slh_dsa::{
    Sha2_128f, Sha2_128s, Sha2_192f, Sha2_192s, Sha2_256f, Sha2_256s, Shake128f, Shake128s, Shake192f,
    Shake192s, Shake256f, Shake256s, Signature, SigningKey, VerifyingKey,
};
use zeroize::Zeroizing;

use super::ParameterSet;

fn verifies<P: slh_dsa::ParameterSet>(key: &[u8], message: &[u8], context: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::<P>::try_from(key), Signature::<P>::try_from(signature))
    else {
        return false;
    };
    key.try_verify_with_context(message, context, &signature).is_ok()
}

/// `slh_verify` (FIPS 205 algorithm 24). Anything malformed does not verify.
pub(super) fn verify(
    set: ParameterSet,
    key: &[u8],
    message: &[u8],
    context: &[u8],
    signature: &[u8],
) -> bool {
    let verifies = match set {
        ParameterSet::Sha2_128s => verifies::<Sha2_128s>,
        ParameterSet::Sha2_128f => verifies::<Sha2_128f>,
        ParameterSet::Sha2_192s => verifies::<Sha2_192s>,
        ParameterSet::Sha2_192f => verifies::<Sha2_192f>,
        ParameterSet::Sha2_256s => verifies::<Sha2_256s>,
        ParameterSet::Sha2_256f => verifies::<Sha2_256f>,
        ParameterSet::Shake128s => verifies::<Shake128s>,
        ParameterSet::Shake128f => verifies::<Shake128f>,
        ParameterSet::Shake192s => verifies::<Shake192s>,
        ParameterSet::Shake192f => verifies::<Shake192f>,
        ParameterSet::Shake256s => verifies::<Shake256s>,
        ParameterSet::Shake256f => verifies::<Shake256f>,
    };
    verifies(key, message, context, signature)
}

fn key_of<P: slh_dsa::ParameterSet>(seeds: [&[u8]; 3]) -> Zeroizing<Vec<u8>> {
    let [sk_seed, sk_prf, pk_seed] = seeds;
    Zeroizing::new(SigningKey::<P>::slh_keygen_internal(sk_seed, sk_prf, pk_seed).to_vec())
}

/// `slh_keygen_internal` (algorithm 18) for a SHAKE set: `SK.seed || SK.prf || PK.seed || PK.root`.
pub(super) fn key_pair(set: ParameterSet, seeds: [&[u8]; 3]) -> Option<Zeroizing<Vec<u8>>> {
    match set {
        ParameterSet::Shake128s => Some(key_of::<Shake128s>(seeds)),
        ParameterSet::Shake128f => Some(key_of::<Shake128f>(seeds)),
        ParameterSet::Shake192s => Some(key_of::<Shake192s>(seeds)),
        ParameterSet::Shake192f => Some(key_of::<Shake192f>(seeds)),
        ParameterSet::Shake256s => Some(key_of::<Shake256s>(seeds)),
        ParameterSet::Shake256f => Some(key_of::<Shake256f>(seeds)),
        _ => None,
    }
}

fn signed<P: slh_dsa::ParameterSet>(
    key: &[u8],
    message: &[u8],
    context: &[u8],
    random: &[u8],
) -> Option<Vec<u8>> {
    let key = SigningKey::<P>::try_from(key).ok()?;
    Some(key.try_sign_with_context(message, context, Some(random)).ok()?.to_vec())
}

/// `slh_sign` (algorithm 22) with the given `addrnd`, for a SHAKE set.
pub(super) fn sign(
    set: ParameterSet,
    key: &[u8],
    message: &[u8],
    context: &[u8],
    random: &[u8],
) -> Option<Vec<u8>> {
    let signed = match set {
        ParameterSet::Shake128s => signed::<Shake128s>,
        ParameterSet::Shake128f => signed::<Shake128f>,
        ParameterSet::Shake192s => signed::<Shake192s>,
        ParameterSet::Shake192f => signed::<Shake192f>,
        ParameterSet::Shake256s => signed::<Shake256s>,
        ParameterSet::Shake256f => signed::<Shake256f>,
        _ => return None,
    };
    signed(key, message, context, random)
}
