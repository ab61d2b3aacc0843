//! What units change of what is shown: whoever keeps ready answers lets go of theirs before the change is answered.
use std::collections::BTreeSet;
use uuid::Uuid;

/// What a unit changed, by the ids of things. More than [`MOST`](Self::MOST) are everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    everything: bool,
    things: BTreeSet<Uuid>,
}

/// What whoever keeps ready answers is told.
#[derive(Debug)]
pub enum News<'a> {
    /// These changed, here or in another process.
    Touched(&'a Touched),
    /// From now on changes of other processes are not heard of.
    Deaf,
    /// From now on they are; what happened meanwhile nobody said.
    Hears,
}

impl Touched {
    /// As many ids, as hexadecimal digits, fit into one notification of PostgreSQL (8,000 bytes).
    pub const MOST: usize = 230;

    pub fn everything() -> Self {
        Self { everything: true, things: BTreeSet::new() }
    }
    pub fn of(things: impl IntoIterator<Item = Uuid>) -> Self {
        let mut touched = Self { everything: false, things: things.into_iter().collect() };
        touched.bound();
        touched
    }
    pub fn is_everything(&self) -> bool {
        self.everything
    }
    pub fn is_empty(&self) -> bool {
        !self.everything && self.things.is_empty()
    }
    pub fn things(&self) -> impl Iterator<Item = Uuid> {
        self.things.iter().copied()
    }
    pub(crate) fn add(&mut self, thing: Uuid) {
        if !self.everything {
            self.things.insert(thing);
            self.bound();
        }
    }
    pub(crate) fn join(&mut self, other: &Self) {
        self.everything |= other.everything;
        self.things.extend(&other.things);
        self.bound();
    }
    fn bound(&mut self) {
        if self.everything || self.things.len() > Self::MOST {
            *self = Self::everything();
        }
    }

    /// As it is said to other processes.
    pub(crate) fn to_text(&self) -> String {
        match self.everything {
            true => "*".to_owned(),
            false => self.things.iter().map(|thing| thing.simple().to_string()).collect(),
        }
    }
    /// What cannot be read is everything.
    pub(crate) fn read(text: &str) -> Self {
        let thing = |digits: &[u8]| Uuid::try_parse_ascii(digits).ok();
        let things: Option<BTreeSet<Uuid>> = text.as_bytes().chunks(32).map(thing).collect();
        things.map_or_else(Self::everything, |things| Self { everything: false, things })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: u128) -> Touched {
        let mut touched = Touched::default();
        (0..count).for_each(|n| touched.add(Uuid::from_u128(n)));
        touched
    }

    #[test]
    fn what_is_said_is_understood() {
        for touched in [of(1), of(2), of(Touched::MOST as u128), Touched::everything()] {
            let text = touched.to_text();
            assert!(text.len() < 7_900, "{}", text.len());
            assert_eq!(Touched::read(&text), touched);
        }
        assert_eq!(Touched::read("nonsense"), Touched::everything());
        assert_eq!(Touched::read("é"), Touched::everything());
    }

    #[test]
    fn too_many_are_everything() {
        assert!(of(Touched::MOST as u128 + 1).is_everything());
        let mut joined = of(Touched::MOST as u128);
        assert!(!joined.is_everything());
        joined.add(Uuid::max());
        assert!(joined.is_everything() && !joined.is_empty() && joined.things().next().is_none());
        let mut joined = of(3);
        joined.join(&Touched::everything());
        assert_eq!(joined, Touched::everything());
    }
}
