//! Public keys as files.

use std::path::Path;

use tyto_client::attest::{Bundle, MAX_BUNDLE_BYTES, PublicKey, Purpose, Receipt, TrustedKeys};

use crate::Error;
use crate::connection::read_limited;

/// A list of trusted keys of every length has less, and so has a bundle.
const MAX_BYTES: u64 = 2 << 20;
const _: () = assert!(MAX_BYTES >= MAX_BUNDLE_BYTES as u64);

/// What a list of trusted keys begins with.
const LIST: &[u8] = b"tyto-trusted-keys";
/// What a bundle begins with: an array of seven items, a text of 11 bytes.
const BUNDLE: &[u8] = b"\x87\x6btyto-bundle";

/// A public key, and the log that a bundle says it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) key: PublicKey,
    pub(super) log_id: Option<[u8; 32]>,
}

impl From<PublicKey> for Found {
    fn from(key: PublicKey) -> Self {
        Self { key, log_id: None }
    }
}

/// Reads one key as `SubjectPublicKeyInfo` in DER, a list of trusted keys, or those keys of a bundle that it has for the
/// purpose.
///
/// # Errors
/// [`Error::InFile`].
pub(super) fn read(path: &Path, purpose: Purpose) -> Result<Vec<Found>, Error> {
    let bytes = read_limited(path, MAX_BYTES);
    bytes.and_then(|bytes| parse(&bytes, purpose)).map_err(Error::in_file(path))
}

fn parse(bytes: &[u8], purpose: Purpose) -> Result<Vec<Found>, Error> {
    let found: Vec<Found> = if bytes.starts_with(LIST) {
        let text =
            str::from_utf8(bytes).map_err(|_| std::io::Error::from(std::io::ErrorKind::InvalidData))?;
        TrustedKeys::parse(text)?.iter().map(|(_, key)| PublicKey::from(key.clone()).into()).collect()
    } else if bytes.starts_with(BUNDLE) {
        let bundle = Bundle::parse(bytes)?;
        let receipt = bundle.receipt.as_deref().map(Receipt::parse).transpose()?;
        let log_id = receipt.filter(|_| purpose == Purpose::Log).map(|r| r.checkpoint().head().log_id);
        let entries = bundle.keys.into_iter().filter(|entry| entry.purpose == purpose);
        entries.map(|entry| Found { key: entry.key, log_id }).collect()
    } else {
        vec![PublicKey::from_spki(bytes).map_err(Error::PublicKey)?.into()]
    };
    if found.is_empty() { Err(Error::NoKeys) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tyto_client::pqc::slhdsa::ParameterSet;
    use tyto_client::pqc::{mldsa, slhdsa};

    const PURPOSE: Purpose = Purpose::Witness;

    #[test]
    fn keys_of_every_algorithm_are_read_and_others_are_not() {
        let ml_dsa = mldsa::SigningKey::generate().unwrap().verifying_key().clone();
        let mut keys: Vec<PublicKey> = vec![ml_dsa.clone().into()];
        for set in ParameterSet::ALL {
            let bytes = vec![7; set.public_key_bytes()];
            keys.push(slhdsa::VerifyingKey::from_bytes(set, &bytes).unwrap().into());
        }
        for key in keys {
            let der = key.to_spki().unwrap();
            assert_eq!(parse(&der, PURPOSE).unwrap(), [key.into()]);
            let trailing = [&der[..], &[0]].concat();
            for wrong in [&trailing, &der[1..], &[]] {
                assert!(parse(wrong, PURPOSE).is_err());
            }
        }
        let other = mldsa::SigningKey::generate_for(mldsa::ParameterSet::MlDsa44).unwrap();
        assert!(parse(&other.verifying_key().to_spki().unwrap(), PURPOSE).is_err());

        let list = TrustedKeys::from_iter([ml_dsa.clone()]).to_text();
        assert_eq!(parse(list.as_bytes(), PURPOSE).unwrap(), [PublicKey::from(ml_dsa).into()]);
        assert!(matches!(parse(b"tyto-trusted-keys v1\n", PURPOSE), Err(Error::NoKeys)));
        assert!(parse(list.replace("ml-dsa-65", "rsa").as_bytes(), PURPOSE).is_err());
    }

    #[test]
    fn a_bundle_has_the_keys_of_its_signers() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/attestation/evidence/default.cbor");
        let bytes = std::fs::read(path).unwrap();
        let bundle = Bundle::parse(&bytes).unwrap();
        let head = *Receipt::parse(bundle.receipt.as_ref().unwrap()).unwrap().checkpoint().head();
        let [signer, log] = [bundle.keys[0].key.clone(), bundle.keys[1].key.clone()];
        assert_eq!(parse(&bytes, Purpose::Attestation).unwrap(), [signer.into()]);
        assert_eq!(parse(&bytes, Purpose::Log).unwrap(), [Found { key: log, log_id: Some(head.log_id) }]);
        assert!(matches!(parse(&bytes, Purpose::Decision), Err(Error::NoKeys)));
        assert!(parse(&bytes[..bytes.len() - 1], Purpose::Log).is_err());
    }
}
