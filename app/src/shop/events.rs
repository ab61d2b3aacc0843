//! Events between the domains of a shop: a relay for whoever tells, a consumer for whoever hears, a broker between them.
use super::wiring::Wiring;
use crate::settings::{BrokerName, ModuleName};
use database::{Database, inbox, outbox};
use kernel::{Event, EventKind};
use messaging::{Broker, Consumer, Group, InProcess, Listener, Pace, Relay};
use std::{sync::Arc, time::Duration};
use web::{Module, Worker};

/// When nobody wakes them: what other processes wrote where they cannot say so, and what is due again.
const LOOK: Duration = Duration::from_secs(1);

/// Every kind of events there is, whoever tells it and wherever.
pub(crate) fn catalogue() -> Vec<EventKind> {
    let all = [
        users_api::UserEvent::KINDS,
        products_api::ProductEvent::KINDS,
        products_api::CategoryEvent::KINDS,
        products_api::StockEvent::KINDS,
        products_api::ReviewEvent::KINDS,
        orders_api::OrderEvent::KINDS,
        webhooks_api::WebhookEvent::KINDS,
    ];
    all.concat()
}

/// A domain that is here.
pub(super) struct Party {
    pub module: ModuleName,
    pub db: Database,
    pub listener: Listener,
}

/// What tells and hears for `parties`, each as work of its module.
pub(super) async fn attach(wiring: &Wiring<'_>, parties: Vec<Party>, modules: &mut [Module]) -> Result<(), String> {
    let settings = &wiring.settings.events;
    let broker = broker(wiring, &parties).await?;
    let kinds = catalogue();
    for Party { module, db, listener } in parties {
        let db = db.background();
        let found = modules.iter_mut().find(|one| one.name == module.as_str()).ok_or("a domain is a module")?;
        let name = found.name;
        let relay =
            Relay::new(name, db.clone(), &kinds, Arc::clone(&broker), Arc::clone(&wiring.clock), &settings.pace);
        found.workers.extend(telling(&db, relay));
        if !listener.kinds().is_empty() {
            let consumer = Consumer::new(
                name,
                db.clone(),
                listener,
                Arc::clone(&broker),
                Arc::clone(&wiring.clock),
                &settings.pace,
            );
            found.workers.extend(hearing(consumer));
        }
        found.workers.push(forgetting(db, settings.pace));
    }
    Ok(())
}

async fn broker(wiring: &Wiring<'_>, parties: &[Party]) -> Result<Arc<dyn Broker>, String> {
    let settings = &wiring.settings.events;
    let opened = match settings.broker {
        BrokerName::InProcess => {
            let listens = parties.iter().filter(|party| !party.listener.kinds().is_empty());
            let groups =
                listens.map(|party| Group { name: party.module.as_str(), kinds: party.listener.kinds(), after: None });
            return Ok(Arc::new(InProcess::new(groups)));
        }
        BrokerName::Nats => messaging::open_nats(&settings.nats).await,
        BrokerName::Kafka => messaging::open_kafka(&settings.kafka).await,
    };
    opened.map_err(|error| error.to_string())
}

fn telling(db: &Database, relay: Relay) -> [Worker; 2] {
    let relay = Arc::new(relay);
    let measures = Worker::new("events-measure", LOOK, &relay, |relay| async move { relay.measure().await });
    let tells = Worker::new("events-relay", LOOK, &relay, |relay| async move { relay.turn().await })
        .woken_by(db.told())
        .dropped_at_stop()
        .ending(&relay, |relay| async move { relay.end().await });
    [tells, measures]
}

fn hearing(consumer: Consumer) -> [Worker; 3] {
    let consumer = Arc::new(consumer);
    let receives = Worker::new("events-receive", LOOK, &consumer, |one| async move { one.receive().await });
    let handles = Worker::new("events-handle", LOOK, &consumer, |one| async move { one.handle().await })
        .woken_by(consumer.kept())
        .dropped_at_stop()
        .ending(&consumer, |one| async move { one.end().await });
    let measures = Worker::new("inbox-measure", LOOK, &consumer, |one| async move { one.measure().await });
    [receives.dropped_at_stop(), handles, measures]
}

fn forgetting(db: Database, pace: Pace) -> Worker {
    Worker::hourly("events-purge", &Arc::new(db), move |db| async move {
        let gone = outbox::purge(&db, pace.keep_told()).await;
        if let Err(error) = gone.and(inbox::purge(&db, pace.keep_handled()).await) {
            tracing::warn!(domain = db.name(), %error, "old events stay until the next turn");
        }
    })
}
