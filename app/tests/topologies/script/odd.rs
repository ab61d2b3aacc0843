//! Requests that no well-behaved client sends: a gateway must not read them in its own way.
use crate::pair::{Pair, Who};
use testkit::document::operations;

pub(crate) async fn paths(pair: &mut Pair, admin: &Who) {
    let long = format!("/v1/products/{}", "x".repeat(8000));
    let longer = format!("/v1/products?q={}", "x".repeat(40_000));
    let strange = [
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/docs",
        "/docs/",
        "/openapi.json",
        "/asyncapi.json",
        "/v1",
        "/v1/",
        "/v2/products",
        "/v1/nothing",
        "/v1/productsx",
        "/v1/products/",
        "/v1/products//",
        "//v1/products",
        "/v1//products",
        "/v1/products/a%2Fb",
        "/v1/products/a%2fb/variants",
        "/v1%2Fproducts",
        "/%76%31/products",
        "/v1/%70roducts",
        "/v1/products/one%3Fx",
        "/v1/products/one;x=1",
        "/v1/products/./one",
        "/v1/products/../products",
        "/v1/users/../products",
        "/v1/products/%2e%2e/users",
        "/v1/products/..%2fusers",
        "/../v1/products",
        "/v1/products/%00",
        "/v1/products/a%00b",
        "/v1/%00",
        "/v1/products/%ff%fe",
        "/v1/products/%c3%28",
        "/v1/products/%zz",
        "/v1/products/%",
        "/v1/products/\u{e9}",
        "/v1/products/%F0%9F%92%A1",
        "/v1/products/*",
        "/V1/PRODUCTS",
        "/v1/products?",
        "/v1/products??q=x",
        "/v1/products?q=a?b",
        "/v1/products?q=a/../b",
        "/v1/users?/v1/products",
        "/_problem/lost",
        "/_problem/malformed",
        "http://shop/v1/products",
        "http://other.example/v1/users",
        "*",
        "nonsense",
        &long,
        &longer,
    ];
    for path in strange {
        for method in ["GET", "HEAD", "POST", "OPTIONS", "DELETE", "TRACE", "FOO"] {
            pair.send(admin.ask(method, path)).await;
        }
    }
    for operation in &operations() {
        let path = operation.path.replace(['{', '}'], "");
        for path in [format!("{path}/"), format!("{path}/x"), format!("/{path}"), path.replace("/v1/", "/v1//")] {
            pair.send(admin.ask(operation.method.as_str(), &path)).await;
        }
    }
}

