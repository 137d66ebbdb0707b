//! A keystore that is open, and what can be done with its keys.

use crate::file::Paths;
use crate::format::{self, Contents, Entry, MAX_KEYS, MAX_KEYSTORE_BYTES};
use crate::{Error, Kek, KeyInfo, PrivateKey, Provider, Purpose, State};
use std::fmt;
use std::fs::File;
use std::path::Path;
use tyto_pqc::{Secret32, random};
use zeroize::Zeroizing;

/// The first generation of a keystore.
const FIRST_GENERATION: u64 = 1;

/// Whether a key may ever leave the keystore; decided when it is made, and bound to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exportable {
    /// It never leaves.
    No,
    /// [`Keystore::export`] gives it out.
    Yes,
}

/// What a keystore says about itself without being opened: nothing of it is authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// Names the keystore, from its making on.
    pub store_id: [u8; 16],
    /// Counts its changes.
    pub generation: u64,
    /// What wraps it.
    pub provider: Provider,
    /// Its keys, oldest first.
    pub keys: Vec<KeyInfo>,
}

/// A keystore that is open. Others who want to open it wait until it is dropped.
pub struct Keystore {
    paths: Paths,
    kek: Kek,
    contents: Contents,
    data_key: Secret32,
    _lock: File,
}

impl Keystore {
    /// Whether a data directory has a keystore, or had one.
    pub fn exists(dir: &Path) -> bool {
        let paths = Paths::new(dir);
        // What cannot be looked at is taken to be there: nobody makes other keys meanwhile.
        [paths.keystore(), paths.mark()].iter().any(|path| path.try_exists().unwrap_or(true))
    }

    /// What a keystore says about itself, without its key-encryption key. It may be open elsewhere.
    ///
    /// # Errors
    /// [`Error::Absent`]; [`Error::UnknownFormat`] and [`Error::Damaged`].
    pub fn inspect(dir: &Path) -> Result<Overview, Error> {
        let paths = Paths::new(dir);
        let file = paths.read(MAX_KEYSTORE_BYTES)?.ok_or(Error::Absent { path: paths.keystore() })?;
        let Contents { store_id, generation, envelope, entries } = Contents::decode(&file)?;
        let keys = entries.into_iter().map(|entry| entry.info).collect();
        Ok(Overview { store_id, generation, provider: envelope.provider, keys })
    }

    /// Opens the keystore of a data directory. Everything in it is authenticated; what a change left behind that was
    /// broken off is wiped.
    ///
    /// # Errors
    /// Each wrong thing has its own: [`Error::Absent`], [`Error::UnknownFormat`], [`Error::Damaged`], [`Error::Cost`],
    /// [`Error::OtherProvider`], [`Error::WrongPassphrase`], [`Error::WrongPurpose`], [`Error::KeyNotAuthentic`],
    /// [`Error::Altered`], [`Error::OtherStore`], [`Error::RolledBack`].
    pub fn open(dir: &Path, kek: Kek) -> Result<Self, Error> {
        let paths = Paths::new(dir);
        let lock = paths.lock()?;
        let found = Self::read(paths.clone(), kek, lock)?;
        found.ok_or_else(|| Error::Absent { path: paths.keystore() })
    }

    /// Opens the keystore of a data directory, or makes it at the first start. Private keys that lie plain in the
    /// directory are taken over, then overwritten and removed.
    ///
    /// # Errors
    /// As [`Keystore::open`]; [`Error::Absent`] if there was one and it is gone; [`Error::StrayPlainKey`].
    pub fn open_or_create(dir: &Path, kek: Kek, now_unix_ms: u64) -> Result<Self, Error> {
        let paths = Paths::new(dir);
        let lock = paths.lock()?;
        if paths.keystore().try_exists().unwrap_or(true) {
            let found = Self::read(paths.clone(), kek, lock)?;
            let keystore = found.ok_or_else(|| Error::Absent { path: paths.keystore() })?;
            keystore.wipe_taken_over()?;
            return Ok(keystore);
        }
        if paths.read_mark()?.is_some() {
            return Err(Error::Absent { path: paths.keystore() });
        }
        Self::create(paths, kek, lock, now_unix_ms)
    }

