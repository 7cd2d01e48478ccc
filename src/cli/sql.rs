//! `harmonize sql`: one query over a lake.

use std::sync::Arc;

use arrow::array::RecordBatch;
use clap::{ArgMatches, Args};
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::{Expr, ident};

use super::settings::{PlaceArgs, Settings, TrustArgs};
use super::table::{Format, print};
use crate::error::{Error, Result};
use crate::lake::{InputTable, Source, SourceOptions};
use crate::sql::{Classifier, Explainer, hs_explain, hs_predict, register_lake, session, text_of};

#[derive(Args)]
#[command(after_help = "Tables: predictions, decisions, runs, label_requests, nomenclature, correlations; views: \
                        current_predictions, coded_lines, effective_codes, challenger_differences, review_queue, run_history, \
                        same_text_other_code, declared_otherwise, current_nomenclature, current_correlations, shortened_files, counted_when, \
                        unfinished_imports. Example:\n\n  \
                        harmonize sql --lake lake \"SELECT decision, count(*) FROM predictions GROUP BY 1\"")]
pub struct SqlArgs {
    /// The query; it may read, not write
    query: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// Model for hs_predict(text), such as hs@7 or hs@champion; without it there is no hs_predict
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
    let context = session(settings.limits(&args.place)?)?;
    let tables = register_lake(&context, &lake).await?;
    if tables == 0 && args.input.is_none() {
        eprintln!("{} holds no tables yet: those of the views are empty", lake.url());
    }
    context.register_udf(text_of());
    if let Some(model) = &args.model {
        let loaded = Arc::new(settings.trusted_registry(&args.place, &args.trust)?.load(&model.parse()?).await?);
        let classifier = Arc::new(Classifier::new(&loaded, &loaded.bundle.policy)?);
        context.register_udf(hs_predict(Arc::clone(&classifier)));
        context.register_udf(hs_explain(Arc::new(Explainer::new(loaded, classifier))));
    }
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
    let answer = context.sql_with_options(&args.query, read_only).await.map_err(|e| {
        let e = Error::from(e);
        match (&e, &args.model) {
            (Error::Usage(m), None) if m.contains("'hs_predict'") => {
                Error::Usage("hs_predict needs a model: give --model, such as --model hs@1".into())
            }
            _ => e,
        }
    })?;
    let schema = Arc::clone(answer.schema().inner());
    let mut batches = answer.collect().await?;
    if batches.is_empty() {
        // The header at least.
        batches.push(RecordBatch::new_empty(schema));
    }
    print(&batches, args.format)?;
    Ok(0)
}
