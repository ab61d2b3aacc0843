//! Which modules this process is about, and whom it has to ask for the rest.
use super::{ModuleName, Place, Remote, Settings, listed};
use crate::boundaries;
use host::Problems;
use std::collections::{BTreeMap, BTreeSet};

impl Settings {
    /// What was named, or without names: whatever this build has and nobody placed elsewhere.
    pub(super) fn being_about(mut self, named: BTreeSet<ModuleName>) -> Self {
        let local = |module: &ModuleName| {
            module.is_built() && self.modules.domain(*module).is_none_or(|placed| placed.place == Place::Local)
        };
        self.here = if named.is_empty() { ModuleName::ALL.into_iter().filter(local).collect() } else { named };
        self
    }

    pub(crate) fn is_here(&self, module: ModuleName) -> bool {
        self.here.contains(&module)
    }

    /// How to reach a module that is not here; `None` when it is, or is placed nowhere else.
    pub(crate) fn elsewhere(&self, module: ModuleName) -> Option<&Remote> {
        match &self.modules.domain(module)?.place {
            Place::At(remote) if !self.is_here(module) => Some(remote),
            _ => None,
        }
    }

    /// The same settings for a command that is about one module, which asks nobody.
    #[cfg(any(feature = "users", feature = "products", test))]
    pub(crate) fn about(&self, module: ModuleName) -> Result<Self, String> {
        if self.is_here(module) {
            return Ok(Self { here: BTreeSet::from([module]), ..self.clone() });
        }
        Err(match self.elsewhere(module) {
            Some(remote) => {
                format!("{module} is placed at {remote}: run this where {module} lives, or with --only {module}")
            }
            None if module.is_built() => format!("{module} is not among --only {}", listed(self.here.iter().copied())),
            None => format!("this build has no {module}"),
        })
    }

    /// Whoever serves what its neighbours ask from elsewhere needs to listen for them.
    pub(crate) fn heard(&self) -> Result<(), Problems> {
        let placed = |module: &&ModuleName| {
            self.modules.domain(**module).is_some_and(|placed| matches!(placed.place, Place::At(_)))
        };
        match self.here.iter().find(placed) {
            Some(module) if self.grpc.listen.is_empty() => Err(Problems(vec![format!(
                "grpc.listen: {module} is here and its neighbours are to ask it at modules.{module}.place, but nothing \
                 would listen for them: set it to an address such as 0.0.0.0:7400"
            )])),
            _ => Ok(()),
        }
    }

