//! What `highwater produce` takes.

use super::input::{Defaults, Shape, header};
use super::work::{Job, work};
use crate::cli::client::Acks;
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::record_format::{Field, FormatError, RecordFormat, unescape};
use crate::record::{Codec, Packing};

/// Write records to a topic
///
/// Each line of standard input is a record's value. With acks=all (the default) the producer is
/// idempotent: a repeated request writes nothing twice.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[arg(value_name = "TOPIC")]
    topic: String,

    /// Key of every record
    #[arg(short, long, value_name = "KEY")]
    key: Option<String>,

    /// Header of every record, as KEY=VALUE; may be given more than once
    #[arg(short = 'H', long = "header", value_name = "KEY=VALUE")]
    headers: Vec<String>,

    /// How records lie in the input: %k %v %h(eaders) %p(artition) %T(ime), with what ends each
    #[arg(short, long, value_name = "FORMAT", conflicts_with_all = ["input", "key_separator"])]
    format: Option<String>,

    /// json-rows: one record a line, as `consume -f json-rows` writes it
    #[arg(long, value_enum, conflicts_with_all = ["key", "key_separator"])]
    input: Option<Input>,

    /// What stands between key and value in a line (\t and \xNN are understood)
    #[arg(long, value_name = "TEXT", conflicts_with = "key")]
    key_separator: Option<String>,

    /// Who must have a record before it counts as written
    #[arg(long, value_enum, default_value_t = AcksArg::All)]
    acks: AcksArg,

    /// none, gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none", value_parser = codec)]
    compression: Codec,

    /// No more than so many records a second, as 500/s or 5k/s
    #[arg(long, value_name = "N/s", value_parser = rate)]
    rate: Option<u64>,

    /// Partition of every record; else by key as Java's producer, or in turn
    #[arg(short, long, value_name = "N")]
    partition: Option<i32>,

    /// Write that keys are gone: that of -k, or each line of the input
    #[arg(long, conflicts_with_all = ["format", "input", "key_separator"])]
    tombstone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Input {
    JsonRows,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum AcksArg {
    #[value(name = "0")]
    None,
    #[value(name = "1")]
    Leader,
    #[value(alias = "-1")]
    All,
}

const EXAMPLES: &str = "\
Examples:
  seq 1000 | highwater produce numbers -z lz4
  echo 'k1:v1' | highwater produce orders --key-separator :
  cat rows.json | highwater produce copy --input json-rows
  highwater produce users -k alice --tombstone

Options of every command: highwater --help";

fn codec(text: &str) -> Result<Codec, String> {
    let found = Codec::ALL.into_iter().find(|codec| codec.name() == text);
    found.ok_or_else(|| "write none, gzip, snappy, lz4 or zstd".to_owned())
}

/// `N`, `N/s`, with k or M for thousands and millions.
fn rate(text: &str) -> Result<u64, String> {
    let bad = || "write a number of records a second, as 500/s or 5k/s".to_owned();
    let number = text.strip_suffix("/s").unwrap_or(text);
    let (digits, factor) = match number.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1000),
        None => match number.strip_suffix('M') {
            Some(digits) => (digits, 1_000_000),
            None => (number, 1),
        },
    };
    let number: u64 = digits.parse().map_err(|_| bad())?;
    number.checked_mul(factor).filter(|rate| *rate > 0).ok_or_else(bad)
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let of_format = |error: FormatError| Failure::Usage(error.to_string());
    let shape = match (&args.format, args.input, &args.key_separator) {
        (Some(format), _, _) => {
            let fields = RecordFormat::parse(format).and_then(|format| format.reading());
            let fields = fields.map_err(of_format)?;
            if args.key.is_some() && fields.iter().any(|(field, _)| *field == Field::Key) {
                let text = "the format reads keys (%k), and -k gives one: which is it?";
                return Err(Failure::Usage(text.to_owned()));
            }
            Shape::Fields(fields)
        }
        (None, Some(Input::JsonRows), _) => Shape::JsonRows,
        (None, None, Some(separator)) => {
            let separator = unescape(separator).map_err(of_format)?;
            if separator.is_empty() {
                return Err(Failure::Usage("--key-separator is empty".to_owned()));
            }
            Shape::KeyedLines(separator)
        }
        (None, None, None) if args.tombstone => Shape::Tombstones,
        (None, None, None) => Shape::Lines,
    };
    let defaults = Defaults {
        key: args.key.clone().map(String::into_bytes),
        headers: args.headers.iter().map(|text| header(text)).collect(),
        partition: args.partition,
    };
    let job = Job {
        topic: args.topic.clone(),
        shape,
        defaults,
        acks: match args.acks {
            AcksArg::None => Acks::None,
            AcksArg::Leader => Acks::Leader,
            AcksArg::All => Acks::All,
        },
        packing: Packing::of(args.compression),
        rate: args.rate,
        is_one_tombstone: args.tombstone && args.key.is_some(),
    };
    work(&job, common)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_with_their_units() {
        for (text, expected) in
            [("5", 5), ("500/s", 500), ("5k/s", 5000), ("2M", 2_000_000), ("1K/s", 1000)]
        {
            assert_eq!(rate(text), Ok(expected), "{text}");
        }
        for text in ["", "0", "x", "5/m", "-1", "/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
