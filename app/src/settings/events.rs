//! `[events]`: what happened, told to whoever listens.
use super::{ModuleName, Settings, listed};
use host::Problems;
use messaging::{KafkaSettings, NatsSettings, Pace};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventSettings {
    pub broker: BrokerName,
    pub pace: Pace,
    pub nats: NatsSettings,
    pub kafka: KafkaSettings,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BrokerName {
    InProcess,
    Nats,
    Kafka,
}

impl EventSettings {
    pub(super) fn problems(&self) -> Vec<String> {
        let of_broker = match self.broker {
            BrokerName::InProcess => Vec::new(),
            BrokerName::Nats => self.nats.problems(),
            BrokerName::Kafka => self.kafka.problems(),
        };
        self.pace.problems().into_iter().chain(of_broker).collect()
    }
}

impl Settings {
    /// In the process only the process hears: whoever serves a part of a shop needs a broker that the other parts reach.
    pub(crate) fn told(&self) -> Result<(), Problems> {
        let tells = |module: &ModuleName| self.modules.domain(*module).is_some();
        let away: Vec<ModuleName> =
            ModuleName::ALL.into_iter().filter(|module| tells(module) && !self.is_here(*module)).collect();
        if self.events.broker != BrokerName::InProcess || away.is_empty() || !self.here.iter().any(tells) {
            return Ok(());
        }
        Err(Problems(vec![format!(
            "events.broker: \"in-process\" tells nobody outside of this process, and {} would not hear what happens here: \
             set it to \"nats\" or \"kafka\", the same for every process of the shop",
            listed(away)
        )]))
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::testing::read;

    #[test]
    fn a_part_of_a_shop_needs_a_broker_that_the_rest_reaches() {
        let told = |file: &str, only: &[&str]| read(file, only).map(|settings| settings.told().is_ok());
        assert_eq!(told("", &["storefront"]), Ok(true), "it tells nothing");
        #[cfg(all(feature = "users", feature = "products", feature = "orders", feature = "webhooks"))]
        assert_eq!(told("", &[]), Ok(true));
        #[cfg(feature = "users")]
        {
            let problem = read("", &["users"]).unwrap().told().unwrap_err().0.concat();
            assert!(problem.contains("in-process") && problem.contains("orders"), "{problem}");
            for broker in ["nats", "kafka"] {
                assert_eq!(told(&format!("events.broker = \"{broker}\""), &["users"]), Ok(true), "{broker}");
            }
        }
        let unknown = read("events.broker = \"pigeon\"", &[]).unwrap_err().0.concat();
        assert!(unknown.contains("pigeon"), "{unknown}");
    }

    #[test]
    fn what_cannot_be_is_told_at_once() {
        let told = read("[events.pace]\nlease_seconds = 0\ntries = 0\nkeep_told_days = 0\n", &[]).unwrap_err().0;
        assert_eq!(told.len(), 3, "{told:?}");
    }
}
