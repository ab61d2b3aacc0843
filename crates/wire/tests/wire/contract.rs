//! One body for every way to a trait: policy cannot hold on one only.
use crate::shop::{LIMITS, Shop, Way, anonymous, begin};
use kernel::{CallError, Clock, Contract, Failure, Id, Needs, Principal, SystemClock, Time};
use std::sync::{Arc, atomic::Ordering::SeqCst};
use wire_probe::{Shelf, TakeError};

macro_rules! on_every_way {
    ($($name:ident)*) => {$(
        mod $name {
            use super::{Shop, Way};
            #[tokio::test(flavor = "multi_thread")]
            async fn local() {
                super::$name(Shop::open(Way::Local).await).await;
            }
            #[tokio::test(flavor = "multi_thread")]
            async fn remote() {
                super::$name(Shop::open(Way::Remote).await).await;
            }
            #[tokio::test(flavor = "multi_thread")]
            async fn shaky() {
                super::$name(Shop::open(Way::Shaky).await).await;
            }
        }
    )*};
}

on_every_way! {
    answers_and_errors_come_back
    who_is_not_listed_or_may_not_is_denied_before_any_work
    a_token_that_expired_since_it_was_verified_is_denied
    no_time_left_is_refused_and_time_shrinks
    a_user_goes_along_only_where_one_is_asked_for
    a_late_read_is_unavailable_and_a_late_change_unknown
    hanging_up_cancels_no_change_and_makes_no_room
    one_caller_cannot_take_all_the_room
    a_panic_of_the_callee_is_unknown_and_the_next_call_works
    many_calls_one_after_another
}

async fn answers_and_errors_come_back(shop: Shop) {
    assert_eq!(shop.shelf("orders").take(&anonymous(), Id::new()).await, Ok(1));
    assert_eq!(shop.shelf("orders").look(&shop.user(&["shelf:read"]), ()).await, Ok(7));
    shop.board.empty.store(true, SeqCst);
    let empty = Err(CallError::Domain(TakeError::Empty { left: 3 }));
    assert_eq!(shop.shelf("orders").take(&anonymous(), Id::new()).await, empty);
}

async fn who_is_not_listed_or_may_not_is_denied_before_any_work(shop: Shop) {
    let denied = Err(CallError::Denied);
    assert_eq!(shop.shelf("storefront").take(&shop.user(&["shelf:read"]), Id::new()).await, Err(CallError::Denied));
    for call in [anonymous(), shop.user(&[]), shop.user(&["shelf:write"])] {
        assert_eq!(shop.shelf("orders").look(&call, ()).await, denied);
    }
    assert_eq!(shop.shelf("orders").put(&anonymous(), 1).await, Err(CallError::Denied));
    assert_eq!(shop.board.begun.load(SeqCst), 0);
}

async fn a_token_that_expired_since_it_was_verified_is_denied(shop: Shop) {
    // Verified while it was good; the callee asks its own clock.
    let then = Time::from_micros((SystemClock.now().seconds() - 3600) * 1_000_000);
    let call = shop.holding(&shop.signer.token(-60, &["shelf:read"]), then);
    assert_eq!(shop.shelf("orders").look(&call, ()).await, Err(CallError::Denied));
    // A method that goes by the peer's right alone does not ask.
    assert_eq!(shop.shelf("orders").take(&call, Id::new()).await, Ok(1));
}

async fn no_time_left_is_refused_and_time_shrinks(shop: Shop) {
    let late = begin(Principal::Anonymous, 0);
    assert_eq!(shop.shelf("orders").take(&late, Id::new()).await, Err(Failure::UNAVAILABLE.into()));
    let shelf = shop.shelf("orders");
    shelf.take(&anonymous(), Id::new()).await.unwrap(); // connected
    let (call, id) = (anonymous(), Id::new());
    shelf.take(&call, id).await.unwrap();
    let seen = shop.board.seen.lock().unwrap().clone().unwrap();
    assert!(seen.deadline < call.deadline);
    assert_eq!((&*seen.peer().0, seen.key(), seen.trace), ("orders", Some(id.into()), call.trace));
}

