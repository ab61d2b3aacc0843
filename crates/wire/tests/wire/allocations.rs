//! What a call costs the allocator where caller and callee are of one process, beyond what the callee itself costs it.
use crate::shop::{LIMITS, Signer, begin};
use guard::{inbound, local};
use kernel::{Call, CallError, Clock, Peer, Principal, SystemClock, async_trait};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::{convert::Infallible, sync::Arc};
use wire_probe::{CrateId, Shelf, TakeError};

/// Does nothing.
struct Bare;

#[async_trait]
impl Shelf for Bare {
    async fn take(&self, _: &Call, _: CrateId) -> Result<u32, CallError<TakeError>> {
        Ok(1)
    }
    async fn put(&self, _: &Call, _: u32) -> Result<(), CallError<Infallible>> {
        Ok(())
    }
    async fn look(&self, _: &Call, (): ()) -> Result<u32, CallError<Infallible>> {
        Ok(7)
    }
}

/// What the calls of each method allocate: take, put, look.
async fn allocated(shelf: &dyn Shelf, call: &Call) -> [u64; 3] {
    // The least of many: a recorder makes room for its samples now and then, and the first call of all makes more.
    macro_rules! least {
        ($($call:tt)*) => {{
            let mut least = u64::MAX;
            for _ in 0..20 {
                let before = counted::by_thread();
                let outcome = $($call)*.await;
                let allocated = counted::by_thread() - before;
                outcome.unwrap();
                least = least.min(allocated.allocations);
            }
            least
        }};
    }
    let id = CrateId::new();
    [least!(shelf.take(call, id)), least!(shelf.put(call, 1)), least!(shelf.look(call, ()))]
}

/// As `app` wires it: behind both halves of the guard, measured, for a user whose token was verified.
#[test]
fn a_call_in_this_process_allocates_its_boxed_future_and_a_change_its_task() {
    let signer = Signer::new("k1");
    let token = signer.token(60, &["shelf:read"]);
    let call = begin(Principal::User(signer.keys().verify(&token, SystemClock.now()).unwrap()), 60_000);
    let service: Arc<dyn Shelf> = Arc::new(Bare);
    let inbound = inbound(Arc::clone(&service), &["orders".into()], Arc::new(SystemClock), LIMITS);
    let handle = local(Peer::from("orders"), inbound, LIMITS);

    // On one thread, whose allocations are counted: a change's task runs here, too.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let recorder = PrometheusBuilder::new().build_recorder();
    let (direct, through) = metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async { (allocated(&*service, &call).await, allocated(&*handle, &call).await) })
    });
    assert!(recorder.handle().render().contains("cleave_call_seconds"), "calls are measured, as in a shop");
    assert_eq!(direct, [1, 1, 1], "the callee's own boxed future");
    let [take, put, look] = [0, 1, 2].map(|method| through[method] - direct[method]);
    assert_eq!(look, 1, "a read: the handle's boxed future, and nothing else");
    // A change is done to its end whoever hangs up, so it cannot lie in its caller's future.
    assert_eq!((take, put), (2, 2), "a change: the handle's boxed future, and the task that it is done in");
}
