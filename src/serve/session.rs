//! One connection that has come in: it waits for messages, answers them one by one, and ends for a reason that its client is
//! told.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use datafusion_postgres::pgwire::messages::PgWireBackendMessage as Backend;
use datafusion_postgres::pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use datafusion_postgres::pgwire::messages::startup::ParameterStatus;
use tokio::time::{Instant, sleep_until, timeout};

use super::Server;
use super::audit::Entry;
use super::backends::Entered;
use super::extended::{Portal, Prepared};
use super::fault::{Answer, Fault, state};
use super::meter::{Meter, outcome};
use super::planned::Asker;
use super::roles::{Role, RoleLimits};
use super::running::Own;
use super::settings::Settings;
use super::wire::{End, Frontend, Wire};

/// How long a client that is told of its end may take to read it.
const FAREWELL: Duration = Duration::from_secs(5);
/// What a message may be longer than a statement: names and the values of parameters.
const BESIDE_STATEMENT_BYTES: usize = 16 << 20;

/// Who has come in.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub user: String,
    pub role: Role,
    pub address: SocketAddr,
    pub number: i32,
}

/// See the module.
pub(super) struct Session {
    pub server: Arc<Server>,
    pub wire: Wire,
    pub who: Who,
    pub asker: Asker,
    pub entered: Entered,
    pub settings: Settings,
    pub status: TransactionStatus,
    pub statements: HashMap<String, Arc<Prepared>>,
    pub portals: HashMap<String, Portal>,
    /// After an error of the extended protocol: what comes before the next Sync is passed over.
    pub skipping: bool,
}

impl Session {
    pub fn limits(&self) -> Arc<RoleLimits> {
        Arc::clone(&self.asker.limits)
    }

    /// Answers messages until the connection ends; why it did, where the client is to be told.
    pub async fn run(mut self) {
        let ended = loop {
            match self.turn().await {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(end) => break Err(end),
            }
        };
        self.log_event("logout", &ended).await;
        if let Err(End::Fault(fault)) = ended {
            let _ = self.wire.feed(Backend::ErrorResponse(fault.info().into()));
        }
        let _ = timeout(FAREWELL, self.wire.close()).await;
    }

    /// Waits for one message and answers it; whether there is another turn. Only what ends the connection is an error.
    async fn turn(&mut self) -> Result<bool, End> {
        let Some(message) = self.message().await? else { return Ok(false) };
        let simple = matches!(message, Frontend::Query(_) | Frontend::Unreadable { extended: false, .. });
        let mut flush = matches!(message, Frontend::Flush);
        let answered = match message {
            Frontend::Terminate => return Ok(false),
            Frontend::Sync => {
                self.skipping = false;
                self.sync();
                return self.ready().await.map(|()| true);
            }
            _ if self.skipping => return Ok(true),
            Frontend::Query(text) => self.simple(&text).await,
            Frontend::Parse { name, query, types } => self.on_parse(name, &query, &types).await,
            Frontend::Bind(bind) => self.on_bind(bind).await,
            Frontend::Describe(target) => self.on_describe(&target),
            Frontend::Execute { portal, rows } => self.on_execute(&portal, rows).await,
            Frontend::Close(target) => self.on_close(&target),
            Frontend::Flush => Ok(()),
            // Of a COPY that was refused; the protocol has them passed over.
            Frontend::Copy => return Ok(true),
            Frontend::Password(_) => Err(Fault::malformed("a password was not asked for").into()),
            Frontend::Unreadable { fault, .. } => Err(fault.into()),
        };
        match answered {
            Ok(()) => {}
            Err(End::Fault(fault)) if !fault.fatal => {
                self.wire.feed(Backend::ErrorResponse(fault.info().into()))?;
                if self.status != TransactionStatus::Idle {
                    self.status = TransactionStatus::Error;
                }
                (self.skipping, flush) = (!simple, true);
            }
            Err(end) => return Err(end),
        }
        if simple {
            self.sync();
            return self.ready().await.map(|()| true);
        }
        // The rest goes with the next Sync.
        if flush || self.wire.is_full() {
            self.flush().await?;
        }
        Ok(true)
    }

