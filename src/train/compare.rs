//! Recipes side by side: each is trained on the same lines and measured on the same lines, beside what any model must beat.
//!
//! Everything that can be refused is refused before the first training. What is done is saved at once under a digest of all that it
//! follows from, and a second start takes it from there.

mod leak;
mod measured;
mod paired;
mod report;
mod row;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::data::{Labelled, Line};
use super::further::Further;
use super::labels::Label;
use super::pipeline::{Parts, Prepared, TrainOptions, Watcher};
use super::recipe::Recipe;
use super::split::Part;
use super::upsample::{largest, upsampled};
use crate::error::{Context, Error, Result};
use crate::lake::Place;
use measured::Sides;
pub(crate) use measured::cpu_secs_per_million;
pub use row::{Kind, Row, Upsampled};

/// Test lines that a baseline is asked about when classes were up-sampled, at most: there are many, and most are copies.
const LEAK_TEST_ROWS: usize = 5_000;

/// What to compare.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// Lines, edition, checks and wanted precision of all; the split is that of its recipe, which is the first one's.
    pub train: TrainOptions,
    /// Names and recipes; at least one.
    pub recipes: Vec<(String, Recipe)>,
    /// SQL filter of the lines to measure on, in place of the split's test part.
    pub test_where: Option<String>,
    /// What to show of up-sampling before and after the split.
    pub leak: Leak,
    /// Rows that a class is repeated to there, at most.
    pub leak_cap: usize,
    /// CPU-seconds that scoring is measured for, at least.
    pub score_secs: f64,
    /// Where results are kept.
    pub out: Option<Place>,
}

/// What to show of up-sampling before and after the split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leak {
    /// Nothing.
    Hidden,
    /// What the baselines would have claimed, and the nearest neighbour up-sampled after the split.
    Baselines,
    /// That, and the same of the first recipe: two more and longer trainings.
    FirstRecipe,
}

/// The figures side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The lines.
    pub lines: Lines,
    /// Recipes in their order, the baselines, those that were up-sampled after the split, and those that leak.
    pub rows: Vec<Row>,
}

/// What was learned from and measured on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lines {
    /// Edition of the codes.
    pub edition: String,
    /// Usable lines of each part.
    pub rows: Vec<(Part, usize)>,
    /// Subheadings of the training part.
    pub classes: usize,
    /// Where the test part comes from.
    pub measured_on: String,
    /// BLAKE3 of the lines of all parts in their order.
    pub digest: String,
}

/// Hears of a comparison's progress.
pub trait CompareWatcher: Watcher {
    /// A model's figures are there; `again` when they were found where results are kept.
    fn row(&mut self, row: &Row, again: bool);
}

/// Trains and measures.
///
/// # Errors
/// As `train`; `Usage` before any training when a recipe is refused or there is nothing to measure on.
pub async fn compare(options: &CompareOptions, watcher: &mut dyn CompareWatcher) -> Result<Comparison> {
    options.validate()?;
    if let Some(out) = &options.out {
        out.try_writing().await?;
    }
    let mut prepared = Prepared::read(&options.train, watcher).await?;
    if let Some(filter) = &options.test_where {
        let test = Labelled { where_sql: Some(filter.clone()), ..options.train.lines.clone() };
        prepared = prepared.measured_on(&test, &options.train).await?;
    }
    let parts = prepared.parts()?;
    let honest = Sides::of(&parts);
    if honest.test.is_empty() || honest.train.is_empty() {
        return Err(Error::Input(
            "no line to learn from or none to measure on: give more lines, or other shares".into(),
        ));
    }
    // What a recipe cannot read is said before any of them is trained.
    let mut recipes = Vec::new();
    for (name, recipe) in &options.recipes {
        let train = TrainOptions { recipe: recipe.clone(), name: NAME.into(), ..options.train.clone() };
        let further = prepared.further(&train, watcher).await.context(|| name)?;
        recipes.push((name, train, further));
    }
    let mut book = Book::new(options, &parts, &honest, watcher);
    book.majority(&honest, Upsampled::No).await?;
    book.nearest(&honest, Upsampled::No).await?;
    let rows = largest(&honest.train, options.leak_cap);
    let (dealt, leaky);
    let mut leaks = None;
    if options.leak != Leak::Hidden {
        book.nearest(&honest.upsampled(rows), Upsampled::AfterSplit).await?;
        dealt = prepared.dealt(upsampled_and_dealt(&parts, options));
        leaky = dealt.parts()?;
        leaks = Some(&dealt);
        let sides = Sides::of(&leaky).limited(LEAK_TEST_ROWS);
        book.majority(&sides, Upsampled::BeforeSplit).await?;
        book.nearest(&sides, Upsampled::BeforeSplit).await?;
    }
    for (n, (name, train, further)) in recipes.iter().enumerate() {
        book.recipe(name, train, (&prepared, further), Upsampled::No).await?;
        if let (0, Leak::FirstRecipe, Some(dealt)) = (n, options.leak, leaks) {
            let mut after = train.clone();
            after.recipe.fit.upsample_to = rows;
            book.recipe(name, &after, (&prepared, further), Upsampled::AfterSplit).await?;
            book.recipe(name, train, (dealt, further), Upsampled::BeforeSplit).await?;
        }
    }
    Ok(book.comparison)
}

