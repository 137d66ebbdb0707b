//! A gallery that is open.

use crate::{
    EnrolReport, Error, GalleryStat, Identification, IdentifyOptions, SubjectEntry, SyncReport, Verification,
    VerifyOptions,
};
use tyto_scheme::GalleryId;
use tyto_tenant::probe::{self, DeviceTicket, Mode, TicketUse};
use tyto_tenant::{Gallery, SubjectId, Template};

/// An open gallery. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct GalleryHandle {}

/// The modes that tickets are made for: 1:1 and 1:N.
pub trait TicketMode: Mode {}

impl TicketMode for probe::Verification {}
impl TicketMode for probe::Identification {}

impl GalleryHandle {
    /// The gallery's id.
    pub fn id(&self) -> GalleryId {
        todo!()
    }

    /// The gallery as its tenant sees it: name, layout, quantiser, pseudonyms.
    pub fn gallery(&self) -> &Gallery {
        todo!()
    }

    /// Fetches what changed since the last time: manifest, records, slot maps.
    ///
    /// # Errors
    /// Every way in which the answer can fail its checks, such as [`Error::RolledBack`], [`Error::Forked`],
    /// [`Error::MissingBlock`], [`Error::OtherRecord`].
    pub async fn sync(&self) -> Result<SyncReport, Error> {
        todo!()
    }

    /// Synchronises and counts.
    pub async fn stat(&self) -> Result<GalleryStat, Error> {
        todo!()
    }

    /// Synchronises and lists the subjects in order of their ids.
    pub async fn subjects(&self) -> Result<Vec<SubjectEntry>, Error> {
        todo!()
    }

    /// Enrols templates, in their order. `progress` is told how many are durably enrolled, after each transaction.
    ///
    /// # Errors
    /// [`Error::Enrolment`] says how many of the first templates are enrolled.
    pub async fn enrol<I>(&self, _items: I, _progress: &(dyn Fn(u64) + Send + Sync)) -> Result<EnrolReport, Error>
    where
        I: IntoIterator<Item = (SubjectId, Template)>,
        I::IntoIter: Send,
    {
        todo!()
    }

    /// Removes all templates of a subject. Returns how many there were.
    pub async fn remove(&self, _subject: &SubjectId) -> Result<u64, Error> {
        todo!()
    }

    /// Compares a probe with all templates of a subject (1:1).
    ///
    /// # Errors
    /// [`Error::UnknownSubject`] without asking the server, if the tenant's records do not list the subject.
    pub async fn verify(&self, subject: &SubjectId, probe: &Template) -> Result<Verification, Error> {
        self.verify_with(subject, probe, VerifyOptions::default()).await
    }

    /// The same with options.
    pub async fn verify_with(
        &self,
        _subject: &SubjectId,
        _probe: &Template,
        _options: VerifyOptions,
    ) -> Result<Verification, Error> {
        todo!()
    }

    /// Compares a probe with all templates of the gallery (1:N).
    pub async fn identify(
        &self,
        _probe: &Template,
        _options: IdentifyOptions,
    ) -> Result<Identification, Error> {
        todo!()
    }

    /// Makes and uploads tickets until `count` are ready, and keeps that many ready from then on.
    ///
    /// # Errors
    /// [`Error::TooManyTickets`].
    pub async fn prepare_tickets<M: TicketMode>(&self, _count: usize) -> Result<(), Error> {
        todo!()
    }

    /// Makes and uploads a ticket whose pads go to a capture device. Its use is accepted once, by this process.
    ///
    /// # Errors
    /// [`Error::TooManyTickets`] if too many wait for their use.
    pub async fn issue_device_ticket<M: TicketMode>(&self) -> Result<DeviceTicket, Error> {
        todo!()
    }

    /// Verifies a probe that a device bound to a ticket and to `Target::Subject(pseudonym of the subject)`.
    ///
    /// # Errors
    /// [`Error::UnknownTicket`]; what [`Ticket::accept`](probe::Ticket::accept) refuses.
    pub async fn verify_device_use(
        &self,
        _subject: &SubjectId,
        _used: &TicketUse,
    ) -> Result<Verification, Error> {
        todo!()
    }

    /// Identifies a probe that a device bound to a ticket and to `Target::Gallery`.
    ///
    /// # Errors
    /// As [`GalleryHandle::verify_device_use`].
    pub async fn identify_device_use(
        &self,
        _used: &TicketUse,
        _options: IdentifyOptions,
    ) -> Result<Identification, Error> {
        todo!()
    }
}
