//! The envelope that every event travels in, as a schema.
use serde_json::{Value, json};

pub(super) const NAME: &str = "CloudEvent";

pub(super) fn schema() -> Value {
    let text = |what: &str| json!({ "type": "string", "description": what });
    let mut schema = json!({
        "type": "object",
        "description": "CloudEvents 1.0. Every member is always there.",
        "properties": {
            "specversion": { "const": "1.0" },
            "id": {
                "type": "string", "pattern": "^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$",
                "description": "The same each time it is delivered.",
            },
            "source": text("A slash and the domain that tells it."),
            "type": text("What happened, such as `order.placed`."),
            "subject": text("The TypeID of what it happened to; events of one subject come in their order."),
            "time": { "type": "string", "format": "date-time", "description": "When it happened: RFC 3339 with Z." },
            "datacontenttype": { "const": "application/json" },
            "dataschema": text("Where the form of `data` is described, its version included: a place in this document."),
            "traceparent": text("W3C trace context: the request or the work that it happened in."),
            "data": { "type": "object" },
        },
    });
    let members = schema["properties"].as_object().expect("just made");
    schema["required"] = members.keys().cloned().collect();
    schema
}
