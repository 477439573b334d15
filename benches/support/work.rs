use std::iter::repeat_n;
use std::net::SocketAddr;

/// What the clients ask for, over and over.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// How many users there are before it begins.
    pub(crate) users: u64,
    /// Makes a script for each client. The server is running already, to be asked what the clients are to know.
    pub(crate) scripts: fn(server: SocketAddr, clients: usize) -> Vec<Script>,
}

/// How many users there are to be read or updated.
pub(crate) const USERS: u64 = 10_000;

/// What one client asks for. It is called with a number that no client gets twice, writes a request, and returns the status
/// that the answer must have: any other ends the bench, so that the next request may build on this one.
pub(crate) type Script = Box<dyn FnMut(u64, &mut Vec<u8>) -> u16 + Send>;

/// The same script for every client.
pub(crate) fn alike<S>(clients: usize, script: S) -> Vec<Script>
where
    S: FnMut(u64, &mut Vec<u8>) -> u16 + Clone + Send + 'static,
{
    repeat_n(script, clients).map(|script| Box::new(script) as Script).collect()
}

/// A number that looks random, the same in every run, and another one for each number (the finalizer of `SplitMix64`).
pub(crate) fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
