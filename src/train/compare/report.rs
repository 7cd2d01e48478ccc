//! A comparison as text, CSV, Markdown, JSON and as a self-contained page.

use super::paired::Paired;
use super::row::{Kind, Row, Upsampled};
use super::{Comparison, Lines};
use crate::error::{Error, Result};
use crate::train::page::Page;
use crate::train::table::{Cell, Grid, tenths, thousands};

/// What stands above figures that are not to be believed.
const LEAK_TITLE: &str = "What up-sampling before the split would have claimed";
const LEAK_SAYS: &str = "NOT TO BE BELIEVED are the figures from before the split: there rows of small classes were repeated \
                         before rows were dealt out at random, so copies of test lines were learned. After the split \
                         only what is learned was repeated, and the test lines are those of the model without copies.";

impl Comparison {
    /// Aligned rows of text: figures downwards, models across.
    pub fn lines(&self) -> Vec<String> {
        let mut out = vec![self.lines.says()];
        out.extend(self.table().lines());
        if let Some(leak) = self.leak_table() {
            out.extend([String::new(), LEAK_TITLE.to_string(), LEAK_SAYS.to_string()]);
            out.extend(leak.lines());
        }
        out
    }

    /// The same as Markdown.
    pub fn markdown(&self) -> String {
        let mut out = format!("# Comparison\n\n{}\n\n{}", self.lines.says(), self.table().markdown());
        if let Some(leak) = self.leak_table() {
            out += &format!("\n## {LEAK_TITLE}\n\n{LEAK_SAYS}\n\n{}", leak.markdown());
        }
        out
    }

    /// The same as a page.
    pub fn html(&self) -> String {
        let page = Page::new("Comparison").section("Figures", &self.lines.says()).grid(&self.table());
        match self.leak_table() {
            Some(leak) => page.section(LEAK_TITLE, LEAK_SAYS).grid(&leak).html(),
            None => page.html(),
        }
    }

    /// Everything, one document.
    ///
    /// # Errors
    /// `Bug` when it cannot be written.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self).map_err(|e| Error::Bug(e.to_string()))? + "\n")
    }

    /// One line a model, numbers as they are; nothing where there is none.
    ///
    /// # Errors
    /// `Bug` when it cannot be written.
    pub fn csv(&self) -> Result<String> {
        let failed = |e: String| Error::Bug(format!("comparison as CSV: {e}"));
        let mut writer = csv::Writer::from_writer(Vec::new());
        for (n, row) in self.rows.iter().enumerate() {
            let cells = csv_cells(row);
            if n == 0 {
                writer.write_record(cells.iter().map(|(name, _)| name)).map_err(|e| failed(e.to_string()))?;
            }
            writer.write_record(cells.iter().map(|(_, value)| value)).map_err(|e| failed(e.to_string()))?;
        }
        let bytes = writer.into_inner().map_err(|e| failed(e.to_string()))?;
        String::from_utf8(bytes).map_err(|e| failed(e.to_string()))
    }

    fn honest(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.upsampled == Upsampled::No)
    }

    /// A line for each figure, a column for each model.
    fn table(&self) -> Grid {
        let line = |name: &str, value: &dyn Fn(&Row) -> String| -> Vec<Cell> {
            let name = Cell::Words(name.to_string());
            std::iter::once(name).chain(self.honest().map(|row| Cell::Number(value(row)))).collect()
        };
        let architecture = |row: &Row| row.recipe.as_ref().map(|recipe| recipe.model.architecture.name().to_string());
        let mut rows = vec![
            line("architecture", &|row| architecture(row).unwrap_or_else(none)),
            line("right at 6 digits", &|row| tenths(row.hs6)),
            line("95 % interval of that", &|row| format!("{:.1} to {:.1}", 100.0 * row.hs6_low, 100.0 * row.hs6_high)),
            line("p-value beside the first", &|row| row.paired.map_or_else(none, |paired| p_value(paired.p_value))),
            line("right at 4 digits", &|row| tenths(row.hs4)),
            line("right at 2 digits", &|row| tenths(row.hs2)),
            line("among the five best at 6 digits", &|row| tenths(row.hs6_top_five)),
            line("among the five best at 4 digits", &|row| tenths(row.hs4_top_five)),
            line("among the five best at 2 digits", &|row| tenths(row.hs2_top_five)),
            line("macro F1", &|row| tenths(row.macro_f1)),
        ];
        let buckets = self.honest().next().map_or(&[][..], |row| &row.by_support);
        for (n, bucket) in buckets.iter().enumerate() {
            let name = format!("6 digits, {} training rows ({} lines)", bucket.training_rows, thousands(bucket.rows));
            rows.push(line(&name, &|row| row.by_support.get(n).and_then(|b| b.accuracy).map_or_else(none, tenths)));
        }
        rows.extend([
            line("coverage at 98 % precision", &|row| tenths(row.coverage_at_98)),
            line("coverage at 95 % precision", &|row| tenths(row.coverage_at_95)),
            line("calibration error at 6 digits", &|row| format!("{:.3}", row.calibration_error_hs6)),
            line("calibration error at 4 digits", &|row| format!("{:.3}", row.calibration_error_hs4)),
            line("calibration error at 2 digits", &|row| format!("{:.3}", row.calibration_error_hs2)),
            line("Brier score at 6 digits", &|row| format!("{:.3}", row.brier_hs6)),
            line("AUGRC at 6 digits", &|row| format!("{:.4}", row.augrc)),
            line("tokens a line", &|row| row.tokens_per_line.map_or_else(none, |tokens| format!("{tokens:.1}"))),
            line("training, seconds", &|row| format!("{:.1}", row.train_secs)),
            line("training, CPU-seconds", &|row| row.train_cpu_secs.map_or_else(none, |secs| format!("{secs:.1}"))),
            line("size, MB", &|row| megabytes(row.size_bytes)),
            line("scoring, CPU-seconds a million lines", &|row| {
                row.score_cpu_secs_per_million.map_or_else(none, |secs| format!("{secs:.1}"))
            }),
            line("memory at most, MB", &|row| row.peak_memory_bytes.map_or_else(none, megabytes)),
        ]);
        Grid {
            header: std::iter::once("figure".to_string()).chain(self.honest().map(|row| row.name.clone())).collect(),
            rows,
        }
    }

    /// Claims beside honest figures, for 6, 4 and 2 digits; `None` when there are none.
    fn leak_table(&self) -> Option<Grid> {
        let mut grid =
            Grid::new(["model", "digits", "not up-sampled", "after the split", "LEAKY: before it", "too much by"]);
        for leaky in self.rows.iter().filter(|row| row.upsampled == Upsampled::BeforeSplit) {
            let same = |row: &&Row| row.kind == leaky.kind && (row.kind != Kind::Recipe || row.name == leaky.name);
            let other = |upsampled| self.rows.iter().filter(same).find(|row| row.upsampled == upsampled);
            let (without, after) = (other(Upsampled::No), other(Upsampled::AfterSplit));
            for (digits, share) in
                [("6", (|row| row.hs6) as fn(&Row) -> f64), ("4", |row| row.hs4), ("2", |row| row.hs2)]
            {
                let shown = |row: Option<&Row>| Cell::Number(row.map_or_else(none, |row| tenths(share(row))));
                let more = |row: &Row| format!("{:+.1} points", 100.0 * (share(leaky) - share(row)));
                grid.rows.push(vec![
                    Cell::Words(leaky.name.clone()),
                    Cell::Number(digits.to_string()),
                    shown(without),
                    shown(after),
                    shown(Some(leaky)),
                    Cell::Number(without.map_or_else(none, more)),
                ]);
            }
        }
        (!grid.rows.is_empty()).then_some(grid)
    }
}

