//! What a shop told, held against the AsyncAPI document.
use crate::{Backend, Shop};
use diesel::{
    Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_query,
    sql_types::Text,
};
use jsonschema::Validator;
use launch::Domain;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs::OpenOptions,
    io::Write,
    path::Path,
    sync::LazyLock,
};

/// The checked-in document.
pub const TEXT: &str = include_str!("../../../docs/asyncapi.json");

/// By kind: of its data, and of the whole envelope.
struct Forms(BTreeMap<String, (Validator, Validator)>);

static FORMS: LazyLock<Forms> = LazyLock::new(|| {
    let mut document: Value = serde_json::from_str(TEXT).expect("docs/asyncapi.json is JSON");
    strict(&mut document["components"]["schemas"]);
    let messages = document["components"]["messages"].as_object().expect("messages");
    let compiled = |schema: &Value| {
        let whole = json!({ "allOf": [schema], "components": { "schemas": document["components"]["schemas"] } });
        jsonschema::validator_for(&whole).expect("a schema of the document is a schema")
    };
    let form = |(kind, message): (&String, &Value)| {
        let payload = &message["payload"];
        let data = payload.pointer("/allOf/1/properties/data").expect("a message says what its data is");
        (kind.clone(), (compiled(data), compiled(payload)))
    };
    Forms(messages.iter().map(form).collect())
});

/// Who hears an event leaves alone what it does not know; who tells one says all of it in the document.
fn strict(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(strict);
            if members.contains_key("properties") && members.get("type").is_some_and(|kind| *kind == "object") {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(all) => all.iter_mut().for_each(strict),
        _ => (),
    }
}

/// What the document does not know about this event; `None` where it is as documented.
pub fn complaint(kind: &str, data: &Value) -> Option<String> {
    held_against(kind, data, |(of_data, _)| of_data)
}

/// The same of an envelope.
pub fn envelope_complaint(envelope: &Value) -> Option<String> {
    held_against(envelope["type"].as_str().unwrap_or_default(), envelope, |(_, of_envelope)| of_envelope)
}

fn held_against(kind: &str, told: &Value, form: fn(&(Validator, Validator)) -> &Validator) -> Option<String> {
    let Some(forms) = FORMS.0.get(kind) else { return Some(format!("`{kind}` is not in the document")) };
    let errors = form(forms).iter_errors(told).map(|error| format!("{}: {error}", error.instance_path()));
    let errors: Vec<_> = errors.collect();
    (!errors.is_empty()).then(|| format!("`{kind}` is not as documented: {}: {told}", errors.join("; ")))
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    payload: String,
    #[diesel(sql_type = Text)]
    trace: String,
}

const ROWS: &str = "SELECT kind, CAST(payload AS text) AS payload, trace FROM outbox";

impl Shop {
    /// What the shop has told in another form than the document's. What it told is written down for the run, which asks
    /// for every kind, and which request caused which.
    pub(crate) fn told_otherwise(&self) -> Vec<String> {
        let rows: Vec<Row> = Domain::ALL.iter().flat_map(|domain| self.outbox_of(domain.name())).collect();
        record(&rows);
        let complaint = |row: &Row| {
            let data = serde_json::from_str(&row.payload).expect("a payload is JSON");
            complaint(&row.kind, &data)
        };
        rows.iter().filter_map(complaint).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn outbox_of(&self, domain: &str) -> Vec<Row> {
        match self.backend {
            Backend::Sqlite => {
                let file = self.data_dir_of(domain).join(format!("{domain}.db"));
                let file = file.display().to_string();
                let mut conn = SqliteConnection::establish(&file).expect("the domain has a file of its own");
                conn.batch_execute("PRAGMA busy_timeout = 5000").expect("SQLite answers");
                sql_query(ROWS).load(&mut conn).expect("an outbox")
            }
            Backend::Postgres => {
                let mut conn: PgConnection = self.superuser(domain);
                conn.batch_execute(&format!("SET search_path TO {domain}")).expect("a schema");
                sql_query(ROWS).load(&mut conn).expect("an outbox")
            }
        }
    }
}

/// One line an event: its trace, and its kind.
fn record(rows: &[Row]) {
    let Ok(folder) = env::var("CLEAVE_TEST_COVERAGE") else { return };
    let mut lines = String::new();
    for Row { kind, trace, .. } in rows {
        writeln!(lines, "{trace} {kind}").expect("a string takes all");
    }
    let file = Path::new(&folder).join(format!("{}.events", std::process::id()));
    let file = OpenOptions::new().create(true).append(true).open(file);
    let written = file.and_then(|mut file| file.write_all(lines.as_bytes()));
    written.expect("the folder of CLEAVE_TEST_COVERAGE can be written");
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "user_01h455vb4pex5vsknk084sn02q";

    #[test]
    fn what_is_as_documented_passes_and_nothing_else() {
        assert_eq!(complaint("user.deleted", &json!({ "user_id": USER })), None);
        let complains = |kind: &str, data: Value, why: &str| {
            let told = complaint(kind, &data).unwrap_or_else(|| panic!("{kind} {data} passes"));
            assert!(told.contains(why), "{told}");
        };
        complains("user.vanished", json!({ "user_id": USER }), "not in the document");
        complains("user.deleted", json!({}), "required");
        complains("user.deleted", json!({ "user_id": 1 }), "not of type");
        complains("user.deleted", json!({ "user_id": USER, "email": "a@b.example" }), "email");
        let order = "order_01h455vb4pex5vsknk084sn02q";
        let amount = |currency: Value| json!({ "order_id": order, "amount": { "amount": 1, "currency": currency } });
        assert_eq!(complaint("order.paid", &amount(json!("EUR"))), None);
        complains("order.paid", amount(json!("eur")), "does not match");
        let more = json!({ "order_id": order, "amount": { "amount": 1, "currency": "EUR", "tax": 1 } });
        complains("order.paid", more, "tax");
    }
}