    /// All keys, oldest first.
    pub fn keys(&self) -> impl Iterator<Item = &KeyInfo> {
        self.contents.entries.iter().map(|entry| &entry.info)
    }

    /// The key that signs for a purpose, if there is one.
    pub fn active(&self, purpose: Purpose) -> Option<&KeyInfo> {
        self.keys().find(|info| info.purpose == purpose && info.state == State::Active)
    }

    /// What the keystore says about itself; all of it is authentic.
    pub fn overview(&self) -> Overview {
        Overview {
            store_id: self.contents.store_id,
            generation: self.contents.generation,
            provider: self.contents.envelope.provider,
            keys: self.keys().cloned().collect(),
        }
    }

    /// The private key that signs for a purpose.
    ///
    /// # Errors
    /// [`Error::NoActiveKey`].
    pub fn signing_key(&self, purpose: Purpose) -> Result<PrivateKey, Error> {
        let is_wanted = |info: &KeyInfo| info.purpose == purpose && info.state == State::Active;
        let entry = self.contents.entries.iter().find(|entry| is_wanted(&entry.info));
        let entry = entry.ok_or(Error::NoActiveKey { purpose })?;
        PrivateKey::from_pkcs8(purpose, &self.open_entry(entry)?)
    }

    /// Makes a key for a purpose, which signs from the next time that signing keys are taken; the one before is retired.
    /// Gives its version.
    ///
    /// # Errors
    /// [`Error::TooManyKeys`]; as [`Keystore::open`] if the key-encryption key cannot be had any more.
    pub fn rotate(
        &mut self,
        purpose: Purpose,
        exportable: Exportable,
        now_unix_ms: u64,
    ) -> Result<u32, Error> {
        let key = PrivateKey::generate(purpose)?;
        let mut plain = Plain::of(self)?;
        let version = plain.add(purpose, &key, exportable, now_unix_ms)?;
        self.replace(&plain)?;
        Ok(version)
    }

    /// Destroys a private key that does not sign any more: no file has it afterwards, and what the old file was sealed
    /// under is gone with it. Its public key stays.
    ///
    /// # Errors
    /// [`Error::UnknownKey`]; [`Error::WrongState`] for the active key, and one that was destroyed; as
    /// [`Keystore::rotate`].
    ///
    /// # Security
    /// A copy of an earlier file, with the key-encryption key of its time, still has the key.
    pub fn destroy(&mut self, purpose: Purpose, version: u32, now_unix_ms: u64) -> Result<(), Error> {
        let state = self.find(purpose, version)?.info.state;
        if state != State::Retired {
            return Err(Error::WrongState { purpose, version, state });
        }
        let mut plain = Plain::of(self)?;
        for (info, secret) in &mut plain.keys {
            if (info.purpose, info.version) == (purpose, version) {
                info.state = State::Destroyed;
                info.changed_unix_ms = now_unix_ms;
                *secret = None;
            }
        }
        self.replace(&plain)
    }

    /// A private key in PKCS#8, for another machine or a backup of one's own.
    ///
    /// # Errors
    /// [`Error::UnknownKey`]; [`Error::NotExportable`] for keys that were not made for it; [`Error::WrongState`] for one
    /// that was destroyed.
    pub fn export(&self, purpose: Purpose, version: u32) -> Result<Zeroizing<Vec<u8>>, Error> {
        let entry = self.find(purpose, version)?;
        match entry.info {
            KeyInfo { exportable: false, .. } => Err(Error::NotExportable { purpose, version }),
            KeyInfo { state: state @ State::Destroyed, .. } => {
                Err(Error::WrongState { purpose, version, state })
            }
            _ => self.open_entry(entry),
        }
    }

    /// Wraps the keystore by another key-encryption key: from then on it opens with this one alone.
    ///
    /// # Errors
    /// [`Error::File`], or what the new key-encryption key says; the old one holds then. As [`Keystore::rotate`].
    pub fn rewrap(&mut self, kek: Kek) -> Result<(), Error> {
        let plain = Plain::of(self)?;
        self.write(&plain, kek)
    }

