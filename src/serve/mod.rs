//! The lake over PostgreSQL's wire protocol, for the tools that people have: psql, drivers, dashboards.
//!
//! What always holds: who connects from elsewhere is known by a password that the server does not hold, over an encrypted
//! connection; nothing is written, whoever asks; a statement stays within the limits of its role and cannot keep others from
//! theirs; what was run is on record before its client knows that it is done; a statement sees one version of each table and
//! of each model. `docs/serve.md` tells it for those who run a server.
//!
//! A connection goes from `listener` through `login` to `session`, whose statements come by `simple` or `extended`, are cut by
//! `wording`, told apart by `commands`, planned in `planned` within `bounds`, and run on the threads of `engine`.

mod audit;
mod backends;
mod bounds;
mod catalog;
mod commands;
mod copy;
mod dialect;
mod engine;
mod extended;
mod fault;
mod http;
mod lake;
mod listener;
mod login;
mod meter;
mod metrics;
mod own;
mod pg_tables;
mod planned;
mod pool;
mod queue;
mod roles;
mod rows;
mod running;
mod scram;
mod session;
mod settings;
mod simple;
mod tls;
mod users;
mod vectors;
mod watched;
mod ways;
mod wire;
mod wording;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use audit::Audit;
use backends::Backends;
use engine::Engine;
use lake::Lake;
use metrics::{Metrics, Now, resident_bytes};
use running::Why;
use tls::Tls;
use watched::Watched;

use crate::error::{Context, Error, Result};
use crate::sql::{CATALOG, LakeOptions};

pub use roles::{Role, RoleLimits, Roles};
pub use users::Users;

/// How long statements that were told to stop may take to say so.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// What the process may hold beside what operators account for, before statements are stopped.
const BESIDE_BYTES: u64 = 512 << 20;

/// Who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Those of a file, with their passwords.
    Users(PathBuf),
    /// Everybody on this machine, under any name, in one role.
    TrustLoopback(Role),
}

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Options {
    pub lake: LakeOptions,
    pub listen: SocketAddr,
    pub access: Access,
    /// Certificate and key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Where the pages for health and metrics are.
    pub http: Option<SocketAddr>,
    pub roles: Roles,
    pub audit: Option<PathBuf>,
    pub connections: usize,
    /// Statements that run at once, and that wait at once.
    pub statements: usize,
    pub waiting: usize,
    /// How long statements that run may go on when the server is being stopped.
    pub grace: Duration,
    /// How long a connection may be idle.
    pub idle: Duration,
}

impl Options {
    /// Refuses what would let in who is not known, or show passwords and rows on a network.
    fn check(&self) -> Result<()> {
        let listen = self.listen;
        if listen.ip().is_loopback() {
            return Ok(());
        }
        let lacks = match (&self.access, &self.tls) {
            (Access::TrustLoopback(_), _) => "--users: make a file with `harmonize serve user add NAME --role reader`",
            (_, None) => "--tls-cert and --tls-key",
            _ => return Ok(()),
        };
        Err(Error::Usage(format!(
            "--listen {listen} can be reached from other machines; there users and encryption are required. Give {lacks}, or \
             listen on 127.0.0.1"
        )))
    }
}

/// What all connections share.
struct Server {
    lake: Lake,
    engine: Engine,
    audit: Audit,
    metrics: Metrics,
    roles: Roles,
    access: Door,
    tls: Option<Watched<Tls>>,
    /// Whether a connection has to be encrypted.
    encrypted_only: bool,
    parser: PostgresCompatibilityParser,
    backends: Arc<Backends>,
    /// One for each connection that is taken.
    places: Arc<Semaphore>,
    most_connections: i64,
    idle: Duration,
    /// Becomes true once.
    stopping: watch::Receiver<bool>,
}

/// Who is let in.
struct Door {
    users: Option<Watched<Users>>,
    trusted: Role,
}

impl Door {
    fn open(access: &Access) -> Result<Door> {
        match access {
            Access::TrustLoopback(role) => Ok(Door { users: None, trusted: *role }),
            Access::Users(path) => {
                let read = path.clone();
                let users = Watched::new(vec![path.clone()], move || Users::read(&read))?;
                if users.current().list().next().is_none() {
                    return Err(Error::Usage(format!(
                        "{} has no users; add one with `harmonize serve user add`",
                        path.display()
                    )));
                }
                Ok(Door { users: Some(users), trusted: Role::Reader })
            }
        }
    }

