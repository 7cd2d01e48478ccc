//! Findings of consistency: what an auditor looks for first, counted, the worst told, and written whole into a file.
//!
//! What always holds: what counts as a finding is said by the view `findings` alone; the worst come first by value, then by
//! lines, and equals in a fixed order. Refuses: changing anything in the lake.

mod export;
mod report;
mod row;
mod wording;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionContext, ident, lit};
use futures::StreamExt;
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

use crate::error::{Context, Error, Result};
use crate::lake::Place;
use crate::sql::{self, Limits, register_lake};
use crate::tariff::Tariff;
pub use export::Exported;
pub use report::{Chapter as FindingChapter, FindingReport, OfKind, Told};
pub use wording::Wording;
use wording::Wordings;

/// What a finding says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A line is declared under another subheading than a person decided, or else the model gives.
    DeclaredOtherwise,
    /// Equal goods are declared under several subheadings.
    SameTextDeclaredOtherwise,
    /// One run gave equal goods different codes.
    SameTextInRun,
    /// Equal goods had one code and then another.
    SameTextAcrossRuns,
    /// Equal goods have different codes now.
    SameTextOtherCode,
}

impl FindingKind {
    /// All of them.
    pub const ALL: [FindingKind; 5] = [
        FindingKind::DeclaredOtherwise,
        FindingKind::SameTextDeclaredOtherwise,
        FindingKind::SameTextInRun,
        FindingKind::SameTextAcrossRuns,
        FindingKind::SameTextOtherCode,
    ];

    /// As the view `findings` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            FindingKind::DeclaredOtherwise => "declared_otherwise",
            FindingKind::SameTextDeclaredOtherwise => "same_text_declared_otherwise",
            FindingKind::SameTextInRun => "same_text_in_run",
            FindingKind::SameTextAcrossRuns => "same_text_across_runs",
            FindingKind::SameTextOtherCode => "same_text_other_code",
        }
    }

    /// In a sentence.
    pub fn about(self) -> &'static str {
        match self {
            FindingKind::DeclaredOtherwise => {
                "a line was declared under another subheading than a person decided, or else the model gives"
            }
            FindingKind::SameTextDeclaredOtherwise => "equal goods were declared under several subheadings",
            FindingKind::SameTextInRun => "one run gave equal goods different codes",
            FindingKind::SameTextAcrossRuns => "equal goods had one code and then another, by run or by person",
            FindingKind::SameTextOtherCode => "equal goods have different codes now",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads a name, in which `-` may stand for `_`.
impl FromStr for FindingKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<FindingKind> {
        let name = text.replace('-', "_");
        FindingKind::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
            let names = FindingKind::ALL.map(FindingKind::as_str).join(", ");
            Error::Usage(format!("{text} is no kind of finding; there are: {names}"))
        })
    }
}

/// Which findings.
#[derive(Clone, Debug)]
pub struct FindingFilter {
    /// Of these kinds; of all when it is empty.
    pub kinds: Vec<FindingKind>,
    /// Worth at least so much, in the input's unit, all lines of a finding together; findings without a value are left out then.
    pub least_value: Option<f64>,
    /// Least confidence, 0 to 1, of a model that contradicts a declaration. A person's word needs none.
    pub min_confidence: f32,
}

impl FindingFilter {
    /// Refuses what no finding can have.
    pub fn validate(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.min_confidence) {
            return Err(Error::Usage(format!("--min-confidence {}: give a share from 0 to 1", self.min_confidence)));
        }
        match self.least_value {
            Some(value) if !value.is_finite() => Err(Error::Usage(format!("--least-value {value}: give a number"))),
            _ => Ok(()),
        }
    }

    /// The rows of a frame over `findings` that it lets through.
    fn apply(&self, rows: DataFrame) -> Result<DataFrame> {
        let sure = ident("kind")
            .not_eq(lit(FindingKind::DeclaredOtherwise.as_str()))
            .or(ident("by_person"))
            .or(ident("confidence").gt_eq(lit(self.min_confidence)));
        let mut rows = rows.filter(sure)?;
        if let Some(least) = self.least_value {
            rows = rows.filter(ident("finding_value").gt_eq(lit(least)))?;
        }
        Ok(rows)
    }
}

