//! What happened, told to whoever listens.
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// A typed event of a domain: an enum in its `*-api`, written to the outbox in the transaction of the change. Declared
/// with [`events!`](crate::events).
pub trait Event: Serialize + Sized + 'static {
    /// Every kind there is.
    const KINDS: &'static [EventKind];
    /// Such as `order.placed`; the word before the dot names the aggregate.
    fn kind(&self) -> &'static str;
    /// The aggregate it happened to; events of one aggregate are told in order.
    fn subject(&self) -> Uuid;
    /// What was told as `kind` with this payload. Members that this version does not know are left alone.
    fn read(kind: &str, data: &Value) -> Result<Self, BadEvent>;
}

/// What can be known of a kind of events without one of them.
#[derive(Clone, Copy, Debug)]
pub struct EventKind {
    /// Such as `order.placed`.
    pub name: &'static str,
    /// Of the payload's form. Members may be added within a version; whoever takes one away, or gives it another
    /// meaning, makes the next.
    pub version: u32,
    /// Which domain tells it.
    pub domain: &'static str,
    /// The TypeID prefix of its subject.
    pub prefix: &'static str,
    /// What it means, for whoever hears it.
    pub summary: &'static str,
    /// The form of its payload.
    #[cfg(feature = "openapi")]
    pub schema: fn() -> EventSchema,
}

impl EventKind {
    /// Where its payload is described, as a place in the shop's AsyncAPI document.
    pub fn schema_place(&self) -> String {
        format!("/asyncapi.json#/components/schemas/{}", self.schema_name())
    }
    /// What it is called there.
    pub fn schema_name(&self) -> String {
        format!("{}.v{}", self.name, self.version)
    }
}

/// A payload's JSON schema, and the schemas that it refers to by name.
#[cfg(feature = "openapi")]
pub struct EventSchema {
    pub own: utoipa::openapi::RefOr<utoipa::openapi::Schema>,
    pub parts: Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>,
}

#[cfg(feature = "openapi")]
impl EventSchema {
    pub fn of<T: utoipa::ToSchema>() -> Self {
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        Self { own: T::schema(), parts }
    }
}

/// An event that this version cannot read: of a kind it does not know, or of another form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read a `{kind}`: {why}")]
pub struct BadEvent {
    pub kind: String,
    pub why: String,
}

/// Declares the events of a domain: `"kind" version => Variant of subject: SubjectId { members }`. The subject is told as
/// the first member. Every variant says in its documentation what it means; AsyncAPI shows it. A member that came later
/// within a version is `#[serde(default)]`: what was told before it is read without it.
#[macro_export]
macro_rules! events {
    (
        $(#[$meta:meta])*
        pub enum $name:ident of $domain:literal {$(
            $(#[doc = $doc:literal])+
            $kind:literal $version:literal => $variant:ident of $subject:ident: $id:ty {$(
                $(#[$about:meta])* $member:ident: $type:ty
            ),* $(,)?}
        ),+ $(,)?}
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, ::serde::Serialize)]
        #[serde(untagged)]
        pub enum $name {$(
            $(#[doc = $doc])+
            $variant { $subject: $id, $($(#[$about])* $member: $type),* }
        ),+}

        impl $crate::Event for $name {
            const KINDS: &'static [$crate::EventKind] = &[$({
                $(#[doc = $doc])+
                #[derive(::utoipa::ToSchema)]
                #[expect(dead_code, reason = "only its schema matters")]
                struct $variant { $subject: $id, $($(#[$about])* $member: $type),* }
                $crate::EventKind {
                    name: $kind,
                    version: $version,
                    domain: $domain,
                    prefix: <$id>::PREFIX,
                    summary: concat!($($doc),+),
                    schema: || $crate::EventSchema::of::<$variant>(),
                }
            }),+];

            fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $kind),+
                }
            }
            fn subject(&self) -> ::uuid::Uuid {
                match self {
                    $(Self::$variant { $subject, .. } => *$subject.uuid()),+
                }
            }
            fn read(kind: &str, data: &::serde_json::Value) -> Result<Self, $crate::BadEvent> {
                let bad = |why: String| $crate::BadEvent { kind: kind.to_owned(), why };
                match kind {
                    $($kind => {
                        #[derive(::serde::Deserialize)]
                        struct $variant { $subject: $id, $($(#[$about])* $member: $type),* }
                        let read = <$variant as ::serde::Deserialize>::deserialize(data);
                        let $variant { $subject, $($member),* } = read.map_err(|error| bad(error.to_string()))?;
                        Ok(Self::$variant { $subject, $($member),* })
                    })+
                    _ => Err(bad("this version does not know the kind".to_owned())),
                }
            }
        }
    };
}

#[cfg(all(test, feature = "openapi"))]
#[expect(unreachable_pub, reason = "events are declared for other crates")]
mod tests {
    use crate::{Event, Id, Kind};
    use serde_json::json;

    #[derive(Debug)]
    pub enum Lamp {}
    impl Kind for Lamp {
        const PREFIX: &'static str = "lamp";
    }
    type LampId = Id<Lamp>;
    crate::events! {
        /// Told of lamps.
        pub enum LampEvent of "lamps" {
            /// Somebody lit it.
            "lamp.lit" 1 => Lit of lamp_id: LampId { watts: i64, by: Option<String>, #[serde(default)] moths: Vec<String> },
            /// It is dark again.
            "lamp.out" 2 => Out of lamp_id: LampId {},
        }
    }

    #[test]
    fn what_is_told_is_read_back_and_what_is_new_in_it_is_left_alone() {
        let lit = LampEvent::Lit { lamp_id: Id::new(), watts: 40, by: None, moths: vec![] };
        let mut data = serde_json::to_value(&lit).unwrap();
        assert_eq!(LampEvent::read(lit.kind(), &data), Ok(lit.clone()));
        data["colour"] = json!("red");
        assert_eq!(LampEvent::read("lamp.lit", &data), Ok(lit.clone()));
        data.as_object_mut().unwrap().remove("moths");
        assert_eq!(LampEvent::read("lamp.lit", &data), Ok(lit), "told before there were moths");
        data["watts"] = json!("many");
        assert!(LampEvent::read("lamp.lit", &data).unwrap_err().to_string().contains("invalid type"));
        assert!(LampEvent::read("lamp.broken", &data).unwrap_err().why.contains("does not know"));
    }

    #[test]
    fn a_kind_says_what_it_is() {
        let [lit, out] = LampEvent::KINDS else { panic!("two") };
        assert_eq!((lit.name, lit.version, lit.domain, lit.prefix), ("lamp.lit", 1, "lamps", "lamp"));
        assert_eq!((lit.summary.trim(), out.version), ("Somebody lit it.", 2));
        let schema = serde_json::to_value((lit.schema)().own).unwrap();
        assert_eq!(schema["required"], json!(["lamp_id", "watts"]));
    }
}
