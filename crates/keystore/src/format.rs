//! The bytes of a keystore: `docs/formats/keystore.md`. Integers are little-endian.

use crate::kek::{Envelope, Provider};
use crate::{Error, KeyInfo, Purpose, State};
use tyto_pqc::digest::sha3_256;
use tyto_pqc::kmac::Kmac256;
use tyto_pqc::{Secret32, gcm, random};
use zeroize::Zeroizing;

/// Most keys of a keystore, destroyed ones included.
pub const MAX_KEYS: usize = 256;
/// Most bytes of a keystore.
pub const MAX_KEYSTORE_BYTES: u64 = 1 << 20;

const MAGIC: &[u8; 8] = b"TYTOKST1";
const SEAL_LABEL: &[u8] = b"tyto/v1/keystore-seal";
const TAG_LABEL: &[u8] = b"tyto/v1/keystore-tag";
const KEY_DOMAIN: &[u8] = b"tyto/v1/keystore-key";
const TAG_BYTES: usize = 32;
const DIGEST_BYTES: usize = 32;
const EXPORTABLE: u8 = 1;

/// A key, and its sealed private part unless that was destroyed.
pub(crate) struct Entry {
    pub(crate) info: KeyInfo,
    pub(crate) sealed: Vec<u8>,
}

/// A keystore as it is read, before anything of it is authentic.
pub(crate) struct Contents {
    pub(crate) store_id: [u8; 16],
    pub(crate) generation: u64,
    pub(crate) envelope: Envelope,
    pub(crate) entries: Vec<Entry>,
}

/// The key that seals private keys under a data key.
pub(crate) fn sealing_key(data_key: &Secret32) -> Result<gcm::Key, Error> {
    let derive = |out: &mut [u8; 32]| Kmac256::new(data_key.expose(), SEAL_LABEL).finalize(out);
    Ok(gcm::Key::new(&Secret32::from_fn(derive))?)
}

/// What a sealed private key is bound to.
pub(crate) fn associated_data(
    store_id: &[u8; 16],
    info: &KeyInfo,
    purpose: Purpose,
) -> Result<Vec<u8>, Error> {
    let (version, key_id) = (info.version.to_le_bytes(), info.key_id()?);
    Ok([KEY_DOMAIN, store_id, &[purpose.code()], &version, &[u8::from(info.exportable)], &key_id].concat())
}

/// `nonce || ciphertext || tag`, with a nonce from the operating system: a data key seals at most [`MAX_KEYS`] times, a
/// key-encryption key some thousand times.
pub(crate) fn seal(key: &gcm::Key, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
    let nonce = random::bytes::<{ gcm::NONCE_BYTES }>()?;
    let mut sealed = Zeroizing::new(Vec::with_capacity(gcm::NONCE_BYTES + plain.len() + gcm::TAG_BYTES));
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let tag = key.seal_in_place(nonce, aad, &mut sealed[gcm::NONCE_BYTES..])?;
    sealed.extend_from_slice(&tag);
    Ok(std::mem::take(&mut *sealed))
}

