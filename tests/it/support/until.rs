use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Waits for something that must come true within `limit`, however long one look at it takes.
pub async fn until(what: &str, limit: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let looks = async {
        while !holds().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(limit, looks).await.is_ok(), "not within {limit:?}: {what}");
}
