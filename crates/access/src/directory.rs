//! Tenants, principals, credentials and grants as they are at one moment, and the decisions that follow from them.

use crate::policy::{Scope, rule_of};
use crate::{
    ApiKey, ApiKeyId, Caller, CredentialName, Denial, GrantId, KeyCheck, PrincipalId, Role, TenantId,
    Verifier,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tyto_scheme::GalleryId;

const DAY_MS: u64 = 24 * 3600 * 1000;

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRecord {
    /// Its id.
    pub id: TenantId,
    /// Its name, of which there is one.
    pub name: String,
    /// Whether none of its principals may call.
    pub disabled: bool,
    /// Unix time.
    pub created_ms: u64,
}

/// A principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalRecord {
    /// Its id.
    pub id: PrincipalId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name, of which its tenant has one.
    pub name: String,
    /// Whether it runs the server: that is no role in any tenant.
    pub operator: bool,
    /// Whether it may not call.
    pub disabled: bool,
    /// Unix time.
    pub created_ms: u64,
}

/// What a server keeps of an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub principal: PrincipalId,
    /// What it is recognised by.
    pub verifier: Verifier,
    /// What authenticates sealed sessions, sealed.
    pub sealed_session: Vec<u8>,
    /// Unix time.
    pub created_ms: u64,
    /// When it expires, if ever.
    pub expires_ms: Option<u64>,
    /// When it was used last, to the minute; 0 for never.
    pub last_used_ms: u64,
    /// When it was revoked, if it was.
    pub revoked_ms: Option<u64>,
    /// The key that this one was made in the place of.
    pub rotated_from: Option<ApiKeyId>,
}

/// Who vouches for a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// The authority of client certificates; the issuer is empty.
    Certificate,
    /// An issuer of tokens.
    Token,
}

/// An identity that somebody else vouches for, and the principal that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectRecord {
    /// Of which kind.
    pub kind: SubjectKind,
    /// Who vouches for it.
    pub issuer: String,
    /// Its name.
    pub subject: String,
    /// The principal.
    pub principal: PrincipalId,
    /// Unix time.
    pub created_ms: u64,
}

/// A right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// Who has it.
    pub principal: PrincipalId,
    /// The role.
    pub role: Role,
    /// For one gallery, or for the whole tenant.
    pub gallery: Option<GalleryId>,
    /// Unix time.
    pub created_ms: u64,
    /// When it ends, if ever.
    pub expires_ms: Option<u64>,
}

impl Grant {
    /// Whether it holds at a time.
    pub fn holds(&self, now_ms: u64) -> bool {
        self.expires_ms.is_none_or(|expires_ms| now_ms < expires_ms)
    }
}

/// All that is stored of who may do what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The tenants.
    pub tenants: Vec<TenantRecord>,
    /// The principals.
    pub principals: Vec<PrincipalRecord>,
    /// The API keys.
    pub keys: Vec<StoredKey>,
    /// The subjects.
    pub subjects: Vec<SubjectRecord>,
    /// The grants.
    pub grants: Vec<Grant>,
}

/// How long API keys are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRules {
    /// Older ones are refused.
    pub max_age_days: u32,
    /// Those that were not used for longer are refused.
    pub max_idle_days: u32,
}

impl Default for KeyRules {
    /// 90 days, and 30.
    fn default() -> Self {
        Self { max_age_days: 90, max_idle_days: 30 }
    }
}

struct Key {
    record: StoredKey,
    /// Shared with the directory that takes this one's place.
    last_used_ms: Arc<AtomicU64>,
}

struct Principal {
    record: PrincipalRecord,
    grants: Vec<Grant>,
}

/// Who may do what, at one moment.
pub struct Directory {
    rules: KeyRules,
    tenants: HashMap<TenantId, TenantRecord>,
    principals: HashMap<PrincipalId, Principal>,
    keys: HashMap<ApiKeyId, Key>,
    /// By kind, issuer and subject.
    subjects: HashMap<(SubjectKind, String, String), PrincipalId>,
}

