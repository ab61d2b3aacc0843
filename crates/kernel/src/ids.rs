//! Typed ids: an `Id<Order>` is never an `Id<Variant>`, neither in Rust nor in a URL.
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{cmp, fmt, hash, marker::PhantomData, str::FromStr};
use type_safe_id::{DynamicType, TypeSafeId};
use uuid::Uuid;

/// What an id names. Implemented by an empty enum next to the trait that speaks of it.
pub trait Kind: 'static {
    /// The TypeID prefix: lower-case letters, unique in the shop.
    const PREFIX: &'static str;
}

/// A UUIDv7 that knows what it names; outside it is a TypeID such as `prod_01h455vb4pex5vsknk084sn02q`.
#[cfg_attr(feature = "diesel", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
#[cfg_attr(feature = "diesel", diesel(sql_type = diesel::sql_types::Uuid))]
pub struct Id<T>(Uuid, PhantomData<fn() -> T>);

impl<T> Id<T> {
    /// A new id; ids made later sort later, to the millisecond.
    #[expect(clippy::new_without_default, reason = "a default that differs each time would surprise")]
    pub fn new() -> Self {
        Self::from(Uuid::now_v7())
    }
    pub fn uuid(&self) -> &Uuid {
        &self.0
    }
}
impl<T> From<Uuid> for Id<T> {
    fn from(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }
}
impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<T> hash::Hash for Id<T> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Kind> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        type_id(T::PREFIX, self.0).fmt(f)
    }
}

/// The TypeID of what only its prefix is known of: one of some [`Kind`].
pub fn type_id(prefix: &'static str, id: Uuid) -> impl fmt::Display {
    let prefix = DynamicType::new(prefix).expect("a Kind's prefix is a TypeID prefix");
    TypeSafeId::from_type_and_uuid(prefix, id)
}

/// The text is not the TypeID of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {0}_..")]
pub struct BadId(&'static str);

impl<T: Kind> FromStr for Id<T> {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = BadId(T::PREFIX);
        let id: TypeSafeId<DynamicType> = text.parse().map_err(|_| bad)?;
        if id.type_prefix() == T::PREFIX { Ok(id.uuid().into()) } else { Err(bad) }
    }
}
impl<T: Kind> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de, T: Kind> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(feature = "openapi")]
impl<T> utoipa::PartialSchema for Id<T> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A TypeID: what it names, then 26 characters."))
            .pattern(Some("^[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}$"))
            .build()
            .into()
    }
}
#[cfg(feature = "openapi")]
impl<T> utoipa::ToSchema for Id<T> {
    fn name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }
}

impl<T: Kind> Id<T> {
    pub const PREFIX: &'static str = T::PREFIX;
}

/// What makes a second try the same change: see [`Keyed`](crate::Keyed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(Uuid);

impl<T> crate::Keyed for Id<T> {
    fn key(&self) -> Key {
        (*self).into()
    }
}
impl<T> From<Id<T>> for Key {
    fn from(id: Id<T>) -> Self {
        Self(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    enum Lamp {}
    impl Kind for Lamp {
        const PREFIX: &'static str = "lamp";
    }
    #[derive(Debug)]
    enum Chair {}
    impl Kind for Chair {
        const PREFIX: &'static str = "chair";
    }

    #[test]
    fn an_id_comes_back_and_is_no_other_kind() {
        let id = Id::<Lamp>::new();
        let text = id.to_string();
        assert!(text.starts_with("lamp_") && text.len() == 5 + 26, "{text}");
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.parse::<Id<Chair>>(), Err(BadId("chair")));
        assert_eq!(serde_json::from_str::<Id<Lamp>>(&format!("\"{text}\"")).unwrap(), id);
    }

    #[test]
    fn the_published_example_of_the_format() {
        enum Prefix {}
        impl Kind for Prefix {
            const PREFIX: &'static str = "prefix";
        }
        let uuid: Uuid = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        assert_eq!(Id::<Prefix>::from(uuid).to_string(), "prefix_01h455vb4pex5vsknk084sn02q");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "lamp",
            "lamp_",
            "lamp_01h455vb4pex5vsknk084sn02",
            "LAMP_01h455vb4pex5vsknk084sn02q",
            "lamp_81h455vb4pex5vsknk084sn02q",
        ] {
            assert!(text.parse::<Id<Lamp>>().is_err(), "{text}");
        }
    }
}
