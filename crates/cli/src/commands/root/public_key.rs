//! Public keys as files.

use std::path::Path;

use tyto_client::attest::{PublicKey, TrustedKeys};

use crate::Error;
use crate::connection::read_limited;

/// A list of trusted keys of every length has less.
const MAX_BYTES: u64 = 2 << 20;

/// What a list of trusted keys begins with.
const LIST: &[u8] = b"tyto-trusted-keys";

/// Reads one key as `SubjectPublicKeyInfo` in DER, or a list of trusted keys.
///
/// # Errors
/// [`Error::InFile`].
pub(super) fn read(path: &Path) -> Result<Vec<PublicKey>, Error> {
    read_limited(path, MAX_BYTES).and_then(|bytes| parse(&bytes)).map_err(Error::in_file(path))
}

fn parse(bytes: &[u8]) -> Result<Vec<PublicKey>, Error> {
    if !bytes.starts_with(LIST) {
        return Ok(vec![PublicKey::from_spki(bytes).map_err(Error::PublicKey)?]);
    }
    let text = str::from_utf8(bytes).map_err(|_| std::io::Error::from(std::io::ErrorKind::InvalidData))?;
    let list = TrustedKeys::parse(text)?;
    if list.is_empty() {
        return Err(Error::NoKeys);
    }
    Ok(list.iter().map(|(_, key)| key.clone().into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tyto_client::pqc::slhdsa::ParameterSet;
    use tyto_client::pqc::{mldsa, slhdsa};

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
            assert_eq!(parse(&der).unwrap(), [key]);
            let trailing = [&der[..], &[0]].concat();
            assert!(parse(&trailing).is_err() && parse(&der[1..]).is_err() && parse(&[]).is_err());
        }
        let other = mldsa::SigningKey::generate_for(mldsa::ParameterSet::MlDsa44).unwrap();
        assert!(parse(&other.verifying_key().to_spki().unwrap()).is_err());

        let list = TrustedKeys::from_iter([ml_dsa.clone()]).to_text();
        assert_eq!(parse(list.as_bytes()).unwrap(), [PublicKey::from(ml_dsa)]);
        assert!(matches!(parse(b"tyto-trusted-keys v1\n"), Err(Error::NoKeys)));
        assert!(parse(list.replace("ml-dsa-65", "rsa").as_bytes()).is_err());
    }
}
