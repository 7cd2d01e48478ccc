use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, StringArray};
use serde_json::Value;

use crate::support::lab::{folder, lab, number, ok, path, read, run, sql, write_parquet};

fn write(file: &Path, texts: &[String]) {
    let texts: StringArray = texts.iter().map(|text| Some(text.as_str())).collect();
    let column: ArrayRef = Arc::new(texts);
    write_parquet(file, vec![("line_id", Arc::clone(&column)), ("description", column)]);
}

/// Four days of lines, 50 each.
fn days(dir: &Path) -> String {
    for day in 1..=4 {
        let texts: Vec<String> = (0..50).map(|n| format!("steel bolts day {day} lot {n}")).collect();
        write(&dir.join(format!("in/date=2026-03-0{day}/a.parquet")), &texts);
    }
    path(dir, "in")
}

/// A registry with the lab's model as `hs@1` and `hs@2`.
fn registry(dir: &Path) -> String {
    let (registry, exported) = (path(dir, "models"), path(dir, "exported"));
    ok(&["models", "export", "hs@1", &exported, "--registry", &lab().registry]);
    ok(&["models", "import", &exported, "--registry", &registry, "--by", "the tests"]);
    let args =
        ["train", "--input", &lab().labelled, "--label", "hs6", "--registry", &registry, "--recipe", &lab().recipe];
    ok(&[&args[..], &["--target-precision", "0.9", "--seed", "9", "--by", "the tests"]].concat());
    registry
}

fn runs(lake: &str) -> Vec<Value> {
    read(
        lake,
        "runs",
        "SELECT command, scope, model_version, inputs[1].url AS first, lines_written FROM t ORDER BY run_id",
    )
}

