//! The one place that learns of every decision about a call.

use crate::app::App;
use crate::audit::Notes;
use tonic::Extensions;
use tyto_access::{Caller, Denial};
use tyto_scheme::GalleryId;

/// Notes a decision for the call's record in the audit log, counts it, and logs a denial. Nothing of a credential but its name is known here.
pub(super) fn decided(
    app: &App,
    extensions: &Extensions,
    caller: Option<&Caller>,
    method: &str,
    gallery: Option<GalleryId>,
    denial: Option<Denial>,
) {
    Notes::of(extensions).decided(caller, gallery, denial);
    let Some(denial) = denial else { return };
    app.metrics.calls_denied.add(1);
    let caller = caller.map(|caller| {
        let Caller { tenant, principal, credential, .. } = caller;
        format!("{tenant}/{principal} {credential}")
    });
    tracing::info!(
        method,
        caller = caller.as_deref(),
        gallery = gallery.map(tracing::field::display),
        reason = %denial,
        "denied"
    );
}
