//! Roles and schemas that keep domains apart in one PostgreSQL database.
//!
//! Each domain gets a role that nobody can log in as and a schema owned by it; every connection takes that role after
//! login. So no statement of one domain reaches another's tables, whatever the code says. Provisioning needs an
//! administrator once, and may run again at any time: it does what is missing and says what it did. It takes nothing
//! away and never touches tables.
use crate::{
    error::{Error, Result},
    location::{quoted, role},
    migrate::{exists, lock},
};
use diesel::{
    Connection as _, PgConnection, QueryableByName, RunQueryDsl, connection::SimpleConnection as _,
    result::Error as Diesel, sql_query, sql_types::Bool, sql_types::Text,
};

/// Provisions `domains` in the database that `admin_url` names, for whoever logs in with that URL. Returns sentences.
pub fn provision(admin_url: &str, domains: &[&str]) -> Result<Vec<String>> {
    provision_for(admin_url, None, domains)
}

/// The same, for the shop's own `login` user: see [`Location::login`](crate::Location::login).
pub fn provision_for(admin_url: &str, login: Option<&str>, domains: &[&str]) -> Result<Vec<String>> {
    let mut conn = PgConnection::establish(admin_url).map_err(|e| Error::Unavailable(e.to_string()))?;
    lock(&mut conn, "cleave provision")?;
    let session: Session = sql_query(
        "SELECT current_database()::text AS database, session_user::text AS admin, \
         current_setting('is_superuser') = 'on' AS superuser",
    )
    .get_result(&mut conn)?;
    if let Some(login) = login.filter(|login| *login != session.admin)
        && !exists(&mut conn, "pg_roles WHERE rolname", login)?
    {
        return Err(refused(format!("there is no user {login}: create it first, with its password")));
    }
    conn.transaction(|conn| {
        let mut done = Vec::new();
        for domain in domains {
            one(conn, &session, login, domain, &mut done)?;
        }
        Ok::<_, Error>(done)
    })
}

/// PostgreSQL cuts longer names, and two might become one.
const NAME: usize = 63;

#[derive(QueryableByName)]
struct Session {
    #[diesel(sql_type = Text)]
    database: String,
    #[diesel(sql_type = Text)]
    admin: String,
    #[diesel(sql_type = Bool)]
    superuser: bool,
}
#[derive(QueryableByName)]
struct Owner {
    #[diesel(sql_type = Text)]
    owner: String,
}
#[derive(QueryableByName)]
struct Member {
    #[diesel(sql_type = Bool)]
    member: bool,
}

fn one(
    conn: &mut PgConnection,
    session: &Session,
    login: Option<&str>,
    domain: &str,
    done: &mut Vec<String>,
) -> Result<()> {
    let role = role(&session.database, domain);
    if role.len() > NAME {
        return Err(refused(format!("the name {role} is too long: PostgreSQL keeps {NAME} bytes")));
    }
    if !exists(conn, "pg_roles WHERE rolname", &role)? {
        conn.batch_execute(&format!("CREATE ROLE {} NOLOGIN", quoted(&role)))?;
        done.push(format!("created the role {role}"));
    }
    // who is no superuser gives a schema only to a role that he is a member of
    for user in [(!session.superuser).then_some(&*session.admin), login].into_iter().flatten() {
        let member = sql_query("SELECT pg_has_role($1, $2, 'MEMBER') AS member").bind::<Text, _>(user);
        if !member.bind::<Text, _>(&role).get_result::<Member>(conn)?.member {
            conn.batch_execute(&format!("GRANT {} TO {}", quoted(&role), quoted(user)))?;
            done.push(format!("let {user} take the role {role}"));
        }
    }
    let owner = sql_query("SELECT nspowner::regrole::text AS owner FROM pg_namespace WHERE nspname = $1");
    let owner = owner.bind::<Text, _>(domain).load::<Owner>(conn)?.pop();
    match owner {
        None => {
            let schema = quoted(domain);
            conn.batch_execute(&format!(
                "CREATE SCHEMA {schema} AUTHORIZATION {}; REVOKE ALL ON SCHEMA {schema} FROM PUBLIC",
                quoted(&role)
            ))?;
            done.push(format!("created the schema {domain}, owned by {role}"));
        }
        // regrole quotes a name that needs it
        Some(Owner { owner }) if owner == role || owner == quoted(&role) => (),
        Some(Owner { owner }) => {
            return Err(refused(format!("the schema {domain} belongs to {owner}, not to {role}: nothing was changed")));
        }
    }
    Ok(())
}

fn refused(why: String) -> Error {
    Error::Query(Diesel::QueryBuilderError(why.into()))
}
