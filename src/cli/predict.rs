//! `harmonize predict`: texts as arguments or lines of standard input.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Float32Type, Schema};
use clap::{ArgMatches, Args};

use super::settings::{PlaceArgs, Settings, TrustArgs};
use super::table::{Format, print};
use crate::error::{Error, Result};
use crate::policy::Reason;
use crate::sql::Classifier;
use crate::text::normalise;

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
    /// How rows are printed; json and csv carry every field, and vague_by: the text of the list, or the learned class, for which
    /// a text was refused as vague
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
    let vague_by = vague_by(&classifier, &text, &predictions)?;
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
            if vague_by.null_count() < vague_by.len() {
                fields.push(Field::new("vague_by", DataType::Utf8, true));
                columns.push(vague_by);
            }
        }
        Format::Json | Format::Csv => {
            fields.extend(predictions.fields().iter().map(|f| f.as_ref().clone()));
            columns.extend(predictions.columns().iter().cloned());
            fields.push(Field::new("vague_by", DataType::Utf8, true));
            columns.push(vague_by);
        }
    }
    print(&[RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?], args.format)?;
    // The process ends here: giving back a model piece by piece would be a tenth of its time.
    std::mem::forget((loaded, classifier));
    Ok(0)
}

/// For each text that was refused as vague, what it was refused by.
fn vague_by(classifier: &Classifier, texts: &ArrayRef, predictions: &StructArray) -> Result<ArrayRef> {
    let reasons =
        predictions.column_by_name("reasons").ok_or_else(|| Error::Bug("hs_predict gives no reasons".into()))?;
    let (reasons, vague) = (reasons.as_list::<i32>(), Some(Reason::Vague.as_str()));
    let mut normalised = String::new();
    let by = texts.as_string::<i32>().iter().enumerate().map(|(row, text)| {
        let refused = reasons.value(row).as_string::<i32>().iter().any(|reason| reason == vague);
        normalise(text.filter(|_| refused)?, &mut normalised);
        classifier.vague_by(&normalised, true).map(|by| by.to_string())
    });
    Ok(Arc::new(by.collect::<StringArray>()))
}

/// Three decimals, for reading.
fn round(column: &ArrayRef) -> ArrayRef {
    let values = column.as_primitive::<Float32Type>();
    let rounded: Float32Array = values.iter().map(|v| v.map(|v| (v * 1000.0).round() / 1000.0)).collect();
    Arc::new(rounded)
}
