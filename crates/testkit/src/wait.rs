use std::{future::Future, time::Duration};

/// Asks until `ready` answers something, for 20 seconds at most; `what` is what was waited for.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ready: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(found) = ready().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking)
        .await
        .unwrap_or_else(|_| panic!("waited 20 s in vain: {what}"))
}
