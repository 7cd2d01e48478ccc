//! Statements that are prepared, bound and executed in messages of their own.

use std::sync::Arc;

use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::FieldInfo;
use datafusion_postgres::pgwire::messages::PgWireBackendMessage as Backend;
use datafusion_postgres::pgwire::messages::data::{NoData, ParameterDescription};
use datafusion_postgres::pgwire::messages::extendedquery::{
    Bind, BindComplete, CloseComplete, ParseComplete, PortalSuspended,
};
use datafusion_postgres::pgwire::messages::response::{CommandComplete, EmptyQueryResponse};
use tokio::time::Instant;

use super::commands::{Command, parse};
use super::fault::{Answer, Fault, state};
use super::meter::Meter;
use super::planned::Planned;
use super::rows::{Open, description, fields};
use super::session::Session;
use super::vectors::tidy;
use super::wire::{End, Target};
use super::wording::{Wording, statements};

/// Statements, and portals, that a connection may have prepared at once.
const MOST_PREPARED: usize = 1_000;
/// Longest statements that it may have prepared together; a tree takes many times the room of its text.
const MOST_PREPARED_BYTES: usize = 1 << 20;
/// Values of parameters that its portals may hold together.
const MOST_BOUND_BYTES: usize = 32 << 20;

/// Arrays that come as text, as the library reads them.
fn tidy_arrays(bind: &mut Bind, types: &[Type]) {
    let codes = &bind.parameter_format_codes;
    for (n, (value, kind)) in bind.parameters.iter_mut().zip(types).enumerate() {
        let is_text = codes.get(if codes.len() == 1 { 0 } else { n }).is_none_or(|code| *code == 0);
        // So PostgreSQL names the arrays of its types: `_text`.
        if let (Some(array), true, true) = (value, is_text, kind.name().starts_with('_')) {
            *array = tidy(array);
        }
    }
}

/// A statement that was prepared.
pub(super) struct Prepared {
    /// `None` for one without a word in it.
    what: Option<(Wording, Command)>,
    /// What the client says of its parameters.
    types: Vec<Option<Type>>,
    /// For a query.
    planned: Option<Arc<Planned>>,
}

/// A statement with values, which may have given a part of its rows.
pub(super) struct Portal {
    prepared: Arc<Prepared>,
    bind: Arc<Bind>,
    format: Format,
    progress: Progress,
    meter: Option<Meter>,
    /// Whether it outlives its transaction.
    pub hold: bool,
}

enum Progress {
    New,
    Open(Box<Open>),
    Done,
    /// Its time was up while the client did not ask for more.
    Expired,
}

impl Portal {
    /// When its time is up, while it is open.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.progress {
            Progress::Open(open) => Some(open.deadline),
            _ => None,
        }
    }

    /// Ends it if its time is up.
    pub fn expire(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.progress = Progress::Expired;
        }
    }

    /// A cursor of a planned query.
    pub fn cursor(wording: &Wording, query: Command, planned: Planned, hold: bool) -> Portal {
        let what = Some((wording.clone(), query));
        let prepared = Prepared { what, types: Vec::new(), planned: Some(Arc::new(planned)) };
        Portal {
            prepared: Arc::new(prepared),
            bind: Arc::new(Bind::new(None, None, Vec::new(), Vec::new(), Vec::new())),
            format: Format::UnifiedText,
            progress: Progress::New,
            meter: None,
            hold,
        }
    }

    /// Rows that it has given, while it is open.
    pub fn rows(&self) -> u64 {
        self.meter.as_ref().map_or(0, |meter| meter.rows)
    }

    fn planned(&self) -> Option<&Arc<Planned>> {
        self.prepared.planned.as_ref()
    }
}

impl Session {
    pub async fn on_parse(&mut self, name: String, query: &str, types: &[u32]) -> Result<(), End> {
        let prepared = match self.prepare(&name, query, types).await {
            Ok(prepared) => prepared,
            Err((meter, end)) => return self.settle(&meter, Err(end)).await,
        };
        self.statements.insert(name, Arc::new(prepared));
        self.wire.feed(Backend::ParseComplete(ParseComplete::new()))?;
        Ok(())
    }

