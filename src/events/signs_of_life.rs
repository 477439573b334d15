use std::time::{Duration, Instant};

/// How long whoever relays must have been silent to be taken for gone. It shows a sign of life at least every half minute,
/// with or without a broker; but what is forgotten before it was sent is lost, and a restart may take minutes.
const SILENCE: Duration = Duration::from_mins(10);

/// Tells whether anybody relays events: this replica may, or another one that shows signs of life.
#[derive(Debug)]
pub(super) struct SignsOfLife {
    by_us: bool,
    /// The last sign of life, and since when it is that one.
    seen: Option<(i64, Instant)>,
}

impl SignsOfLife {
    /// `by_us`: whether this replica would relay.
    pub(super) const fn new(by_us: bool) -> Self {
        Self { by_us, seen: None }
    }

    /// Whether anybody does, as far as can be told by the beat that is found now. A beat of 0 says that nobody ever did; of
    /// another one it is not known at first how old it is.
    pub(super) fn is_relayed(&mut self, beat: i64, now: Instant) -> bool {
        let since = match self.seen {
            Some((before, since)) if before == beat => since,
            _ => now,
        };
        self.seen = Some((beat, since));
        self.by_us || (beat != 0 && now.duration_since(since) < SILENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_relays_where_nobody_ever_did() {
        assert!(!SignsOfLife::new(false).is_relayed(0, Instant::now()));
        assert!(SignsOfLife::new(true).is_relayed(0, Instant::now()));
    }

    #[test]
    fn whoever_is_silent_for_long_is_gone_until_the_next_sign_of_life() {
        let (mut signs, start) = (SignsOfLife::new(false), Instant::now());
        let after = |minutes| start + Duration::from_mins(minutes);
        assert!(signs.is_relayed(7, start));
        assert!(signs.is_relayed(7, after(9)));
        assert!(signs.is_relayed(8, after(11)));
        assert!(signs.is_relayed(8, after(20)));
        assert!(!signs.is_relayed(8, after(21)));
        assert!(signs.is_relayed(9, after(60)));
    }

    #[test]
    fn whoever_relays_need_not_look_at_others() {
        let (mut signs, start) = (SignsOfLife::new(true), Instant::now());
        assert!(signs.is_relayed(7, start) && signs.is_relayed(7, start + Duration::from_hours(1)));
    }
}
