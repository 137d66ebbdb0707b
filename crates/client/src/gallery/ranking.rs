//! From scores to a candidate list.

use std::collections::HashSet;
use std::sync::Arc;
use tyto_scheme::BlockId;
use tyto_tenant::SubjectId;

/// What no score is: the slot holds no template.
const NONE: i16 = i16::MIN;
/// Scores lie between -1019 and 1019 (the range invariant).
const BINS: usize = 2048;
const OFFSET: i16 = 1024;

/// The scores of one block, two bytes per slot.
pub(crate) struct BlockScores {
    pub(crate) block: BlockId,
    slots: Box<[i16]>,
}

impl BlockScores {
    pub(crate) fn new(block: BlockId, slots: usize, scores: &[(u16, i32)]) -> Self {
        let mut all = vec![NONE; slots];
        for &(slot, score) in scores {
            all[usize::from(slot)] = score as i16;
        }
        Self { block, slots: all.into() }
    }

    pub(crate) fn get(&self, slot: u16) -> Option<i32> {
        self.slots.get(usize::from(slot)).copied().filter(|&score| score != NONE).map(i32::from)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, i32)> {
        let scores = self.slots.iter().enumerate().filter(|(_, score)| **score != NONE);
        scores.map(|(slot, &score)| (slot as u16, i32::from(score)))
    }
}

/// The `top` subjects with the best scores of at least `min_score`, best first, equals in order of their ids. `name`
/// says whose template is in a slot.
pub(crate) fn rank(
    scored: &[BlockScores],
    top: usize,
    min_score: Option<i32>,
    name: impl Fn(BlockId, u16) -> Option<Arc<SubjectId>>,
) -> Vec<(Arc<SubjectId>, i32)> {
    if top == 0 {
        return Vec::new();
    }
    let histogram = histogram(scored);
    let lowest = min_score.map_or(-OFFSET, |min| min.clamp(-i32::from(OFFSET), i32::from(i16::MAX)) as i16);
    let mut wanted = top;
    loop {
        let cut = cut(&histogram, wanted).max(lowest);
        let mut found = Vec::new();
        for block in scored {
            for (slot, &score) in block.slots.iter().enumerate() {
                if score >= cut
                    && let Some(subject) = name(block.block, slot as u16)
                {
                    found.push((subject, i32::from(score)));
                }
            }
        }
        found.sort_unstable_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
        let mut seen = HashSet::new();
        found.retain(|(subject, _)| seen.insert(Arc::clone(subject)));
        if found.len() >= top || cut <= lowest {
            found.truncate(top);
            return found;
        }
        // Some subjects have several of the best scores: look deeper.
        wanted = wanted.saturating_mul(4);
    }
}

fn histogram(scored: &[BlockScores]) -> [u32; BINS] {
    let mut bins = [0; BINS];
    for &score in scored.iter().flat_map(|block| &block.slots) {
        if score != NONE {
            bins[(score + OFFSET) as usize % BINS] += 1;
        }
    }
    bins
}

/// The highest score that at least `wanted` templates reach, or one below all scores.
fn cut(histogram: &[u32; BINS], wanted: usize) -> i16 {
    let mut reached = 0;
    for (bin, &count) in histogram.iter().enumerate().rev() {
        reached += count as usize;
        if reached >= wanted {
            return bin as i16 - OFFSET;
        }
    }
    -OFFSET
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(number: usize) -> Arc<SubjectId> {
        Arc::new(SubjectId::new(format!("s{number:03}")).unwrap())
    }

    /// Blocks of 64 slots from scores; slot 0 of each block is empty. Template number i belongs to subject i / 3.
    fn scored(scores: &[i32]) -> Vec<BlockScores> {
        let block = |(number, scores): (usize, &[i32])| {
            let slots: Vec<_> = scores.iter().enumerate().map(|(i, &score)| (i as u16 + 1, score)).collect();
            BlockScores::new(BlockId([number as u8; 16]), 64, &slots)
        };
        scores.chunks(63).enumerate().map(block).collect()
    }

    fn owner(block: BlockId, slot: u16) -> Arc<SubjectId> {
        subject((usize::from(block.0[0]) * 63 + usize::from(slot) - 1) / 3)
    }

    #[test]
    fn the_list_is_that_of_sorting_everything() {
        let scores: Vec<i32> = (0..630_i32).map(|i| (i * 7919 + i * i * 31) % 300 - 150).collect();
        let blocks = scored(&scores);
        let name = |block, slot| Some(owner(block, slot));
        let mut best: Vec<(Arc<SubjectId>, i32)> = scores
            .chunks(3)
            .enumerate()
            .map(|(number, scores)| (subject(number), *scores.iter().max().unwrap()))
            .collect();
        best.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
        for top in [0, 1, 2, 10, 100, 210, 500] {
            let expected: Vec<_> = best.iter().take(top).cloned().collect();
            assert_eq!(rank(&blocks, top, None, name), expected, "top {top}");
        }
        let above: Vec<_> = best.iter().filter(|(_, score)| *score >= 120).cloned().collect();
        assert!(!above.is_empty() && above.len() < 210);
        assert_eq!(rank(&blocks, 1000, Some(120), name), above);
        assert_eq!(rank(&blocks, 10, Some(1020), name), []);
    }

    #[test]
    fn the_ends_of_the_score_range_and_unnamed_slots() {
        let blocks = scored(&[1019, -1019, 0, -1019]);
        let name = |block, slot| Some(owner(block, slot));
        assert_eq!(rank(&blocks, 9, None, name), [(subject(0), 1019), (subject(1), -1019)]);
        assert_eq!(blocks[0].get(0), None);
        assert_eq!(blocks[0].get(2), Some(-1019));
        assert_eq!(blocks[0].iter().count(), 4);
        let only_second = |block, slot| (slot == 2).then(|| owner(block, slot));
        assert_eq!(rank(&blocks, 9, None, only_second), [(subject(0), -1019)]);
    }
}
