//! What the end-to-end tests share: a real server in this process ([`rig`]), the same behind a proxy that commits one
//! fault at a time ([`dishonest`]) or in a process of its own ([`process`]), what a server measured of itself
//! ([`metrics`]), and data that lies beside the project ([`data`]).

pub mod data;
pub mod dishonest;
pub mod metrics;
pub mod process;
pub mod rig;

/// Whether the long form of a test was asked for.
pub fn soak() -> bool {
    std::env::var_os("TYTO_SOAK").is_some_and(|value| value != "0")
}

/// `SplitMix64`: test data only.
#[derive(Debug)]
pub struct Rng(pub u64);

impl Rng {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.bits() % limit as u64) as usize
    }

    /// A vector with roughly Gaussian coordinates.
    pub fn vector(&mut self, dimension: usize) -> Vec<f32> {
        let coordinate = |_| {
            let bits = self.bits();
            let sum: u64 = (0..8).map(|i| bits >> (8 * i) & 0xff).sum();
            (sum as f32 - 1020.0) / 208.0
        };
        (0..dimension).map(coordinate).collect()
    }
}
