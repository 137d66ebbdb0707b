//! The properties of sessions, each as a test. `world` has the parties, `seeded` their randomness where it must repeat.

mod admission;
mod encoding;
mod flips;
mod golden;
mod handshake;
mod mutations;
mod records;
mod secrecy;
mod seeded;
mod sharing;
mod trusted;
mod world;

/// Whether the long run was asked for.
fn soak() -> bool {
    std::env::var_os("TYTO_SOAK").is_some_and(|value| value != "0")
}

/// `bytes` with one bit flipped.
fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}