/// The findings of a lake.
pub struct Findings {
    context: SessionContext,
    /// The findings of each kind; they are gone with this.
    _kinds: TempDir,
    lake: String,
    wordings: Wordings,
}

/// The findings that were asked for, as a table of the session.
const FOUND: &str = "found";

/// The worst ones, with their rank from 1, as a table of the session.
const WORST: &str = "worst";

/// One row a finding.
const ONES: &str = "
SELECT kind, finding, explained_by, min(finding_lines) AS lines, min(finding_value) AS value
FROM found GROUP BY kind, finding, explained_by";

impl Findings {
    /// Looks at a lake.
    ///
    /// # Errors
    /// `Usage` for a filter that is none, and those of the store.
    pub async fn open(lake: &Place, filter: &FindingFilter, limits: Limits) -> Result<Findings> {
        filter.validate()?;
        let context = sql::session(limits)?;
        register_lake(&context, lake).await?;
        // One kind after another, each once: all that is asked later is asked of what stands in these files.
        let folder = tempfile::tempdir().context(|| "no place for the findings; TMPDIR names one")?;
        let mut kinds = Vec::new();
        for kind in FindingKind::ALL.into_iter().filter(|kind| filter.kinds.is_empty() || filter.kinds.contains(kind)) {
            let rows = context.table("findings").await?.filter(ident("kind").eq(lit(kind.as_str())))?;
            let file = folder.path().join(format!("{kind}.parquet"));
            keep(filter.apply(rows)?, &file).await?;
            kinds.push(file.display().to_string());
        }
        let found = context.read_parquet(kinds, ParquetReadOptions::default()).await?;
        context.register_table(FOUND, found.into_view())?;
        let wordings = Wordings::new(&Tariff::load(&context).await?);
        Ok(Findings { context, _kinds: folder, lake: lake.url().to_string(), wordings })
    }

    async fn rows(&self, query: &str) -> Result<Vec<RecordBatch>> {
        Ok(self.context.sql(query).await?.collect().await?)
    }

    /// Makes the table of the worst so many findings.
    async fn rank(&self, limit: u64) -> Result<()> {
        let query = format!(
            "SELECT row_number() OVER (ORDER BY value DESC NULLS LAST, lines DESC, kind, finding) AS rank, * FROM (
               SELECT * FROM ({ONES}) ORDER BY value DESC NULLS LAST, lines DESC, kind, finding LIMIT {limit})"
        );
        let ranked = self.context.sql(&query).await?.cache().await?;
        self.context.deregister_table(WORST)?;
        self.context.register_table(WORST, ranked.into_view())?;
        Ok(())
    }
}

/// Writes rows into a file.
async fn keep(rows: DataFrame, file: &Path) -> Result<()> {
    let out = std::fs::File::create(file).context(|| format!("{}: cannot keep findings", file.display()))?;
    let mut rows = rows.execute_stream().await?;
    let mut writer = ArrowWriter::try_new(out, rows.schema(), None)?;
    while let Some(batch) = rows.next().await {
        writer.write(&batch?)?;
    }
    writer.close()?;
    Ok(())
}

/// What a session answered, with the columns by their names.
fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b Arc<dyn arrow::array::Array>> {
    batch.column_by_name(name).ok_or_else(|| Error::Bug(format!("findings have no {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_by_its_name() {
        for kind in FindingKind::ALL {
            assert_eq!(kind.to_string().parse::<FindingKind>().unwrap(), kind);
            assert_eq!(kind.as_str().replace('_', "-").parse::<FindingKind>().unwrap(), kind);
        }
        let refused = "fraud".parse::<FindingKind>().unwrap_err();
        assert!(refused.exit_code() == 2 && refused.to_string().contains("same_text_in_run"));
    }
}
