//! What one turn of anybody gave, and the meters that are read around it.
use super::shop::Shop;
use crate::{
    bench::{
        cpu,
        goods::{self, asked},
    },
    error::{Context, Result},
};
use std::{fs, time::Duration};

#[derive(Clone)]
pub(super) struct Lap {
    /// Sorted.
    pub(super) took: Vec<Duration>,
    pub(super) lasted: Duration,
    pub(super) shop: Duration,
    pub(super) database: Duration,
    pub(super) generator: Duration,
    /// What the shop's processes have in memory at the end.
    pub(super) memory: u64,
    /// As the shop counts them, without `BEGIN`, `COMMIT` and the records of repeated requests; 0 where there is no shop.
    pub(super) statements: u64,
}

impl Lap {
    pub(super) fn rate(&self) -> f64 {
        self.took.len() as f64 / self.lasted.as_secs_f64()
    }
    /// Of thousand; in milliseconds. The nearest rank.
    pub(super) fn permille(&self, rank: usize) -> f64 {
        let rank = (self.took.len() * rank).div_ceil(1000).max(1);
        self.took.get(rank - 1).copied().unwrap_or_default().as_secs_f64() * 1e3
    }
    /// Milliseconds each.
    pub(super) fn each(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e3 / self.took.len().max(1) as f64
    }
    pub(super) fn statements_each(&self) -> f64 {
        self.statements as f64 / self.took.len().max(1) as f64
    }
}

pub(super) struct Meters {
    shop: Duration,
    database: Duration,
    generator: Duration,
    memory: u64,
    statements: u64,
}

impl Meters {
    pub(super) async fn read(shop: &Shop, database: &[u32]) -> Result<Self> {
        let (ids, http, mut statements) = (shop.fleet.ids(), goods::client()?, 0);
        for (_, internal) in shop.fleet.internals() {
            statements += counted(&asked(http.get(format!("{internal}/metrics")), 200).await?);
        }
        Ok(Self {
            shop: cpu::used(&ids)?,
            database: cpu::used(database)?,
            generator: own()?,
            memory: ids.iter().map(|id| resident(*id)).sum::<Result<u64>>()?,
            statements,
        })
    }

    pub(super) fn since(&self, before: &Self, took: Vec<Duration>, lasted: Duration) -> Lap {
        Lap {
            took,
            lasted,
            shop: self.shop.saturating_sub(before.shop),
            database: self.database.saturating_sub(before.database),
            generator: self.generator.saturating_sub(before.generator),
            memory: self.memory,
            statements: self.statements.saturating_sub(before.statements),
        }
    }
}

fn counted(metrics: &str) -> u64 {
    let lines = metrics.lines().filter(|line| line.starts_with("cleave_database_statements_total{"));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>() as u64
}

/// Bytes of a process that are in memory.
fn resident(id: u32) -> Result<u64> {
    let told = fs::read_to_string(format!("/proc/{id}/status")).context(format_args!("process {id} runs no more"))?;
    let line = told.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number")?;
    Ok(kib * 1024)
}

/// Processor time of this process alone.
pub(super) fn own() -> Result<Duration> {
    Ok(times()?[0])
}

/// Processor time of its children that have ended.
pub(super) fn ended_children() -> Result<Duration> {
    Ok(times()?[1])
}

fn times() -> Result<[Duration; 2]> {
    let stat = fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("no name")?.1.split_whitespace().collect();
    let second = u32::try_from(rustix::param::clock_ticks_per_second()).context("ticks a second")?;
    let sum =
        |from: usize| -> u64 { fields.iter().skip(from).take(2).filter_map(|field| field.parse::<u64>().ok()).sum() };
    Ok([11, 13].map(|from| Duration::from_secs(sum(from)) / second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_lap() {
        let lap = Lap {
            took: (1..=1000).map(Duration::from_millis).collect(),
            lasted: Duration::from_secs(2),
            shop: Duration::from_secs(3),
            database: Duration::ZERO,
            generator: Duration::ZERO,
            memory: 0,
            statements: 17_000,
        };
        assert_eq!((lap.rate(), lap.permille(500), lap.permille(999)), (500.0, 500.0, 999.0));
        assert_eq!((lap.each(lap.shop), lap.statements_each()), (3.0, 17.0));
    }

    #[test]
    fn statements_are_counted_over_all_databases() {
        let metrics = "# TYPE cleave_database_statements_total counter\n\
                       cleave_database_statements_total{database=\"orders\"} 12\n\
                       cleave_database_statements_total{database=\"products\"} 30\n\
                       cleave_database_transactions_total{database=\"orders\"} 5\n";
        assert_eq!(counted(metrics), 42);
    }

    #[test]
    fn this_process_is_in_memory() {
        assert!(resident(std::process::id()).unwrap() > 100_000);
    }
}
