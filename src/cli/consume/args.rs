//! What `highwater consume` takes.

use super::assign::Assignor;
use super::place::{Place, Range};
use super::print::Printer;
use super::work::{Job, work};
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::runtime::clock;

/// Read records of topics
///
/// Without -o it begins at the end and waits for what comes; with --exit-at-end at the start. With -g
/// it begins where the group is, and commits what it has printed.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[arg(value_name = "TOPIC", required = true)]
    topics: Vec<String>,

    /// As a member of this group
    #[arg(short, long, value_name = "GROUP")]
    group: Option<String>,

    /// How the group shares partitions, if this member leads it
    #[arg(long, value_enum, default_value_t = Assignor::Range, requires = "group")]
    assignor: Assignor,

    /// start, end, an offset, -N for N before the end, @TIME, or two as FROM:TO
    #[arg(short, long, value_name = "WHERE", allow_hyphen_values = true)]
    offset: Option<String>,

    /// The same as -o start
    #[arg(long, conflicts_with = "offset")]
    from_beginning: bool,

    /// Only these partitions
    #[arg(short, long, value_delimiter = ',', value_name = "N", conflicts_with = "group")]
    partitions: Vec<i32>,

    /// Only so many records
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,

    /// json, json-rows, hex, or a format: %t %p %o %T(ime) %k %s(value) %h(eaders) %K %S \n \t \xNN
    #[arg(short, long, value_name = "FORMAT", default_value = "%s\\n")]
    format: String,

    /// Wait for what comes (this is so unless something else ends it)
    #[arg(long, conflicts_with_all = ["exit_at_end", "count"])]
    follow: bool,

    /// End where the topics ended when it began
    #[arg(short, long)]
    exit_at_end: bool,

    /// Whether records of open and aborted transactions are shown
    #[arg(long, value_enum, default_value_t = Isolation::Uncommitted)]
    isolation: Isolation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Isolation {
    #[value(alias = "read_uncommitted")]
    Uncommitted,
    #[value(alias = "read_committed")]
    Committed,
}

const EXAMPLES: &str = "\
Examples:
  highwater consume orders --from-beginning
  highwater consume orders -o -10 -e -f '%p@%o %k: %s\\n'
  highwater consume orders payments -o @-30m:@now -f json-rows
  highwater consume orders -g billing --exit-at-end

Options of every command: highwater --help";

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let range = match (&args.offset, args.from_beginning) {
        (Some(text), _) => Some(Range::parse(text, clock::wall())?),
        (None, true) => Some(Range { from: Place::Start, to: None }),
        (None, false) => None,
    };
    if range.is_some_and(|range| range.to.is_some()) && (args.follow || args.exit_at_end) {
        let text = "-o FROM:TO ends by itself: --follow and --exit-at-end have no meaning with it";
        return Err(Failure::Usage(text.to_owned()));
    }
    let default = if args.exit_at_end { Place::Start } else { Place::End };
    let to = range.and_then(|range| range.to).or(args.exit_at_end.then_some(Place::End));
    let mut topics = args.topics.clone();
    topics.sort();
    topics.dedup();
    work(
        &Job {
            topics,
            group: args.group.clone().map(|name| (name, args.assignor)),
            from: range.map_or(default, |range| range.from),
            to,
            partitions: args.partitions.clone(),
            count: args.count,
            printer: Printer::parse(&args.format)?,
            read_committed: args.isolation == Isolation::Committed,
        },
        common,
    )
}
