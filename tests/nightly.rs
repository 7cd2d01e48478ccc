use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, StringArray};
use serde_json::Value;

use crate::support::lab::{
    classify_args, folder, harmonize, lab, number, ok, path, read, run, run_with, sql, write_parquet,
};
use crate::support::servers::S3;

/// Writes a file of lines with ids and texts.
fn write(file: &Path, lines: &[(String, String)]) {
    let ids: StringArray = lines.iter().map(|(id, _)| Some(id.as_str())).collect();
    let texts: StringArray = lines.iter().map(|(_, text)| Some(text.as_str())).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![("line_id", Arc::new(ids)), ("description", Arc::new(texts))];
    write_parquet(file, columns);
}

fn lines(range: std::ops::Range<usize>) -> Vec<(String, String)> {
    range.map(|n| (format!("id {n}"), format!("steel bolts lot {n}"))).collect()
}

/// The record of the last run.
fn last(lake: &str) -> Value {
    read(lake, "runs", "SELECT * FROM t ORDER BY run_id DESC LIMIT 1").remove(0)
}

fn rows(lake: &str) -> i64 {
    number(lake, "predictions", "SELECT count(*) AS n FROM t")
}

/// The answers that count, without what tells runs apart.
fn current(lake: &str) -> Vec<Value> {
    let columns = "source_file, source_row, line_id, description, text_digest, hs6, confidence, margin, decision, reasons, model_version";
    sql(lake, &format!("SELECT {columns} FROM current_predictions ORDER BY source_file, source_row"))
}

#[test]
fn a_new_file_is_scored_alone() {
    let dir = folder();
    let (input, lake) = (path(dir.path(), "in"), path(dir.path(), "lake"));
    write(&dir.path().join("in/a.parquet"), &lines(0..500));
    let args = classify_args(&input, &lake);
    ok(&args);
    assert_eq!(last(&lake)["scope"], "changed");
    write(&dir.path().join("in/b.parquet"), &lines(500..520));
    let out = ok(&args);
    assert!(out.contains("passed") && out.contains("500"), "{out}");
    let run = last(&lake);
    let counts =
        ["skipped_files", "skipped_rows", "lines_read", "lines_written", "unchanged_lines"].map(|c| run[c].clone());
    assert_eq!(counts, [1, 500, 20, 20, 0].map(Value::from));
    assert_eq!(run["inputs"].as_array().unwrap().len(), 1, "only what was read is an input");
    assert_eq!(rows(&lake), 520);
    let out = ok(&args);
    assert!(out.contains("already done: all 2 file(s), 520 rows"), "{out}");
    assert_eq!(rows(&lake), 520);
    // The same as in one go.
    let whole = path(dir.path(), "whole");
    ok(&classify_args(&input, &whole));
    assert_eq!(current(&lake), current(&whole));
    // All of it again, when that is asked for.
    ok(&[&args[..], &["--full"]].concat());
    assert_eq!((rows(&lake), last(&lake)["scope"].as_str()), (1040, Some("full")));
    assert!(ok(&[&args[..], &["--full"]].concat()).contains("already done"));
    assert!(ok(&args).contains("already done"));
}

#[test]
fn of_a_rewritten_file_only_lines_with_another_text_or_id_are_scored() {
    let dir = folder();
    let (input, lake) = (path(dir.path(), "in"), path(dir.path(), "lake"));
    let file = dir.path().join("in/a.parquet");
    let mut all = lines(0..3000);
    write(&file, &all);
    let args = classify_args(&input, &lake);
    ok(&args);
    all[7].1 = "cotton shirts".into();
    all[2500].0 = "another id".into();
    // Upper case is the same text.
    all[9].1 = all[9].1.to_uppercase();
    all.extend(lines(3000..3003));
    write(&file, &all);
    let out = ok(&args);
    assert!(out.contains("unchanged") && out.contains("2,998"), "{out}");
    let run = last(&lake);
    let counts = ["skipped_files", "lines_read", "lines_written", "unchanged_lines"].map(|c| run[c].clone());
    assert_eq!(counts, [0, 3003, 5, 2998].map(Value::from));
    let written = read(
        &lake,
        "predictions",
        &format!("SELECT source_row FROM t WHERE run_id = {} ORDER BY 1", sql_text(&run["run_id"])),
    );
    let written: Vec<i64> = written.iter().map(|row| row["source_row"].as_i64().unwrap()).collect();
    assert_eq!(written, [7, 2500, 3000, 3001, 3002]);
    let codes = |lake: &str| -> Vec<Value> { current(lake).into_iter().map(|row| row["hs6"].clone()).collect() };
    let whole = path(dir.path(), "whole");
    ok(&classify_args(&input, &whole));
    assert_eq!(codes(&lake), codes(&whole));
    // A line moves: from there on every place holds another one.
    all.remove(0);
    write(&file, &all);
    ok(&args);
    assert_eq!(last(&lake)["unchanged_lines"], 0);
    // Nothing in it changed: the new file is known all the same, and passed over the next time.
    write(&file, &all);
    let out = ok(&args);
    assert_eq!(
        (last(&lake)["lines_written"].clone(), last(&lake)["unchanged_lines"].clone()),
        (0.into(), 3002.into()),
        "{out}"
    );
    assert!(ok(&args).contains("already done: all 1 file(s)"));
}