    async fn prepare(&mut self, name: &str, query: &str, types: &[u32]) -> Result<Prepared, (Meter, End)> {
        let nothing = |fault: Fault| (Meter::start(None), End::from(fault));
        if name.is_empty() {
            self.statements.remove("");
        } else if self.statements.contains_key(name) {
            return Err(nothing(Fault::new(state::STATEMENT_EXISTS, "a prepared statement of this name exists")));
        }
        let bytes =
            self.statements.values().map(|prepared| prepared.bytes()).sum::<usize>().saturating_add(query.len());
        if self.statements.len() >= MOST_PREPARED || bytes > MOST_PREPARED_BYTES {
            let fault =
                format!("more than {MOST_PREPARED} statements or {MOST_PREPARED_BYTES} bytes of them are prepared");
            let fault = Fault::new(state::LIMIT_EXCEEDED, fault);
            return Err(nothing(fault.hint("Close those that are not needed any more.")));
        }
        let types: Vec<Option<Type>> = types.iter().map(|oid| Type::from_oid(*oid)).collect();
        let mut found = statements(query, &self.asker.limits).map_err(nothing)?;
        let (wording, more) = (found.pop(), !found.is_empty());
        let Some(wording) = wording else { return Ok(Prepared { what: None, types, planned: None }) };
        let mut meter = Meter::start(Some(&wording));
        if more {
            let fault = Fault::new(state::SYNTAX, "cannot insert multiple commands into a prepared statement");
            return Err((meter, fault.into()));
        }
        let command = match parse(&self.server.parser, &wording) {
            Ok(command) => command,
            Err(fault) => return Err((meter, fault.into())),
        };
        match self.plan(&mut meter, &command, &types).await {
            Ok(planned) => Ok(Prepared { what: Some((wording, command)), types, planned: planned.map(Arc::new) }),
            Err(end) => Err((meter, end)),
        }
    }

    /// Plans a query in its turn; nothing for what is none.
    pub async fn plan(
        &mut self,
        meter: &mut Meter,
        command: &Command,
        types: &[Option<Type>],
    ) -> Result<Option<Planned>, End> {
        self.admit(command.ends_transaction()).await?;
        let (Command::Query(statement) | Command::Declare { query: statement, .. }) = command else { return Ok(None) };
        let look = self.look().await;
        let (asker, statement, types) = (self.asker.clone(), statement.as_ref().clone(), types.to_vec());
        let (limits, server, deadline) = (self.limits(), Arc::clone(&self.server), self.deadline());
        let mut own = server.engine.begin(&limits);
        let user = self.who.user.clone();
        let place = self.step(&mut own, deadline, server.engine.queue.enter(&user, limits.statements)).await?;
        meter.waited = meter.took();
        let work = async move { asker.plan(statement, &types, look).await };
        self.step(&mut own, deadline, server.engine.work(place, work)).await.map(Some)
    }

    pub async fn on_bind(&mut self, mut bind: Bind) -> Result<(), End> {
        let name = bind.portal_name.clone().unwrap_or_default();
        let of = bind.statement_name.clone().unwrap_or_default();
        let prepared = self.statements.get(&of).cloned();
        let prepared = prepared.ok_or_else(|| {
            Fault::new(state::NO_SUCH_STATEMENT, format!("prepared statement \"{of}\" does not exist"))
        })?;
        if name.is_empty() {
            self.portals.remove("");
        } else if self.portals.contains_key(&name) {
            return Err(Fault::new(state::CURSOR_EXISTS, format!("cursor \"{name}\" already exists")).into());
        }
        let bound = self.portals.values().map(|portal| bytes(&portal.bind)).sum::<usize>().saturating_add(bytes(&bind));
        if self.portals.len() >= MOST_PREPARED || bound > MOST_BOUND_BYTES {
            let fault = format!("more than {MOST_PREPARED} portals are open, or they hold {MOST_BOUND_BYTES} bytes");
            return Err(Fault::new(state::LIMIT_EXCEEDED, fault).into());
        }
        let prepared = self.up_to_date(&of, prepared).await?;
        let takes = prepared.planned.as_ref().map_or(0, |planned| planned.parameters.len());
        if bind.parameters.len() != takes {
            let sent = bind.parameters.len();
            let fault =
                format!("bind message supplies {sent} parameters, but prepared statement \"{of}\" requires {takes}");
            return Err(Fault::new(state::PROTOCOL_VIOLATION, fault).into());
        }
        if let Some(planned) = &prepared.planned {
            tidy_arrays(&mut bind, &planned.parameters);
        }
        let format = match &bind.result_column_format_codes[..] {
            [] | [0] => Format::UnifiedText,
            [1] => Format::UnifiedBinary,
            codes => Format::Individual(codes.to_vec()),
        };
        if let Some(planned) = &prepared.planned {
            fields(&planned.schema, &format, self)?;
        }
        let progress = Progress::New;
        let portal = Portal { prepared, bind: Arc::new(bind), format, progress, meter: None, hold: false };
        self.portals.insert(name, portal);
        self.wire.feed(Backend::BindComplete(BindComplete::new()))?;
        Ok(())
    }

