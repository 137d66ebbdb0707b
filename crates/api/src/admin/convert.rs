//! Messages of `tyto.admin.v1` to domain types and back.

use super::{
    AddGrant, AddTenantAdmin, CreateApiKey, CreateTenant, CreatedAdmin, CreatedTenant, IssuedKey, KeyInfo,
    Review, RotateApiKey, RotateOwnKey, SetPrincipalState, SetTenantState, api_key_id, grant_id,
    principal_id,
};
use crate::Error;
use crate::field::{all, copy, fixed, line, required};
use crate::limits::MAX_KEY_OVERLAP_S;
use crate::proto::admin::v1 as proto;
use bytes::Bytes;
use tyto_access::{
    Grant, MAX_NAME_BYTES, MAX_SUBJECT_BYTES, PrincipalRecord, Role, SubjectKind, SubjectRecord, TenantId,
    TenantRecord,
};
use tyto_scheme::GalleryId;
use zeroize::Zeroizing;

const ROLES: &str = "ROLE_ADMIN, ROLE_ENROLLER, ROLE_MATCHER, ROLE_AUDITOR";

/// A text that is not empty, within its own limit.
fn text(field: &'static str, text: String, max_bytes: usize) -> Result<String, Error> {
    if text.is_empty() {
        return Err(Error::Empty { field });
    }
    if text.len() > max_bytes {
        return Err(Error::TooLong { field, found_bytes: text.len(), max_bytes });
    }
    if max_bytes > MAX_NAME_BYTES {
        // A subject is compared, and shown quoted.
        return Ok(text);
    }
    line(field, text)
}

pub(crate) fn name(field: &'static str, name: String) -> Result<String, Error> {
    text(field, name, MAX_NAME_BYTES)
}

/// 0 stands for none.
fn time(value: u64) -> Option<u64> {
    (value != 0).then_some(value)
}

fn overlap(value: u32) -> Result<u32, Error> {
    let (field, value, max) = ("overlap_s", u64::from(value), u64::from(MAX_KEY_OVERLAP_S));
    if value > max { Err(Error::OutOfRange { field, value, min: 0, max }) } else { Ok(value as u32) }
}

fn role(role: proto::Role) -> Result<Role, Error> {
    Ok(match role {
        proto::Role::Admin => Role::Admin,
        proto::Role::Enroller => Role::Enroller,
        proto::Role::Matcher => Role::Matcher,
        proto::Role::Auditor => Role::Auditor,
        proto::Role::Unspecified => return Err(Error::UnknownValue { field: "role", known: ROLES }),
    })
}

fn role_message(role: Role) -> proto::Role {
    match role {
        Role::Admin => proto::Role::Admin,
        Role::Enroller => proto::Role::Enroller,
        Role::Matcher => proto::Role::Matcher,
        Role::Auditor => proto::Role::Auditor,
    }
}

fn gallery(id: &[u8]) -> Result<Option<GalleryId>, Error> {
    if id.is_empty() { Ok(None) } else { Ok(Some(GalleryId(fixed("gallery_id", id)?))) }
}

fn gallery_message(gallery: Option<GalleryId>) -> Bytes {
    gallery.map_or_else(Bytes::new, |gallery| copy(&gallery.0))
}

impl TryFrom<proto::CreateTenantRequest> for CreateTenant {
    type Error = Error;

    fn try_from(message: proto::CreateTenantRequest) -> Result<Self, Error> {
        Ok(Self { name: name("name", message.name)?, admin_name: name("admin_name", message.admin_name)? })
    }
}

impl TryFrom<proto::AddTenantAdminRequest> for AddTenantAdmin {
    type Error = Error;

    fn try_from(message: proto::AddTenantAdminRequest) -> Result<Self, Error> {
        let tenant = TenantId(fixed("tenant_id", &message.tenant_id)?);
        Ok(Self { tenant, name: name("name", message.name)? })
    }
}

impl TryFrom<proto::SetTenantStateRequest> for SetTenantState {
    type Error = Error;

    fn try_from(message: proto::SetTenantStateRequest) -> Result<Self, Error> {
        let tenant = TenantId(fixed("tenant_id", &message.tenant_id)?);
        Ok(Self { tenant, disabled: message.disabled })
    }
}

impl TryFrom<proto::SetPrincipalStateRequest> for SetPrincipalState {
    type Error = Error;

    fn try_from(message: proto::SetPrincipalStateRequest) -> Result<Self, Error> {
        let principal = principal_id("principal_id", &message.principal_id)?;
        Ok(Self { principal, disabled: message.disabled })
    }
}

impl TryFrom<proto::CreateApiKeyRequest> for CreateApiKey {
    type Error = Error;