/// What stood beyond the end of a file that became shorter does not count any more, whatever reads the lake.
#[test]
fn lines_beyond_the_end_of_a_file_that_became_shorter_do_not_count() {
    let dir = folder();
    let (input, lake) = (path(dir.path(), "in"), path(dir.path(), "lake"));
    let file = dir.path().join("in/a.parquet");
    write(&file, &lines(0..100));
    write(&dir.path().join("in/b.parquet"), &lines(200..250));
    let args = [&classify_args(&input, &lake)[..], &["--threshold", "1"]].concat();
    ok(&args);
    let count = |view: &str| sql(&lake, &format!("SELECT count(*) AS n FROM {view}"))[0]["n"].as_i64().unwrap();
    let shortened = || sql(&lake, "SELECT row_count, most_rows FROM shortened_files");
    let waiting = count("review_queue");
    assert_eq!((count("current_predictions"), shortened().len()), (150, 0));
    write(&file, &lines(0..40));
    let out = ok(&args);
    assert!(out.contains("40  lines of rewritten files"), "{out}");
    assert_eq!((count("current_predictions"), count("effective_codes")), (90, 90));
    assert_eq!(shortened(), [serde_json::json!({"row_count": 40, "most_rows": 100})]);
    assert!(count("review_queue") < waiting);
    // What counts is what a lake says that never saw the longer file.
    let fresh = path(dir.path(), "fresh");
    ok(&[&classify_args(&input, &fresh)[..], &["--threshold", "1"]].concat());
    assert_eq!(current(&lake), current(&fresh));
    // Rows of a backfill that stand beside what counts say nothing of a file; and a file may grow again.
    ok(&["backfill", "--input", &input, "--id", "line_id", "--lake", &lake, "--registry", &lab().registry, "--again"]);
    assert_eq!(count("current_predictions"), 90);
    write(&file, &lines(0..70));
    ok(&args);
    assert_eq!(count("current_predictions"), 120);
    write(&file, &lines(0..170));
    ok(&args);
    assert_eq!((count("current_predictions"), shortened().len()), (220, 0));
    // All predictions are read once, with a condition on columns of their own: nothing is sorted, joined or moved about.
    let plan = sql(&lake, "EXPLAIN SELECT hs6 FROM current_predictions WHERE description LIKE 'steel%'");
    let plan = plan.iter().map(|row| row["plan"].as_str().unwrap()).collect::<String>();
    let moves = ["JoinExec", "SortExec", "WindowAggExec", "Hash("].iter().any(|node| plan.contains(node));
    assert!(plan.contains("counts(source_file") && !moves, "{plan}");
}

fn sql_text(value: &Value) -> String {
    format!("'{}'", value.as_str().unwrap())
}

/// Another model, policy, filter or column could answer otherwise; and what another run answered since does not count for this one.
#[test]
fn what_could_be_answered_otherwise_is_scored_again() {
    let dir = folder();
    let (input, lake) = (path(dir.path(), "in"), path(dir.path(), "lake"));
    let file = dir.path().join("in/a.parquet");
    write(&file, &lines(0..100));
    let args = classify_args(&input, &lake);
    ok(&args);
    let strict = [&args[..], &["--threshold", "0.999"]].concat();
    for (n, other) in [
        strict.clone(),
        [&args[..], &["--audit-ratio", "0.5"]].concat(),
        [&args[..], &["--where", "description <> ''"]].concat(),
        [&args[..], &["--store-text", "none"]].concat(),
        // The first again: what it answered is not the last word any more.
        args.clone(),
    ]
    .into_iter()
    .enumerate()
    {
        let out = ok(&other);
        assert!(!out.contains("already done"), "{other:?}: {out}");
        assert_eq!(rows(&lake), 100 * (n as i64 + 2));
        assert!(ok(&other).contains("already done"), "{other:?}");
    }
    // The file comes back as it was: what was said of the one between does not count for it. On a store whose ETag is of the
    // content, it even has the same one.
    let s3 = S3::moto();
    let (input, lake) = (s3.url("in"), s3.url("lake"));
    let put = |lines: &[(String, String)]| {
        write(&file, lines);
        crate::support::servers::python(
            "s3_put.py",
            &[file.to_str().unwrap(), &format!("{input}/a.parquet")],
            &s3.env(),
        );
    };
    let args = classify_args(&input, &lake);
    let classify = || {
        let ended = run_with(&args, &s3.env());
        assert_eq!(ended.code, 0, "{}", ended.err);
        ended.out
    };
    let mut other = lines(0..100);
    other[5].1 = "cotton shirts".into();
    for (at, content) in [lines(0..100), other.clone(), lines(0..100), other].iter().enumerate() {
        put(content);
        let out = classify();
        assert!(!out.contains("already done"), "{at}: {out}");
        assert!(at == 0 || out.contains("99  lines of rewritten files"), "{at}: {out}");
        assert!(classify().contains("already done"), "{at}");
    }
}

