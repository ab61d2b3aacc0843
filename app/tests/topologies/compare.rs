//! One process and several answer alike: the same script, request by request, over everything in `openapi.json`.
use crate::{
    pair::{Pair, Who},
    script::{buying, catalogue, hearing, limited, odd, people, walk},
};
use std::io::{Write, stderr};
use testkit::Receiver;

/// Nobody else moves anything meanwhile.
const QUIET: (&str, &str) = ("CLEAVE__PRODUCTS__SWEEP_SECONDS", "3600");
/// Of which staff hears.
const LOW: (&str, &str) = ("CLEAVE__PRODUCTS__LOW_STOCK", "1");
/// To a receiver on this machine.
const HTTP: (&str, &str) = ("CLEAVE__WEBHOOKS__ALLOW_HTTP", "true");
const LOCAL: (&str, &str) = ("CLEAVE__WEBHOOKS__ALLOW_NETWORKS", "127.0.0.1/32");

#[tokio::test]
async fn one_process_and_several_answer_alike() {
    let receiver = Receiver::start().await;
    let mut pair = Pair::start(&[QUIET, LOW, HTTP, LOCAL]);
    let staff = people::staff(&mut pair).await;
    people::script(&mut pair, &staff).await;
    let goods = catalogue::script(&mut pair, &staff).await;
    buying::script(&mut pair, &staff, &goods).await;
    hearing::script(&mut pair, &staff, &receiver).await;
    walk::permissions(&mut pair, &staff).await;
    walk::nonsense(&mut pair, &staff).await;
    odd::paths(&mut pair, &staff.admin).await;
    odd::heads(&mut pair).await;
    odd::bodies(&mut pair, &staff.admin).await;

    let mut few = Pair::start(&[QUIET, ("CLEAVE__HTTP__TRIES_PER_MINUTE", "3")]);
    limited(&mut few, &Who::default()).await;

    // Past what catches the output of tests that pass.
    let count = pair.compared + few.compared;
    writeln!(stderr(), "{count} answers of one process and of several were compared").unwrap();
    pair.nothing_differed();
    few.nothing_differed();
    let answered = |name: &str, status| [&pair, &few].iter().any(|pair| pair.seen.contains(&(name.to_owned(), status)));
    let missing: Vec<_> = walk::operations()
        .iter()
        .flat_map(|operation| operation.statuses.iter().map(|status| (operation.name(), *status)))
        .filter(|(name, status)| !answered(name, *status))
        .collect();
    assert!(missing.is_empty(), "documented, and not compared: {missing:?}");
}
