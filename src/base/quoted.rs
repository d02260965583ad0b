//! Text that came from outside, as a line of the log or an error shows it.

use std::fmt::{self, Display};

/// Letters of it that are shown.
const LETTERS_MAX: usize = 64;

/// Shows a client's text: what is no letter is escaped, so that it can neither end a line nor steer
/// a terminal, and what is long is cut.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, letter) in self.0.chars().enumerate() {
            if index == LETTERS_MAX {
                return write!(f, "... ({} bytes)", self.0.len());
            }
            write_escaped(f, letter)?;
        }
        Ok(())
    }
}

/// Writes a letter, or the escape of what would not be seen as one.
pub fn write_escaped(out: &mut impl fmt::Write, letter: char) -> fmt::Result {
    if is_unseen(letter) {
        write!(out, "{}", letter.escape_default())
    } else {
        out.write_char(letter)
    }
}

/// Controls, and what changes how the letters after it are shown.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_is_one_short_line() {
        assert_eq!(Quoted("a b-é").to_string(), "a b-é");
        assert_eq!(Quoted("a\nb\x1b[2J\u{202e}").to_string(), r"a\nb\u{1b}[2J\u{202e}");
        let long = "é".repeat(LETTERS_MAX + 1);
        let shown = Quoted(&long).to_string();
        assert_eq!(shown, format!("{}... (130 bytes)", "é".repeat(LETTERS_MAX)));
        let whole = "x".repeat(LETTERS_MAX);
        assert_eq!(Quoted(&whole).to_string(), whole);
    }
}
