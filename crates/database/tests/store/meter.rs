use crate::{
    harness::{self, Place, Shop},
    shop::{self, stocked},
};
use database::{Conn, Error, once::Once};
use diesel::connection::Connection;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::AtomicU64, atomic::Ordering::SeqCst},
};

#[derive(Default)]
struct Numbers(Mutex<HashMap<String, Arc<AtomicU64>>>);

impl Numbers {
    fn of(&self, name: &str) -> Arc<AtomicU64> {
        self.0.lock().unwrap().entry(name.into()).or_default().clone()
    }
    fn taken(&self) -> [u64; 2] {
        ["statements", "transactions"].map(|n| self.of(&format!("cleave_database_{n}_total")).swap(0, SeqCst))
    }
}
impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key.name()))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key.name()))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    only_what_was_asked_for_counts(harness::sqlite()).await;
}
#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    only_what_was_asked_for_counts(harness::postgres()).await;
}

async fn only_what_was_asked_for_counts(place: Place) {
    let numbers = Numbers::default();
    let db = metrics::with_local_recorder(&numbers, || Shop::open(place));
    let variant = stocked(&db, 10).await;
    assert_eq!(numbers.taken(), [1, 1]);
    let nested = move |tx: &mut Conn| {
        shop::reserve(tx, variant, 1)?;
        tx.transaction(|tx| shop::reserve(tx, variant, 1))?;
        tx.on(|_| Ok(()), |_| Ok(()))?;
        Ok::<_, Error>(())
    };
    db.write(nested).await.unwrap();
    assert_eq!(numbers.taken(), [2, 1]);
    let failing = move |tx: &mut Conn| {
        shop::reserve(tx, variant, 1)?;
        Err::<(), _>(Error::Busy)
    };
    db.write(failing).await.unwrap_err();
    assert_eq!(numbers.taken(), [1, 1]);
    db.read(move |c| shop::reserved(c, variant)).await.unwrap();
    assert_eq!(numbers.taken(), [1, 0]);
    let once = Once::keyed("key", "scope", b"body", |_: &bool| Vec::new());
    #[derive(Debug)]
    struct Failed;
    impl From<Error> for Failed {
        fn from(_: Error) -> Self {
            Self
        }
    }
    impl From<database::once::Refused> for Failed {
        fn from(_: database::once::Refused) -> Self {
            Self
        }
    }
    db.write(move |tx| once.run(tx, |tx| Ok::<_, Failed>(shop::reserve(tx, variant, 1)?))).await.unwrap();
    assert_eq!(numbers.taken(), [1, 1]);
    assert_eq!(f64::from_bits(numbers.of("cleave_database_queue").load(SeqCst)), 0.0);
}
