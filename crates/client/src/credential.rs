//! What a client proves itself with.

use crate::Error;
use crate::files::{Readers, read_limited, write_new};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status};
use tyto_access::{ApiKey, ApiKeyId};
use tyto_session::{MacKey, Name};
use zeroize::Zeroizing;

/// An API key and a line end fit.
const MAX_FILE_BYTES: u64 = 256;

/// An API key.
#[derive(Clone)]
pub struct Credential(Arc<ApiKey>);

impl Credential {
    /// Reads an API key's text; blanks around it are no part of it.
    ///
    /// # Errors
    /// [`Error::Credential`], which tells a typing error from something else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self(Arc::new(ApiKey::parse(text.trim())?)))
    }

    /// Reads a file that holds an API key and is its owner's alone.
    ///
    /// # Errors
    /// [`Error::CredentialExposed`] if others may read the file; [`Error::File`], and as [`Credential::parse`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mode = std::fs::metadata(path).map_err(Error::file(path))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::CredentialExposed { path: path.to_owned(), mode: mode & 0o777 });
        }
        let bytes = Zeroizing::new(read_limited(path, MAX_FILE_BYTES)?);
        let text = std::str::from_utf8(&bytes).map_err(|_| tyto_access::KeyTextError::Form)?;
        Self::parse(text)
    }

    /// Writes an API key's text to a new file for its owner alone.
    ///
    /// # Errors
    /// [`Error::FileExists`]: an existing file is never overwritten; [`Error::File`].
    pub fn write_new(path: &Path, text: &str) -> Result<(), Error> {
        let line = Zeroizing::new(format!("{text}\n"));
        write_new(path, line.as_bytes(), Readers::Owner)
    }

    /// What proves it in sealed sessions, and how the server finds that.
    pub(crate) fn for_sessions(&self) -> (Name, Arc<MacKey>) {
        let id = Name::new(&self.id().to_string()).expect("an id is a name");
        (id, Arc::new(MacKey::derive(&self.0.session_secret())))
    }

    /// The part of it that is not secret.
    pub fn id(&self) -> ApiKeyId {
        self.0.id()
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({}, [redacted])", self.id())
    }
}

/// Puts the credential into every call, if there is one.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    pub(crate) fn new(credential: Option<&Credential>) -> Self {
        Self(credential.map(|Credential(key)| {
            let text = Zeroizing::new(format!("Bearer {}", *key.to_text()));
            let mut value = MetadataValue::try_from(text.as_str()).expect("the text of a key is ASCII");
            // Neither shown nor kept in a table of headers that both sides compress by.
            value.set_sensitive(true);
            value
        }))
    }
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer([redacted])")
    }
}

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};

    #[test]
    fn a_file_that_others_may_read_is_refused_and_nothing_shows_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let key = ApiKey::generate().unwrap();
        let text = key.to_text();
        Credential::write_new(&path, &text).unwrap();
        assert!(matches!(Credential::write_new(&path, &text), Err(Error::FileExists { .. })));
        set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Credential::read(&path), Err(Error::CredentialExposed { mode: 0o640, .. })));
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let read = Credential::read(&path).unwrap();
        assert_eq!(read.id(), key.id());
        let mut request = Request::new(());
        let mut bearer = Bearer::new(Some(&read));
        request = tonic::service::Interceptor::call(&mut bearer, request).unwrap();
        let secret = &text[30..60];
        let shown = format!("{read:?} {bearer:?} {request:?}");
        assert!(!shown.contains(secret), "{shown}");
        assert_eq!(request.metadata().get("authorization").unwrap(), format!("Bearer {}", *text).as_str());
        write(&path, text.replace(&text[80..81], if &text[80..81] == "0" { "1" } else { "0" })).unwrap();
        assert!(matches!(Credential::read(&path), Err(Error::Credential(_))));
    }
}
