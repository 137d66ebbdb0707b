//! Tenants, principals, credentials and grants.

use crate::Error;
use crate::access::Allowed;
use crate::app::{App, unix_ms};
use std::sync::Arc;
use tyto_access::{
    ApiKeyId, CredentialName, Denial, Grant, GrantId, PrincipalId, PrincipalRecord, Records, Role, StoredKey,
    SubjectRecord, TenantId, TenantRecord,
};
use tyto_api::admin::{
    AddGrant, AddTenantAdmin, CreateApiKey, CreateTenant, CreatedAdmin, CreatedTenant, IssuedKey, KeyInfo,
    Review, RotateApiKey, RotateOwnKey, SetPrincipalState, SetTenantState,
};
use tyto_store::Store;

/// Entries of one message of a list.
const PART: usize = 500;
/// Every change reads what is stored of all tenants again, so that none may have any number of them.
const MAX_PRINCIPALS: usize = 1000;
const MAX_KEYS: usize = 16;
const MAX_GRANTS: usize = 256;

/// Makes a change of rights, and lets every later call see it, whether or not the caller waits for the end.
async fn change<T: Send + 'static, F>(
    app: &Arc<App>,
    work: impl FnOnce(Store) -> F + Send + 'static,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, tyto_store::Error>> + Send + 'static,
{
    let changing = app.clone();
    app.work.detached(async move { changing.access.change(&changing.store, work).await }).await
}

async fn add(app: &Arc<App>, new: Records) -> Result<(), Error> {
    change(app, |store| async move { store.add_access(&new).await }).await
}

/// Whether there may be one more.
fn at_most(what: &'static str, found: usize, max: usize) -> Result<(), Error> {
    if found < max { Ok(()) } else { Err(Error::TooManyRights { what, max }) }
}

/// A change of one thing, which there has to be.
fn found(found: bool, missing: Error) -> Result<(), Error> {
    if found { Ok(()) } else { Err(missing) }
}

fn new_principal(tenant: TenantId, name: String) -> Result<PrincipalRecord, Error> {
    let id = PrincipalId(tyto_pqc::random::bytes()?);
    Ok(PrincipalRecord { id, tenant, name, operator: false, disabled: false, created_ms: unix_ms() })
}

fn new_grant(
    principal: PrincipalId,
    role: Role,
    gallery: Option<tyto_scheme::GalleryId>,
    expires_ms: Option<u64>,
) -> Result<Grant, Error> {
    let id = GrantId(tyto_pqc::random::bytes()?);
    Ok(Grant { id, principal, role, gallery, created_ms: unix_ms(), expires_ms })
}

fn info(key: &StoredKey, last_used_ms: u64) -> KeyInfo {
    KeyInfo {
        id: key.id,
        principal: key.principal,
        created_ms: key.created_ms,
        expires_ms: key.expires_ms,
        last_used_ms: (last_used_ms > 0).then_some(last_used_ms),
        revoked_ms: key.revoked_ms,
    }
}

fn make_key(
    app: &App,
    principal: PrincipalId,
    expires_ms: Option<u64>,
) -> Result<(IssuedKey, StoredKey), Error> {
    let (key, stored) = app.access.keys.make(principal, unix_ms(), expires_ms)?;
    Ok((IssuedKey { info: info(&stored, 0), text: key.to_text() }, stored))
}

/// An end that lies ahead.
fn ahead(field: &'static str, ends_ms: Option<u64>) -> Result<Option<u64>, Error> {
    match ends_ms {
        Some(at) if at <= unix_ms() => Err(Error::PastTime { field }),
        ends => Ok(ends),
    }
}

/// A principal of the caller's tenant. Operators are none of it, whatever tenant their rows name: else the built-in
/// tenant's admins could make themselves keys of theirs.
fn principal_of(allowed: &Allowed, id: PrincipalId) -> Result<(), Error> {
    let directory = allowed.site.access.directory();
    let known = directory.principal(allowed.caller.tenant, id).filter(|principal| !principal.operator);
    known.map(|_| ()).ok_or(Error::UnknownPrincipal(id))
}

fn admin_of(app: &App, tenant: TenantId, name: String) -> Result<(CreatedAdmin, Records), Error> {
    let principal = new_principal(tenant, name)?;
    let (key, stored) = make_key(app, principal.id, None)?;
    let grants = vec![new_grant(principal.id, Role::Admin, None, None)?];
    let new =
        Records { principals: vec![principal.clone()], keys: vec![stored], grants, ..Records::default() };
    Ok((CreatedAdmin { principal, key }, new))
}

