//! Characters that are invisible, or change how others are displayed.

use icu_properties::props::{
    CanonicalCombiningClass, DefaultIgnorableCodePoint, GeneralCategory, JoiningType, WhiteSpace,
};
use icu_properties::{CodePointMapData, CodePointSetData};

const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// Whether the character leaves no ink: white space, control and format characters, fillers, and the blank Braille
/// pattern, which Unicode counts among the symbols.
pub(super) fn is_invisible(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_graphic();
    }
    c == '\u{2800}'
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || CodePointSetData::new::<WhiteSpace>().contains(c)
        || matches!(
            CodePointMapData::<GeneralCategory>::new().get(c),
            GeneralCategory::Control | GeneralCategory::Format
        )
}

/// Whether the character ends a line, changes the direction of the text after it, or is a control character. The
/// direction marks (U+200E, U+200F, U+061C) are not among these: they affect nothing after themselves, and mixed names
/// need them.
pub(super) fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether every joiner in the text changes how its neighbours are written (RFC 5892, appendices A.1 and A.2), as words
/// of Persian and Hindi need it. Any other joiner is invisible.
pub(super) fn joiners_are_seen(text: &str) -> bool {
    text.char_indices().all(|(at, c)| match c {
        ZERO_WIDTH_NON_JOINER => follows_virama(&text[..at]) || parts_cursive_letters(text, at),
        ZERO_WIDTH_JOINER => follows_virama(&text[..at]),
        _ => true,
    })
}

/// Whether [`joiners_are_seen`] checks this character.
pub(super) const fn is_joiner(c: char) -> bool {
    matches!(c, ZERO_WIDTH_NON_JOINER | ZERO_WIDTH_JOINER)
}

fn follows_virama(before: &str) -> bool {
    let class = |c| CodePointMapData::<CanonicalCombiningClass>::new().get(c);
    before.chars().next_back().is_some_and(|c| class(c) == CanonicalCombiningClass::Virama)
}

/// Whether the letters on both sides of a non-joiner would be joined without it.
fn parts_cursive_letters(text: &str, at: usize) -> bool {
    let joining = |c| CodePointMapData::<JoiningType>::new().get(c);
    let (before, after) = (&text[..at], &text[at + ZERO_WIDTH_NON_JOINER.len_utf8()..]);
    let is_seen = |kind: &JoiningType| *kind != JoiningType::Transparent;
    let left = before.chars().rev().map(joining).find(is_seen);
    let right = after.chars().map(joining).find(is_seen);
    matches!(left, Some(JoiningType::LeftJoining | JoiningType::DualJoining))
        && matches!(right, Some(JoiningType::RightJoining | JoiningType::DualJoining))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_no_ink_is_invisible() {
        for c in "\0\t \u{7f}\u{85}\u{a0}\u{ad}\u{34f}\u{61c}\u{115f}\u{2003}\u{200b}\u{202e}\u{2800}\u{3000}\u{3164}\u{feff}\u{ffa0}\u{e0041}".chars() {
            assert!(is_invisible(c), "{:x}", u32::from(c));
        }
        for c in "a~éß\u{301}\u{93f}न中ㄱ😀".chars() {
            assert!(!is_invisible(c), "{:x}", u32::from(c));
        }
    }

    #[test]
    fn a_joiner_is_seen_where_it_changes_its_neighbours() {
        // Persian "I want", Hindi "kṣa" both ways, Sinhala "Sri".
        for text in ["می\u{200c}خواهم", "क्\u{200d}ष", "क्\u{200c}ष", "ශ්\u{200d}රී", "none"]
        {
            assert!(joiners_are_seen(text), "{text}");
        }
        for text in ["ad\u{200d}min", "ad\u{200c}min", "\u{200c}می", "می\u{200c}", "د\u{200c}خ", "क\u{200d}ष"]
        {
            assert!(!joiners_are_seen(text), "{text}");
        }
    }
}
