//! Commands that concern a session alone: settings, transactions that are none, prepared statements, cursors.
//!
//! There are no transactions: each statement sees the tables as they are when it begins. What clients say of them is taken,
//! so that drivers which know no other way can work, and a failed one is left as PostgreSQL has it.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage as Backend;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;

use super::catalog::setting_functions;
use super::commands::Command;
use super::extended::Portal;
use super::fault::{Answer, Fault, state};
use super::meter::Meter;
use super::pg_tables;
use super::rows::description;
use super::session::Session;
use super::wire::End;

impl Session {
    /// Does a command and gives its tag. `describe` says whether rows are described first.
    pub async fn command(&mut self, meter: &mut Meter, command: &Command, describe: bool) -> Result<String, End> {
        meter.named = true;
        match command {
            Command::Set { name, value: Some(value) } => self.set(name, value)?,
            Command::Set { name, value: None } | Command::Reset(Some(name)) => {
                let told = self.settings.reset(name)?;
                told.map_or(Ok(()), |told| self.tell(told))?;
                self.settings_changed()?;
            }
            Command::Reset(None) => self.reset_all()?,
            Command::DiscardAll => {
                if self.status != TransactionStatus::Idle {
                    return Err(Fault::new("25001", "DISCARD ALL cannot run inside a transaction block").into());
                }
                self.statements.clear();
                self.portals.clear();
                self.reset_all()?;
            }
            Command::Show(name) => return self.show(meter, command, name.as_deref(), describe),
            Command::Begin if self.status == TransactionStatus::Idle => self.status = TransactionStatus::Transaction,
            Command::Commit | Command::Rollback => return Ok(self.end_transaction(command)),
            Command::Savepoint | Command::Release | Command::RollbackTo if self.status == TransactionStatus::Idle => {
                return Err(
                    Fault::new("25P01", format!("{} can only be used in transaction blocks", command.tag())).into()
                );
            }
            Command::RollbackTo => self.status = TransactionStatus::Transaction,
            Command::Deallocate(None) => self.statements.clear(),
            Command::Deallocate(Some(name)) => {
                if self.statements.remove(name).is_none() {
                    let fault = format!("prepared statement \"{name}\" does not exist");
                    return Err(Fault::new(state::NO_SUCH_STATEMENT, fault).into());
                }
            }
            Command::Declare { name, hold, query } => self.declare(meter, name, *hold, query).await?,
            Command::Fetch { name, rows } => return self.fetch(meter, name, *rows, describe).await,
            Command::CloseCursor(None) => self.portals.retain(|name, _| name.is_empty()),
            Command::CloseCursor(Some(name)) => {
                self.portals.remove(name).ok_or_else(|| no_cursor(name))?;
            }
            Command::Begin | Command::Savepoint | Command::Release | Command::SetNothing | Command::DiscardNothing => {}
            Command::CopyOut { query, form } => return self.copy_out(meter, query.as_ref().clone(), form).await,
            Command::Query(_) => return Err(Fault::new(state::DEFECT, "a query came as a command").into()),
        }
        Ok(command.tag().to_owned())
    }

    /// Sets a setting. A bound on time above that of the role is kept, and the role's counts.
    fn set(&mut self, name: &str, value: &str) -> Answer<()> {
        let told = self.settings.set(name, value)?;
        told.map_or(Ok(()), |told| self.tell(told))?;
        self.settings_changed()
    }

    fn reset_all(&mut self) -> Answer<()> {
        for told in self.settings.reset_all() {
            self.tell(told)?;
        }
        self.settings_changed()
    }

    /// Lets statements see the settings as they are now.
    pub fn settings_changed(&self) -> Answer<()> {
        let context = self.asker.session.context();
        setting_functions(&self.settings).into_iter().for_each(|function| context.register_udf(function));
        Ok(pg_tables::show(context, &self.settings)?)
    }

