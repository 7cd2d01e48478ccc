//! The record of a search: `trials.jsonl`, a line that says what is searched, then a line for every trial.
//!
//! A line counts when it is whole and on disk; a torn last line is a trial that did not end, and is cut off. What is kept in
//! memory is what a reader of the file would get, so a search goes on after a restart as it would have without.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::Value;

use crate::error::{Context, Error, Result};
use crate::train::evaluate::Metrics;
use crate::train::table::nine;

/// What is searched; two searches with equal plans propose the same trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Of this file.
    pub format: u32,
    /// Name of the figure.
    pub objective: String,
    /// Where the random numbers begin.
    pub seed: u64,
    /// Digest of the space.
    pub space: String,
    /// Digest of the recipe that the parameters are put into.
    pub recipe: String,
    /// Digest of the lines and their parts.
    pub lines: String,
}

/// A trial that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// From 1.
    pub number: usize,
    /// Where the random numbers of its proposal begin.
    pub seed: u64,
    /// Where those of its training begin.
    pub fit_seed: u64,
    /// Recipe keys and their values.
    pub parameters: BTreeMap<String, Value>,
    /// The figure, the larger the better, to nine decimals; `None` when the trial failed.
    pub figure: Option<f64>,
    /// What else was measured; `None` when the trial failed.
    pub measured: Option<Measured>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Wall time.
    pub secs: f64,
    /// CPU time of all threads, where the system tells it.
    pub cpu_secs: Option<f64>,
}

/// Figures of a trial on the lines that judge it, to nine decimals; see [`Metrics`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Lines.
    pub rows: usize,
    /// Share right at six digits.
    pub hs6: f64,
    /// At four.
    pub hs4: f64,
    /// At two.
    pub hs2: f64,
    /// Share with the right code among the best five.
    pub hs6_top_five: f64,
    /// Macro F1.
    pub macro_f1: f64,
    /// Coverage at 98 % precision.
    pub coverage_at_98: f64,
    /// At 95 %.
    pub coverage_at_95: f64,
    /// Calibration error of six digits.
    pub calibration_error_hs6: f64,
    /// Epochs that ran, of all members.
    pub epochs: usize,
}

impl Measured {
    /// From the figures.
    pub fn new(m: &Metrics, epochs: usize) -> Measured {
        let accuracy = &m.accuracy;
        Measured {
            rows: m.rows,
            hs6: nine(accuracy.hs6),
            hs4: nine(accuracy.hs4),
            hs2: nine(accuracy.hs2),
            hs6_top_five: nine(accuracy.hs6_top_five),
            macro_f1: nine(m.macro_f1),
            coverage_at_98: nine(m.coverage(0.98)),
            coverage_at_95: nine(m.coverage(0.95)),
            calibration_error_hs6: nine(m.calibration_error.hs6),
            epochs,
        }
    }
}

/// The file, held by one process.
pub struct Trials {
    file: File,
    path: PathBuf,
    done: Vec<Trial>,
}

impl Trials {
    /// Opens the record, or begins it.
    ///
    /// # Errors
    /// `RaceLost` when another process has it; `Usage` when it is of another search; `Input` when it is broken.
    pub fn open(path: &Path, plan: &Plan) -> Result<Trials> {
        let name = || path.display().to_string();
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).context(name)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::RaceLost(format!(
                    "{}: another search writes to it; wait, or give another --out",
                    name()
                )));
            }
            Err(TryLockError::Error(e)) => return Err(e).context(name),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).context(name)?;
        // What has no line break at its end was being written when the process died.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole < bytes.len() {
            tracing::warn!(file = name(), bytes = bytes.len() - whole, "a trial that did not end is cut off");
            file.set_len(whole as u64).context(name)?;
        }
        file.seek(SeekFrom::End(0)).context(name)?;
        let mut trials = Trials { file, path: path.to_path_buf(), done: Vec::new() };
        let mut lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let Some(first) = lines.next() else {
            trials.write(plan)?;
            return Ok(trials);
        };
        let there: Plan = trials.parse(first, 1)?;
        if there != *plan {
            return Err(Error::Usage(format!(
                "{}: it holds a search of another {}; give another --out, or what that search was given",
                name(),
                differing(&there, plan)
            )));
        }
        for (n, line) in lines.enumerate() {
            let trial: Trial = trials.parse(line, n + 2)?;
            if trial.number != n + 1 {
                return Err(trials.broken(n + 2, &format!("trial {} where {} is due", trial.number, n + 1)));
            }
            trials.done.push(trial);
        }
        Ok(trials)
    }

    /// The trials that ended, in their order.
    pub fn done(&self) -> &[Trial] {
        &self.done
    }

    /// Adds a trial; it is on disk when this returns.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn add(&mut self, trial: &Trial) -> Result<&Trial> {
        let line = self.write(trial)?;
        let trial = self.parse(&line, self.done.len() + 2)?;
        self.done.push(trial);
        self.done.last().ok_or_else(|| Error::Bug("a trial was lost".into()))
    }

    fn write(&mut self, line: &impl Serialize) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(line).map_err(|e| Error::Bug(format!("trials.jsonl: {e}")))?;
        bytes.push(b'\n');
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_all());
        written.context(|| self.path.display().to_string())?;
        Ok(bytes)
    }

    fn parse<T: DeserializeOwned>(&self, line: &[u8], number: usize) -> Result<T> {
        serde_json::from_slice(line).map_err(|e| self.broken(number, &e.to_string()))
    }

    fn broken(&self, line: usize, why: &str) -> Error {
        Error::Input(format!(
            "{}: line {line} is broken ({why}); restore the file, or give another --out",
            self.path.display()
        ))
    }
}

