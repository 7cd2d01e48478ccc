use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::lab::{classify_args, folder, lab, ok, path, write_lines};
use crate::support::servers::python;

const PROMPT: &str = "harmonize> ";

/// A query that takes hours.
const HEAVY: &str = "SELECT count(*) FROM generate_series(1, 3000000) AS a(x), generate_series(1, 3000000) AS b(y) \
                     WHERE (a.x * b.y) % 7 = 3;\r";

/// Types into a shell over `lake`, whose history is below `home`.
fn typed(home: &str, lake: &str, more: &[&str], steps: Vec<Value>) -> Value {
    let mut all = vec![json!(["expect", PROMPT, 20])];
    all.extend(steps);
    let steps = Value::from(all).to_string();
    let program = [&[steps.as_str(), env!("CARGO_BIN_EXE_harmonize"), "sql", "--lake", lake], more].concat();
    let seen = python("terminal.py", &program, &[("XDG_STATE_HOME".into(), home.into())]);
    assert_eq!(seen["late"], Value::Null, "{seen:#}");
    seen
}

fn said(seen: &Value) -> String {
    seen["said"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn statements_go_over_lines_errors_end_nothing_and_earlier_statements_come_back() {
    let dir = folder();
    let (home, lake) = (path(dir.path(), "state"), path(dir.path(), "lake"));
    std::fs::create_dir(&lake).unwrap();
    let seen = typed(
        &home,
        &lake,
        &[],
        vec![
            json!(["send", "SELECT 40 +\r"]),
            json!(["send", "  2 AS answer;\r"]),
            json!(["expect", "| 42     |", 10]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "SELECT * FROM nowhere; SELECT 1;\r"]),
            json!(["expect", "error: ", 10]),
            json!(["expect", PROMPT, 5]),
            json!(["send", " SELECT 'not remembered' AS x;\r"]),
            json!(["expect", "| not remembered |", 10]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "\\timing on\r"]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "SELECT 7 AS n;\r"]),
            json!(["expect", "time: ", 10]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "\\q\r"]),
        ],
    );
    assert_eq!(seen["code"], 0, "{seen:#}");
    let history = dir.path().join("state/harmonize/sql_history");
    let kept = std::fs::read_to_string(&history).unwrap();
    assert!(kept.contains("SELECT 40 +\\n  2 AS answer;") && !kept.contains("not remembered"), "{kept}");
    assert_eq!(std::fs::metadata(&history).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(history.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);

    // Another session: up, up, up is the statement before "\q" and "SELECT 7 …".
    let up = "\u{1b}[A";
    let again = typed(
        &home,
        &lake,
        &[],
        vec![
            json!(["send", format!("{up}{up}\r")]),
            json!(["expect", "| 7 |", 10]),
            json!(["expect", PROMPT, 5]),
            // Ctrl-C twice at the prompt leaves.
            json!(["send", "\u{3}"]),
            json!(["expect", "once more", 5]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "\u{3}"]),
        ],
    );
    assert_eq!(again["code"], 0, "{again:#}");
}

#[test]
fn tab_completes_tables_columns_functions_keywords_commands_and_named_queries() {
    let dir = folder();
    let (home, lake) = (path(dir.path(), "state"), path(dir.path(), "lake"));
    std::fs::create_dir(&lake).unwrap();
    let steps = [
        ("sel\t 1 AS n;\r", "select 1 AS n;"),
        ("SELECT count(*) AS n FROM run_h\t;\r", "FROM run_history;"),
        ("SELECT count(p.confidence_h\t) AS n FROM predictions p;\r", "p.confidence_h"),
        ("SELECT count(tariff_ed\t) AS n FROM predictions;\r", "tariff_ed"),
        ("SELECT p.text_di\t\r", "p.text_di"),
        ("\u{15};\r", PROMPT),
        ("\\form\t csv\r", "\\format csv"),
        ("\\run lines_by_rea\t\r", "\\run lines_by_reason"),
        ("\\d corre\t\r", "\\d correlations"),
    ];
    let mut all = Vec::new();
    for (sent, shown) in steps {
        all.push(json!(["send", sent]));
        all.push(json!(["expect", shown, 10]));
    }
    all.push(json!(["send", "\\q\r"]));
    let seen = typed(&home, &lake, &[], all);
    assert_eq!(seen["code"], 0, "{seen:#}");
}

#[test]
fn ctrl_c_cancels_the_statement_and_the_next_one_runs() {
    let dir = folder();
    let (home, lake) = (path(dir.path(), "state"), path(dir.path(), "lake"));
    std::fs::create_dir(&lake).unwrap();
    let seen = typed(
        &home,
        &lake,
        &[],
        vec![
            json!(["send", HEAVY]),
            json!(["expect", "Ctrl-C cancels", 15]),
            json!(["send", "\u{3}"]),
            json!(["expect", "cancelled", 5]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "SELECT 6 * 7 AS n;\r"]),
            json!(["expect", "| 42 |", 10]),
            json!(["expect", PROMPT, 5]),
            json!(["send", HEAVY]),
            json!(["wait", 0.5]),
            json!(["send", "\u{3}"]),
            json!(["expect", "cancelled", 5]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "\u{4}"]),
        ],
    );
    assert_eq!(seen["code"], 0, "{seen:#}");
}

#[test]
fn the_lake_is_seen_as_it_is_now_and_rows_go_where_they_are_sent() {
    let dir = folder();
    let (home, lake, out) = (path(dir.path(), "state"), path(dir.path(), "lake"), path(dir.path(), "out.csv"));
    let input = dir.path().join("in/lines.parquet");
    write_lines(&input, &[Some("cotton shirts"), Some("steel bolts")]);
    ok(&classify_args(input.parent().unwrap().to_str().unwrap(), &lake));
    let registry = ["--registry", &lab().registry, "--model", "hs@1"];
    let seen = typed(
        &home,
        &lake,
        &registry,
        vec![
            json!(["send", "\\d\r"]),
            json!(["expect", "| predictions", 10]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "SELECT hs_predict('cotton shirts')['decision'] IS NOT NULL AS d;\r"]),
            json!(["expect", "| true", 20]),
            json!(["expect", PROMPT, 5]),
            json!(["send", format!("\\o {out}\r")]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "\\format csv\r"]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "SELECT count(*) AS n FROM predictions;\r"]),
            json!(["expect", "1 row to", 10]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "SELECT 1 / 0 AS n FROM predictions;\r"]),
            json!(["expect", "error: ", 10]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "\\o\r"]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "\\format parquet\r"]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "SELECT 1 AS n;\r"]),
            json!(["expect", "not for a terminal", 10]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "\\format table\r"]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "\\x on\r"]),
            json!(["expect", PROMPT, 5]),
            json!(["send", "SELECT 5 AS five, 'x' AS letter;\r"]),
            json!(["expect", "letter | x", 10]),
            json!(["send", "\\q\r"]),
        ],
    );
    assert_eq!(seen["code"], 0, "{seen:#}");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "n\n2\n", "{}", said(&seen));
}
