//! `harmonize sql`: one query over a lake.

use std::sync::Arc;

use arrow::array::RecordBatch;
use clap::{ArgMatches, Args};
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::{Expr, ident};

use super::settings::{PlaceArgs, Settings, TrustArgs};
use super::table::{Format, print};
use crate::error::Result;
use crate::lake::{InputTable, Source, SourceOptions};
use crate::sql::{LakeOptions, LakeSession, text_of};

#[derive(Args)]
#[command(after_help = "Tables: predictions, decisions, runs, label_requests, nomenclature, correlations; views: \
                        current_predictions, coded_lines, effective_codes, challenger_differences, review_queue, run_history, \
                        same_text_other_code, declared_otherwise, current_nomenclature, current_correlations. Example:\n\n  \
                        harmonize sql --lake lake \"SELECT decision, count(*) FROM predictions GROUP BY 1\"")]
pub struct SqlArgs {
    /// The query; it may read, not write
    query: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// Model of calls such as hs_predict(text) that name none: hs@7, hs@champion; without it each call names its own
    #[arg(long, value_name = "MODEL", env = "HARMONIZE_MODEL")]
    model: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Parquet files or folders to query as the table lines
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    input: Option<Vec<String>>,
    /// Description column of --input
    #[arg(long, value_name = "COLUMN", default_value = "description")]
    text: String,
    /// How rows are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub async fn run(args: SqlArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let lake = settings.lake(&args.place)?;
    let options = LakeOptions {
        lake: lake.clone(),
        registry: Some(settings.trusted_registry(&args.place, &args.trust)?),
        model: args.model.as_deref().map(str::parse).transpose()?,
        limits: settings.limits(&args.place)?,
    };
    let session = LakeSession::open(options).await?;
    if session.tables() == 0 && args.input.is_none() {
        eprintln!("{} holds no tables yet: those of the views are empty", lake.url());
    }
    let context = session.context();
    if let Some(inputs) = &args.input {
        let options = SourceOptions { text: args.text.clone(), quarantine: false };
        let source = Source::pin(inputs, options).await?;
        let text = source.text().to_string();
        let raw = context.read_table(Arc::new(InputTable::new(source)))?;
        // The description was read as bytes; a person wants text.
        let columns: Vec<Expr> = raw
            .schema()
            .fields()
            .iter()
            .map(|f| {
                if *f.name() == text { text_of().call(vec![ident(f.name())]).alias(f.name()) } else { ident(f.name()) }
            })
            .collect();
        context.register_table("lines", raw.select(columns)?.into_view())?;
    }
    let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let plan = session.plan(&args.query).await?;
    read_only.verify_plan(&plan)?;
    let answer = session.execute(plan).await?;
    let schema = Arc::clone(answer.schema().inner());
    let mut batches = answer.collect().await?;
    if batches.is_empty() {
        // The header at least.
        batches.push(RecordBatch::new_empty(schema));
    }
    print(&batches, args.format)?;
    // The process ends here: giving back a model piece by piece would be a good part of its time.
    std::mem::forget(session);
    Ok(0)
}