/// Heads as they stand. Each asks for the connection's end, so that both hang up.
pub(crate) async fn heads(pair: &mut Pair) {
    let many: String = (0..90).map(|n| format!("x-many-{n}: 1\r\n")).collect();
    let too_many: String = (0..200).map(|n| format!("x-many-{n}: 1\r\n")).collect();
    let (long, longer) = (format!("x-long: {}\r\n", "x".repeat(20_000)), format!("x-long: {}", "x".repeat(300_000)));
    let more = [
        "",
        "host: shop\r\n",
        "host: shop\r\nhost: other\r\n",
        "host: \r\n",
        "host: a b\r\n",
        "host: shop\r\nx-request-id: an-id-of-my-own-1\r\n",
        "host: shop\r\nx-request-id: not plain\r\n",
        "host: shop\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
        "host: shop\r\nauthorization: Basic eDp5\r\n",
        "host: shop\r\nauthorization: Bearer a\r\nauthorization: Bearer b\r\n",
        "host: shop\r\nx-cart-token: a\r\nx-cart-token: b\r\n",
        "host: shop\r\nx_cart_token: a\r\n",
        "host: shop\r\nif-none-match: \u{e9}\r\n",
        "host: shop\r\naccept: text/html\r\naccept-encoding: gzip, br\r\n",
        "host: shop\r\nrange: bytes=0-1\r\n",
        "host: shop\r\nif-modified-since: Sat, 29 Oct 2044 19:43:31 GMT\r\n",
        "host: shop\r\norigin: http://other.example\r\n",
        "host: shop\r\nupgrade: websocket\r\n",
        "host: shop\r\nx-forwarded-for: 10.0.0.1\r\nforwarded: for=10.0.0.1\r\n",
        "host: shop\r\nx-accel-redirect: /healthz\r\nx-http-method-override: DELETE\r\n",
        "host: shop\r\nte: trailers\r\n",
        "host: shop\r\nbad header: 1\r\n",
        "host: shop\r\n: 1\r\n",
        "host: shop\r\nno colon\r\n",
        "host: shop\r\ncontent-length: 2\r\ncontent-length: 2\r\n",
        "host: shop\r\ncontent-length: -1\r\n",
        "host: shop\r\ntransfer-encoding: nonsense\r\n",
    ];
    let long = ["host: shop\r\n", &long].concat();
    let many = ["host: shop\r\n", &many].concat();
    let too_many = ["host: shop\r\n", &too_many].concat();
    for headers in more.into_iter().chain([long.as_str(), &many, &too_many]) {
        for path in ["/v1/products?limit=1", "/v1/users/me", "/nothing"] {
            pair.raw(format!("GET {path} HTTP/1.1\r\n{headers}connection: close\r\n\r\n").as_bytes()).await;
        }
    }
    for line in [
        "GET /v1/products HTTP/1.0",
        "GET /v1/products HTTP/2.0",
        "GET /v1/products HTTP/9",
        "G@T /v1/products HTTP/1.1",
        "nonsense",
        "GET /v1/a b HTTP/1.1",
    ] {
        pair.raw(format!("{line}\r\nhost: shop\r\nconnection: close\r\n\r\n").as_bytes()).await;
    }
    // nginx speaks HTTP/0.9, is patient with spaces and no friend of small letters; a process tells 431 from 400.
    for (line, statuses) in [
        ("GET /v1/products", [400, 0]),
        ("GET  /v1/products HTTP/1.1", [400, 200]),
        ("get /v1/products HTTP/1.1", [405, 400]),
        (&format!("GET / HTTP/1.1\r\n{longer}"), [431, 400]),
    ] {
        pair.known(format!("{line}\r\nhost: shop\r\nconnection: close\r\n\r\n").as_bytes(), statuses).await;
    }
}

pub(crate) async fn bodies(pair: &mut Pair, admin: &Who) {
    let body = "{\"slug\": \"odd\", \"name\": \"Odd\"}";
    let create = |slug: &str| admin.ask("POST", "/v1/categories").body("application/json", body.replace("odd", slug));
    pair.send(create("expected").header("expect", "100-continue")).await.expect(201);
    pair.send(create("expected-2").header("expect", "nonsense")).await;
    pair.send(create("in-pieces").chunked()).await.expect(201);
    pair.send(create("in-pieces-2").chunked().header("expect", "100-continue")).await.expect(201);
    pair.send(admin.get("/v1/categories").body("application/json", "{}")).await;
    pair.send(admin.delete("/v1/products/none").body("application/json", "{}")).await;
    // As much as a body may have, and a byte more that nobody announced.
    let fits = format!("{body}{}", " ".repeat((1 << 20) - body.len())).replace("odd", "fit");
    pair.send(admin.ask("POST", "/v1/categories").body("application/json", fits.clone())).await.expect(201);
    let head = "POST /v1/users HTTP/1.1\r\nhost: shop\r\nconnection: close\r\ncontent-type: application/json\r\n";
    for broken in [
        "transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "content-length: 2\r\n\r\n{}",
        "content-length: 2, 2\r\n\r\n{}",
        "content-length: nonsense\r\n\r\n{}",
        "transfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ] {
        pair.raw(format!("{head}{broken}").as_bytes()).await;
    }
    // Who notices first says so in its own words.
    pair.known(format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n").as_bytes(), [400, 400]).await;
    let unannounced = format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{fits} \r\n", fits.len() + 1);
    pair.raw(unannounced.as_bytes()).await.problem(413, "body_too_large");
}
