//! What a domain's database is asked for, in numbers.
//!
//! `cleave_database_statements_total` and `cleave_database_transactions_total` are what a request costs: tests hold a
//! budget against them, so only what the domain itself asked for counts, not transaction control, not the idempotency
//! records. `cleave_database_queue` is the waiting units, `cleave_database_unit_seconds` from asking to answering.
//!
//! The handles are taken when the database is opened: install a recorder before.
use diesel::connection::{Instrumentation, InstrumentationEvent};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use std::cell::Cell;

#[derive(Clone)]
pub(crate) struct Meter {
    statements: Counter,
    pub(crate) transactions: Counter,
    pub(crate) queue: Gauge,
    reads: Histogram,
    writes: Histogram,
}

impl Meter {
    pub(crate) fn new(database: &'static str) -> Self {
        Self {
            statements: counter!("cleave_database_statements_total", "database" => database),
            transactions: counter!("cleave_database_transactions_total", "database" => database),
            queue: gauge!("cleave_database_queue", "database" => database),
            reads: histogram!("cleave_database_unit_seconds", "database" => database, "kind" => "read"),
            writes: histogram!("cleave_database_unit_seconds", "database" => database, "kind" => "write"),
        }
    }
    pub(crate) fn seconds(&self, writes: bool) -> &Histogram {
        if writes { &self.writes } else { &self.reads }
    }
    /// For a connection: counts the statements it starts.
    pub(crate) fn statements(&self) -> impl Instrumentation + use<> {
        let (statements, mut control) = (self.statements.clone(), false);
        move |event: InstrumentationEvent<'_>| match event {
            // diesel announces these, then starts the statement that does it
            InstrumentationEvent::BeginTransaction { .. }
            | InstrumentationEvent::CommitTransaction { .. }
            | InstrumentationEvent::RollbackTransaction { .. } => control = true,
            InstrumentationEvent::StartQuery { .. } => {
                let counts = !std::mem::take(&mut control) && !UNCOUNTED.get();
                statements.increment(counts.into());
            }
            _ => (),
        }
    }
}

thread_local! {
    /// A unit runs on one thread, so this is the unit's.
    static UNCOUNTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `statements` without counting them.
pub(crate) fn uncounted<T>(statements: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            UNCOUNTED.set(self.0);
        }
    }
    let _restore = Restore(UNCOUNTED.replace(true));
    statements()
}
