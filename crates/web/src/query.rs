//! Query parameters, read one by one; what nobody read is refused, so that a misspelt filter never answers with everything.
use crate::Problem;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use kernel::Code;
use std::{
    collections::HashMap,
    fmt::Display,
    future::{Ready, ready},
    str::FromStr,
};

/// The parameters of a request; each is taken once, then [`end`](Self::end) complains of the rest.
pub struct Query(HashMap<String, String>);

impl Query {
    /// Characters that any one value may have.
    const LONGEST: usize = 512;

    /// Characters of a cursor: it holds the sort key of a row, a title of the longest kind among them.
    const LONGEST_CURSOR: usize = 4096;

    /// `query`, without its question mark.
    pub fn read(query: &str) -> Result<Self, Problem> {
        let pairs: Result<Vec<(String, String)>, _> = serde_urlencoded::from_str(query);
        let pairs = pairs.map_err(|_| Problem::new(Code::InvalidQuery, "The query cannot be read."))?;
        let count = pairs.len();
        let query: HashMap<_, _> = pairs.into_iter().collect();
        if query.len() == count {
            Ok(Self(query))
        } else {
            Err(Problem::new(Code::InvalidQuery, "A parameter is given twice."))
        }
    }
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        self.bounded(name, Self::LONGEST)
    }
    fn bounded(&mut self, name: &str, longest: usize) -> Result<Option<String>, Problem> {
        let value = self.0.remove(name);
        match value {
            Some(value) if value.len() > longest || value.contains('\0') => Err(wrong(name, "too long or not text")),
            value => Ok(value),
        }
    }
    pub fn parse<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        let parse = |text: String| text.parse().map_err(|why| wrong(name, why));
        self.text(name)?.map(parse).transpose()
    }
    /// `?limit=` 1..100, 20 when not given.
    pub fn limit(&mut self) -> Result<usize, Problem> {
        let limit = self.text("limit")?.map_or(Some(20), |text| text.parse().ok());
        limit.filter(|limit| (1..=100).contains(limit)).ok_or_else(|| wrong("limit", "1 to 100"))
    }
    pub fn cursor(&mut self) -> Result<Option<String>, Problem> {
        self.bounded("cursor", Self::LONGEST_CURSOR).map_err(|_| Code::InvalidCursor.into())
    }
    pub fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        let flag = self.text(name)?.map_or(Some(false), |text| text.parse().ok());
        flag.ok_or_else(|| wrong(name, "true or false"))
    }
    pub fn end(self) -> Result<(), Problem> {
        match self.0.into_keys().min() {
            Some(name) => Err(wrong(&name, "not a parameter of this path")),
            None => Ok(()),
        }
    }
}

fn wrong(name: &str, why: impl Display) -> Problem {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
    Problem::new(Code::InvalidQuery, format!("{shown}: {why}."))
}

impl FromRequest for Query {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::read(request.query_string()))
    }
}
