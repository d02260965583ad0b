//! The process: one command of the command line.

use highwater::admin;
use highwater::cli::command;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    command::main(admin::watch)
}