    fn end_transaction(&mut self, command: &Command) -> String {
        let failed = self.status == TransactionStatus::Error;
        self.status = TransactionStatus::Idle;
        self.portals.retain(|_, portal| portal.hold);
        match failed {
            true => "ROLLBACK".into(),
            false => command.tag().into(),
        }
    }

    fn show(
        &mut self,
        meter: &mut Meter,
        command: &Command,
        name: Option<&str>,
        describe: bool,
    ) -> Result<String, End> {
        let rows: Vec<Vec<String>> = match name {
            Some(name) => vec![vec![self.settings.show(name)?.1.to_owned()]],
            None => self.settings.all().map(|(name, value)| vec![name.into(), value.into(), String::new()]).collect(),
        };
        let columns = Arc::new(self.columns_of(command)?.unwrap_or_default());
        if describe {
            self.wire.feed(description(&columns))?;
        }
        let mut encoder = DataRowEncoder::new(columns);
        for row in &rows {
            for value in row {
                encoder.encode_field(&Some(value.as_str())).map_err(Fault::from)?;
            }
            self.wire.feed(Backend::DataRow(encoder.take_row()))?;
        }
        meter.rows = rows.len() as u64;
        Ok("SHOW".into())
    }

    /// The columns of a command, if it gives rows.
    pub fn columns_of(&self, command: &Command) -> Answer<Option<Vec<FieldInfo>>> {
        let text = |name: &str| FieldInfo::new(name.to_owned(), None, None, Type::TEXT, FieldFormat::Text);
        Ok(match command {
            Command::Show(None) => Some(vec![text("name"), text("setting"), text("description")]),
            Command::Show(Some(name)) => Some(vec![text(self.settings.show(name)?.0)]),
            Command::Fetch { name, .. } => self.columns_of_cursor(name)?,
            _ => None,
        })
    }

    async fn declare(&mut self, meter: &mut Meter, name: &str, hold: bool, query: &Statement) -> Result<(), End> {
        if self.status == TransactionStatus::Idle && !hold {
            return Err(Fault::new("25P01", "DECLARE CURSOR can only be used in transaction blocks").into());
        }
        if self.portals.contains_key(name) {
            return Err(Fault::new(state::CURSOR_EXISTS, format!("cursor \"{name}\" already exists")).into());
        }
        let query = Command::Query(Box::new(query.clone()));
        let planned = self.plan(meter, &query, &[]).await?;
        let planned = planned.ok_or_else(|| Fault::new(state::DEFECT, "a cursor without a query"))?;
        if !planned.parameters.is_empty() {
            return Err(Fault::new(state::NOT_SUPPORTED, "parameters in a cursor are not offered").into());
        }
        let wording = meter.wording().cloned().ok_or_else(|| Fault::new(state::DEFECT, "a cursor without a text"))?;
        self.portals.insert(name.to_owned(), Portal::cursor(&wording, query, planned, hold));
        Ok(())
    }

    async fn fetch(
        &mut self,
        meter: &mut Meter,
        name: &str,
        rows: Option<usize>,
        describe: bool,
    ) -> Result<String, End> {
        let columns = self.columns_of_cursor(name)?.ok_or_else(|| no_cursor(name))?;
        if describe {
            self.wire.feed(description(&columns))?;
        }
        let portal = self.portals.remove(name).ok_or_else(|| no_cursor(name))?;
        let before = portal.rows();
        let sent = match rows {
            Some(0) => {
                self.portals.insert(name.to_owned(), portal);
                Some(0)
            }
            most => self.advance(name, portal, most.unwrap_or(0)).await?,
        };
        let after = self.portals.get(name).map_or(0, Portal::rows);
        meter.rows = sent.unwrap_or(after.saturating_sub(before));
        Ok(format!("FETCH {}", meter.rows))
    }
}

fn no_cursor(name: &str) -> Fault {
    Fault::new(state::NO_SUCH_CURSOR, format!("cursor \"{name}\" does not exist"))
}