impl Directory {
    /// From what is stored.
    pub fn new(rules: KeyRules, records: Records) -> Self {
        let Records { tenants, principals, keys, subjects, grants } = records;
        let mut principals: HashMap<_, _> = principals
            .into_iter()
            .map(|record| (record.id, Principal { record, grants: Vec::new() }))
            .collect();
        for grant in grants {
            if let Some(principal) = principals.get_mut(&grant.principal) {
                principal.grants.push(grant);
            }
        }
        let key = |record: StoredKey| {
            let last_used_ms = Arc::new(AtomicU64::new(record.last_used_ms));
            (record.id, Key { record, last_used_ms })
        };
        Self {
            rules,
            tenants: tenants.into_iter().map(|tenant| (tenant.id, tenant)).collect(),
            principals,
            keys: keys.into_iter().map(key).collect(),
            subjects: subjects.into_iter().map(|s| ((s.kind, s.issuer, s.subject), s.principal)).collect(),
        }
    }

    /// The same, in the place of another one: what that knows of the last uses of keys goes on to be known.
    #[must_use]
    pub fn in_place_of(mut self, old: &Self) -> Self {
        for (id, key) in &mut self.keys {
            if let Some(old) = old.keys.get(id) {
                old.last_used_ms.fetch_max(key.record.last_used_ms, Ordering::Relaxed);
                key.last_used_ms = old.last_used_ms.clone();
            }
        }
        self
    }

    /// When each API key was used last, of those that ever were.
    pub fn last_uses(&self) -> Vec<(ApiKeyId, u64)> {
        let uses = self.keys.iter().map(|(&id, key)| (id, key.last_used_ms.load(Ordering::Relaxed)));
        uses.filter(|&(_, at)| at > 0).collect()
    }

    /// When an API key was used last; 0 for never.
    pub fn last_used_ms(&self, key: ApiKeyId) -> u64 {
        self.keys.get(&key).map_or(0, |key| key.last_used_ms.load(Ordering::Relaxed))
    }

    /// The caller that an API key proves, and notes the use.
    ///
    /// # Errors
    /// Why it is nobody's, or not taken now. Before the secret has proved right all that is told is
    /// [`Denial::UnknownCredential`].
    pub fn authenticate(&self, check: &KeyCheck, key: &ApiKey, now_ms: u64) -> Result<Caller, Denial> {
        let known = self.keys.get(&key.id());
        // The same work for an id that is not known.
        let kept = known.map_or(Verifier([0; 32]), |known| known.record.verifier);
        let right = check.matches(key, &kept);
        if !right {
            return Err(Denial::UnknownCredential);
        }
        self.confirm_key(key.id(), now_ms)
    }

    /// The caller that a subject stands for whom somebody else has vouched for.
    ///
    /// # Errors
    /// [`Denial::UnknownCredential`], [`Denial::PrincipalDisabled`], [`Denial::TenantDisabled`].
    pub fn of_subject(&self, kind: SubjectKind, issuer: &str, subject: &str) -> Result<Caller, Denial> {
        let principal = self.subjects.get(&(kind, issuer.to_owned(), subject.to_owned()));
        let name = match kind {
            SubjectKind::Certificate => CredentialName::Certificate(subject.into()),
            SubjectKind::Token => CredentialName::Token { issuer: issuer.into(), subject: subject.into() },
        };
        self.caller(*principal.ok_or(Denial::UnknownCredential)?, name)
    }

    /// What authenticates the sealed sessions of an API key, sealed: for a handshake, which proves the rest and then asks
    /// [`Directory::confirm_key`]. Whether the key is still taken is not told to whoever has proved nothing.
    pub fn session_of_key(&self, key: ApiKeyId) -> Option<&[u8]> {
        self.keys.get(&key).map(|known| known.record.sealed_session.as_slice())
    }

