use futures::future::join_all;

/// The crowd that the concurrency tests send.
pub const CLIENTS: usize = 64;

/// Lets every client begin before any of them is waited for.
pub async fn at_once<T, F: Future<Output = T>>(clients: usize, client: impl Fn(usize) -> F) -> Vec<T> {
    join_all((0..clients).map(client)).await
}

pub fn count<T: PartialEq>(all: &[T], wanted: &T) -> usize {
    all.iter().filter(|one| *one == wanted).count()
}
