//! Which kinds of events somebody wants to hear.
use kernel::EventKind;
use std::fmt;

/// `*`, `order.*` or `order.placed`. It matches at least one kind that this version knows; kinds that a later one adds
/// are matched as well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pattern(String);

/// The text matches no kind of events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("matches no event; take a kind such as order.placed, all of a noun's such as order.*, or *")]
pub(crate) struct MatchesNothing;

impl Pattern {
    pub(crate) fn parse(text: &str, kinds: &[EventKind]) -> Result<Self, MatchesNothing> {
        let pattern = Self(text.to_owned());
        let formed =
            !text.contains('*') || text == "*" || text.strip_suffix(".*").is_some_and(|noun| !noun.contains('*'));
        let matches = formed && kinds.iter().any(|kind| pattern.matches(kind.name));
        if matches { Ok(pattern) } else { Err(MatchesNothing) }
    }
    /// As it was kept.
    pub(crate) fn kept(text: String) -> Self {
        Self(text)
    }
    pub(crate) fn matches(&self, kind: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => kind.starts_with(prefix),
            None => kind == self.0,
        }
    }
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kernel::Event as _;
    use webhooks_api::WebhookEvent;

    #[test]
    fn a_pattern_is_a_kind_or_all_of_a_noun_or_all() {
        let kinds = WebhookEvent::KINDS;
        for (text, matched, not) in [
            ("*", "order.placed", None),
            ("notice.*", "notice.opened", Some("noticed.opened")),
            ("notice.*", "notice.of_a_later_version", Some("webhook_endpoint.created")),
            ("notice.opened", "notice.opened", Some("notice.opened_again")),
        ] {
            let pattern = Pattern::parse(text, kinds).unwrap();
            assert!(pattern.matches(matched), "{text}");
            assert!(not.is_none_or(|kind| !pattern.matches(kind)), "{text}");
        }
    }

    #[test]
    fn what_matches_nothing_is_refused() {
        for text in [
            "",
            "order.placed",
            "order.*",
            "notice",
            "notice.",
            "notice.op*",
            "*.opened",
            "**",
            "n*",
            "*.*",
            " *",
            "Notice.*",
            ".*",
        ] {
            assert_eq!(Pattern::parse(text, WebhookEvent::KINDS), Err(MatchesNothing), "{text}");
        }
    }
}
