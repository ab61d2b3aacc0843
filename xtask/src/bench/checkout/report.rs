//! Laps as rows of a table: of each figure the median of the rounds.
use super::lap::Lap;
use serde::Serialize;
use std::fmt::Write;

/// Somebody's turns under a load, a round each.
pub(super) struct Lane {
    pub(super) load: &'static str,
    pub(super) who: String,
    pub(super) laps: Vec<Lap>,
}

/// Times in milliseconds, memory in MiB.
#[derive(Clone, Serialize)]
pub(super) struct Row {
    pub(super) database: String,
    pub(super) load: &'static str,
    pub(super) who: String,
    pub(super) samples: usize,
    pub(super) rate: f64,
    /// Of the rate of what is the limit of this load; none where there is no limit.
    pub(super) share: Option<f64>,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) shop_cpu: f64,
    pub(super) database_cpu: f64,
    pub(super) generator_cpu: f64,
    pub(super) memory: f64,
    pub(super) statements: f64,
}

impl Lane {
    pub(super) fn new(load: &'static str, who: impl Into<String>) -> Self {
        Self { load, who: who.into(), laps: Vec::new() }
    }

    pub(super) fn middle(&self, how: impl Fn(&Lap) -> f64) -> f64 {
        median(self.laps.iter().map(how).collect())
    }

    pub(super) fn row(&self, database: &str, limit: Option<f64>) -> Row {
        let rate = self.middle(Lap::rate);
        Row {
            database: database.to_owned(),
            load: self.load,
            who: self.who.clone(),
            samples: self.laps.iter().map(|lap| lap.took.len()).sum(),
            rate,
            share: limit.map(|limit| rate / limit),
            p50: self.middle(|lap| lap.permille(500)),
            p90: self.middle(|lap| lap.permille(900)),
            p99: self.middle(|lap| lap.permille(990)),
            p999: self.middle(|lap| lap.permille(999)),
            shop_cpu: self.middle(|lap| lap.each(lap.shop)),
            database_cpu: self.middle(|lap| lap.each(lap.database)),
            generator_cpu: self.middle(|lap| lap.each(lap.generator)),
            memory: self.middle(|lap| lap.memory as f64 / 1024.0 / 1024.0),
            statements: self.middle(Lap::statements_each),
        }
    }
}

/// `one` against `base`: the median of the rounds' ratios.
pub(super) fn ratio(one: &Lane, base: &Lane, how: impl Fn(&Lap) -> f64) -> f64 {
    median(one.laps.iter().zip(&base.laps).map(|(one, base)| how(one) / how(base)).collect())
}

pub(super) fn median(mut all: Vec<f64>) -> f64 {
    all.sort_unstable_by(f64::total_cmp);
    let at = |index: usize| all.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(all.len().saturating_sub(1) / 2), at(all.len() / 2))
}

pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| database | load | who | samples | a second | share of the limit | p50 ms | p90 | p99 | p99.9 | shop CPU ms | \
         database | generator | MiB | statements |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let Row { database, load, who, samples, rate, p50, p90, p99, p999, .. } = row;
        let Row { shop_cpu, database_cpu, generator_cpu, memory, statements, .. } = row;
        let share = row.share.map(|share| format!("{share:.3}")).unwrap_or_default();
        let of_shop = |figure: String| if *memory > 0.0 { figure } else { String::new() };
        let _ = writeln!(
            text,
            "| {database} | {load} | {who} | {samples} | {rate:.0} | {share} | {p50:.2} | {p90:.2} | {p99:.2} | {p999:.2} | \
             {} | {database_cpu:.3} | {generator_cpu:.3} | {} | {} |",
            of_shop(format!("{shop_cpu:.3}")),
            of_shop(format!("{memory:.0}")),
            of_shop(format!("{statements:.1}")),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn lane(who: &str, milliseconds: &[u64]) -> Lane {
        let lap = |&each: &u64| Lap {
            took: vec![Duration::from_millis(each); 100],
            lasted: Duration::from_millis(each * 100),
            shop: Duration::from_millis(50),
            database: Duration::ZERO,
            generator: Duration::ZERO,
            memory: 1024 * 1024,
            statements: 2200,
        };
        Lane { load: "checkout", who: who.into(), laps: milliseconds.iter().map(lap).collect() }
    }

    #[test]
    fn rows_tell_the_median_round_and_its_share() {
        let (shop, limit) = (lane("shop", &[4, 40, 8]), lane("limit", &[2, 2, 2]));
        let row = shop.row("D", Some(limit.middle(Lap::rate)));
        assert_eq!((row.rate, row.share, row.p50, row.statements), (125.0, Some(0.25), 8.0, 22.0));
        let text = table(&[row]);
        assert!(text.contains("| D | checkout | shop | 300 | 125 | 0.250 | 8.00 |"), "{text}");
        assert_eq!(ratio(&shop, &limit, |lap| lap.permille(500)), 4.0);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!((median(vec![9.0, 1.0, 2.0]), median(vec![1.0, 2.0])), (2.0, 1.5));
    }
}
