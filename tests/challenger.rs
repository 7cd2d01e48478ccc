use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::lab::{Lab, RECIPE, folder, lab, number, ok, path, read, run, run_with, sql};
use crate::support::servers::python;

/// The columns of `predictions` that a model's answer fills.
const ANSWER: &str = "line_id, source_file, source_row, text_digest, hs6, confidence, confidence_heading, confidence_chapter, margin, \
                      alternatives, decision, reasons, model_name, model_version, model_digest, tariff_edition, policy_digest";

/// A registry with the lab's model as `hs@1`, one with the same tokenizer as `hs@2`, and one with another as `hs@3`.
pub fn trio() -> &'static str {
    static TRIO: OnceLock<(tempfile::TempDir, String)> = OnceLock::new();
    &TRIO
        .get_or_init(|| {
            let dir = folder();
            let (registry, exported) = (path(dir.path(), "models"), path(dir.path(), "exported"));
            ok(&["models", "export", "hs@1", &exported, "--registry", &lab().registry]);
            ok(&["models", "import", &exported, "--registry", &registry, "--by", "the tests"]);
            for (name, recipe) in [
                ("same.toml", RECIPE.replace("epochs = 4", "epochs = 2")),
                ("other.toml", RECIPE.replace("vocab_size = 3000", "vocab_size = 2000")),
            ] {
                let file = path(dir.path(), name);
                std::fs::write(&file, recipe).unwrap();
                let Lab { labelled, .. } = lab();
                let args = ["train", "--input", labelled, "--label", "hs6", "--registry", &registry, "--recipe", &file];
                ok(&[&args[..], &["--target-precision", "0.9", "--by", "the tests"]].concat());
            }
            (dir, registry)
        })
        .1
}

fn args<'a>(lake: &'a str, model: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = [
        "classify",
        "--input",
        &lab().lines,
        "--id",
        "line_id",
        "--lake",
        lake,
        "--registry",
        trio(),
        "--model",
        model,
    ];
    [&args, more].concat()
}

/// Answers of a lake with a condition that another, of one run, does not have, by an independent reader.
fn lacking(lake: &str, condition: &str, other: &str, of_other: &str) -> i64 {
    let other = format!("read_parquet('{other}/predictions/run_date=*/*.parquet')");
    let query = format!(
        "SELECT count(*) AS n FROM (SELECT {ANSWER} FROM t WHERE {condition} EXCEPT ALL SELECT {ANSWER} FROM {other} WHERE {of_other})"
    );
    number(lake, "predictions", &query)
}

/// Rows of a lake with a condition.
fn rows(lake: &str, condition: &str) -> i64 {
    number(lake, "predictions", &format!("SELECT count(*) AS n FROM t WHERE {condition}"))
}

/// What the run's record says.
fn record(lake: &str) -> Value {
    read(lake, "runs", "SELECT * FROM t").remove(0)
}

