//! Handles between modules: a trait that runs here is entered behind its guard, one that runs elsewhere over a link.
//! Who asks cannot tell.
use crate::{
    boundaries,
    settings::{ModuleName, Reach, Remote as Address, Settings},
};
use guard::{Inbound, Outbound};
use host::Neighbour;
use kernel::{Clock, Contract, Handle, Peer, SystemClock, To};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use wire::{Dial, Link, Remote, tls::Certificates};

/// A trait that is served by this process, behind the callee's half of the guard.
pub(crate) type Here<T> = Option<Inbound<To<T>>>;

/// What a shop is opened for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Serve,
    /// Nothing is written, not even what every start makes good.
    Look,
}

pub(crate) struct Wiring<'a> {
    pub settings: &'a Settings,
    pub purpose: Purpose,
    pub clock: Arc<dyn Clock>,
    /// There where TLS is spoken.
    pub certificates: Option<Arc<Certificates>>,
    /// One a caller and domain: its breaker is about both.
    links: Mutex<BTreeMap<(ModuleName, ModuleName), Neighbour>>,
}

impl<'a> Wiring<'a> {
    pub(crate) fn new(settings: &'a Settings) -> Result<Self, String> {
        Self::of(settings, Purpose::Serve)
    }
    pub(crate) fn looking(settings: &'a Settings) -> Result<Self, String> {
        Self::of(settings, Purpose::Look)
    }
    fn of(settings: &'a Settings, purpose: Purpose) -> Result<Self, String> {
        let certificates = if encrypted(settings) { Some(certificates(settings)?) } else { None };
        Ok(Self { settings, purpose, clock: Arc::new(SystemClock), certificates, links: Mutex::default() })
    }

    /// Puts the callee's half before a service: once a trait.
    pub(crate) fn serve<T: ?Sized>(&self, domain: ModuleName, name: &str, service: Arc<T>) -> Here<T> {
        let peers = boundaries::peers(domain.as_str(), name);
        Some(guard::inbound(service, &peers, Arc::clone(&self.clock), self.settings.calls.limits()))
    }

    /// `callee`'s trait as `caller` sees it, wherever it runs.
    pub(crate) fn handle<T, W>(&self, caller: ModuleName, callee: ModuleName, here: &Here<T>) -> Result<Arc<T>, String>
    where
        T: Contract + Handle<Outbound<Inbound<To<T>>>> + Handle<Outbound<Remote<W>>> + ?Sized,
    {
        let limits = self.settings.calls.limits();
        if let Some(inbound) = here {
            return Ok(guard::local(Peer::from(caller.as_str()), inbound.clone(), limits));
        }
        let address = self.settings.elsewhere(callee);
        let address = address.ok_or_else(|| format!("{callee} is neither here nor placed elsewhere"))?;
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let neighbour = links
            .entry((caller, callee))
            .or_insert_with(|| Neighbour { link: self.link(caller, callee, address), service: T::SERVICE });
        Ok(wire::remote::<T, W>(&neighbour.link, limits))
    }

    fn link(&self, caller: ModuleName, callee: ModuleName, address: &Address) -> Arc<Link> {
        let plaintext = address.plaintext(self.settings.grpc.plaintext);
        let certificates = self.certificates.clone().filter(|_| !plaintext);
        let dial = Dial { peer: caller.as_str().into(), callee: callee.as_str(), certificates };
        Link::open(place(address), dial, self.settings.calls.wire(&self.settings.grpc))
    }

    /// Whom the modules of this process ask elsewhere.
    pub(crate) fn neighbours(self) -> Vec<Neighbour> {
        self.links.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }
}

fn place(address: &Address) -> wire::Place {
    let mut all: Vec<String> = address.endpoints.iter().map(ToString::to_string).collect();
    match (address.reach, all.pop()) {
        (Reach::Https | Reach::Http, Some(one)) => wire::Place::One(one),
        (_, last) => wire::Place::Each(all.into_iter().chain(last).collect()),
    }
}

/// Whether this process speaks TLS to anybody.
fn encrypted(settings: &Settings) -> bool {
    let plaintext = settings.grpc.plaintext;
    let asks = ModuleName::ALL.into_iter().filter_map(|module| settings.elsewhere(module));
    let listens = !settings.grpc.listen.is_empty() && !plaintext;
    listens || asks.into_iter().any(|address| !address.plaintext(plaintext))
}

fn certificates(settings: &Settings) -> Result<Arc<Certificates>, String> {
    let modules: Vec<&str> = settings.here.iter().map(|module| module.as_str()).collect();
    let grpc = &settings.grpc;
    Certificates::open(&grpc.certificates, &grpc.trust_domain, &modules).map_err(|bad| bad.to_string())
}
