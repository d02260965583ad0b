//! Which cores own partitions, and how appends reach the file: Highwater's own settings, parsed.

/// `highwater.cores`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cores {
    /// All cores that the process may run on.
    Auto,
    /// This many of them.
    Count(u32),
    /// These, by the kernel's numbers; sorted, each once.
    List(Vec<u32>),
}

/// `highwater.append.path`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendPath {
    Auto,
    Inline,
    Ring,
}

/// Highest core number that is read; Linux is built for at most 8192.
const CORE_MAX: u32 = 8191;

impl Cores {
    /// Parses `auto`, a count, or a list of cores and ranges (`0-3,6`). A list of one core is a
    /// range of one: `5-5`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("auto") {
            return Some(Self::Auto);
        }
        if let Ok(count) = text.parse::<u32>() {
            return (1..=CORE_MAX + 1).contains(&count).then_some(Self::Count(count));
        }
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: u32 = first.trim().parse().ok()?;
            let last: u32 = last.trim().parse().ok()?;
            if first > last || last > CORE_MAX {
                return None;
            }
            cores.extend(first..=last);
            // Sorted out at every step, so that repeats do not add up.
            cores.sort_unstable();
            cores.dedup();
        }
        Some(Self::List(cores))
    }
}

impl AppendPath {
    pub(super) fn parse(text: &str) -> Self {
        match text {
            "inline" => Self::Inline,
            "ring" => Self::Ring,
            _ => Self::Auto,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_count_and_a_list_names_cores() {
        assert_eq!(Cores::parse(" Auto "), Some(Cores::Auto));
        assert_eq!(Cores::parse("4"), Some(Cores::Count(4)));
        assert_eq!(Cores::parse("6,0-2,1"), Some(Cores::List(vec![0, 1, 2, 6])));
        assert_eq!(Cores::parse("5-5"), Some(Cores::List(vec![5])));
        for text in ["", "0", "-1", "3-1", "1,,2", "a", "0-99999", "99999"] {
            assert_eq!(Cores::parse(text), None, "{text}");
        }
    }
}