    /// A statement whose plan sees the lake as it is now: a plan from before is made anew, and may not give other columns.
    async fn up_to_date(&mut self, name: &str, prepared: Arc<Prepared>) -> Result<Arc<Prepared>, End> {
        let (Some((wording, command)), Some(planned)) = (&prepared.what, &prepared.planned) else {
            return Ok(prepared);
        };
        if self.look().await == planned.look {
            return Ok(prepared);
        }
        let mut meter = Meter::start(Some(wording));
        let newer = match self.plan(&mut meter, command, &prepared.types).await {
            Ok(newer) => newer,
            Err(end) => return Err(self.settle(&meter, Err(end)).await.err().unwrap_or(End::Gone)),
        };
        let same = |newer: &Planned| {
            newer.parameters == planned.parameters
                && newer
                    .schema
                    .fields()
                    .iter()
                    .zip(planned.schema.fields())
                    .all(|(a, b)| a.data_type() == b.data_type())
                && newer.schema.fields().len() == planned.schema.fields().len()
        };
        if newer.as_ref().is_some_and(|newer| !same(newer)) {
            return Err(Fault::new(state::NOT_SUPPORTED, "cached plan must not change result type").into());
        }
        let what = Some((wording.clone(), command.clone()));
        let newer = Arc::new(Prepared { what, types: prepared.types.clone(), planned: newer.map(Arc::new) });
        self.statements.insert(name.to_owned(), Arc::clone(&newer));
        Ok(newer)
    }

    pub fn on_describe(&mut self, target: &Target) -> Result<(), End> {
        let (prepared, format) = match target {
            Target::Statement(name) => {
                let prepared = self.statements.get(name).cloned().ok_or_else(|| {
                    Fault::new(state::NO_SUCH_STATEMENT, format!("prepared statement \"{name}\" does not exist"))
                })?;
                let types = prepared.planned.iter().flat_map(|planned| &planned.parameters).map(Type::oid).collect();
                self.wire.feed(Backend::ParameterDescription(ParameterDescription::new(types)))?;
                (prepared, Format::UnifiedText)
            }
            Target::Portal(name) => {
                let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
                (Arc::clone(&portal.prepared), portal.format.clone())
            }
        };
        let columns = self.columns(&prepared, &format)?;
        let message = columns.map_or(Backend::NoData(NoData::new()), |columns| description(&columns));
        self.wire.feed(message)?;
        Ok(())
    }

    /// The columns that a statement gives, if it gives rows.
    fn columns(&self, prepared: &Prepared, format: &Format) -> Answer<Option<Vec<FieldInfo>>> {
        match (&prepared.what, &prepared.planned) {
            (Some((_, Command::Query(_))), Some(planned)) => fields(&planned.schema, format, self).map(Some),
            (Some((_, command)), _) => self.columns_of(command),
            (None, _) => Ok(None),
        }
    }

    /// The columns of a cursor, if there is one of this name.
    pub fn columns_of_cursor(&self, name: &str) -> Answer<Option<Vec<FieldInfo>>> {
        match self.portals.get(name).and_then(Portal::planned) {
            Some(planned) => fields(&planned.schema, &Format::UnifiedText, self).map(Some),
            None => Ok(None),
        }
    }

