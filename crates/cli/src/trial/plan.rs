//! Which rows are enrolled, and which are probes.

use std::num::NonZeroUsize;

use tyto_client::scheme::Layout;

use super::{DEFAULT_STRIDE, SET, Trial};
use crate::Error;
use crate::embeddings::Pair;

/// The rows of a trial.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    /// Rows that are enrolled: the first of each subject with two or more.
    pub(super) references: Vec<usize>,
    /// Rows that are searched for: all others.
    pub(super) probes: Vec<usize>,
    /// Pairs that are verified.
    pub(super) pairs: Vec<Pair>,
}

impl Plan {
    /// Plans a trial.
    ///
    /// # Errors
    /// [`Error::NothingToEnrol`], [`Error::PairContradictsLabels`].
    pub(super) fn new(trial: &Trial) -> Result<Self, Error> {
        let labels = trial.data.labels();
        let pairs = spread(trial.pairs.as_deref().unwrap_or_default(), trial.limit_pairs);
        let subjects = labels.subjects();
        if let Some(pair) = pairs.iter().find(|pair| (subjects[pair.a] == subjects[pair.b]) != pair.is_mated)
        {
            return Err(Error::PairContradictsLabels { row_a: pair.a, row_b: pair.b });
        }
        let (references, probes) = references_and_probes(subjects, labels.subject_count());
        if references.is_empty() {
            return Err(Error::NothingToEnrol);
        }
        Ok(Self { references, probes: spread(&probes, trial.limit_probes), pairs })
    }
}

fn references_and_probes(subjects: &[u32], subject_count: usize) -> (Vec<usize>, Vec<usize>) {
    let mut images = vec![0usize; subject_count];
    subjects.iter().for_each(|&subject| images[subject as usize] += 1);
    let mut is_enrolled = vec![false; subject_count];
    let (mut references, mut probes) = (Vec::new(), Vec::new());
    for (row, &subject) in subjects.iter().enumerate() {
        let subject = subject as usize;
        if images[subject] >= 2 && !is_enrolled[subject] {
            is_enrolled[subject] = true;
            references.push(row);
        } else {
            probes.push(row);
        }
    }
    (references, probes)
}

/// `limit` items at equal distances, in order; the same ones every time.
fn spread<T: Copy>(items: &[T], limit: Option<NonZeroUsize>) -> Vec<T> {
    let count = limit.map_or(items.len(), |limit| limit.get().min(items.len()));
    (0..count).map(|index| items[(index as u128 * items.len() as u128 / count as u128) as usize]).collect()
}

/// The layout of the searched gallery.
///
/// # Errors
/// [`Error::Layout`].
pub(super) fn search_layout(stride: Option<u32>, dimension: usize) -> Result<Layout, Error> {
    let dimension = dimension as u32;
    let stride = stride.unwrap_or_else(|| DEFAULT_STRIDE.min(dimension.next_power_of_two()));
    Ok(Layout::new(SET, dimension, stride)?)
}

/// The layout of the gallery that pairs are verified in.
///
/// # Errors
/// [`Error::Layout`].
pub(super) fn pair_layout(dimension: usize) -> Result<Layout, Error> {
    Ok(Layout::verification(SET, dimension as u32)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_or_more_images_is_enrolled() {
        let (references, probes) = references_and_probes(&[0, 1, 0, 2, 2, 2, 3], 4);
        assert_eq!((references, probes), (vec![0, 3], vec![1, 2, 4, 5, 6]));
    }

    #[test]
    fn limits_take_an_even_spread() {
        let items: Vec<usize> = (0..10).collect();
        assert_eq!(spread(&items, NonZeroUsize::new(4)), [0, 2, 5, 7]);
        assert_eq!(spread(&items, NonZeroUsize::new(99)), items);
        assert_eq!(spread(&items, None), items);
        assert!(spread::<u8>(&[], NonZeroUsize::new(3)).is_empty());
    }

    #[test]
    fn the_stride_shrinks_with_the_dimension() {
        assert_eq!(search_layout(None, 128).unwrap().stride(), 16);
        assert_eq!(search_layout(None, 5).unwrap().stride(), 8);
        assert_eq!(search_layout(Some(1), 128).unwrap().stride(), 1);
        assert!(matches!(search_layout(Some(3), 128), Err(Error::Layout(_))));
    }
}
