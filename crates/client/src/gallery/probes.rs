//! Probes on their way to the server.

use super::tickets::TicketMode;
use super::{GalleryHandle, compute};
use crate::{Error, ProbeBy};
use bytes::Bytes;
use std::sync::Arc;
use tyto_api::limits::MAX_MESSAGE_BYTES;
use tyto_api::matching::{self, Probe, WholeQuery};
use tyto_scheme::query::parse_deltas;
use tyto_tenant::decrypt::Pending;
use tyto_tenant::probe::{Mode, TicketUse, whole_query};
use tyto_tenant::{Gallery, Template};

/// What a request has beside the polynomials of a query.
const REQUEST_OVERHEAD_BYTES: usize = 4096;

/// A probe that is ready to be sent, and what decrypts its answer.
pub(crate) struct Ready<M: Mode> {
    pub(crate) probe: Probe,
    pub(crate) pending: Arc<Pending<M>>,
    /// Bytes that were sent for it already.
    pub(crate) bytes_sent: u64,
    /// The ticket as it was uploaded, if the client keeps what a replay needs.
    pub(crate) ticket: Option<Bytes>,
}

impl<M: Mode> Ready<M> {
    /// Whether the same request may be sent again: a ticket's use has one answer, which the server replays.
    pub(crate) fn may_be_sent_again(&self) -> bool {
        matches!(self.probe, Probe::Ticket(_))
    }
}

/// A use of a ticket as it is sent.
pub(crate) fn ticket_message(used: &TicketUse) -> Probe {
    let deltas = used.delta_bytes().into();
    Probe::Ticket(matching::TicketUse { ticket: used.ticket, deltas, tag: used.tag })
}

/// Checks the echo of a ticket's use, before anything is decrypted.
pub(crate) fn check_echo<M: Mode>(
    gallery: &Gallery,
    pending: &Pending<M>,
    echoed: Option<&matching::TicketUse>,
) -> Result<(), Error> {
    let parse = |echoed: &matching::TicketUse| {
        let deltas = parse_deltas(gallery.layout(), M::KIND, &echoed.deltas)?;
        Ok(TicketUse { ticket: echoed.ticket, deltas, tag: echoed.tag })
    };
    let echoed =
        echoed.map(parse).transpose().map_err(|error: tyto_scheme::Error| Error::Tenant(error.into()))?;
    Ok(pending.check_echo(echoed.as_ref())?)
}

impl GalleryHandle {
    /// Makes a probe ready.
    pub(crate) async fn ready_probe<M: TicketMode>(
        &self,
        x: &Template,
        target: M::Target,
        by: ProbeBy,
    ) -> Result<Ready<M>, Error> {
        let bytes = M::KIND.polynomials_bytes(self.gallery().layout());
        let max_bytes = MAX_MESSAGE_BYTES - REQUEST_OVERHEAD_BYTES;
        let keep = self.0.shared.config.keep_replays;
        let (ticket, uploaded, bytes_sent) = match by {
            ProbeBy::WholeQuery if bytes > max_bytes => {
                return Err(Error::QueryTooLarge { bytes, max_bytes });
            }
            ProbeBy::WholeQuery => (None, None, 0),
            ProbeBy::Auto | ProbeBy::Ticket => match if keep { None } else { self.ready_ticket::<M>() } {
                Some(ticket) => (Some(ticket), None, 0),
                None if by == ProbeBy::Auto && bytes <= max_bytes => (None, None, 0),
                None => {
                    let (ticket, uploaded) = self.new_ticket::<M>().await?;
                    let sent = uploaded.len() as u64;
                    (Some(ticket), keep.then_some(uploaded), sent)
                }
            },
        };
        let (gallery, x) = (Arc::clone(&self.0.gallery), x.clone());
        compute(move || {
            let (probe, pending) = if let Some(ticket) = ticket {
                let (used, pending) = ticket.bind(&gallery, &x, target)?;
                (ticket_message(&used), pending)
            } else {
                let (polynomials, pending) = whole_query::<M>(&gallery, &x, target)?;
                let (key, mask_epoch) = (gallery.parameters().key, gallery.parameters().mask_epoch);
                (Probe::Query(WholeQuery { key, mask_epoch, polynomials: polynomials.into() }), pending)
            };
            Ok(Ready { probe, pending: Arc::new(pending), bytes_sent, ticket: uploaded })
        })
        .await
    }
}

/// Whether a comparison that failed may be made again with a new probe. What was refused never is; a server that
/// does not know a ticket any more gets one new probe.
pub(crate) fn may_try_anew(error: &Error, by_ticket: bool, attempts: u32, max_attempts: u32) -> bool {
    let forgotten = by_ticket && attempts == 1 && matches!(error, Error::Rpc { .. });
    attempts < max_attempts && (error.is_transient() || forgotten)
}
