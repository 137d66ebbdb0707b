//! Random bytes from the operating system, and from nowhere else.

use crate::Error;

/// Fills `out` with random bytes from the operating system.
///
/// # Errors
/// [`Error::OsRandomness`] if the operating system has none to give. `out` must not be used then.
pub fn fill(out: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(out).map_err(|e| Error::OsRandomness { code: e.raw_os_error() })
}

/// `L` random bytes from the operating system, for values that are not secret (nonces, ids, salts).
/// Secrets are made by [`crate::Secret32::random`].
///
/// # Errors
/// [`Error::OsRandomness`] if the operating system has none to give.
pub fn bytes<const L: usize>() -> Result<[u8; L], Error> {
    let mut out = [0; L];
    fill(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<32>().unwrap(), bytes::<32>().unwrap());
        let mut long = [0; 1000];
        fill(&mut long).unwrap();
        assert!(long.chunks(50).all(|c| c.iter().any(|&b| b != 0)), "a 50-byte run was left unfilled");
    }
}
