//! `tyto.admin.v1.AdminService`.

use super::{Answers, call};
use crate::app::App;
use crate::service::admin;
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use tonic::{Request, Response, Status};
use tyto_api::admin::{api_key_id, grant_id, named_subject, principal_name};
use tyto_api::proto::admin::v1 as proto;
use tyto_api::proto::admin::v1::admin_service_server::AdminService;

/// The name of a method in the table of rights.
macro_rules! method {
    ($name:literal) => {
        concat!("tyto.admin.v1.AdminService/", $name)
    };
}

/// The handler.
pub(crate) struct AdminHandler(pub(crate) Arc<App>);

/// The parts of a list as messages.
fn parts<P: Into<T>, T: Send + 'static>(parts: Vec<P>) -> Answers<T> {
    let messages: Vec<Result<T, Status>> = parts.into_iter().map(|part| Ok(part.into())).collect();
    stream::iter(messages).boxed()
}

#[tonic::async_trait]
impl AdminService for AdminHandler {
    async fn create_tenant(
        &self,
        request: Request<proto::CreateTenantRequest>,
    ) -> Result<Response<proto::CreateTenantResponse>, Status> {
        call(&self.0, "CreateTenant", async {
            self.0.authorise(request.extensions(), method!("CreateTenant"), None)?;
            Ok(admin::create_tenant(&self.0, request.into_inner().try_into()?).await?.into())
        })
        .await
    }

    type ListTenantsStream = Answers<proto::ListTenantsResponse>;

    async fn list_tenants(
        &self,
        request: Request<proto::ListTenantsRequest>,
    ) -> Result<Response<Self::ListTenantsStream>, Status> {
        call(&self.0, "ListTenants", async {
            self.0.authorise(request.extensions(), method!("ListTenants"), None)?;
            let tenants = admin::tenants(&self.0).await?.into_iter().map(|part| proto::ListTenantsResponse {
                tenants: part.into_iter().map(Into::into).collect(),
            });
            Ok(parts(tenants.collect()))
        })
        .await
    }

    async fn set_tenant_state(
        &self,
        request: Request<proto::SetTenantStateRequest>,
    ) -> Result<Response<proto::SetTenantStateResponse>, Status> {
        call(&self.0, "SetTenantState", async {
            self.0.authorise(request.extensions(), method!("SetTenantState"), None)?;
            admin::set_tenant_state(&self.0, request.into_inner().try_into()?).await?;
            Ok(proto::SetTenantStateResponse {})
        })
        .await
    }

    async fn add_tenant_admin(
        &self,
        request: Request<proto::AddTenantAdminRequest>,
    ) -> Result<Response<proto::AddTenantAdminResponse>, Status> {
        call(&self.0, "AddTenantAdmin", async {
            self.0.authorise(request.extensions(), method!("AddTenantAdmin"), None)?;
            Ok(admin::add_tenant_admin(&self.0, request.into_inner().try_into()?).await?.into())
        })
        .await
    }

    async fn bind_subject(
        &self,
        request: Request<proto::BindSubjectRequest>,
    ) -> Result<Response<proto::BindSubjectResponse>, Status> {
        call(&self.0, "BindSubject", async {
            self.0.authorise(request.extensions(), method!("BindSubject"), None)?;
            admin::bind_subject(&self.0, named_subject(request.into_inner().subject)?).await?;
            Ok(proto::BindSubjectResponse {})
        })
        .await
    }

    async fn unbind_subject(
        &self,
        request: Request<proto::UnbindSubjectRequest>,
    ) -> Result<Response<proto::UnbindSubjectResponse>, Status> {
        call(&self.0, "UnbindSubject", async {
            self.0.authorise(request.extensions(), method!("UnbindSubject"), None)?;
            admin::unbind_subject(&self.0, named_subject(request.into_inner().subject)?).await?;
            Ok(proto::UnbindSubjectResponse {})
        })
        .await
    }

    async fn create_principal(
        &self,
        request: Request<proto::CreatePrincipalRequest>,
    ) -> Result<Response<proto::CreatePrincipalResponse>, Status> {
        call(&self.0, "CreatePrincipal", async {
            let allowed = self.0.authorise(request.extensions(), method!("CreatePrincipal"), None)?;
            let name = principal_name(request.into_inner().name)?;
            let principal = admin::create_principal(&self.0, &allowed, name).await?;
            Ok(proto::CreatePrincipalResponse { principal: Some(principal.into()) })
        })
        .await
    }

