use futures::future::join_all;

/// How many clients the concurrency tests run.
pub const CLIENTS: usize = 64;

/// Starts all clients before it waits for any of them.
pub async fn at_once<T, F: Future<Output = T>>(clients: usize, client: impl Fn(usize) -> F) -> Vec<T> {
    join_all((0..clients).map(client)).await
}

pub fn count<T: PartialEq>(all: &[T], wanted: &T) -> usize {
    all.iter().filter(|one| *one == wanted).count()
}
