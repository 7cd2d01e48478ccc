//! Connections as they come: bounded in number, each a task of its own, none of which holds up another.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use datafusion_postgres::pgwire::messages::PgWireBackendMessage as Backend;
use datafusion_postgres::pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use datafusion_postgres::pgwire::messages::startup::{Authentication, BackendKeyData, ParameterStatus, SecretKey};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::Server;
use super::audit::Entry;
use super::backends::Entered;
use super::fault::{Fault, state};
use super::login::{Opened, Start, check, open, refuse};
use super::planned::Asker;
use super::session::{Session, Who};
use super::settings::Settings;
use super::wire::{End, Wire};

/// How long a client may take to come in.
const LOGIN_TIME: Duration = Duration::from_secs(15);

/// Takes connections until the server is being stopped.
pub(super) async fn take(listener: TcpListener, server: Arc<Server>) {
    let mut stopping = server.stopping.clone();
    loop {
        let taken = tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            taken = listener.accept() => taken,
        };
        match taken {
            // Those without a place are told so, but not without end.
            Ok(_) if server.metrics.connections.load(Ordering::Relaxed) > 2 * server.most_connections => {
                server.metrics.connections_refused_total.fetch_add(1, Ordering::Relaxed);
            }
            Ok((tcp, address)) => {
                let server = Arc::clone(&server);
                // Counted before the task begins, so that a stop waits for it.
                let permit = Arc::clone(&server.places).try_acquire_owned().ok();
                tokio::spawn(connection(tcp, address, permit, server));
            }
            Err(e) => {
                // Too many open files, above all: it passes when some connection ends.
                tracing::warn!(error = %e, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(tcp: TcpStream, address: SocketAddr, permit: Option<OwnedSemaphorePermit>, server: Arc<Server>) {
    server.metrics.connections_total.fetch_add(1, Ordering::Relaxed);
    server.metrics.connections.fetch_add(1, Ordering::Relaxed);
    if let Ok(Some(session)) = timeout(LOGIN_TIME, begin(tcp, address, permit.is_some(), &server)).await {
        session.run().await;
    }
    server.metrics.connections.fetch_sub(1, Ordering::Relaxed);
}

/// Everything before the first statement. Without a place, all that the client gets is the reason.
async fn begin(tcp: TcpStream, address: SocketAddr, has_place: bool, server: &Arc<Server>) -> Option<Session> {
    let (mut wire, start) = match open(tcp, server.tls(), server.encrypted_only).await {
        Ok(Opened::Login(wire, start)) => (wire, start),
        Ok(Opened::Cancel { pid, key }) => {
            server.backends.cancel(pid, &key);
            return None;
        }
        Ok(Opened::Nothing) | Err(_) => return None,
    };
    if !has_place {
        server.metrics.connections_refused_total.fetch_add(1, Ordering::Relaxed);
        let fault = Fault::fatal(state::TOO_MANY, "sorry, too many clients already");
        refuse(wire, &fault).await;
        return None;
    }
    match come_in(&mut wire, &start, address, server).await {
        Ok(welcome) => welcome.session(wire, server).await.ok(),
        Err(End::Fault(fault)) => {
            let fault = Fault { fatal: true, ..fault };
            server.metrics.logins_failed_total.fetch_add(1, Ordering::Relaxed);
            refused_login(server, &start, address, &fault).await;
            refuse(wire, &fault).await;
            None
        }
        Err(End::Gone) => None,
    }
}

async fn refused_login(server: &Server, start: &Start, address: SocketAddr, fault: &Fault) {
    let application = start.settings.get("application_name").map_or("", String::as_str);
    let entry = Entry {
        at: chrono::Utc::now(),
        event: "login",
        user: &start.user,
        role: None,
        address: address.to_string(),
        application,
        session: 0,
        digest: None,
        shape: None,
        rows: None,
        milliseconds: None,
        waited_milliseconds: None,
        outcome: "refused",
        sqlstate: Some(fault.state),
        models: Vec::new(),
    };
    if server.audit.write(&entry).await.is_err() {
        tracing::error!("a line of the audit log is lost");
    }
}

/// A client that has come in, before it is told so.
struct Welcome {
    who: Who,
    asker: Asker,
    entered: Entered,
    settings: Settings,
}

async fn come_in(wire: &mut Wire, start: &Start, address: SocketAddr, server: &Arc<Server>) -> Result<Welcome, End> {
    let role = match server.access.users() {
        Some(users) => check(wire, start, &users).await?,
        None => server.access.trusted_role(),
    };
    server.audit.check().await?;
    let limits = Arc::new(server.roles.limits(role).clone());
    let settings = Settings::begin(&start.settings)?;
    let entered = server.backends.enter(&start.user, limits.connections, start.long_key)?;
    let number = entered.backend.number;
    let session = server.lake.connect(&start.user, number)?;
    let who = Who { user: start.user.clone(), role, address, number };
    Ok(Welcome { who, asker: Asker::new(session, role, limits), entered, settings })
}

impl Welcome {
    /// Tells the client that it is in, and of its settings.
    async fn session(self, mut wire: Wire, server: &Arc<Server>) -> Result<Session, End> {
        let Welcome { who, asker, entered, settings } = self;
        wire.feed(Backend::Authentication(Authentication::Ok))?;
        for (name, value) in settings.told_at_start() {
            wire.feed(Backend::ParameterStatus(ParameterStatus::new(name.into(), value.into())))?;
        }
        wire.feed(Backend::ParameterStatus(ParameterStatus::new("session_authorization".into(), who.user.clone())))?;
        let key = match entered.backend.key[..] {
            [a, b, c, d] => SecretKey::I32(i32::from_be_bytes([a, b, c, d])),
            _ => SecretKey::Bytes(entered.backend.key.clone().into()),
        };
        wire.feed(Backend::BackendKeyData(BackendKeyData::new(who.number, key)))?;
        wire.feed(Backend::ReadyForQuery(ReadyForQuery::new(TransactionStatus::Idle)))?;
        wire.flush().await?;
        let session = Session {
            server: Arc::clone(server),
            wire,
            who,
            asker,
            entered,
            settings,
            status: TransactionStatus::Idle,
            statements: Default::default(),
            portals: Default::default(),
            skipping: false,
        };
        session.settings_changed()?;
        session.log_event("login", &Ok(())).await;
        Ok(session)
    }
}
