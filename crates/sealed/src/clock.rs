//! The time that sessions are measured with.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, which do not go back within a process when the system's clock is set back, and count the time
/// that a machine was suspended.
pub fn now_ms() -> u64 {
    static BEGINNING: LazyLock<(Instant, u64)> = LazyLock::new(|| (Instant::now(), wall_ms()));
    let (began, at_ms) = &*BEGINNING;
    (at_ms + began.elapsed().as_millis() as u64).max(wall_ms())
}

fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}