/// What the bundles are called, which are in no registry; names of recipes need not be names of models.
const NAME: &str = "compared";

impl CompareOptions {
    fn validate(&self) -> Result<()> {
        self.train.validate()?;
        if self.recipes.is_empty() {
            return Err(Error::Usage("--recipe is missing; give it once for each recipe".into()));
        }
        for (name, recipe) in &self.recipes {
            recipe.validate().context(|| name)?;
        }
        if self.test_where.is_none() && self.train.recipe.split.test == 0.0 {
            return Err(Error::Usage(
                "there is no test part to measure on: set [split] test in the first recipe, or give --test-where"
                    .into(),
            ));
        }
        if !(self.score_secs.is_finite() && self.score_secs > 0.0) || self.leak_cap == 0 {
            return Err(Error::Usage("--score-secs and --leak-cap must be above 0".into()));
        }
        if self.leak == Leak::FirstRecipe && self.recipes[0].1.fit.upsample_to > 0 {
            return Err(Error::Usage(
                "--leak-model shows the first recipe with and without up-sampling: take [fit] upsample_to out of it"
                    .into(),
            ));
        }
        Ok(())
    }
}

/// All usable lines, their small classes repeated, each in a part at random: what must not be done.
fn upsampled_and_dealt(parts: &Parts<'_>, options: &CompareOptions) -> Vec<(Line, Part)> {
    let all: Vec<_> = parts.each().flat_map(|(_, lines)| measured::goods(lines)).collect();
    let rows = upsampled(&all, largest(&all, options.leak_cap));
    let dealt = leak::at_random(rows.len(), &parts.rows(), options.train.recipe.fit.seed);
    let line =
        |(text, code): (&str, _)| Line { text: text.to_string(), label: Label::Valid(code), columns: Vec::new() };
    rows.into_iter().map(line).zip(dealt).collect()
}

/// Where the figures are entered, and kept.
struct Book<'a> {
    options: &'a CompareOptions,
    comparison: Comparison,
    watcher: &'a mut dyn CompareWatcher,
}

