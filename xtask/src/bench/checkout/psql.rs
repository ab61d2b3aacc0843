//! Statements for PostgreSQL, through its own client.
use crate::{
    error::{Context, Result},
    servers::{Clients, Postgres},
};
use std::{
    io::Write,
    process::{Command, Stdio},
};

pub(in crate::bench) struct Psql<'a> {
    pub(in crate::bench) clients: Clients,
    pub(in crate::bench) server: &'a Postgres,
}

impl<'a> Psql<'a> {
    pub(in crate::bench) fn of(server: &'a Postgres) -> Result<Self> {
        Ok(Self { clients: Clients::find()?, server })
    }

    /// One session, to its end or to the first error; rows as `a|b`, a line each.
    pub(in crate::bench) fn run(&self, database: &str, statements: &str) -> Result<String> {
        let mut command = Command::new(&self.clients.psql);
        command.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", &self.server.url(database), "-f", "-"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run psql")?;
        let mut input = child.stdin.take().expect("standard input was asked for");
        // Apart, because psql may answer before it has heard everything.
        let output = std::thread::scope(|scope| {
            scope.spawn(move || input.write_all(statements.as_bytes()));
            child.wait_with_output()
        });
        let output = output.context("cannot wait for psql")?;
        if !output.status.success() {
            let start: String = statements.chars().take(200).collect();
            return Err(format!("psql: {}\nin {start}", String::from_utf8_lossy(&output.stderr).trim()).into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A database like another, which nobody is connected to.
    pub(in crate::bench) fn copy(&self, from: &str, to: &str) -> Result<()> {
        self.run("postgres", &format!("CREATE DATABASE {to} TEMPLATE {from};")).map(drop)
    }

    pub(in crate::bench) fn drop(&self, database: &str) -> Result<()> {
        self.run("postgres", &format!("DROP DATABASE IF EXISTS {database};")).map(drop)
    }
}
