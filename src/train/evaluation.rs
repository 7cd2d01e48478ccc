//! A model measured on labelled lines: figures, where it is weak, and what it takes for what.

use std::borrow::Cow;

use serde::Serialize;

use super::answers::{Answers, Goods};
use super::data::{Labelled, Line};
use super::evaluate::{
    By, ClassRows, Confusion, Example, Metrics, Slices, binned, confusions, slices, surest_mistakes,
};
use super::figures;
use super::page::Page;
use super::record::Record;
use super::table::{Grid, Table, thousands};
use crate::error::{Error, Result};
use crate::registry::Loaded;
use crate::sql::Classifier;
use crate::tariff::{Codes, Edition, Names, Subheading};

/// What to measure and to tell.
#[derive(Clone, Debug)]
pub struct EvaluateOptions {
    /// The labelled lines.
    pub lines: Labelled,
    /// What rows are told apart by.
    pub by: Vec<By>,
    /// Fewest rows of a value that is told by itself.
    pub min_rows: usize,
    /// Most confusions that are told.
    pub confusions: usize,
    /// Most examples of mistakes that are told; they hold descriptions.
    pub examples: usize,
    /// Texts of the codes.
    pub names: Option<Names>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// `hs@1`.
    pub model: String,
    /// Edition of its codes.
    pub edition: Edition,
    /// Rows without a code of the edition, which are not measured.
    pub left_out_rows: usize,
    /// The figures.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// The rows told apart, one entry for each property.
    pub slices: Vec<Slices>,
    /// The most frequent confusions.
    pub confusions: Vec<Confusion>,
    /// The mistakes that the model is surest of, when they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
    #[serde(skip)]
    target_precision: Option<f64>,
}

/// Asks the model for every line that has a code of its edition.
///
/// # Errors
/// `Input` when no line has one or a column is missing; `Usage` when the bundle lacks what a property needs.
pub async fn evaluate_model(options: &EvaluateOptions, loaded: &Loaded) -> Result<Evaluation> {
    let edition: Edition = loaded.bundle.labels.edition.parse()?;
    let record = Record::of(&loaded.bundle)?;
    if options.by.contains(&By::Support) {
        record.class_rows()?;
    }
    let columns: Vec<&str> = options.by.iter().filter_map(By::column).collect();
    let (source, lines) = options.lines.read_with(Codes::builtin(edition), &columns, "--by").await?;
    let known: Vec<(&Line, Subheading)> =
        lines.iter().filter_map(|line| Some((line, line.label.class(false)?))).collect();
    if known.is_empty() {
        return Err(Error::Input(format!(
            "none of the {} lines has a code of edition {edition} in --label {}",
            lines.len(),
            options.lines.label
        )));
    }
    let policy = &loaded.bundle.policy;
    let classifier = Classifier::new(loaded, policy)?;
    let codes: Vec<(&str, Subheading)> = known.iter().map(|(line, code)| (line.text.as_str(), *code)).collect();
    let answers = Answers::of(&classifier, &codes)?;
    let goods = answers.goods();
    let texts: Vec<&str> = goods.places.iter().map(|place| codes[*place].0).collect();
    let told_apart = |by: &By| {
        let at = columns.iter().position(|name| Some(*name) == by.column());
        let value = |place: &usize| known[*place].0.columns.get(at?)?.as_deref();
        let column: Vec<Option<&str>> = goods.places.iter().map(value).collect();
        let is_number = |name: &str| source.schema().field_with_name(name).is_ok_and(|f| f.data_type().is_numeric());
        let column = match by.column().is_some_and(is_number) {
            true => binned(&column),
            false => column.into_iter().map(|value| value.map(Cow::from)).collect(),
        };
        let value =
            |(place, column): (&usize, _)| by.value(codes[*place].0, &codes[*place].1, &record.class_rows, column);
        let values: Vec<Cow<'_, str>> = goods.places.iter().zip(column).map(value).collect();
        let mut found = slices(by, &values, &goods.rows, options.min_rows);
        if let (By::Chapter, Some(names)) = (by, &options.names) {
            found.slices.iter_mut().for_each(|slice| slice.text = names.of(&slice.value).map(str::to_string));
        }
        for slice in found.slices.iter_mut().take(WORST_SLICES) {
            let inside = (0..values.len()).filter(|row| values[*row] == slice.value);
            let (rows, texts): (Vec<_>, Vec<_>) = inside.map(|row| (goods.rows[row], texts[row])).unzip();
            slice.examples = surest_mistakes(&rows, &texts, options.examples.min(SLICE_EXAMPLES));
        }
        found
    };
    Ok(Evaluation {
        model: format!("{}@{}", loaded.name, loaded.version),
        edition,
        left_out_rows: lines.len() - known.len(),
        metrics: answers.metrics(&goods),
        slices: options.by.iter().map(told_apart).collect(),
        confusions: confusions(&goods.rows, options.confusions, options.names.as_ref()),
        examples: surest_mistakes(&goods.rows, &texts, options.examples),
        target_precision: policy.review_budget.is_none().then_some(policy.target_precision),
    })
}

