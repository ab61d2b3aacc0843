//! Makes a recording: a shop of its own, whose carts are checked out one after another while PostgreSQL logs everything.
use super::{
    log, pgbench,
    psql::Psql,
    recording::Recording,
    shop::{Ground, Shop},
};
use crate::error::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

/// The recorded shop's database, and the copy of it from before its checkouts.
pub(super) const SHOP: &str = "recorded";
pub(super) const BEFORE: &str = "before";

pub(super) struct Recorded {
    pub(super) recording: Recording,
    /// The same databases from before as SQLite's files.
    pub(super) files: PathBuf,
    pub(super) checkout: PathBuf,
    pub(super) rows_only: PathBuf,
}

impl Recorded {
    pub(super) async fn make(ground: &Ground<'_>, psql: &Psql<'_>, checkouts: usize) -> Result<Self> {
        let started = Instant::now();
        // What is recorded need not last.
        psql.run(
            "postgres",
            &format!(
                "ALTER SYSTEM SET log_line_prefix = '{}'; ALTER DATABASE {SHOP} SET synchronous_commit = off; \
                 SELECT pg_reload_conf();",
                log::PREFIX
            ),
        )?;
        let mut shop = Shop::open(ground, SHOP).await?;
        let carts = shop.carts(checkouts).await?;
        shop.stop();
        psql.copy(SHOP, BEFORE)?;
        let files = ground.folder.join("before");
        shop.fleet.run(&["backup", "--to", &files.display().to_string()], "")?;
        psql.run("postgres", "ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf();")?;
        shop.start()?;
        let made = shop.check_out_each(&carts).await;
        made.map_err(|error| format!("{error}{}{:?}", shop.words(), shop.fleet.died()))?;
        shop.stop();
        psql.run("postgres", "ALTER SYSTEM RESET log_statement; SELECT pg_reload_conf();")?;
        let log = fs::read_to_string(psql.server.folder().join("log")).context("cannot read PostgreSQL's log")?;
        let recording = Recording::of(log::read(&log, SHOP)?, checkouts)?;
        psql.drop(SHOP)?;
        psql.run(BEFORE, &pgbench::table(&recording))?;
        let write = |name: &str, script| {
            let path = ground.folder.join(name);
            fs::write(&path, pgbench::script(&recording, script)).context(format_args!("cannot write {name}"))?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(path)
        };
        let (checkout, rows_only) =
            (write("checkout.sql", pgbench::Script::Checkout)?, write("rows.sql", pgbench::Script::RowsOnly)?);
        println!(
            "{checkouts} checkouts recorded after {:.1} s: {} statements in {} transactions each",
            started.elapsed().as_secs_f64(),
            recording.statements(),
            recording.commits()
        );
        Ok(Self { recording, files, checkout, rows_only })
    }

    /// For people, and for whoever looks for a cheaper checkout.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        fs::write(folder.join("checkout-statements.sql"), self.recording.told()).context("cannot write the statements")
    }
}
