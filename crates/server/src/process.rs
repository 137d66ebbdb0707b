//! What protects the memory of the process: no core files, and no swapping of keys.

use crate::config::ProcessConfig;
use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Forbids core files, for good, and keeps other processes of the same user from reading this one's memory. For the whole
/// process, before any key is read.
///
/// # Errors
/// What the system says.
pub(crate) fn forbid_core_dumps() -> Result<(), Errno> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// Runs what reads keys, with all memory that it takes locked, as what the process has already is: the cryptographic
/// library keeps private keys where it likes. What is taken later, such as galleries, is not locked.
pub(crate) fn with_locked_memory<T>(config: &ProcessConfig, read_keys: impl FnOnce() -> T) -> T {
    if !config.lock_memory {
        return read_keys();
    }
    // Pages that nobody has touched yet are locked when they are.
    let present = MlockAllFlags::CURRENT | MlockAllFlags::ONFAULT;
    let locked = mlockall(present | MlockAllFlags::FUTURE);
    let keys = read_keys();
    match locked.and_then(|()| mlockall(present)) {
        Ok(()) => tracing::info!("the memory that holds keys is locked"),
        Err(error) => tracing::warn!(
            %error,
            "the memory that holds keys cannot be locked and may be swapped out: raise RLIMIT_MEMLOCK (LimitMEMLOCK= \
             in systemd), forbid swapping (MemorySwapMax=0), or set process.lock_memory = false"
        ),
    }
    keys
}
