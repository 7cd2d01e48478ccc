//! One statement after the other: read, guarded, planned, guarded again, bound, run, written.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use datafusion::common::Result as DfResult;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{SendableRecordBatchStream, execute_stream};
use datafusion::prelude::DataFrame;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::parser::ParserError;
use futures::StreamExt;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinError;

use super::form::Form;
use super::params::Params;
use super::progress::Progress;
use super::script::Text;
use super::sink::Destination;
use crate::error::{Context, Error, Result};
use crate::sql::{Guard, LakeSession, external, named};

/// Runs statements in one session.
pub(super) struct Runner {
    pub(super) session: LakeSession,
    pub(super) guard: Guard,
    pub(super) params: Params,
    pub(super) view: View,
}

/// How answers are shown.
pub(super) struct View {
    pub(super) form: Form,
    pub(super) destination: Destination,
    /// One field a line.
    pub(super) expanded: bool,
    /// Say how long each statement took.
    pub(super) timing: bool,
    /// Say what became of a statement without rows, and how many rows there were.
    pub(super) talkative: bool,
}

/// How a statement went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Went {
    Well,
    /// Nobody reads what is written any more.
    Unread,
}

/// How often a long statement tells how far it is.
const TICK: Duration = Duration::from_millis(250);

impl Runner {
    /// Runs the text of one statement.
    pub(super) async fn statement(&mut self, sql: &str) -> Result<Went> {
        let statement = parse(sql)?;
        self.guard.check_statement(&statement)?;
        let plan = self.plan(statement).await?;
        self.guard.check_plan(&plan)?;
        let plan = self.params.bind(plan)?;
        self.timed(plan).await
    }

    async fn plan(&self, statement: Statement) -> Result<LogicalPlan> {
        let _files = match self.guard.is_safe() {
            true => None,
            false => Some(external::named_files(self.session.context(), &statement).await?),
        };
        let session = self.session.clone();
        aside(async move { session.plan_statement(statement).await }).await
    }

    /// Runs a query of `queries/` by its name.
    pub(super) async fn named(&mut self, name: &str, given: &[(String, String)]) -> Result<Went> {
        let query = named::find(name)?;
        let values = query.values(given)?;
        let plan = self.session.plan(query.sql()).await.context(|| name)?;
        self.guard.check_plan(&plan)?;
        let plan = plan.with_param_values(values).context(|| name)?;
        self.timed(plan).await
    }

    async fn timed(&mut self, plan: LogicalPlan) -> Result<Went> {
        let begun = Instant::now();
        let went = self.run(plan).await;
        match went {
            Ok(_) => self.view.destination.keep()?,
            Err(_) => self.view.destination.take_back(),
        }
        if self.view.timing {
            eprintln!("time: {:.3} s", begun.elapsed().as_secs_f64());
        }
        went
    }

    async fn run(&mut self, plan: LogicalPlan) -> Result<Went> {
        if external::prepare(self.session.context(), &plan).await? {
            return self.done();
        }
        let session = self.session.clone();
        let answer = aside(async move { session.execute(plan).await }).await?;
        match answer.schema().fields().is_empty() {
            true => {
                aside(async move { Ok(answer.collect().await?) }).await?;
                self.done()
            }
            false => self.rows(answer).await,
        }
    }

    fn done(&self) -> Result<Went> {
        if self.view.talkative {
            eprintln!("done");
        }
        Ok(Went::Well)
    }