#[test]
fn gaps_are_listed_with_their_reasons_and_filled_oldest_first() {
    let dir = folder();
    let (input, registry, lake) = (days(dir.path()), registry(dir.path()), path(dir.path(), "lake"));
    let day = |n: u32| format!("{input}/date=2026-03-0{n}");
    let base = ["--id", "line_id", "--lake", &lake, "--registry", &registry];
    let classify = |input: &str, model: &str| {
        ok(&[&["classify", "--input", input, "--model", model][..], &base].concat());
    };
    classify(&day(1), "hs@1");
    classify(&day(2), "hs@2");
    classify(&day(3), "hs@2");
    // The third day was rewritten since, the fourth never read; the first was answered by a version that is retired.
    write(&dir.path().join("in/date=2026-03-03/a.parquet"), &["copper wire".to_owned()]);
    ok(&["models", "retire", "hs@1", "--why", "wrong codes", "--registry", &registry]);
    let start = [&["backfill", "--input", &input, "--model", "hs@2"][..], &base].concat();
    let backfill = |more: &[&'static str]| [&start[..], more].concat();
    let plan: Value = serde_json::from_str(&ok(&backfill(&["--plan", "--format", "json"]))).unwrap();
    let found: Vec<(String, Value, Value)> = plan["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["date"].as_str().unwrap().to_owned(), p["why"].clone(), p["rows"].clone()))
        .collect();
    let entry = |day: &str, why: &str, rows: u64| (day.to_owned(), serde_json::json!({why: 1}), rows.into());
    assert_eq!(
        found,
        [entry("2026-03-01", "withdrawn", 50), entry("2026-03-03", "changed", 1), entry("2026-03-04", "missing", 50)]
    );
    assert_eq!((&plan["answered_files"], &plan["answered_rows"]), (&1.into(), &50.into()));
    assert_eq!(runs(&lake).len(), 3, "a plan does nothing");
    // A range of days, and a name.
    let few = ok(&backfill(&["--plan", "--from", "2026-03-02", "--to", "2026-03-03"]));
    assert!(few.contains("1 partition(s), 1 rows") && few.contains("1 changed"), "{few}");
    let few = ok(&backfill(&["--plan", "--partition", "03-04"]));
    assert!(few.contains("1 missing") && few.contains("1 partition(s)"), "{few}");
    ok(&backfill(&[]));
    let done = runs(&lake);
    let filled: Vec<&str> = done[3..].iter().map(|r| r["first"].as_str().unwrap()).collect();
    assert!(done[3..].iter().all(|r| r["command"] == "backfill" && r["model_version"] == 2), "{done:?}");
    assert!([1, 3, 4].iter().zip(&filled).all(|(n, url)| url.contains(&format!("2026-03-0{n}"))), "{filled:?}");
    // They count, and say what they are; what was there stays.
    assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t"), 150 + 101);
    assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t WHERE role = 'backfill' AND served"), 101);
    let first = "SELECT DISTINCT role, model_version FROM current_predictions WHERE source_file LIKE '%2026-03-01%'";
    assert_eq!(sql(&lake, first), [serde_json::json!({"role": "backfill", "model_version": 2})]);
    // Which one counted when: the first until the backfill was there, the new ones since.
    let first = "SELECT role, counts_from < counts_until AS ended, counts_until IS NULL AS counts, count(*) AS n FROM counted_when \
                 WHERE source_file LIKE '%2026-03-01%' GROUP BY ALL ORDER BY role";
    let first = sql(&lake, &first.replace("GROUP BY ALL", "GROUP BY 1, 2, 3"));
    let told = |role: &str, ended: Value, counts: bool| serde_json::json!({"role": role, "ended": ended, "counts": counts, "n": 50});
    assert_eq!(first[1], told("champion", true.into(), false), "{first:?}");
    assert_eq!(
        (&first[0]["role"], &first[0]["counts"], &first[0]["n"]),
        (&"backfill".into(), &true.into(), &50.into())
    );
    let until =
        "SELECT DISTINCT counts_until FROM counted_when WHERE source_file LIKE '%2026-03-01%' AND role = 'champion'";
    let done_at = "SELECT finished_at AS counts_until FROM runs WHERE command = 'backfill' ORDER BY run_id LIMIT 1";
    assert_eq!(sql(&lake, until), sql(&lake, done_at));
    let out = ok(&backfill(&[]));
    assert!(out.contains("0 partition(s)"), "{out}");
    // The nightly job has nothing to do after it.
    let out = ok(&[&["classify", "--input", &input, "--model", "hs@2"][..], &base].concat());
    assert!(out.contains("already done"), "{out}");
}

#[test]
fn what_counts_already_gets_rows_beside_it_when_it_is_asked_for_again() {
    let dir = folder();
    let (input, registry, lake) = (days(dir.path()), registry(dir.path()), path(dir.path(), "lake"));
    let base = ["--id", "line_id", "--lake", &lake, "--registry", &registry];
    ok(&[&["classify", "--input", &input, "--model", "hs@2"][..], &base].concat());
    let again = [&["backfill", "--input", &input, "--model", "hs@1", "--again"][..], &base].concat();
    let out = ok(&again);
    assert!(out.contains("beside what counts"), "{out}");
    assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t WHERE role = 'backfill' AND NOT served"), 200);
    let current = sql(&lake, "SELECT DISTINCT role, model_version FROM current_predictions");
    assert_eq!(current, [serde_json::json!({"role": "champion", "model_version": 2})]);
    assert_eq!(sql(&lake, "SELECT count(*) AS n FROM current_predictions")[0]["n"], 200);
    assert_eq!(runs(&lake).iter().filter(|r| r["scope"] == "beside").count(), 4);
    // They are no answer: the job with the other model still has nothing to do.
    let out = ok(&[&["classify", "--input", &input, "--model", "hs@2"][..], &base].concat());
    assert!(out.contains("already done"), "{out}");
}

/// The version that was champion on each day, by the events of the registry.
#[test]
fn each_day_gets_the_model_of_that_day() {
    let dir = folder();
    let (input, registry, lake) = (days(dir.path()), registry(dir.path()), path(dir.path(), "lake"));
    let base = ["--id", "line_id", "--lake", &lake, "--registry", &registry];
    ok(&["models", "promote", "hs@2", "--why", "a test", "--registry", &registry]);
    // No version was champion on these days.
    let args = [&["backfill", "--input", &input, "--model", "hs@champion", "--model-of-the-day"][..], &base].concat();
    let ended = run(&args);
    assert_eq!(ended.code, 21, "{}{}", ended.out, ended.err);
    assert!(ended.err.contains("2026-03-01"), "{}", ended.err);
    let today = chrono::Utc::now().format("%Y-%m-%d").to_string();
    write(&dir.path().join(format!("today/date={today}/a.parquet")), &["copper wire".to_owned()]);
    let input = path(dir.path(), "today");
    let args = [&["backfill", "--input", &input, "--model", "hs@champion", "--model-of-the-day"][..], &base].concat();
    ok(&args);
    assert_eq!(runs(&lake)[0]["model_version"], 2);
    let ended = run(&[&args[..], &["--edition", "2017", "--again"]].concat());
    assert_eq!((ended.code, ended.err.contains("gives codes of edition 2022, not 2017")), (21, true), "{}", ended.err);
}

#[test]
fn a_limit_of_lines_a_second_is_kept_and_a_second_start_goes_on() {
    let dir = folder();
    let (input, registry, lake) = (days(dir.path()), registry(dir.path()), path(dir.path(), "lake"));
    let args = [
        "backfill",
        "--input",
        &input,
        "--lake",
        &lake,
        "--registry",
        &registry,
        "--model",
        "hs@1",
        "--max-lines-per-sec",
        "40",
    ];
    let began = Instant::now();
    let mut child = crate::support::lab::harmonize(&args).stdout(std::process::Stdio::null()).spawn().unwrap();
    // Two of four days take two and a half seconds at least; then it is killed.
    while !Path::new(&format!("{lake}/runs/_delta_log/00000000000000000002.json")).exists() {
        assert!(began.elapsed().as_secs() < 120);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(began.elapsed().as_secs_f64() >= 2.4, "{:?}", began.elapsed());
    child.kill().unwrap();
    child.wait().unwrap();
    let before = runs(&lake).len();
    assert!((2..4).contains(&before));
    ok(&args[..9]);
    assert_eq!(runs(&lake).len(), 4);
    assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t"), 200);
}

#[test]
fn a_folder_that_says_no_day_is_named_when_days_are_asked_for() {
    let dir = folder();
    write(&dir.path().join("in/a.parquet"), &["copper wire".to_owned()]);
    let (input, lake, registry) = (path(dir.path(), "in"), path(dir.path(), "lake"), &lab().registry);
    let ended = run(&["backfill", "--input", &input, "--lake", &lake, "--registry", registry, "--from", "2026-01-01"]);
    assert_eq!((ended.code, ended.err.contains("says no day")), (20, true), "{}", ended.err);
    for (range, said) in [
        (["--from", "2026-02-01", "--to", "2026-01-01"], "is after --to 2026-01-01"),
        (["--from", "9000-01-01", "--to", "9000-02-01"], "is after today"),
    ] {
        let ended =
            run(&[&["backfill", "--input", &input, "--lake", &lake, "--registry", registry], &range[..]].concat());
        assert_eq!((ended.code, ended.err.contains(said)), (2, true), "{}", ended.err);
    }
    ok(&["backfill", "--input", &input, "--lake", &lake, "--registry", registry]);
    assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t"), 1);
}

/// Flags of `classify` that mean nothing here are not taken, and a job's file that has them is.
#[test]
fn it_takes_what_it_honours_and_the_settings_of_a_job() {
    let help = ok(&["backfill", "--help"]);
    for flag in ["--full", "--challenger", "--challenger-rows", "--split", "--watch", "--every"] {
        assert!(!help.contains(flag), "{flag}: {help}");
        let ended = run(&["backfill", "--lake", "x", "--input", "x", flag, "1"]);
        assert_eq!((ended.code, ended.err.contains("unexpected argument")), (2, true), "{flag}: {}", ended.err);
    }
    for flag in ["--input", "--where", "--declared", "--threshold", "--on-bad-file", "--store-text", "--model"] {
        assert!(help.contains(flag), "{flag}: {help}");
    }
    let dir = folder();
    let (input, lake, job) = (days(dir.path()), path(dir.path(), "lake"), path(dir.path(), "job.toml"));
    let registry = &lab().registry;
    std::fs::write(
        &job,
        format!(
            "watch = [{input:?}]\nevery = \"1m\"\nid = \"line_id\"\nlake = {lake:?}\nregistry = {registry:?}\nmodel = \"hs@1\"\n\
             challenger = \"hs@9\"\nchallenger-rows = \"all\"\nsplit = \"10%\"\nfull = true\nthreshold = 0.9\n"
        ),
    )
    .unwrap();
    ok(&["backfill", "--config", &job]);
    assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t WHERE role = 'backfill' AND served"), 200);
    let policy = read(&lake, "runs", "SELECT DISTINCT policy_origin, challenger_name FROM t");
    assert_eq!(policy, [serde_json::json!({"policy_origin": "--threshold 0.9", "challenger_name": null})]);
}

/// The edition of a day is that of the tariff, and a plan says which version answers which day before any is asked.
#[test]
fn the_edition_is_one_that_is_named_or_that_was_in_force_on_a_day() {
    let dir = folder();
    let (input, registry, lake) = (days(dir.path()), registry(dir.path()), path(dir.path(), "lake"));
    write(&dir.path().join("in/date=2021-05-05/a.parquet"), &["copper wire".to_owned()]);
    let start =
        ["backfill", "--input", &input, "--id", "line_id", "--lake", &lake, "--registry", &registry, "--model", "hs@2"];
    let backfill = |more: &[&'static str]| run(&[&start[..], more].concat());
    for (more, says) in [
        (&["--edition", "of-the-day"][..], "date=2021-05-05: hs@2 gives codes of edition 2022, not 2017"),
        (&["--edition", "2021-12-31"], "not 2017"),
        (&["--edition", "2017"], "not 2017"),
    ] {
        let ended = backfill(more);
        assert_eq!((ended.code, ended.err.contains(says)), (21, true), "{more:?} {}{}", ended.out, ended.err);
        assert!(!Path::new(&lake).join("predictions").exists(), "nothing is done when one day cannot be");
    }
    let ended = backfill(&["--edition", "2010-01-01"]);
    assert_eq!((ended.code, ended.err.contains("no edition is known")), (20, true), "{}", ended.err);
    assert_eq!(backfill(&["--edition", "someday"]).code, 2);
    let from = ["--edition", "of-the-day", "--from", "2022-01-01"];
    let plan: Value =
        serde_json::from_str(&backfill(&[&from[..], &["--plan", "--format", "json"]].concat()).out).unwrap();
    for partition in plan["partitions"].as_array().unwrap() {
        assert_eq!((&partition["model"], &partition["edition"]), (&"hs@2".into(), &"2022".into()), "{partition}");
    }
    assert_eq!(plan["partitions"].as_array().unwrap().len(), 4);
    let csv = backfill(&[&from[..], &["--plan", "--format", "csv"]].concat()).out;
    assert!(csv.lines().skip(1).all(|line| line.ends_with(",true,hs@2,2022")), "{csv}");
    assert_eq!(backfill(&from).code, 0);
    assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t"), 200);
}
