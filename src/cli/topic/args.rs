//! What `highwater topic` takes.

use super::list;
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;

/// Look at topics, and change them.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Action {
    /// List topics
    List(list::Args),
}

const EXAMPLES: &str = "\
Examples:
  highwater topic list

Options of every command: highwater --help";

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    match &args.action {
        Action::List(args) => list::run(args, common),
    }
}
