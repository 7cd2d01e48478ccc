//! `harmonize predict`: texts as arguments or lines of standard input.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Float32Type, Schema};
use clap::{ArgMatches, Args};

use super::settings::{PlaceArgs, Settings, TrustArgs};
use super::table::{Format, print};
use crate::error::{Error, Result};
use crate::sql::Classifier;

#[derive(Args)]
pub struct PredictArgs {
    /// Descriptions; without any, the lines of standard input
    texts: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Model version: hs@7, hs@champion, hs@champion#2026-03-01, or hs for the champion, else the newest [default: hs]
    #[arg(long, value_name = "MODEL", env = "HARMONIZE_MODEL")]
    model: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
    /// How rows are printed; json and csv carry every field
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub async fn run(args: PredictArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let registry = settings.trusted_registry(&args.place, &args.trust)?;
    let model = settings.model(args.model)?;
    let mut texts = args.texts;
    if texts.is_empty() {
        let mut all = Vec::new();
        std::io::stdin().read_to_end(&mut all)?;
        let all = String::from_utf8(all).map_err(|_| Error::Input("standard input is not UTF-8".into()))?;
        texts = all.lines().map(str::to_string).collect();
    }
    let loaded = registry.load(&model).await?;
    let classifier = Classifier::new(&loaded, &loaded.bundle.policy)?;
    let text: ArrayRef = Arc::new(StringArray::from(texts));
    let predictions = classifier.predict(&text)?;
    let mut fields = vec![Field::new("text", DataType::Utf8, true)];
    let mut columns = vec![text];
    match args.format {
        Format::Table => {
            for name in ["hs6", "confidence", "confidence_heading", "decision", "reasons"] {
                if let Some(column) = predictions.column_by_name(name) {
                    let shown =
                        if column.data_type() == &DataType::Float32 { round(column) } else { Arc::clone(column) };
                    fields.push(Field::new(name, column.data_type().clone(), true));
                    columns.push(shown);
                }
            }
        }
        Format::Json | Format::Csv => {
            fields.extend(predictions.fields().iter().map(|f| f.as_ref().clone()));
            columns.extend(predictions.columns().iter().cloned());
        }
    }
    print(&[RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?], args.format)?;
    // The process ends here: giving back a model piece by piece would be a tenth of its time.
    std::mem::forget((loaded, classifier));
    Ok(0)
}

/// Three decimals, for reading.
fn round(column: &ArrayRef) -> ArrayRef {
    let values = column.as_primitive::<Float32Type>();
    let rounded: Float32Array = values.iter().map(|v| v.map(|v| (v * 1000.0).round() / 1000.0)).collect();
    Arc::new(rounded)
}
