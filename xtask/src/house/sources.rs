//! Where in the sources a crate is named. Reading text, not syntax: enough for words that nobody writes by accident,
//! and it needs no compiler. Comments are left out, strings are not.
use crate::error::{Context, Result};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Where a crate may be named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    /// The folder (or file of that name) in any crate's `src`.
    folder: String,
    /// Crates that may name it anywhere.
    crates: BTreeSet<String>,
    /// Files that may name it, with the reason.
    #[serde(default)]
    except: BTreeMap<String, String>,
}

pub(super) fn check(root: &Path, places: &BTreeMap<String, Place>) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let crates = root.join("crates");
    for entry in fs::read_dir(&crates).context(format_args!("cannot read {}", crates.display()))?.flatten() {
        for source in [entry.path().join("src"), entry.path().join("api/src")] {
            collect(&source, &mut files)?;
        }
    }
    files.sort();
    let mut texts = Vec::new();
    for file in files {
        let inside = file.strip_prefix(root).expect("the file was found below the root").to_string_lossy().into_owned();
        texts.push((inside, read(&file)?));
    }
    Ok(places.iter().flat_map(|(name, place)| place.check(name, &texts)).collect())
}

impl Place {
    /// Files are paths from the root, `crates/orders/src/store/carts.rs`, with their text.
    fn check(&self, name: &str, files: &[(String, String)]) -> Vec<String> {
        let mut problems = Vec::new();
        let mut excepted = BTreeSet::new();
        for (path, text) in files {
            let Some((number, line)) = named_at(text, name) else { continue };
            if self.except.contains_key(path) {
                excepted.insert(path);
            } else if !self.allows(path) {
                problems.push(format!(
                    "{path}:{number} names {name} outside {}/: {line}; move it there, or list the file under sources.{name}.except",
                    self.folder
                ));
            }
        }
        let stale = self.except.iter().filter(|(path, reason)| !excepted.contains(path) || reason.trim().is_empty());
        problems.extend(stale.map(|(path, _)| {
            format!("sources.{name}.except lists {path}, which does not name it (or has no reason); take it out")
        }));
        problems
    }

    fn allows(&self, path: &str) -> bool {
        let mut parts = path.split('/').skip(1);
        let owner = parts.next().unwrap_or_default();
        let file = format!("{}.rs", self.folder);
        self.crates.contains(owner) || parts.any(|part| part == self.folder || part == file)
    }
}

/// The first line of code that names the crate, counted from 1.
fn named_at<'a>(text: &'a str, name: &str) -> Option<(usize, &'a str)> {
    let numbered = text.lines().enumerate().filter(|(_, line)| names_crate(without_comment(line), name));
    numbered.map(|(index, line)| (index + 1, line.trim())).next()
}

fn names_crate(line: &str, name: &str) -> bool {
    occurrences(line, name).any(|after| after.starts_with("::") || line.trim_start().starts_with("use "))
}

/// Whether the word stands in the code by itself.
pub(super) fn names_word(code: &str, word: &str) -> bool {
    occurrences(code, word).next().is_some()
}

/// What follows each place where the word stands by itself.
fn occurrences<'a>(text: &'a str, word: &str) -> impl Iterator<Item = &'a str> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).filter_map(move |(at, found)| {
        let after = &text[at + found.len()..];
        let alone = !text[..at].ends_with(part) && !after.starts_with(part);
        alone.then_some(after)
    })
}

/// Public traits that a source declares.
pub(super) fn traits(code: &str) -> BTreeSet<&str> {
    let end = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    code.split("pub trait ").skip(1).map(|after| &after[..end(after)]).collect()
}

/// All sources below a folder, one after another, without comments.
pub(super) fn code(folder: &Path) -> Result<String> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    let mut code = String::new();
    for file in files {
        for line in read(&file)?.lines() {
            code.push_str(without_comment(line));
            code.push('\n');
        }
    }
    Ok(code)
}

fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with("//") { "" } else { line }
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).context(format_args!("cannot read {}", file.display()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).context(format_args!("cannot read {}", folder.display()))?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        let place = Place {
            folder: "store".into(),
            crates: ["database".to_owned()].into(),
            except: [("crates/kernel/src/ids.rs".to_owned(), "ids lie in columns".to_owned())].into(),
        };
        let excepted = ("crates/kernel/src/ids.rs".to_owned(), "derive(diesel::Queryable)".to_owned());
        place.check("diesel", &[excepted, (path.into(), text.into())])
    }

    #[test]
    fn a_crate_is_named_only_in_its_place() {
        assert!(check("crates/orders/src/store/carts.rs", "use diesel::prelude::*;").is_empty());
        assert!(check("crates/orders/src/store.rs", "use diesel::prelude::*;").is_empty());
        assert!(check("crates/database/src/lib.rs", "use diesel::prelude::*;").is_empty());
        let problems = check("crates/orders/src/service/cart.rs", "//! no SQL\nuse diesel::prelude::*;");
        assert!(
            problems[0].starts_with("crates/orders/src/service/cart.rs:2 names diesel outside store/"),
            "{problems:?}"
        );
    }

    #[test]
    fn only_code_counts_and_whole_words() {
        assert!(check("crates/orders/src/lib.rs", "// diesel::sql_query is for store").is_empty());
        assert!(check("crates/orders/src/lib.rs", "use diesel_migrations::embed; biodiesel::burn();").is_empty());
        assert_eq!(check("crates/orders/src/lib.rs", "use diesel as d;").len(), 1);
    }

    #[test]
    fn an_exception_that_is_no_longer_one_fails() {
        let place = Place {
            folder: "store".into(),
            crates: BTreeSet::new(),
            except: [("crates/a/src/lib.rs".to_owned(), "because".to_owned())].into(),
        };
        assert!(place.check("diesel", &[])[0].contains("take it out"));
    }

    #[test]
    fn traits_of_an_api() {
        let code = "pub trait Stock: Send {\n}\npub trait Catalogue<T> {}\ntrait Private {}";
        assert_eq!(traits(code), BTreeSet::from(["Stock", "Catalogue"]));
    }
}
