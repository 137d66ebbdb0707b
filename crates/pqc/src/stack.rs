//! What a computation leaves on the stack.

use core::hint::black_box;

use zeroize::Zeroize as _;

/// Words that are wiped below a computation: HMAC and HKDF with SHA3-256 need less than half of it.
const WIPED_WORDS: usize = 512;

/// Runs `compute`, then overwrites the part of the stack that it had.
///
/// The crates `hmac` and `hkdf` copy keyed states and padded keys around without wiping every copy. This does not follow
/// from the language's rules but from how its compilers lay out frames: a precaution, and not what secrecy rests on.
pub(crate) fn with_stack_wiped<T>(compute: impl FnOnce() -> T) -> T {
    let result = below(compute);
    wipe();
    result
}

#[inline(never)]
fn below<T>(compute: impl FnOnce() -> T) -> T {
    compute()
}

#[inline(never)]
fn wipe() {
    let mut words = [0_u64; WIPED_WORDS];
    words.zeroize();
    black_box(&mut words);
}
