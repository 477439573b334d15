use fastrand::Rng;

/// What a client does next, to the user in one of its group's places; a free place is filled first.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub place: usize,
    pub deed: Deed,
    /// Whether the user is to have the other one of the place's two addresses.
    pub moves: bool,
    /// Whether the write is for the version only that the client has seen last.
    pub if_match: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Deed {
    Get,
    Put,
    PatchName,
    PatchEmail,
    /// Gives the user an address of the next place, which is mostly taken.
    Take,
    Delete,
}

/// The places of a group.
pub const PLACES: usize = 4;

/// The steps of one client. A seed repeats them, whatever the service answers.
pub fn steps(seed: u64, client: u32) -> impl Iterator<Item = Step> {
    let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(client));
    std::iter::repeat_with(move || Step {
        place: rng.usize(..PLACES),
        deed: match rng.u32(..100) {
            ..8 => Deed::Get,
            ..30 => Deed::Put,
            ..52 => Deed::PatchName,
            ..66 => Deed::PatchEmail,
            ..74 => Deed::Take,
            _ => Deed::Delete,
        },
        moves: rng.bool(),
        if_match: rng.bool(),
    })
}
