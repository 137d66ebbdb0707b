//! Who calls, and whether they may.
//!
//! The [`layer`] finds out who makes a call; handlers ask [`App::authorise`] before they read or compute anything. Both
//! decide from one directory in memory, which is read again after every change of it: there is no time in which a
//! revoked right still holds.

pub(crate) mod bootstrap;
pub(crate) mod layer;
mod report;

use crate::Error;
use crate::app::{App, unix_ms};
use crate::config::AccessConfig;
use crate::signing::{Named, load_or_create_file};
use crate::site::Site;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;
use tonic::Extensions;
use tonic::codegen::http::{HeaderMap, HeaderValue, header};
use tyto_access::{
    ApiKey, ApiKeyId, Caller, CertificateSubject, Denial, Directory, KeyCheck, KeyRules, PrincipalId,
    StoredKey, SubjectKind,
};
use tyto_pqc::Secret32;
use tyto_pqc::aead::SealingKey;
use tyto_pqc::kmac::Kmac256;
use tyto_scheme::GalleryId;
use tyto_sealed::SealedCaller;
use tyto_session::CredentialId;
use tyto_store::Store;
use zeroize::Zeroizing;

const KEY_FILE: Named = Named { name: "access-key", max_bytes: 32 };
const SEALING: &[u8] = b"tyto/v1/access-key-sealing";
const SCHEME: &str = "Bearer ";
/// What proxies add to what they pass on.
const FORWARDED: [&str; 4] = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];