/// What is not the same in two plans, in words.
fn differing(a: &Plan, b: &Plan) -> String {
    let parts = [
        ("program version", a.format != b.format),
        ("objective", a.objective != b.objective),
        ("seed", a.seed != b.seed),
        ("space", a.space != b.space),
        ("recipe", a.recipe != b.recipe),
        ("set of lines", a.lines != b.lines),
    ];
    parts.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Plan {
        Plan { format: 2, objective: "o".into(), seed, space: "s".into(), recipe: "r".into(), lines: "l".into() }
    }

    fn trial(number: usize) -> Trial {
        let parameters = [("fit.dropout", Value::Float(0.25)), ("model.widths", Value::Array(vec![Value::Integer(1)]))];
        let parameters = parameters.into_iter().map(|(key, value)| (key.to_string(), value)).collect();
        let measured = Some(Measured::new(&Metrics { rows: 7, macro_f1: 0.1 + 0.2, ..Metrics::default() }, 3));
        let (seed, fit_seed, figure) = (u64::MAX - 1, 17, Some(0.634_285_714));
        Trial { number, seed, fit_seed, parameters, figure, measured, failed: None, secs: 1.5, cpu_secs: Some(2.25) }
    }

    #[test]
    fn what_was_added_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trials.jsonl");
        let failed = Trial { figure: None, measured: None, failed: Some("no".into()), cpu_secs: None, ..trial(2) };
        let mut trials = Trials::open(&path, &plan(1)).unwrap();
        assert_eq!(trials.add(&trial(1)).unwrap(), &trial(1));
        trials.add(&failed).unwrap();
        drop(trials);
        let mut trials = Trials::open(&path, &plan(1)).unwrap();
        assert_eq!(trials.done(), [trial(1), failed]);
        trials.add(&trial(3)).unwrap();
        drop(trials);
        assert_eq!(Trials::open(&path, &plan(1)).unwrap().done().len(), 3);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 4);
    }

    #[test]
    fn a_torn_last_line_is_cut_off_wherever_it_was_torn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trials.jsonl");
        let mut trials = Trials::open(&path, &plan(1)).unwrap();
        trials.add(&trial(1)).unwrap();
        drop(trials);
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let mut trials = Trials::open(&path, &plan(1)).unwrap();
            assert!(trials.done().is_empty(), "{length}");
            trials.add(&trial(1)).unwrap();
            drop(trials);
            assert_eq!(std::fs::read(&path).unwrap(), whole, "torn after {length} bytes, {first} of them the plan");
        }
    }

    #[test]
    fn another_search_a_broken_line_and_a_second_process_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trials.jsonl");
        let refused = |plan: &Plan| match Trials::open(&path, plan) {
            Err(e) => (e.exit_code(), e.to_string()),
            Ok(_) => panic!("taken"),
        };
        let mut trials = Trials::open(&path, &plan(1)).unwrap();
        trials.add(&trial(1)).unwrap();
        let (code, said) = refused(&plan(1));
        assert!(code == 30 && said.contains("another search"), "{said}");
        drop(trials);
        let (code, said) = refused(&Plan { lines: "m".into(), ..plan(2) });
        assert!(code == 2 && said.contains("seed, set of lines"), "{said}");
        let text = std::fs::read_to_string(&path).unwrap();
        // The folder of an earlier program: its trials have other fields, and are not looked at.
        let earlier = text.replace("\"format\":2", "\"format\":1").replace("\"fit_seed\":17,", "");
        std::fs::write(&path, earlier).unwrap();
        let (code, said) = refused(&plan(1));
        assert!(code == 2 && said.contains("another program version") && said.contains("another --out"), "{said}");
        for (broken, line) in
            [(format!("{text}{{\n"), "line 3"), (text.replace("\"number\":1", "\"number\":7"), "line 2")]
        {
            std::fs::write(&path, broken).unwrap();
            let (code, said) = refused(&plan(1));
            assert!(code == 20 && said.contains(line), "{said}");
        }
    }
}