#[test]
fn both_answer_as_they_would_alone_and_the_challenger_is_written_where_it_differs() {
    let dir = folder();
    let [one, two, both] = ["one", "two", "both"].map(|name| path(dir.path(), name));
    ok(&args(&one, "hs@1", &[]));
    for challenger in ["hs@2", "hs@3"] {
        let two = format!("{two}{challenger}");
        let both = format!("{both}{challenger}");
        ok(&args(&two, challenger, &[]));
        let out = ok(&args(&both, "hs@1", &["--challenger", challenger]));
        assert!(out.contains(&format!("beside    {challenger}")), "{out}");
        assert_eq!(rows(&both, "role = 'champion'"), 140_000);
        assert_eq!(lacking(&one, "true", &both, "role = 'champion'"), 0, "the champion's are as always");
        assert_eq!(lacking(&both, "role = 'challenger'", &two, "true"), 0, "{challenger} answers as it would alone");
        let beside = rows(&both, "role = 'challenger'");
        // By an independent reader: the lines on which both differ are those that were written, and no other.
        let of = |lake: &str| format!("read_parquet('{lake}/predictions/run_date=*/*.parquet')");
        let differs = "((a.hs6 IS DISTINCT FROM b.hs6) OR a.decision <> b.decision)";
        let differing = number(
            &one,
            "predictions",
            &format!(
                "SELECT count(*) AS n FROM t AS a JOIN {} AS b USING (source_file, source_row) WHERE {differs}",
                of(&two)
            ),
        );
        let codes = number(
            &one,
            "predictions",
            &format!(
                "SELECT count(*) AS n FROM t AS a JOIN {} AS b USING (source_file, source_row) WHERE a.hs6 IS DISTINCT FROM b.hs6",
                of(&two)
            ),
        );
        assert_eq!(beside, differing);
        assert!(beside > 0);
        let run = record(&both);
        assert_eq!(run["lines_written"], 140_000);
        assert_eq!(run["challenger_lines"], 140_000);
        assert_eq!(run["challenger_written"], differing);
        assert_eq!(run["differing_lines"], differing);
        assert_eq!(run["differing_codes"], codes);
        assert_eq!(run["challenger_served"], 0);
        assert_eq!(sql(&both, "SELECT count(*) AS n FROM current_predictions")[0]["n"], 140_000);
        assert_eq!(sql(&both, "SELECT count(*) AS n FROM challenger_differences")[0]["n"], differing);
        let served = sql(&both, "SELECT DISTINCT role, model_version FROM current_predictions");
        assert_eq!(served, [serde_json::json!({"role": "champion", "model_version": 1})]);
    }
}

#[test]
fn all_rows_of_the_challenger_are_written_when_that_is_asked_for() {
    let dir = folder();
    let [two, both] = ["two", "both"].map(|name| path(dir.path(), name));
    ok(&args(&two, "hs@2", &[]));
    ok(&args(&both, "hs@1", &["--challenger", "hs@2", "--challenger-rows", "all"]));
    assert_eq!(rows(&both, "role = 'challenger'"), 140_000);
    assert_eq!(lacking(&two, "true", &both, "role = 'challenger'"), 0);
    assert_eq!(number(&both, "predictions", "SELECT count(*) AS n FROM t WHERE served"), 140_000);
    assert_eq!(
        sql(&both, "SELECT count(*) AS n FROM challenger_differences")[0]["n"],
        record(&both)["differing_lines"]
    );
}

/// The share is one of texts, drawn by `sha256("harmonize split" + digest)`, the same in every run and with every challenger.
#[test]
fn a_split_serves_a_fixed_share_of_the_texts_and_a_larger_one_holds_it() {
    let dir = folder();
    let [small, large, third] = ["small", "large", "third"].map(|name| path(dir.path(), name));
    ok(&args(&small, "hs@1", &["--challenger", "hs@2", "--split", "10%"]));
    ok(&args(&large, "hs@1", &["--challenger", "hs@2", "--split", "0.3", "--where", "origin = 'CN'"]));
    ok(&args(&third, "hs@2", &["--challenger", "hs@3", "--split", "10%", "--threads", "1"]));
    let texts = |lake: &str| -> BTreeSet<String> {
        let served =
            read(lake, "predictions", "SELECT DISTINCT text_digest FROM t WHERE served AND role = 'challenger'");
        served.into_iter().map(|row| row["text_digest"].as_str().unwrap().to_owned()).collect()
    };
    let all = number(&small, "predictions", "SELECT count(DISTINCT text_digest) AS n FROM t") as f64;
    let inside = texts(&small);
    assert!((inside.len() as f64 - 0.1 * all).abs() < 4.0 * (0.09 * all).sqrt(), "{} of {all}", inside.len());
    assert_eq!(texts(&third), inside, "whatever models and threads");
    let here = read(&large, "predictions", "SELECT DISTINCT text_digest FROM t WHERE text_digest IS NOT NULL");
    let here: BTreeSet<String> = here.iter().map(|row| row["text_digest"].as_str().unwrap().to_owned()).collect();
    let larger = texts(&large);
    assert!(inside.intersection(&here).all(|text| larger.contains(text)), "a larger share holds a smaller one");
    // One answer a line, whoever gives it.
    assert_eq!(number(&small, "predictions", "SELECT count(*) AS n FROM t WHERE served"), 140_000);
    let once = "SELECT count(DISTINCT (source_file, source_row)) AS n FROM t WHERE served";
    assert_eq!(number(&small, "predictions", once), 140_000);
    let twice = "SELECT count(*) AS n FROM t WHERE role = 'champion'";
    assert_eq!(number(&small, "predictions", twice), 140_000, "the champion's row is there all the same");
    let of_view =
        sql(&small, "SELECT count(*) AS n FROM current_predictions WHERE role = 'challenger' AND model_version = 2");
    assert_eq!(of_view[0]["n"], record(&small)["challenger_served"]);
    assert!(ok(&args(&small, "hs@1", &["--challenger", "hs@2", "--split", "10%"])).contains("already done"));
    assert!(!ok(&args(&small, "hs@1", &["--challenger", "hs@2", "--split", "20%"])).contains("already done"));
}