impl Lines {
    /// In a sentence.
    fn says(&self) -> String {
        let parts = self.rows.iter().map(|(part, rows)| format!("{} {}", thousands(*rows), part.name()));
        format!(
            "HS {}, {} subheadings to learn; lines: {}; measured on {}.",
            self.edition,
            thousands(self.classes),
            parts.collect::<Vec<_>>().join(", "),
            self.measured_on
        )
    }
}

fn csv_cells(row: &Row) -> Vec<(String, String)> {
    let kind = match row.kind {
        Kind::Recipe => "recipe",
        Kind::Majority => "majority",
        Kind::Nearest => "nearest",
    };
    let maybe = |x: Option<f64>| x.map_or_else(String::new, |x| x.to_string());
    let count = |of: fn(&Paired) -> u64| row.paired.as_ref().map_or_else(String::new, |paired| of(paired).to_string());
    let mut cells: Vec<(String, String)> = [
        ("name", row.name.clone()),
        ("kind", kind.to_string()),
        ("architecture", row.recipe.as_ref().map_or("", |recipe| recipe.model.architecture.name()).to_string()),
        ("upsampled", row.upsampled.name().to_string()),
        ("rows", row.rows.to_string()),
        ("hs6", row.hs6.to_string()),
        ("hs6_low", row.hs6_low.to_string()),
        ("hs6_high", row.hs6_high.to_string()),
        ("lost_texts", count(|paired| paired.lost)),
        ("gained_texts", count(|paired| paired.gained)),
        ("p_value", maybe(row.paired.map(|paired| paired.p_value))),
        ("hs4", row.hs4.to_string()),
        ("hs2", row.hs2.to_string()),
        ("hs6_top_five", row.hs6_top_five.to_string()),
        ("hs4_top_five", row.hs4_top_five.to_string()),
        ("hs2_top_five", row.hs2_top_five.to_string()),
        ("macro_f1", row.macro_f1.to_string()),
        ("coverage_at_98", row.coverage_at_98.to_string()),
        ("coverage_at_95", row.coverage_at_95.to_string()),
        ("calibration_error_hs6", row.calibration_error_hs6.to_string()),
        ("calibration_error_hs4", row.calibration_error_hs4.to_string()),
        ("calibration_error_hs2", row.calibration_error_hs2.to_string()),
        ("brier_hs6", row.brier_hs6.to_string()),
        ("augrc", row.augrc.to_string()),
        ("tokens_per_line", maybe(row.tokens_per_line)),
        ("train_secs", row.train_secs.to_string()),
        ("train_cpu_secs", maybe(row.train_cpu_secs)),
        ("size_bytes", row.size_bytes.to_string()),
        ("score_cpu_secs_per_million", maybe(row.score_cpu_secs_per_million)),
        ("peak_memory_bytes", row.peak_memory_bytes.map_or_else(String::new, |bytes| bytes.to_string())),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_string(), value))
    .collect::<Vec<(String, String)>>();
    for bucket in &row.by_support {
        let name = bucket.training_rows.replace(' ', "_");
        cells.push((format!("hs6_of_{name}_rows"), maybe(bucket.accuracy)));
        cells.push((format!("lines_of_{name}_rows"), bucket.rows.to_string()));
    }
    cells
}

/// What is smaller than is shown is told as such.
fn p_value(p: f64) -> String {
    if p < 1e-4 { "< 0.0001".to_string() } else { format!("{p:.4}") }
}

fn none() -> String {
    "-".to_string()
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}
