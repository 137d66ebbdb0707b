//! API keys: their text, and what a server keeps of them.
//!
//! `tyto_<id>_<secret><checksum>`: 16 digits of the id, 64 of the secret, 8 of the checksum, all lower-case
//! hexadecimal. The prefix lets scanners for leaked secrets find keys; the id finds the row; the checksum tells a typing
//! error from a wrong key without asking anybody.

use crate::{ApiKeyId, KeyTextError, hex};
use subtle::ConstantTimeEq as _;
use tyto_pqc::digest::sha3_256;
use tyto_pqc::kmac::Kmac256;
use tyto_pqc::{Secret32, random};
use zeroize::Zeroizing;

const PREFIX: &str = "tyto_";
const CHECKSUM_BYTES: usize = 4;
/// Characters of a key's text.
const TEXT_BYTES: usize = PREFIX.len() + 2 * ApiKeyId::BYTES + 1 + 2 * (Secret32::BYTES + CHECKSUM_BYTES);
const CHECKSUM_DOMAIN: &[u8] = b"tyto/v1/api-key-checksum";
const VERIFIER: &[u8] = b"tyto/v1/api-key-verifier";
const SESSION: &[u8] = b"tyto/v1/api-key-session";

/// An API key: an id, and 256 random bits.
pub struct ApiKey {
    id: ApiKeyId,
    secret: Secret32,
}

/// What a server keeps of a key to recognise it: a keyed hash. Without the server's own key it is not even a hash to try
/// guesses against.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Verifier(pub [u8; 32]);

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier([redacted])")
    }
}

/// The server's key for [`Verifier`]s.
pub struct KeyCheck(Secret32);

impl std::fmt::Debug for KeyCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyCheck([redacted])")
    }
}

impl KeyCheck {
    /// With this key, which is the server's alone.
    pub fn new(key: Secret32) -> Self {
        Self(key)
    }

    /// What is kept of an API key.
    pub fn verifier(&self, key: &ApiKey) -> Verifier {
        let mut verifier = Verifier([0; 32]);
        let mut mac = Kmac256::new(self.0.expose(), VERIFIER);
        mac.update(&key.id.0);
        mac.update(key.secret.expose());
        mac.finalize(&mut verifier.0);
        verifier
    }

    /// Whether the key is the one that this was kept of, in time that does not depend on where they differ.
    pub fn matches(&self, key: &ApiKey, kept: &Verifier) -> bool {
        self.verifier(key).0.ct_eq(&kept.0).into()
    }
}

impl ApiKey {
    /// A fresh key.
    ///
    /// # Errors
    /// If the operating system has no random bytes to give.
    pub fn generate() -> Result<Self, tyto_pqc::Error> {
        Ok(Self { id: ApiKeyId(random::bytes()?), secret: Secret32::random()? })
    }