    pub async fn on_execute(&mut self, name: &str, most: usize) -> Result<(), End> {
        let Some(portal) = self.portals.remove(name) else { return Err(no_portal(name).into()) };
        let Some((wording, command)) = portal.prepared.what.clone() else {
            self.portals.insert(name.to_owned(), portal);
            self.wire.feed(Backend::EmptyQueryResponse(EmptyQueryResponse::new()))?;
            return Ok(());
        };
        if let Command::Query(_) = command {
            let finished = self.advance(name, portal, most).await?;
            let message = match finished {
                Some(rows) => Backend::CommandComplete(CommandComplete::new(format!("SELECT {rows}"))),
                None => Backend::PortalSuspended(PortalSuspended::new()),
            };
            self.wire.feed(message)?;
            return Ok(());
        }
        self.portals.insert(name.to_owned(), portal);
        let mut meter = Meter::start(Some(&wording));
        let done = match self.admit(command.ends_transaction()).await {
            Ok(()) => self.command(&mut meter, &command, false).await,
            Err(fault) => Err(fault.into()),
        };
        let (tag, ended) = match done {
            Ok(tag) => (tag, Ok(())),
            Err(end) => (String::new(), Err(end)),
        };
        self.settle(&meter, ended).await?;
        self.wire.feed(Backend::CommandComplete(CommandComplete::new(tag)))?;
        Ok(())
    }

    /// Sends rows of a portal and puts it back; the number of rows sent this time, if those were the last.
    pub async fn advance(&mut self, name: &str, mut portal: Portal, most: usize) -> Result<Option<u64>, End> {
        let wording = portal.prepared.what.as_ref().map(|(wording, _)| wording);
        let mut meter = portal.meter.take().unwrap_or_else(|| Meter::start(wording));
        let before = meter.rows;
        let sent = self.advanced(&mut portal, &mut meter, most).await;
        match sent {
            Ok(false) => {
                portal.meter = Some(meter);
                self.portals.insert(name.to_owned(), portal);
                Ok(None)
            }
            Ok(true) => {
                let rows = meter.rows - before;
                let already = matches!(portal.progress, Progress::Done);
                portal.progress = Progress::Done;
                self.portals.insert(name.to_owned(), portal);
                if !already {
                    self.settle(&meter, Ok(())).await?;
                }
                Ok(Some(rows))
            }
            Err(end) => {
                // What failed is not asked again.
                drop(portal);
                self.settle(&meter, Err(end)).await.map(|()| None)
            }
        }
    }

    async fn advanced(&mut self, portal: &mut Portal, meter: &mut Meter, most: usize) -> Result<bool, End> {
        self.admit(false).await?;
        if let Progress::New = portal.progress {
            let Some(planned) = portal.planned().cloned() else { return Ok(true) };
            let described = fields(&planned.schema, &portal.format, self)?;
            let (bind, limits) = (Arc::clone(&portal.bind), self.limits());
            let work = async move { Ok((planned.bind(&bind, &limits)?, planned.models.clone())) };
            let open = self.open(meter, work, &portal.format.clone(), Some(&described)).await?;
            portal.progress = Progress::Open(Box::new(open));
        }
        match &mut portal.progress {
            Progress::Open(open) => self.send(open, meter, most).await,
            Progress::Expired => Err(Fault::canceled("statement timeout").into()),
            Progress::New | Progress::Done => Ok(true),
        }
    }

    pub fn on_close(&mut self, target: &Target) -> Result<(), End> {
        match target {
            Target::Statement(name) => drop(self.statements.remove(name)),
            Target::Portal(name) => drop(self.portals.remove(name)),
        }
        self.wire.feed(Backend::CloseComplete(CloseComplete::new()))?;
        Ok(())
    }
}

impl Prepared {
    fn bytes(&self) -> usize {
        self.what.as_ref().map_or(0, |(wording, _)| wording.sql.len())
    }
}

fn bytes(bind: &Bind) -> usize {
    bind.parameters.iter().flatten().map(|value| value.len()).sum()
}

fn no_portal(name: &str) -> Fault {
    Fault::new(state::NO_SUCH_CURSOR, format!("portal \"{name}\" does not exist"))
}
