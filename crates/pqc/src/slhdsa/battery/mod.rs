//! Tests of what only this crate may do: keys from given seeds, signatures with given randomness, messages without the
//! prefix of the pure interface, every backend and number of threads.

mod acvp;
mod failures;
mod peers;

use tyto_kernels::{Backend, supported};

use super::internal::Effort;
use super::{ParameterSet, SigningKey};

/// Bytes that differ by set and purpose and are the same on every run.
fn bytes(set: ParameterSet, purpose: u8, length: usize) -> Vec<u8> {
    crate::digest::sha3_256(&[b"test", set.name().as_bytes(), &[purpose]])
        .into_iter()
        .cycle()
        .zip(0_u8..)
        .map(|(byte, i)| byte.wrapping_add(i / 32))
        .take(length)
        .collect()
}

/// The three seeds of a key, one after the other.
fn seeds(set: ParameterSet) -> Vec<u8> {
    bytes(set, 0, 3 * set.parameters().n)
}

fn key(set: ParameterSet, effort: Effort) -> SigningKey {
    SigningKey::from_seeds(set, &seeds(set), effort).unwrap()
}

/// The sets that sign and verify in milliseconds; the others run the same code with other numbers.
const FAST: [ParameterSet; 3] = [ParameterSet::Shake128f, ParameterSet::Shake192f, ParameterSet::Shake256f];

/// Every backend that this CPU can run, with one thread and with more than share the work evenly.
fn efforts() -> Vec<Effort> {
    let backends = supported();
    let names: Vec<_> = backends.iter().map(Backend::to_string).collect();
    println!("backends that sign and verify: {}", names.join(", "));
    backends
        .into_iter()
        .zip([1, 2, 3].into_iter().cycle())
        .map(|(backend, threads)| Effort { backend, threads })
        .collect()
}
