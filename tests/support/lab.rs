//! The program as a user runs it, a small model trained once, and sample lines.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::Value;

use super::servers;

/// The program with these arguments, without settings from the outside.
pub fn harmonize(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harmonize"));
    for (name, _) in std::env::vars() {
        if name.starts_with("AWS_") || name.starts_with("HARMONIZE_") {
            command.env_remove(name);
        }
    }
    command.args(args).stdin(Stdio::null()).env("HARMONIZE_CHECKPOINTS", "none");
    command
}

/// How a command ended.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ended {
    fn from(o: Output) -> Self {
        Ended {
            code: o.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&o.stdout).into_owned(),
            err: String::from_utf8_lossy(&o.stderr).into_owned(),
        }
    }
}

/// Runs the program.
pub fn run(args: &[&str]) -> Ended {
    run_with(args, &[])
}

/// Runs the program with more environment.
pub fn run_with(args: &[&str], env: &[(String, String)]) -> Ended {
    harmonize(args).envs(env.iter().cloned()).output().unwrap().into()
}

/// Runs the program, which must succeed; its standard output.
pub fn ok(args: &[&str]) -> String {
    ok_with(args, &[])
}

/// As `ok`, with more environment.
pub fn ok_with(args: &[&str], env: &[(String, String)]) -> String {
    let ended = run_with(args, env);
    assert_eq!(ended.code, 0, "{args:?}\n{}\n{}", ended.out, ended.err);
    ended.out
}

/// A small model and the lines that it may classify, made once for all tests.
pub struct Lab {
    /// Folder with the registry (`hs@1`).
    pub registry: String,
    /// Folder with 20,000 labelled sample lines.
    pub labelled: String,
    /// Folder with 140,000 sample lines in three files.
    pub lines: String,
    /// Network settings of the small model.
    pub recipe: String,
    _dir: tempfile::TempDir,
}

pub const RECIPE: &str = "[model]\nvocab_size = 3000\nembedding_dim = 32\nfilters = 32\nwidths = [1, 2, 3]\nscreen_dim = 24\nbag_dim = 16\nbag_buckets = 4096\n\
                          [fit]\nmembers = 1\nepochs = 4\nbag = { together = false, members = 1, plain_members = 0, weight = 3.0, row_rate_ratio = 8.0, epochs = 3 }\n[split]\ntest = 0.05\nthreshold = 0.1\n";

/// The lab of this test process.
pub fn lab() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
        let (registry, labelled, lines, recipe) = (at("models"), at("labelled"), at("lines"), at("recipe.toml"));
        std::fs::write(&recipe, RECIPE).unwrap();
        ok(&["sample", "--output", &labelled, "--rows", "20000", "--seed", "1", "--labelled", "--classes", "150"]);
        ok(&["sample", "--output", &lines, "--rows", "140000", "--seed", "2", "--rows-per-file", "65536"]);
        ok(&[
            "train",
            "--input",
            &labelled,
            "--label",
            "hs6",
            "--registry",
            &registry,
            "--recipe",
            &recipe,
            "--target-precision",
            "0.9",
            "--by",
            "the tests",
        ]);
        Lab { registry, labelled, lines, recipe, _dir: dir }
    })
}

/// A fresh folder.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A path in a folder, as text.
pub fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().unwrap().to_string()
}

/// Writes one Parquet file of these columns.
pub fn write_parquet(file: &Path, columns: Vec<(&str, ArrayRef)>) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(file).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Writes descriptions with ids `0, 1, …` to a file.
pub fn write_lines(file: &Path, descriptions: &[Option<&str>]) {
    let ids: StringArray = (0..descriptions.len()).map(|i| Some(i.to_string())).collect();
    let text: StringArray = descriptions.iter().copied().collect();
    write_parquet(file, vec![("line_id", Arc::new(ids)), ("description", Arc::new(text))]);
}

/// Arguments of `classify` with the lab's model.
pub fn classify_args<'a>(input: &'a str, lake: &'a str) -> Vec<&'a str> {
    vec!["classify", "--input", input, "--id", "line_id", "--lake", lake, "--registry", &lab().registry]
}

/// Rows of a query over a table of a lake on disk, by an independent reader (DuckDB).
pub fn read(lake: &str, table: &str, query: &str) -> Vec<Value> {
    let url = format!("{lake}/{table}");
    let answer = servers::python("read_delta.py", &[&url, "--engine", "duckdb", "--query", query], &[]);
    answer.as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

/// One number of such a query, whose column is `n`.
pub fn number(lake: &str, table: &str, query: &str) -> i64 {
    read(lake, table, query)[0]["n"].as_i64().unwrap()
}

/// Rows of `harmonize sql` as JSON.
pub fn sql(lake: &str, query: &str) -> Vec<Value> {
    ok(&["sql", "--lake", lake, "--format", "ndjson", query])
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

/// Data files below a folder.
pub fn parquet_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "parquet") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
