//! Accounts and what they are made of.
use crate::domain::roles::Roles;
use kernel::{Address, Id, Kind, Time};
use std::str::FromStr;
use users_api::UserId;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct User {
    pub id: UserId,
    pub email: Email,
    pub name: String,
    pub roles: Roles,
    pub version: i64,
    pub created_at: Time,
}

/// An email address as it was written; two that differ only in case are the same account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Email(String);

impl Email {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
    /// What makes an address unique.
    pub(crate) fn key(&self) -> String {
        self.0.to_lowercase()
    }
    /// From a column that was checked on its way in.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }
}
impl FromStr for Email {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let host = text.rsplit_once('@').map_or("", |(_, host)| host);
        let fits = text.len() <= 254 && host.contains('.') && !text.contains(char::is_control);
        if fits && email_address::EmailAddress::is_valid(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err("not an email address")
        }
    }
}

/// A password as it was typed. Never shown, never stored.
#[derive(Clone)]
pub(crate) struct Password(String);

impl Password {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
    /// As typed to sign in: no rule but a bound, since rules may have changed.
    pub(crate) fn typed(text: &str) -> Self {
        Self(text.chars().take(256).collect())
    }
}
impl FromStr for Password {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.chars().count() {
            0..8 => Err("needs 8 characters or more"),
            8..=256 => Ok(Self(text.to_owned())),
            _ => Err("at most 256 characters"),
        }
    }
}

/// One of a user's addresses.
#[derive(Debug)]
pub(crate) enum Saved {}
impl Kind for Saved {
    const PREFIX: &'static str = "addr";
}
pub(crate) type AddressId = Id<Saved>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SavedAddress {
    pub id: AddressId,
    pub address: Address,
    pub version: i64,
    pub created_at: Time,
}

/// A signed-in device.
#[derive(Debug)]
pub(crate) enum Device {}
impl Kind for Device {
    const PREFIX: &'static str = "sess";
}
pub(crate) type SessionId = Id<Device>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Session {
    pub id: SessionId,
    pub created_at: Time,
    /// The last sign-in or refresh.
    pub used_at: Time,
    pub expires_at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        for good in ["a@example.com", " Ann.Other+tag@sub.example.org "] {
            assert!(good.parse::<Email>().is_ok(), "{good}");
        }
        for bad in
            ["", "a", "a@", "@example.com", "a b@example.com", "a@localhost", "a@example.com\0", "a@@example.com"]
        {
            assert!(bad.parse::<Email>().is_err(), "{bad}");
        }
        assert_eq!("Ann@Example.com".parse::<Email>().map(|e| e.key()), Ok("ann@example.com".into()));
    }
}
