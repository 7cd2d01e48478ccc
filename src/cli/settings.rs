//! Settings in layers: flags over environment over `job.toml` over defaults, each with its origin.
//!
//! `job.toml` is flat: its keys are the long flags' names without the dashes before them. Beside them it may have the
//! section `[gates]`.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};

use crate::challenge::Gates;
use crate::error::{Context, Error, Result};
use crate::lake::Place;
use crate::registry::{ModelRef, PublicKeys, Registry};
use crate::sql::Limits;
use crate::train::Labelled;

/// Keys that `job.toml` may have.
const KEYS: [&str; 26] = [
    "input",
    "text",
    "id",
    "where",
    "lake",
    "registry",
    "model",
    "challenger",
    "challenger-rows",
    "split",
    "full",
    "watch",
    "every",
    "declared",
    "value",
    "memory",
    "threads",
    "store-text",
    "on-bad-file",
    "target-file-size",
    "threshold",
    "vague",
    "audit-ratio",
    "label",
    "edition",
    "require-signature",
];

/// The one section that `job.toml` may have.
const GATES: &str = "gates";

/// Flags that several commands share: the lake, the registry, the machine.
#[derive(Args, Clone)]
pub struct PlaceArgs {
    /// A file of settings, keys as the flags (lake = "s3://…")
    #[arg(long, value_name = "FILE", env = "HARMONIZE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Root of the program's own tables: a path or s3://BUCKET/PREFIX
    #[arg(long, value_name = "URL", env = "HARMONIZE_LAKE")]
    pub lake: Option<String>,
    /// Root of the model versions [default: <lake>/models]
    #[arg(long, value_name = "URL", env = "HARMONIZE_REGISTRY")]
    pub registry: Option<String>,
    /// Bound on what queries and unfinished data files hold, such as 512MiB or 2GiB; the model comes on top [default: 1GiB]
    #[arg(long, value_name = "SIZE", env = "HARMONIZE_MEMORY")]
    pub memory: Option<String>,
    /// Threads that work at once [default: all cores]
    #[arg(long, value_name = "N", env = "HARMONIZE_THREADS")]
    pub threads: Option<usize>,
}

/// The flag that says whose models are trusted.
#[derive(Args, Clone)]
pub struct TrustArgs {
    /// Use only model versions signed by a key of this file: public keys of Ed25519 as PEM, or in base64 one a line
    #[arg(long, value_name = "FILE", env = "HARMONIZE_REQUIRE_SIGNATURE")]
    pub require_signature: Option<String>,
}

/// The flags that say what is read.
#[derive(Args, Clone)]
pub struct InputArgs {
    /// Parquet files or folders of them: paths or s3://BUCKET/PREFIX
    #[arg(long, value_name = "URL", num_args = 1.., env = "HARMONIZE_INPUT", value_delimiter = ',')]
    pub input: Option<Vec<String>>,
    /// Column that holds the descriptions [default: description]
    #[arg(long, value_name = "COLUMN", env = "HARMONIZE_TEXT")]
    pub text: Option<String>,
    /// SQL condition on the input's columns, such as "origin = 'CN'"
    #[arg(long = "where", value_name = "SQL", env = "HARMONIZE_WHERE")]
    pub filter: Option<String>,
}

/// The flags that say where labelled lines are.
#[derive(Args, Clone)]
pub struct LabelledArgs {
    #[command(flatten)]
    pub input: InputArgs,
    /// Column that holds the codes: text of 6 to 10 digits, of which the first six count
    #[arg(long, value_name = "COLUMN", env = "HARMONIZE_LABEL")]
    pub label: Option<String>,
}

/// Where a setting came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Flag,
    Environment,
    File,
    Default,
}

impl Origin {
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Flag => "flag",
            Origin::Environment => "environment",
            Origin::File => "job.toml",
            Origin::Default => "default",
        }
    }
}

/// A setting in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    pub name: String,
    pub value: String,
    pub origin: Origin,
}

/// Resolves settings one by one and remembers where each came from.
pub struct Settings<'a> {
    matches: &'a ArgMatches,
    file: toml::Table,
    /// Read by those who ask for it: a mistake in it must not stop a rollback.
    gates: Option<toml::Value>,
    /// Everything resolved so far, in order.
    pub in_force: Vec<InForce>,
}

