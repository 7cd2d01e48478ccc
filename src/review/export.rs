//! The queue as a file for people.

use std::io::Write;
use std::path::PathBuf;

use futures::StreamExt;

use super::columns::{CANDIDATES, layout};
use super::evidence::Evidence;
use super::queue::{Asked, Waiting, rows, stream};
use super::reasons::{ReasonCodes, in_words};
use super::sheet::{Form, Output, Sheet, Target};
use super::tasks::{Tasks, labelling_config};
use super::wording::Wording;
use crate::error::Result;
use crate::lake::Place;
use crate::registry::{ModelRef, Registry};
use crate::sql::{Limits, register_lake, session};
use crate::tariff::Tariff;

/// Form of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueForm {
    /// Rows.
    Sheet(Form),
    /// JSON of Label Studio, with its labelling configuration beside it.
    LabelStudio,
}

/// Which model's words are shown.
#[derive(Clone, Debug)]
pub enum Words {
    /// None.
    No,
    /// Those of the versions that made the rows, or of one for all.
    Of(Box<Registry>, Option<ModelRef>),
}

/// What is written, and where.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// The lake whose queue it is.
    pub lake: Place,
    /// Which part of it.
    pub asked: Asked,
    /// Its form.
    pub form: QueueForm,
    /// Where it goes.
    pub target: Target,
    /// Language of the tariff's wording.
    pub language: Option<String>,
    /// Evidence.
    pub words: Words,
    /// Reason codes that people may give.
    pub reasons: ReasonCodes,
    /// Share of the machine.
    pub limits: Limits,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Rows.
    pub rows: u64,
    /// Lines that they stand for.
    pub lines: u64,
    /// Rows with evidence.
    pub explained: u64,
    /// Model versions that explain nothing, each with the reason.
    pub unexplained: Vec<String>,
    /// Editions of which the lake has no wording.
    pub unworded: Vec<String>,
    /// Rows whose text is not stored in the lake.
    pub without_text: u64,
    /// The labelling configuration, where one was written.
    pub config: Option<PathBuf>,
}

enum Out {
    Sheet(Box<Sheet>),
    Tasks(Box<Tasks>),
}

/// Writes the queue.
///
/// # Errors
/// `Usage` for a condition that is none and for a file that is there, `Input` for tables of another shape, `Registry` for a
/// model that is named and cannot be loaded; those of store and disk. No file has appeared then.
pub async fn export(options: &ExportOptions) -> Result<Exported> {
    let layout = layout(&options.reasons, options.asked.group);
    let mut out = match options.form {
        QueueForm::Sheet(form) => Out::Sheet(Box::new(Sheet::create(&options.target, form, layout)?)),
        QueueForm::LabelStudio => Out::Tasks(Box::new(Tasks::create(&options.target, layout)?)),
    };
    let config = config_beside(options)?;
    let context = session(options.limits)?;
    register_lake(&context, &options.lake).await?;
    let mut wording = Wording::new(Tariff::load(&context).await?, options.language.clone());
    let mut evidence = match &options.words {
        Words::No => None,
        Words::Of(registry, model) => Some(Evidence::new(registry.as_ref().clone(), model.as_ref()).await?),
    };
    let mut told = Exported::default();
    let mut batches = stream(&context, &options.asked).await?;
    while let Some(batch) = batches.next().await {
        let waiting = rows(&batch?, options.asked.group)?;
        let words = match &mut evidence {
            Some(evidence) => evidence.of(&waiting).await?,
            None => vec![None; waiting.len()],
        };
        for (row, words) in waiting.iter().zip(words) {
            told.lines += u64::try_from(row.lines).unwrap_or(0);
            told.explained += u64::from(words.is_some());
            told.without_text += u64::from(row.description.is_none() && row.text_digest.is_some());
            let cells = cells(row, words, &mut wording);
            let cells: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
            match &mut out {
                Out::Sheet(sheet) => sheet.row(&cells)?,
                Out::Tasks(tasks) => tasks.row(&cells)?,
            }
        }
    }
    told.rows = match out {
        Out::Sheet(sheet) => sheet.finish()?,
        Out::Tasks(tasks) => tasks.finish()?,
    };
    if let Some((path, output)) = config {
        output.finish()?;
        told.config = Some(path);
    }
    told.unexplained = evidence.map_or(Vec::new(), |evidence| evidence.missing());
    told.unworded = wording.without.into_iter().collect();
    Ok(told)
}

/// The labelling configuration, for a file of tasks: beside it, as `NAME.xml`.
fn config_beside(options: &ExportOptions) -> Result<Option<(PathBuf, Output)>> {
    let Target::File { path, replace } = &options.target else { return Ok(None) };
    if options.form != QueueForm::LabelStudio {
        return Ok(None);
    }
    let path = path.with_extension("xml");
    let mut output = Output::create(&Target::File { path: path.clone(), replace: *replace })?;
    output.write_all(labelling_config(&options.reasons).as_bytes())?;
    Ok(Some((path, output)))
}

/// The cells of a row, in the order of the layout.
fn cells(row: &Waiting, words: Option<String>, wording: &mut Wording) -> Vec<Option<String>> {
    let why: Vec<&str> = row.reasons.iter().map(|reason| in_words(reason)).collect();
    let some = |list: String| Some(list).filter(|list| !list.is_empty());
    let mut cells = vec![
        row.description.clone(),
        some(why.join("; ")),
        some(row.reasons.join(", ")),
        Some(row.lines.to_string()),
        row.hs6.clone(),
        row.confidence.map(|c| c.to_string()),
    ];
    for n in 0..CANDIDATES {
        let candidate = row.alternatives.get(n);
        cells.push(candidate.map(|(code, _)| code.clone()));
        cells.push(candidate.and_then(|(code, _)| wording.of(&row.edition, code)));
        cells.push(candidate.and_then(|(_, confidence)| confidence.map(|c| c.to_string())));
    }
    cells.extend([words, row.previous_hs6.clone(), row.previous_decision.clone(), row.declared_code.clone()]);
    cells.extend([const { None }; 6]);
    cells.extend([
        row.line_id.clone(),
        Some(row.source_file.clone()),
        Some(row.source_row.to_string()),
        row.text_digest.clone(),
        Some(row.run_id.clone()),
        Some(format!("{}@{}", row.model_name, row.model_version)),
        Some(row.model_digest.clone()),
        Some(row.edition.clone()),
        Some(row.applies_to.as_str().to_string()),
        Some(row.identity().digest()),
    ]);
    cells
}
