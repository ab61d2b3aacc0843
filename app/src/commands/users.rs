//! People, from the command line.
use super::Failed;
use crate::settings::Settings;

#[cfg(feature = "users")]
pub(crate) async fn create_admin(
    settings: &Settings,
    email: &str,
    name: &str,
    password_stdin: bool,
) -> Result<(), Failed> {
    use crate::{settings::ModuleName, shop::alone};
    let settings = settings.about(ModuleName::Users)?;
    let password = password(password_stdin)?;
    let users = alone::users(&settings).await?;
    let new = users.create_administrator(email, &password, name).await?;
    println!(
        "{email} {}",
        if new {
            "is an administrator now"
        } else {
            "was there already and is an administrator with this password now"
        }
    );
    Ok(())
}

#[cfg(not(feature = "users"))]
pub(crate) async fn create_admin(_: &Settings, _: &str, _: &str, _: bool) -> Result<(), Failed> {
    Err("this build has no users".into())
}

/// A process looks for users' keys as often as [`host::KeyRing::LOOK`] says, and at once when it meets a new key's token.
#[cfg(feature = "users")]
pub(crate) async fn rotate_key(settings: &Settings, now: bool) -> Result<(), Failed> {
    use crate::{settings::ModuleName, shop::alone};
    let settings = settings.about(ModuleName::Users)?;
    let users = alone::users(&settings).await?;
    let done = if now { users.replace_keys().await } else { users.rotate_key().await };
    let users::Rotation { key, signs_from, others_until } = done.map_err(|error| error.to_string())?;
    match others_until {
        Some(until) => println!(
            "{key} is published and signs access tokens from {signs_from} on\n\
             tokens of the keys before it are believed until {until}"
        ),
        None => println!(
            "{key} signs access tokens from now on; every other key is gone\n\
             everybody refreshes or signs in again; every process refuses the old tokens within {} s",
            host::KeyRing::LOOK.as_secs()
        ),
    }
    Ok(())
}

#[cfg(not(feature = "users"))]
pub(crate) async fn rotate_key(_: &Settings, _: bool) -> Result<(), Failed> {
    Err("this build has no users".into())
}

#[cfg(feature = "users")]
fn password(stdin: bool) -> Result<String, Failed> {
    use std::io::IsTerminal;
    if !stdin && !std::io::stdin().is_terminal() {
        return Err("there is no terminal to ask for the password: use --password-stdin".into());
    }
    if !stdin {
        return Ok(rpassword::prompt_password("Password: ").map_err(|error| error.to_string())?);
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| error.to_string())?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
