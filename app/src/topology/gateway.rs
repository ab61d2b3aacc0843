//! The same routes for Kubernetes: HTTPRoutes of the Gateway API, v1.
use super::{Module, Topology};
use crate::settings::{HttpAddress, ModuleName};
use serde_json::{Value, json};
use std::{fmt::Write, net::IpAddr};

/// What the API admits: rules a route, matches a rule, matches a route.
const RULES: usize = 16;
const MATCHES: usize = 64;
const ALL_MATCHES: usize = 128;

/// `parent` names the Gateway that the routes belong to.
pub(crate) fn routes(topology: &Topology, parent: &str) -> Result<String, String> {
    if !is_label(parent) {
        return Err(format!("--parent: `{parent}` is no name of a Gateway, such as cleave"));
    }
    let mut text = format!(
        "# Written by `cleave topology --format gateway`. Limits of size and time are the Gateway's own: bodies up to 64 MiB\n\
         # have to pass, requests may take {} s, uploads longer; and nothing may be tried twice.\n",
        topology.request_seconds
    );
    for route in documents(topology, parent)? {
        text.push_str("---\n");
        yaml(&route, 0, &mut text);
    }
    Ok(text)
}

fn documents(topology: &Topology, parent: &str) -> Result<Vec<Value>, String> {
    let mut rules = Vec::new();
    for (address, modules) in topology.processes()? {
        let backend = backend(&address, &modules)?;
        let mut paths: Vec<&str> = modules.iter().flat_map(|module| &module.prefixes).map(String::as_str).collect();
        if modules.iter().any(|module| module.module == ModuleName::Storefront) {
            paths = vec!["/"];
        }
        let matches: Vec<Value> =
            paths.iter().map(|path| json!({ "path": { "type": "PathPrefix", "value": path } })).collect();
        let each = matches.chunks(MATCHES).map(|some| json!({ "matches": some, "backendRefs": [backend] }));
        rules.extend(each);
    }
    Ok(packed(rules).into_iter().enumerate().map(|(i, rules)| document(i, parent, &rules)).collect())
}

/// As many rules a route as there may be.
fn packed(rules: Vec<Value>) -> Vec<Vec<Value>> {
    let matches = |rule: &Value| rule["matches"].as_array().map_or(0, Vec::len);
    let mut routes: Vec<Vec<Value>> = Vec::new();
    for rule in rules {
        match routes.last_mut() {
            Some(last)
                if last.len() < RULES && last.iter().map(matches).sum::<usize>() + matches(&rule) <= ALL_MATCHES =>
            {
                last.push(rule);
            }
            _ => routes.push(vec![rule]),
        }
    }
    routes
}

fn document(i: usize, parent: &str, rules: &[Value]) -> Value {
    let name = if i == 0 { "cleave".to_owned() } else { format!("cleave-{}", i + 1) };
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": { "name": name },
        "spec": { "parentRefs": [{ "name": parent }], "rules": rules },
    })
}

/// A Service: the first label of the host, and of `name.namespace.svc` the namespace.
fn backend(address: &HttpAddress, modules: &[&Module]) -> Result<Value, String> {
    let host = address.endpoint.host.trim_end_matches('.');
    let module = modules.first().map_or("users", |module| module.module.as_str());
    let labels: Vec<&str> = host.split('.').collect();
    let name = labels[0];
    if host.parse::<IpAddr>().is_ok() || name == "localhost" || !is_label(name) {
        return Err(format!(
            "modules.{module}.http: Kubernetes finds a Service by its name, such as http://{module}:8080, not by {host}"
        ));
    }
    let port = address.endpoint.port;
    Ok(match labels[..] {
        [name, namespace, "svc", ..] => json!({ "name": name, "namespace": namespace, "port": port }),
        _ => json!({ "name": name, "port": port }),
    })
}

/// RFC 1123.
fn is_label(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-') && !text.ends_with('-')
}

/// YAML of maps and lists; texts stand in quotes, as JSON writes them.
fn yaml(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let _ = write!(text, "{indent}{name}:");
                below(member, depth + 1, text);
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut inner = String::new();
                yaml(item, depth + 1, &mut inner);
                let _ = write!(text, "{indent}- {}", inner.trim_start());
            }
        }
        plain => {
            let _ = writeln!(text, "{indent}{plain}");
        }
    }
}

fn below(member: &Value, depth: usize, text: &mut String) {
    if member.is_object() || member.is_array() {
        text.push('\n');
        yaml(member, depth, text);
    } else {
        let _ = writeln!(text, " {member}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_keep_to_what_the_api_admits() {
        let rule = |matches: usize| json!({ "matches": vec![json!({}); matches] });
        let sizes = |rules: Vec<Value>| packed(rules).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes((0..33).map(|_| rule(1)).collect()), [16, 16, 1]);
        assert_eq!(sizes(vec![rule(64), rule(64), rule(1)]), [2, 1]);
    }

    #[test]
    fn yaml_is_indented() {
        let mut text = String::new();
        yaml(&json!({ "a": [{ "b": 1, "c": ["x: y"] }, { "b": 2 }], "d": { "e": "f" } }), 0, &mut text);
        assert_eq!(text, "a:\n  - b: 1\n    c:\n      - \"x: y\"\n  - b: 2\nd:\n  e: \"f\"\n");
    }
}

#[cfg(test)]
#[cfg(all(feature = "users", feature = "products", feature = "orders", feature = "storefront"))]
mod of_a_shop {
    use super::*;
    use crate::{settings::testing::settings, topology::tests::SPLIT};

    #[test]
    fn services_are_named_by_their_addresses() {
        let topology = Topology::of(&settings(SPLIT, &[])).unwrap();
        let all = documents(&topology, "edge").unwrap();
        let [route] = &all[..] else { panic!("{all:?}") };
        assert_eq!(route["spec"]["parentRefs"], json!([{ "name": "edge" }]));
        let rules = route["spec"]["rules"].as_array().unwrap();
        let of = |path: &str| {
            let has = |rule: &&Value| rule["matches"].as_array().unwrap().iter().any(|m| m["path"]["value"] == path);
            rules.iter().find(has).expect(path)["backendRefs"][0].clone()
        };
        assert_eq!(of("/v1/users"), json!({ "name": "users", "port": 8081 }));
        assert_eq!(of("/v1/products"), json!({ "name": "products", "namespace": "shop", "port": 8082 }));
        assert_eq!(of("/v1/carts"), json!({ "name": "orders", "port": 443 }));
        assert_eq!(of("/"), json!({ "name": "front", "port": 8084 }));
    }

    #[test]
    fn what_is_no_service_is_told() {
        let local = Topology::of(&settings("", &[])).unwrap();
        assert!(routes(&local, "cleave").unwrap_err().contains("127.0.0.1"));
        assert!(routes(&local, "Big Gate").unwrap_err().contains("--parent"));
        let nowhere = Topology::of(&settings("modules.orders.place = \"https://o:1\"", &[])).unwrap();
        assert!(routes(&nowhere, "cleave").unwrap_err().starts_with("modules.orders.http"));
    }
}
