//! Statements that come as text alone: one or several in a message, answered in their order.

use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::messages::PgWireBackendMessage as Backend;
use datafusion_postgres::pgwire::messages::response::{CommandComplete, EmptyQueryResponse};

use super::commands::{Command, parse};
use super::meter::Meter;
use super::rows::description;
use super::session::Session;
use super::wire::End;
use super::wording::{Wording, statements};

impl Session {
    /// Answers a message. The first statement that fails ends it; none is run unless all of them can be read.
    pub async fn simple(&mut self, text: &str) -> Result<(), End> {
        // The unnamed statement and portal do not survive it.
        self.statements.remove("");
        self.portals.remove("");
        let found = match statements(text, &self.asker.limits) {
            Ok(found) => found,
            Err(fault) => return self.settle(&Meter::start(None), Err(fault.into())).await,
        };
        if found.is_empty() {
            self.wire.feed(Backend::EmptyQueryResponse(EmptyQueryResponse::new()))?;
            return Ok(());
        }
        let mut parsed = Vec::with_capacity(found.len());
        for wording in found {
            match parse(&self.server.parser, &wording) {
                Ok(command) => parsed.push((wording, command)),
                Err(fault) => return self.settle(&Meter::start(Some(&wording)), Err(fault.into())).await,
            }
        }
        for (wording, command) in parsed {
            self.one(&wording, command).await?;
        }
        Ok(())
    }

    async fn one(&mut self, wording: &Wording, command: Command) -> Result<(), End> {
        let mut meter = Meter::start(Some(wording));
        let done = self.answer(&mut meter, command).await;
        let (tag, ended) = match done {
            Ok(tag) => (tag, Ok(())),
            Err(end) => (String::new(), Err(end)),
        };
        self.settle(&meter, ended).await?;
        self.wire.feed(Backend::CommandComplete(CommandComplete::new(tag)))?;
        Ok(())
    }

    async fn answer(&mut self, meter: &mut Meter, command: Command) -> Result<String, End> {
        self.admit(command.ends_transaction()).await?;
        match command {
            Command::Query(statement) => {
                self.query(meter, *statement).await?;
                Ok(format!("SELECT {}", meter.rows))
            }
            command => self.command(meter, &command, true).await,
        }
    }

    async fn query(&mut self, meter: &mut Meter, statement: Statement) -> Result<(), End> {
        let look = self.look().await;
        let asker = self.asker.clone();
        let work = async move {
            let planned = asker.plan(statement, &[], look).await?;
            planned.without_parameters()
        };
        let mut open = self.open(meter, work, &Format::UnifiedText, None).await?;
        self.wire.feed(description(open.fields()))?;
        self.send(&mut open, meter, 0).await.map(|_| ())
    }
}