pub(crate) async fn create_tenant(app: &Arc<App>, request: CreateTenant) -> Result<CreatedTenant, Error> {
    let CreateTenant { name, admin_name } = request;
    let id = TenantId(tyto_pqc::random::bytes()?);
    let tenant = TenantRecord { id, name, disabled: false, created_ms: unix_ms() };
    let (admin, mut new) = admin_of(app, id, admin_name)?;
    new.tenants.push(tenant.clone());
    add(app, new).await?;
    tracing::info!(tenant = %id, "tenant created");
    Ok(CreatedTenant { tenant, admin })
}

pub(crate) async fn add_tenant_admin(app: &Arc<App>, request: AddTenantAdmin) -> Result<CreatedAdmin, Error> {
    let AddTenantAdmin { tenant, name } = request;
    if !app.store.access_records().await?.tenants.iter().any(|known| known.id == tenant) {
        return Err(Error::UnknownTenant(tenant));
    }
    // Operators have no right in a tenant: they help one that cannot help itself.
    if app.access.directory().has_usable_admin(tenant, unix_ms()) {
        return Err(Error::TenantHasAdmin(tenant));
    }
    let (admin, new) = admin_of(app, tenant, name)?;
    add(app, new).await?;
    tracing::info!(%tenant, principal = %admin.principal.id, "admin added");
    Ok(admin)
}

/// All tenants, in parts.
pub(crate) async fn tenants(app: &App) -> Result<Vec<Vec<TenantRecord>>, Error> {
    let tenants = app.store.access_records().await?.tenants;
    Ok(tenants.chunks(PART).map(<[_]>::to_vec).collect())
}

pub(crate) async fn set_tenant_state(app: &Arc<App>, request: SetTenantState) -> Result<(), Error> {
    let SetTenantState { tenant, disabled } = request;
    let set = change(app, move |store| async move { store.set_tenant_disabled(tenant, disabled).await });
    found(set.await?, Error::UnknownTenant(tenant))
}

pub(crate) async fn bind_subject(app: &Arc<App>, mut subject: SubjectRecord) -> Result<(), Error> {
    let id = subject.principal;
    if !app.store.access_records().await?.principals.iter().any(|known| known.id == id) {
        return Err(Error::UnknownPrincipal(id));
    }
    subject.created_ms = unix_ms();
    add(app, Records { subjects: vec![subject], ..Records::default() }).await
}

pub(crate) async fn unbind_subject(app: &Arc<App>, subject: SubjectRecord) -> Result<(), Error> {
    let missing = Error::UnknownPrincipal(subject.principal);
    let removed = change(app, move |store| async move { store.remove_subject(&subject).await });
    found(removed.await?, missing)
}

pub(crate) async fn create_principal(
    app: &Arc<App>,
    allowed: &Allowed,
    name: String,
) -> Result<PrincipalRecord, Error> {
    let tenant = allowed.caller.tenant;
    at_most("principals of a tenant", app.access.directory().count_principals(tenant), MAX_PRINCIPALS)?;
    let principal = new_principal(tenant, name)?;
    add(app, Records { principals: vec![principal.clone()], ..Records::default() }).await?;
    Ok(principal)
}

pub(crate) async fn set_principal_state(
    app: &Arc<App>,
    allowed: &Allowed,
    request: SetPrincipalState,
) -> Result<(), Error> {
    let SetPrincipalState { principal, disabled } = request;
    principal_of(allowed, principal)?;
    let set =
        change(app, move |store| async move { store.set_principal_disabled(principal, disabled).await });
    found(set.await?, Error::UnknownPrincipal(principal))
}

pub(crate) async fn create_key(
    app: &Arc<App>,
    allowed: &Allowed,
    request: CreateApiKey,
) -> Result<IssuedKey, Error> {
    principal_of(allowed, request.principal)?;
    at_most("keys of a principal", app.access.directory().count_of(request.principal).1, MAX_KEYS)?;
    let expires_ms = ahead("expires_unix_ms", request.expires_ms)?;
    let (issued, stored) = make_key(app, request.principal, expires_ms)?;
    add(app, Records { keys: vec![stored], ..Records::default() }).await?;
    Ok(issued)
}

/// The principal that a key of the caller's tenant belongs to.
fn owner(allowed: &Allowed, key: ApiKeyId) -> Result<PrincipalId, Error> {
    let directory = allowed.site.access.directory();
    let principal = directory.key_owner(key).ok_or(Error::UnknownApiKey(key))?;
    principal_of(allowed, principal).map_err(|_| Error::UnknownApiKey(key))?;
    Ok(principal)
}

