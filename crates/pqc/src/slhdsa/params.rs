//! The parameter sets (FIPS 205 section 11, table 2) and their object identifiers (RFC 9909 section 3).

/// A parameter set of SLH-DSA.
///
/// The `s` sets have small signatures, the `f` sets are fast to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "the variants are the standard's names; `ParameterSet::name` spells them out"
)]
pub enum ParameterSet {
    Sha2_128s,
    Sha2_128f,
    Sha2_192s,
    Sha2_192f,
    Sha2_256s,
    Sha2_256f,
    Shake128s,
    Shake128f,
    Shake192s,
    Shake192f,
    Shake256s,
    Shake256f,
}

/// The numbers of table 2 that differ between the sets, in the standard's letters. `lg w` is 4 in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    /// Bytes of a hash value.
    pub(super) n: usize,
    /// Height of an XMSS tree, `h'`.
    pub(super) h_prime: usize,
    /// Layers of the hypertree.
    pub(super) d: usize,
    /// Height of a FORS tree.
    pub(super) a: usize,
    /// FORS trees.
    pub(super) k: usize,
}

impl Parameters {
    /// Height of the hypertree.
    pub(super) const fn h(&self) -> usize {
        self.d * self.h_prime
    }

    /// Chains of a WOTS+ key: `2 n` digits of the message, 3 of the checksum (FIPS 205 section 5, equations 5.1
    /// to 5.4 with `lg w = 4`).
    pub(super) const fn len(&self) -> usize {
        2 * self.n + 3
    }

    const fn signature_bytes(&self) -> usize {
        self.n * (1 + self.k * (1 + self.a) + self.h() + self.d * self.len())
    }
}

impl ParameterSet {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Sha2_128s,
        Self::Sha2_128f,
        Self::Sha2_192s,
        Self::Sha2_192f,
        Self::Sha2_256s,
        Self::Sha2_256f,
        Self::Shake128s,
        Self::Shake128f,
        Self::Shake192s,
        Self::Shake192f,
        Self::Shake256s,
        Self::Shake256f,
    ];

    /// The standard's name, such as `SLH-DSA-SHAKE-128s`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha2_128s => "SLH-DSA-SHA2-128s",
            Self::Sha2_128f => "SLH-DSA-SHA2-128f",
            Self::Sha2_192s => "SLH-DSA-SHA2-192s",
            Self::Sha2_192f => "SLH-DSA-SHA2-192f",
            Self::Sha2_256s => "SLH-DSA-SHA2-256s",
            Self::Sha2_256f => "SLH-DSA-SHA2-256f",
            Self::Shake128s => "SLH-DSA-SHAKE-128s",
            Self::Shake128f => "SLH-DSA-SHAKE-128f",
            Self::Shake192s => "SLH-DSA-SHAKE-192s",
            Self::Shake192f => "SLH-DSA-SHAKE-192f",
            Self::Shake256s => "SLH-DSA-SHAKE-256s",
            Self::Shake256f => "SLH-DSA-SHAKE-256f",
        }
    }

    /// The set of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name() == name)
    }

    /// Whether its hash function is SHAKE256: the sets that this crate signs with.
    pub const fn is_shake(self) -> bool {
        matches!(
            self,
            Self::Shake128s
                | Self::Shake128f
                | Self::Shake192s
                | Self::Shake192f
                | Self::Shake256s
                | Self::Shake256f
        )
    }

    /// Length of a public key.
    pub const fn public_key_bytes(self) -> usize {
        2 * self.parameters().n
    }

    /// Length of a private key.
    pub const fn private_key_bytes(self) -> usize {
        4 * self.parameters().n
    }

    /// Length of a signature.
    pub const fn signature_bytes(self) -> usize {
        self.parameters().signature_bytes()
    }

    /// The object identifier of keys and signatures, in dotted form.
    pub const fn oid(self) -> &'static str {
        match self {
            Self::Sha2_128s => "2.16.840.1.101.3.4.3.20",
            Self::Sha2_128f => "2.16.840.1.101.3.4.3.21",
            Self::Sha2_192s => "2.16.840.1.101.3.4.3.22",
            Self::Sha2_192f => "2.16.840.1.101.3.4.3.23",
            Self::Sha2_256s => "2.16.840.1.101.3.4.3.24",
            Self::Sha2_256f => "2.16.840.1.101.3.4.3.25",
            Self::Shake128s => "2.16.840.1.101.3.4.3.26",
            Self::Shake128f => "2.16.840.1.101.3.4.3.27",
            Self::Shake192s => "2.16.840.1.101.3.4.3.28",
            Self::Shake192f => "2.16.840.1.101.3.4.3.29",
            Self::Shake256s => "2.16.840.1.101.3.4.3.30",
            Self::Shake256f => "2.16.840.1.101.3.4.3.31",
        }
    }

    /// The object identifier in DER, tag and length included.
    pub const fn oid_der(self) -> [u8; 11] {
        let last = 20 + self as u8;
        [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, last]
    }

    pub(super) const fn parameters(self) -> Parameters {
        match self {
            Self::Sha2_128s | Self::Shake128s => Parameters { n: 16, h_prime: 9, d: 7, a: 12, k: 14 },
            Self::Sha2_128f | Self::Shake128f => Parameters { n: 16, h_prime: 3, d: 22, a: 6, k: 33 },
            Self::Sha2_192s | Self::Shake192s => Parameters { n: 24, h_prime: 9, d: 7, a: 14, k: 17 },
            Self::Sha2_192f | Self::Shake192f => Parameters { n: 24, h_prime: 3, d: 22, a: 8, k: 33 },
            Self::Sha2_256s | Self::Shake256s => Parameters { n: 32, h_prime: 8, d: 8, a: 14, k: 22 },
            Self::Sha2_256f | Self::Shake256f => Parameters { n: 32, h_prime: 4, d: 17, a: 9, k: 35 },
        }
    }
}

impl core::fmt::Display for ParameterSet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The columns `m`, `pk bytes` and `sig bytes` of table 2, `s` and `f` sets in turn.
    const TABLE_2: [(usize, usize); 6] =
        [(32, 7_856), (32, 17_088), (48, 16_224), (48, 35_664), (64, 29_792), (64, 49_856)];

    #[test]
    fn lengths_are_those_of_table_2() {
        for (i, set) in ParameterSet::ALL.into_iter().enumerate() {
            let found = (set.public_key_bytes(), set.signature_bytes());
            assert_eq!(found, TABLE_2[i % 6], "{set}");
            assert_eq!(set.private_key_bytes(), 2 * set.public_key_bytes());
        }
    }

    #[test]
    fn identifiers_are_one_to_one_and_agree_in_both_forms() {
        for (i, set) in ParameterSet::ALL.into_iter().enumerate() {
            assert_eq!(ParameterSet::from_name(set.name()), Some(set));
            assert_eq!(set.is_shake(), set.name().contains("SHAKE"));
            let last = set.oid_der()[10];
            assert_eq!(usize::from(last), 20 + i);
            assert_eq!(set.oid(), format!("2.16.840.1.101.3.4.3.{last}"));
        }
        assert_eq!(ParameterSet::from_name("SLH-DSA-SHAKE-128"), None);
    }
}
