//! A process ends itself at each of its points in turn, while people buy. It is started again, everybody who got no
//! answer asks again with the same key, and then the books are right: nothing lost, doubled, oversold or left open, and
//! what the payment provider counted is what the shop says.
//!
//! The points are those of `--list-crash-points`. Each scene says where it is cut off (`points/scenes.rs`): a point that
//! no scene names fails, and so does a scene that does not come to a point it names.
mod payments;
mod scenes;
mod world;

use scenes::Scene;
use std::{
    collections::{BTreeSet, VecDeque},
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};
use testkit::{Topology, chosen_topology};
use world::World;

const BINARY: &str = env!("CARGO_BIN_EXE_cleave");
const SIGKILL: i32 = 9;
/// How long anybody asks again: a lease, and what a busy machine adds.
const PATIENCE: Duration = Duration::from_secs(40);
/// Shops side by side: most of the time is spent waiting for the end of a lease.
const LANES: usize = 6;

/// A scene, and where it is cut off.
struct Play {
    scene: &'static Scene,
    points: Vec<&'static str>,
}

fn plays() -> Vec<Play> {
    let cuts =
        |scene: &'static Scene| scene.cuts.iter().map(move |cut| Play { scene, points: cut.split(" > ").collect() });
    scenes::ALL.iter().flat_map(cuts).collect()
}

fn listed() -> Vec<String> {
    let told = Command::new(BINARY).arg("--list-crash-points").output().expect("it ends");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let points: Vec<_> = String::from_utf8(told.stdout).expect("text").lines().map(str::to_owned).collect();
    assert!(!points.is_empty(), "the tests' binary has points");
    points
}

/// One after another in the same shop, which dies in each, is started again, and has its books looked at.
async fn lane(topology: Topology, plays: &Mutex<VecDeque<Play>>) {
    let world = World::new(topology).await;
    let next = || plays.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    while let Some(Play { scene, points }) = next() {
        let (began, cut) = (Instant::now(), points.join(" > "));
        println!("{} begins, to be cut at {cut}", scene.name);
        world.arm(&points);
        let playing = async {
            (scene.play)(&world).await;
            assert_eq!(world.left(), [""; 0], "{} came to its end and not to", scene.name);
        };
        tokio::select! {
            () = world.watch() => unreachable!("it watches for as long as it is asked"),
            () = playing => (),
        }
        world.settled().await;
        world.books().await;
        let died = world.died();
        let own = |(point, process): (&&str, &&str)| world.belongs(point, process);
        // Who died again on the way up was not seen: then there are fewer.
        assert!(died.len() < points.len() || points.iter().zip(&died).all(own), "{cut} is not {died:?}'s");
        println!("{} cut at {cut}: {}, {:.1} s", scene.name, died.join(", "), began.elapsed().as_secs_f64());
    }
    world.all_books().await;
}

fn every_point(topology: Topology) {
    let plays = Mutex::new(VecDeque::from(plays()));
    let lane = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(lane(topology, &plays));
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        let fell = lanes.into_iter().filter_map(|lane| lane.join().err()).count();
        assert_eq!(fell, 0, "what was played last in each of these lanes went wrong, as is said above");
    });
}

#[test]
fn a_shop_that_dies_anywhere_loses_nothing() {
    every_point(chosen_topology());
}

/// Whichever side comes to the point dies, and the other goes on.
#[test]
fn a_split_shop_whose_part_dies_anywhere_loses_nothing() {
    every_point(Topology::Split);
}

/// Those who played them look whether they were reached.
#[test]
fn every_point_is_where_some_scene_is_cut_off() {
    let (listed, plays) = (listed(), plays());
    let named: BTreeSet<&str> = plays.iter().flat_map(|play| play.points.iter().copied()).collect();
    let missed: Vec<_> = listed.iter().filter(|point| !named.contains(point.as_str())).collect();
    assert!(missed.is_empty(), "no scene is cut off at {missed:?}");
    let unknown: Vec<_> = named.iter().filter(|point| !listed.iter().any(|one| one == *point)).collect();
    assert!(unknown.is_empty(), "there are no such points: {unknown:?}");
}

/// A build without points is looked through for names of this form.
#[test]
fn points_are_named_by_domain_and_moment() {
    let points = listed();
    for point in &points {
        let parts: Vec<&str> = point.split('.').collect();
        let [domain, what @ .., moment] = &parts[..] else { panic!("{point}: domain, what, moment") };
        assert!(["users", "products", "orders"].contains(domain), "{point}");
        assert!(matches!(what.len(), 1 | 2), "{point}: of what");
        let word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && !word.is_empty();
        assert!(what.iter().all(word), "{point}");
        assert!(["begun", "asked", "kept"].contains(moment), "{point}");
    }
    let mut once = points.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), points.len(), "each has a name of its own");
}