pub(crate) async fn rotate_key(
    app: &Arc<App>,
    allowed: &Allowed,
    request: RotateApiKey,
) -> Result<IssuedKey, Error> {
    let principal = owner(allowed, request.key)?;
    replace(app, request.key, principal, request.overlap_s, ahead("expires_unix_ms", request.expires_ms)?)
        .await
}

pub(crate) async fn rotate_own_key(
    app: &Arc<App>,
    allowed: &Allowed,
    request: RotateOwnKey,
) -> Result<IssuedKey, Error> {
    let CredentialName::ApiKey(key) = allowed.caller.credential else {
        return Err(Denial::CredentialForm.into());
    };
    // The new one ends when the old one would have: nobody gives itself time.
    let expires_ms = allowed.site.access.directory().key_expiry(key);
    replace(app, key, allowed.caller.principal, request.overlap_s, expires_ms).await
}

/// Makes another key for a principal; the old one ends after the overlap.
async fn replace(
    app: &Arc<App>,
    old: ApiKeyId,
    principal: PrincipalId,
    overlap_s: u32,
    expires_ms: Option<u64>,
) -> Result<IssuedKey, Error> {
    let (issued, mut stored) = make_key(app, principal, expires_ms)?;
    stored.rotated_from = Some(old);
    let ends_ms = unix_ms() + u64::from(overlap_s) * 1000;
    let replaced =
        change(app, move |store| async move { store.replace_api_key(old, &stored, ends_ms).await });
    found(replaced.await?, Error::KeyReplaced(old))?;
    Ok(issued)
}

pub(crate) async fn revoke_key(app: &Arc<App>, allowed: &Allowed, key: ApiKeyId) -> Result<(), Error> {
    owner(allowed, key)?;
    let now_ms = unix_ms();
    let revoked = change(app, move |store| async move { store.revoke_api_key(key, now_ms).await });
    found(revoked.await?, Error::UnknownApiKey(key))
}

pub(crate) async fn add_grant(app: &Arc<App>, allowed: &Allowed, request: AddGrant) -> Result<Grant, Error> {
    let AddGrant { principal, role, gallery, expires_ms } = request;
    principal_of(allowed, principal)?;
    at_most("grants of a principal", app.access.directory().count_of(principal).0, MAX_GRANTS)?;
    if let Some(gallery) = gallery {
        allowed.site.galleries.get(gallery)?;
    }
    let grant = new_grant(principal, role, gallery, ahead("expires_unix_ms", expires_ms)?)?;
    add(app, Records { grants: vec![grant.clone()], ..Records::default() }).await?;
    Ok(grant)
}

pub(crate) async fn revoke_grant(app: &Arc<App>, allowed: &Allowed, grant: GrantId) -> Result<(), Error> {
    let directory = allowed.site.access.directory();
    let holder = directory.grant_holder(grant).ok_or(Error::UnknownGrant(grant))?;
    principal_of(allowed, holder).map_err(|_| Error::UnknownGrant(grant))?;
    let removed = change(app, move |store| async move { store.remove_grant(grant).await });
    found(removed.await?, Error::UnknownGrant(grant))
}

/// Who may do what in the caller's tenant, in parts.
pub(crate) async fn review(app: &App, allowed: &Allowed) -> Result<Vec<Review>, Error> {
    let records = app.store.access_records().await?;
    let directory = app.access.directory();
    let tenant = allowed.caller.tenant;
    let of_tenant = |id: PrincipalId| directory.principal(tenant, id).is_some();
    let principals: Vec<_> = records.principals.into_iter().filter(|p| p.tenant == tenant).collect();
    let keys: Vec<_> = records.keys.iter().filter(|key| of_tenant(key.principal)).collect();
    let keys: Vec<_> = keys.into_iter().map(|key| info(key, directory.last_used_ms(key.id))).collect();
    let subjects: Vec<_> = records.subjects.into_iter().filter(|s| of_tenant(s.principal)).collect();
    let grants: Vec<_> = records.grants.into_iter().filter(|grant| of_tenant(grant.principal)).collect();
    let mut parts = Vec::new();
    parts.extend(principals.chunks(PART).map(|p| Review { principals: p.to_vec(), ..Review::default() }));
    parts.extend(keys.chunks(PART).map(|k| Review { keys: k.to_vec(), ..Review::default() }));
    parts.extend(subjects.chunks(PART).map(|s| Review { subjects: s.to_vec(), ..Review::default() }));
    parts.extend(grants.chunks(PART).map(|g| Review { grants: g.to_vec(), ..Review::default() }));
    Ok(parts)
}