impl<'a> Settings<'a> {
    /// Reads `job.toml` if one is named.
    pub fn new(matches: &'a ArgMatches, config: Option<&Path>) -> Result<Settings<'a>> {
        let (mut file, mut gates) = (toml::Table::new(), None);
        if let Some(path) = config {
            let text =
                std::fs::read_to_string(path).map_err(|e| Error::Usage(format!("--config {}: {e}", path.display())))?;
            file = toml::from_str(&text).map_err(|e| Error::Usage(format!("{}: {e}", path.display())))?;
            gates = file.remove(GATES);
            if let Some(key) = file.keys().find(|k| !KEYS.contains(&k.as_str())) {
                return Err(Error::Usage(format!(
                    "{}: unknown setting \"{key}\"; there are the section [{GATES}] and: {}",
                    path.display(),
                    KEYS.join(", ")
                )));
            }
        }
        Ok(Settings { matches, file, gates, in_force: Vec::new() })
    }

    /// The gates that a promotion to this alias has to pass.
    ///
    /// # Errors
    /// `Usage` for a section that is none.
    pub fn gates(&self, alias: &str) -> Result<Option<Gates>> {
        let Some(section) = &self.gates else { return Ok(None) };
        let gates: Gates = section.clone().try_into().map_err(|e: toml::de::Error| {
            let why = e.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            Error::Usage(format!("job.toml: [{GATES}] {why}; docs/operations.md lists its keys"))
        })?;
        gates.check().context(|| "job.toml")?;
        Ok(Some(gates).filter(|gates| gates.guard(alias)))
    }

    /// One setting; `flag` is what clap found on the command line or in the environment.
    pub fn pick<T>(&mut self, name: &str, flag: Option<T>, default: Option<T>) -> Result<Option<T>>
    where
        T: FromStr + Display,
        T::Err: Display,
    {
        let (value, origin) = match (flag, self.file.get(name)) {
            (Some(value), _) => (Some(value), self.origin(name)),
            (None, Some(found)) => {
                let text = match found {
                    toml::Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let value = text.parse().map_err(|e| Error::Usage(format!("job.toml: {name} = {found}: {e}")))?;
                (Some(value), Origin::File)
            }
            (None, None) => (default, Origin::Default),
        };
        if let Some(value) = &value {
            self.note(name, value.to_string(), origin);
        }
        Ok(value)
    }

    /// A setting that must have a value.
    pub fn need<T>(&mut self, name: &str, flag: Option<T>, default: Option<T>) -> Result<T>
    where
        T: FromStr + Display,
        T::Err: Display,
    {
        self.pick(name, flag, default)?.ok_or_else(|| {
            let variable = name.replace('-', "_").to_uppercase();
            Error::Usage(format!("--{name} is missing; give it, set HARMONIZE_{variable}, or write it in job.toml"))
        })
    }

    /// A list of texts that must not be empty.
    pub fn need_list(&mut self, name: &str, flag: Option<Vec<String>>) -> Result<Vec<String>> {
        self.list(name, flag)?.ok_or_else(|| {
            let variable = name.to_uppercase();
            Error::Usage(format!("--{name} is missing; give it, set HARMONIZE_{variable}, or write it in job.toml"))
        })
    }

    /// A list of texts; `None` when it is empty.
    pub fn list(&mut self, name: &str, flag: Option<Vec<String>>) -> Result<Option<Vec<String>>> {
        let (list, origin) = match (flag, self.file.get(name)) {
            (Some(list), _) => (list, self.origin(name)),
            (None, Some(toml::Value::String(one))) => (vec![one.clone()], Origin::File),
            (None, Some(toml::Value::Array(many))) => {
                let list = many.iter().map(|v| v.as_str().map(str::to_string)).collect::<Option<Vec<_>>>();
                let bad = || Error::Usage(format!("job.toml: {name} takes a text or a list of texts"));
                (list.ok_or_else(bad)?, Origin::File)
            }
            (None, Some(_)) => return Err(Error::Usage(format!("job.toml: {name} takes a text or a list of texts"))),
            (None, None) => (Vec::new(), Origin::Default),
        };
        if list.is_empty() {
            return Ok(None);
        }
        self.note(name, list.join(", "), origin);
        Ok(Some(list))
    }

    /// The lake.
    pub fn lake(&mut self, args: &PlaceArgs) -> Result<Place> {
        Place::open(&self.need("lake", args.lake.clone(), None)?)
    }

    /// The registry: its own setting, or `models` below the lake.
    pub fn registry(&mut self, args: &PlaceArgs) -> Result<Registry> {
        self.registry_of(args.registry.clone(), args.lake.clone())
    }

    /// The registry, of which only versions are loaded whose signature is trusted, if that is asked for.
    pub fn trusted_registry(&mut self, args: &PlaceArgs, trust: &TrustArgs) -> Result<Registry> {
        let registry = self.registry(args)?;
        self.trusting(registry, trust)
    }

    /// See [`Settings::trusted_registry`].
    pub fn trusting(&mut self, registry: Registry, trust: &TrustArgs) -> Result<Registry> {
        let Some(file) = self.pick("require-signature", trust.require_signature.clone(), None)? else {
            return Ok(registry);
        };
        let text = std::fs::read_to_string(&file).context(|| &file)?;
        Ok(registry.trusting(PublicKeys::parse(&text).context(|| &file)?))
    }

    /// The registry from the flags alone.
    pub fn registry_of(&mut self, registry: Option<String>, lake: Option<String>) -> Result<Registry> {
        let named = self.pick("registry", registry, None)?;
        let url = match named {
            Some(url) => url,
            None => {
                let lake = self.lake_if_named(lake)?.ok_or_else(|| {
                    Error::Usage("--registry is missing; give it, or --lake, below which the models are".into())
                })?;
                let url = format!("{}/models", lake.trim_end_matches('/'));
                self.note("registry", url.clone(), Origin::Default);
                url
            }
        };
        Ok(Registry::new(Place::open(&url)?))
    }

    /// The URL of the lake, where there is one.
    pub fn lake_if_named(&mut self, lake: Option<String>) -> Result<Option<String>> {
        match self.in_force.iter().find(|s| s.name == "lake") {
            Some(lake) => Ok(Some(lake.value.clone())),
            None => self.pick("lake", lake, None),
        }
    }

    /// Labelled lines.
    pub fn labelled(&mut self, args: &LabelledArgs, place: &PlaceArgs) -> Result<Labelled> {
        Ok(Labelled {
            inputs: self.need_list("input", args.input.input.clone())?,
            text: self.need("text", args.input.text.clone(), Some("description".into()))?,
            label: self.need("label", args.label.clone(), None)?,
            where_sql: self.pick("where", args.input.filter.clone(), None)?,
            limits: self.limits(place)?,
        })
    }

    /// The model.
    pub fn model(&mut self, flag: Option<String>) -> Result<ModelRef> {
        self.need("model", flag, Some("hs".to_string()))?.parse()
    }

    /// Share of the machine.
    pub fn limits(&mut self, args: &PlaceArgs) -> Result<Limits> {
        let memory = self.need("memory", args.memory.clone(), Some("1GiB".to_string()))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.need("threads", args.threads, Some(cores))?;
        if threads == 0 || threads > 1024 {
            return Err(Error::Usage(format!("--threads {threads}: give a number from 1 to 1024")));
        }
        Ok(Limits { memory_bytes: bytes(&memory, "memory")?, threads })
    }

    fn origin(&self, name: &str) -> Origin {
        let id = match name {
            "where" => "filter".to_string(),
            name => name.replace('-', "_"),
        };
        match self.matches.try_contains_id(&id).ok().and_then(|_| self.matches.value_source(&id)) {
            Some(ValueSource::EnvVariable) => Origin::Environment,
            _ => Origin::Flag,
        }
    }

    fn note(&mut self, name: &str, value: String, origin: Origin) {
        self.in_force.push(InForce { name: name.to_string(), value, origin });
    }
}

/// Bytes of a size such as `512MiB`, `2G` or `1000000`.
pub fn bytes(size: &str, name: &str) -> Result<usize> {
    let size = size.trim();
    let digits = size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len());
    let unit = match size[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1usize,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => 0,
    };
    let value = size[..digits].parse::<usize>().ok().and_then(|n| n.checked_mul(unit)).filter(|&n| n >= 1 << 16);
    value.ok_or_else(|| Error::Usage(format!("--{name} {size}: give a size such as 512MiB or 2GiB, at least 64KiB")))
}

/// That a flag's number is a share.
pub fn share(flag: &str, value: Option<f64>) -> Result<()> {
    match value {
        Some(value) if !(0.0..=1.0).contains(&value) => {
            Err(Error::Usage(format!("{flag} {value}: give a share from 0 to 1")))
        }
        _ => Ok(()),
    }
}

/// That `--target-precision` can be aimed at.
pub fn target_precision(value: f64) -> Result<()> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(Error::Usage(format!("--target-precision {value}: give a share between 0 and 1")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_binary_units_and_nonsense_is_refused() {
        assert_eq!(bytes("512MiB", "memory").unwrap(), 512 << 20);
        assert_eq!(bytes("2G", "memory").unwrap(), 2 << 30);
        assert_eq!(bytes("1000000", "memory").unwrap(), 1_000_000);
        for bad in ["", "x", "12 parsecs", "1", "99999999999999T"] {
            assert_eq!(bytes(bad, "memory").unwrap_err().exit_code(), 2, "{bad}");
        }
    }
}
