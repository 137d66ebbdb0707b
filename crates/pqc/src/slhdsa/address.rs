//! Addresses (FIPS 205 section 4.2), as four little-endian words: what Keccak absorbs.

use tyto_kernels::keccak::{LANES, Words};

/// `ADRS` of 32 bytes.
pub(super) type Address = [u64; 4];

/// The types of table 1.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Kind {
    WotsHash = 0,
    WotsPk = 1,
    Tree = 2,
    ForsTree = 3,
    ForsRoots = 4,
    WotsPrf = 5,
    ForsPrf = 6,
}

/// One XMSS tree of the hypertree: what the addresses of everything in it and of the FORS key under it begin with.
#[derive(Clone, Copy)]
pub(super) struct Subtree {
    pub(super) layer: u32,
    /// 12 bytes in the standard; no parameter set has more than 2^64 trees in a layer.
    pub(super) tree: u64,
}

/// Bytes of a big-endian integer followed by another, as one little-endian word.
fn pair(first: u32, second: u32) -> u64 {
    u64::from(first.swap_bytes()) | u64::from(second.swap_bytes()) << 32
}

impl Subtree {
    fn address(self, kind: Kind, [first, second, third]: [u32; 3]) -> Address {
        [pair(self.layer, 0), self.tree.swap_bytes(), pair(kind as u32, first), pair(second, third)]
    }

    /// Step `hash` of a WOTS+ chain.
    pub(super) fn wots_hash(self, key_pair: u32, chain: u32, hash: u32) -> Address {
        self.address(Kind::WotsHash, [key_pair, chain, hash])
    }

    /// The secret value of a WOTS+ chain.
    pub(super) fn wots_prf(self, key_pair: u32, chain: u32) -> Address {
        self.address(Kind::WotsPrf, [key_pair, chain, 0])
    }

    /// The compression of a WOTS+ public key.
    pub(super) fn wots_pk(self, key_pair: u32) -> Address {
        self.address(Kind::WotsPk, [key_pair, 0, 0])
    }

    /// A node of the XMSS tree.
    pub(super) fn tree(self, height: u32, index: u32) -> Address {
        self.address(Kind::Tree, [0, height, index])
    }

    /// A node of a FORS tree.
    pub(super) fn fors_tree(self, key_pair: u32, height: u32, index: u32) -> Address {
        self.address(Kind::ForsTree, [key_pair, height, index])
    }

    /// A secret value of a FORS key.
    pub(super) fn fors_prf(self, key_pair: u32, index: u32) -> Address {
        self.address(Kind::ForsPrf, [key_pair, 0, index])
    }

    /// The compression of the roots of a FORS key.
    pub(super) fn fors_roots(self, key_pair: u32) -> Address {
        self.address(Kind::ForsRoots, [key_pair, 0, 0])
    }
}

/// An address, a node or another row of words for each lane.
pub(super) fn each_lane<const W: usize>(of_lane: impl Fn(usize) -> [u64; W]) -> [Words; W] {
    let mut words = [Words::default(); W];
    for lane in 0..LANES {
        for (words, word) in words.iter_mut().zip(of_lane(lane)) {
            words.0[lane] = word;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(address: Address) -> Vec<u8> {
        address.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Figures 2 to 9 of FIPS 205: layer (4 bytes), tree (12), type (4), and three words of four bytes.
    #[test]
    fn addresses_are_laid_out_as_the_figures_show() {
        let at = Subtree { layer: 0x0102_0304, tree: 0x0506_0708_090A_0B0C };
        let expected = |kind: u8, words: [u32; 3]| {
            let mut expected = vec![1, 2, 3, 4, 0, 0, 0, 0, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0, kind];
            expected.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            expected
        };
        let (a, b, c) = (0xA1A2_A3A4, 0xB1B2_B3B4, 0xC1C2_C3C4);
        assert_eq!(bytes(at.wots_hash(a, b, c)), expected(0, [a, b, c]));
        assert_eq!(bytes(at.wots_pk(a)), expected(1, [a, 0, 0]));
        assert_eq!(bytes(at.tree(b, c)), expected(2, [0, b, c]));
        assert_eq!(bytes(at.fors_tree(a, b, c)), expected(3, [a, b, c]));
        assert_eq!(bytes(at.fors_roots(a)), expected(4, [a, 0, 0]));
        assert_eq!(bytes(at.wots_prf(a, b)), expected(5, [a, b, 0]));
        assert_eq!(bytes(at.fors_prf(a, c)), expected(6, [a, 0, c]));
    }
}