    /// Whoever serves needs everybody whom its modules ask: here, or placed elsewhere.
    pub(crate) fn served(&self) -> Result<(), Problems> {
        let mut lost: BTreeMap<ModuleName, BTreeSet<ModuleName>> = BTreeMap::new();
        for asked in ModuleName::ALL.into_iter().filter(|module| !self.is_here(*module)) {
            let askers = self.here.iter().filter(|asker| boundaries::asks(asker.as_str(), asked.as_str()));
            let askers: BTreeSet<_> = askers.copied().collect();
            if !askers.is_empty() && self.elsewhere(asked).is_none() {
                lost.insert(asked, askers);
            }
        }
        let told = |(asked, askers): (ModuleName, BTreeSet<ModuleName>)| {
            let ask = if askers.len() == 1 { "asks" } else { "ask" };
            let askers = listed(askers);
            format!(
                "{askers} {ask} {asked}, which is neither served by this process nor placed elsewhere: set modules.{asked}.place"
            )
        };
        let mut problems: Vec<String> = lost.into_iter().map(told).collect();
        if self.here.is_empty() {
            problems.push("every module of this build is placed elsewhere: say with --only what to serve here".into());
        }
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::testing::read as settings;
    use ModuleName::{Orders, Products, Storefront, Users, Webhooks};

    fn here(file: &str, only: &[&str]) -> Vec<ModuleName> {
        settings(file, only).unwrap().here.into_iter().collect()
    }
    fn built(modules: &[ModuleName]) -> Vec<ModuleName> {
        modules.iter().copied().filter(|module| module.is_built()).collect()
    }
    const SPLIT: &str = "[grpc]\nlisten = \"127.0.0.1:0\"\n[modules]\nusers.place = \"https://users:1\"\nproducts.place = \"dns:a:1,b:1\"\n\
        orders.place = \"https://orders:1\"\nwebhooks.place = \"https://webhooks:1\"\n";

    #[test]
    fn one_file_serves_every_process() {
        assert_eq!(here("", &[]), built(&ModuleName::ALL));
        assert_eq!(here(SPLIT, &[]), built(&[Storefront]));
        assert_eq!(
            here("modules.orders.place = \"https://orders:1\"", &[]),
            built(&[Users, Products, Webhooks, Storefront])
        );
        for module in built(&ModuleName::ALL) {
            let process = settings(SPLIT, &[module.as_str()]).unwrap();
            assert_eq!(process.here, BTreeSet::from([module]));
            assert_eq!((process.served(), process.heard()), (Ok(()), Ok(())));
            assert_eq!(process.elsewhere(module), None, "named, so it is here");
            let others = [Users, Products, Orders, Webhooks].into_iter().filter(|other| *other != module);
            assert!(others.into_iter().all(|other| process.elsewhere(other).is_some()));
        }
    }

    #[test]
    fn who_is_asked_from_elsewhere_has_to_listen() {
        for module in built(&[Users, Products, Orders, Webhooks]) {
            let deaf = SPLIT.replace("127.0.0.1:0", "");
            let Problems(told) = settings(&deaf, &[module.as_str()]).unwrap().heard().unwrap_err();
            assert!(told[0].starts_with(&format!("grpc.listen: {module} is here")), "{told:?}");
        }
    }

    #[test]
    fn calls_last_as_long_as_the_requests_that_wait_for_them() {
        let Problems(told) = settings(&format!("http.request_seconds = 60\n{SPLIT}"), &[]).unwrap_err();
        assert!(
            told.len() == 1 && told[0].starts_with("grpc.max_seconds: at least http.request_seconds (60)"),
            "{told:?}"
        );
        assert!(settings("http.request_seconds = 60", &[]).is_ok(), "one process makes no such calls");
    }

    #[test]
    fn whom_nobody_can_ask_is_told() {
        for module in built(&[Orders]) {
            let Problems(told) = settings("", &[module.as_str()]).unwrap().served().unwrap_err();
            assert_eq!(told.len(), 2, "{told:?}");
            assert_eq!(
                told[1],
                "orders asks products, which is neither served by this process nor placed elsewhere: set modules.products.place"
            );
        }
        for module in built(&[Users]) {
            assert_eq!(settings("", &[module.as_str()]).unwrap().served(), Ok(()), "users asks nobody but itself");
        }
    }

    #[test]
    fn a_command_is_about_one_module() {
        for module in built(&[Users, Products, Orders, Webhooks]) {
            assert_eq!(settings("", &[]).unwrap().about(module).unwrap().here, BTreeSet::from([module]));
            let told = settings(SPLIT, &[]).unwrap().about(module).unwrap_err();
            assert!(told.contains("is placed at") && told.ends_with(&format!("--only {module}")), "{told}");
        }
        for (named, other) in [(Users, Products), (Products, Users)] {
            if named.is_built() && other.is_built() {
                let told = settings("", &[named.as_str()]).unwrap().about(other).unwrap_err();
                assert_eq!(told, format!("{other} is not among --only {named}"));
            }
        }
    }

    #[test]
    fn everything_wrong_with_places_is_told_at_once() {
        let file = "[grpc]\nlisten = \"x\"\nmax_seconds = 0\n[modules]\nusers.place = \"consul:users\"\n\
            users.http = \"users\"\nproducts.place = \"http://127.0.0.1:1\"\norders.place = \"https://orders:1/v1\"\n\
            orders.database = \"nonsense:\"\nstorefront.http = \"http://shop/v1\"\n";
        let Problems(told) = settings(file, &["user", "shop"]).unwrap_err();
        let names = [
            "grpc.listen",
            "grpc.max_seconds",
            "modules.users.place",
            "modules.users.http",
            "modules.products.place",
            "modules.orders.place",
            "modules.storefront.http",
            "--only: there is no module `user`",
            "--only: there is no module `shop`",
        ];
        for name in names {
            assert_eq!(told.iter().filter(|told| told.starts_with(name)).count(), 1, "{name}: {told:#?}");
        }
        assert_eq!(told.len(), names.len(), "{told:#?}");
    }
}
