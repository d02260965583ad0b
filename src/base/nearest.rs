//! The word that was probably meant: the nearest of a known list, by edits.

/// Longer words are not looked at; no known word comes near it.
const WORD_CHARS_MAX: usize = 128;

/// The nearest of the known words, if it is near: two edits in a long word, one in a short one. What
/// differs only in case, or in `.`, `_` and `-`, is nearest of all.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(WORD_CHARS_MAX + 1).map(plain).collect();
    if word.len() > WORD_CHARS_MAX {
        return None;
    }
    let edits_max = match word.len() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let other: Vec<char> = candidate.chars().map(plain).collect();
        if word.len().abs_diff(other.len()) > edits_max {
            continue;
        }
        let edits = edits(&word, &other);
        if edits <= edits_max && best.is_none_or(|(least, _)| edits < least) {
            best = Some((edits, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn plain(c: char) -> char {
    if matches!(c, '_' | '-') { '.' } else { c.to_ascii_lowercase() }
}

/// Letters added, dropped, changed, or swapped with their neighbour (optimal string alignment).
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, &y) in b.iter().enumerate() {
            let change = last[j] + usize::from(x != y);
            row[j + 1] = change.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["log.dirs", "log.dir", "num.partitions", "ssl.protocol"];

    fn check(word: &str, expected: Option<&str>) {
        assert_eq!(nearest(word, KNOWN), expected, "{word}");
    }

    #[test]
    fn a_slip_of_the_fingers_is_understood() {
        check("num.partition", Some("num.partitions"));
        check("num.partitoins", Some("num.partitions"));
        check("nun.partitions", Some("num.partitions"));
        check("nm.partitionss", Some("num.partitions"));
        check("NUM_PARTITIONS", Some("num.partitions"));
        check("log.dis", Some("log.dirs"));
        check("log.dir", Some("log.dir"));
    }

    #[test]
    fn what_is_far_is_not_guessed() {
        check("partitions", None);
        check("ld", None);
        check("", None);
        check(&"n".repeat(100_000), None);
    }

    #[test]
    fn edits_are_counted() {
        let count = |a: &str, b: &str| {
            edits(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
        };
        assert_eq!(count("", "abc"), 3);
        assert_eq!(count("abc", "abc"), 0);
        assert_eq!(count("abcd", "acbd"), 1);
        assert_eq!(count("kitten", "sitting"), 3);
    }
}
