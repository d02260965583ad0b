//! `topic alter`: settings of a topic, changed.

use crate::cli::cluster::configs::{Change, Scope};
use crate::cli::common::{Common, key_value};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::settings;

/// Change settings of a topic
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[arg(value_name = "TOPIC")]
    topic: String,

    /// Give a setting this value; may be given more than once
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value, required_unless_present = "unset")]
    set: Vec<(String, String)>,

    /// Let a setting follow the broker's again
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,

    /// Only check whether it could be changed so
    #[arg(long)]
    validate_only: bool,
}

const EXAMPLES: &str = "\
Examples:
  highwater topic alter orders --set retention.ms=86400000
  highwater topic alter orders --set flush.messages=1 --unset retention.bytes
  highwater topic alter orders --set cleanup.policy=compact --validate-only

Options of every command: highwater --help";

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let set = args.set.iter().cloned().map(|(key, value)| Change::Set(key, value));
    let changes: Vec<_> = set.chain(args.unset.iter().cloned().map(Change::Unset)).collect();
    let validate_only = args.validate_only || common.is_dry_run();
    let scope = Scope::Topic(args.topic.clone());
    settings::change::run("topic.alter", &scope, &changes, validate_only, common)
}
