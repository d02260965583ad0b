//! `highwater serve`: run the broker.

use super::exit::Exit;
use super::failure::Failure;
use super::output;
use super::settings::check;
use crate::config::{BrokerConfig, Notices, Properties};
use crate::runtime::log::{self, Format};
use crate::runtime::{machine, panics};
use crate::server;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Run the broker until SIGTERM or Ctrl-C
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// Kafka's server.properties; without it 127.0.0.1:9092, data in highwater-data
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Address to listen on, in plain text
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,

    /// Data folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Cores to run on: auto, a count, or a list as 0-3,6
    #[arg(long, value_name = "CORES")]
    cores: Option<String>,

    /// Any setting, over the file's: KEY=VALUE; may be given more than once
    #[arg(long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,

    /// Only check the settings: all that is wrong is told, with status 2
    #[arg(long)]
    check: bool,

    /// Only print every setting with its value and where that comes from
    #[arg(long)]
    print_config: bool,
}

const EXAMPLES: &str = "\
Settings have Kafka's names. They come from the file, then from KAFKA_* variables (KAFKA_NUM_PARTITIONS
is num.partitions), then from flags; the last one counts.

Examples:
  highwater serve
  highwater serve -c server.properties --check
  highwater serve -c server.properties --cores 4 --print-config
  highwater serve --listen 0.0.0.0:9092 --data /srv/highwater --override num.partitions=6";

/// Runs the command; `watch` shows the broker's counters to those who ask.
pub fn run(args: &ServeArgs, watch: server::Watch) -> ExitCode {
    let properties = match properties(args) {
        Ok(properties) => properties,
        Err(reason) => return refuse(&reason),
    };
    let (config, notices) = match BrokerConfig::load(&properties) {
        Ok(loaded) => loaded,
        Err(errors) => return refuse(&of_file(args.config.as_deref(), &errors)),
    };
    if args.check || args.print_config {
        return match tell(args, &config, &notices, &properties) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("error: {failure}");
                failure.exit().into()
            }
        };
    }
    // Before the log's thread is born, which would get them otherwise.
    machine::hold_stop_signals();
    let is_json = config.log_as_json;
    log::start(if is_json { Format::Json } else { Format::Text }, config.node_id.0);
    panics::end_process_on_panic();
    let served = server::serve_watched(config, &notices, watch);
    if is_json && let Err(error) = &served {
        tracing::error!("{error}");
    }
    log::end();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if is_json => ExitCode::FAILURE,
        Err(error) => fail(&error.to_string()),
    }
}

/// What was found of settings that can be, for people who do not want to start a broker with them.
fn tell(
    args: &ServeArgs,
    config: &BrokerConfig,
    notices: &Notices,
    properties: &Properties,
) -> Result<(), Failure> {
    if args.print_config {
        output::print(&check::print(config, properties)?)?;
    }
    for line in notices.lines() {
        eprintln!("note: {line}");
    }
    if args.check {
        eprintln!("a broker starts with these settings");
    }
    Ok(())
}

/// The file's settings, over them the environment's, over them those of the flags.
fn properties(args: &ServeArgs) -> Result<Properties, String> {
    let mut properties = match &args.config {
        None => BrokerConfig::standalone(),
        Some(path) => check::read(path).map_err(|failure| failure.to_string())?,
    };
    properties.set_by_environment(std::env::vars_os());
    if let Some(address) = &args.listen {
        properties.set_by("--listen", "listeners", format!("PLAINTEXT://{address}"));
    }
    if let Some(data) = &args.data {
        properties.set_by("--data", "log.dirs", data.display().to_string());
    }
    if let Some(cores) = &args.cores {
        properties.set_by("--cores", "highwater.cores", cores.clone());
    }
    for pair in &args.overrides {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| format!("--override {pair}: write KEY=VALUE"))?;
        properties.set_by("--override", key.trim(), value.trim());
    }
    Ok(properties)
}

fn of_file(file: Option<&Path>, error: &dyn std::fmt::Display) -> String {
    match file {
        Some(path) => format!("{}: {error}", path.display()),
        None => error.to_string(),
    }
}

/// The command line or a setting cannot be as it is.
fn refuse(reason: &str) -> ExitCode {
    eprintln!("error: {reason}");
    Exit::Usage.into()
}

fn fail(reason: &str) -> ExitCode {
    eprintln!("error: {reason}");
    ExitCode::FAILURE
}
