//! How times, spans and sizes are written on the command line.
//!
//! ```text
//!   moment   @2026-11-01T10:00 (local), @2026-11-01T10:00Z, @2026-11-01, @-30m, @now, @1793527200000 (ms)
//!   span     250ms 30s 5m 2h 7d 1w, and sums as 1h30m; a bare number is seconds
//!   size     10MiB 1.5GB 4096; the units with an i count in 1024s
//! ```

use crate::model::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use std::time::Duration;

/// Text that is not in the grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    #[error(
        "{0} is no time. Write @2026-11-01T10:00, with Z or +01:00 behind it for another zone than \
         yours, @2026-11-01, @-30m for half an hour ago, @now, or @ and milliseconds since 1970"
    )]
    Moment(String),
    #[error("{0} is no span of time. Write 250ms, 30s, 5m, 2h, 7d, 1w or a sum as 1h30m")]
    Span(String),
    #[error("{0} is no place in a log. Write an offset, @ and a time as @-30m, or end")]
    Place(String),
    #[error("{0} is no size. Write bytes, or a number with kB, MB, GB, KiB, MiB or GiB")]
    Size(String),
}

const SPAN_UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

const SIZE_UNITS: &[(&str, u64)] = &[
    ("b", 1),
    ("k", 1000),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("m", 1_000_000),
    ("g", 1_000_000_000),
    ("t", 1_000_000_000_000),
    ("ki", 1 << 10),
    ("mi", 1 << 20),
    ("gi", 1 << 30),
    ("ti", 1 << 40),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// A moment of the wall clock; it begins with `@`.
pub fn moment(text: &str, now: Timestamp) -> Result<Timestamp, GrammarError> {
    let bad = || GrammarError::Moment(text.to_owned());
    let body = text.strip_prefix('@').ok_or_else(bad)?;
    if body == "now" {
        return Ok(now);
    }
    if let Some(ago) = body.strip_prefix('-') {
        let ago = span(ago).map_err(|_| bad())?;
        return Ok(Timestamp(now.0 - i64::try_from(ago.as_millis()).map_err(|_| bad())?));
    }
    if !body.is_empty() && body.bytes().all(|b| b.is_ascii_digit()) {
        return body.parse().map(Timestamp).map_err(|_| bad());
    }
    if let Ok(exact) = body.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(exact.as_millisecond()));
    }
    let local = body
        .parse::<DateTime>()
        .or_else(|_| body.parse::<Date>().map(|date| date.at(0, 0, 0, 0)))
        .map_err(|_| bad())?;
    let zoned = local.to_zoned(TimeZone::system()).map_err(|_| bad())?;
    Ok(Timestamp(zoned.timestamp().as_millisecond()))
}

/// A span of time.
pub fn span(text: &str) -> Result<Duration, GrammarError> {
    let bad = || GrammarError::Span(text.to_owned());
    let mut rest = text;
    let mut ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let number: u64 = number.parse().map_err(|_| bad())?;
        let factor = match SPAN_UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, factor)) => *factor,
            None if unit.is_empty() && digits == text.len() => 1000,
            None => return Err(bad()),
        };
        ms = number.checked_mul(factor).and_then(|n| ms.checked_add(n)).ok_or_else(bad)?;
        rest = tail;
    }
    if text.is_empty() { Err(bad()) } else { Ok(Duration::from_millis(ms)) }
}

/// A number of bytes.
pub fn size(text: &str) -> Result<u64, GrammarError> {
    let bad = || GrammarError::Size(text.to_owned());
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start().to_ascii_lowercase();
    let factor = match SIZE_UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() => 1,
        None => return Err(bad()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().map_err(|_| bad())?;
    let bytes = whole.checked_mul(factor).ok_or_else(bad)?;
    if number.contains('.') {
        // Thousandths are enough for people, and exact for them.
        if factor == 1 || fraction.is_empty() || fraction.len() > 3 {
            return Err(bad());
        }
        let part: u64 = fraction.parse().map_err(|_| bad())?;
        let scale = 10_u64.pow(fraction.len() as u32);
        return bytes
            .checked_add(factor / scale * part + factor % scale * part / scale)
            .ok_or_else(bad);
    }
    Ok(bytes)
}

/// A size as people read it.
pub fn show_size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A moment as people and programs read it: RFC 3339 in UTC.
pub fn show_moment(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(moment) => format!("{moment:.3}"),
        Err(_) => at.0.to_string(),
    }
}

/// A span as people read it: the two largest units.
pub fn show_span(span: Duration) -> String {
    let mut left = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (unit, ms) in SPAN_UNITS.iter().rev().filter(|(unit, _)| *unit != "w") {
        let count = left / ms;
        left %= ms;
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_793_527_200_000);

    fn at(text: &str) -> Option<i64> {
        moment(text, NOW).ok().map(|at| at.0)
    }

    #[test]
    fn moments_are_absolute_or_before_now() {
        assert_eq!(at("@now"), Some(NOW.0));
        assert_eq!(at("@-30m"), Some(NOW.0 - 1_800_000));
        assert_eq!(at("@1700000000000"), Some(1_700_000_000_000));
        assert_eq!(at("@2026-11-01T10:00Z"), Some(1_793_527_200_000));
        assert_eq!(at("@2026-11-01T10:00:00.250+01:00"), Some(1_793_523_600_250));
        let local = at("@2026-11-01T10:00").unwrap();
        // Whatever the zone: within a day of it in UTC, and midnight ten hours before.
        assert!((local - 1_793_527_200_000).abs() <= 86_400_000);
        assert!(at("@2026-11-01").is_some());
        for text in
            ["", "@", "now", "2026-11-01", "@-", "@-x", "@2026-13-01", "@99999999999999999999"]
        {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn spans_have_units_and_add_up() {
        let ms = |text| span(text).ok().map(|span| span.as_millis());
        assert_eq!(ms("250ms"), Some(250));
        assert_eq!(ms("30"), Some(30_000));
        assert_eq!(ms("1h30m"), Some(5_400_000));
        assert_eq!(ms("1w"), Some(604_800_000));
        for text in ["", "s", "-5s", "5x", "1h30", "99999999999999999w", "5 s"] {
            assert_eq!(ms(text), None, "{text}");
        }
        assert_eq!(show_span(Duration::from_mins(90)), "1h 30m");
        assert_eq!(show_span(Duration::from_hours(168)), "7d");
        assert_eq!(show_span(Duration::ZERO), "0s");
    }

    #[test]
    fn sizes_have_units_of_1000_and_of_1024() {
        let check = |text, bytes| assert_eq!(size(text).ok(), bytes, "{text}");
        check("4096", Some(4096));
        check("10MiB", Some(10 << 20));
        check("10 mib", Some(10 << 20));
        check("1.5GiB", Some(3 << 29));
        check("2kB", Some(2000));
        check("1.5", None);
        check("MiB", None);
        check("5parsecs", None);
        check("99999999999GiB", None);
        check("", None);
        assert_eq!(show_size(0), "0 B");
        assert_eq!(show_size(1536), "1.5 KiB");
        assert_eq!(show_size(10 << 20), "10.0 MiB");
    }

    #[test]
    fn moments_are_shown_in_utc() {
        assert_eq!(show_moment(NOW), "2026-11-01T10:00:00.000Z");
        assert_eq!(show_moment(Timestamp(i64::MAX)), i64::MAX.to_string());
    }
}
