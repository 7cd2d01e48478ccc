//! `harmonize models keygen`

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::table::text;
use crate::error::{Context, Error, Result};
use crate::registry::SigningKey;

#[derive(Args)]
#[command(after_help = "Example:\n\n  harmonize models keygen --key signing.pem --public trusted.pem")]
pub struct KeygenArgs {
    /// File to make for the secret key, readable by its owner alone
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// File to make for the public key, which --require-signature takes
    #[arg(long, value_name = "FILE")]
    public: PathBuf,
}

pub fn run(args: &KeygenArgs) -> Result<u8> {
    let key = SigningKey::generate()?;
    make(&args.public, &key.public().to_pem(), 0o644)?;
    make(&args.key, &key.to_pem(), 0o600)?;
    text(
        format!(
            "key {} is in {}, its public part in {}\n",
            key.public().id(),
            args.key.display(),
            args.public.display()
        )
        .as_bytes(),
    )?;
    Ok(0)
}

/// A new file; one that is there stays.
fn make(path: &Path, content: &str, mode: u32) -> Result<()> {
    let named = || path.display().to_string();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(|e| {
        if e.kind() == std::io::ErrorKind::AlreadyExists {
            return Error::Usage(format!("{} is there already; a key is never overwritten", named()));
        }
        Error::from(e).context(named())
    })?;
    file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).context(named)
}