    /// The caller that an API key proves which was proved by other means than being sent, and notes the use.
    ///
    /// # Errors
    /// As [`Directory::authenticate`].
    pub fn confirm_key(&self, key: ApiKeyId, now_ms: u64) -> Result<Caller, Denial> {
        let known = self.keys.get(&key).ok_or(Denial::UnknownCredential)?;
        self.check_key(known, now_ms)?;
        let caller = self.caller(known.record.principal, CredentialName::ApiKey(key))?;
        known.last_used_ms.fetch_max(now_ms, Ordering::Relaxed);
        Ok(caller)
    }

    /// Whether an API key is taken now, without a use of it.
    pub fn is_taken(&self, key: ApiKeyId, now_ms: u64) -> bool {
        self.keys.get(&key).is_some_and(|known| {
            let caller = || self.caller(known.record.principal, CredentialName::ApiKey(key));
            self.check_key(known, now_ms).is_ok() && caller().is_ok()
        })
    }

    /// Whether a caller may make a call now. `gallery` is the one that it is about, if it names one; a call that is about a
    /// gallery and has not named it yet passes if it could be allowed for one.
    ///
    /// # Errors
    /// Why not.
    pub fn authorise(
        &self,
        caller: &Caller,
        method: &str,
        gallery: Option<GalleryId>,
        now_ms: u64,
    ) -> Result<(), Denial> {
        let rule = rule_of(method).ok_or(Denial::UnknownMethod)?;
        if rule.scope == Scope::Open {
            return Ok(());
        }
        if caller.credential == CredentialName::Local {
            // It has every role in its tenant, and runs the server; but what it gave to others would outlast it.
            return if rule.lasting { Err(Denial::NoCredential) } else { Ok(()) };
        }
        self.check_standing(caller, now_ms)?;
        let principal = self.principals.get(&caller.principal).ok_or(Denial::UnknownCredential)?;
        if rule.operator && principal.record.operator {
            return Ok(());
        }
        let mut denial = Denial::Role;
        for grant in &principal.grants {
            if !rule.roles.contains(grant.role) || !grant.holds(now_ms) {
                continue;
            }
            match (rule.scope, grant.gallery, gallery) {
                (Scope::Operator, ..) => {}
                (Scope::Tenant, Some(_), _) => denial = Denial::WholeTenant,
                (Scope::Gallery, Some(granted), Some(named)) if granted != named => {
                    denial = Denial::Gallery(named);
                }
                _ => return Ok(()),
            }
        }
        Err(denial)
    }

    /// Whether a list that a caller asked for may show a gallery.
    pub fn may_see(&self, caller: &Caller, gallery: GalleryId, now_ms: u64) -> bool {
        caller.credential == CredentialName::Local
            || self.principals.get(&caller.principal).is_some_and(|principal| {
                let covers = |grant: &Grant| grant.gallery.is_none_or(|granted| granted == gallery);
                principal.grants.iter().any(|grant| grant.holds(now_ms) && covers(grant))
            })
    }

    /// The principal of an id within a tenant.
    pub fn principal(&self, tenant: TenantId, id: PrincipalId) -> Option<&PrincipalRecord> {
        self.principals.get(&id).map(|principal| &principal.record).filter(|record| record.tenant == tenant)
    }

    /// Whether a tenant has an admin that can call now.
    pub fn has_usable_admin(&self, tenant: TenantId, now_ms: u64) -> bool {
        let is_admin =
            |grant: &Grant| grant.role == Role::Admin && grant.gallery.is_none() && grant.holds(now_ms);
        let usable = |id: PrincipalId| {
            self.subjects.values().any(|&principal| principal == id)
                || self
                    .keys
                    .values()
                    .any(|key| key.record.principal == id && self.check_key(key, now_ms).is_ok())
        };
        self.principals.values().any(|Principal { record, grants }| {
            record.tenant == tenant && !record.disabled && grants.iter().any(is_admin) && usable(record.id)
        })
    }

