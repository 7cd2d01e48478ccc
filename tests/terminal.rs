use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::lab::{classify_args, folder, lab, ok, path, write_lines};
use crate::support::servers::python;

const PROMPT: &str = "harmonize> ";

/// A query that takes hours.
const HEAVY: &str = "SELECT count(*) FROM generate_series(1, 3000000) AS a(x), generate_series(1, 3000000) AS b(y) \
                     WHERE (a.x * b.y) % 7 = 3;\r";

/// One in which a model is asked about tens of millions of texts.
const SCORING: &str = "SELECT count(hs_code('goods ' || a.x)) FROM generate_series(1, 60000000) AS a(x);\r";

/// Types into a shell over `lake`, whose history is below `home`: each text, and what is then to be seen, in this order.
fn typed(home: &str, lake: &str, more: &[&str], steps: &[(&str, &[&str])]) -> Value {
    let mut all = vec![json!(["expect", PROMPT, 20])];
    for (sent, shown) in steps {
        all.push(json!(["send", sent]));
        all.extend(shown.iter().map(|text| json!(["expect", text, 20])));
    }
    let steps = Value::from(all).to_string();
    let program = [&[steps.as_str(), env!("CARGO_BIN_EXE_harmonize"), "sql", "--lake", lake], more].concat();
    let seen = python("terminal.py", &program, &[("XDG_STATE_HOME".into(), home.into())]);
    assert_eq!(seen["late"], Value::Null, "{seen:#}");
    assert_eq!(seen["code"], 0, "{seen:#}");
    seen
}

