//! A gateway for a shop of several processes: a file for nginx's `http` context. It only chooses the process: a request
//! arrives as the client sent it, nothing is tried twice, and what nginx itself has to say are problem documents.
use super::{Module, Topology};
use crate::settings::{HttpAddress, ModuleName};
use kernel::Code;
use std::fmt::Write;
use web::Problem;

/// What nginx answers by itself, and what a client sees instead. A process answers for everything else.
const OWN: &[(&str, &[u16], Code)] = &[
    ("malformed", &[400, 411, 414, 421, 494, 501, 505], Code::MalformedRequest),
    ("nothing", &[403, 404], Code::NotServedHere),
    ("large", &[413], Code::BodyTooLarge),
    ("internal", &[500], Code::Internal),
];

/// Seconds that a process gets beyond those that it gives a request.
const LONGER: u64 = 30;

/// `listen` and `access_log` are nginx's own: an address or a port, a file or `off`.
pub(crate) fn file(topology: &Topology, listen: &str, access_log: &str) -> Result<String, String> {
    checked("--gateway", listen, "an address such as 127.0.0.1:8080")?;
    checked("--access-log", access_log, "a file such as /var/log/nginx/access.log")?;
    let processes = topology.processes()?;
    let log = if access_log == "off" { "off".to_owned() } else { format!("{access_log} cleave") };
    let (tls_names, tls) = tls(&processes);
    let text = TEMPLATE
        .replace("{upstreams}", &upstreams(&processes))
        .replace("{routes}", &routes(&processes))
        .replace("{tls_names}", &tls_names)
        .replace("{tls}", &tls)
        .replace("{problems}", &problems())
        .replace("{headers}", HEADERS)
        .replace("{unavailable}", &body(Code::Unavailable))
        .replace("{unknown}", &body(Code::OutcomeUnknown))
        .replace("{request}", &topology.request_seconds.to_string())
        .replace("{patience}", &(topology.request_seconds + LONGER).max(60).to_string())
        .replace("{listen}", listen)
        .replace("{log}", &log);
    Ok(text)
}

fn checked(flag: &str, text: &str, such_as: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"./:_-[]".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) { Ok(()) } else { Err(format!("{flag}: `{text}` is not {such_as}")) }
}

/// A process's name in the file: whom it serves.
fn name(modules: &[&Module]) -> String {
    let names: Vec<&str> = modules.iter().map(|module| module.module.as_str()).collect();
    format!("cleave_{}", names.join("_"))
}

fn upstreams(processes: &[(HttpAddress, Vec<&Module>)]) -> String {
    let each = processes.iter().map(|(address, modules)| {
        format!(
            "upstream {} {{\n    server {};\n    keepalive 64;\n    keepalive_timeout 60s;\n}}\n",
            name(modules),
            address.endpoint
        )
    });
    each.collect()
}

/// Two maps: by the path as it was sent, and where nobody knows that one, by the path that is meant.
fn routes(processes: &[(HttpAddress, Vec<&Module>)]) -> String {
    let (mut sent, mut meant, mut rest) = (String::new(), String::new(), String::new());
    for (address, modules) in processes {
        let to = format!("{}://{}", if address.tls { "https" } else { "http" }, name(modules));
        if modules.iter().any(|module| module.module == ModuleName::Storefront) {
            rest = to;
            continue;
        }
        for prefix in modules.iter().flat_map(|module| &module.prefixes) {
            let pattern = prefix.replace('.', "[.]");
            let _ = writeln!(sent, "    \"~^{pattern}([/?]|$)\" {to};");
            let _ = writeln!(meant, "    \"~^{pattern}(/|$)\" {to};");
        }
    }
    format!(
        "map $uri $cleave_meant {{\n    default {rest};\n{meant}}}\n\
         map $request_uri $cleave_to {{\n    default $cleave_meant;\n{sent}}}\n"
    )
}

/// Processes behind TLS are asked for by name, and have to show a certificate that this machine trusts.
fn tls(processes: &[(HttpAddress, Vec<&Module>)]) -> (String, String) {
    let secure = processes.iter().filter(|(address, _)| address.tls);
    let names: String = secure
        .map(|(address, modules)| format!("    https://{} {};\n", name(modules), address.endpoint.host))
        .collect();
    if names.is_empty() {
        return (String::new(), String::new());
    }
    (format!("map $cleave_to $cleave_tls_name {{\n    default \"\";\n{names}}}\n"), TLS.to_owned())
}

