//! What people think of products, and what comes of it.
use kernel::Time;
use products_api::{ProductId, ReviewId};
use std::str::FromStr;
use users_api::UserId;

pub(crate) const MAX_AUTHOR: usize = 100;
pub(crate) const MAX_TITLE: usize = 200;
/// Bytes of what a review says.
pub(crate) const MAX_TEXT: usize = 10_000;
/// Characters of why it was rejected.
pub(crate) const MAX_REASON: usize = 500;

/// 1 is the worst, 5 the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(i64);

impl Mark {
    pub(crate) const fn get(self) -> i64 {
        self.0
    }
}
impl TryFrom<i64> for Mark {
    type Error = &'static str;
    fn try_from(mark: i64) -> Result<Self, Self::Error> {
        if (1..=5).contains(&mark) { Ok(Self(mark)) } else { Err("1 to 5") }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Staff has not looked at it yet.
    Pending,
    Published,
    Rejected,
}

impl Standing {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Published => "published",
            Self::Rejected => "rejected",
        }
    }
}
impl FromStr for Standing {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Pending, Self::Published, Self::Rejected];
        all.into_iter().find(|standing| standing.as_str() == text).ok_or("not a status: pending, published or rejected")
    }
}

/// What its author says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opinion {
    pub mark: Mark,
    pub title: Option<String>,
    /// Sanitised HTML.
    pub text: Option<String>,
    /// What the author wants to be called.
    pub author: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Review {
    pub id: ReviewId,
    pub product: ProductId,
    /// `None`: the account is gone.
    pub user: Option<UserId>,
    pub opinion: Opinion,
    pub standing: Standing,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// Its author bought the product.
    pub verified: bool,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
}

impl Review {
    /// What it adds to its product's rating.
    pub(crate) const fn counted(&self) -> Rating {
        match self.standing {
            Standing::Published => Rating { count: 1, sum: self.opinion.mark.get() },
            Standing::Pending | Standing::Rejected => Rating::NONE,
        }
    }
}

/// What changes of an opinion; `None` stays, an empty text is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rewrite {
    pub mark: Option<Mark>,
    pub title: Option<String>,
    pub text: Option<String>,
    pub author: Option<String>,
}

impl Opinion {
    pub(crate) fn rewritten(&self, rewrite: Rewrite) -> Self {
        let given = |new: Option<String>, old: &Option<String>| match new {
            Some(text) => Some(text).filter(|text| !text.is_empty()),
            None => old.clone(),
        };
        Self {
            mark: rewrite.mark.unwrap_or(self.mark),
            title: given(rewrite.title, &self.title),
            text: given(rewrite.text, &self.text),
            author: given(rewrite.author, &self.author),
        }
    }
}

/// How many marks, and their sum: exact, whatever is added to it and taken away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rating {
    pub count: i64,
    pub sum: i64,
}

impl Rating {
    pub(crate) const NONE: Self = Self { count: 0, sum: 0 };

    /// What there is more, where there was `before`.
    pub(crate) const fn since(self, before: Self) -> Self {
        Self { count: self.count - before.count, sum: self.sum - before.sum }
    }
    /// With two decimals, half up; `None` of no marks.
    pub(crate) fn average(self) -> Option<String> {
        if self.count <= 0 {
            return None;
        }
        let (sum, count) = (i128::from(self.sum), i128::from(self.count));
        let hundredths = (200 * sum + count) / (2 * count);
        Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_exact_and_rounded_half_up() {
        let average = |count, sum| Rating { count, sum }.average();
        assert_eq!(average(0, 0), None);
        for (count, sum, expected) in [
            (1, 5, "5.00"),
            (3, 13, "4.33"),
            (3, 14, "4.67"),
            (8, 9, "1.13"),     // 1.125
            (200, 667, "3.34"), // 3.335, which no float holds
            (200, 201, "1.01"), // 1.005
            (7, 22, "3.14"),
            (i64::MAX / 5, i64::MAX / 5 * 5, "5.00"),
        ] {
            assert_eq!(average(count, sum).as_deref(), Some(expected), "{sum} of {count}");
        }
    }

    #[test]
    fn a_rewrite_keeps_what_it_does_not_name_and_empties_what_it_empties() {
        let old = Opinion {
            mark: Mark(2),
            title: Some("Well".into()),
            text: Some("It glows.".into()),
            author: Some("Ada".into()),
        };
        assert_eq!(old.rewritten(Rewrite::default()), old);
        let new = old.rewritten(Rewrite { mark: Some(Mark(5)), text: Some(String::new()), ..Rewrite::default() });
        assert_eq!(new, Opinion { mark: Mark(5), text: None, ..old });
        assert!(Mark::try_from(0).is_err() && Mark::try_from(6).is_err());
    }
}
