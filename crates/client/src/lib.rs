//! What a tenant's backend links: the channel to the server, caching, retries, and high-level calls over
//! [`tyto_tenant`]. It refuses every answer that fails its check.
//!
//! ```no_run
//! # async fn example(key: tyto_client::tenant::TenantKey) -> Result<(), tyto_client::Error> {
//! use tyto_client::scheme::{Layout, ParameterSet};
//! use tyto_client::tenant::keyring::Keyring;
//! use tyto_client::tenant::{Metric, SubjectId};
//! use tyto_client::{Client, Config};
//!
//! let client = Client::connect(Config::new("http://localhost:7443"), Keyring::new(key, 1_800_000_000)).await?;
//! let layout = Layout::identification(ParameterSet::Exact41, 128).expect("a supported dimension");
//! let gallery = client.create_gallery("staff", layout, Metric::Cosine).await?;
//! let template = gallery.gallery().quantiser().quantise(&[0.5; 128])?;
//! gallery.enrol([(SubjectId::new("ada")?, template.clone())], &|_| ()).await?;
//! let found = gallery.identify(&template, Default::default()).await?;
//! assert_eq!(found.candidates[0].subject.as_bytes(), b"ada");
//! # Ok(())
//! # }
//! ```
//!
//! # What is repeated, and how
//!
//! A call is repeated after a broken connection, a time-out or a status that may pass, up to
//! [`Config::max_attempts`] times, with growing pauses.
//!
//! | call | repeated as |
//! |---|---|
//! | reads (describe, list, records, deltas) | the same request |
//! | create, delete gallery | the same request: both have one outcome however often they come |
//! | provisioning | the rest of the upload, after asking how far it came; then the same commit |
//! | enrolment, removal | the identical request (the server acknowledges a repetition of its latest mutation); if others went on in between, the records show whether it arrived; else the same deltas on the newer record |
//! | ticket upload | the same ticket |
//! | probe by a ticket | the identical use (the server replays the stored answer), or a new probe if the server forgot the ticket; neither once anything of its answer was decrypted |
//! | probe as a whole query | a new query under new secrets, as long as nothing of its answer was decrypted |
//! | attestation of documents | the same request; an entry more in the log is the worst that comes of it |
//! | checkpoint, receipt, proof, keys | the same request |
//! | probe of a device | the identical use, as above; never otherwise |
//!
//! An answer that fails a check is never asked for again: the error goes to the caller, and nothing to the server.
//!
//! # Security
//! Errors and logs carry ids, sizes and versions, never templates, scores, subjects or keys. Whoever calls must not
//! let the server learn whether an answer was refused or what was decided: see the threat model.

pub mod admin;
mod channel;
mod client;
mod config;
mod credential;
mod decision;
mod error;
mod files;
mod gallery;
pub mod keyring_file;
mod log;
pub mod log_directory;
mod results;
pub mod signing_key_file;
mod state;
pub mod trust_root_file;

pub use channel::{SessionPing, ping};
pub use client::Client;
pub use config::{Config, SealedConfig};
pub use credential::Credential;
pub use decision::DecisionTerms;
pub use error::Error;
pub use gallery::{GalleryHandle, TicketMode};
pub use log::{AttestMode, AttestedDocument, document_digest};
pub use results::{
    Candidate, CoveredBlock, Decision, EnrolReport, GalleryScore, GalleryStat, GallerySummary,
    Identification, IdentifyOptions, KeptAttestation, LoggedChange, ProbeBy, ReplayBasis, SubjectEntry,
    SyncReport, TemplateScore, Timings, Verification, VerifyOptions,
};
pub use state::MAX_CHANGES_BYTES;
pub use tyto_access as access;
pub use tyto_api::attest::KeyList;
pub use tyto_attest as attest;
pub use tyto_pqc as pqc;
pub use tyto_scheme as scheme;
pub use tyto_session as session;
pub use tyto_tenant as tenant;
