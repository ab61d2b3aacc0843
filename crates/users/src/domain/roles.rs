//! Roles, and what each of them may do. The one place that knows; tokens carry the permissions, never the roles.
use std::{fmt, str::FromStr};

/// What somebody is in the shop. Everybody is a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Customer,
    Staff,
    Admin,
}

const STAFF: &[&str] = &[
    "products:read",
    "products:write",
    "reviews:moderate",
    "stock:read",
    "stock:write",
    "orders:read",
    "orders:write",
    "events:read",
    "notices:read",
    "notices:write",
];
const ADMIN: &[&str] = &["users:read", "users:write", "webhooks:read", "webhooks:write"];

impl Role {
    pub const ALL: [Self; 3] = [Self::Customer, Self::Staff, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Staff => "staff",
            Self::Admin => "admin",
        }
    }
    fn permissions(self) -> impl Iterator<Item = &'static str> {
        let (staff, admin) = match self {
            Self::Customer => (&[][..], &[][..]),
            Self::Staff => (STAFF, &[][..]),
            Self::Admin => (STAFF, ADMIN),
        };
        staff.iter().chain(admin).copied()
    }
}
impl FromStr for Role {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or("not a role: customer, staff or admin")
    }
}

/// A sorted set of roles, `customer` among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roles(Vec<Role>);

impl Roles {
    pub(crate) fn new(roles: impl IntoIterator<Item = Role>) -> Self {
        let mut all: Vec<_> = roles.into_iter().chain([Role::Customer]).collect();
        all.sort_unstable();
        all.dedup();
        Self(all)
    }
    pub(crate) fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|role| role.as_str().to_owned()).collect()
    }
    pub(crate) fn permissions(&self) -> Vec<String> {
        let mut all: Vec<_> = self.0.iter().flat_map(|role| role.permissions()).map(str::to_owned).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}
/// As it lies in its column: words with spaces between.
impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(" "))
    }
}
impl FromStr for Roles {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text.split_whitespace().map(Role::from_str).collect::<Result<Vec<_>, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_come_back_and_everybody_is_a_customer() {
        let roles = Roles::new([Role::Admin, Role::Admin]);
        assert_eq!(roles.to_string(), "customer admin");
        assert_eq!(roles.to_string().parse(), Ok(roles));
        assert!("customer root".parse::<Roles>().is_err());
    }

    #[test]
    fn only_administrators_see_users() {
        let may = |role: Role, what: &str| Roles::new([role]).permissions().iter().any(|p| p == what);
        assert!(may(Role::Admin, "users:read") && !may(Role::Staff, "users:read"));
        assert!(may(Role::Staff, "orders:write") && !may(Role::Customer, "orders:write"));
        assert!(Roles::new([]).permissions().is_empty());
    }
}
