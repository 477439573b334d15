//! Generations of connections.

use std::sync::Arc;
use std::thread;

use super::generation::Generation;
use crate::check;

/// Two connections that are found dead at once end their generation, and not the next one too.
pub fn two_dead_connections_end_one_generation() {
    check(|| {
        let generation = Arc::new(Generation::default());
        let other = Arc::clone(&generation);
        let other = thread::spawn(move || other.end(0));
        generation.end(0);
        other.join().unwrap();
        assert_eq!(generation.current(), 1);
    });
}

/// Of two connections that are suspected at once, neither is kept: their generation has ended.
pub fn two_suspicions_end_one_generation() {
    check(|| {
        let generation = Arc::new(Generation::default());
        let other = Arc::clone(&generation);
        let other = thread::spawn(move || other.suspect(0));
        let has_ended = generation.suspect(0);
        assert!(has_ended && other.join().unwrap(), "a connection of a generation that has ended is kept");
        assert_eq!(generation.current(), 1);
    });
}
