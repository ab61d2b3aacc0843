//! `database::migrations!("../../migrations/users")`: a domain's migrations for both databases, in the binary.
//!
//! A crate of its own only because `embed_migrations!` wants its path as a literal, which no `macro_rules` can put
//! together. It also refuses a version that only one of the databases has.
use proc_macro::{TokenStream, TokenTree};
use std::{collections::BTreeSet, path::Path};

/// Embeds `sqlite/` and `postgres/` below a path that is relative to the calling crate's `Cargo.toml`.
///
/// The compiler does not watch folders: give the crate a `build.rs` that prints `cargo:rerun-if-changed=` and the path.
#[proc_macro]
pub fn migrations(path: TokenStream) -> TokenStream {
    expand(path).unwrap_or_else(|problem| format!("compile_error!({problem:?})").parse().expect("one macro call"))
}

fn expand(path: TokenStream) -> Result<TokenStream, String> {
    let path = match path.into_iter().collect::<Vec<_>>().as_slice() {
        [TokenTree::Literal(literal)] => literal.to_string(),
        _ => return Err("expected a path in quotes".into()),
    };
    let path = path.trim_matches('"');
    let root = std::env::var("CARGO_MANIFEST_DIR").map_err(|e| e.to_string())?;
    let versions = |database: &str| {
        let folder = Path::new(&root).join(path).join(database);
        let entries = folder.read_dir().map_err(|e| format!("{}: {e}", folder.display()))?;
        let names = entries.map(|e| e.map(|e| e.file_name().to_string_lossy().into_owned()));
        names.collect::<Result<BTreeSet<_>, _>>().map_err(|e| e.to_string())
    };
    let (sqlite, postgres) = (versions("sqlite")?, versions("postgres")?);
    if let Some(lonely) = sqlite.symmetric_difference(&postgres).next() {
        return Err(format!("{path}: only one of sqlite/ and postgres/ has {lonely}"));
    }
    // `embed_migrations!` names its crate, which the caller need not depend on
    let code = format!(
        "{{
            use ::database::diesel_migrations;
            ::database::Migrations {{
                sqlite: diesel_migrations::embed_migrations!(\"{path}/sqlite\"),
                postgres: diesel_migrations::embed_migrations!(\"{path}/postgres\"),
            }}
        }}"
    );
    code.parse().map_err(|e| format!("{e}"))
}
