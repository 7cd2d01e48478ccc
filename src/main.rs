//! The command line of `harmonize`; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    harmonize::cli::main()
}
