//! The names under which a tenant's ids are stored.

use crate::blobs::sha3_256;
use tyto_access::TenantId;
use tyto_scheme::{GalleryId, TicketId, UploadId};

const DOMAIN: &[u8] = b"tyto/v1/stored-name";

/// Names of one tenant. Clients choose ids; two tenants that choose the same one do not meet, in no table, file or lock.
#[derive(Clone, Copy)]
pub(crate) struct Names(TenantId);

impl Names {
    /// For ids that are names already, as rows have them.
    pub(crate) const AS_STORED: Self = Self(TenantId::BUILT_IN);

    pub(crate) fn of(tenant: TenantId) -> Self {
        Self(tenant)
    }

    pub(crate) fn tenant(self) -> TenantId {
        self.0
    }

    /// Whether names are ids themselves.
    pub(crate) fn are_ids(self) -> bool {
        self.0 == TenantId::BUILT_IN
    }

    pub(crate) fn gallery(self, id: GalleryId) -> GalleryId {
        GalleryId(self.name(id.0))
    }

    pub(crate) fn upload(self, id: UploadId) -> UploadId {
        UploadId(self.name(id.0))
    }

    pub(crate) fn ticket(self, id: TicketId) -> TicketId {
        TicketId(self.name(id.0))
    }

    /// The id itself for the built-in tenant, whose rows may be older than tenants are.
    fn name(self, id: [u8; 16]) -> [u8; 16] {
        if self.are_ids() {
            return id;
        }
        let digest = sha3_256(&[DOMAIN, &self.0.0, &id].concat());
        std::array::from_fn(|i| digest[i])
    }
}
