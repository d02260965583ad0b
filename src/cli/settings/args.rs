//! What `highwater config` takes.

use super::{change, check, diff, explain, get};
use crate::cli::cluster::configs::{Change, Scope};
use crate::cli::common::{Common, key_value};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;

/// Look at settings, and change them
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Action {
    Get(get::Args),
    Set(Set),
    Unset(Unset),
    Diff(diff::Args),
    Explain(explain::Args),
    Check(check::Args),
}

const EXAMPLES: &str = "\
Examples:
  highwater config explain flush.messages
  highwater config set log.retention.ms=86400000 --cluster
  highwater config diff --topic orders

Options of every command: highwater --help";

/// Whose settings; without one of them those of all brokers.
#[derive(clap::Args, Clone, Debug)]
#[group(multiple = false)]
pub struct ScopeArgs {
    /// Settings of all brokers, as they were changed while these run
    #[arg(long)]
    cluster: bool,

    /// Settings of one broker
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i32).range(0..))]
    broker: Option<i32>,

    /// Settings of a topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,

    /// Settings of a group
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
}

/// Give settings a value
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = SET)]
struct Set {
    #[arg(value_name = "KEY=VALUE", required = true, value_parser = key_value)]
    pairs: Vec<(String, String)>,

    #[command(flatten)]
    scope: ScopeArgs,

    /// Only check whether they could have it
    #[arg(long)]
    validate_only: bool,
}

const SET: &str = "\
Examples:
  highwater config set retention.ms=86400000 --topic orders
  highwater config set log.retention.ms=86400000 --cluster
  highwater config set log.cleaner.threads=2 --broker 1 --validate-only

Options of every command: highwater --help";

/// Let settings fall back to what lies below
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = UNSET)]
struct Unset {
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,

    #[command(flatten)]
    scope: ScopeArgs,

    /// Only check whether they could
    #[arg(long)]
    validate_only: bool,
}

const UNSET: &str = "\
Examples:
  highwater config unset retention.ms --topic orders
  highwater config unset log.retention.ms --cluster

Options of every command: highwater --help";

impl ScopeArgs {
    pub fn scope(&self) -> Scope {
        match (self.broker, &self.topic, &self.group) {
            (Some(id), ..) => Scope::Broker(id),
            (_, Some(topic), _) => Scope::Topic(topic.clone()),
            (_, _, Some(group)) => Scope::Group(group.clone()),
            // The flag says what is so without it.
            (None, None, None) => Scope::Cluster,
        }
    }
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    match &args.action {
        Action::Get(args) => get::run(args, common),
        Action::Set(args) => {
            let pairs = args.pairs.iter().cloned();
            let changes: Vec<_> = pairs.map(|(key, value)| Change::Set(key, value)).collect();
            let validate_only = args.validate_only || common.is_dry_run();
            change::run("config.set", &args.scope.scope(), &changes, validate_only, common)
        }
        Action::Unset(args) => {
            let changes: Vec<_> = args.keys.iter().cloned().map(Change::Unset).collect();
            let validate_only = args.validate_only || common.is_dry_run();
            change::run("config.unset", &args.scope.scope(), &changes, validate_only, common)
        }
        Action::Diff(args) => diff::run(args, common),
        Action::Explain(args) => explain::run(args, common),
        Action::Check(args) => check::run(args, common),
    }
}
