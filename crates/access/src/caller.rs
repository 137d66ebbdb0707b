//! Who makes a call.

use crate::{ApiKeyId, PrincipalId, TenantId};
use std::sync::Arc;

/// An authenticated caller. What it may do is not in here: that is looked up with each call, as it is then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The tenant.
    pub tenant: TenantId,
    /// The principal.
    pub principal: PrincipalId,
    /// What it proved itself with.
    pub credential: CredentialName,
}

impl Caller {
    /// Whoever calls a server that requires no credential.
    pub fn local() -> Self {
        let (tenant, principal) = (TenantId::BUILT_IN, PrincipalId::LOCAL);
        Self { tenant, principal, credential: CredentialName::Local }
    }

    pub(crate) fn new(tenant: TenantId, principal: PrincipalId, credential: CredentialName) -> Self {
        Self { tenant, principal, credential }
    }
}

/// The subject of a client certificate that the transport has verified: whoever terminates TLS puts it beside a call, in the
/// extensions of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSubject(pub Arc<str>);

/// A credential's name: nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialName {
    /// None: the server listens on loopback addresses alone, and requires none.
    Local,
    /// An API key.
    ApiKey(ApiKeyId),
    /// A client certificate with this subject.
    Certificate(Arc<str>),
    /// A token of an issuer.
    Token {
        /// Who issued it.
        issuer: Arc<str>,
        /// Whom for.
        subject: Arc<str>,
    },
}

impl std::fmt::Display for CredentialName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::ApiKey(id) => write!(f, "key:{id}"),
            Self::Certificate(subject) => write!(f, "certificate:{subject}"),
            Self::Token { issuer, subject } => write!(f, "token:{issuer}#{subject}"),
        }
    }
}