fn said(seen: &Value) -> String {
    seen["said"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// A folder with an empty lake, whose path it is, and a place for the history.
fn empty_lake() -> (tempfile::TempDir, String, String) {
    let dir = folder();
    let (home, lake) = (path(dir.path(), "state"), path(dir.path(), "lake"));
    std::fs::create_dir(&lake).unwrap();
    (dir, home, lake)
}

#[test]
fn statements_go_over_lines_errors_end_nothing_and_earlier_statements_come_back() {
    let (dir, home, lake) = empty_lake();
    let steps: &[(&str, &[&str])] = &[
        ("SELECT 40 +\r", &[]),
        ("  2 AS answer;\r", &["| 42     |", PROMPT]),
        ("SELECT * FROM nowhere; SELECT 1;\r", &["error: ", PROMPT]),
        (" SELECT 'not remembered' AS x;\r", &["| not remembered |", PROMPT]),
        ("\\timing on\r", &[PROMPT]),
        ("SELECT 7 AS n;\r", &["time: ", PROMPT]),
        ("\\q\r", &[]),
    ];
    typed(&home, &lake, &[], steps);
    let history = dir.path().join("state/harmonize/sql_history");
    let kept = std::fs::read_to_string(&history).unwrap();
    assert!(kept.contains("SELECT 40 +\\n  2 AS answer;") && !kept.contains("not remembered"), "{kept}");
    assert_eq!(std::fs::metadata(&history).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(history.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);

    // Another session: up, up is the statement before "\q". Ctrl-C twice at the prompt leaves.
    let again: &[(&str, &[&str])] =
        &[("\u{1b}[A\u{1b}[A\r", &["| 7 |", PROMPT]), ("\u{3}", &["once more", PROMPT]), ("\u{3}", &[])];
    typed(&home, &lake, &[], again);
}

#[test]
fn tab_completes_tables_columns_functions_keywords_commands_and_named_queries() {
    let (_dir, home, lake) = empty_lake();
    let steps: &[(&str, &[&str])] = &[
        ("sel\t 1 AS n;\r", &["select 1 AS n;"]),
        ("SELECT count(*) AS n FROM run_h\t;\r", &["FROM run_history;"]),
        ("SELECT count(p.confidence_h\t) AS n FROM predictions p;\r", &["p.confidence_heading"]),
        ("SELECT count(tariff_ed\t) AS n FROM predictions;\r", &["tariff_edition"]),
        ("SELECT p.text_di\t\r", &["p.text_digest"]),
        ("\u{15};\r", &[PROMPT]),
        ("SELECT hs_desc\t('847130') AS goods;\r", &["hs_describe('847130')"]),
        ("\\form\t csv\r", &["\\format csv"]),
        ("\\run lines_by_rea\t\r", &["\\run lines_by_reason"]),
        ("\\d corre\t\r", &["\\d correlations"]),
        ("\\q\r", &[]),
    ];
    typed(&home, &lake, &[], steps);
}

#[test]
fn ctrl_c_cancels_the_statement_and_the_next_one_runs() {
    let (_dir, home, lake) = empty_lake();
    let steps: &[(&str, &[&str])] = &[
        (HEAVY, &["Ctrl-C cancels"]),
        ("\u{3}", &["cancelled", PROMPT]),
        ("SELECT 6 * 7 AS n;\r", &["| 42 |", PROMPT]),
        (HEAVY, &["Ctrl-C cancels"]),
        ("\u{3}", &["cancelled", PROMPT]),
        (SCORING, &["Ctrl-C cancels"]),
        ("\u{3}", &["cancelled", PROMPT]),
        ("SELECT hs_code('cotton shirts') IS NOT NULL AS coded;\r", &["| true", PROMPT]),
        ("\u{4}", &[]),
    ];
    typed(&home, &lake, &["--registry", &lab().registry, "--model", "hs@1"], steps);
}

#[test]
fn parameters_scripts_and_help_are_at_hand() {
    let (dir, home, lake) = empty_lake();
    let script = path(dir.path(), "script.sql");
    std::fs::write(&script, "SELECT $n + 1 AS more;\nSELECT 'from the script' AS said;\n").unwrap();
    let run = format!("\\i {script}\r");
    let steps: &[(&str, &[&str])] = &[
        ("\\?\r", &["\\param", "\\timing", PROMPT]),
        ("\\param n=41\r", &[PROMPT]),
        ("\\param\r", &["n", "41", PROMPT]),
        (&run, &["| 42", "| from the script |", PROMPT]),
        ("\\i no_such_file.sql\r", &["no_such_file.sql", PROMPT]),
        ("\\timing\r", &[PROMPT]),
        ("SELECT 7 AS seven;\r", &["| 7", " s", PROMPT]),
        ("\\queries lines_by_reason\r", &["lines_by_reason", PROMPT]),
        ("\\nonsense\r", &["error: ", PROMPT]),
        ("\\q\r", &[]),
    ];
    typed(&home, &lake, &[], steps);
}

#[test]
fn the_lake_is_seen_as_it_is_now_and_rows_go_where_they_are_sent() {
    let dir = folder();
    let (home, lake, out) = (path(dir.path(), "state"), path(dir.path(), "lake"), path(dir.path(), "out.csv"));
    let input = dir.path().join("in/lines.parquet");
    write_lines(&input, &[Some("cotton shirts"), Some("steel bolts")]);
    ok(&classify_args(input.parent().unwrap().to_str().unwrap(), &lake));
    let registry = ["--registry", &lab().registry, "--model", "hs@1"];
    let to_file = format!("\\o {out}\r");
    let steps: &[(&str, &[&str])] = &[
        ("\\d\r", &["| predictions", PROMPT]),
        ("SELECT hs_predict('cotton shirts')['decision'] IS NOT NULL AS d;\r", &["| true", PROMPT]),
        (&to_file, &[PROMPT]),
        ("\\format csv\r", &[PROMPT]),
        ("SELECT count(*) AS n FROM predictions;\r", &["1 row to", PROMPT]),
        ("SELECT 1 / 0 AS n FROM predictions;\r", &["error: ", PROMPT]),
        ("\\o\r", &[PROMPT]),
        ("\\format parquet\r", &[PROMPT]),
        ("SELECT 1 AS n;\r", &["not for a terminal", PROMPT]),
        ("\\format table\r", &[PROMPT]),
        ("\\x on\r", &[PROMPT]),
        ("SELECT 5 AS five, 'x' AS letter;\r", &["letter | x"]),
        ("\\q\r", &[]),
    ];
    let seen = typed(&home, &lake, &registry, steps);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "n\n2\n", "{}", said(&seen));
}
