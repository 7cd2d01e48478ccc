use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, Float64Array, StringArray};
use serde_json::{Value, json};

use crate::support::lab::{classify_args, folder, ok, path, run, sql, write_parquet};
use crate::support::random::Random;
use crate::support::servers::python;

#[test]
fn declared_codes_and_values_travel_along_and_are_found_when_they_differ() {
    let dir = folder();
    let (input, lake) = (path(dir.path(), "in"), path(dir.path(), "lake"));
    let texts: Vec<String> = sql_texts(dir.path());
    let ids: StringArray = (0..texts.len()).map(|n| Some(n.to_string())).collect();
    let column: StringArray = texts.iter().map(|t| Some(t.as_str())).collect();
    let file = dir.path().join("in/a.parquet");
    let write = |declared: &[String], values: Vec<Option<f64>>| {
        let declared: StringArray = declared.iter().map(|c| Some(c.as_str())).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("line_id", Arc::new(ids.clone())),
            ("description", Arc::new(column.clone())),
            ("hs_code", Arc::new(declared)),
            ("cif", Arc::new(Float64Array::from(values))),
        ];
        write_parquet(&file, columns);
    };
    write(&vec![String::new(); texts.len()], vec![None; texts.len()]);
    ok(&classify_args(&input, &lake));
    let codes: Vec<String> = sql(&lake, "SELECT hs6 FROM current_predictions ORDER BY source_row")
        .iter()
        .map(|row| row["hs6"].as_str().unwrap().to_owned())
        .collect();
    // The first as the model says, with more digits and dots; the second of the same heading; the third of another chapter.
    let other = |code: &str| format!("{}99.0000", &code[..4]);
    let mut declared: Vec<String> = codes.iter().map(|c| format!("{}.{}.0000", &c[..4], &c[4..])).collect();
    declared[1] = other(&codes[1]);
    declared[2] = "010121".into();
    write(&declared, (0..texts.len()).map(|n| Some(n as f64 * 100.0)).collect());
    let args = [&classify_args(&input, &lake)[..], &["--declared", "hs_code", "--value", "cif"]].concat();
    ok(&args);
    let found = sql(
        &lake,
        "SELECT line_id, declared_code, same_heading, same_chapter, value FROM declared_otherwise ORDER BY value DESC",
    );
    let line = |id: &str, code: &str, heading: bool, chapter: bool, value: f64| serde_json::json!({"line_id": id, "declared_code": code, "same_heading": heading, "same_chapter": chapter, "value": value});
    assert_eq!(found, [line("2", "010121", false, false, 200.0), line("1", &declared[1], true, true, 100.0)]);
    let ended = run(&[&classify_args(&input, &lake)[..], &["--declared", "nothing"]].concat());
    assert_eq!((ended.code, ended.err.contains("--declared")), (20, true), "{}", ended.err);
}

