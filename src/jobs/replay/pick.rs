//! Which lines of a run are scored again: a range of the places that a hash gives them, or one line.
//!
//! What always holds: the place of a line depends on its address and its run alone, so that a sample is the same wherever it
//! is drawn, and parts of a run that fit into memory are parts of the same ranges. The program's function for it is said to
//! be volatile, which keeps it behind the filter of the run and out of the reader of the files.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result as PlanResult;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::prelude::{DataFrame, ident};
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::sql::ROLES;

/// Places in `from..=to`, or the line at an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Places { from: u64, to: u64 },
    Line { file: String, row: i64 },
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pick {
    pub run_id: String,
    pub part: Part,
}

impl Pick {
    /// Every line of a run.
    pub fn all(run_id: &str) -> Pick {
        Pick { run_id: run_id.to_string(), part: Part::Places { from: 0, to: u64::MAX } }
    }

    /// As so many ranges that are about equal; a single line stays one.
    pub fn split(&self, parts: u64) -> Vec<Pick> {
        let Part::Places { from, to } = self.part else { return vec![self.clone()] };
        let width = (u128::from(to - from) + 1).div_ceil(u128::from(parts.max(1)));
        let ends = (0..u128::from(parts.max(1))).map(|n| u128::from(from) + n * width);
        let ranges = ends.filter(|start| *start <= u128::from(to)).map(|start| Part::Places {
            // Both are within the range that is split.
            from: start as u64,
            to: (start + width - 1).min(u128::from(to)) as u64,
        });
        ranges.map(|part| Pick { run_id: self.run_id.clone(), part }).collect()
    }

    /// Share of all lines that it takes, 0 to 1; of one line nothing is said.
    pub fn share(&self) -> f64 {
        match self.part {
            Part::Places { from, to } => ((to - from) as f64 + 1.0) / 2f64.powi(64),
            Part::Line { .. } => 0.0,
        }
    }

    /// The rows of a frame with `source_file` and `source_row` that are picked.
    pub fn filter(&self, lines: DataFrame) -> Result<DataFrame> {
        if self.part == (Part::Places { from: 0, to: u64::MAX }) {
            return Ok(lines);
        }
        let picked =
            ScalarUDF::new_from_impl(Picked { pick: self.clone(), signature: Signature::any(2, Volatility::Volatile) });
        Ok(lines.filter(picked.call(vec![ident("source_file"), ident("source_row")]))?)
    }

    fn takes(&self, file: &str, row: i64) -> bool {
        match &self.part {
            Part::Places { from, to } => (*from..=*to).contains(&place_of(&self.run_id, file, row)),
            Part::Line { file: wanted, row: at } => *at == row && wanted == file,
        }
    }
}

/// SHA-256 of `RUN_ID`, a line break, the file's URL, a line break and the row in decimal.
fn hash_of(run_id: &str, file: &str, row: i64) -> [u8; 32] {
    Sha256::digest(format!("{run_id}\n{file}\n{row}")).into()
}

/// The place of a line among those of its run: the first eight bytes of the hash of its address, as a number.
pub fn place_of(run_id: &str, file: &str, row: i64) -> u64 {
    let hash = hash_of(run_id, file, row);
    u64::from_be_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]])
}

/// What tells a row of a run from every other: 126 bits of the hash of its address, and the role. A role that there is not
/// is a third one.
pub(super) fn key_of(run_id: &str, file: &str, row: i64, role: &str) -> u128 {
    let hash = hash_of(run_id, file, row);
    let high = hash.iter().take(16).fold(0u128, |key, byte| (key << 8) | u128::from(*byte));
    let role = ROLES.iter().position(|known| *known == role).unwrap_or(ROLES.len());
    (high & !3) | role as u128
}

/// A column of file names and one of rows, as they are in whatever encoding.
pub(super) fn addresses(file: &ArrayRef, row: &ArrayRef) -> Result<(StringArray, Vec<i64>)> {
    let files = arrow::compute::cast(file, &DataType::Utf8)?.as_string::<i32>().clone();
    let rows = arrow::compute::cast(row, &DataType::Int64)?;
    Ok((files, rows.as_primitive::<Int64Type>().values().to_vec()))
}

#[derive(PartialEq, Eq)]
struct Picked {
    pick: Pick,
    signature: Signature,
}

impl fmt::Debug for Picked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "picked[{:?}]", self.pick.part)
    }
}

impl Hash for Picked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pick.hash(state);
    }
}

impl ScalarUDFImpl for Picked {
    fn name(&self) -> &str {
        "picked"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> PlanResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let [file, row] = &args.args[..] else {
            return Err(DataFusionError::Internal("picked takes two arguments".into()));
        };
        let (files, rows) = addresses(&file.to_array(args.number_rows)?, &row.to_array(args.number_rows)?)?;
        let picked: BooleanArray =
            files.iter().zip(rows).map(|(file, row)| Some(self.pick.takes(file.unwrap_or_default(), row))).collect();
        Ok(ColumnarValue::Array(Arc::new(picked)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By an independent program: `printf 'r\nf\n7' | sha256sum`.
    #[test]
    fn a_line_has_the_place_that_the_documentation_says() {
        let sum = std::process::Command::new("sh").args(["-c", "printf 'r\\nf\\n7' | sha256sum"]).output().unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        assert_eq!(format!("{:016x}", place_of("r", "f", 7)), sum[..16]);
        let key = format!("{:032x}", key_of("r", "f", 7, "champion"));
        assert_eq!(key[..31], sum[..31]);
        assert_eq!(key_of("r", "f", 7, "challenger"), key_of("r", "f", 7, "champion") + 1);
        assert_eq!(key_of("r", "f", 7, "jester"), key_of("r", "f", 7, "champion") + 2);
    }

    #[test]
    fn parts_of_a_run_take_each_line_once() {
        for parts in [1, 2, 3, 7, 1000] {
            let split = Pick::all("r").split(parts);
            assert_eq!(split.len() as u64, parts);
            for row in 0..500 {
                assert_eq!(split.iter().filter(|pick| pick.takes("f", row)).count(), 1, "{parts} {row}");
            }
        }
        let few = Pick { run_id: "r".into(), part: Part::Places { from: 5, to: 6 } };
        let parts: Vec<Part> = few.split(4).into_iter().map(|pick| pick.part).collect();
        assert_eq!(parts, [Part::Places { from: 5, to: 5 }, Part::Places { from: 6, to: 6 }]);
        let line = Pick { run_id: "r".into(), part: Part::Line { file: "f".into(), row: 3 } };
        assert_eq!(line.split(9), std::slice::from_ref(&line));
        assert!(line.takes("f", 3) && !line.takes("f", 4) && !line.takes("g", 3));
    }
}
