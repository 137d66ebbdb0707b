//! Parameter sets.

use crate::Error;

/// Plaintext modulus of [`ParameterSet::Exact41`]: prime, so that every nonzero value has an inverse.
pub const T: u64 = 2039;
/// Centred binomial parameter of the errors; their variance is `ETA / 2`.
pub const ETA: u32 = 21;
/// Largest sum of squares of a template or a probe, so that every score fits in `(-t/2, t/2)` (Cauchy-Schwarz).
pub const NORM2_MAX: u32 = (T as u32 - 1) / 2;
/// Largest dimension of a template.
pub const MAX_DIMENSION: u16 = 4096;

/// A set of lattice parameters. Every stored or sent object names its set by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParameterSet {
    /// N = 2048, q = 2^41 - 2^16 + 1, t = 2039, ternary secrets, errors of standard deviation 3.24: exact
    /// integer scores. At least 128 bits in the quantum core-SVP model (DESIGN section 8, usvp and bdd).
    Exact41,
}

impl ParameterSet {
    /// The id in stored and sent objects.
    pub const fn id(self) -> u16 {
        match self {
            Self::Exact41 => 1,
        }
    }

    /// The set of an id.
    pub const fn from_id(id: u32) -> Result<Self, Error> {
        match id {
            1 => Ok(Self::Exact41),
            other => Err(Error::UnknownParameterSet(other)),
        }
    }
}

impl std::fmt::Display for ParameterSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact41 => f.write_str("Exact41"),
        }
    }
}

/// Centred representative modulo t of a value in `[0, t)`.
pub const fn centre_t(value: u16) -> i32 {
    if value as u64 > T / 2 { value as i32 - T as i32 } else { value as i32 }
}

/// Representative in `[0, t)` of any integer.
pub const fn reduce_t(value: i32) -> u16 {
    value.rem_euclid(T as i32) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centred_representatives_cover_every_residue_once() {
        for value in 0..T as u16 {
            let centred = centre_t(value);
            assert!(centred.unsigned_abs() <= NORM2_MAX);
            assert_eq!(reduce_t(centred), value);
        }
    }

    #[test]
    fn unknown_parameter_sets_are_refused() {
        assert_eq!(ParameterSet::from_id(1), Ok(ParameterSet::Exact41));
        assert_eq!(ParameterSet::from_id(0), Err(Error::UnknownParameterSet(0)));
        assert_eq!(ParameterSet::from_id(2), Err(Error::UnknownParameterSet(2)));
    }
}