    fn try_from(message: proto::CreateApiKeyRequest) -> Result<Self, Error> {
        let principal = principal_id("principal_id", &message.principal_id)?;
        Ok(Self { principal, expires_ms: time(message.expires_unix_ms) })
    }
}

impl TryFrom<proto::RotateApiKeyRequest> for RotateApiKey {
    type Error = Error;

    fn try_from(message: proto::RotateApiKeyRequest) -> Result<Self, Error> {
        let (key, overlap_s) = (api_key_id(&message.key_id)?, overlap(message.overlap_s)?);
        Ok(Self { key, overlap_s, expires_ms: time(message.expires_unix_ms) })
    }
}

impl TryFrom<proto::RotateOwnKeyRequest> for RotateOwnKey {
    type Error = Error;

    fn try_from(message: proto::RotateOwnKeyRequest) -> Result<Self, Error> {
        Ok(Self { overlap_s: overlap(message.overlap_s)? })
    }
}

impl TryFrom<proto::AddGrantRequest> for AddGrant {
    type Error = Error;

    fn try_from(message: proto::AddGrantRequest) -> Result<Self, Error> {
        Ok(Self {
            principal: principal_id("principal_id", &message.principal_id)?,
            role: role(message.role())?,
            gallery: gallery(&message.gallery_id)?,
            expires_ms: time(message.expires_unix_ms),
        })
    }
}

impl From<AddGrant> for proto::AddGrantRequest {
    fn from(grant: AddGrant) -> Self {
        Self {
            principal_id: copy(&grant.principal.0),
            role: role_message(grant.role).into(),
            gallery_id: gallery_message(grant.gallery),
            expires_unix_ms: grant.expires_ms.unwrap_or(0),
        }
    }
}

impl From<TenantRecord> for proto::Tenant {
    fn from(tenant: TenantRecord) -> Self {
        let TenantRecord { id, name, disabled, created_ms } = tenant;
        Self { tenant_id: copy(&id.0), name, disabled, created_unix_ms: created_ms }
    }
}

impl TryFrom<proto::Tenant> for TenantRecord {
    type Error = Error;

    fn try_from(message: proto::Tenant) -> Result<Self, Error> {
        Ok(Self {
            id: TenantId(fixed("tenant.tenant_id", &message.tenant_id)?),
            name: name("tenant.name", message.name)?,
            disabled: message.disabled,
            created_ms: message.created_unix_ms,
        })
    }
}

impl From<PrincipalRecord> for proto::Principal {
    fn from(principal: PrincipalRecord) -> Self {
        let PrincipalRecord { id, tenant, name, operator, disabled, created_ms } = principal;
        let (principal_id, tenant_id) = (copy(&id.0), copy(&tenant.0));
        Self { principal_id, tenant_id, name, operator, disabled, created_unix_ms: created_ms }
    }
}

impl TryFrom<proto::Principal> for PrincipalRecord {
    type Error = Error;

    fn try_from(message: proto::Principal) -> Result<Self, Error> {
        Ok(Self {
            id: principal_id("principal.principal_id", &message.principal_id)?,
            tenant: TenantId(fixed("principal.tenant_id", &message.tenant_id)?),
            name: name("principal.name", message.name)?,
            operator: message.operator,
            disabled: message.disabled,
            created_ms: message.created_unix_ms,
        })
    }
}

impl From<KeyInfo> for proto::ApiKey {
    fn from(key: KeyInfo) -> Self {
        Self {
            key_id: copy(&key.id.0),
            principal_id: copy(&key.principal.0),
            created_unix_ms: key.created_ms,
            expires_unix_ms: key.expires_ms.unwrap_or(0),
            last_used_unix_ms: key.last_used_ms.unwrap_or(0),
            revoked_unix_ms: key.revoked_ms.unwrap_or(0),
        }
    }
}

impl TryFrom<proto::ApiKey> for KeyInfo {
    type Error = Error;

    fn try_from(message: proto::ApiKey) -> Result<Self, Error> {
        Ok(Self {
            id: api_key_id(&message.key_id)?,
            principal: principal_id("key.principal_id", &message.principal_id)?,
            created_ms: message.created_unix_ms,
            expires_ms: time(message.expires_unix_ms),
            last_used_ms: time(message.last_used_unix_ms),
            revoked_ms: time(message.revoked_unix_ms),
        })
    }
}

impl From<IssuedKey> for proto::IssuedKey {
    fn from(mut issued: IssuedKey) -> Self {
        Self { key: Some(issued.info.into()), text: std::mem::take(&mut *issued.text) }
    }
}

impl TryFrom<proto::IssuedKey> for IssuedKey {
    type Error = Error;

