use std::iter::repeat_n;
use std::net::SocketAddr;

/// The requests that clients repeat.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// The number of users at the start.
    pub(crate) users: u64,
    /// Creates a script for each client. The server runs already, so a script can read what it needs from it.
    pub(crate) scripts: fn(server: SocketAddr, clients: usize) -> Vec<Script>,
}

/// The number of users to read or update.
pub(crate) const USERS: u64 = 10_000;

/// The requests of one client. A script gets a number that no other client gets, writes a request, and returns the
/// status that the answer must have. Any other status ends the bench, so a request may build on the one before it.
pub(crate) type Script = Box<dyn FnMut(u64, &mut Vec<u8>) -> u16 + Send>;

/// The same script for every client.
pub(crate) fn alike<S>(clients: usize, script: S) -> Vec<Script>
where
    S: FnMut(u64, &mut Vec<u8>) -> u16 + Clone + Send + 'static,
{
    repeat_n(script, clients).map(|script| Box::new(script) as Script).collect()
}

/// Maps each number to a different one that looks random but is the same in every run (the finalizer of `SplitMix64`).
pub(crate) fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