    async fn rows(&mut self, answer: DataFrame) -> Result<Went> {
        self.view.check()?;
        let (plan, stream) = aside(async move {
            let task = Arc::new(answer.task_ctx());
            let plan = answer.create_physical_plan().await?;
            let stream = execute_stream(Arc::clone(&plan), task)?;
            Ok((plan, stream))
        })
        .await?;
        let schema = plan.schema();
        let sink = self.view.destination.sink()?;
        let fate = sink.fate();
        let mut writer = self.view.form.rows(&schema, sink, self.view.expanded).map_err(|e| fate.explain(e))?;
        let progress = Progress::of(plan);
        let shares_the_terminal = self.view.destination.path().is_none() && std::io::stdout().is_terminal();
        let (mut batches, reading) = read_aside(stream);
        let mut ticks = tokio::time::interval(TICK);
        let mut rows = 0;
        loop {
            let batch = tokio::select! {
                batch = batches.recv() => batch,
                _ = ticks.tick() => {
                    progress.tell(rows);
                    continue;
                }
            };
            let Some(batch) = batch else { break };
            let batch = batch?;
            rows += batch.num_rows() as u64;
            if shares_the_terminal && !writer.waits_for(batch.num_rows()) {
                progress.clear();
            }
            writer.write(&batch).map_err(|e| fate.explain(e))?;
            if fate.is_gone() {
                return Ok(Went::Unread);
            }
        }
        progress.clear();
        // A stream that ended in a panic looks like one that ended.
        reading.join().await.map_err(panicked)?;
        writer.finish(&schema).map_err(|e| fate.explain(e))?;
        self.view.tell(rows);
        Ok(if fate.is_gone() { Went::Unread } else { Went::Well })
    }
}

/// Does work on another thread, so that this one hears the keyboard; dropped, it gives the work up.
async fn aside<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    SpawnedTask::spawn(work).join().await.map_err(panicked)?
}

/// Batches of a stream that is read on another thread, two ahead.
fn read_aside(mut stream: SendableRecordBatchStream) -> (Receiver<DfResult<RecordBatch>>, SpawnedTask<()>) {
    let (sender, batches) = tokio::sync::mpsc::channel(2);
    let reading = SpawnedTask::spawn(async move {
        while let Some(batch) = stream.next().await {
            if sender.send(batch).await.is_err() {
                break;
            }
        }
    });
    (batches, reading)
}

fn panicked(e: JoinError) -> Error {
    Error::Bug(format!("a statement ended in a panic: {e}"))
}

impl View {
    /// Refuses what the form cannot do where it would go.
    fn check(&self) -> Result<()> {
        if self.form != Form::Parquet {
            return Ok(());
        }
        if self.destination.path().is_none() && std::io::stdout().is_terminal() {
            return Err(Error::Usage(
                "Parquet is not for a terminal: name a file with --out, or \\o in the shell".into(),
            ));
        }
        match self.destination.has_rows() {
            true => Err(Error::Usage("a Parquet file holds one answer: name another file for the next".into())),
            false => Ok(()),
        }
    }

    fn tell(&self, rows: u64) {
        if !self.talkative {
            return;
        }
        let word = if rows == 1 { "row" } else { "rows" };
        match self.destination.path() {
            Some(path) => eprintln!("{rows} {word} to {}", path.display()),
            None => eprintln!("({rows} {word})"),
        }
    }
}

/// The one statement that a text holds.
pub(super) fn parse(sql: &str) -> Result<Statement> {
    let mut statements = DFParser::parse_sql(sql).map_err(|e| Error::Usage(mistake(e)))?;
    match (statements.pop_front(), statements.len()) {
        (Some(statement), 0) => Ok(statement),
        (None, _) => Err(Error::Usage("there is no statement".into())),
        _ => Err(Error::Usage("a single SQL statement is needed here; give several with -c or -f".into())),
    }
}

/// The parser's words alone.
fn mistake(e: DataFusionError) -> String {
    match e {
        DataFusionError::SQL(e, _) => match *e {
            ParserError::ParserError(said) | ParserError::TokenizerError(said) => said,
            ParserError::RecursionLimitExceeded => "the statement is nested too deeply".into(),
        },
        DataFusionError::Diagnostic(_, inner) => mistake(*inner),
        e => Error::from(e).to_string(),
    }
}

/// What the parser says of a statement, with the position in the script in place of that in the statement.
pub(super) fn mistake_in_script(statement: &Text) -> Option<Error> {
    let lines = "\n".repeat(statement.line.saturating_sub(1));
    let spaces = " ".repeat(statement.column.saturating_sub(1));
    parse(&format!("{lines}{spaces}{}", statement.text)).err()
}