/// A line without a text, with a text that is cut, or with bytes that are no text, is answered again rather than wrongly passed over.
#[test]
fn odd_lines_of_a_rewritten_file_are_answered_again() {
    let dir = folder();
    let (input, lake) = (path(dir.path(), "in"), path(dir.path(), "lake"));
    let file = dir.path().join("in/a.parquet");
    let long = "steel bolts ".repeat(100);
    let odd = |tail: &str| {
        let texts: StringArray =
            [None, Some(""), Some(" "), Some(&format!("{long}{tail}")), Some("steel nuts")].into_iter().collect();
        let ids: StringArray = (0..5).map(|n| Some(n.to_string())).collect();
        write_parquet(&file, vec![("line_id", Arc::new(ids)), ("description", Arc::new(texts))]);
    };
    odd("a");
    let args = classify_args(&input, &lake);
    ok(&args);
    odd("b");
    ok(&args);
    let run = last(&lake);
    assert_eq!((run["lines_written"].clone(), run["unchanged_lines"].clone()), (4.into(), 1.into()));
}

#[test]
fn of_two_starts_at_once_one_works_and_the_other_says_so() {
    let dir = folder();
    let (input, lake) = (path(dir.path(), "in"), path(dir.path(), "lake"));
    write(&dir.path().join("in/a.parquet"), &lines(0..100));
    let args = classify_args(&input, &lake);
    let mut child = harmonize(&args)
        .env("HARMONIZE_HOLD_AT", "scoring")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|line| line == "held at scoring"));
    // With other threads and another policy: it is the same job all the same.
    let ended = run(&[&args[..], &["--threads", "1", "--threshold", "0.5"]].concat());
    assert_eq!(ended.code, 30, "{}{}", ended.out, ended.err);
    assert!(ended.err.contains(&format!("process {}", child.id())), "{}", ended.err);
    // Another job goes on.
    write(&dir.path().join("other/a.parquet"), &lines(0..10));
    let other = path(dir.path(), "other");
    ok(&classify_args(&other, &lake));
    std::process::Command::new("kill").args(["-USR1", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(ok(&args).contains("already done"));
    // One that was killed holds nobody up.
    write(&dir.path().join("in/b.parquet"), &lines(100..200));
    let mut child = harmonize(&args)
        .env("HARMONIZE_HOLD_AT", "scoring")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|line| line == "held at scoring"));
    child.kill().unwrap();
    child.wait().unwrap();
    ok(&args);
    assert_eq!(rows(&lake), 210);
}

#[test]
fn files_are_picked_up_as_they_come() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    std::fs::create_dir_all(dir.path().join("in")).unwrap();
    let input = path(dir.path(), "in");
    let registry = &lab().registry;
    let args =
        ["classify", "--watch", &input, "--every", "1s", "--id", "line_id", "--lake", &lake, "--registry", registry];
    let mut child = harmonize(&args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let seen = |wanted: i64| {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) {
            let there = Path::new(&lake).join("runs/_delta_log/00000000000000000001.json").exists();
            if there && rows(&lake) == wanted {
                return true;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        false
    };
    // Not there yet, then a file that is written by half, then whole, then another.
    std::thread::sleep(Duration::from_secs(2));
    let whole = dir.path().join("whole.parquet");
    write(&whole, &lines(0..50));
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(dir.path().join("in/a.parquet"), &bytes[..bytes.len() / 2]).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    std::fs::write(dir.path().join("in/a.parquet"), &bytes).unwrap();
    assert!(seen(50));
    write(&dir.path().join("in/b.parquet"), &lines(50..80));
    assert!(seen(80));
    std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let said = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    assert_eq!(said.matches("\nrun ").count() + usize::from(said.starts_with("run ")), 2, "{said}");
    assert!(!said.contains("already done"), "{said}");
}

/// A job as a file: what it reads, with what, into what.
#[test]
fn a_job_file_says_it_all() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    write(&dir.path().join("in/a.parquet"), &lines(0..100));
    let job = path(dir.path(), "job.toml");
    let (input, registry) = (path(dir.path(), "in"), &lab().registry);
    std::fs::write(
        &job,
        format!("input = [{input:?}]\nid = \"line_id\"\nlake = {lake:?}\nregistry = {registry:?}\nmodel = \"hs@1\"\nthreshold = 0.9\n"),
    )
    .unwrap();
    ok(&["classify", "--config", &job]);
    assert_eq!(rows(&lake), 100);
    assert!(ok(&["classify", "--config", &job]).contains("already done"));
    ok(&["classify", "--config", &job, "--full"]);
    assert_eq!(rows(&lake), 200);
    let mut written = std::fs::read_to_string(&job).unwrap();
    written += "full = true\n";
    std::fs::write(&job, written).unwrap();
    assert!(ok(&["check", "--config", &job]).contains("full"));
}
