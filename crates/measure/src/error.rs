/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The gallery would take too much of the memory that is free (caller).
    #[error(
        "a gallery of {wanted_bytes} bytes needs {needed_bytes} bytes of memory, of which {available_bytes} are available"
    )]
    Memory {
        /// Bytes of the gallery that was asked for.
        wanted_bytes: u64,
        /// Bytes that measuring it takes.
        needed_bytes: u64,
        /// Bytes that the machine has available.
        available_bytes: u64,
    },
    /// The gallery is too small to be anything (caller).
    #[error("a gallery of {wanted_bytes} bytes; at least {min_bytes} are needed")]
    TooSmall {
        /// Bytes of the gallery that was asked for.
        wanted_bytes: u64,
        /// The least that is measured.
        min_bytes: u64,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A result is not the one that was to be timed (bug).
    #[error("{what}: the result is wrong, so its time means nothing")]
    WrongResult {
        /// Which work.
        what: &'static str,
    },
    /// The tenant's side failed, such as for want of randomness.
    #[error(transparent)]
    Tenant(#[from] tyto_tenant::Error),
    /// A layout that the scheme refuses (bug).
    #[error(transparent)]
    Scheme(#[from] tyto_scheme::Error),
    /// A gallery that the engine refuses (bug).
    #[error(transparent)]
    Engine(#[from] tyto_engine::Error),
}
