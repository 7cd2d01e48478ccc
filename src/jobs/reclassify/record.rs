//! The record of a reclassification.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use chrono::{SecondsFormat, Utc};
use datafusion::logical_expr::{cast, lit};
use datafusion::prelude::{SessionContext, ident};

use super::super::changed::last_runs;
use super::super::record::{ChallengerRecord, InputFile, RunRecord};
use super::Run;
use super::report::ReclassifyReport;
use crate::error::Result;
use crate::lake::NewFile;
use crate::policy::Decision;

impl Run<'_> {
    pub(super) async fn record(
        &self,
        context: &SessionContext,
        run_id: String,
        fingerprint: &str,
        report: &ReclassifyReport,
        written: &[NewFile],
        spent: Duration,
    ) -> Result<RunRecord> {
        let identity = &self.rules.chooser.classifier().identity;
        let started = self.options.started_at;
        let last = last_runs(context, &[]).await?.last;
        let inputs = report.files.keys().filter_map(|url| {
            let last = last.get(url)?;
            Some(InputFile {
                url: url.clone(),
                size_bytes: last.size_bytes,
                e_tag: last.e_tag.clone(),
                rows: last.rows,
            })
        });
        let files = report.files.keys().filter_map(|url| last.get(url));
        let before = files.map(|last| last.run_id.as_str()).max().unwrap_or_default();
        let query = query_of(context, before).await?;
        let of = |decision| report.decided(decision);
        Ok(RunRecord {
            run_id,
            fingerprint: fingerprint.into(),
            command: "reclassify".into(),
            started_at: started.to_rfc3339_opts(SecondsFormat::Micros, true),
            finished_at: Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
            run_date: started.format("%Y-%m-%d").to_string(),
            inputs: inputs.collect(),
            quarantined: Vec::new(),
            where_sql: query.get("where_sql").cloned().flatten(),
            text_column: query.get("text_column").cloned().flatten().unwrap_or_default(),
            id_column: query.get("id_column").cloned().flatten(),
            declared_column: query.get("declared_column").cloned().flatten(),
            value_column: query.get("value_column").cloned().flatten(),
            store_text: query.get("store_text").cloned().flatten().unwrap_or_default(),
            model_name: identity.model_name.clone(),
            model_version: identity.model_version,
            model_digest: identity.model_digest.clone(),
            tariff_edition: self.rules.to.to_string(),
            policy_digest: identity.policy_digest.clone(),
            policy_json: serde_json::to_string(&self.policy).unwrap_or_default(),
            policy_origin: self.policy_origin.clone(),
            lines_read: report.lines,
            lines_written: written.iter().map(NewFile::rows).sum(),
            accept_lines: of(Decision::Accept),
            review_lines: of(Decision::Review),
            refuse_lines: of(Decision::Refuse),
            quarantined_rows: 0,
            files_written: written.len() as u64,
            bytes_written: written.iter().map(NewFile::size_bytes).sum(),
            plan_secs: self.plan_secs,
            score_secs: spent.as_secs_f64(),
            threads: self.options.limits.threads as u64,
            program_version: env!("CARGO_PKG_VERSION").into(),
            scope: Some("changed".into()),
            skipped_files: None,
            skipped_rows: None,
            unchanged_lines: None,
            from_edition: Some(self.options.from.to_string()),
            carried_lines: Some(of(Decision::Carried)),
            mapped_lines: Some(of(Decision::Mapped)),
            held_lines: Some(of(Decision::Held)),
            reclassify_json: Some(self.basis.json()?.to_string()),
            challenger: ChallengerRecord::default(),
        })
    }
}

/// How a run read its lines: a job that reads them the same way has nothing to do after this one.
async fn query_of(context: &SessionContext, run_id: &str) -> Result<BTreeMap<&'static str, Option<String>>> {
    const COLUMNS: [&str; 6] =
        ["where_sql", "text_column", "id_column", "store_text", "declared_column", "value_column"];
    let text = |name: &str| cast(ident(name), DataType::Utf8).alias(name);
    let run = context.table("runs").await?.filter(ident("run_id").eq(lit(run_id)))?;
    let found = run.select(COLUMNS.map(text).to_vec())?.collect().await?;
    let Some(batch) = found.iter().find(|batch| batch.num_rows() > 0) else { return Ok(BTreeMap::new()) };
    let value = |at: usize| {
        let column = batch.column(at).as_string::<i32>();
        column.is_valid(0).then(|| column.value(0).to_owned())
    };
    Ok(COLUMNS.into_iter().enumerate().map(|(at, name)| (name, value(at))).collect())
}