    fn try_from(message: proto::IssuedKey) -> Result<Self, Error> {
        let text = Zeroizing::new(message.text);
        Ok(Self { info: required("key.key", message.key)?.try_into()?, text })
    }
}

impl From<CreatedTenant> for proto::CreateTenantResponse {
    fn from(created: CreatedTenant) -> Self {
        let CreatedAdmin { principal, key } = created.admin;
        Self { tenant: Some(created.tenant.into()), admin: Some(principal.into()), key: Some(key.into()) }
    }
}

impl TryFrom<proto::CreateTenantResponse> for CreatedTenant {
    type Error = Error;

    fn try_from(message: proto::CreateTenantResponse) -> Result<Self, Error> {
        let tenant = required("tenant", message.tenant)?.try_into()?;
        let principal = required("admin", message.admin)?.try_into()?;
        let key = required("key", message.key)?.try_into()?;
        Ok(Self { tenant, admin: CreatedAdmin { principal, key } })
    }
}

impl TryFrom<proto::AddTenantAdminResponse> for CreatedAdmin {
    type Error = Error;

    fn try_from(message: proto::AddTenantAdminResponse) -> Result<Self, Error> {
        let principal = required("admin", message.admin)?.try_into()?;
        Ok(Self { principal, key: required("key", message.key)?.try_into()? })
    }
}

impl From<CreatedAdmin> for proto::AddTenantAdminResponse {
    fn from(created: CreatedAdmin) -> Self {
        Self { admin: Some(created.principal.into()), key: Some(created.key.into()) }
    }
}

impl From<SubjectRecord> for proto::Subject {
    fn from(record: SubjectRecord) -> Self {
        let SubjectRecord { kind, issuer, subject, principal, created_ms } = record;
        let identity = match kind {
            SubjectKind::Certificate => proto::subject::Identity::Certificate(subject),
            SubjectKind::Token => proto::subject::Identity::Token(proto::Token { issuer, subject }),
        };
        Self { identity: Some(identity), principal_id: copy(&principal.0), created_unix_ms: created_ms }
    }
}

impl TryFrom<proto::Subject> for SubjectRecord {
    type Error = Error;

    fn try_from(message: proto::Subject) -> Result<Self, Error> {
        let (kind, issuer, subject) = match required("subject.identity", message.identity)? {
            proto::subject::Identity::Certificate(subject) => (
                SubjectKind::Certificate,
                String::new(),
                text("subject.certificate", subject, MAX_SUBJECT_BYTES)?,
            ),
            proto::subject::Identity::Token(proto::Token { issuer, subject }) => (
                SubjectKind::Token,
                text("subject.token.issuer", issuer, MAX_SUBJECT_BYTES)?,
                text("subject.token.subject", subject, MAX_SUBJECT_BYTES)?,
            ),
        };
        let principal = principal_id("subject.principal_id", &message.principal_id)?;
        Ok(Self { kind, issuer, subject, principal, created_ms: message.created_unix_ms })
    }
}

impl From<Grant> for proto::Grant {
    fn from(grant: Grant) -> Self {
        Self {
            grant_id: copy(&grant.id.0),
            principal_id: copy(&grant.principal.0),
            role: role_message(grant.role).into(),
            gallery_id: gallery_message(grant.gallery),
            created_unix_ms: grant.created_ms,
            expires_unix_ms: grant.expires_ms.unwrap_or(0),
        }
    }
}

impl TryFrom<proto::Grant> for Grant {
    type Error = Error;

    fn try_from(message: proto::Grant) -> Result<Self, Error> {
        Ok(Self {
            id: grant_id(&message.grant_id)?,
            principal: principal_id("grant.principal_id", &message.principal_id)?,
            role: role(message.role())?,
            gallery: gallery(&message.gallery_id)?,
            created_ms: message.created_unix_ms,
            expires_ms: time(message.expires_unix_ms),
        })
    }
}

impl From<Review> for proto::ReviewResponse {
    fn from(review: Review) -> Self {
        Self {
            principals: review.principals.into_iter().map(Into::into).collect(),
            keys: review.keys.into_iter().map(Into::into).collect(),
            subjects: review.subjects.into_iter().map(Into::into).collect(),
            grants: review.grants.into_iter().map(Into::into).collect(),
        }
    }
}

impl Review {
    /// Takes up a part.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn add(&mut self, message: proto::ReviewResponse) -> Result<(), Error> {
        self.principals.extend(all::<_, PrincipalRecord>(message.principals)?);
        self.keys.extend(all::<_, KeyInfo>(message.keys)?);
        self.subjects.extend(all::<_, SubjectRecord>(message.subjects)?);
        self.grants.extend(all::<_, Grant>(message.grants)?);
        Ok(())
    }
}
