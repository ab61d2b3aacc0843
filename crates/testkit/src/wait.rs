use std::{future::Future, time::Duration};

/// Asks until `ready` answers something, for 20 seconds at most; `what` is what was waited for.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, ready: impl FnMut() -> F) -> T {
    until_within(what, Duration::from_secs(20), ready).await
}

/// The same for what may take longer.
pub async fn until_within<T, F: Future<Output = Option<T>>>(
    what: &str,
    patience: Duration,
    mut ready: impl FnMut() -> F,
) -> T {
    let asking = async {
        loop {
            if let Some(found) = ready().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await; // between two looks
        }
    };
    let found = tokio::time::timeout(patience, asking).await;
    found.unwrap_or_else(|_| panic!("waited {patience:?} in vain: {what}"))
}
