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
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use search::{Met, Minds};
use std::{
    cell::RefCell,
    env,
    time::{Duration, Instant},
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
/// How long a shorter case is looked for, and how often each is run, at most.
const PATIENCE: Duration = Duration::from_secs(120);
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
    // Where it fails, and why.
    let play = |case: &Steps| {
        runtime.block_on(async {
            let mut world = World::open(&ground).await;
            let mut minds = Minds::new(world.backend());
            let outcome = play(&mut minds, &mut world, case).await;
            world.close().await;
            minds.met.into_iter().for_each(|(what, count)| *met.borrow_mut().entry(what).or_default() += count);
            outcome
        })
    };
    while done < steps {
        let (seed, case) = (seed + cases, made(seed + cases));
        match play(&case) {
            Ok(taken) => done += taken,
            Err(failed) => panic!("{}", told(seed, &shorter(case, failed, |case| play(case).err()))),
        }
        cases += 1;
    }
    let met = met.into_inner();
    met.iter().for_each(|((kind, status, code), count)| println!("{count:>7}  {kind}: {status} {code}"));
    println!("{done} steps in {cases} cases, {:.1} s", began.elapsed().as_secs_f64());
    let missed: Vec<_> = MUST_MEET.iter().filter(|what| done >= MANY && !met.contains_key(what)).collect();
    assert!(missed.is_empty(), "so many steps, and never came {missed:?}");
}

/// The case of a seed.
fn made(seed: u64) -> Steps {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    steps::strategy().new_tree(&mut runner).expect("a case").current()
}

/// The step that a case fails at, and why.
type Failed = (usize, String);

/// How many requests were made, if shop and model agreed to the end.
async fn play(minds: &mut Minds, world: &mut World, steps: &Steps) -> Result<u64, Failed> {
    let mut taken = 0;
    for (n, step) in steps.0.iter().enumerate() {
        taken += minds.take(world, step).await.map_err(|why| (n, format!("{step}\n{why}")))?;
    }
    let last = steps.0.len().saturating_sub(1);
    minds.rest(world).await.map_err(|why| (last, format!("at rest\n{why}")))?;
    Ok(taken)
}

/// A case that fails as well and has as little in it as could be found. Any part of a case is one, so halves are left out
/// first, then smaller parts: what a strategy of lists does, one element after another, takes too long here.
fn shorter(case: Steps, failed: Failed, fails: impl Fn(&Steps) -> Option<Failed>) -> (Steps, String) {
    let began = Instant::now();
    // What fails by chance is given another one, or it could not be shrunk.
    let fails = |case: &Steps| (0..CHANCES).find_map(|_| if began.elapsed() < PATIENCE { fails(case) } else { None });
    let (mut best, mut why) = (case, failed.1);
    best.0.truncate(failed.0 + 1);
    let mut size = best.0.len().div_ceil(2);
    loop {
        let mut at = 0;
        while at < best.0.len() {
            let mut less = best.clone();
            less.0.drain(at..(at + size).min(less.0.len()));
            match fails(&less) {
                Some((last, so)) => {
                    less.0.truncate(last + 1);
                    (best, why) = (less, so);
                }
                None => at += size,
            }
        }
        if size <= 1 {
            break;
        }
        size /= 2;
    }
    for at in 0..best.0.len() {
        for n in (0..best.0[at].parts()).rev() {
            let mut less = best.clone();
            less.0[at].leave_out(n);
            if let Some((_, so)) = fails(&less) {
                (best, why) = (less, so);
            }
        }
    }
    (best, why)
}

fn told(seed: u64, (case, why): &(Steps, String)) -> String {
    format!(
        "the shop is not what the model says; the shortest case that was found:\n{case}fails at: {why}\n\
         again: cargo xtask model --steps 1 --seed {seed}"
    )
}

#[test]
fn a_case_shrinks_to_what_it_fails_by() {
    let case = made(3);
    let guilty = |case: &Steps| case.0.iter().position(|step| matches!(step, steps::Step::Together { .. }));
    let fails = |case: &Steps| guilty(case).map(|at| (at, "together".to_owned()));
    let failed = fails(&case).expect("a long case has one");
    let (case, why) = shorter(case, failed, fails);
    assert_eq!((case.0.len(), case.0[0].parts(), why.as_str()), (1, 0, "together"));
}

#[test]
fn a_seed_is_a_case() {
    assert_eq!(made(7).to_string(), made(7).to_string());
    assert_ne!(made(7).to_string(), made(8).to_string());
}
