//! Suites, and lists of them in order of preference.

use tyto_pqc::mlkem::ParameterSet;

use crate::Error;

/// Most suites in one list.
pub const MAX_SUITES: usize = 8;

/// What a session is made with. All have ML-DSA-65, HKDF over SHA3-256 and AES-256-GCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// 0x0001: ML-KEM-768.
    MlKem768,
    /// 0x0002: ML-KEM-1024.
    MlKem1024,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::MlKem768, Self::MlKem1024];

    /// The number in messages.
    pub const fn id(self) -> u16 {
        match self {
            Self::MlKem768 => 1,
            Self::MlKem1024 => 2,
        }
    }

    /// The suite of that number.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.id() == id)
    }

    /// The key encapsulation.
    pub const fn kem(self) -> ParameterSet {
        match self {
            Self::MlKem768 => ParameterSet::MlKem768,
            Self::MlKem1024 => ParameterSet::MlKem1024,
        }
    }
}

impl core::fmt::Display for Suite {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}, ML-DSA-65, HKDF-SHA3-256, AES-256-GCM", self.kem())
    }
}

/// Distinct suites that one side is willing to use, the best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suites(Vec<Suite>);

/// All of them: ML-KEM-768, then ML-KEM-1024.
impl Default for Suites {
    fn default() -> Self {
        Self(Suite::ALL.to_vec())
    }
}

impl Suites {
    /// A list in order of preference.
    ///
    /// # Errors
    /// [`Error::Suites`] if it is empty or names one suite twice.
    pub fn new(suites: &[Suite]) -> Result<Self, Error> {
        let distinct = suites.iter().enumerate().all(|(at, suite)| !suites[..at].contains(suite));
        if suites.is_empty() || !distinct {
            return Err(Error::Suites { count: suites.len() });
        }
        Ok(Self(suites.to_vec()))
    }

    /// The best.
    pub fn first(&self) -> Suite {
        self.0[0]
    }

    /// Whether `suite` is among them.
    pub fn contains(&self, suite: Suite) -> bool {
        self.0.contains(&suite)
    }

    /// The best of them that is among `theirs`.
    pub(crate) fn best_of(&self, theirs: &Offer) -> Option<Suite> {
        self.0.iter().copied().find(|suite| theirs.ids().contains(&suite.id()))
    }

    pub(crate) fn offer(&self) -> Offer {
        Offer(self.0.iter().map(|suite| suite.id()).collect())
    }
}

/// A list of suites as a message has it: numbers, some of which this version may not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer(Vec<u16>);

impl Offer {
    /// None if the numbers are none, too many or not distinct.
    pub(crate) fn from_ids(ids: Vec<u16>) -> Option<Self> {
        let distinct = ids.iter().enumerate().all(|(at, id)| !ids[..at].contains(id));
        ((1..=MAX_SUITES).contains(&ids.len()) && distinct).then_some(Self(ids))
    }

    pub(crate) fn ids(&self) -> &[u16] {
        &self.0
    }

    /// The first of them, in their order, that is among `ours`.
    pub(crate) fn best_of(&self, ours: &Suites) -> Option<Suite> {
        self.0.iter().filter_map(|&id| Suite::from_id(id)).find(|&suite| ours.contains(suite))
    }
}