    /// Principals of a tenant.
    pub fn count_principals(&self, tenant: TenantId) -> usize {
        self.principals.values().filter(|principal| principal.record.tenant == tenant).count()
    }

    /// Grants of a principal, and its keys that are not revoked.
    pub fn count_of(&self, id: PrincipalId) -> (usize, usize) {
        let grants = self.principals.get(&id).map_or(0, |principal| principal.grants.len());
        let of_principal = |key: &&Key| key.record.principal == id && key.record.revoked_ms.is_none();
        (grants, self.keys.values().filter(of_principal).count())
    }

    /// Whose an API key is.
    pub fn key_owner(&self, key: ApiKeyId) -> Option<PrincipalId> {
        self.keys.get(&key).map(|key| key.record.principal)
    }

    /// When an API key expires, if ever.
    pub fn key_expiry(&self, key: ApiKeyId) -> Option<u64> {
        self.keys.get(&key).and_then(|key| key.record.expires_ms)
    }

    /// Who has a grant.
    pub fn grant_holder(&self, grant: GrantId) -> Option<PrincipalId> {
        let mut grants = self.principals.values().flat_map(|principal| &principal.grants);
        grants.find(|known| known.id == grant).map(|known| known.principal)
    }

    /// Whether what a caller proved itself with is still good: it may have been revoked since, or have ended.
    fn check_standing(&self, caller: &Caller, now_ms: u64) -> Result<(), Denial> {
        match &caller.credential {
            CredentialName::Local => {}
            CredentialName::ApiKey(id) => {
                let key = self.keys.get(id).ok_or(Denial::Revoked)?;
                self.check_key(key, now_ms)?;
            }
            CredentialName::Certificate(subject) => {
                self.of_subject(SubjectKind::Certificate, "", subject).map_err(revoked)?;
            }
            CredentialName::Token { issuer, subject } => {
                self.of_subject(SubjectKind::Token, issuer, subject).map_err(revoked)?;
            }
        }
        self.check_principal(caller.principal).map(|_| ())
    }

    fn check_key(&self, key: &Key, now_ms: u64) -> Result<(), Denial> {
        let record = &key.record;
        let KeyRules { max_age_days, max_idle_days } = self.rules;
        let ended = |from_ms: u64, days: u32| now_ms > from_ms.saturating_add(u64::from(days) * DAY_MS);
        // Whatever the clock says: it may have been set back since.
        if record.revoked_ms.is_some() {
            return Err(Denial::Revoked);
        }
        if record.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
            return Err(Denial::Expired);
        }
        if ended(record.created_ms, max_age_days) {
            return Err(Denial::TooOld { max_days: max_age_days });
        }
        let used_ms = key.last_used_ms.load(Ordering::Relaxed).max(record.created_ms);
        if ended(used_ms, max_idle_days) {
            return Err(Denial::Unused { max_days: max_idle_days });
        }
        Ok(())
    }

    fn check_principal(&self, id: PrincipalId) -> Result<&PrincipalRecord, Denial> {
        let principal = &self.principals.get(&id).ok_or(Denial::UnknownCredential)?.record;
        let tenant = self.tenants.get(&principal.tenant).ok_or(Denial::UnknownCredential)?;
        if tenant.disabled {
            return Err(Denial::TenantDisabled);
        }
        if principal.disabled {
            return Err(Denial::PrincipalDisabled);
        }
        Ok(principal)
    }

    fn caller(&self, principal: PrincipalId, credential: CredentialName) -> Result<Caller, Denial> {
        let tenant = self.check_principal(principal)?.tenant;
        Ok(Caller::new(tenant, principal, credential))
    }
}

/// A subject that was known and is not any more was revoked.
fn revoked(denial: Denial) -> Denial {
    if denial == Denial::UnknownCredential { Denial::Revoked } else { denial }
}

#[cfg(test)]
mod tests;
