//! What `highwater group` takes.

use super::{change, seek, show, why};
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;

/// Look at consumer groups, and change them
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Action {
    /// List groups
    List(show::ListArgs),
    /// Members of a group with their partitions, and where it is
    Describe(show::DescribeArgs),
    /// How far a group is behind, by partition
    Lag(show::LagArgs),
    /// Which broker coordinates a group
    Coordinator(show::CoordinatorArgs),
    /// Say in words why a group does not progress
    Why(why::Args),
    /// Move a group that nobody is in to other offsets
    Seek(seek::Args),
    /// Delete groups with all that they committed
    Delete(change::DeleteArgs),
    /// Forget what a group committed for a topic
    DeleteOffsets(change::DeleteOffsetsArgs),
}

const EXAMPLES: &str = "\
Examples:
  highwater group list
  highwater group lag billing --watch
  highwater group why billing
  highwater group seek billing --to @-2h --topic orders --dry-run

Options of every command: highwater --help";

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    match &args.action {
        Action::List(args) => show::list(args, common),
        Action::Describe(args) => show::describe(args, common),
        Action::Lag(args) => show::lag(args, common),
        Action::Coordinator(args) => show::coordinator(args, common),
        Action::Why(args) => why::run(args, common),
        Action::Seek(args) => seek::run(args, common),
        Action::Delete(args) => change::delete(args, common),
        Action::DeleteOffsets(args) => change::delete_offsets(args, common),
    }
}
