//! Settings: embedded defaults, then a file, then the environment, then flags; each crate reads its own section.
//!
//! Unknown keys are refused, and all problems are told at once, before any port is bound.
use config::{Config, Environment, File, FileFormat};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;
use std::{fmt, path::PathBuf};

/// Where settings come from.
#[derive(Debug, Default)]
pub struct Source {
    /// TOML, with a comment for every key.
    pub defaults: &'static str,
    pub file: Option<PathBuf>,
    /// Keys whose value in the environment is a list with commas.
    pub lists: &'static [&'static str],
    /// Flags, as key and value.
    pub flags: Vec<(&'static str, String)>,
}

/// All that is wrong with the settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the settings cannot be used:")?;
        self.0.iter().try_for_each(|problem| writeln!(f, "  - {problem}"))
    }
}
impl std::error::Error for Problems {}

/// The merged settings, section by section.
pub struct Tree {
    sections: serde_json::Map<String, Value>,
    problems: Problems,
}

impl Tree {
    pub fn read(source: Source) -> Result<Self, Problems> {
        let mut environment = Environment::with_prefix("CLEAVE")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true)
            .list_separator(",");
        for key in source.lists {
            environment = environment.with_list_parse_key(key);
        }
        let mut all = Config::builder().add_source(File::from_str(source.defaults, FileFormat::Toml));
        if let Some(file) = &source.file {
            all = all.add_source(File::from(file.as_path()).format(FileFormat::Toml));
        }
        all = all.add_source(environment);
        let one = |error: config::ConfigError| Problems(vec![error.to_string()]);
        for (key, value) in source.flags {
            all = all.set_override(key, value).map_err(one)?;
        }
        let tree: Value = all.build().and_then(Config::try_deserialize).map_err(one)?;
        match tree {
            Value::Object(sections) => Ok(Self { sections, problems: Problems::default() }),
            _ => Err(Problems(vec!["the settings are not a table".into()])),
        }
    }

    /// Takes a section out. What is wrong with it is kept for [`finish`](Self::finish), and `None` comes back.
    pub fn take<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = self.sections.remove(name).unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        match serde_path_to_error::deserialize(value) {
            Ok(section) => Some(section),
            Err(error) => {
                let path = error.path().to_string();
                let at = if path == "." { name.to_owned() } else { format!("{name}.{path}") };
                self.complain(format!("{at}: {}", error.inner()));
                None
            }
        }
    }
    pub fn complain(&mut self, problem: impl Into<String>) {
        self.problems.0.push(problem.into());
    }
    /// Complains of sections that nobody took.
    pub fn finish<T>(mut self, whole: Option<T>) -> Result<T, Problems> {
        for name in self.sections.keys() {
            self.problems.0.push(format!("{name}: there is no such setting"));
        }
        match whole {
            Some(whole) if self.problems.0.is_empty() => Ok(whole),
            _ => Err(self.problems),
        }
    }
}

/// A text that may hold a secret, such as a database URL with its password: shown without it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Masked(String);

impl Masked {
    pub fn expose(&self) -> &str {
        &self.0
    }
    fn shown(&self) -> String {
        let (address, query) = self.0.split_once('?').map_or((self.0.as_str(), None), |(a, q)| (a, Some(q)));
        let parts = address.split_once("://").and_then(|(scheme, rest)| {
            let (user, host) = rest.rsplit_once('@')?;
            let (name, _password) = user.split_once(':')?;
            Some(format!("{scheme}://{name}:***@{host}"))
        });
        let address = parts.unwrap_or_else(|| address.to_owned());
        let shown = |pair: &str| match pair.split_once('=') {
            Some((name, _)) if name.contains("password") => format!("{name}=***"),
            _ => pair.to_owned(),
        };
        match query {
            Some(query) => format!("{address}?{}", query.split('&').map(shown).collect::<Vec<_>>().join("&")),
            None => address,
        }
    }
}
impl From<String> for Masked {
    fn from(text: String) -> Self {
        Self(text)
    }
}
impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().fmt(f)
    }
}
impl Serialize for Masked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}
impl<'de> Deserialize<'de> for Masked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Http {
        listen: String,
    }

    fn source(file: &str) -> (Source, tempfile::NamedTempFile) {
        let held = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(held.path(), file).unwrap();
        let source = Source {
            defaults: "[http]\nlisten = \"127.0.0.1:8080\"\n[other]\n",
            file: Some(held.path().to_owned()),
            ..Source::default()
        };
        (source, held)
    }

    #[test]
    fn later_sources_win() {
        let (mut file, _held) = source("[http]\nlisten = \"0.0.0.0:80\"\n");
        file.flags.push(("http.listen", "127.0.0.1:0".into()));
        let mut tree = Tree::read(file).unwrap();
        assert_eq!(tree.take::<Http>("http"), Some(Http { listen: "127.0.0.1:0".into() }));
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let (file, _held) = source("[http]\nlisten = 7\nport = 1\n[htttp]\nx = 1\n[other]\ny = true\n");
        let mut tree = Tree::read(file).unwrap();
        let http = tree.take::<Http>("http");
        let other = tree.take::<BTreeMap<String, String>>("other");
        let Problems(told) = tree.finish(http.zip(other)).unwrap_err();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(
            told[0].starts_with("http") && told[1].starts_with("other.y") && told[2].starts_with("htttp"),
            "{told:?}"
        );
    }

    #[test]
    fn passwords_are_not_shown() {
        let url = Masked::from("postgres://cleave:s3cr@t@db.internal/shop".to_owned());
        assert_eq!(format!("{url:?}"), "\"postgres://cleave:***@db.internal/shop\"");
        assert_eq!(serde_json::to_string(&url).unwrap(), "\"postgres://cleave:***@db.internal/shop\"");
        let url = Masked::from("postgres://db/shop?user=cleave&password=s3cret&sslmode=require".to_owned());
        assert_eq!(format!("{url:?}"), "\"postgres://db/shop?user=cleave&password=***&sslmode=require\"");
        assert_eq!(format!("{:?}", Masked::from("sqlite:users.db".to_owned())), "\"sqlite:users.db\"");
    }
}
