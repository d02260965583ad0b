//! The process: parse arguments, run one command.

use clap::{Parser, Subcommand};
use highwater::admin;
use highwater::cli::{load, serve};
use highwater::runtime::log_level;
use std::io::IsTerminal as _;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A Kafka-compatible broker for Linux.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the broker
    Serve(serve::ServeArgs),
    /// Load a broker over the wire and measure it
    Load(load::Args),
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("HIGHWATER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // Colours are for people: a log file would hold their control characters.
    let is_terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_ansi(is_terminal)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .with_filter_reloading();
    let handle = log.reload_handle();
    log_level::set_up(move |level| {
        handle.reload(tracing_subscriber::EnvFilter::default().add_directive(level.into())).is_ok()
    });
    log.init();
    match Arguments::parse().command {
        Command::Serve(args) => serve::run(&args, admin::watch),
        Command::Load(args) => match load::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
    }
}
