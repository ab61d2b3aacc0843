//! All domains that are here at one moment, each into a SQLite file.
use super::{Failed, copy};
use crate::{settings::Settings, shop};
use database::copy::Domain;
use std::path::Path;

pub(crate) fn run(settings: &Settings, to: &Path) -> Result<(), Failed> {
    // whoever asks comes before whom it asks
    let all: Vec<_> = shop::domains(settings).into_iter().rev().collect();
    let domains: Vec<_> = all
        .iter()
        .map(|domain| Domain { name: domain.name, location: &domain.location, migrations: domain.migrations })
        .collect();
    if domains.is_empty() {
        return Err("no domain is here: there is nothing to back up".into());
    }
    database::copy::backup(&domains, to, &mut |domain, step| copy::print(Some(domain), &step))
        .map_err(|error| error.to_string())?;
    for domain in &all {
        println!("{}: {}", domain.name, to.join(format!("{}.db", domain.name)).display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{boundaries, settings::ModuleName};

    #[test]
    fn nobody_asks_whom_is_migrated_after_them() {
        let all = ModuleName::ALL.map(ModuleName::as_str);
        for (place, asker) in all.iter().enumerate() {
            assert!(all[place + 1..].iter().all(|asked| !boundaries::asks(asker, asked)), "{asker}");
        }
    }
}