fn problems() -> String {
    let mut text = String::new();
    for (name, statuses, code) in OWN {
        let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
        let (status, body) = (code.status(), body(*code));
        let _ = write!(
            text,
            "\n    error_page {} ={status} /_problem/{name};\n    location = /_problem/{name} {{\n{HEADERS}        return {status} {body};\n    }}\n",
            statuses.join(" ")
        );
    }
    text
}

/// The document that a process would answer, as a word of nginx's.
fn body(code: Code) -> String {
    let problem = Problem::from(code).reply();
    let text = String::from_utf8_lossy(problem.body()).replace('\\', "\\\\").replace('\'', "\\'");
    format!("'{}'", text.replace("\"request_id\":\"\"", "\"request_id\":\"$cleave_request_id\""))
}

const HEADERS: &str = "        internal;
        default_type application/problem+json;
        add_header X-Request-Id $cleave_request_id always;
        add_header X-Content-Type-Options nosniff always;
";

const TLS: &str = "    proxy_ssl_server_name on;
    proxy_ssl_name $cleave_tls_name;
    proxy_ssl_verify on;
    proxy_ssl_verify_depth 4;
    proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
";

const TEMPLATE: &str = r#"# Written by `cleave topology --format nginx`: one address in front of a shop's processes. Write it anew after an upgrade
# or another placement. Set http.trusted_proxies to this nginx's address, or every client seems to be nginx.

{upstreams}
# Whose path is whose: the fewest prefixes; everything else is the storefront's process'.
{routes}{tls_names}
# The id that the client gave where it is a plain word, as the processes see it.
map $http_x_request_id $cleave_request_id {
    default $request_id;
    "~^[A-Za-z0-9._-]{8,64}$" $http_x_request_id;
}
# HTTP/1.0 needs no host, and what arrives there is HTTP/1.1.
map $http_host $cleave_host {
    default $http_host;
    "" localhost;
}
# A process that could not be reached did nothing, and who only reads asks for nothing to be done.
map "$upstream_connect_time $request" $cleave_lost {
    default {unknown};
    "~^-? " {unavailable};
    "~^[^ ]+ (GET|HEAD) " {unavailable};
}
# A target is plain ASCII, or no HTTP: a process would hang up on it, and nginx might already have given that connection to
# the next client, who would find it closed.
map $request $cleave_malformed {
    default "";
    "~[^ -~]" 1;
}
# What was asked for, whatever nginx made of it; a query may be private.
map $request $cleave_asked {
    default "";
    "~^(?<cleave_line>[^ ]+ [^ ?]*)" $cleave_line;
}
log_format cleave escape=json '{"time":"$time_iso8601","request_id":"$cleave_request_id","client":"$remote_addr",'
    '"request":"$cleave_asked","status":$status,"bytes":$body_bytes_sent,"seconds":$request_time,'
    '"process":"$cleave_to"}';

server {
    listen {listen};
    server_name _;
    server_tokens off;
    access_log {log};

    # The processes have limits of their own.
    merge_slashes off;
    client_max_body_size 0;
    client_header_buffer_size 4k;
    large_client_header_buffers 4 64k;
    ignore_invalid_headers off;
    underscores_in_headers on;
    gzip off;
    keepalive_timeout 75s;

    proxy_http_version 1.1;
    proxy_set_header Host $cleave_host;
    proxy_set_header Connection "";
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Request-Id $cleave_request_id;
    proxy_redirect off;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_buffer_size 16k;
    proxy_buffers 8 16k;
    # A process gives a request {request} s; bodies stream longer, and these are between two pieces.
    proxy_connect_timeout 2s;
    proxy_send_timeout {patience}s;
    proxy_read_timeout {patience}s;
    # What may have been done is not done again: that is the client's to say, with its Idempotency-Key.
    proxy_next_upstream off;
{tls}
    # No path here: the client's own goes on, byte for byte.
    location / {
        if ($cleave_malformed) {
            rewrite ^ /_problem/malformed last;
        }
        proxy_pass $cleave_to;
    }
    # TRACE is the one method that nginx refuses by itself; what a path knows is for the process to say.
    error_page 405 = @process;
    location @process {
        if ($cleave_malformed) {
            rewrite ^ /_problem/malformed last;
        }
        proxy_pass $cleave_to;
    }

    # What nginx itself has to say, as the processes would.
    error_page 502 503 504 =503 /_problem/lost;
    location = /_problem/lost {
{headers}        add_header Retry-After 1 always;
        return 503 $cleave_lost;
    }
{problems}}
"#;

