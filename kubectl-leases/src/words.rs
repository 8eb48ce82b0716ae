//! Times in the words of kubectl, and text that a terminal shows as it is.

use std::borrow::Cow;
use std::time::Duration;

use election_core::Wall;

/// How long it is, as kubectl writes the AGE of an object: two units at most, and only one when it is long.
pub(crate) fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let pair = |large: u64, unit: char, small: u64, small_unit: char| {
        if small == 0 {
            format!("{large}{unit}")
        } else {
            format!("{large}{unit}{small}{small_unit}")
        }
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => pair(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => pair(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => pair(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => pair(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

/// What a lease says, as a terminal may show it. Whoever can write a lease could otherwise paint over the screen, or end a line
/// where a row of a table goes on: characters that control a terminal, or the direction of a text, are spelled out.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(controls) {
        return Cow::Borrowed(text);
    }
    let mut spelled = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if controls(letter) {
            spelled.extend(letter.escape_default());
        } else {
            spelled.push(letter);
        }
    }
    Cow::Owned(spelled)
}

fn controls(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The same for text of several lines.
pub(crate) fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// Text in lines of at most so many columns, as far as its words allow, every line but the first behind an indent.
pub(crate) fn wrapped(text: &str, columns: usize, indent: &str) -> String {
    let text = plain(text);
    let mut lines = String::new();
    let mut used = indent.chars().count();
    for word in text.split(' ') {
        let length = word.chars().count();
        if lines.is_empty() {
            used += length;
        } else if used + 1 + length > columns {
            lines.push('\n');
            lines.push_str(indent);
            used = indent.chars().count() + length;
        } else {
            lines.push(' ');
            used += 1 + length;
        }
        lines.push_str(word);
    }
    lines
}

/// How wide text for people is.
pub(crate) const COLUMNS: usize = 100;

/// How long `then` is before `now`; a time in the future, which skewed clocks produce, counts as now.
pub(crate) fn since(now: Wall, then: Wall) -> Duration {
    let micros = now.as_micros().saturating_sub(then.as_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_written_as_kubectl_writes_them() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (7_200, "120m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (28_800, "8h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (700_000, "8d"),
            (63_072_000, "2y"),
            (70_000_000, "2y80d"),
            (300_000_000, "9y"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(
            wrapped("one two three four", 11, "  "),
            "one two\n  three\n  four"
        );
        assert_eq!(wrapped("one", 1, ""), "one");
    }

    #[test]
    fn what_controls_a_terminal_is_spelled_out() {
        for (text, shown) in [
            ("alpha", "alpha"),
            ("größer 東", "größer 東"),
            ("a\u{1b}]0;title\u{7}b", "a\\u{1b}]0;title\\u{7}b"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("ab\u{202e}dc", "ab\\u{202e}dc"),
        ] {
            assert_eq!(plain(text), shown);
        }
        assert_eq!(plain_lines("one\ntwo\u{1b}"), "one\ntwo\\u{1b}");
        assert_eq!(wrapped("one\ntwo", 100, ""), "one\\ntwo");
    }

    #[test]
    fn a_time_in_the_future_is_now() {
        assert_eq!(since(Wall::from_micros(5), Wall::from_micros(9)), Duration::ZERO);
    }
}
