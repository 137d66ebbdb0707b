//! Times of several pieces of work, taken in turn so that what disturbs one disturbs all.

use std::time::{Duration, Instant};

/// The times of `K` pieces of work over some rounds.
pub struct Turns<const K: usize> {
    rounds: Vec<[Duration; K]>,
}

/// Runs every piece of work once to warm up, then `rounds` times in turn.
///
/// # Panics
/// If `rounds` is 0.
pub fn in_turn<const K: usize>(rounds: usize, mut work: [&mut dyn FnMut(); K]) -> Turns<K> {
    assert!(rounds > 0, "nothing would be measured");
    work.iter_mut().for_each(|work| work());
    let mut time = |index: usize| {
        let started = Instant::now();
        work[index]();
        started.elapsed()
    };
    let rounds = (0..rounds).map(|_| std::array::from_fn(&mut time)).collect();
    Turns { rounds }
}

impl<const K: usize> Turns<K> {
    /// The shortest time of one piece.
    pub fn fastest(&self, index: usize) -> Duration {
        self.rounds.iter().map(|round| round[index]).min().expect("there is a round")
    }

    /// The median over the rounds of one piece's time divided by another's.
    pub fn ratio(&self, of: usize, to: usize) -> f64 {
        let ratio = |round: &[Duration; K]| round[of].as_secs_f64() / round[to].as_secs_f64();
        let mut ratios: Vec<f64> = self.rounds.iter().map(ratio).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(rounds: &[[u64; 2]]) -> Turns<2> {
        Turns { rounds: rounds.iter().map(|round| round.map(Duration::from_micros)).collect() }
    }

    #[test]
    fn a_disturbed_round_moves_neither_the_fastest_time_nor_the_ratio() {
        let turns = turns(&[[20, 10], [22, 11], [900, 12], [18, 90], [20, 10]]);
        assert_eq!(turns.fastest(0), Duration::from_micros(18));
        assert_eq!(turns.fastest(1), Duration::from_micros(10));
        assert!((turns.ratio(0, 1) - 2.0).abs() < 1e-12);
    }

    #[test]
    fn every_piece_of_work_runs_in_every_round_and_once_before() {
        let (mut first, mut second) = (0, 0);
        in_turn(3, [&mut || first += 1, &mut || second += 1]);
        assert_eq!((first, second), (4, 4));
    }
}
