//! users over HTTP: the table, a file per noun.
mod accounts;
mod addresses;
mod problems;
mod sessions;

use accounts::{ChangeMe, ChangeUser, Registration, UserBody};
use addresses::SavedBody;
use kernel::{Code, Needs};
use sessions::{Credentials, Jwks, Refresh, SessionBody, TokensBody};
use web::{AddressBody, Paged, Route, delete, get, patch, post, put};

const READ: Needs = Needs::Permission("users:read");
const WRITE: Needs = Needs::Permission("users:write");

/// What users serves.
pub fn routes() -> Vec<Route> {
    use Needs::{Nothing, User};
    vec![
        post("/v1/users", Nothing, accounts::register)
            .says("Register")
            .takes::<Registration>()
            .gives::<UserBody>(201, "The account")
            .keyed()
            .limited()
            .fails(&[Code::EmailTaken]),
        get("/v1/users", READ, accounts::list)
            .says("List users, newest first")
            .gives::<Paged<UserBody>>(200, "A page")
            .paged()
            .query("email", "only this address"),
        get("/v1/users/me", User, accounts::show)
            .says("My account")
            .gives::<UserBody>(200, "The account")
            .gives_nothing(304, "What the client has"),
        patch("/v1/users/me", User, accounts::change)
            .says("Change my account")
            .takes::<ChangeMe>()
            .gives::<UserBody>(200, "The account")
            .conditional()
            .fails(&[Code::EmailTaken, Code::InvalidCredentials]),
        delete("/v1/users/me", User, accounts::remove)
            .says("Delete my account")
            .gives_nothing(204, "Gone")
            .fails(&[Code::LastAdministrator]),
        patch("/v1/users/{id}", WRITE, accounts::change_roles)
            .says("Give a user roles")
            .takes::<ChangeUser>()
            .gives::<UserBody>(200, "The account")
            .conditional()
            .fails(&[Code::LastAdministrator]),
        get("/v1/users/me/addresses", User, addresses::list)
            .says("My addresses")
            .gives::<Paged<SavedBody>>(200, "All of them"),
        post("/v1/users/me/addresses", User, addresses::add)
            .says("Add an address")
            .takes::<AddressBody>()
            .gives::<SavedBody>(201, "The address")
            .keyed(),
        get("/v1/users/me/addresses/{id}", User, addresses::show)
            .says("One of my addresses")
            .gives::<SavedBody>(200, "The address")
            .gives_nothing(304, "What the client has"),
        put("/v1/users/me/addresses/{id}", User, addresses::replace)
            .says("Replace an address")
            .takes::<AddressBody>()
            .gives::<SavedBody>(200, "The address")
            .conditional(),
        delete("/v1/users/me/addresses/{id}", User, addresses::remove)
            .says("Delete an address")
            .gives_nothing(204, "Gone"),
        post("/v1/sessions", Nothing, sessions::sign_in)
            .says("Sign in")
            .takes::<Credentials>()
            .gives::<TokensBody>(201, "The tokens")
            .limited()
            .fails(&[Code::InvalidCredentials]),
        get("/v1/sessions", User, sessions::list)
            .says("Where I am signed in")
            .gives::<Paged<SessionBody>>(200, "Open sessions"),
        post("/v1/sessions/refresh", Nothing, sessions::refresh)
            .says("New tokens for a refresh token")
            .takes::<Refresh>()
            .gives::<TokensBody>(200, "The tokens")
            .limited()
            .fails(&[Code::InvalidRefreshToken, Code::RefreshTokenReused]),
        delete("/v1/sessions/{id}", User, sessions::sign_out)
            .says("Sign out; `current` names the session of the token")
            .gives_nothing(204, "Ended"),
        get("/.well-known/jwks.json", Nothing, sessions::jwks)
            .says("The keys that access tokens are signed with")
            .gives::<Jwks>(200, "RFC 7517"),
    ]
}
