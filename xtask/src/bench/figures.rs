//! From samples to figures: percentiles of all of them, and ratios round by round.
use std::time::Duration;

/// What one turn of a load on a shop gave.
pub(super) struct Turn {
    /// How long each request, or each buyer's way, took; sorted.
    pub(super) took: Vec<Duration>,
    pub(super) lasted: Duration,
    /// Processor time of the shop's processes, and of PostgreSQL's where there is one.
    pub(super) shop: Duration,
    pub(super) database: Duration,
    /// Calls from one process to another.
    pub(super) calls: u64,
}

/// The turns of one load on one shop, a round each.
pub(super) type Turns = [Turn];

/// A figure of one turn.
pub(super) type Figure = fn(&Turn) -> f64;

impl Turn {
    pub(super) fn rate(&self) -> f64 {
        self.count() / self.lasted.as_secs_f64()
    }
    pub(super) fn p50(&self) -> f64 {
        milliseconds(percentile(&self.took, 50))
    }
    pub(super) fn p99(&self) -> f64 {
        milliseconds(percentile(&self.took, 99))
    }
    /// Milliseconds of processor time a request.
    pub(super) fn shop_cpu(&self) -> f64 {
        milliseconds(self.shop) / self.count()
    }
    pub(super) fn database_cpu(&self) -> f64 {
        milliseconds(self.database) / self.count()
    }
    pub(super) fn calls(&self) -> f64 {
        self.calls as f64 / self.count()
    }
    fn count(&self) -> f64 {
        self.took.len() as f64
    }
}

/// All rounds as one.
pub(super) fn together(turns: &Turns) -> Turn {
    let mut took: Vec<Duration> = turns.iter().flat_map(|turn| turn.took.iter().copied()).collect();
    took.sort_unstable();
    let sum = |part: fn(&Turn) -> Duration| turns.iter().map(part).sum();
    Turn {
        took,
        lasted: sum(|turn| turn.lasted),
        shop: sum(|turn| turn.shop),
        database: sum(|turn| turn.database),
        calls: turns.iter().map(|turn| turn.calls).sum(),
    }
}

/// The middle of the rounds, and the ends.
#[derive(Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

/// `one` against `base`, round by round: what the machine did to a round it did to both.
pub(super) fn compare(one: &Turns, base: &Turns, how: impl Fn(&Turn, &Turn) -> f64) -> Spread {
    let mut all: Vec<f64> = one.iter().zip(base).map(|(one, base)| how(one, base)).collect();
    all.sort_unstable_by(f64::total_cmp);
    let at = |index: usize| all.get(index).copied().unwrap_or(f64::NAN);
    let (lower, upper) = (at(all.len().saturating_sub(1) / 2), at(all.len() / 2));
    Spread { low: at(0), median: f64::midpoint(lower, upper), high: at(all.len().saturating_sub(1)) }
}

/// The nearest rank: a time that was really taken, which `percent` of all did not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(milliseconds: impl IntoIterator<Item = u64>) -> Turn {
        let took = milliseconds.into_iter().map(Duration::from_millis).collect();
        let (second, work) = (Duration::from_secs(1), Duration::from_millis(300));
        Turn { took, lasted: second, shop: work, database: work / 2, calls: 200 }
    }

    #[test]
    fn figures_of_a_turn() {
        let turn = turn(1..=100);
        assert_eq!((turn.p50(), turn.p99()), (50.0, 99.0));
        assert_eq!((turn.rate(), turn.shop_cpu(), turn.database_cpu(), turn.calls()), (100.0, 3.0, 1.5, 2.0));
        assert_eq!(percentile(&[Duration::from_millis(7)], 99), Duration::from_millis(7));
    }

    #[test]
    fn percentiles_are_of_all_rounds_together() {
        let all = together(&[turn([2, 3]), turn([1, 9])]);
        assert_eq!((all.p50(), all.p99(), all.rate()), (2.0, 9.0, 2.0));
    }

    #[test]
    fn rounds_are_compared_one_by_one() {
        let (split, single) = ([turn([2]), turn([9]), turn([8])], [turn([1]), turn([3]), turn([2])]);
        let ratio = compare(&split, &single, |split, single| split.p50() / single.p50());
        assert_eq!(ratio, Spread { low: 2.0, median: 3.0, high: 4.0 });
        let ratio = compare(&split[..2], &single, |split, single| split.p50() / single.p50());
        assert_eq!(ratio, Spread { low: 2.0, median: 2.5, high: 3.0 });
    }
}
