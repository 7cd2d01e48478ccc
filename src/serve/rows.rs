//! A query that runs for a client: from the queue to its last row.

use std::future::Future;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;
use datafusion_postgres::arrow_pg::datatypes::arrow_schema_to_pg_fields;
use datafusion_postgres::arrow_pg::encoder::{Encoder, encode_value};
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{CopyEncoder, DataRowEncoder, FieldInfo};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage as Backend;
use datafusion_postgres::pgwire::messages::data::RowDescription;
use tokio::time::Instant;

use super::engine::Rows;
use super::fault::{Answer, Fault, state};
use super::meter::Meter;
use super::running::Own;
use super::session::Session;
use super::wire::End;

/// Rows between two moments at which others get their turn.
const ROWS_IN_A_ROW: usize = 256;

/// See the module.
pub(super) struct Open {
    rows: Rows,
    own: Own,
    pub deadline: Instant,
    fields: Arc<Vec<FieldInfo>>,
    /// The last batch, and how many of its rows have been sent.
    batch: Option<(RecordBatch, usize)>,
    pub sink: Sink,
}

/// What rows become.
pub(super) enum Sink {
    Rows(DataRowEncoder),
    Copy(CopyEncoder),
}

impl Sink {
    /// One row of a batch as a message.
    fn message(&mut self, batch: &RecordBatch, row: usize, fields: &[FieldInfo]) -> Answer<Backend> {
        fn encode<E: Encoder>(
            encoder: &mut E,
            batch: &RecordBatch,
            row: usize,
            fields: &[FieldInfo],
        ) -> Answer<E::Item> {
            for ((array, column), field) in batch.columns().iter().zip(batch.schema_ref().fields()).zip(fields) {
                encode_value(encoder, array, row, column, field)?;
            }
            Ok(encoder.take_row())
        }
        match self {
            Sink::Rows(encoder) => encode(encoder, batch, row, fields).map(Backend::DataRow),
            Sink::Copy(encoder) => encode(encoder, batch, row, fields).map(Backend::CopyData),
        }
    }
}

/// The columns of a schema as a client gets them.
pub(super) fn fields(schema: &SchemaRef, format: &Format, session: &Session) -> Answer<Vec<FieldInfo>> {
    if let Format::Individual(codes) = format
        && codes.len() != schema.fields().len()
    {
        return Err(Fault::new(state::PROTOCOL_VIOLATION, "another number of formats than of columns"));
    }
    arrow_schema_to_pg_fields(schema, format, Some(session.settings.format())).map_err(|_| {
        Fault::new(state::NOT_SUPPORTED, "a column has a type that PostgreSQL has not")
            .hint("Cast it, such as to text.")
    })
}

/// The message that describes columns.
pub(super) fn description(fields: &[FieldInfo]) -> Backend {
    Backend::RowDescription(RowDescription::new(fields.iter().map(Into::into).collect()))
}

impl Session {
    /// Runs a plan. `described` are the columns that the client was told, where it was told some.
    pub async fn open(
        &mut self,
        meter: &mut Meter,
        work: impl Future<Output = Answer<(LogicalPlan, Vec<String>)>> + Send + 'static,
        format: &Format,
        described: Option<&[FieldInfo]>,
    ) -> Result<Open, End> {
        let (limits, server) = (self.limits(), Arc::clone(&self.server));
        let deadline = self.deadline();
        let mut own = server.engine.begin(&limits);
        let user = self.who.user.clone();
        let place = self.step(&mut own, deadline, server.engine.queue.enter(&user, limits.statements)).await?;
        meter.waited = meter.took();
        let (told, models) = std::sync::mpsc::channel();
        let state = self.asker.session.context().state();
        let planned = async move {
            let (plan, models) = work.await?;
            let _ = told.send(models);
            Ok((state, plan))
        };
        let pool = own.pool();
        let rows = self.step(&mut own, deadline, server.engine.run(place, pool, limits.spill_bytes, planned)).await;
        if let Ok(models) = models.try_recv() {
            (meter.models, meter.named) = (models, true);
        }
        let rows = rows?;
        let fields = fields(&rows.schema, format, self)?;
        let same = |told: &[FieldInfo]| {
            told.len() == fields.len() && told.iter().zip(&fields).all(|(a, b)| a.datatype() == b.datatype())
        };
        if described.is_some_and(|told| !same(told)) {
            return Err(Fault::new(state::NOT_SUPPORTED, "cached plan must not change result type").into());
        }
        let fields = Arc::new(fields);
        let sink = Sink::Rows(DataRowEncoder::new(Arc::clone(&fields)));
        Ok(Open { rows, own, deadline, fields, batch: None, sink })
    }

    /// Sends up to `most` rows, all for zero; whether those were the last. Counts them.
    pub async fn send(&mut self, open: &mut Open, meter: &mut Meter, most: usize) -> Result<bool, End> {
        let (limit, mut sent) = (self.asker.limits.rows, 0);
        let Open { rows, own, deadline, fields, batch, sink } = open;
        loop {
            let Some((rows_of_batch, next)) = batch else {
                match self.step(own, *deadline, rows.next()).await? {
                    Some(more) => *batch = Some((more, 0)),
                    None => return Ok(true),
                }
                continue;
            };
            while *next < rows_of_batch.num_rows() {
                if most > 0 && sent == most {
                    return Ok(false);
                }
                if meter.rows >= limit {
                    let fault = Fault::new(state::LIMIT_EXCEEDED, format!("the answer has more than {limit} rows"));
                    return Err(fault.hint("Ask for fewer with WHERE or LIMIT, or for totals with GROUP BY.").into());
                }
                self.wire.feed(sink.message(rows_of_batch, *next, fields)?)?;
                (meter.rows, sent, *next) = (meter.rows + 1, sent + 1, *next + 1);
                if self.wire.is_full() {
                    self.step_flush(own, *deadline).await?;
                } else if *next % ROWS_IN_A_ROW == 0 {
                    tokio::task::yield_now().await;
                }
            }
            *batch = None;
        }
    }
}

impl Open {
    pub fn fields(&self) -> &Arc<Vec<FieldInfo>> {
        &self.fields
    }
}
