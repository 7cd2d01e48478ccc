//! `harmonize completions SHELL`.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::error::Result;

#[derive(Args)]
pub struct CompletionsArgs {
    /// Shell to complete for
    shell: Shell,
}

pub fn run(args: &CompletionsArgs, mut command: Command) -> Result<u8> {
    clap_complete::generate(args.shell, &mut command, "harmonize", &mut std::io::stdout());
    Ok(0)
}