#[cfg(test)]
#[cfg(all(feature = "users", feature = "products", feature = "orders", feature = "storefront"))]
mod tests {
    use super::*;
    use crate::{settings::testing::settings, shop, topology::tests::SPLIT};

    fn written(settings_file: &str) -> String {
        let topology = Topology::of(&settings(settings_file, &[])).unwrap();
        file(&topology, "127.0.0.1:8080", "off").unwrap()
    }

    #[test]
    fn every_path_goes_to_its_owner() {
        let text = written(SPLIT);
        let (_, map) = text.split_once("map $request_uri $cleave_to {").unwrap();
        let rules: Vec<(&str, &str)> =
            map.split_once('}').unwrap().0.lines().filter_map(|line| line.trim().split_once(' ')).collect();
        for (module, routes) in shop::tables() {
            for route in routes {
                let path = route.path.replace(['{', '}'], "x");
                let fits = |pattern: &str| {
                    let prefix = pattern.trim_start_matches("\"~^").trim_end_matches("([/?]|$)\"").replace("[.]", ".");
                    path.strip_prefix(&prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                };
                let to = rules.iter().find(|(pattern, _)| fits(pattern)).map_or("storefront", |(_, to)| to);
                assert!(to.contains(module.as_str()), "{path} goes to {to}");
            }
        }
    }

    #[test]
    fn one_process_is_one_upstream() {
        let out = "modules.users.place = \"https://users:7400\"\nmodules.users.http = \"http://users:8081\"\n\
            http.listen = \"0.0.0.0:8090\"\n";
        let text = written(out);
        assert_eq!(text.matches("upstream cleave_").count(), 2);
        assert!(
            text.contains("upstream cleave_products_orders_webhooks_storefront {\n    server 127.0.0.1:8090;"),
            "{text}"
        );
        assert!(text.contains("default http://cleave_products_orders_webhooks_storefront;"));
        assert!(!text.contains("proxy_ssl"), "no process is behind TLS");
    }

    #[test]
    fn it_is_more_patient_than_any_process() {
        for (seconds, patience) in [(2, 60), (15, 60), (300, 330)] {
            let text = written(&format!("http.request_seconds = {seconds}\ngrpc.max_seconds = 300\n{SPLIT}"));
            assert!(text.contains(&format!("a request {seconds} s;")));
            for way in ["send", "read"] {
                assert!(text.contains(&format!("proxy_{way}_timeout {patience}s;")), "{text}");
            }
        }
    }

    #[test]
    fn its_own_words_are_problem_documents() {
        let text = written(SPLIT);
        let documents: Vec<serde_json::Value> = text
            .split('\'')
            .filter(|quoted| quoted.starts_with("{\"type\""))
            .map(|document| serde_json::from_str(document).expect(document))
            .collect();
        assert_eq!(documents.len(), OWN.len() + 3, "two of them for readers");
        for document in documents {
            let names: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
            for name in ["type", "title", "status", "detail", "code", "request_id"] {
                assert!(names.contains(&name), "{document}");
            }
            assert_eq!(document["request_id"], "$cleave_request_id");
        }
        assert!(!text.replace("{8,64}", "").contains("{u"), "every place in the template was filled");
    }

    #[test]
    fn what_is_asked_for_stays_in_its_place() {
        let topology = Topology::of(&settings("", &[])).unwrap();
        assert!(file(&topology, "80; include x", "off").unwrap_err().contains("--gateway"));
        assert!(file(&topology, "80", "x y").unwrap_err().contains("--access-log"));
        let orders = Topology::of(&settings("modules.orders.place = \"https://o:1\"", &[])).unwrap();
        assert!(file(&orders, "80", "off").unwrap_err().starts_with("modules.orders.http"));
    }
}
