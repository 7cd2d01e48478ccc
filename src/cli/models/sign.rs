//! `harmonize models sign`

use std::path::PathBuf;

use clap::{ArgMatches, Args};

use super::super::table::text;
use super::{RegistryArgs, number, read_file};
use crate::error::{Context, Error, Result};
use crate::registry::{ModelRef, SigningKey};

/// Variable that holds a key itself, for machines without files.
const KEY: &str = "HARMONIZE_SIGNING_KEY";
const MAX_KEY_BYTES: u64 = 64 << 10;

#[derive(Args)]
#[command(
    after_help = "The key is PEM (PRIVATE KEY, PKCS#8 of Ed25519: harmonize models keygen, or openssl genpkey -algorithm ed25519), or \
                        a seed of 32 bytes in base64. Without --key it is taken from HARMONIZE_SIGNING_KEY, which holds the key itself and not its \
                        path. A signature is never replaced."
)]
pub struct SignArgs {
    /// Model version by its number, such as hs@7
    model: ModelRef,
    /// File of the key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub async fn run(args: SignArgs, matches: &ArgMatches) -> Result<u8> {
    let (registry, _) = args.registry.open(matches)?;
    let version = number(&args.model)?;
    let key = key(args.key)?;
    let signature = registry.sign(args.model.name(), version, &key).await?;
    text(format!("{} is signed by key {}\n", args.model, signature.key_id).as_bytes())?;
    Ok(0)
}

fn key(file: Option<PathBuf>) -> Result<SigningKey> {
    let (named, key) = match file {
        Some(file) => {
            let named = file.display().to_string();
            let bytes = read_file(&file, MAX_KEY_BYTES)?;
            (named, String::from_utf8(bytes).unwrap_or_default())
        }
        None => match std::env::var(KEY) {
            Ok(key) => (KEY.to_owned(), key),
            Err(_) => return Err(Error::Usage(format!("--key is missing; give it, or set {KEY} to the key itself"))),
        },
    };
    SigningKey::parse(&key).context(|| named)
}
