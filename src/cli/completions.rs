//! `highwater completions`: what a shell needs to complete our command lines.

use super::command;
use super::exit::Exit;
use super::failure::Failure;
use super::output;
use clap_complete::Shell;

/// Print the completions of a shell.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  highwater completions bash > /etc/bash_completion.d/highwater
  highwater completions zsh > ~/.zfunc/_highwater
  highwater completions fish > ~/.config/fish/completions/highwater.fish
  highwater completions powershell > highwater.ps1";

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command::tree(), "highwater", &mut script);
    output::print_bytes(&script)?;
    Ok(Exit::Done)
}