/// The slices that a model card has, of lines that were answered.
pub(super) fn card_slices(goods: &Goods<'_>, lines: &[(&str, Subheading)], class_rows: &ClassRows) -> Vec<Slices> {
    let told_apart = |by: By| {
        let value = |place: &usize| by.value(lines[*place].0, &lines[*place].1, class_rows, None);
        slices(&by, &goods.places.iter().map(value).collect::<Vec<_>>(), &goods.rows, MIN_ROWS)
    };
    By::BUILT_IN.into_iter().map(told_apart).collect()
}

/// Fewest rows of a value that is told by itself, where nothing else is said.
pub const MIN_ROWS: usize = 30;

/// Values of a property, worst first, of which mistakes are shown.
const WORST_SLICES: usize = 3;

/// Most mistakes shown of each.
const SLICE_EXAMPLES: usize = 3;

impl Evaluation {
    /// What was measured, in a line.
    pub fn title(&self) -> String {
        let left_out = match self.left_out_rows {
            0 => String::new(),
            rows => format!(" ({} rows without a code of edition {})", thousands(rows), self.edition),
        };
        format!("{} on {} rows{left_out}", self.model, thousands(self.metrics.rows))
    }

    /// Each table below the figures: its title, a sentence, its rows.
    fn grids(&self) -> Vec<(String, &str, Grid)> {
        let mut grids = Vec::new();
        for (at, slices) in self.slices.iter().enumerate() {
            let says = if at == 0 { figures::SLICES } else { "" };
            grids.push((figures::slices_title(slices), says, figures::slices(slices)));
            if slices.slices.iter().any(|slice| !slice.examples.is_empty()) {
                let title = format!("{}: mistakes in the worst", figures::slices_title(slices));
                grids.push((title, "Those that the model is surest of.", figures::slice_examples(slices)));
            }
        }
        if !self.confusions.is_empty() {
            let found = figures::confusions(&self.confusions);
            grids.push(("Most frequent confusions".to_string(), figures::CONFUSIONS, found));
        }
        if !self.examples.is_empty() {
            let says = "As the model reads them. A wrong line may also be a wrong label.";
            grids.push(("Mistakes that it is surest of".to_string(), says, figures::examples(&self.examples)));
        }
        grids
    }

    /// What comes below the figures, as aligned lines.
    pub fn lines(&self) -> Vec<String> {
        let table = |(title, _, grid): (String, &str, Grid)| {
            let rows = grid.lines().into_iter().map(|line| format!("  {line}"));
            [String::new(), title].into_iter().chain(rows).collect::<Vec<_>>()
        };
        self.grids().into_iter().flat_map(table).collect()
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut page = format!("# {}\n\n{}\n", self.title(), facts_markdown(&figures::facts(&self.metrics)));
        page += &format!("{}\n", figures::accepted(&self.metrics));
        for (title, says, grid) in self.grids() {
            let says = if says.is_empty() { String::new() } else { format!("{says}\n\n") };
            page += &format!("\n## {title}\n\n{says}{}", grid.markdown());
        }
        page
    }

    /// As a self-contained page.
    pub fn html(&self) -> Result<String> {
        let m = &self.metrics;
        let mut page = Page::new(&self.title())
            .lead(&figures::accepted(m))
            .tiles(&figures::tiles(m))
            .figures(&figures::drawings(m, self.target_precision)?);
        for (title, says, grid) in self.grids() {
            page = page.section(&title, says).grid(&grid);
        }
        Ok(page.section("Every figure", "").facts(figures::facts(m).rows()).html())
    }
}

/// Facts as a Markdown table.
pub(super) fn facts_markdown(facts: &Table) -> String {
    let rows = facts.rows().map(|[name, value, _]| vec![name.trim_start().to_string(), value.clone()]);
    super::table::markdown_table(&["figure", "value"], rows)
}