    /// Authenticates the file in place, if there is one.
    fn read(paths: Paths, kek: Kek, lock: File) -> Result<Option<Self>, Error> {
        let Some(file) = paths.read(MAX_KEYSTORE_BYTES)? else { return Ok(None) };
        let contents = Contents::decode(&file)?;
        let data_key = kek.unwrap(&contents.store_id, &contents.envelope)?;
        let keystore = Self { paths, kek, contents, data_key, _lock: lock };
        for entry in &keystore.contents.entries {
            if entry.info.state != State::Destroyed {
                keystore.open_entry(entry)?;
            }
        }
        Contents::check_tag(&file, &keystore.data_key)?;
        keystore.check_mark()?;
        keystore.paths.tidy()?;
        Ok(Some(keystore))
    }

    fn create(paths: Paths, kek: Kek, lock: File, now_unix_ms: u64) -> Result<Self, Error> {
        let mut plain = Plain { keys: Vec::new() };
        for purpose in Purpose::ALL {
            if let Some(der) = paths.read_plain(purpose.plain_file_name())? {
                let path = paths.plain(purpose.plain_file_name());
                let wrong = |source| Error::PlainKey { path, source: Box::new(source) };
                let key = PrivateKey::from_pkcs8(purpose, &der).map_err(wrong)?;
                plain.add(purpose, &key, Exportable::No, now_unix_ms)?;
            }
        }
        let (store_id, data_key) = (random::bytes()?, Secret32::random()?);
        let contents = Contents {
            store_id,
            generation: FIRST_GENERATION,
            envelope: kek.wrap(&store_id, &data_key)?,
            entries: plain.seal(&store_id, &data_key)?,
        };
        paths.replace(&contents.encode(&data_key))?;
        let keystore = Self { paths, kek, contents, data_key, _lock: lock };
        keystore.check_mark()?;
        keystore.wipe_taken_over()?;
        Ok(keystore)
    }

    fn find(&self, purpose: Purpose, version: u32) -> Result<&Entry, Error> {
        let is_it = |entry: &&Entry| (entry.info.purpose, entry.info.version) == (purpose, version);
        self.contents.entries.iter().find(is_it).ok_or(Error::UnknownKey { purpose, version })
    }

    /// The PKCS#8 of a key, which is what its entry says it is.
    fn open_entry(&self, entry: &Entry) -> Result<Zeroizing<Vec<u8>>, Error> {
        let KeyInfo { purpose, version, .. } = entry.info;
        let key = format::sealing_key(&self.data_key)?;
        let open_as = |purpose| {
            let aad = format::associated_data(&self.contents.store_id, &entry.info, purpose)?;
            format::open(&key, &aad, &entry.sealed)
        };
        if let Some(plain) = open_as(purpose)? {
            let public_key = PrivateKey::from_pkcs8(purpose, &plain)?.public_key();
            let is_its_own = public_key == entry.info.public_key;
            return if is_its_own { Ok(plain) } else { Err(Error::KeyNotAuthentic { purpose, version }) };
        }
        for sealed in Purpose::ALL {
            if open_as(sealed)?.is_some() {
                return Err(Error::WrongPurpose { claimed: purpose, sealed, version });
            }
        }
        Err(Error::KeyNotAuthentic { purpose, version })
    }

    fn check_mark(&self) -> Result<(), Error> {
        let (mark, found, id) = (self.paths.mark(), self.contents.generation, self.contents.store_id);
        match self.paths.read_mark()? {
            Some((store_id, _)) if store_id != id => Err(Error::OtherStore { mark }),
            Some((_, seen)) if seen > found => Err(Error::RolledBack { found, seen, mark }),
            Some((_, seen)) if seen == found => Ok(()),
            _ => self.paths.write_mark((id, found)),
        }
    }

