//! The whole of buying against a model: random interleavings of buy, cancel, pay late, pay twice, expire, refund and
//! restock, in this process, by a clock that only the test moves. What fails is shrunk to a short list of operations.
//!
//! `steps` says what can be asked for, `rules` is the model, `search` asks it whether some order of what ran together
//! allows what was seen, `world` is the shop itself, and `look` what can be seen of both.
mod look;
mod rules;
mod search;
mod steps;
mod world;

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use search::{Met, Minds};
use std::{
    cell::{Cell, RefCell},
    env,
    fmt::Write,
    time::Instant,
};
use steps::Steps;
use testkit::{Backend, Topology, chosen_topology};
use world::World;

/// Steps of a run when nobody says how many. PostgreSQL takes longer to the same answers.
const SQLITE: u64 = 10_000;
const POSTGRES: u64 = 1_000;
/// The model is about one process: over the others it only shows that it still holds there.
const ELSEWHERE: u64 = 200;
/// From so many steps on a run is taken to task for what it never came across.
const MANY: u64 = 5_000;
/// What such a run must have met, or it says less than it seems to.
const MUST_MEET: [(&str, u16, &str); 38] = [
    ("buy", 200, ""),
    ("buy", 201, ""),
    ("buy", 201, "replayed"),
    ("buy", 202, ""),
    ("buy", 402, "payment_declined"),
    ("buy", 402, "replayed"),
    ("buy", 409, "cart_changed"),
    ("buy", 409, "idempotency_in_progress"),
    ("buy", 409, "out_of_stock"),
    ("buy", 422, "cart_incomplete"),
    ("add", 409, "cart_completed"),
    ("add", 409, "cart_locked"),
    ("change", 200, ""),
    ("remove", 200, ""),
    ("abandon", 200, ""),
    ("abandon", 409, "no_checkout"),
    ("event", 204, ""),
    ("cancel", 200, ""),
    ("cancel", 200, "replayed"),
    ("cancel", 409, "order_busy"),
    ("cancel", 409, "order_not_cancellable"),
    ("ship", 201, ""),
    ("ship", 409, "order_not_shippable"),
    ("capture", 201, ""),
    ("capture", 201, "replayed"),
    ("capture", 409, "order_busy"),
    ("capture", 409, "order_not_capturable"),
    ("refund", 201, ""),
    ("refund", 409, "order_not_refundable"),
    ("count", 409, "below_reserved"),
    ("adjust", 200, "replayed"),
    ("adjust", 409, "below_reserved"),
    ("work", 0, ""),
    ("orders that ended", 0, "late"),
    ("orders that ended", 0, "paid"),
    ("orders that ended", 0, "partially_refunded"),
    ("orders that ended", 0, "refunded"),
    ("orders that ended", 0, "voided"),
];
/// How often a failing case is run again in search of a shorter one.
const SHRINKS: u32 = 1000;
const MILLISECONDS: u32 = 120_000;
/// How often each of those is, at most.
const CHANCES: u32 = 2;

fn wanted(name: &str) -> Option<u64> {
    let text = env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

#[test]
fn whatever_is_done_is_what_the_model_says() {
    let usual = match (chosen_topology(), Backend::chosen()) {
        (Topology::Single, Backend::Sqlite) => SQLITE,
        (Topology::Single, Backend::Postgres) => POSTGRES,
        _ => ELSEWHERE,
    };
    let steps = wanted("CLEAVE_MODEL_STEPS").unwrap_or(usual);
    let seed = wanted("CLEAVE_MODEL_SEED").unwrap_or(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ground = world::Ground::new(Backend::chosen());
    let (began, mut done, mut cases, met) = (Instant::now(), 0, 0, RefCell::new(Met::new()));
    while done < steps {
        let seed = seed + cases;
        let (ran, shrinks) = (Cell::new(0), Cell::new(false));
        let once = |steps: &Steps| {
            let (went, outcome) = runtime.block_on(async {
                let mut world = World::open(&ground).await;
                let mut minds = Minds::new(world.backend());
                let outcome = play(&mut minds, &mut world, steps).await;
                world.close().await;
                minds.met.into_iter().for_each(|(what, count)| *met.borrow_mut().entry(what).or_default() += count);
                outcome
            });
            ran.set(went);
            outcome
        };
        let case = |steps: Steps| {
            // What fails by chance is given some chances, or it could not be shrunk.
            let times = if shrinks.get() { CHANCES } else { 1 };
            let outcome = (0..times).try_for_each(|_| once(&steps));
            shrinks.set(outcome.is_err() || shrinks.get());
            outcome.map_err(TestCaseError::fail)
        };
        if let Err(failed) = runner(seed).run(&steps::strategy(), case) {
            panic!("{}", told(seed, failed));
        }
        done += ran.get();
        cases += 1;
    }
    let met = met.into_inner();
    met.iter().for_each(|((kind, status, code), count)| println!("{count:>7}  {kind}: {status} {code}"));
    println!("{done} steps in {cases} cases, {:.1} s", began.elapsed().as_secs_f64());
    let missed: Vec<_> = MUST_MEET.iter().filter(|what| done >= MANY && !met.contains_key(what)).collect();
    assert!(missed.is_empty(), "so many steps, and never came {missed:?}");
}

/// Of one case, made of nothing but its seed.
fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: SHRINKS,
        max_shrink_time: MILLISECONDS,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// How many steps were taken, and whether shop and model agreed to the end.
async fn play(minds: &mut Minds, world: &mut World, steps: &Steps) -> (u64, Result<(), String>) {
    let mut taken = 0;
    for step in &steps.0 {
        match minds.take(world, step).await {
            Ok(asked) => taken += asked,
            Err(why) => return (taken, Err(format!("{step}\n{why}"))),
        }
    }
    let rested = minds.rest(world).await.map_err(|why| format!("at rest\n{why}"));
    (taken, rested)
}

fn told(seed: u64, failed: TestError<Steps>) -> String {
    let mut text = String::new();
    match failed {
        TestError::Fail(why, steps) => {
            writeln!(text, "the shop is not what the model says; the shortest case that was found:").expect("text");
            for step in &steps.0 {
                writeln!(text, "  {step}").expect("text");
            }
            writeln!(text, "fails at: {why}").expect("text");
        }
        TestError::Abort(why) => writeln!(text, "no case could be made: {why}").expect("text"),
    }
    write!(text, "again: cargo xtask model --steps 1 --seed {seed}").expect("text");
    text
}

/// What a strategy makes, without running it: for the tests of the model itself.
#[cfg(test)]
fn made(seed: u64) -> Steps {
    let mut runner = runner(seed);
    proptest::strategy::ValueTree::current(&steps::strategy().new_tree(&mut runner).expect("a case"))
}

#[test]
fn a_seed_is_a_case() {
    assert_eq!(made(7).to_string(), made(7).to_string());
    assert_ne!(made(7).to_string(), made(8).to_string());
}