impl<'a> Book<'a> {
    fn new(
        options: &'a CompareOptions,
        parts: &Parts<'_>,
        honest: &Sides<'_>,
        watcher: &'a mut dyn CompareWatcher,
    ) -> Book<'a> {
        let lines = Lines {
            edition: options.train.edition.to_string(),
            rows: parts.rows(),
            classes: honest.classes(),
            measured_on: match &options.test_where {
                Some(filter) => format!("lines where {filter}"),
                None => "the test part of the split".to_string(),
            },
            digest: parts.digest(),
        };
        Book { options, comparison: Comparison { lines, rows: Vec::new() }, watcher }
    }

    async fn majority(&mut self, sides: &Sides<'_>, upsampled: Upsampled) -> Result<()> {
        self.enter(Kind::Majority, "majority class", upsampled, Value::Null, |_| Ok(measured::majority(sides))).await
    }

    async fn nearest(&mut self, sides: &Sides<'_>, upsampled: Upsampled) -> Result<()> {
        let score_secs = self.options.score_secs;
        let work = |watcher: &mut dyn Watcher| {
            watcher.step("nearest neighbour");
            measured::nearest(sides, score_secs)
        };
        self.enter(Kind::Nearest, "nearest neighbour", upsampled, Value::Null, work).await
    }

    async fn recipe(
        &mut self,
        name: &str,
        train: &TrainOptions,
        (prepared, further): (&Prepared, &Further),
        upsampled: Upsampled,
    ) -> Result<()> {
        let basis = json!({
            "recipe": train.recipe,
            "further": further.digest(),
            "target_precision": train.wanted.target_precision,
            "review_budget": train.wanted.review_budget,
            "audit_ratio": train.wanted.audit_ratio,
            "split_seed": self.options.train.recipe.fit.seed,
        });
        let score_secs = self.options.score_secs;
        let work = |watcher: &mut dyn Watcher| measured::recipe(prepared, further, train, score_secs, watcher);
        self.enter(Kind::Recipe, name, upsampled, basis, work).await
    }

    /// Takes a row from where results are kept, or makes it and keeps it.
    async fn enter(
        &mut self,
        kind: Kind,
        name: &str,
        upsampled: Upsampled,
        basis: Value,
        work: impl FnOnce(&mut dyn Watcher) -> Result<Row>,
    ) -> Result<()> {
        let copies =
            (upsampled != Upsampled::No).then_some((self.options.leak_cap, self.options.train.recipe.fit.seed));
        let basis = json!({
            "kind": kind,
            "lines": self.comparison.lines,
            "upsampled": upsampled,
            "cap_and_seed": copies,
            "basis": basis,
            "program": env!("CARGO_PKG_VERSION"),
        });
        let key = blake3::hash(basis.to_string().as_bytes()).to_hex()[..32].to_string();
        let file = format!("rows/{key}.json");
        let there = match &self.options.out {
            Some(out) => out.get(&file).await?.and_then(|bytes| serde_json::from_slice::<Row>(&bytes).ok()),
            None => None,
        };
        let again = there.is_some();
        let row = match there {
            Some(row) => row,
            None => work(self.watcher).context(|| name)?,
        };
        // The same recipe under another name is the same work.
        let row = Row { name: name.to_string(), upsampled, key, ..row };
        self.watcher.row(&row, again);
        if let Some(out) = self.options.out.as_ref().filter(|_| !again) {
            let bytes = serde_json::to_vec_pretty(&row).map_err(|e| Error::Bug(e.to_string()))?;
            out.put(&file, bytes.into()).await?;
        }
        self.comparison.rows.push(row);
        let place = |kind: Kind| [Kind::Recipe, Kind::Nearest, Kind::Majority].iter().position(|k| *k == kind);
        self.comparison.rows.sort_by_key(|row| (row.upsampled, place(row.kind)));
        self.pair()?;
        self.save().await
    }

    /// Sets every row that was measured on the same lines beside the first one.
    fn pair(&mut self) -> Result<()> {
        let Some((first, others)) = self.comparison.rows.split_first_mut() else { return Ok(()) };
        first.paired = None;
        for row in others.iter_mut().filter(|row| row.upsampled != Upsampled::BeforeSplit) {
            row.paired = row.right.against(&first.right)?;
        }
        Ok(())
    }

    /// Writes the table in every form, as far as it goes.
    async fn save(&self) -> Result<()> {
        let Some(out) = &self.options.out else { return Ok(()) };
        let c = &self.comparison;
        for (file, text) in [
            ("comparison.json", c.json()?),
            ("comparison.csv", c.csv()?),
            ("comparison.md", c.markdown()),
            ("comparison.html", c.html()),
        ] {
            out.put(file, Bytes::from(text)).await?;
        }
        Ok(())
    }
}