    fn users(&self) -> Option<Arc<Users>> {
        self.users.as_ref().map(Watched::current)
    }

    fn trusted_role(&self) -> Role {
        self.trusted
    }

    /// Whether who came in may stay.
    fn still(&self, user: &str, role: Role) -> bool {
        self.users().is_none_or(|users| users.get(user).is_some_and(|known| known.role == role))
    }
}

impl Server {
    fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.as_ref().map(Watched::current)
    }

    /// Why statements are not answered now.
    fn not_ready(&self) -> Option<&'static str> {
        match (*self.stopping.borrow(), self.audit.writes()) {
            (true, _) => Some("the server is being stopped"),
            (_, false) => Some("the audit log cannot be written"),
            _ => None,
        }
    }

    async fn page_of_metrics(&self) -> String {
        let (running, waiting) = self.engine.queue.counts();
        let model = self.lake.model().await.map(|model| (model.name, model.version, model.digest));
        self.metrics.page(&Now {
            running,
            waiting,
            memory_bytes: self.engine.total.held(),
            memory_limit_bytes: self.engine.total.most(),
            resident_bytes: resident_bytes(),
            audit_writes: self.audit.writes(),
            model,
        })
    }
}

/// Serves until a signal comes, then lets statements that run go on for the grace time. A second signal ends it at once.
///
/// # Errors
/// `Usage` for what must not be served like that, and those of the lake, the files and the addresses.
pub async fn serve(options: Options, mut signals: mpsc::Receiver<()>) -> Result<()> {
    options.check()?;
    let access = Door::open(&options.access)?;
    let tls = options.tls.as_ref().map(|(certificate, key)| tls::follow(certificate, key)).transpose()?;
    let audit = Audit::open(options.audit.as_deref()).context(|| "--audit-log")?;
    let listener = TcpListener::bind(options.listen).await.context(|| format!("--listen {}", options.listen))?;
    let pages = match options.http {
        Some(address) => Some(http::bind(address).await?),
        None => None,
    };
    let limits = options.lake.limits;
    let (stop, stopping) = watch::channel(false);
    let server = Arc::new(Server {
        lake: Lake::open(options.lake.clone()).await?,
        engine: Engine::new(options.statements, options.waiting, limits.threads, limits.memory_bytes)?,
        audit,
        metrics: Metrics::default(),
        roles: options.roles.clone(),
        access,
        encrypted_only: tls.is_some() && !options.listen.ip().is_loopback(),
        tls,
        parser: PostgresCompatibilityParser::new(),
        backends: Arc::default(),
        places: Arc::new(Semaphore::new(options.connections)),
        most_connections: i64::try_from(options.connections).unwrap_or(i64::MAX / 2),
        idle: options.idle,
        stopping,
    });
    let address = listener.local_addr()?;
    tracing::info!(%address, "serving");
    // Programs that start the server wait for this line.
    eprintln!("listening on {address}, database {}", CATALOG);
    if let Some(pages) = pages {
        eprintln!("health, readiness and metrics on http://{}", pages.local_addr()?);
        tokio::spawn(http::serve(pages, Arc::clone(&server)));
    }
    let watched = Arc::clone(&server);
    let most = resident_bytes() + limits.memory_bytes as u64 * 3 / 2 + BESIDE_BYTES;
    let memory = tokio::spawn(async move { watched.engine.watch_memory(most).await });
    let taking = tokio::spawn(listener::take(listener, Arc::clone(&server)));
    signals.recv().await;
    eprintln!("stopping: no new connections, statements that run have {} s", options.grace.as_secs());
    stop.send_replace(true);
    end(&server, options.connections, options.grace, &mut signals).await;
    server.audit.close().await;
    memory.abort();
    taking.abort();
    Ok(())
}

/// Waits until all connections have ended, for the grace time, and then for as long as it takes to tell them.
async fn end(server: &Server, connections: usize, grace: Duration, signals: &mut mpsc::Receiver<()>) {
    let all = u32::try_from(connections).unwrap_or(u32::MAX);
    let until = Instant::now() + grace;
    tokio::select! {
        _ = server.places.acquire_many(all) => return,
        () = sleep_until(until) => eprintln!("stopping: statements that still run are canceled"),
        _ = signals.recv() => eprintln!("stopping at once"),
    }
    server.engine.running.stop_all(Why::Shutdown);
    tokio::select! {
        _ = server.places.acquire_many(all) => {}
        () = sleep_until(Instant::now() + LAST_WORDS) => {}
        _ = signals.recv() => {}
    }
}
