//! A domain's tables, from one database to another.
use super::Failed;
use crate::{
    settings::{ModuleName, Settings},
    shop::{self, Domain},
};
use database::{
    DataDirLock, Location,
    copy::{Copied, Step},
};
use host::Masked;
use std::path::{Path, PathBuf};

/// What was typed: which module, and the databases that are not the settings' own.
pub(crate) struct Request {
    pub module: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

pub(crate) fn run(settings: &Settings, Request { module, from, to }: &Request) -> Result<(), Failed> {
    let Domain { name, location, migrations } = shop::domain(settings, module.parse::<ModuleName>()?)
        .ok_or_else(|| format!("{module} has no tables in this build"))?;
    let named = |flag: &str, url: &Option<String>| match url {
        Some(url) => Location::parse(url, name, &settings.data_dir, false).map_err(|bad| format!("--{flag}: {bad}")),
        None => Ok(location.clone()),
    };
    let (source, target) = (named("from", from)?, named("to", to)?);
    let _lock = lock(settings, [(&source, from), (&target, to)])?;
    println!("copying {name} from {source} to {target}");
    let done = database::copy::copy(&source, &target, migrations, &mut |step| print(None, &step));
    let copied = done.map_err(|error| masked(error.to_string(), [from, to]))?;
    println!(
        "{} tables, {} rows: the same on both sides",
        copied.len(),
        copied.iter().map(|one| one.rows).sum::<u64>()
    );
    match to {
        Some(url) => println!(
            "next: set modules.{name}.database = {:?} before the server starts again; what it would write to the old \
             database is not carried over",
            named_anywhere(&target, url)
        ),
        None => println!("next: start the server"),
    }
    Ok(())
}

/// As settings of any process may say it: a relative file is each data directory's own.
fn named_anywhere(target: &Location, url: &str) -> Masked {
    match target {
        Location::Sqlite { file } => format!("sqlite:{}", whole(file).display()).into(),
        Location::Postgres { .. } => url.to_owned().into(),
    }
}

/// However it was written: relative, through links, or not there yet.
fn whole(path: &Path) -> PathBuf {
    let there = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
    let parent = path.parent().filter(|_| !path.exists()).and_then(|parent| there(parent).ok());
    let named = parent.zip(path.file_name()).map(|(parent, name)| parent.join(name));
    named.or_else(|| there(path).ok()).unwrap_or_else(|| path.to_owned())
}

/// A server that works on one of them must not: it holds the data directory.
fn lock(settings: &Settings, sides: [(&Location, &Option<String>); 2]) -> Result<Option<DataDirLock>, Failed> {
    let of_the_shop = |(location, named): &(&Location, &Option<String>)| match location {
        Location::Sqlite { file } => named.is_none() || whole(file).starts_with(whole(&settings.data_dir)),
        Location::Postgres { .. } => false,
    };
    if !sides.iter().any(of_the_shop) {
        return Ok(None);
    }
    settings.make_data_dir()?;
    let lock = database::lock_data_dir(&settings.data_dir);
    Ok(Some(lock.map_err(|error| format!("{error}: stop the server first"))?))
}

/// A line a table.
pub(super) fn print(domain: Option<&str>, step: &Step<'_>) {
    let Step::Done(Copied { table, rows, found, hash, took }) = step else { return };
    let table = domain.map_or_else(|| table.clone(), |domain| format!("{domain}.{table}"));
    let found = if *found > 0 { format!(" ({found} of them were there)") } else { String::new() };
    println!("{table:<32} {rows:>9} rows  {hash}  {:.2} s{found}", took.as_secs_f64());
}

/// libpq repeats a URL that it cannot read.
fn masked(text: String, urls: [&Option<String>; 2]) -> String {
    urls.into_iter().flatten().fold(text, |text, url| text.replace(url, &format!("{:?}", Masked::from(url.clone()))))
}