    async fn set_principal_state(
        &self,
        request: Request<proto::SetPrincipalStateRequest>,
    ) -> Result<Response<proto::SetPrincipalStateResponse>, Status> {
        call(&self.0, "SetPrincipalState", async {
            let allowed = self.0.authorise(request.extensions(), method!("SetPrincipalState"), None)?;
            admin::set_principal_state(&self.0, &allowed, request.into_inner().try_into()?).await?;
            Ok(proto::SetPrincipalStateResponse {})
        })
        .await
    }

    async fn create_api_key(
        &self,
        request: Request<proto::CreateApiKeyRequest>,
    ) -> Result<Response<proto::CreateApiKeyResponse>, Status> {
        call(&self.0, "CreateApiKey", async {
            let allowed = self.0.authorise(request.extensions(), method!("CreateApiKey"), None)?;
            let key = admin::create_key(&self.0, &allowed, request.into_inner().try_into()?).await?;
            Ok(proto::CreateApiKeyResponse { key: Some(key.into()) })
        })
        .await
    }

    async fn rotate_api_key(
        &self,
        request: Request<proto::RotateApiKeyRequest>,
    ) -> Result<Response<proto::RotateApiKeyResponse>, Status> {
        call(&self.0, "RotateApiKey", async {
            let allowed = self.0.authorise(request.extensions(), method!("RotateApiKey"), None)?;
            let key = admin::rotate_key(&self.0, &allowed, request.into_inner().try_into()?).await?;
            Ok(proto::RotateApiKeyResponse { key: Some(key.into()) })
        })
        .await
    }

    async fn rotate_own_key(
        &self,
        request: Request<proto::RotateOwnKeyRequest>,
    ) -> Result<Response<proto::RotateOwnKeyResponse>, Status> {
        call(&self.0, "RotateOwnKey", async {
            let allowed = self.0.authorise(request.extensions(), method!("RotateOwnKey"), None)?;
            let key = admin::rotate_own_key(&self.0, &allowed, request.into_inner().try_into()?).await?;
            Ok(proto::RotateOwnKeyResponse { key: Some(key.into()) })
        })
        .await
    }

    async fn revoke_api_key(
        &self,
        request: Request<proto::RevokeApiKeyRequest>,
    ) -> Result<Response<proto::RevokeApiKeyResponse>, Status> {
        call(&self.0, "RevokeApiKey", async {
            let allowed = self.0.authorise(request.extensions(), method!("RevokeApiKey"), None)?;
            admin::revoke_key(&self.0, &allowed, api_key_id(&request.into_inner().key_id)?).await?;
            Ok(proto::RevokeApiKeyResponse {})
        })
        .await
    }

    async fn add_grant(
        &self,
        request: Request<proto::AddGrantRequest>,
    ) -> Result<Response<proto::AddGrantResponse>, Status> {
        call(&self.0, "AddGrant", async {
            let allowed = self.0.authorise(request.extensions(), method!("AddGrant"), None)?;
            let grant = admin::add_grant(&self.0, &allowed, request.into_inner().try_into()?).await?;
            Ok(proto::AddGrantResponse { grant: Some(grant.into()) })
        })
        .await
    }

    async fn revoke_grant(
        &self,
        request: Request<proto::RevokeGrantRequest>,
    ) -> Result<Response<proto::RevokeGrantResponse>, Status> {
        call(&self.0, "RevokeGrant", async {
            let allowed = self.0.authorise(request.extensions(), method!("RevokeGrant"), None)?;
            admin::revoke_grant(&self.0, &allowed, grant_id(&request.into_inner().grant_id)?).await?;
            Ok(proto::RevokeGrantResponse {})
        })
        .await
    }

    type ReviewStream = Answers<proto::ReviewResponse>;

    async fn review(
        &self,
        request: Request<proto::ReviewRequest>,
    ) -> Result<Response<Self::ReviewStream>, Status> {
        call(&self.0, "Review", async {
            let allowed = self.0.authorise(request.extensions(), method!("Review"), None)?;
            Ok(parts(admin::review(&self.0, &allowed).await?))
        })
        .await
    }
}
