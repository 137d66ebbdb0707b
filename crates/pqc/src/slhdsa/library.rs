//! The SHA2 sets, which are verified by the crate `slh-dsa`.

use slh_dsa::{Sha2_128f, Sha2_128s, Sha2_192f, Sha2_192s, Sha2_256f, Sha2_256s, Signature, VerifyingKey};

use super::ParameterSet;

fn verifies<P: slh_dsa::ParameterSet>(key: &[u8], message: &[u8], context: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::<P>::try_from(key), Signature::<P>::try_from(signature))
    else {
        return false;
    };
    key.try_verify_with_context(message, context, &signature).is_ok()
}

/// `slh_verify` (FIPS 205 algorithm 24) for a SHA2 set. Anything malformed does not verify, nor does any other set.
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
        _ => return false,
    };
    verifies(key, message, context, signature)
}
