//! Texts as they are compared, searched and put into addresses.
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// The longest sort key, in characters: a title folds to more than it has.
const LONGEST_KEY: usize = 300;
/// The longest word that is searched for; longer ones are cut, in products and in questions alike.
pub(crate) const LONGEST_WORD: usize = 64;
/// The longest slug.
pub(crate) const LONGEST_SLUG: usize = 200;

/// Without case and marks, so that "Träumerei" is found and sorted as "traumerei" on both databases.
pub(crate) fn fold(text: &str) -> impl Iterator<Item = char> + '_ {
    text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase)
}

/// What a title is sorted by.
pub(crate) fn sort_key(title: &str) -> String {
    fold(title).take(LONGEST_KEY).collect()
}

/// The folded words of a text: runs of letters and digits.
pub(crate) fn words(text: &str) -> Vec<String> {
    let folded: String = fold(text).collect();
    let words = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| word.chars().take(LONGEST_WORD).collect()).collect()
}

/// What somebody searches for: at most 8 words.
pub(crate) fn searched(text: &str) -> Vec<String> {
    let mut words = words(text);
    words.truncate(8);
    words
}

/// A slug made of any text; empty when nothing of it can stand in one.
pub(crate) fn slugified(text: &str) -> String {
    let mut slug = String::new();
    for c in fold(text) {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            'ß' => slug.push_str("ss"),
            // an apostrophe joins: "women's" is "womens"
            '\'' | '\u{2019}' => (),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => (),
        }
    }
    slug.truncate(LONGEST_SLUG); // ASCII
    slug.trim_end_matches('-').to_owned()
}

/// A slug somebody chose. It has no `_`, so it never reads as a TypeID.
pub(crate) fn slug(text: &str) -> Result<String, &'static str> {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if text.len() <= LONGEST_SLUG && text.split('-').all(part) {
        Ok(text.to_owned())
    } else {
        Err("needs lower-case letters and digits with single dashes between, 200 at most")
    }
}

/// HTML as it may stand on a page; whatever runs code is dropped.
pub(crate) fn sanitised(html: &str) -> String {
    ammonia::clean(html).replace('\0', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_cut() {
        assert_eq!(words("Träumerei — Grußkarten №5, A-6!"), ["traumerei", "grußkarten", "no5", "a", "6"]);
        assert_eq!(words(&"x".repeat(100))[0].len(), LONGEST_WORD);
        assert_eq!(searched("a b c d e f g h i j").len(), 8);
        assert!(searched(" -- ").is_empty());
    }

    #[test]
    fn a_slug_comes_from_any_title() {
        assert_eq!(slugified("  Piñon Desk-Clock (2.0) "), "pinon-desk-clock-2-0");
        assert_eq!(slugified("Women's Größe"), "womens-grosse");
        assert_eq!(slugified("日本"), "");
        assert!(slugified(&"ab ".repeat(200)).len() <= LONGEST_SLUG);
        for title in ["Piñon", "a--b", "x'y", "Ǆ 1"] {
            assert_eq!(slug(&slugified(title)), Ok(slugified(title)));
        }
    }

    #[test]
    fn a_chosen_slug_is_strict_and_no_type_id() {
        for good in ["a", "desk-lamp-2", "01h455vb4pex5vsknk084sn02q"] {
            assert!(slug(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "A", "a_b", "prod_01h455vb4pex5vsknk084sn02q", "ä", &"a".repeat(201)] {
            assert!(slug(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn html_is_kept_and_scripts_are_not() {
        assert_eq!(sanitised("<p>Hi <em>you</em></p><script>x()</script>"), "<p>Hi <em>you</em></p>");
        let once = sanitised("<p onclick=x()>a < b & c<p>d");
        assert_eq!(sanitised(&once), once);
    }
}
