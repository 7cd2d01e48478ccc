//! What a replay found: file by file in numbers, and the first lines that are not the same, column by column.
//!
//! What always holds: the order of what is told is that of files, rows and roles, whatever was compared first.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::super::reclassify::PastTable;
use super::inputs::{Found, InputState};

/// Rows of `predictions`, by how they compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RowCounts {
    /// The same in every column.
    pub equal: u64,
    /// Made again, with another value in some column.
    pub differing: u64,
    /// Made again, and not in the lake.
    pub not_in_lake: u64,
    /// In the lake, and not made again.
    pub not_reproduced: u64,
    /// In the lake a second time.
    pub twice: u64,
    /// In the lake, from a file that is gone or changed.
    pub left_out: u64,
    /// Made again, and passed over by the run, because their answer stood in the lake.
    pub unchanged: u64,
}

impl RowCounts {
    /// Adds those of another part.
    pub fn add(&mut self, other: &RowCounts) {
        self.equal += other.equal;
        self.differing += other.differing;
        self.not_in_lake += other.not_in_lake;
        self.not_reproduced += other.not_reproduced;
        self.twice += other.twice;
        self.left_out += other.left_out;
        self.unchanged += other.unchanged;
    }

    /// Rows that are not the same on both sides.
    pub fn unequal(&self) -> u64 {
        self.differing + self.not_in_lake + self.not_reproduced + self.twice
    }
}

/// One file of the run.
#[derive(Clone, Debug, Serialize)]
pub struct FileReplay {
    #[serde(flatten)]
    pub found: Found,
    #[serde(rename = "counts")]
    pub counts: RowCounts,
}

/// How a row is not the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// Another value in some column.
    Differing,
    /// Made again, and not in the lake.
    NotInLake,
    /// In the lake, and not made again.
    NotReproduced,
    /// In the lake a second time.
    Twice,
}

impl DifferenceKind {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            DifferenceKind::Differing => "differing",
            DifferenceKind::NotInLake => "not in the lake",
            DifferenceKind::NotReproduced => "not reproduced",
            DifferenceKind::Twice => "twice in the lake",
        }
    }
}

/// A value then and now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnDifference {
    pub column: String,
    pub then: Value,
    pub now: Value,
}

/// A row that is not the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    pub kind: DifferenceKind,
    pub source_file: String,
    pub source_row: i64,
    pub role: String,
    /// Where both rows are there, the columns in which they are not the same.
    pub columns: Vec<ColumnDifference>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Replay {
    pub run_id: String,
    /// `hs@7`, and the challenger's if there was one.
    pub models: Vec<String>,
    /// Version of the program that made the run.
    pub program_then: String,
    /// Version of this program.
    pub program_now: String,
    /// What was asked for, where it is not all lines.
    pub sample: Option<String>,
    /// By name.
    pub files: Vec<FileReplay>,
    /// Tables of the lake that a reclassification read, at their versions.
    pub tables: Vec<PastTable>,
    /// Files that rows of the run name and its record does not, with the rows.
    pub strange_files: BTreeMap<String, u64>,
    /// All files together.
    pub rows: RowCounts,
    /// Lines that the run passed over, by its record.
    pub unchanged_then: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
    /// What may be why it is not equal, in words; nothing when it is.
    pub why: Vec<String>,
}

impl Replay {
    /// Whether all input was there and every row is the same.
    pub fn is_equal(&self) -> bool {
        let as_many = self.sample.is_some() || self.rows.unchanged == self.unchanged_then;
        self.rows.unequal() == 0 && self.lost().next().is_none() && self.lost_tables().next().is_none() && as_many
    }

    /// Files that are gone or changed.
    pub fn lost(&self) -> impl Iterator<Item = &FileReplay> {
        self.files.iter().filter(|file| matches!(file.found.state, InputState::Gone | InputState::Changed))
    }

    /// Tables whose version is gone, or says something else.
    pub fn lost_tables(&self) -> impl Iterator<Item = &PastTable> {
        self.tables.iter().filter(|table| table.state != InputState::There)
    }

    /// See [`Replay::why`].
    pub(super) fn reasons(&self) -> Vec<String> {
        let mut why = Vec::new();
        if self.is_equal() {
            return why;
        }
        if self.program_then != self.program_now {
            why.push(format!(
                "the run was made by version {} of the program, and this is version {}",
                self.program_then, self.program_now
            ));
        }
        for file in self.lost() {
            let what = if file.found.state == InputState::Gone { "is gone" } else { "was changed" };
            why.push(format!("{} {what}: {}", file.found.file.url, file.found.why.as_deref().unwrap_or_default()));
        }
        for table in self.lost_tables() {
            let version = table.version.map_or(String::new(), |version| format!(", version {version}"));
            why.push(format!("the table {}{version}: {}", table.table, table.why.as_deref().unwrap_or_default()));
        }
        if self.rows.unequal() > 0 && why.is_empty() {
            why.push("rows in the lake were changed, removed or added after the run".into());
        }
        why
    }
}