    /// Overwrites and removes plain keys that the keystore has. The keystore is on the disk.
    fn wipe_taken_over(&self) -> Result<(), Error> {
        for purpose in Purpose::ALL {
            let name = purpose.plain_file_name();
            let Some(der) = self.paths.read_plain(name)? else { continue };
            let key = PrivateKey::from_pkcs8(purpose, &der).ok().map(|key| key.public_key());
            let is_known =
                |public_key| self.keys().any(|info| info.purpose == purpose && info.public_key == public_key);
            if !key.is_some_and(is_known) {
                return Err(Error::StrayPlainKey { path: self.paths.plain(name) });
            }
            self.paths.wipe_plain(name)?;
        }
        Ok(())
    }

    /// Replaces the keys under the same key-encryption key, if that is still what it was.
    fn replace(&mut self, plain: &Plain) -> Result<(), Error> {
        let kek = self.kek.clone();
        if kek.unwrap(&self.contents.store_id, &self.contents.envelope)? != self.data_key {
            return Err(Error::Altered);
        }
        self.write(plain, kek)
    }

    /// Puts the keys into a file of the next generation, under a fresh data key.
    fn write(&mut self, plain: &Plain, kek: Kek) -> Result<(), Error> {
        let data_key = Secret32::random()?;
        // Also if this fails: what is on the disk then may be of that generation.
        self.contents.generation += 1;
        let Contents { store_id, generation, .. } = self.contents;
        let contents = Contents {
            store_id,
            generation,
            envelope: kek.wrap(&store_id, &data_key)?,
            entries: plain.seal(&store_id, &data_key)?,
        };
        self.paths.replace(&contents.encode(&data_key))?;
        (self.contents, self.data_key, self.kek) = (contents, data_key, kek);
        self.paths.write_mark((store_id, generation))
    }
}

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keystore").field("overview", &self.overview()).finish_non_exhaustive()
    }
}

/// The keys in plain, while they go from one data key to the next. Wiped on drop.
struct Plain {
    keys: Vec<(KeyInfo, Option<Zeroizing<Vec<u8>>>)>,
}

impl Plain {
    fn of(keystore: &Keystore) -> Result<Self, Error> {
        let open = |entry: &Entry| {
            let is_there = entry.info.state != State::Destroyed;
            let secret = is_there.then(|| keystore.open_entry(entry)).transpose()?;
            Ok((entry.info.clone(), secret))
        };
        Ok(Self { keys: keystore.contents.entries.iter().map(open).collect::<Result<_, Error>>()? })
    }

    /// Adds the key that signs from now on.
    fn add(
        &mut self,
        purpose: Purpose,
        key: &PrivateKey,
        exportable: Exportable,
        now_unix_ms: u64,
    ) -> Result<u32, Error> {
        if self.keys.len() >= MAX_KEYS {
            return Err(Error::TooManyKeys { max: MAX_KEYS });
        }
        let mut version = 1;
        for (info, _) in self.keys.iter_mut().filter(|(info, _)| info.purpose == purpose) {
            version = info.version + 1;
            if info.state == State::Active {
                (info.state, info.changed_unix_ms) = (State::Retired, now_unix_ms);
            }
        }
        let info = KeyInfo {
            purpose,
            version,
            state: State::Active,
            exportable: exportable == Exportable::Yes,
            created_unix_ms: now_unix_ms,
            changed_unix_ms: now_unix_ms,
            public_key: key.public_key(),
        };
        self.keys.push((info, Some(key.to_pkcs8()?)));
        Ok(version)
    }

    fn seal(&self, store_id: &[u8; 16], data_key: &Secret32) -> Result<Vec<Entry>, Error> {
        let key = format::sealing_key(data_key)?;
        let seal = |(info, secret): &(KeyInfo, Option<Zeroizing<Vec<u8>>>)| {
            let aad = format::associated_data(store_id, info, info.purpose)?;
            let seal = |secret: &Zeroizing<Vec<u8>>| format::seal(&key, &aad, secret);
            let sealed = secret.as_ref().map(seal).transpose()?.unwrap_or_default();
            Ok(Entry { info: info.clone(), sealed })
        };
        self.keys.iter().map(seal).collect()
    }
}
