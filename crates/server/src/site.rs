//! The server as one tenant has it.

use crate::app::App;
use crate::galleries::GalleriesOf;
use std::ops::Deref;
use std::sync::Arc;
use tyto_access::{Caller, CredentialName, TenantId};
use tyto_store::Store;

/// The server as one tenant has it: its galleries and its rows are that tenant's, whatever is asked for; the rest is
/// everybody's. What works for a tenant gets this, and so cannot reach past it by naming an id.
pub(crate) struct Site {
    app: Arc<App>,
    /// Who was authenticated, as statements name it: tenant and principal.
    principal: Option<String>,
    /// In the place of [`App::store`].
    pub(crate) store: Store,
    /// In the place of [`App::galleries`].
    pub(crate) galleries: GalleriesOf,
}

impl Site {
    pub(crate) fn of(app: &Arc<App>, caller: &Caller) -> Arc<Self> {
        let tenant = caller.tenant;
        let (store, galleries) = (app.store.of(tenant), app.galleries.of(tenant));
        let authenticated = caller.credential != CredentialName::Local;
        let principal = authenticated.then(|| format!("{tenant}/{}", caller.principal));
        Arc::new(Self { app: app.clone(), principal, store, galleries })
    }

    /// The server as it is for all.
    #[cfg(test)]
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Whom statements are made for, if anybody was authenticated. Ids of galleries are a tenant's own: what a statement
    /// says of one is about that tenant's.
    pub(crate) fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    /// Whose it is.
    pub(crate) fn tenant(&self) -> TenantId {
        self.store.tenant()
    }
}

impl Deref for Site {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}
