//! Competitors that take turns.

use std::fmt;
use std::ops::Index;
use std::time::{Duration, Instant};

/// Competitors that do the same thing, each in its own way.
pub struct Contest<'a> {
    sample: Duration,
    competitors: Vec<Competitor<'a>>,
}

/// A competitor of one [`Contest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entrant(usize);

/// What every competitor took in each round.
#[derive(Debug)]
pub struct Results {
    rounds: Vec<Round>,
}

/// What every competitor took in one round, in nanoseconds per iteration.
#[derive(Debug)]
pub struct Round(Vec<f64>);

/// Does so many iterations and returns the time that they took.
type Run<'a> = Box<dyn FnMut(u64) -> Duration + 'a>;

struct Competitor<'a> {
    run: Run<'a>,
    iterations: u64,
}

impl<'a> Contest<'a> {
    /// Returns a contest without competitors, in which one takes about `sample` at a turn.
    ///
    /// A turn should be shorter than the system's time slice, so that most turns are undisturbed,
    /// and much longer than reading the clock.
    pub fn new(sample: Duration) -> Self {
        Self {
            sample,
            competitors: Vec::new(),
        }
    }

    /// Adds a competitor, who does one iteration a call.
    pub fn enter(&mut self, mut once: impl FnMut() + 'a) -> Entrant {
        self.enter_timed(move |iterations| {
            let begin = Instant::now();
            for _ in 0..iterations {
                once();
            }
            begin.elapsed()
        })
    }

    /// Adds a competitor who does so many iterations a call and says how long they took.
    pub fn enter_timed(&mut self, run: impl FnMut(u64) -> Duration + 'a) -> Entrant {
        self.competitors.push(Competitor {
            run: Box::new(run),
            iterations: 1,
        });
        Entrant(self.competitors.len() - 1)
    }

    /// Plays rounds until `time` is over, at least one.
    pub fn run(mut self, time: Duration) -> Results {
        let sample = self.sample;
        self.competitors
            .iter_mut()
            .for_each(|competitor| competitor.calibrate(sample));
        let begin = Instant::now();
        let mut rounds = Vec::new();
        loop {
            // Every other round goes backwards, so that nobody always follows the same one.
            let mut round = vec![0.0; self.competitors.len()];
            let turns = round.iter_mut().zip(&mut self.competitors);
            let play = |(taken, competitor): (&mut f64, &mut Competitor<'_>)| {
                *taken = competitor.turn();
            };
            if rounds.len() % 2 == 0 {
                turns.for_each(play);
            } else {
                turns.rev().for_each(play);
            }
            rounds.push(Round(round));
            if begin.elapsed() >= time {
                return Results { rounds };
            }
        }
    }
}

impl Competitor<'_> {
    /// Finds how many iterations fill the sample.
    fn calibrate(&mut self, sample: Duration) {
        while (self.run)(self.iterations) < sample {
            self.iterations *= 2;
        }
    }

    /// Returns nanoseconds per iteration.
    fn turn(&mut self) -> f64 {
        // What the one before left in the processor's caches is not this one's fault.
        (self.run)(self.iterations / 16 + 1);
        (self.run)(self.iterations).as_nanos() as f64 / self.iterations as f64
    }
}

impl Results {
    /// Returns how many rounds were played.
    pub fn rounds(&self) -> usize {
        self.rounds.len()
    }

    /// Returns the median of what a competitor took, in nanoseconds per iteration.
    pub fn nanoseconds(&self, entrant: Entrant) -> f64 {
        self.paired(|round| round[entrant])
    }

    /// Returns the median over the rounds of a competitor's time divided by another's.
    pub fn ratio(&self, entrant: Entrant, other: Entrant) -> f64 {
        self.paired(|round| round[entrant] / round[other])
    }

    /// Returns the median of what is computed from each round.
    pub fn paired(&self, of: impl Fn(&Round) -> f64) -> f64 {
        let mut values: Vec<_> = self.rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        if values.len() % 2 == 0 {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        }
    }
}

impl Index<Entrant> for Round {
    type Output = f64;

    fn index(&self, entrant: Entrant) -> &f64 {
        &self.0[entrant.0]
    }
}

impl fmt::Debug for Contest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contest")
            .field("sample", &self.sample)
            .field("competitors", &self.competitors.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(rounds: &[[f64; 2]]) -> Results {
        let rounds = rounds.iter().map(|round| Round(round.to_vec())).collect();
        Results { rounds }
    }

    #[test]
    fn ratio_is_taken_within_a_round_before_the_median() {
        // The whole machine was slow in the second and third round.
        let results = results(&[[2.0, 1.0], [20.0, 10.0], [40.0, 20.0]]);
        assert_eq!(results.ratio(Entrant(0), Entrant(1)), 2.0);
        assert_eq!(results.nanoseconds(Entrant(0)), 20.0);
    }

    #[test]
    fn median_of_an_even_number_lies_between_the_middle_two() {
        let results = results(&[[1.0, 0.0], [4.0, 0.0], [2.0, 0.0], [9.0, 0.0]]);
        assert_eq!(results.nanoseconds(Entrant(0)), 3.0);
    }

    #[test]
    fn every_competitor_has_a_turn_in_a_round() {
        let mut contest = Contest::new(Duration::from_nanos(1));
        let first = contest.enter_timed(|iterations| Duration::from_nanos(3) * iterations as u32);
        let second = contest.enter_timed(|iterations| Duration::from_nanos(6) * iterations as u32);
        let results = contest.run(Duration::ZERO);
        assert_eq!(results.rounds(), 1);
        assert_eq!(results.ratio(second, first), 2.0);
    }
}
