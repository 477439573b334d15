use std::ops::Range;

use fastrand::Rng;
use user_service_checker::Operation;

use crate::group::Group;

/// The choices below that read.
const READS: Range<u32> = 14..56;

/// The next operation of a client on its group.
pub fn next(group: &Group, rng: &mut Rng) -> Operation {
    let choice = if group.is_calm && rng.u32(..6) > 0 { rng.u32(READS) } else { rng.u32(..100) };
    let Some(user) = group.user(rng).filter(|_| choice >= 14) else {
        return Operation::Create { name: group.name(), email: group.address(rng) };
    };
    let id = user.id;
    let if_match = rng.bool().then_some(user.version);
    match choice {
        0..36 => Operation::Get { id },
        36..47 => Operation::GetByEmail { email: group.address(rng) },
        47..56 => Operation::List { name_prefix: group.prefix.clone() },
        56..69 => Operation::Put { id, name: group.name(), email: group.address(rng), if_match },
        69..90 => {
            let (name, email) = match rng.u32(..4) {
                0 => (None, Some(group.address(rng))),
                1 => (Some(group.name()), Some(group.address(rng))),
                _ => (Some(group.name()), None),
            };
            Operation::Patch { id, name, email, if_match }
        }
        _ => Operation::Delete { id, if_match },
    }
}

/// A generator for one part of a run, which a seed repeats.
pub fn rng(seed: u64, world: &str, part: u64) -> Rng {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let name = world.bytes().fold(0xcbf2_9ce4_8422_2325, hash);
    Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ name ^ part.wrapping_mul(0xd1b5_4a32_d192_ed03))
}
