//! `tyto.admin.v1`: what its messages say, once they were checked.

mod convert;

use tyto_access::{
    ApiKeyId, Grant, GrantId, PrincipalId, PrincipalRecord, Role, SubjectRecord, TenantId, TenantRecord,
};
use tyto_scheme::GalleryId;
use zeroize::Zeroizing;

/// Wants a tenant with its first admin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateTenant {
    /// Its name.
    pub name: String,
    /// The admin's name.
    pub admin_name: String,
}

/// A tenant that was made.
#[derive(Debug)]
pub struct CreatedTenant {
    /// It.
    pub tenant: TenantRecord,
    /// Its admin.
    pub admin: CreatedAdmin,
}

/// Wants another admin for a tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddTenantAdmin {
    /// The tenant.
    pub tenant: TenantId,
    /// The admin's name.
    pub name: String,
}

/// An admin that was made.
#[derive(Debug)]
pub struct CreatedAdmin {
    /// It.
    pub principal: PrincipalRecord,
    /// Its key.
    pub key: IssuedKey,
}

/// What is shown of an API key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyInfo {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub principal: PrincipalId,
    /// Unix time.
    pub created_ms: u64,
    /// When it expires, if ever.
    pub expires_ms: Option<u64>,
    /// When it was used last, if ever.
    pub last_used_ms: Option<u64>,
    /// From when on it is revoked, if it is.
    pub revoked_ms: Option<u64>,
}

/// An API key at the one time that it is shown.
pub struct IssuedKey {
    /// What is shown of it later.
    pub info: KeyInfo,
    /// The key.
    pub text: Zeroizing<String>,
}

impl std::fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedKey").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Enables or disables a tenant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetTenantState {
    /// The tenant.
    pub tenant: TenantId,
    /// Whether none of its principals may call.
    pub disabled: bool,
}

/// Enables or disables a principal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetPrincipalState {
    /// The principal.
    pub principal: PrincipalId,
    /// Whether it may not call.
    pub disabled: bool,
}

/// Wants an API key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CreateApiKey {
    /// For whom.
    pub principal: PrincipalId,
    /// When it expires, if ever.
    pub expires_ms: Option<u64>,
}

/// Wants another key in the place of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RotateApiKey {
    /// The one.
    pub key: ApiKeyId,
    /// How long that is still taken, in seconds.
    pub overlap_s: u32,
    /// When the new one expires, if ever.
    pub expires_ms: Option<u64>,
}

/// Wants another key in the place of the one that the call is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RotateOwnKey {
    /// How long that is still taken, in seconds.
    pub overlap_s: u32,
}

/// Wants a right for a principal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddGrant {
    /// For whom.
    pub principal: PrincipalId,
    /// Which role.
    pub role: Role,
    /// For one gallery, or for the whole tenant.
    pub gallery: Option<GalleryId>,
    /// When it ends, if ever.
    pub expires_ms: Option<u64>,
}

/// Everything that decides who may do what in a tenant, or a part of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Review {
    /// The principals.
    pub principals: Vec<PrincipalRecord>,
    /// Their API keys.
    pub keys: Vec<KeyInfo>,
    /// The identities that stand for them.
    pub subjects: Vec<SubjectRecord>,
    /// Their grants.
    pub grants: Vec<Grant>,
}

/// The principal that a message names.
pub fn principal_id(field: &'static str, bytes: &[u8]) -> Result<PrincipalId, crate::Error> {
    Ok(PrincipalId(crate::field::fixed(field, bytes)?))
}

/// The name of a new principal.
pub fn principal_name(name: String) -> Result<String, crate::Error> {
    convert::name("name", name)
}

/// The identity that a request names.
pub fn named_subject(
    subject: Option<crate::proto::admin::v1::Subject>,
) -> Result<SubjectRecord, crate::Error> {
    crate::field::required("subject", subject)?.try_into()
}

/// The API key that a request names.
pub fn api_key_id(bytes: &[u8]) -> Result<ApiKeyId, crate::Error> {
    Ok(ApiKeyId(crate::field::fixed("key_id", bytes)?))
}

/// The grant that a request names.
pub fn grant_id(bytes: &[u8]) -> Result<GrantId, crate::Error> {
    Ok(GrantId(crate::field::fixed("grant_id", bytes)?))
}
