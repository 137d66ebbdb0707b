//! The client: galleries by name.

use crate::{Config, Error, GalleryHandle, GallerySummary};
use tyto_scheme::Layout;
use tyto_tenant::Metric;
use tyto_tenant::keyring::Keyring;

/// A connection to a server with a keyring. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct Client {}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// [`Error::Endpoint`], [`Error::Audience`], [`Error::Connect`], [`Error::File`] for the state directory.
    pub async fn connect(_config: Config, _keyring: Keyring) -> Result<Self, Error> {
        todo!()
    }

    /// Creates an empty gallery under the keyring's current key.
    ///
    /// # Errors
    /// [`Error::NameTaken`] if one of this keyring's galleries has the name; [`Error::Tenant`] for a name or metric
    /// that cannot be.
    pub async fn create_gallery(
        &self,
        _name: &str,
        _layout: Layout,
        _metric: Metric,
    ) -> Result<GalleryHandle, Error> {
        todo!()
    }

    /// All galleries of the server; those of foreign keys without name.
    pub async fn galleries(&self) -> Result<Vec<GallerySummary>, Error> {
        todo!()
    }

    /// Opens a gallery by its name or its id of 32 hexadecimal digits, and synchronises it.
    ///
    /// # Errors
    /// [`Error::UnknownGallery`], [`Error::AmbiguousName`], [`Error::ForeignKey`]; as [`GalleryHandle::sync`].
    pub async fn open_gallery(&self, _name_or_id: &str) -> Result<GalleryHandle, Error> {
        todo!()
    }

    /// Deletes a gallery of this keyring with everything in it.
    ///
    /// # Errors
    /// As [`Client::open_gallery`].
    pub async fn delete_gallery(&self, _name_or_id: &str) -> Result<(), Error> {
        todo!()
    }
}
