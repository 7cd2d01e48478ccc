//! A query that runs for a client: from the queue to its last row.

use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use datafusion_postgres::arrow_pg::datatypes::arrow_schema_to_pg_fields;
use datafusion_postgres::arrow_pg::row_encoder::RowEncoder;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::FieldInfo;
use datafusion_postgres::pgwire::messages::PgWireBackendMessage as Backend;
use datafusion_postgres::pgwire::messages::data::RowDescription;
use tokio::time::Instant;

use super::engine::Rows;
use super::fault::{Answer, Fault, state};
use super::meter::Meter;
use super::running::Own;
use super::session::Session;
use super::wire::End;
use arrow::datatypes::SchemaRef;

/// Rows between two moments at which others get their turn.
const ROWS_IN_A_ROW: usize = 256;

/// See the module.
pub(super) struct Open {
    rows: Rows,
    own: Own,
    pub deadline: Instant,
    fields: Arc<Vec<FieldInfo>>,
    /// What is left of the last batch.
    encoder: Option<RowEncoder>,
}

/// The columns of a schema as a client gets them.
pub(super) fn fields(schema: &SchemaRef, format: &Format, session: &Session) -> Answer<Vec<FieldInfo>> {
    if let Format::Individual(codes) = format
        && codes.len() != schema.fields().len()
    {
        return Err(Fault::new(state::PROTOCOL_VIOLATION, "another number of formats than of columns"));
    }
    arrow_schema_to_pg_fields(schema, format, Some(session.settings.format())).map_err(|_| {
        Fault::new(state::NOT_SUPPORTED, "a column has a type that PostgreSQL has not").hint("Cast it, such as to text.")
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
        Ok(Open { rows, own, deadline, fields: Arc::new(fields), encoder: None })
    }

    /// Sends up to `most` rows, all for zero; whether those were the last. Counts them.
    pub async fn send(&mut self, open: &mut Open, meter: &mut Meter, most: usize) -> Result<bool, End> {
        let (limit, mut sent) = (self.asker.limits.rows, 0);
        loop {
            let Open { rows, own, deadline, fields, encoder } = &mut *open;
            let batch = match encoder {
                Some(encoder) => encoder,
                None => match self.step(own, *deadline, rows.next()).await? {
                    Some(batch) => encoder.insert(RowEncoder::new(batch, Arc::clone(fields))),
                    None => return Ok(true),
                },
            };
            let mut in_a_row = 0;
            loop {
                if most > 0 && sent == most {
                    return Ok(false);
                }
                let Some(row) = batch.next_row() else {
                    *encoder = None;
                    break;
                };
                if meter.rows >= limit {
                    let fault = Fault::new(state::LIMIT_EXCEEDED, format!("the answer has more than {limit} rows"));
                    return Err(fault.hint("Ask for fewer with WHERE or LIMIT, or for totals with GROUP BY.").into());
                }
                self.wire.feed(Backend::DataRow(row.map_err(Fault::from)?))?;
                (meter.rows, sent, in_a_row) = (meter.rows + 1, sent + 1, in_a_row + 1);
                if self.wire.is_full() {
                    self.step_flush(own, *deadline).await?;
                } else if in_a_row % ROWS_IN_A_ROW == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

impl Open {
    pub fn fields(&self) -> &Arc<Vec<FieldInfo>> {
        &self.fields
    }
}
