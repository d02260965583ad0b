//! What `highwater topic` takes.

use super::{add_partitions, alter, create, delete, describe, list, trim};
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;

/// Look at topics, and change them
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Action {
    List(list::Args),
    Describe(describe::Args),
    Create(create::Args),
    Delete(delete::Args),
    Alter(alter::Args),
    AddPartitions(add_partitions::Args),
    Trim(trim::Args),
}

const EXAMPLES: &str = "\
Examples:
  highwater topic list
  highwater topic create orders -p 6 -r 1 --config retention.ms=86400000
  highwater topic describe orders

Options of every command: highwater --help";

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    match &args.action {
        Action::List(args) => list::run(args, common),
        Action::Describe(args) => describe::run(args, common),
        Action::Create(args) => create::run(args, common),
        Action::Delete(args) => delete::run(args, common),
        Action::Alter(args) => alter::run(args, common),
        Action::AddPartitions(args) => add_partitions::run(args, common),
        Action::Trim(args) => trim::run(args, common),
    }
}
