/// What the clients ask for, over and over.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// How many users there are before it begins.
    pub(crate) users: u64,
    /// The status of every answer.
    pub(crate) status: u16,
    /// Writes the request with this number.
    pub(crate) request: fn(number: u64, out: &mut Vec<u8>),
}

/// A number that looks random, the same in every run, and another one for each number (the finalizer of `SplitMix64`).
pub(crate) fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
