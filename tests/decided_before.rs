//! What people decided in an earlier edition, and models of an earlier edition, in a lake that has moved on.

use serde_json::{Value, json};

use crate::reclassify::{args, small_lake, two};
use crate::support::lab::{folder, ok, path, run, sql};
use crate::support::servers::python;

/// A text whose lines have one of the most frequent codes, the code, and one of its lines.
fn text_of(lake: &str, at: usize) -> (String, String, String, i64) {
    let code = &two().most[at];
    let line = format!(
        "SELECT text_digest AS d, source_file AS f, source_row AS r FROM predictions WHERE hs6 = '{code}' ORDER BY 1, 2, 3 LIMIT 1"
    );
    let line = &sql(lake, &line)[0];
    let [digest, file] = ["d", "f"].map(|name| line[name].as_str().unwrap().to_owned());
    (digest, code.clone(), file, line["r"].as_i64().unwrap())
}

fn decide(lake: &str, digest: &str, code: &str, edition: &str, line: Option<(&str, i64)>) {
    let (table, row) = (format!("{lake}/decisions"), line.map(|(_, row)| row.to_string()).unwrap_or_default());
    let mut args = vec![table.as_str(), digest, code, edition];
    args.extend(line.iter().flat_map(|(file, _)| [*file, row.as_str()]));
    python("write_decision.py", &args, &[]);
}

/// Classifies the lines of the lake's input once more.
fn classify(lake: &str, input: &str, model: &str, more: &[&str]) -> Vec<String> {
    let args = ["classify", "--input", input, "--id", "line_id", "--value", "value", "--lake", lake, "--registry"];
    [&args[..], &[&two().registry, "--model", model], more].concat().iter().map(|arg| arg.to_string()).collect()
}