/// Whether a call without a credential was made to this machine, as far as it shows: one that a proxy passes on comes from a
/// loopback address too.
fn is_from_here(headers: &HeaderMap, authority: Option<&str>) -> bool {
    let host = authority.map(|authority| authority.rsplit_once(':').map_or(authority, |(host, _)| host));
    let is_here = host.is_none_or(|host| {
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || literal.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    is_here && !FORWARDED.iter().any(|name| headers.contains_key(*name))
}

/// The server's own key for credentials: reads that of a data directory, or makes one at the first start.
pub(crate) fn load_or_create_key(data_dir: &Path) -> Result<Secret32, Error> {
    let make = || Ok(Zeroizing::new(Secret32::random()?.expose().to_vec()));
    let parse = |bytes: &[u8]| {
        let exact: &[u8; 32] = bytes.try_into().map_err(|_| Error::AccessKey)?;
        Ok(Secret32::from_fn(|out| out.copy_from_slice(exact)))
    };
    load_or_create_file(data_dir, KEY_FILE, make, parse)
}

/// What API keys are checked with and made with.
pub(crate) struct KeyMaker {
    check: KeyCheck,
    sealing: SealingKey,
}

impl KeyMaker {
    pub(crate) fn new(key: &Secret32) -> Result<Self, Error> {
        let sealing = Secret32::from_fn(|out| Kmac256::new(key.expose(), SEALING).finalize(out));
        Ok(Self { check: KeyCheck::new(key.duplicate()), sealing: SealingKey::new(&sealing)? })
    }

    /// A new key of a principal, and what is stored of it. What sealed sessions are authenticated with is sealed with the
    /// key's id, so that rows cannot be exchanged.
    pub(crate) fn make(
        &self,
        principal: PrincipalId,
        now_ms: u64,
        expires_ms: Option<u64>,
    ) -> Result<(ApiKey, StoredKey), Error> {
        let key = ApiKey::generate()?;
        let stored = StoredKey {
            id: key.id(),
            principal,
            verifier: self.check.verifier(&key),
            sealed_session: self.sealing.seal(&key.id().0, key.session_secret().expose())?,
            created_ms: now_ms,
            expires_ms,
            last_used_ms: 0,
            revoked_ms: None,
            rotated_from: None,
        };
        Ok((key, stored))
    }
}

/// The API key that a sealed session began with, if it began with one.
fn session_key(caller: &SealedCaller) -> Option<ApiKeyId> {
    match &caller.credential {
        CredentialId::Mac(id) => ApiKeyId::from_hex(id.as_str()),
        _ => None,
    }
}

/// Who may do what.
pub(crate) struct Access {
    required: bool,
    rules: KeyRules,
    /// What keys are made with.
    pub(crate) keys: KeyMaker,
    directory: RwLock<Arc<Directory>>,
    /// The last uses of keys as they are stored; held while they are being stored.
    stored_uses: Mutex<HashMap<ApiKeyId, u64>>,
    /// Held while rights are changed, until the directory shows it.
    changing: Mutex<()>,
}

impl Access {
    pub(crate) async fn open(config: &AccessConfig, key: &Secret32, store: &Store) -> Result<Self, Error> {
        let rules =
            KeyRules { max_age_days: config.max_key_age_days, max_idle_days: config.max_key_idle_days };
        let directory = Directory::new(rules, store.access_records().await?);
        Ok(Self {
            required: config.required,
            rules,
            keys: KeyMaker::new(key)?,
            stored_uses: Mutex::new(directory.last_uses().into_iter().collect()),
            directory: RwLock::new(Arc::new(directory)),
            changing: Mutex::default(),
        })
    }

    /// Who may do what at this moment.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a change of what is stored, and lets every later call see it. Must run to its end once begun. A change that
    /// failed may have taken effect: what is stored is looked at in any case.
    pub(crate) async fn change<T, F>(&self, store: &Store, work: impl FnOnce(Store) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, tyto_store::Error>>,
    {
        let _changing = self.changing.lock().await;
        let changed = work(store.clone()).await;
        let directory = Directory::new(self.rules, store.access_records().await?);
        let mut current = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(directory.in_place_of(&current));
        Ok(changed?)
    }

    /// Who makes a call: nobody in particular, if it brings no credential and one is required.
    fn caller(
        &self,
        authority: Option<&str>,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Option<Caller>, Denial> {
        let directory = self.directory();
        if let Some(key) = extensions.get::<SealedCaller>().and_then(session_key) {
            return directory.confirm_key(key, unix_ms()).map(Some);
        }
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            return self.bearer(&directory, value).map(Some);
        }
        if let Some(CertificateSubject(subject)) = extensions.get() {
            return directory.of_subject(SubjectKind::Certificate, "", subject).map(Some);
        }
        Ok((!self.required && is_from_here(headers, authority)).then(Caller::local))
    }

    /// What the sealed sessions of an API key are authenticated with, and whose it is: nothing for one that is not taken now.
    pub(crate) fn session_secret(&self, key: ApiKeyId) -> Option<(Secret32, PrincipalId)> {
        let directory = self.directory();
        let (sealed, owner) = (directory.session_of_key(key)?, directory.key_owner(key)?);
        if !directory.is_taken(key, unix_ms()) {
            return None;
        }
        let opened = self.keys.sealing.open(&key.0, sealed);
        let opened =
            opened.inspect_err(|_| tracing::error!(%key, "what is stored of an API key is damaged")).ok()?;
        let exact: &[u8; 32] = opened.as_slice().try_into().ok()?;
        Some((Secret32::from_fn(|out| out.copy_from_slice(exact)), owner))
    }

    fn bearer(&self, directory: &Directory, value: &HeaderValue) -> Result<Caller, Denial> {
        let text = value.to_str().ok().and_then(|text| text.strip_prefix(SCHEME));
        let key = ApiKey::parse(text.ok_or(Denial::CredentialForm)?)?;
        directory.authenticate(&self.keys.check, &key, unix_ms())
    }

    /// Stores when keys were used last, where that has changed.
    pub(crate) async fn store_uses(&self, store: &Store) -> Result<(), Error> {
        let mut stored = self.stored_uses.lock().await;
        let mut uses = self.directory().last_uses();
        uses.retain(|(key, at)| stored.get(key).is_none_or(|stored| stored < at));
        if !uses.is_empty() {
            store.note_key_uses(&uses).await?;
            stored.extend(uses);
        }
        Ok(())
    }
}

/// A call that may be made.
pub(crate) struct Allowed {
    /// Who makes it.
    pub(crate) caller: Caller,
    /// The server as its tenant has it.
    pub(crate) site: Arc<Site>,
}

impl App {
    /// Whether a call may be made that is about a gallery or about none. A stream asks without one before its first
    /// message is read, then with the one that it names, and again with each message.
    ///
    /// # Errors
    /// [`Error::Denied`]; a gallery id that is none is the caller's fault, and is found after the caller's roles were
    /// looked at.
    pub(crate) fn authorise(
        self: &Arc<Self>,
        extensions: &Extensions,
        method: &'static str,
        gallery: Option<&[u8]>,
    ) -> Result<Allowed, Error> {
        let caller = extensions.get::<Caller>().cloned();
        // Handlers of unit tests have no layer in front of them.
        #[cfg(test)]
        let caller = caller.or_else(|| Some(Caller::local()));
        let parsed = gallery.map(tyto_api::gallery::gallery_id).transpose();
        let named = parsed.as_ref().ok().copied().flatten();
        let decided = caller
            .as_ref()
            .ok_or(Denial::NoCredential)
            .and_then(|caller| self.access.directory().authorise(caller, method, named, unix_ms()));
        report::decided(self, extensions, caller.as_ref(), method, named, decided.err());
        decided?;
        parsed?;
        let caller = caller.ok_or(Denial::NoCredential)?;
        let site = Site::of(self, &caller);
        Ok(Allowed { caller, site })
    }
}

impl Allowed {
    /// Whether the call's answer may show a gallery.
    pub(crate) fn may_see(&self) -> impl Fn(GalleryId) -> bool {
        let (directory, caller, now_ms) = (self.site.access.directory(), self.caller.clone(), unix_ms());
        move |gallery| directory.may_see(&caller, gallery, now_ms)
    }
}
