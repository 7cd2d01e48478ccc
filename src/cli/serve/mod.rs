//! `harmonize serve`: the lake over PostgreSQL's wire protocol.

mod user;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, Subcommand};
use tokio::sync::mpsc;

use super::memory::give_back_large_blocks;
use super::settings::{PlaceArgs, Settings, TrustArgs, bytes};
use crate::error::{Context, Error, Result};
use crate::registry::ModelRef;
use crate::serve::{Access, Options, Role, Roles, serve};
use crate::sql::LakeOptions;

#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "The database is called lake. Roles: reader (queries), analyst (and predictions), operator (and the largest limits); \
                  nobody writes. docs/serve.md tells of users, encryption, limits, the audit log, metrics and clients. Examples:\n\n  \
                  harmonize serve user add ana --role analyst --users users.toml\n  \
                  harmonize serve --lake lake --model hs@champion --users users.toml\n  \
                  psql -h 127.0.0.1 -U ana lake -c \"SELECT hs_code('cotton shirts')\"\n  \
                  harmonize serve --lake s3://trade/lake --model hs@champion --users users.toml --listen 0.0.0.0:5432 \
                  --tls-cert server.crt --tls-key server.key --audit-log audit.jsonl --http 127.0.0.1:9187"
)]
pub struct ServeArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Model that answers where a call names none, such as hs@champion; a new champion is taken up between statements
    #[arg(long, value_name = "MODEL", env = "HARMONIZE_MODEL")]
    model: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Address to listen on; beyond this machine users and encryption are required
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5432", env = "HARMONIZE_LISTEN")]
    listen: SocketAddr,
    /// File of users, see `harmonize serve user`; changes count from the next login and statement on
    #[arg(long, value_name = "FILE", env = "HARMONIZE_USERS")]
    users: Option<PathBuf>,
    /// Let in everybody on this machine, without a password, in this role; on loopback only
    #[arg(long, value_name = "ROLE", num_args = 0..=1, default_missing_value = "analyst", conflicts_with = "users")]
    trust_loopback: Option<Role>,
    /// Certificate of the server, and of those that signed it, as PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "HARMONIZE_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// Its private key as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "HARMONIZE_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Address of the pages /health, /ready and /metrics; they ask for no password and show no query
    #[arg(long, value_name = "ADDRESS", env = "HARMONIZE_HTTP")]
    http: Option<SocketAddr>,
    /// File with limits of roles, in TOML: [reader], [analyst], [operator]
    #[arg(long, value_name = "FILE", env = "HARMONIZE_ROLES")]
    roles: Option<PathBuf>,
    /// File to which a line of JSON is appended for each login and statement; while it cannot be written nothing is answered
    #[arg(long, value_name = "FILE", env = "HARMONIZE_AUDIT_LOG")]
    audit_log: Option<PathBuf>,
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    max_connections: u16,
    /// Statements that run at once [default: twice the threads, at least 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    max_statements: Option<u16>,
    /// Statements that wait for their turn at once; more are refused
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..))]
    max_waiting: u16,
    /// How long statements that run may go on after SIGTERM or SIGINT, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u64,
    /// How long a connection may be idle, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 8 * 3600, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    idle: u64,
}

#[derive(Subcommand)]
enum What {
    /// Users of a server: add, list, remove
    User(user::UserArgs),
}

pub async fn run(args: ServeArgs, matches: &ArgMatches) -> Result<u8> {
    if let Some(What::User(args)) = args.what {
        return user::run(args);
    }
    give_back_large_blocks();
    let options = options(args, matches)?;
    let (sender, signals) = mpsc::channel(4);
    tokio::spawn(async move {
        loop {
            super::interrupt::ended().await;
            if sender.send(()).await.is_err() {
                return;
            }
        }
    });
    serve(options, signals).await.map(|()| 0)
}

fn options(args: ServeArgs, matches: &ArgMatches) -> Result<Options> {
    let access = match (args.users, args.trust_loopback) {
        (Some(users), _) => Access::Users(users),
        (None, Some(role)) => Access::TrustLoopback(role),
        (None, None) => {
            return Err(Error::Usage(
                "who may connect? Give --users FILE, made with `harmonize serve user add NAME --role reader --users FILE`, or \
                 --trust-loopback to let in everybody on this machine"
                    .into(),
            ));
        }
    };
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let lake = settings.lake(&args.place)?;
    let registry = settings.trusted_registry(&args.place, &args.trust)?;
    let model: Option<String> = settings.pick("model", args.model, None)?;
    let limits = settings.limits(&args.place)?;
    let roles = match &args.roles {
        None => Roles::new(limits.memory_bytes),
        Some(path) => {
            let text = std::fs::read_to_string(path).context(|| format!("--roles {}", path.display()))?;
            Roles::parse(&text, limits.memory_bytes, bytes).context(|| path.display())?
        }
    };
    let model: Option<ModelRef> = model.map(|model| model.parse()).transpose()?;
    Ok(Options {
        lake: LakeOptions { lake, registry: Some(registry), model, limits },
        listen: args.listen,
        access,
        tls: args.tls_cert.zip(args.tls_key),
        http: args.http,
        roles,
        audit: args.audit_log,
        connections: args.max_connections.into(),
        statements: args.max_statements.map_or_else(|| (2 * limits.threads).max(4), usize::from),
        waiting: args.max_waiting.into(),
        grace: Duration::from_secs(args.grace),
        idle: Duration::from_secs(args.idle),
    })
}
