//! Sealed sessions as they are configured.

use crate::Error;
use crate::access::Access;
use crate::config::Config;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use tyto_access::ApiKeyId;
use tyto_pqc::mldsa::{SigningKey, VerifyingKey};
use tyto_sealed::{Anonymous, Credentials, Known, OwnedVerifier, Policy, Sessions};
use tyto_session::{
    CredentialId, MacKey, MemoryAdmission, Name, Room, Server, SessionLimits, Suites, TrustedServers,
};

/// What clients without a credential are called.
const ANONYMOUS: &str = "anonymous";

/// The API keys of the server's principals, by their ids.
struct ApiKeys {
    access: Arc<Access>,
    limits: SessionLimits,
}

impl ApiKeys {
    fn known(&self, id: &CredentialId) -> Option<Known> {
        let CredentialId::Mac(id) = id else { return None };
        let (secret, principal) = self.access.session_secret(ApiKeyId::from_hex(id.as_str())?)?;
        Some(Known {
            verifier: OwnedVerifier::Mac(MacKey::derive(&secret)),
            principal: Name::new(&principal.to_string()).ok()?,
            limits: self.limits,
            // Each call asks whether the key is still good.
            not_after_ms: None,
        })
    }
}

impl Credentials for ApiKeys {
    fn find<'a>(&'a self, id: &'a CredentialId) -> Pin<Box<dyn Future<Output = Option<Known>> + Send + 'a>> {
        Box::pin(ready(self.known(id)))
    }
}

/// The sessions of a server with this key. Any client may have one; what it may do in it is for the services to ask.
pub(crate) fn make(config: &Config, key: SigningKey, access: Arc<Access>) -> Result<Sessions, Error> {
    let session = &config.session;
    let server = Server::new(audience(config)?, name(config)?, key, Suites::default())?;
    let room = Room {
        rpcs: session.remembered_calls,
        // Several clients at their limits leave room for others.
        rpcs_per_principal: (session.remembered_calls / 8).max(session.calls as usize),
        sessions_per_principal: session.sessions_per_client,
    };
    let limits = SessionLimits::new(session.lifetime_s, session.calls)?;
    let anonymous = Anonymous { principal: Name::new(ANONYMOUS)?, limits };
    let policy = Policy { is_required: session.required, anonymous: Some(anonymous) };
    Ok(Sessions::new(server, MemoryAdmission::new(room)?, policy, Arc::new(ApiKeys { access, limits })))
}

/// What clients keep, to know this server by.
pub(crate) fn trusted(config: &Config, key: VerifyingKey) -> Result<TrustedServers, Error> {
    let mut trusted = TrustedServers::new(audience(config)?);
    trusted.add(name(config)?, key)?;
    Ok(trusted)
}

fn audience(config: &Config) -> Result<Name, Error> {
    or_issuer(config, &config.session.audience)
}

fn name(config: &Config) -> Result<Name, Error> {
    or_issuer(config, &config.session.name)
}

fn or_issuer(config: &Config, name: &str) -> Result<Name, Error> {
    Ok(Name::new(if name.is_empty() { &config.issuer } else { name })?)
}
