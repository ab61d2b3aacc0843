//! Where a domain's data is.
//!
//! `sqlite:products.db` is a file in the data directory. `postgres://..` is either the shop's one URL for all domains,
//! where each takes its own role `<database>_<domain>` after login, or a domain's own URL, whose login user is trusted
//! to own what it needs. Either way the tables are in a schema named after the domain, so that domains which are
//! pointed at the same database by mistake do not meet.
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A domain's database.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of the domain's own.
    Sqlite { file: PathBuf },
    /// `role` is taken after login, and left to nobody: see [`provision`](crate::provision).
    Postgres { url: String, schema: String, role: Option<String> },
}

/// Says what is wrong, without the URL: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLocation {
    #[error("a database is `sqlite:FILE` or `postgres://USER@HOST/DATABASE`")]
    Scheme,
    #[error("`sqlite:` needs the name of a file")]
    NoFile,
    #[error("a PostgreSQL URL names its database in the path, such as postgres://USER@HOST/DATABASE")]
    NoDatabase,
}

impl Location {
    /// Where `text` says that the data of `domain` is; a relative file lies in `data_dir`. `shop`: the URL is every
    /// domain's, so this one takes its own role.
    pub fn parse(text: &str, domain: &str, data_dir: &Path, shop: bool) -> Result<Self, BadLocation> {
        if let Some(file) = text.strip_prefix("sqlite:") {
            return match file {
                "" | ":memory:" => Err(BadLocation::NoFile), // each connection would have its own memory
                file => Ok(Self::Sqlite { file: data_dir.join(file) }),
            };
        }
        let url = Url::parse(text)?;
        let role = shop.then(|| role(&url.database, domain));
        Ok(Self::Postgres { url: text.to_owned(), schema: domain.to_owned(), role })
    }

    /// The user who logs in, when the URL says so: whom [`provision_for`](crate::provision_for) grants the roles to.
    pub fn login(&self) -> Option<String> {
        match self {
            Self::Sqlite { .. } => None,
            Self::Postgres { url, .. } => Url::parse(url).ok()?.user,
        }
    }
}
/// For people: without who logs in, and without what else a URL says.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { file } => write!(f, "sqlite:{}", file.display()),
            Self::Postgres { url, schema, .. } => {
                let address = url.split('?').next().unwrap_or_default();
                let address = address.rsplit_once('@').map_or(address, |(_, host)| host);
                let address = address.split_once("://").map_or(address, |(_, host)| host);
                write!(f, "postgres://{address} (schema {schema})")
            }
        }
    }
}
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { file } => f.debug_struct("Sqlite").field("file", file).finish(),
            Self::Postgres { schema, role, .. } => {
                f.debug_struct("Postgres").field("schema", schema).field("role", role).finish_non_exhaustive()
            }
        }
    }
}

/// The role of `domain` in the shop's `database`.
pub(crate) fn role(database: &str, domain: &str) -> String {
    format!("{database}_{domain}")
}

/// An SQL identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What of a PostgreSQL URL matters here; libpq reads the rest.
struct Url {
    user: Option<String>,
    database: String,
}
impl Url {
    fn parse(text: &str) -> Result<Self, BadLocation> {
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let (rest, parameters) = rest.map(|r| r.split_once('?').unwrap_or((r, ""))).ok_or(BadLocation::Scheme)?;
        let (authority, database) = rest.split_once('/').ok_or(BadLocation::NoDatabase)?;
        let database = decoded(database);
        if database.is_empty() || parameters.split('&').any(|p| p.starts_with("dbname=")) {
            return Err(BadLocation::NoDatabase);
        }
        let user = authority.rsplit_once('@').map(|(login, _)| decoded(login.split(':').next().unwrap_or_default()));
        Ok(Self { user: user.filter(|u| !u.is_empty()), database })
    }
}

/// Without its percent signs; what is not UTF-8 then is no name of ours.
fn decoded(text: &str) -> String {
    let (mut out, mut bytes) = (Vec::new(), text.bytes());
    while let Some(byte) = bytes.next() {
        let hex = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        let pair = (byte == b'%').then(|| {
            let mut ahead = bytes.clone();
            Some(hex(ahead.next())? * 16 + hex(ahead.next())?)
        });
        match pair.flatten() {
            Some(decoded) => {
                out.push(decoded);
                bytes.nth(1);
            }
            None => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, shop: bool) -> Result<Location, BadLocation> {
        Location::parse(text, "users", Path::new("data"), shop)
    }

    #[test]
    fn files_lie_in_the_data_directory() {
        assert_eq!(parse("sqlite:users.db", true), Ok(Location::Sqlite { file: "data/users.db".into() }));
        assert_eq!(parse("sqlite:/srv/users.db", false), Ok(Location::Sqlite { file: "/srv/users.db".into() }));
    }

    #[test]
    fn a_shop_url_gives_each_domain_its_role() {
        let url = "postgres://me:p%40ss@db.internal:5432/my%20shop?sslmode=require".to_owned();
        let shop = parse(&url, true).unwrap();
        assert_eq!(shop.login().as_deref(), Some("me"));
        assert!(!format!("{shop:?}").contains("p%40ss"));
        assert_eq!(shop.to_string(), "postgres://db.internal:5432/my%20shop (schema users)");
        let role = Some("my shop_users".to_owned());
        assert_eq!(shop, Location::Postgres { url: url.clone(), schema: "users".into(), role });
        assert_eq!(parse(&url, false), Ok(Location::Postgres { url, schema: "users".into(), role: None }));
    }

    #[test]
    fn what_is_no_location_is_refused() {
        for (text, why) in [
            ("", BadLocation::Scheme),
            ("users.db", BadLocation::Scheme),
            ("mysql://host/db", BadLocation::Scheme),
            ("sqlite:", BadLocation::NoFile),
            ("sqlite::memory:", BadLocation::NoFile),
            ("postgres://host", BadLocation::NoDatabase),
            ("postgres://host/", BadLocation::NoDatabase),
            ("postgres://host/a?dbname=b", BadLocation::NoDatabase),
        ] {
            assert_eq!(parse(text, true), Err(why), "{text}");
        }
    }
}
