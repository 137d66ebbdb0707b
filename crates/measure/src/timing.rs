//! Times of several pieces of work, taken in turn so that what disturbs one disturbs all.

use std::time::{Duration, Instant};

/// The times of some pieces of work over some rounds.
pub struct Turns {
    rounds: Vec<Vec<Duration>>,
}

/// Runs every piece of work once to warm up, then `rounds` times in turn.
///
/// # Panics
/// If `rounds` is 0.
pub fn in_turn<const K: usize>(rounds: usize, mut work: [&mut dyn FnMut(); K]) -> Turns {
    assert!(rounds > 0, "nothing would be measured");
    work.iter_mut().for_each(|work| work());
    Turns { rounds: (0..rounds).map(|_| round(&mut work)).collect() }
}

/// Runs every piece of work once to warm up, then in turn until `budget` is used up, at least `min_rounds` times.
///
/// # Panics
/// If `min_rounds` is 0.
pub fn in_turn_for(budget: Duration, min_rounds: usize, work: &mut [&mut dyn FnMut()]) -> Turns {
    assert!(min_rounds > 0, "nothing would be measured");
    let started = Instant::now();
    work.iter_mut().for_each(|work| work());
    let mut rounds = Vec::new();
    while rounds.len() < min_rounds || started.elapsed() < budget {
        rounds.push(round(work));
    }
    Turns { rounds }
}

fn round(work: &mut [&mut dyn FnMut()]) -> Vec<Duration> {
    let mut times = Vec::with_capacity(work.len());
    for work in work {
        let started = Instant::now();
        work();
        times.push(started.elapsed());
    }
    times
}

/// How often work must be repeated to take about `target`, measured on the spot; at least once. Work of some
/// microseconds cannot be timed alone.
pub fn repeats(target: Duration, mut work: impl FnMut()) -> u32 {
    work();
    let mut repeats = 1_u32;
    loop {
        let started = Instant::now();
        (0..repeats).for_each(|_| work());
        let elapsed = started.elapsed();
        if elapsed * 4 >= target || repeats > u32::MAX / 4 {
            let factor = target.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
            return (f64::from(repeats) * factor).ceil().clamp(1.0, f64::from(u32::MAX)) as u32;
        }
        repeats *= 4;
    }
}

impl Turns {
    /// How many rounds there were.
    pub fn rounds(&self) -> usize {
        self.rounds.len()
    }

    /// The shortest time of one piece.
    pub fn fastest(&self, index: usize) -> Duration {
        self.rounds.iter().map(|round| round[index]).min().expect("there is a round")
    }

    /// The median time of one piece.
    pub fn median(&self, index: usize) -> Duration {
        let mut times: Vec<Duration> = self.rounds.iter().map(|round| round[index]).collect();
        times.sort_unstable();
        times[times.len() / 2]
    }

    /// The median over the rounds of one piece's time divided by another's.
    pub fn ratio(&self, of: usize, to: usize) -> f64 {
        let ratio = |round: &Vec<Duration>| round[of].as_secs_f64() / round[to].as_secs_f64();
        let mut ratios: Vec<f64> = self.rounds.iter().map(ratio).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(rounds: &[[u64; 2]]) -> Turns {
        Turns { rounds: rounds.iter().map(|round| round.map(Duration::from_micros).to_vec()).collect() }
    }

    #[test]
    fn a_disturbed_round_moves_neither_the_fastest_time_nor_the_ratio() {
        let turns = turns(&[[20, 10], [22, 11], [900, 12], [18, 90], [20, 10]]);
        assert_eq!(turns.fastest(0), Duration::from_micros(18));
        assert_eq!(turns.fastest(1), Duration::from_micros(10));
        assert_eq!(turns.median(0), Duration::from_micros(20));
        assert!((turns.ratio(0, 1) - 2.0).abs() < 1e-12);
    }

    #[test]
    fn every_piece_of_work_runs_in_every_round_and_once_before() {
        let (mut first, mut second) = (0, 0);
        in_turn(3, [&mut || first += 1, &mut || second += 1]);
        assert_eq!((first, second), (4, 4));
    }

    #[test]
    fn a_budget_that_is_used_up_still_gives_the_rounds_that_are_needed() {
        let mut runs = 0;
        let turns = in_turn_for(Duration::ZERO, 2, &mut [&mut || runs += 1]);
        assert_eq!((turns.rounds(), runs), (2, 3));
        let turns = in_turn_for(Duration::from_millis(5), 1, &mut [&mut || ()]);
        assert!(turns.rounds() > 1);
    }

    #[test]
    fn short_work_is_repeated_and_long_work_is_not() {
        assert!(repeats(Duration::from_millis(1), || ()) > 100);
        let long = || std::thread::sleep(Duration::from_millis(2));
        assert_eq!(repeats(Duration::from_micros(100), long), 1);
    }
}