/// A few sample lines that get a code.
fn sql_texts(dir: &std::path::Path) -> Vec<String> {
    let lake = path(dir, "first");
    ok(&classify_args(&crate::support::lab::lab().lines, &lake));
    let texts =
        "SELECT DISTINCT description FROM predictions WHERE hs6 IS NOT NULL AND hs6 NOT LIKE '01%' ORDER BY 1 LIMIT 5";
    sql(&lake, texts).iter().map(|row| row["description"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn equal_goods_with_different_codes_are_found() {
    let dir = folder();
    let (input, lake) = (path(dir.path(), "in"), path(dir.path(), "lake"));
    let texts: StringArray = ["steel bolts", "STEEL  bolts", "cotton shirts"].map(Some).into_iter().collect();
    let column: ArrayRef = Arc::new(texts);
    write_parquet(&dir.path().join("in/a.parquet"), vec![("line_id", Arc::clone(&column)), ("description", column)]);
    ok(&[&classify_args(&input, &lake)[..], &["--threshold", "0"]].concat());
    assert!(sql(&lake, "SELECT * FROM same_text_other_code").is_empty(), "one model gives one code");
    let lines = sql(&lake, "SELECT text_digest, source_file FROM predictions ORDER BY source_row");
    let [digest, file] = ["text_digest", "source_file"].map(|name| lines[0][name].as_str().unwrap().to_owned());
    // Ana decides for the text, Ben for the second line.
    python("write_decisions.py", &[&format!("{lake}/decisions"), &digest, &file, "1"], &[]);
    let found = sql(
        &lake,
        "SELECT code_count, lines, array_to_string(array_sort(codes), ' ') AS codes, array_to_string(array_sort(decided_by), ' ') AS who FROM same_text_other_code",
    );
    assert_eq!(found, [serde_json::json!({"code_count": 2, "lines": 2, "codes": "732690 848790", "who": "Ana Ben"})]);
}

/// A lake that other programs wrote: six runs of three models in two editions over three files, 90 texts, what people decided
/// meanwhile, and declarations in every form, all at random. Values are quarters, so that sums are exact.
fn past() -> &'static str {
    static PAST: OnceLock<(String, tempfile::TempDir)> = OnceLock::new();
    let (lake, _) = PAST.get_or_init(|| {
        let dir = folder();
        let lake = path(dir.path(), "lake");
        let mut random = Random(3);
        let texts: Vec<String> = (0..90).map(|n| format!("goods of kind {n}")).collect();
        let mut predictions = Vec::new();
        for run in 0..RUNS.len() {
            for place in 0..150 {
                if random.below(3) > 0 {
                    predictions.push(prediction(run, place, &texts, &mut random));
                }
            }
        }
        let decided: Vec<Value> = (0..70).map(|n| decided(n, &texts, &mut random)).collect();
        for (table, rows) in [
            ("predictions", predictions),
            ("decisions", decided),
            ("runs", (0..RUNS.len()).map(run_row).collect()),
            ("nomenclature", nomenclature()),
        ] {
            let file = path(dir.path(), "rows.jsonl");
            std::fs::write(&file, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
            python("write_rows.py", &[&lake, table, &file], &[]);
        }
        (lake, dir)
    });
    lake
}

/// Day of January, model version, edition.
const RUNS: [(u32, u32, &str); 6] =
    [(1, 1, "2017"), (5, 1, "2017"), (9, 2, "2017"), (13, 2, "2022"), (17, 2, "2022"), (21, 3, "2022")];

const CODES: [&str; 6] = ["010121", "731815", "847130", "610910", "950300", "851713"];

fn run_id(run: usize) -> String {
    format!("202601{:02}T100000000000Z-{run}", RUNS[run].0)
}

fn run_row(run: usize) -> Value {
    let (day, model, edition) = RUNS[run];
    let mut row = json!({"run_id": run_id(run), "fingerprint": format!("f{run}"), "command": "classify",
        "started_at": format!("2026-01-{day:02}T10:00:00+00:00"), "finished_at": format!("2026-01-{day:02}T10:05:00+00:00"),
        "run_date": format!("2026-01-{day:02}"), "inputs": [], "quarantined": [], "text_column": "description", "store_text": "all",
        "model_name": "hs", "model_version": model, "model_digest": format!("{model}"), "tariff_edition": edition,
        "policy_digest": "p", "policy_json": "{}", "policy_origin": "bundle", "plan_secs": 0.0, "score_secs": 1.0,
        "program_version": "0"});
    for count in [
        "lines_read",
        "lines_written",
        "accept_lines",
        "review_lines",
        "refuse_lines",
        "quarantined_rows",
        "files_written",
        "bytes_written",
        "threads",
    ] {
        row[count] = 1.into();
    }
    row
}

fn prediction(run: usize, place: usize, texts: &[String], random: &mut Random) -> Value {
    let (day, model, edition) = RUNS[run];
    // A place keeps its text, but for a few that were rewritten.
    let text = (place * 7 + usize::from(random.below(20) == 0)) % texts.len();
    let usual = CODES[(text
        + usize::from(text.is_multiple_of(4)) * model as usize
        + usize::from(edition == "2022" && text.is_multiple_of(6)))
        % 6];
    let code = if random.below(12) == 0 { CODES[random.below(6)] } else { usual };
    let decision = ["accept", "accept", "accept", "carried", "mapped", "review", "refuse", "held"][random.below(8)];
    let declared = match random.below(11) {
        0 => Value::Null,
        1 => "n/a".into(),
        2 => "".into(),
        3 => usual[..4].into(),
        4 => format!("{}.{}.0000", &usual[..4], &usual[4..]).into(),
        5 => format!("{}.0", usual.trim_start_matches('0')).into(),
        6 => usual.trim_start_matches('0').into(),
        7 => CODES[random.below(6)].into(),
        8 => format!(" {}00", CODES[random.below(6)]).into(),
        _ => usual.into(),
    };
    let of = |choices: [Value; 4], at: usize| choices[at].clone();
    json!({"line_id": format!("L{place}"), "source_file": format!("s3://lines/{}.parquet", place / 50), "source_row": place % 50,
        "description": of([texts[text].clone().into(), texts[text].to_uppercase().into(), format!("={}", texts[text]).into(), Value::Null],
            random.below(4)),
        "text_digest": if random.below(25) == 0 { Value::Null } else { format!("{text:032x}").into() },
        "hs6": if decision == "refuse" { Value::Null } else { code.into() }, "confidence": random.below(64) as f64 / 64.0,
        "confidence_heading": 0.75, "confidence_chapter": 0.875, "decision": decision, "reasons": [],
        "previous_hs6": of([Value::Null, usual.into(), code.into(), Value::Null], random.below(4)), "model_name": "hs",
        "model_version": model, "model_digest": format!("{model}"), "tariff_edition": edition, "policy_digest": "p",
        "run_id": run_id(run), "declared_code": declared,
        "value": if random.below(8) == 0 { Value::Null } else { (random.below(40_000) as f64 / 4.0).into() },
        "role": of([Value::Null, "champion".into(), "champion".into(), "backfill".into()], random.below(4)),
        "served": of([Value::Null, true.into(), true.into(), (random.below(3) > 0).into()], random.below(4)),
        "run_date": format!("2026-01-{day:02}")})
}

fn decided(n: usize, texts: &[String], random: &mut Random) -> Value {
    let place = random.below(150);
    let line = random.below(2) == 0;
    let text = if line { place * 7 % texts.len() } else { random.below(texts.len()) };
    let hs6 = if random.below(9) == 0 { Value::Null } else { CODES[random.below(6)].into() };
    json!({"decision_id": format!("d{n}"), "text_digest": format!("{text:032x}"),
        "source_file": line.then(|| format!("s3://lines/{}.parquet", place / 50)), "source_row": line.then_some(place % 50),
        "verdict": if hs6.is_null() { "unclassifiable" } else { "correct" }, "hs6": hs6,
        "tariff_edition": (["2017", "2022", "2022"][random.below(3)]), "binding": random.below(8) == 0,
        "reviewer": (["Ana", "Ben"][random.below(2)]),
        "decided_at": format!("2026-01-{:02}T{:02}:30:00+00:00", 1 + random.below(25), random.below(24))})
}

/// Texts of edition 2022 alone.
fn nomenclature() -> Vec<Value> {
    let row = |code: &str, text: String| {
        json!({"schedule": "HS", "edition": "2022", "code": code, "level": code.len(), "description": text, "language": "en",
            "valid_from": "2022-01-01", "source": "n.csv", "import_id": "1"})
    };
    let levels = |code: &&str| [2, 4, 6].map(|digits| row(&code[..digits], format!("what {} is", &code[..digits])));
    CODES.iter().flat_map(levels).collect()
}

fn reported(more: &[&str]) -> Value {
    let args = ["findings", "--lake", past(), "--format", "json"];
    let all: &[&str] = if more.contains(&"--limit") { &[] } else { &["--limit", "100000"] };
    serde_json::from_str(&ok(&[&args[..], all, more].concat())).unwrap()
}

/// The same findings, explained in the same way, with the same lines and values, by kind and by chapter, as plain Python finds in the
/// Delta tables; with and without filters.
#[test]
fn findings_are_those_that_another_program_finds() {
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    for filters in [&["--min-confidence", "0"][..], &["--min-confidence", "0.6", "--least-value", "9000.25"]] {
        let expected = python("count_findings.py", &[&[past()][..], filters].concat(), &[]);
        let report = reported(filters);
        let told = |row: &Value| -> Value {
            json!({"kind": row["kind"], "finding": row["finding"], "lines": row["lines"], "value": row["value"],
                "explained_by": row["explained_by"]})
        };
        let mut found: Vec<Value> = report["worst"].as_array().unwrap().iter().map(told).collect();
        found.sort_by_key(|row| (row["kind"].to_string(), row["finding"].to_string()));
        let wanted: Vec<Value> = expected["findings"].as_array().unwrap().iter().map(told).collect();
        assert_eq!(found, wanted);
        assert_eq!(report["chapters"], expected["chapters"]);
        let mut kinds: BTreeMap<(String, String), (u64, u64, f64)> = BTreeMap::new();
        for row in &wanted {
            let name = |column: &str| row[column].as_str().unwrap().to_string();
            let of = kinds.entry((name("kind"), name("explained_by"))).or_default();
            *of = (of.0 + 1, of.1 + row["lines"].as_u64().unwrap(), of.2 + row["value"].as_f64().unwrap_or(0.0));
            *seen.entry((name("kind"), name("explained_by"))).or_default() += 1;
        }
        let told: BTreeMap<(String, String), (u64, u64, f64)> = report["kinds"]
            .as_array()
            .unwrap()
            .iter()
            .map(|of| {
                let name = |column: &str| of[column].as_str().unwrap().to_string();
                let count = |column: &str| of[column].as_u64().unwrap();
                (
                    (name("kind"), name("explained_by")),
                    (count("findings"), count("lines"), of["value"].as_f64().unwrap_or(0.0)),
                )
            })
            .collect();
        assert_eq!(told, kinds);
    }
    // What is compared has every kind and every reason that there can be.
    let reasons =
        |kind: &str| -> Vec<&str> { seen.keys().filter(|(of, _)| of == kind).map(|(_, why)| why.as_str()).collect() };
    assert_eq!(reasons("declared_otherwise"), ["model", "person"]);
    assert_eq!(reasons("same_text_declared_otherwise"), ["declaration"]);
    assert_eq!(reasons("same_text_in_run"), ["previous_code", "unexplained"]);
    assert_eq!(reasons("same_text_across_runs"), ["edition", "model", "person", "unexplained"]);
    assert!(
        reasons("same_text_other_code").contains(&"person") && reasons("same_text_other_code").len() > 2,
        "{seen:?}"
    );
}

#[test]
fn the_worst_findings_come_first_by_value_and_the_table_tells_them() {
    let worst = |more: &[&str]| reported(more)["worst"].as_array().unwrap().clone();
    let all = worst(&["--min-confidence", "0"]);
    let value = |row: &Value| row["value"].as_f64().unwrap_or(-1.0);
    assert!(all.len() > 60 && all.windows(2).all(|pair| value(&pair[0]) >= value(&pair[1])));
    assert!((1..).zip(&all).all(|(rank, row)| row["rank"] == rank));
    let some =
        worst(&["--min-confidence", "0", "--kind", "same_text_in_run", "--kind", "declared-otherwise", "--limit", "7"]);
    let of = |row: &&Value| row["kind"] == "same_text_in_run" || row["kind"] == "declared_otherwise";
    let names = |rows: &[&Value]| rows.iter().map(|row| row["finding"].clone()).collect::<Vec<_>>();
    assert_eq!(names(&some.iter().collect::<Vec<_>>()), names(&all.iter().filter(of).take(7).collect::<Vec<_>>()));
    let one = all
        .iter()
        .find(|row| row["kind"] == "declared_otherwise" && row["wordings"][0]["chapter"].is_string())
        .unwrap();
    let code = one["codes"][0].as_str().unwrap();
    assert_eq!(one["wordings"][0]["subheading"], format!("what {code} is"));
    let page = ok(&["findings", "--lake", past(), "--kind", "declared_otherwise", "--limit", "3"]);
    let told: Vec<&str> = page.lines().filter(|line| line.contains("declared_otherwise  1 lines")).collect();
    assert_eq!(told.len(), 3, "{page}");
    assert!(
        page.contains("chapters with the most value") && page.contains(" row ") && page.contains("explained by"),
        "{page}"
    );
    let dir = folder();
    let nothing = ok(&["findings", "--lake", &path(dir.path(), "empty")]);
    assert!(nothing.contains("no findings"), "{nothing}");
}

/// In all three forms a row for each line concerned, with the same cells; codes with their zeros and descriptions that begin with `=`
/// as text.
#[test]
fn an_export_has_everything_in_every_form() {
    let dir = folder();
    let files = ["csv", "xlsx", "parquet"].map(|form| path(dir.path(), &format!("findings.{form}")));
    for file in &files {
        let ended = run(&["findings", "--lake", past(), "--min-confidence", "0", "--out", file]);
        assert!(
            ended.code == 0 && ended.out.is_empty() && ended.err.contains("codes of 2017 have no wording"),
            "{}",
            ended.err
        );
    }
    let read = python("read_sheets.py", &files.each_ref().map(String::as_str), &[]);
    let rows: Vec<&Vec<Value>> = read.as_array().unwrap().iter().map(|file| file.as_array().unwrap()).collect();
    let numbers = [
        "rank",
        "finding_value",
        "finding_lines",
        "confidence",
        "confidence_heading",
        "confidence_chapter",
        "value",
        "source_row",
    ];
    let plain = |row: &Value| -> Value {
        let mut row = row.clone();
        for name in numbers {
            row[name] = row[name].as_str().map(|text| text.parse::<f64>().unwrap()).into();
        }
        // An empty text and none are one cell.
        row.as_object_mut().unwrap().values_mut().filter(|cell| **cell == "").for_each(|cell| *cell = Value::Null);
        row
    };
    let [csv, xlsx, parquet] = [0, 1, 2].map(|at| rows[at].iter().map(plain).collect::<Vec<_>>());
    assert!(csv == xlsx && csv == parquet, "the forms differ");
    let view = sql(
        past(),
        "SELECT * FROM findings ORDER BY finding_value DESC NULLS LAST, finding_lines DESC, kind, finding, source_file, source_row",
    );
    assert_eq!(csv.len(), view.len());
    for (row, of_view) in csv.iter().zip(&view) {
        for name in [
            "kind",
            "explained_by",
            "declared_code",
            "decided_by",
            "run_id",
            "line_id",
            "source_file",
            "source_row",
            "value",
            "confidence",
            "finding",
            "other_run_id",
            "edition",
            "decision",
        ] {
            let there = of_view.get(name).cloned().unwrap_or(Value::Null);
            let there = if numbers.contains(&name) { json!(there.as_f64()) } else { there };
            let there = if there == "" { Value::Null } else { there };
            assert_eq!(row[name], there, "{name}: {row} {of_view}");
        }
        let codes = of_view["code"].as_str().map(|codes| codes.replace(' ', " and "));
        assert_eq!(row["code"].as_str().map(str::to_string), codes);
        if let (Some(code), "2022") = (&codes, row["edition"].as_str().unwrap_or("")) {
            let wording = if code.len() == 6 {
                format!("what {code} is")
            } else {
                row["code_text"].as_str().unwrap().to_string()
            };
            assert_eq!(row["code_text"], wording.as_str());
            assert_eq!(row["chapter_text"], format!("what {} is", &code[..2]));
        }
        if let Some(run) = of_view.get("run_id").and_then(Value::as_str) {
            assert_eq!(row["run_started_at"], format!("2026-01-{}T10:00:00Z", &run[6..8]), "{row}");
        }
    }
    assert!(
        csv.iter().any(|row| row["code"] == "010121")
            && csv.iter().any(|row| row["description"].as_str().is_some_and(|d| d.starts_with('=')))
    );

    // The worst alone, into a file that is there.
    let few = ["findings", "--lake", past(), "--min-confidence", "0", "--limit", "4", "--out", &files[0]];
    let ended = run(&few);
    assert!(ended.code == 2 && ended.err.contains("--overwrite"), "{}", ended.err);
    ok(&[&few[..], &["--overwrite"]].concat());
    let read = python("read_sheets.py", &[&files[0]], &[]);
    let few: Vec<Value> = read[0].as_array().unwrap().iter().map(plain).collect();
    let expected: Vec<Value> = csv.iter().filter(|row| row["rank"].as_f64().unwrap() <= 4.0).cloned().collect();
    assert_eq!(few, expected);
}

#[test]
fn a_call_for_findings_that_cannot_be_is_refused() {
    for (more, said) in [
        (&["--out", "findings.txt"][..], ".csv, .xlsx or .parquet"),
        (&["--kind", "fraud"], "same_text_in_run"),
        (&["--min-confidence", "95"], "--min-confidence 95"),
        (&["--limit", "0"], "--limit 0"),
        (&["--least-value", "nan"], "--least-value"),
        (&["--overwrite"], "--out"),
    ] {
        let ended = run(&[&["findings", "--lake", past()], more].concat());
        assert!(ended.code == 2 && ended.err.contains(said), "{more:?}: {} {}", ended.code, ended.err);
    }
    assert!(!Path::new("findings.txt").exists());
}