async fn a_user_goes_along_only_where_one_is_asked_for(shop: Shop) {
    let (call, shelf) = (shop.user(&["shelf:read"]), shop.shelf("orders"));
    let seen = || shop.board.seen.lock().unwrap().clone().unwrap().principal;
    shelf.take(&call, Id::new()).await.unwrap();
    assert!(matches!(seen(), Principal::Anonymous));
    shelf.look(&call, ()).await.unwrap();
    let Principal::User(user) = seen() else { panic!("the user was asked for") };
    assert!(user.may("shelf:read", SystemClock.now()));
}

async fn a_late_read_is_unavailable_and_a_late_change_unknown(shop: Shop) {
    let shelf = shop.shelf("orders");
    shelf.take(&anonymous(), Id::new()).await.unwrap(); // connected
    let gate = shop.shut();
    let read = shelf.look(&begin(shop.user(&["shelf:read"]).principal, 200), ()).await;
    assert_eq!(read, Err(Failure::UNAVAILABLE.into()));
    assert_eq!(shelf.take(&begin(Principal::Anonymous, 200), Id::new()).await, Err(CallError::Unknown));
    gate.add_permits(9);
    shop.until(|board| &board.done, 2).await; // the change went on to its end
}

async fn hanging_up_cancels_no_change_and_makes_no_room(shop: Shop) {
    let gate = shop.shut();
    let handles = [shop.shelf("orders"), shop.shelf("orders")];
    let callers: Vec<_> = (0..LIMITS.inbound)
        .map(|n| {
            let shelf = Arc::clone(&handles[n % handles.len()]);
            tokio::spawn(async move { shelf.take(&anonymous(), Id::new()).await })
        })
        .collect();
    shop.until(|board| &board.begun, LIMITS.inbound).await;
    callers.iter().for_each(tokio::task::JoinHandle::abort);
    for caller in callers {
        assert!(caller.await.unwrap_err().is_cancelled());
    }
    let refused = handles[0].take(&begin(Principal::Anonymous, 900), Id::new()).await;
    assert!(matches!(refused, Err(CallError::Unavailable { retry_after: Some(_) })), "{refused:?}");
    gate.add_permits(99);
    shop.until(|board| &board.done, LIMITS.inbound).await;
    assert_eq!(handles[0].take(&anonymous(), Id::new()).await, Ok(1));
}

async fn one_caller_cannot_take_all_the_room(shop: Shop) {
    let gate = shop.shut();
    let shelf = shop.shelf("orders");
    let waiting: Vec<_> = (0..LIMITS.outbound)
        .map(|_| {
            let shelf = Arc::clone(&shelf);
            tokio::spawn(async move { shelf.take(&anonymous(), Id::new()).await })
        })
        .collect();
    shop.until(|board| &board.begun, LIMITS.outbound).await;
    let refused = shelf.take(&begin(Principal::Anonymous, 900), Id::new()).await;
    assert!(matches!(refused, Err(CallError::Unavailable { retry_after: Some(_) })));
    gate.add_permits(99);
    for caller in waiting {
        assert_eq!(caller.await.unwrap(), Ok(1));
    }
}

async fn a_panic_of_the_callee_is_unknown_and_the_next_call_works(shop: Shop) {
    assert_eq!(shop.shelf("orders").put(&shop.user(&[]), 0).await, Err(CallError::Unknown));
    assert_eq!(shop.shelf("orders").put(&shop.user(&[]), 1).await, Ok(()));
}

/// More than a connection that is cut survives: what may be repeated is, and nobody learns of it.
async fn many_calls_one_after_another(shop: Shop) {
    let (shelf, user) = (shop.shelf("orders"), shop.user(&["shelf:read"]));
    for _ in 0..40 {
        assert_eq!(shelf.take(&anonymous(), Id::new()).await, Ok(1));
        assert_eq!(shelf.look(&begin(user.principal.clone(), 5000), ()).await, Ok(7));
    }
    assert!(shop.done() >= 80, "each was heard at least once");
}

#[test]
fn methods_say_what_they_need() {
    let needs: Vec<_> = <dyn Shelf as Contract>::METHODS.iter().map(|spec| (spec.method, spec.needs)).collect();
    assert_eq!(needs, [("take", Needs::Peer), ("put", Needs::User), ("look", Needs::Permission("shelf:read"))]);
}
