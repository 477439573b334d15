use std::fs;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use tokio::time::sleep;

use super::millis;
use crate::world::World;

const FILE: &str = "offset";

/// Whether libfaketime is there: on Debian, `apt-get install libfaketime`.
pub fn is_installed() -> bool {
    library().is_some()
}

/// What a process of the service needs in its environment for its clock to follow the file in this folder.
pub fn vars(folder: &Path) -> Vec<(&'static str, String)> {
    let Some(library) = library() else { return Vec::new() };
    let file = folder.join(FILE);
    fs::write(&file, "+0").expect("the clock's file");
    vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_CACHE_DURATION", "1".to_owned()),
        // Only the wall clock jumps, as after a correction.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

/// The service's wall clock is an hour ahead or behind.
pub async fn jump(world: &World, rng: &mut Rng) {
    let file = world.clock.path().join(FILE);
    fs::write(&file, rng.choice(["+3600", "-3600"]).unwrap()).expect("the clock's file");
    sleep(millis(rng, 1_200..3_500)).await;
    fs::write(&file, "+0").expect("the clock's file");
}

/// The one for programs with threads.
fn library() -> Option<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime"];
    folders.iter().map(|folder| Path::new(folder).join("libfaketimeMT.so.1")).find(|path| path.exists())
}
