//! Shops of one process and of several, side by side: no client can tell them apart, and what it costs is written down.
mod calls;
mod compare;
mod names;
mod pair;
mod script;

use testkit::{Options, Shop, Topology};

fn start(topology: Topology, env: &[(&str, &str)]) -> Shop {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Shop::start(env!("CARGO_BIN_EXE_cleave"), Options { env, topology: Some(topology), ..Options::default() })
}