fn done(args: &[String]) -> String {
    ok(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Effective codes of the lines of a text with their editions, and what the lines' rows say.
fn effective(lake: &str, digest: &str) -> Vec<Value> {
    let query = format!(
        "SELECT DISTINCT hs6, tariff_edition AS edition, by_person, decision FROM effective_codes WHERE text_digest = '{digest}'"
    );
    sql(lake, &query)
}

fn waiting(lake: &str, digest: &str) -> Vec<Value> {
    let query = format!(
        "SELECT DISTINCT decision, array_has(reasons, 'decided_before') AS before FROM review_queue WHERE text_digest = '{digest}'"
    );
    sql(lake, &query)
}

#[test]
fn a_decision_is_taken_over_although_a_model_has_answered_the_line_in_the_newer_edition() {
    let dir = folder();
    let (lake, input) = (small_lake(dir.path()), path(dir.path(), "in"));
    // One whose code lives on, and one whose code is split.
    let (kept, lives, ..) = text_of(&lake, 9);
    let (torn, splits, ..) = text_of(&lake, 0);
    decide(&lake, &kept, &lives, "2017", None);
    decide(&lake, &torn, &splits, "2017", None);
    done(&classify(&lake, &input, "hs@1", &["--threshold", "0"]));
    let told = |edition: &str, decision: Value| json!({"hs6": lives, "edition": edition, "by_person": true, "decision": decision});
    let before = effective(&lake, &kept);
    assert!(before.iter().all(|row| row["hs6"] == lives && row["edition"] == "2017"), "{before:?}");
    let accepted = "SELECT count(*) AS n FROM current_predictions WHERE decision = 'accept' AND text_digest IN ";
    let accepted = sql(&lake, &format!("{accepted}('{kept}', '{torn}')"))[0]["n"].as_u64().unwrap();
    assert!(accepted > 0, "the model is sure of one of them");
    let all = [waiting(&lake, &kept), waiting(&lake, &torn)].concat();
    assert!(all.iter().any(|row| row["before"] == true), "{all:?}");
    // The lines of the two texts are to do, and no other.
    let lines = format!("SELECT count(*) AS n FROM current_predictions WHERE text_digest IN ('{kept}', '{torn}')");
    let report: Value = serde_json::from_str(&ok(&args(&lake, "hs@1", &["--format", "json"]))).unwrap();
    assert_eq!(report["report"]["lines"], sql(&lake, &lines)[0]["n"]);
    assert_eq!(effective(&lake, &kept), [told("2022", json!("carried"))]);
    assert_eq!(waiting(&lake, &kept), Vec::<Value>::new());
    assert_eq!(effective(&lake, &torn)[0]["hs6"], splits, "it stands until a person decides again");
    assert_eq!(waiting(&lake, &torn), [json!({"decision": "held", "before": false})]);
    assert!(ok(&args(&lake, "hs@1", &[])).contains("already done"));
    // What a person gets to see of it, and what becomes of their answer.
    let sheet = path(dir.path(), "queue.csv");
    let of_text = format!("text_digest = '{torn}'");
    ok(&["review", "export", "--lake", &lake, "--out", &sheet, "--group", "--no-evidence", "--where", &of_text]);
    let mut rows = csv::Reader::from_path(&sheet).unwrap();
    let header = rows.headers().unwrap().clone();
    let mut rows: Vec<_> = rows.records().map(Result::unwrap).collect();
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    assert_eq!(rows.len(), 1);
    let shown = |name: &str| rows[0][at(name)].to_owned();
    assert!(shown("why").contains("keeps its number and covers other goods"), "{}", shown("why"));
    assert_eq!(shown("previous_code"), splits);
    assert_eq!(shown("previous_decision"), format!("{splits} by Ana, 2026-01-01, edition 2017"));
    let answers = [("decision", "correct"), ("decided_code", &two().most[1])];
    let answer = |(n, cell): (usize, &str)| {
        answers.iter().find(|(name, _)| at(name) == n).map_or(cell.to_owned(), |(_, answer)| answer.to_string())
    };
    rows[0] = rows[0].iter().enumerate().map(answer).collect();
    let mut out = csv::Writer::from_path(&sheet).unwrap();
    out.write_record(&header).unwrap();
    rows.iter().for_each(|row| out.write_record(row).unwrap());
    out.flush().unwrap();
    ok(&["review", "import", &sheet, "--lake", &lake, "--reviewer", "Ben"]);
    assert_eq!(waiting(&lake, &torn), Vec::<Value>::new());
    assert_eq!(effective(&lake, &torn)[0]["hs6"], two().most[1]);
}

#[test]
fn a_decision_counts_with_its_own_edition_and_the_later_one_before_the_nearer_one() {
    let dir = folder();
    let lake = small_lake(dir.path());
    let (older, old_code, ..) = text_of(&lake, 3);
    let (newer, ..) = text_of(&lake, 5);
    let (both, both_code, file, row) = text_of(&lake, 9);
    decide(&lake, &older, &old_code, "2012", None);
    // Its code is renumbered, and a person has already given the new one.
    let ahead = two().most[1].clone();
    decide(&lake, &newer, &ahead, "2022", None);
    decide(&lake, &both, &both_code, "2017", Some((&file, row)));
    ok(&args(&lake, "hs@1", &["--threshold", "0.8"]));
    // Nobody knows what became of it between 2012 and 2017.
    assert_eq!(
        effective(&lake, &older),
        [json!({"hs6": old_code, "edition": "2012", "by_person": true, "decision": "held"})]
    );
    assert_eq!(waiting(&lake, &older), [json!({"decision": "held", "before": false})]);
    let counts = effective(&lake, &newer);
    assert!(
        counts.iter().all(|row| row["hs6"] == ahead && row["edition"] == "2022" && row["decision"] != "held"),
        "{counts:?}"
    );
    assert_eq!(waiting(&lake, &newer), Vec::<Value>::new());
    // A person decides the text in the newer edition: for the line too, on which there was a decision of the older one.
    decide(&lake, &both, &ahead, "2022", None);
    let counts = effective(&lake, &both);
    assert!(counts.iter().all(|row| row["hs6"] == ahead && row["edition"] == "2022"), "{counts:?}");
}

#[test]
fn a_model_of_an_older_edition_does_not_take_the_lake_back() {
    let dir = folder();
    let (lake, input) = (small_lake(dir.path()), path(dir.path(), "in"));
    ok(&args(&lake, "hs@1", &[]));
    for more in [&[][..], &["--full"]] {
        let back = classify(&lake, &input, "old@1", more);
        let ended = run(&back.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((ended.code, ended.err.contains("have answers of edition 2022")), (21, true), "{}", ended.err);
    }
    assert_eq!(sql(&lake, "SELECT DISTINCT tariff_edition AS e FROM current_predictions"), [json!({"e": "2022"})]);
}

#[test]
fn a_lake_that_an_older_model_was_taken_over_with_goes_on_with_it() {
    let dir = folder();
    let (lake, input) = (small_lake(dir.path()), path(dir.path(), "in"));
    // Another job in the same lake, which reads its lines in another way and comes last.
    let other = path(dir.path(), "other");
    python(
        "derive_lines.py",
        &[&crate::support::lab::lab().lines, &other, "SELECT * FROM t WHERE row BETWEEN 7000 AND 7100"],
        &[],
    );
    let of_other = ["classify", "--input", &other, "--lake", &lake, "--registry", &two().registry, "--model", "hs@1"];
    ok(&of_other);
    ok(&args(&lake, "old@1", &[]));
    let again = run(&classify(&lake, &input, "old@1", &[]).iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.out.contains("already done"), "{}", again.out);
    assert!(again.err.contains("edition 2022 is in force"), "{}", again.err);
    // A new file is answered in the model's edition, and the next step takes it over too.
    python(
        "derive_lines.py",
        &[
            &crate::support::lab::lab().lines,
            &path(dir.path(), "in/more"),
            "SELECT * FROM t WHERE row BETWEEN 8000 AND 8100",
        ],
        &[],
    );
    done(&classify(&lake, &input, "old@1", &[]));
    let editions = "SELECT tariff_edition AS e, count(*) AS n FROM current_predictions GROUP BY 1 ORDER BY 1";
    assert_eq!(sql(&lake, editions).len(), 2);
    ok(&args(&lake, "old@1", &[]));
    assert_eq!(sql(&lake, editions).len(), 1);
}