/// What was sealed; none if it was not sealed like this.
pub(crate) fn open(key: &gcm::Key, aad: &[u8], sealed: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let Some((nonce, body)) = sealed.split_first_chunk::<{ gcm::NONCE_BYTES }>() else { return Ok(None) };
    let mut plain = Zeroizing::new(body.to_vec());
    match key.open_in_place(*nonce, aad, &mut plain) {
        Ok(length) => {
            plain.truncate(length);
            Ok(Some(plain))
        }
        Err(tyto_pqc::Error::NotAuthentic | tyto_pqc::Error::SealedTooShort { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Contents {
    /// The whole file.
    pub(crate) fn encode(&self, data_key: &Secret32) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.extend_from_slice(&self.store_id);
        file.extend_from_slice(&self.generation.to_le_bytes());
        file.push(self.envelope.provider.code());
        put_short(&mut file, &self.envelope.parameters);
        put_short(&mut file, &self.envelope.wrapped);
        file.extend_from_slice(&(self.entries.len() as u16).to_le_bytes());
        for Entry { info, sealed } in &self.entries {
            file.extend_from_slice(&[info.purpose.code(), info.state.code(), u8::from(info.exportable)]);
            file.extend_from_slice(&info.version.to_le_bytes());
            file.extend_from_slice(&info.created_unix_ms.to_le_bytes());
            file.extend_from_slice(&info.changed_unix_ms.to_le_bytes());
            put_short(&mut file, &info.public_key);
            put_short(&mut file, sealed);
        }
        let tag = tag(data_key, &file);
        file.extend_from_slice(&tag);
        let digest = sha3_256(&[&file]);
        file.extend_from_slice(&digest);
        file
    }

    /// Reads a whole file. That it is not damaged is checked, that it is authentic is not.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`], [`Error::Damaged`].
    pub(crate) fn decode(file: &[u8]) -> Result<Self, Error> {
        if !file.starts_with(MAGIC) {
            return Err(Error::UnknownFormat);
        }
        let (body, digest) =
            file.split_last_chunk::<DIGEST_BYTES>().ok_or(Error::Damaged { what: "it is cut off" })?;
        if sha3_256(&[body]) != *digest {
            return Err(Error::Damaged { what: "its digest does not fit" });
        }
        let mut reader = Reader(&body[MAGIC.len()..]);
        let store_id = reader.array()?;
        let generation = u64::from_le_bytes(reader.array()?);
        let [provider] = reader.array()?;
        let provider = Provider::from_code(provider).ok_or(Error::UnknownFormat)?;
        let envelope =
            Envelope { provider, parameters: reader.short()?.to_vec(), wrapped: reader.short()?.to_vec() };
        let count = usize::from(u16::from_le_bytes(reader.array()?));
        if count > MAX_KEYS {
            return Err(Error::TooManyKeys { max: MAX_KEYS });
        }
        let entries = (0..count).map(|_| reader.entry()).collect::<Result<Vec<_>, _>>()?;
        let _tag: [u8; TAG_BYTES] = reader.array()?;
        if !reader.0.is_empty() {
            return Err(Error::Damaged { what: "bytes follow its tag" });
        }
        check_versions(&entries)?;
        Ok(Self { store_id, generation, envelope, entries })
    }

    /// Checks the tag over a whole file that was decoded.
    ///
    /// # Errors
    /// [`Error::Altered`].
    pub(crate) fn check_tag(file: &[u8], data_key: &Secret32) -> Result<(), Error> {
        let tagged = &file[..file.len() - TAG_BYTES - DIGEST_BYTES];
        let claimed = &file[tagged.len()..][..TAG_BYTES];
        // Nothing secret is compared: whoever has the file has the right tag or not.
        if tag(data_key, tagged) == claimed { Ok(()) } else { Err(Error::Altered) }
    }
}

/// The keys of each purpose have the versions 1, 2, ..., and the last one alone may be active.
fn check_versions(entries: &[Entry]) -> Result<(), Error> {
    for purpose in Purpose::ALL {
        let of_purpose: Vec<_> = entries.iter().filter(|entry| entry.info.purpose == purpose).collect();
        for (place, entry) in of_purpose.iter().enumerate() {
            let is_last = place + 1 == of_purpose.len();
            let fits = entry.info.version as usize == place + 1
                && (entry.info.state == State::Active) == is_last
                && (entry.info.state == State::Destroyed) == entry.sealed.is_empty();
            if !fits {
                return Err(Error::Damaged { what: "its versions or states are out of order" });
            }
        }
    }
    Ok(())
}

fn tag(data_key: &Secret32, tagged: &[u8]) -> [u8; TAG_BYTES] {
    let mut kmac = Kmac256::new(data_key.expose(), TAG_LABEL);
    kmac.update(tagged);
    let mut tag = [0; TAG_BYTES];
    kmac.finalize(&mut tag);
    tag
}

/// A field of less than 2^16 bytes after its length. Nothing here comes near that.
fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).expect("a short field");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Error::Damaged { what: "it is cut off" })?;
        self.0 = rest;
        Ok(*field)
    }

    fn short(&mut self) -> Result<&'a [u8], Error> {
        let length = usize::from(u16::from_le_bytes(self.array()?));
        let (field, rest) =
            self.0.split_at_checked(length).ok_or(Error::Damaged { what: "it is cut off" })?;
        self.0 = rest;
        Ok(field)
    }

    fn entry(&mut self) -> Result<Entry, Error> {
        let [purpose, state, flags] = self.array()?;
        let unknown = Error::Damaged { what: "a key has an unknown purpose, state or flag" };
        let (Some(purpose), Some(state), ..=EXPORTABLE) =
            (Purpose::from_code(purpose), State::from_code(state), flags)
        else {
            return Err(unknown);
        };
        let info = KeyInfo {
            purpose,
            state,
            exportable: flags == EXPORTABLE,
            version: u32::from_le_bytes(self.array()?),
            created_unix_ms: u64::from_le_bytes(self.array()?),
            changed_unix_ms: u64::from_le_bytes(self.array()?),
            public_key: self.short()?.to_vec(),
        };
        Ok(Entry { info, sealed: self.short()?.to_vec() })
    }
}
