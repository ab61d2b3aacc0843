//! Where a list goes on. Keyset, never offset: a page costs the same wherever it is.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// One page of a list, and the cursor of the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `None` at the end.
    pub next: Option<Cursor>,
    /// How many there are, where that was asked: counted to 10,000 and no further.
    pub count: Option<u64>,
}

impl<T> Page<T> {
    /// The most that is counted.
    pub const COUNT_CAP: u64 = 10_000;

    /// A page from `limit + 1` rows: the one too many says that there is more.
    pub fn of(mut items: Vec<T>, limit: usize, cursor: impl FnOnce(&T) -> Cursor) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next, count: None }
    }
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(each).collect(), next: self.next, count: self.count }
    }
}

/// An opaque text: the last row's sort key, bound to the sort and the filters it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

/// The cursor was not made by this list with this sort and these filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor does not belong to this list, sort and filters")]
pub struct BadCursor;

impl Cursor {
    const BOUND: usize = 8;

    /// `binding`: what must be the same when the list goes on. `key`: where it stopped.
    pub fn new(binding: &impl Serialize, key: &impl Serialize) -> Self {
        let mut bytes = bound(binding);
        bytes.extend(serde_json::to_vec(key).expect("sort keys are plain data"));
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }
    pub fn read<K: DeserializeOwned>(text: &str, binding: &impl Serialize) -> Result<K, BadCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadCursor)?;
        let (bound_to, key) = bytes.split_at_checked(Self::BOUND).ok_or(BadCursor)?;
        if bound_to != bound(binding) {
            return Err(BadCursor);
        }
        serde_json::from_slice(key).map_err(|_| BadCursor)
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn bound(binding: &impl Serialize) -> Vec<u8> {
    let text = serde_json::to_vec(binding).expect("sorts and filters are plain data");
    Sha256::digest(text)[..Cursor::BOUND].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_its_list() {
        let cursor = Cursor::new(&("price", "EUR"), &(1999, "id"));
        assert_eq!(Cursor::read(cursor.as_str(), &("price", "EUR")), Ok((1999, "id".to_owned())));
        assert_eq!(Cursor::read::<(i64, String)>(cursor.as_str(), &("price", "USD")), Err(BadCursor));
        assert_eq!(Cursor::read::<(i64, i64)>(cursor.as_str(), &("price", "EUR")), Err(BadCursor));
        for text in ["", "x", "AAAA", "not base64 at all", "MTIzNDU2Nzg5"] {
            assert_eq!(Cursor::read::<(i64, String)>(text, &("price", "EUR")), Err(BadCursor), "{text}");
        }
    }

    #[test]
    fn the_row_too_many_is_not_shown() {
        let cursor = |last: &i32| Cursor::new(&(), last);
        assert_eq!(Page::of(vec![1, 2, 3], 2, cursor), Page { items: vec![1, 2], next: Some(cursor(&2)), count: None });
        assert_eq!(Page::of(vec![1, 2], 2, cursor).next, None);
    }
}
