//! What a replay found: file by file in numbers, and the first lines that are not the same, column by column.
//!
//! What always holds: the order of what is told is that of files, rows and roles, whatever was compared first.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::inputs::{Found, InputState};

/// Differences that are told; all are counted.
pub(super) const TOLD: usize = 20;

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
    /// Files that rows of the run name and its record does not, with the rows.
    pub strange_files: BTreeMap<String, u64>,
    /// All files together.
    pub rows: RowCounts,
    /// Lines that the run passed over, by its record.
    pub unchanged_then: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
}

impl Replay {
    /// Whether all input was there and every row is the same.
    pub fn is_equal(&self) -> bool {
        let as_many = self.sample.is_some() || self.rows.unchanged == self.unchanged_then;
        self.rows.unequal() == 0 && self.lost().next().is_none() && as_many
    }

    /// Files that are gone or changed.
    pub fn lost(&self) -> impl Iterator<Item = &FileReplay> {
        self.files.iter().filter(|file| file.found.state != InputState::There)
    }
}
