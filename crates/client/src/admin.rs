//! Who may do what at a server.

use crate::channel::Rpc;
use crate::{Config, Error};
use bytes::Bytes;
use tyto_access::{
    ApiKeyId, Grant, GrantId, PrincipalId, PrincipalRecord, SubjectRecord, TenantId, TenantRecord,
};
pub use tyto_api::admin::{AddGrant, CreatedAdmin, CreatedTenant, IssuedKey, KeyInfo, Review};
use tyto_api::proto::admin::v1 as proto;

/// Changes and shows who may do what. It needs no tenant key. What changes something is not repeated by itself: a call
/// whose answer was lost may have made a principal or a key, which [`Admin::review`] shows.
#[derive(Clone, Debug)]
pub struct Admin {
    rpc: Rpc,
}

/// Makes a call once, and gives its answer.
macro_rules! call {
    ($self:ident, $name:literal, $method:ident, $request:expr) => {{
        let mut admin = $self.rpc.admin.clone();
        $self.rpc.answer($name, admin.$method($request)).await?
    }};
}

fn copy(id: &[u8]) -> Bytes {
    Bytes::copy_from_slice(id)
}

/// A message that the answer must have.
fn given<T, U>(field: &'static str, message: Option<T>) -> Result<U, Error>
where
    U: TryFrom<T, Error = tyto_api::Error>,
{
    Ok(message.ok_or(tyto_api::Error::Missing { field })?.try_into()?)
}

impl Admin {
    /// Connects with the credential of the configuration.
    ///
    /// # Errors
    /// [`Error::Endpoint`], [`Error::Connect`].
    pub async fn connect(config: &Config) -> Result<Self, Error> {
        Ok(Self { rpc: Rpc::connect(config).await? })
    }

    /// Makes a tenant with its first admin and that one's key. For operators.
    ///
    /// # Errors
    /// [`Error::Rpc`].
    pub async fn create_tenant(&self, name: &str, admin_name: &str) -> Result<CreatedTenant, Error> {
        let request = proto::CreateTenantRequest { name: name.into(), admin_name: admin_name.into() };
        Ok(call!(self, "CreateTenant", create_tenant, request).try_into()?)
    }

    /// All tenants. For operators.
    ///
    /// # Errors
    /// [`Error::Rpc`].
    pub async fn tenants(&self) -> Result<Vec<TenantRecord>, Error> {
        const CALL: &str = "ListTenants";
        let mut stream = call!(self, "ListTenants", list_tenants, proto::ListTenantsRequest {});
        let mut tenants = Vec::new();
        while let Some(part) = self.rpc.next(CALL, &mut stream).await? {
            for tenant in part.tenants {
                tenants.push(TenantRecord::try_from(tenant)?);
            }
        }
        Ok(tenants)
    }

    /// Lets no principal of a tenant call, or lets them again. For operators.
    ///
    /// # Errors
    /// [`Error::Rpc`].
    pub async fn set_tenant_disabled(&self, tenant: TenantId, disabled: bool) -> Result<(), Error> {
        let request = proto::SetTenantStateRequest { tenant_id: copy(&tenant.0), disabled };
        call!(self, "SetTenantState", set_tenant_state, request);
        Ok(())
    }

    /// Makes another admin for a tenant. For operators.
    ///
    /// # Errors
    /// [`Error::Rpc`].
    pub async fn add_tenant_admin(&self, tenant: TenantId, name: &str) -> Result<CreatedAdmin, Error> {
        let request = proto::AddTenantAdminRequest { tenant_id: copy(&tenant.0), name: name.into() };
        Ok(call!(self, "AddTenantAdmin", add_tenant_admin, request).try_into()?)
    }

    /// Lets an identity that others vouch for stand for a principal. For operators.
    ///
    /// # Errors
    /// [`Error::Rpc`].
    pub async fn bind_subject(&self, subject: SubjectRecord) -> Result<(), Error> {
        let request = proto::BindSubjectRequest { subject: Some(subject.into()) };
        call!(self, "BindSubject", bind_subject, request);
        Ok(())
    }

    /// Takes such an identity away. For operators.
    ///
    /// # Errors
    /// [`Error::Rpc`].
    pub async fn unbind_subject(&self, subject: SubjectRecord) -> Result<(), Error> {
        let request = proto::UnbindSubjectRequest { subject: Some(subject.into()) };
        call!(self, "UnbindSubject", unbind_subject, request);
        Ok(())
    }

    /// Makes a principal without any right.
    ///
    /// # Errors
    /// [`Error::Rpc`].
    pub async fn create_principal(&self, name: &str) -> Result<PrincipalRecord, Error> {
        let request = proto::CreatePrincipalRequest { name: name.into() };
        given("principal", call!(self, "CreatePrincipal", create_principal, request).principal)
    }

    /// Lets a principal not call, or lets it again.
    ///
    /// # Errors
    /// [`Error::Rpc`].
    pub async fn set_principal_disabled(&self, principal: PrincipalId, disabled: bool) -> Result<(), Error> {
        let request = proto::SetPrincipalStateRequest { principal_id: copy(&principal.0), disabled };
        call!(self, "SetPrincipalState", set_principal_state, request);
        Ok(())
    }

    /// Makes an API key. This is the only time that it is shown.
    ///
    /// # Errors
    /// [`Error::Rpc`].
    pub async fn create_key(
        &self,
        principal: PrincipalId,
        expires_unix_ms: Option<u64>,
    ) -> Result<IssuedKey, Error> {
        let expires_unix_ms = expires_unix_ms.unwrap_or(0);
        let request = proto::CreateApiKeyRequest { principal_id: copy(&principal.0), expires_unix_ms };
        given("key", call!(self, "CreateApiKey", create_api_key, request).key)
    }

    /// Makes another key for the principal of one, which is still taken for a while.
    ///
    /// # Errors
    /// [`Error::Rpc`].
    pub async fn rotate_key(
        &self,
        key: ApiKeyId,
        overlap_s: u32,
        expires_unix_ms: Option<u64>,
    ) -> Result<IssuedKey, Error> {
        let expires_unix_ms = expires_unix_ms.unwrap_or(0);
        let request = proto::RotateApiKeyRequest { key_id: copy(&key.0), overlap_s, expires_unix_ms };
        given("key", call!(self, "RotateApiKey", rotate_api_key, request).key)
    }

    /// The same for the key that this client calls with. Whoever keeps it has to put the new one in its place.
    ///
    /// # Errors
    /// [`Error::Rpc`].
    pub async fn rotate_own_key(&self, overlap_s: u32) -> Result<IssuedKey, Error> {
        let request = proto::RotateOwnKeyRequest { overlap_s };
        given("key", call!(self, "RotateOwnKey", rotate_own_key, request).key)
    }

    /// Revokes an API key.
    ///
    /// # Errors
    /// [`Error::Rpc`].
    pub async fn revoke_key(&self, key: ApiKeyId) -> Result<(), Error> {
        call!(self, "RevokeApiKey", revoke_api_key, proto::RevokeApiKeyRequest { key_id: copy(&key.0) });
        Ok(())
    }

    /// Gives a principal a right.
    ///
    /// # Errors
    /// [`Error::Rpc`].
    pub async fn add_grant(&self, grant: AddGrant) -> Result<Grant, Error> {
        given("grant", call!(self, "AddGrant", add_grant, proto::AddGrantRequest::from(grant)).grant)
    }

    /// Takes a right away.
    ///
    /// # Errors
    /// [`Error::Rpc`].
    pub async fn revoke_grant(&self, grant: GrantId) -> Result<(), Error> {
        call!(self, "RevokeGrant", revoke_grant, proto::RevokeGrantRequest { grant_id: copy(&grant.0) });
        Ok(())
    }

    /// Everything that decides who may do what in the own tenant.
    ///
    /// # Errors
    /// [`Error::Rpc`].
    pub async fn review(&self) -> Result<Review, Error> {
        let mut stream = call!(self, "Review", review, proto::ReviewRequest {});
        let mut review = Review::default();
        while let Some(part) = self.rpc.next("Review", &mut stream).await? {
            review.add(part)?;
        }
        Ok(review)
    }
}