#[test]
fn wrong_calls_say_what_to_write() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    for (more, code, words) in [
        (&["--challenger", "hs@1"][..], 2, "is the model of the run"),
        (&["--split", "10%"][..], 2, "name one"),
        (&["--challenger-rows", "all"][..], 2, "name one"),
        (&["--challenger", "hs@2", "--split", "110%"][..], 2, "give a share such as 10%"),
        (&["--challenger", "hs@2", "--challenger-rows", "some"][..], 2, "differing or all"),
        (&["--challenger", "hs@9"][..], 21, "hs@9 is not in"),
        (&["--challenger", "hs@challenger"][..], 21, "keeps no alias"),
    ] {
        let ended = run(&args(&lake, "hs@1", more));
        assert_eq!(ended.code, code, "{more:?} {}", ended.err);
        assert!(ended.err.contains(words), "{more:?} {}", ended.err);
    }
    assert!(!Path::new(&lake).join("predictions").exists());
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let env = [set("HARMONIZE_CHALLENGER", "hs@2"), set("HARMONIZE_SPLIT", "10%")];
    let mut check = args(&lake, "hs@1", &[]);
    check[0] = "check";
    let ended = run_with(&check, &env);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("beside") && ended.out.contains("hs@2, rows differing, serves 10 %"), "{}", ended.out);
}

/// A lake of the contract before: it is read as it is, and gets its columns with the next run.
#[test]
fn a_lake_of_an_older_contract_is_read_and_widened() {
    let dir = folder();
    let [new, old] = ["new", "old"].map(|name| path(dir.path(), name));
    ok(&args(&new, "hs@1", &["--where", "origin = 'CN'"]));
    let rows = number(&new, "predictions", "SELECT count(*) AS n FROM t");
    let of_runs: Vec<&str> = "challenger_name challenger_version challenger_digest challenger_policy_digest challenger_rows \
                              split_ratio challenger_lines challenger_written challenger_served differing_lines differing_codes"
        .split(' ')
        .filter(|name| !name.is_empty())
        .collect();
    for (table, columns) in [("predictions", vec!["role", "served"]), ("runs", of_runs)] {
        let (from, to) = (format!("{new}/{table}"), format!("{old}/{table}"));
        python("old_table.py", &[&[from.as_str(), &to][..], &columns].concat(), &[]);
    }
    let count = |view: &str| sql(&old, &format!("SELECT count(*) AS n FROM {view}"))[0]["n"].as_i64().unwrap();
    assert_eq!(count("current_predictions"), rows);
    assert_eq!((count("challenger_differences"), count("run_history")), (0, 1));
    let mut check = args(&old, "hs@1", &[]);
    check[0] = "check";
    ok(&check);
    ok(&args(&old, "hs@1", &["--where", "origin = 'DE'", "--challenger", "hs@2"]));
    let more = number(&old, "predictions", "SELECT count(*) AS n FROM t WHERE role = 'champion'");
    assert!(more > 0);
    assert_eq!(number(&old, "predictions", "SELECT count(*) AS n FROM t WHERE role IS NULL"), rows);
    assert_eq!(count("current_predictions"), rows + more);
    assert_eq!(count("run_history"), 2);
}
