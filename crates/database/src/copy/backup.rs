//! Many domains at one moment, each into a SQLite file: a backup is a copy, and restoring it is one.
//!
//! **One moment.** All snapshots are taken before the first row is read. While they are taken, writers to SQLite files
//! wait (milliseconds), and domains of one PostgreSQL database share one snapshot: so all SQLite files, or all of one
//! database, are of exactly one moment. Between databases that share nothing, moments lie milliseconds apart; the order
//! of `domains` decides then: whoever calls comes before whom it calls, so what an order refers to was there first.
use super::{
    Copied, CopyError, Result, Watch, carry,
    source::{Gate, Source},
    target::Target,
};
use crate::{Location, Migrations};
use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// A domain, for a backup.
pub struct Domain<'a> {
    pub name: &'a str,
    pub location: &'a Location,
    pub migrations: &'a Migrations,
}

/// Copies `domains`, callers before whom they call, into `folder/<name>.db`; servers go on. The folder is made, and is
/// there only when all of it is.
pub fn backup<'a>(
    domains: &[Domain<'a>],
    folder: &Path,
    watch: &mut dyn FnMut(&str, super::Step<'_>),
) -> Result<Vec<(&'a str, Vec<Copied>)>> {
    let unfinished = room(folder)?;
    let sources = together(domains)?;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&unfinished);
    made.map_err(|error| named(&unfinished, &error))?;
    let mut all = Vec::new();
    for (domain, mut from) in domains.iter().zip(sources) {
        let file = Location::Sqlite { file: unfinished.join(format!("{}.db", domain.name)) };
        let mut to = Target::open(&file, from.location(), domain.migrations)?;
        let watch: Watch<'_> = &mut |step| watch(domain.name, step);
        all.push((domain.name, carry(&mut from, &mut to, watch)?));
        to.finish(&from.counters()?)?;
    }
    let moved = fs::rename(&unfinished, folder).and_then(|()| {
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all() // a power cut does not take the name back
    });
    moved.map_err(|error| named(folder, &error))?;
    Ok(all)
}

/// Snapshots of all of them.
fn together(domains: &[Domain<'_>]) -> Result<Vec<Source>> {
    let open = |domain: &Domain<'_>| Source::open(domain.location, domain.migrations);
    let mut sources = domains.iter().map(open).collect::<Result<Vec<_>>>()?;
    let gates = domains.iter().map(|domain| Gate::shut(domain.location)).collect::<Result<Vec<_>>>()?;
    let mut shared: Vec<(String, String)> = Vec::new();
    for source in &mut sources {
        let Location::Postgres { url, .. } = source.location().clone() else {
            source.snapshot(None)?;
            continue;
        };
        let known = shared.iter().find(|(database, _)| *database == url).map(|(_, snapshot)| snapshot.clone());
        if let Some(snapshot) = source.snapshot(known.as_deref())? {
            shared.push((url, snapshot));
        }
    }
    drop(gates);
    Ok(sources)
}

/// Nothing is overwritten, and nothing that is there is taken for a part of this.
fn room(folder: &Path) -> Result<PathBuf> {
    let mut unfinished = folder.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    for (path, why) in [
        (folder, "a backup needs a folder that is not there yet"),
        (&*unfinished, "left by a backup that did not end: remove it"),
    ] {
        if path.exists() {
            return Err(CopyError::Folder(format!("{} is there: {why}", path.display())));
        }
    }
    Ok(unfinished)
}

fn named(path: &Path, error: &std::io::Error) -> CopyError {
    CopyError::Folder(format!("{}: {error}", path.display()))
}