    /// Reads a key's text.
    ///
    /// # Errors
    /// [`KeyTextError`].
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        let bytes = text.as_bytes();
        let rest = bytes.strip_prefix(PREFIX.as_bytes()).ok_or(KeyTextError::Form)?;
        let (id, rest) = rest.split_at_checked(2 * ApiKeyId::BYTES).ok_or(KeyTextError::Form)?;
        let rest = rest.strip_prefix(b"_").ok_or(KeyTextError::Form)?;
        if bytes.len() != TEXT_BYTES {
            return Err(KeyTextError::Form);
        }
        let (secret, sum) = rest.split_at(2 * Secret32::BYTES);
        let (mut key_id, mut found) = (ApiKeyId([0; 8]), [0; CHECKSUM_BYTES]);
        let mut well_formed = hex::decode(id, &mut key_id.0) & hex::decode(sum, &mut found);
        let secret = Secret32::from_fn(|out| well_formed &= hex::decode(secret, out));
        if !well_formed {
            return Err(KeyTextError::Form);
        }
        let key = Self { id: key_id, secret };
        if bool::from(key.checksum().ct_eq(&found)) { Ok(key) } else { Err(KeyTextError::Checksum) }
    }

    /// The key's text: the whole secret, to be shown once.
    pub fn to_text(&self) -> Zeroizing<String> {
        // At its final size from the start: growing it would leave parts behind.
        let mut text = Zeroizing::new(String::with_capacity(TEXT_BYTES));
        text.push_str(PREFIX);
        hex::encode(&self.id.0, &mut text);
        text.push('_');
        hex::encode(self.secret.expose(), &mut text);
        hex::encode(&self.checksum(), &mut text);
        text
    }

    /// Its id.
    pub fn id(&self) -> ApiKeyId {
        self.id
    }

    /// The secret that authenticates sealed sessions: both sides derive their MAC keys from it. The key does not follow
    /// from it, but whoever has it can open sessions as the key's principal.
    pub fn session_secret(&self) -> Secret32 {
        Secret32::from_fn(|out| {
            let mut mac = Kmac256::new(self.secret.expose(), SESSION);
            mac.update(&self.id.0);
            mac.finalize(out);
        })
    }

    fn checksum(&self) -> [u8; CHECKSUM_BYTES] {
        let digest = Zeroizing::new(sha3_256(&[CHECKSUM_DOMAIN, &self.id.0, self.secret.expose()]));
        let mut sum = [0; CHECKSUM_BYTES];
        sum.copy_from_slice(&digest[..CHECKSUM_BYTES]);
        sum
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKey({}, [redacted])", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text_and_a_typing_error_is_told_from_a_wrong_key() {
        let key = ApiKey::generate().unwrap();
        let text = key.to_text();
        assert_eq!(text.len(), TEXT_BYTES);
        let back = ApiKey::parse(&text).unwrap();
        assert_eq!((back.id, &back.secret), (key.id, &key.secret));
        for at in PREFIX.len()..TEXT_BYTES {
            let mut wrong = text.as_bytes().to_vec();
            wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
            let wrong = String::from_utf8(wrong).unwrap();
            let expected =
                if text.as_bytes()[at] == b'_' { KeyTextError::Form } else { KeyTextError::Checksum };
            assert_eq!(ApiKey::parse(&wrong).err(), Some(expected), "{at}");
        }
        for wrong in ["", "tyto_", "tyto_00", &text[1..], &text[..TEXT_BYTES - 1], &text.to_uppercase()] {
            assert_eq!(ApiKey::parse(wrong).err(), Some(KeyTextError::Form));
        }
        assert_eq!(ApiKey::parse(&format!("{}0", *text)).err(), Some(KeyTextError::Form));
        assert_eq!(ApiKey::parse("tyto_ü").err(), Some(KeyTextError::Form));
    }

    #[test]
    fn what_is_kept_recognises_its_key_alone_and_only_under_its_own_server() {
        let (key, other) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        let check = KeyCheck::new(Secret32::random().unwrap());
        let kept = check.verifier(&key);
        assert!(check.matches(&key, &kept));
        assert!(!check.matches(&other, &kept));
        let renamed = ApiKey { id: other.id, secret: key.secret.duplicate() };
        assert!(!check.matches(&renamed, &kept), "the id is bound");
        assert!(!KeyCheck::new(Secret32::random().unwrap()).matches(&key, &kept));
        assert_ne!(key.session_secret(), Secret32::from_bytes(kept.0));
        assert_ne!(key.session_secret(), key.secret);
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let key = ApiKey::generate().unwrap();
        let check = KeyCheck::new(Secret32::random().unwrap());
        let shown = format!("{key:?} {check:?} {:?}", check.verifier(&key));
        let text = key.to_text();
        let secret = &text[PREFIX.len() + 17..PREFIX.len() + 17 + 16];
        assert!(!shown.contains(secret) && shown.contains("redacted"), "{shown}");
    }
}