    /// The next message, while the server goes on and the client is not idle for too long.
    async fn message(&mut self) -> Result<Option<Frontend>, End> {
        let longest = self.asker.limits.statement_bytes + BESIDE_STATEMENT_BYTES;
        let idle = Instant::now() + self.server.idle;
        let mut stopping = self.server.stopping.clone();
        loop {
            let expires = self.portals.values().filter_map(Portal::deadline).min();
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => return Err(Fault::shutdown().into()),
                message = self.wire.next(longest) => return message,
                () = sleep_until(idle) => {
                    return Err(Fault::fatal("57P05", "terminating connection: it was idle for too long").into());
                }
                () = sleep_until(expires.unwrap_or(idle)), if expires.is_some() => {
                    let now = Instant::now();
                    self.portals.values_mut().for_each(|portal| portal.expire(now));
                }
            }
        }
    }

    /// What ends with a message of the simple protocol, or with Sync.
    fn sync(&mut self) {
        if self.status == TransactionStatus::Idle {
            self.portals.retain(|_, portal| portal.hold);
        }
    }

    async fn ready(&mut self) -> Result<(), End> {
        self.wire.feed(Backend::ReadyForQuery(ReadyForQuery::new(self.status)))?;
        self.flush().await
    }

    /// Sends what is gathered; a client that does not read for long is gone.
    async fn flush(&mut self) -> Result<(), End> {
        let patience = self.asker.limits.time.max(FAREWELL);
        timeout(patience, self.wire.flush()).await.unwrap_or(Err(End::Gone))
    }

    /// Refuses a statement while lines of the audit log cannot be written, when its user is no more, and while a transaction
    /// has failed, unless the statement ends it.
    pub async fn admit(&self, ends_transaction: bool) -> Answer<()> {
        self.server.audit.check().await?;
        if !self.server.access.still(&self.who.user, self.who.role) {
            return Err(Fault::fatal(state::NO_ACCESS, "terminating connection: this user or role is no more"));
        }
        if self.status == TransactionStatus::Error && !ends_transaction {
            return Err(Fault::new(
                state::IN_FAILED_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    /// How long a statement may take: what the role has, or less if the client asks for less.
    pub fn deadline(&self) -> Instant {
        let most = self.asker.limits.time;
        Instant::now() + self.settings.statement_timeout().map_or(most, |asked| asked.min(most))
    }

    /// Does a step of a statement, unless it is stopped, its time is up or its client gone before.
    pub async fn step<T>(
        &mut self,
        own: &mut Own,
        deadline: Instant,
        work: impl Future<Output = Answer<T>>,
    ) -> Result<T, End> {
        let backend = Arc::clone(&self.entered.backend);
        let _current = backend.runs(&own.statement);
        tokio::select! {
            biased;
            why = own.stopped() => Err(why.fault().into()),
            () = sleep_until(deadline) => Err(Fault::canceled("statement timeout").into()),
            answer = work => Ok(answer?),
            () = self.wire.gone() => Err(End::Gone),
        }
    }

    /// Sends rows that are gathered, within the statement's time.
    pub async fn step_flush(&mut self, own: &mut Own, deadline: Instant) -> Result<(), End> {
        let backend = Arc::clone(&self.entered.backend);
        let _current = backend.runs(&own.statement);
        tokio::select! {
            biased;
            why = own.stopped() => Err(why.fault().into()),
            () = sleep_until(deadline) => Err(Fault::canceled("statement timeout").into()),
            sent = self.wire.flush() => sent,
        }
    }

    /// Tells the client of a setting.
    pub fn tell(&mut self, name: &'static str) -> Answer<()> {
        let value = self.settings.get(name).to_owned();
        self.wire.feed(Backend::ParameterStatus(ParameterStatus::new(name.to_owned(), value)))
    }

    /// Writes a statement's line and counts it. What it was is passed on, unless the line cannot be written: then that.
    pub async fn settle(&self, meter: &Meter, ended: Result<(), End>) -> Result<(), End> {
        let (how, sqlstate) = outcome(&ended);
        let took = meter.took();
        self.server.metrics.statement(self.who.role, how, took, meter.rows);
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let (shape, digest) = meter.shape(&ended).unzip();
        let entry = Entry {
            digest,
            shape,
            rows: Some(meter.rows),
            milliseconds: Some(milliseconds(took)),
            waited_milliseconds: Some(milliseconds(meter.waited)),
            models: meter.models.clone(),
            ..self.entry("statement", meter.at, how, sqlstate)
        };
        match (self.server.audit.write(&entry).await, ended) {
            (Err(fault), Ok(())) => Err(fault.into()),
            (_, ended) => ended,
        }
    }

    /// Writes the line of a login or logout.
    pub async fn log_event(&self, event: &'static str, ended: &Result<(), End>) {
        let (how, sqlstate) = outcome(ended);
        let entry = self.entry(event, chrono::Utc::now(), how, sqlstate);
        if self.server.audit.write(&entry).await.is_err() {
            tracing::error!(event, "a line of the audit log is lost");
        }
    }

    fn entry(
        &self,
        event: &'static str,
        at: chrono::DateTime<chrono::Utc>,
        outcome: &'static str,
        sqlstate: Option<&'static str>,
    ) -> Entry<'_> {
        Entry {
            at,
            event,
            user: &self.who.user,
            role: Some(self.who.role.as_str()),
            address: self.who.address.to_string(),
            application: self.settings.get("application_name"),
            session: self.who.number,
            digest: None,
            shape: None,
            rows: None,
            milliseconds: None,
            waited_milliseconds: None,
            outcome,
            sqlstate,
            models: Vec::new(),
        }
    }

    /// Looks at the lake, so that a statement sees what has come since.
    pub async fn look(&self) -> u64 {
        let (look, failed) = self.server.lake.look().await;
        if failed {
            self.server.metrics.refreshes_failed_total.fetch_add(1, Ordering::Relaxed);
        }
        look
    }
}
