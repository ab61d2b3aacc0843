//! The AsyncAPI 3 document: what the shop tells, made of the catalogue that it tells from.
//!
//! Each kind is a message whose payload is a CloudEvents envelope; the form of its `data` is a schema of its own, under
//! the name that the envelope's `dataschema` points to. A broker sees a domain's events as channels of its own kind.
mod envelope;

use kernel::EventKind;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const INTRODUCTION: &str = "What a shop tells: every change of state, at least once, and in order for each subject. \
    An envelope is a CloudEvent 1.0 in its JSON form; who hears an `id` twice has heard it once. \
    Members are added to `data` without notice; one that goes away, or means something else, is the next version of its kind.";

/// The document of `kinds`, as pretty JSON with a stable order.
pub(crate) fn document(kinds: &[EventKind], version: &str) -> String {
    let schemas = schemas(kinds);
    let messages: Map<_, _> = kinds.iter().map(|kind| (kind.name.to_owned(), message(kind))).collect();
    let channels = channels(kinds);
    let operations: Map<_, _> =
        channels.iter().map(|(name, channel)| (name.clone(), operation(name, channel))).collect();
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Cleave",
            "version": version,
            "description": INTRODUCTION,
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        "defaultContentType": "application/cloudevents+json",
        "servers": {
            "nats": {
                "host": "nats.example:4222", "protocol": "nats",
                "description": "NATS JetStream, where `events.broker` is `nats`. `Nats-Msg-Id` is the event's id.",
            },
            "kafka": {
                "host": "kafka.example:9092", "protocol": "kafka",
                "description": "Whatever speaks Kafka's protocol, where `events.broker` is `kafka`.",
            },
        },
        "channels": channels,
        "operations": operations,
        "components": { "schemas": schemas, "messages": messages },
    });
    let mut text = serde_json::to_string_pretty(&document).expect("a document is plain data");
    text.push('\n');
    text
}

/// One for each kind's data, under the name that envelopes point to, and whatever those refer to.
fn schemas(kinds: &[EventKind]) -> BTreeMap<String, Value> {
    let value = |schema| serde_json::to_value(schema).expect("a schema is plain data");
    let mut all = BTreeMap::from([(envelope::NAME.to_owned(), envelope::schema())]);
    for kind in kinds {
        let schema = (kind.schema)();
        all.insert(kind.schema_name(), value(schema.own));
        all.extend(schema.parts.into_iter().map(|(name, part)| (name, value(part))));
    }
    all
}

fn message(kind: &EventKind) -> Value {
    let EventKind { name, domain, prefix, .. } = *kind;
    json!({
        "name": name,
        "title": name,
        "summary": kind.summary.trim(),
        "contentType": "application/cloudevents+json",
        "payload": {
            "allOf": [
                { "$ref": format!("#/components/schemas/{}", envelope::NAME) },
                {
                    "type": "object",
                    "properties": {
                        "source": { "const": format!("/{domain}") },
                        "type": { "const": name },
                        "subject": { "pattern": format!("^{prefix}_") },
                        "dataschema": { "const": kind.schema_place() },
                        "data": { "$ref": format!("#/components/schemas/{}", kind.schema_name()) },
                    },
                },
            ],
        },
        "bindings": {
            "kafka": { "key": { "type": "string", "description": "The subject." }, "bindingVersion": "0.5.0" },
        },
    })
}

/// On NATS a subject for each subject of events, on Kafka a topic for each domain.
fn channels(kinds: &[EventKind]) -> BTreeMap<String, Value> {
    let (mut aggregates, mut domains) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
    for kind in kinds {
        let (aggregate, _) = kind.name.split_once('.').expect("a kind names its aggregate first");
        aggregates.entry(aggregate).or_default().push(kind);
        domains.entry(kind.domain).or_default().push(kind);
    }
    let nats =
        aggregates.into_iter().map(|(aggregate, kinds)| (format!("nats.{aggregate}"), on_nats(aggregate, &kinds)));
    let kafka = domains.into_iter().map(|(domain, kinds)| (format!("kafka.{domain}"), on_kafka(domain, &kinds)));
    nats.chain(kafka).collect()
}

fn on_nats(aggregate: &str, kinds: &[&EventKind]) -> Value {
    let verbs: Vec<_> = kinds.iter().filter_map(|kind| Some(kind.name.split_once('.')?.1)).collect();
    let prefixes: BTreeSet<_> = kinds.iter().map(|kind| format!("`{}_`", kind.prefix)).collect();
    let prefixes = Vec::from_iter(prefixes).join(" or ");
    json!({
        "address": format!("cleave.{aggregate}.{{event}}.{{subject}}"),
        "description": "`cleave` is the setting `events.nats.prefix`.",
        "servers": [{ "$ref": "#/servers/nats" }],
        "parameters": {
            "event": { "description": "What happened.", "enum": verbs },
            "subject": { "description": format!("To whom: a TypeID that begins with {prefixes}.") },
        },
        "messages": messages(kinds),
    })
}

fn on_kafka(domain: &str, kinds: &[&EventKind]) -> Value {
    json!({
        "address": format!("cleave.{domain}"),
        "description": "`cleave` is the setting `events.kafka.prefix`.",
        "servers": [{ "$ref": "#/servers/kafka" }],
        "messages": messages(kinds),
        "bindings": { "kafka": { "topic": format!("cleave.{domain}"), "bindingVersion": "0.5.0" } },
    })
}

fn messages(kinds: &[&EventKind]) -> Map<String, Value> {
    let message = |kind: &&EventKind| json!({ "$ref": format!("#/components/messages/{}", kind.name) });
    kinds.iter().map(|kind| (kind.name.to_owned(), message(kind))).collect()
}

fn operation(name: &str, channel: &Value) -> Value {
    let names = channel["messages"].as_object().into_iter().flat_map(Map::keys);
    let messages = names.map(|kind| json!({ "$ref": format!("#/channels/{name}/messages/{kind}") }));
    json!({
        "action": "send",
        "channel": { "$ref": format!("#/channels/{name}") },
        "messages": messages.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
