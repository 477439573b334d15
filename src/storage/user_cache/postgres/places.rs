//! Which places of the log have been read.

/// How many gaps are remembered. A replica that writes leaves one for each batch that is under way, and one for each
/// batch that has failed in the last second.
pub(super) const MAX_GAPS: usize = 32;

/// The places that have been read: all up to the highest one, without the gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    highest: i64,
    /// First and last place of each gap, in order. They lie below the highest place.
    gaps: Vec<(i64, i64)>,
}

/// There are more gaps than are remembered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyGaps;

impl Places {
    /// All places up to this one.
    pub(super) const fn up_to(highest: i64) -> Self {
        Self { highest, gaps: Vec::new() }
    }

    pub(crate) const fn highest(&self) -> i64 {
        self.highest
    }

    pub(crate) fn gaps(&self) -> &[(i64, i64)] {
        &self.gaps
    }

    /// The watermark: all places up to here have been read.
    pub(super) fn watermark(&self) -> i64 {
        self.gaps.first().map_or(self.highest, |(first, _)| first - 1)
    }

    /// Adds a place. Returns whether it had not been read.
    pub(super) fn add(&mut self, place: i64) -> Result<bool, TooManyGaps> {
        if place > self.highest {
            if place - 1 > self.highest {
                self.gaps.push((self.highest + 1, place - 1));
            }
            self.highest = place;
        } else {
            let mut gaps = self.gaps.iter().copied().enumerate();
            let Some((at, (first, last))) = gaps.find(|(_, (first, last))| (*first..=*last).contains(&place)) else {
                return Ok(false);
            };
            let left = [(first, place - 1), (place + 1, last)].into_iter().filter(|(first, last)| first <= last);
            self.gaps.splice(at..=at, left);
        }
        if self.gaps.len() > MAX_GAPS { Err(TooManyGaps) } else { Ok(true) }
    }

    /// Drops the gaps below a place.
    pub(super) fn settle(&mut self, below: i64) {
        self.gaps.retain(|(_, last)| *last >= below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(highest: i64, gaps: &[(i64, i64)]) -> Places {
        Places { highest, gaps: gaps.to_vec() }
    }

    #[test]
    fn what_is_skipped_is_a_gap_until_it_is_read() {
        let mut read = Places::up_to(10);
        assert_eq!((read.add(11), read.watermark()), (Ok(true), 11));
        assert_eq!(read.add(16), Ok(true));
        assert_eq!((read.clone(), read.watermark()), (places(16, &[(12, 15)]), 11));
        assert_eq!(read.add(14), Ok(true));
        assert_eq!(read, places(16, &[(12, 13), (15, 15)]));
        assert_eq!((read.add(14), read.add(3), read.add(16)), (Ok(false), Ok(false), Ok(false)));
        assert_eq!((read.add(15), read.add(12)), (Ok(true), Ok(true)));
        assert_eq!((read.clone(), read.watermark()), (places(16, &[(13, 13)]), 12));
        assert_eq!((read.add(13), read.watermark()), (Ok(true), 16));
    }

    #[test]
    fn only_gaps_below_the_place_are_settled() {
        let mut read = places(30, &[(12, 13), (15, 19), (21, 21)]);
        read.settle(12);
        assert_eq!(read.gaps().len(), 3);
        read.settle(20);
        assert_eq!(read, places(30, &[(21, 21)]));
        read.settle(30);
        assert_eq!(read.watermark(), 30);
    }

    #[test]
    fn gaps_are_bounded() {
        let mut read = Places::up_to(0);
        for place in (2..).step_by(2).take(MAX_GAPS) {
            assert_eq!(read.add(place), Ok(true));
        }
        assert_eq!(read.add(1000), Err(TooManyGaps));
    }
}
