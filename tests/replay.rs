use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use harmonize::engine::Kernel;
use harmonize::jobs::{Quiet, ReplayOptions, Sample, replay};
use harmonize::lake::Place;
use harmonize::registry::Registry;
use harmonize::sql::Limits;
use serde_json::{Value, json};

use crate::challenger::trio;
use crate::support::browser::looked_at;
use crate::support::lab::{folder, number, ok, parquet_files, path, read, run, sql, write_lines};
use crate::support::servers::python;

/// Lines in three files, made once.
const FILES: [u64; 3] = [7_000, 7_000, 6_000];
const LINES: u64 = 20_000;

fn lines() -> &'static str {
    static LINES_OF_ALL: OnceLock<(tempfile::TempDir, String)> = OnceLock::new();
    &LINES_OF_ALL
        .get_or_init(|| {
            let dir = folder();
            let input = path(dir.path(), "lines");
            std::fs::create_dir_all(&input).unwrap();
            for (file, rows) in FILES.into_iter().enumerate() {
                let (made, rows, seed) =
                    (path(dir.path(), &file.to_string()), rows.to_string(), (80 + file).to_string());
                ok(&["sample", "--output", &made, "--rows", &rows, "--seed", &seed]);
                let one = parquet_files(Path::new(&made)).remove(0);
                std::fs::rename(one, Path::new(&input).join(format!("{file}.parquet"))).unwrap();
            }
            (dir, input)
        })
        .1
}

/// Makes a run; its lake.
fn classified(dir: &Path, name: &str, input: &str, more: &[&str]) -> String {
    let lake = path(dir, name);
    let args = ["classify", "--input", input, "--lake", &lake, "--registry", trio(), "--model", "hs@1"];
    ok(&[&args[..], more].concat());
    lake
}

fn args<'a>(lake: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["replay", "--lake", lake, "--registry", trio(), "--format", "json"][..], more].concat()
}

/// What a replay tells, with its exit code.
fn told(lake: &str, more: &[&str]) -> (i32, Value) {
    let ended = run(&args(lake, more));
    (ended.code, serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{e}: {}{}", ended.out, ended.err)))
}

/// The rows of a run by how they compare.
fn rows(report: &Value) -> BTreeMap<String, u64> {
    let rows = report["rows"].as_object().unwrap();
    rows.iter().map(|(name, n)| (name.clone(), n.as_u64().unwrap())).filter(|(_, n)| *n > 0).collect()
}

fn only(name: &str, n: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(name.to_string(), n)])
}

/// A lake whose tables are those of another, one of them as a query gives it.
fn tampered(dir: &Path, name: &str, lake: &str, table: &str, query: &str) -> String {
    let to = path(dir, name);
    for known in ["predictions", "runs"] {
        let (from, to) = (format!("{lake}/{known}"), format!("{to}/{known}"));
        python("tamper.py", &[&from, &to, if known == table { query } else { "SELECT * FROM t" }], &[]);
    }
    to
}

#[test]
fn ten_runs_made_in_ten_ways_are_equal_when_they_are_replayed_in_ten_others() {
    let dir = folder();
    let broken = path(dir.path(), "with a broken file");
    std::fs::create_dir_all(&broken).unwrap();
    for entry in std::fs::read_dir(lines()).unwrap().flatten() {
        std::fs::copy(entry.path(), Path::new(&broken).join(entry.file_name())).unwrap();
    }
    std::fs::write(Path::new(&broken).join("broken.parquet"), "this is not Parquet").unwrap();
    let vague = path(dir.path(), "vague.txt");
    std::fs::write(&vague, "spare parts\ncotton shirts\n").unwrap();
    let kernels: Vec<String> = Kernel::available().iter().map(|k| format!("{k:?}").to_lowercase()).collect();
    let kernel = |n: usize| kernels[n % kernels.len()].as_str();
    let ways: [(&str, &[&str], &[&str]); 11] = [
        (lines(), &["--id", "line_id", "--threads", "1"], &["--threads", "2"]),
        (lines(), &["--threads", "2", "--memory", "256MiB"], &["--threads", "1", "--batch-rows", "77"]),
        // In several passes, since so little memory holds only some of the rows.
        (lines(), &["--target-file-size", "1MiB"], &["--memory", "1MiB", "--kernel", kernel(0)]),
        (lines(), &["--where", "origin = 'CN'"], &["--batch-rows", "1000", "--kernel", kernel(1)]),
        (lines(), &["--vague", &vague, "--threshold", "0.7"], &["--kernel", kernel(2)]),
        (lines(), &["--audit-ratio", "0.2", "--store-text", "review"], &["--batch-rows", "1"]),
        (lines(), &["--store-text", "none"], &["--threads", "3"]),
        (lines(), &["--challenger", "hs@2"], &["--kernel", kernel(0), "--batch-rows", "100"]),
        (
            lines(),
            &["--challenger", "hs@3", "--challenger-rows", "all", "--split", "30%", "--threshold", "0.9"],
            &["--threads", "1", "--memory", "2MiB"],
        ),
        (
            &broken,
            &["--on-bad-file", "quarantine", "--vague", &vague, "--challenger", "hs@2"],
            &["--kernel", kernel(1)],
        ),
        (lines(), &["--model", "hs@2", "--where", "description LIKE '%BOX%' AND source_row > 100"], &[]),
    ];
    for (n, (input, made, again)) in ways.into_iter().enumerate() {
        let lake = path(dir.path(), &n.to_string());
        let model = if made.contains(&"--model") { &[][..] } else { &["--model", "hs@1"] };
        let args = ["classify", "--input", input, "--lake", &lake, "--registry", trio()];
        ok(&[&args[..], model, made].concat());
        let all = number(&lake, "predictions", "SELECT count(*) AS n FROM t") as u64;
        let (code, report) = told(&lake, &[&["latest"], again].concat());
        assert_eq!((code, rows(&report)), (0, only("equal", all)), "{made:?} {again:?} {report}");
        assert!(all > 100 && report["files"].as_array().unwrap().len() == 3, "{report}");
    }
}

/// Through the library: every kernel of this machine, and rows are scored once however many passes there are.
#[test]
fn a_replay_scores_what_it_compares_once_and_a_sample_no_more_than_that() {
    let dir = folder();
    let lake = classified(dir.path(), "lake", lines(), &["--challenger", "hs@2"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let registry = Registry::new(Place::open(trio()).unwrap());
    for (kernel, memory_bytes, sample, scored) in
        [(0, 1 << 30, Sample::All, LINES), (1, 1 << 20, Sample::All, LINES), (2, 1 << 20, Sample::Lines(700), 700)]
    {
        let kernels = Kernel::available();
        let options = ReplayOptions {
            lake: Place::open(&lake).unwrap(),
            run: "latest".into(),
            sample,
            limits: Limits { memory_bytes, threads: 2 },
            kernel: Some(kernels[kernel % kernels.len()]),
            batch_rows: None,
            told: 20,
        };
        let replayed = runtime.block_on(replay(&options, &registry, Arc::new(Quiet))).unwrap();
        assert!(replayed.report.is_equal(), "{:?}", replayed.report.rows);
        assert!(replayed.report.rows.equal >= scored);
        for model in &replayed.again.models {
            assert_eq!(model.classifier.rows(), scored, "{} on {:?}", model.role, options.kernel);
        }
    }
}

#[test]
fn a_replay_writes_nothing_to_the_lake_and_says_the_same_on_any_number_of_threads() {
    let dir = folder();
    let lake = classified(dir.path(), "lake", lines(), &[]);
    let spoilt = "SELECT * REPLACE (CASE WHEN source_row % 7 = 3 THEN 'x' ELSE decision END AS decision) FROM t";
    let lake = tampered(dir.path(), "spoilt", &lake, "predictions", spoilt);
    let files = || {
        let mut found: Vec<(PathBuf, u64)> = Vec::new();
        let mut folders = vec![PathBuf::from(&lake)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                match entry.metadata().unwrap() {
                    meta if meta.is_dir() => folders.push(entry.path()),
                    meta => found.push((entry.path(), meta.len())),
                }
            }
        }
        found.sort();
        found
    };
    let before = files();
    let one = told(&lake, &["latest", "--threads", "1"]);
    let two = told(&lake, &["latest", "--threads", "2", "--memory", "1MiB"]);
    assert_eq!(one, two);
    assert_eq!(files(), before);
    let differing = number(&lake, "predictions", "SELECT count(*) AS n FROM t WHERE decision = 'x'") as u64;
    assert_eq!(rows(&one.1), BTreeMap::from([("equal".into(), LINES - differing), ("differing".into(), differing)]));
    // The first twenty, by file and row, each with its column.
    let told = one.1["differences"].as_array().unwrap();
    let expected = read(
        &lake,
        "predictions",
        "SELECT source_file, source_row FROM t WHERE decision = 'x' ORDER BY source_file, source_row LIMIT 20",
    );
    let addresses: Vec<Value> =
        told.iter().map(|d| json!({"source_file": d["source_file"], "source_row": d["source_row"]})).collect();
    assert_eq!(addresses, expected);
    assert!(told.iter().all(|d| d["kind"] == "differing" && d["columns"][0]["column"] == "decision"), "{told:?}");
    assert!(told.iter().all(|d| d["columns"][0]["then"] == "x" && d["columns"].as_array().unwrap().len() == 1));
}

#[test]
fn a_row_that_was_changed_is_found_whatever_its_column_and_its_place() {
    let dir = folder();
    let lake = classified(dir.path(), "lake", lines(), &["--id", "line_id", "--challenger", "hs@2", "--split", "5%"]);
    let all = number(&lake, "predictions", "SELECT count(*) AS n FROM t") as u64;
    let at = "SELECT source_file, source_row FROM t WHERE role = 'champion' AND decision = 'accept' AND served \
              ORDER BY source_file DESC, source_row LIMIT 1";
    let at = &read(&lake, "predictions", at)[0];
    let (file, row) = (at["source_file"].as_str().unwrap(), at["source_row"].as_i64().unwrap());
    let here = format!("source_file = '{file}' AND source_row = {row} AND role = 'champion'");
    let set = |column: &str, to: &str| {
        format!("SELECT * REPLACE (CASE WHEN {here} THEN {to} ELSE {column} END AS {column}) FROM t")
    };
    let changes = [
        ("hs6", "'000001'"),
        // The next number that a float can be.
        ("confidence", "CAST(CAST(confidence AS DOUBLE) * 1.00000009 AS FLOAT)"),
        ("margin", "NULL"),
        ("description", "description || ' '"),
        ("text_digest", "upper(text_digest)"),
        ("alternatives", "list_reverse(alternatives)"),
        ("reasons", "['vague']"),
        ("previous_hs6", "'010121'"),
        ("model_version", "2"),
        ("policy_digest", "'p'"),
        ("line_id", "line_id || '0'"),
        ("served", "false"),
    ];
    for (n, (column, to)) in changes.into_iter().enumerate() {
        let spoilt = tampered(dir.path(), &format!("set {n}"), &lake, "predictions", &set(column, to));
        let (code, report) = told(&spoilt, &["latest"]);
        let expected = BTreeMap::from([("equal".into(), all - 1), ("differing".into(), 1)]);
        assert_eq!((code, rows(&report)), (10, expected), "{column} {report}");
        let difference = &report["differences"][0];
        assert_eq!((&difference["source_file"], &difference["source_row"]), (&json!(file), &json!(row)), "{column}");
        let columns = difference["columns"].as_array().unwrap();
        assert_eq!((columns.len(), &columns[0]["column"]), (1, &json!(column)), "{report}");
        assert_ne!(columns[0]["then"], columns[0]["now"], "{report}");
    }
    for (n, (kind, query, left)) in [
        ("not_in_lake", format!("SELECT * FROM t WHERE NOT ({here})"), all - 1),
        ("twice", format!("SELECT * FROM t UNION ALL SELECT * FROM t WHERE {here}"), all),
        (
            "not_reproduced",
            format!("SELECT * FROM t UNION ALL SELECT * REPLACE (9999999 AS source_row) FROM t WHERE {here}"),
            all,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let spoilt = tampered(dir.path(), &format!("kind {n}"), &lake, "predictions", &query);
        let (code, report) = told(&spoilt, &["latest"]);
        let expected = BTreeMap::from([("equal".into(), left), (kind.into(), 1)]);
        assert_eq!((code, rows(&report)), (10, expected), "{report}");
        assert_eq!(report["differences"][0]["kind"], kind, "{report}");
    }
    // A role that there is not: one row too many, and one too few.
    let spoilt = tampered(dir.path(), "role", &lake, "predictions", &set("role", "'jester'"));
    let (code, report) = told(&spoilt, &["latest"]);
    let expected = [("equal", all - 1), ("not_in_lake", 1), ("not_reproduced", 1)].map(|(name, n)| (name.into(), n));
    assert_eq!((code, rows(&report)), (10, BTreeMap::from(expected)), "{report}");
    // A row of a file that the record does not name.
    let query =
        format!("SELECT * FROM t UNION ALL SELECT * REPLACE ('file:///else' AS source_file) FROM t WHERE {here}");
    let spoilt = tampered(dir.path(), "strange", &lake, "predictions", &query);
    let (code, report) = told(&spoilt, &["latest"]);
    assert_eq!((code, &report["strange_files"]), (10, &json!({"file:///else": 1})), "{report}");
    // For people, and as CSV.
    let ended = run(&["replay", "--lake", &spoilt, "--registry", trio(), "latest"]);
    assert!(ended.code == 10 && ended.out.contains("file:///else is in 1 row(s)"), "{}{}", ended.out, ended.err);
    let ended = run(&["replay", "--lake", &spoilt, "--registry", trio(), "latest", "--format", "csv"]);
    assert_eq!(ended.out.lines().nth(1), Some(format!("not reproduced,file:///else,{row},champion,,,").as_str()));
}

#[test]
fn an_input_that_is_gone_or_changed_is_named_and_the_rest_is_compared() {
    let dir = folder();
    let input = path(dir.path(), "in");
    std::fs::create_dir_all(&input).unwrap();
    for entry in std::fs::read_dir(lines()).unwrap().flatten() {
        std::fs::copy(entry.path(), Path::new(&input).join(entry.file_name())).unwrap();
    }
    let lake = classified(dir.path(), "lake", &input, &[]);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&input).unwrap().flatten().map(|e| e.path()).collect();
    files.sort();
    std::fs::remove_file(&files[0]).unwrap();
    write_lines(&files[1], &[Some("steel bolts")]);
    let (code, report) = told(&lake, &["latest"]);
    assert_eq!(code, 10, "{report}");
    let states: Vec<&str> = report["files"].as_array().unwrap().iter().map(|f| f["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["gone", "changed", "there"], "{report}");
    assert!(report["files"][1]["why"].as_str().unwrap().contains("bytes and has"), "{report}");
    let lost = FILES[0] + FILES[1];
    assert_eq!(rows(&report), BTreeMap::from([("equal".into(), LINES - lost), ("left_out".into(), lost)]));
    // The same bytes under another ETag are not the file that was read.
    let bytes = std::fs::read(&files[2]).unwrap();
    std::fs::write(&files[2], bytes).unwrap();
    let ended = run(&["replay", "--lake", &lake, "--registry", trio(), "latest"]);
    assert_eq!(ended.code, 10, "{}{}", ended.out, ended.err);
    for said in ["gone file://", "changed file://", "its ETag was", "not equal", "inputs there               0  of 3"] {
        assert!(ended.out.contains(said), "{said}: {}", ended.out);
    }
    let csv = run(&["replay", "--lake", &lake, "--registry", trio(), "latest", "--format", "csv"]).out;
    assert_eq!((csv.matches("input gone,").count(), csv.matches("input changed,").count()), (1, 2), "{csv}");
}

#[test]
fn what_cannot_be_replayed_says_who_must_act() {
    let dir = folder();
    let lake = classified(dir.path(), "lake", lines(), &["--where", "origin = 'CN'"]);
    ok(&["classify", "--input", lines(), "--lake", &lake, "--registry", trio(), "--model", "hs@2"]);
    let ids = sql(&lake, "SELECT run_id, model_version FROM run_history ORDER BY started_at");
    let id = |n: usize| ids[n]["run_id"].as_str().unwrap();
    let none = path(dir.path(), "no models");
    let other = path(dir.path(), "other models");
    let exported = path(dir.path(), "exported");
    ok(&["models", "export", "hs@3", &exported, "--registry", trio()]);
    ok(&["models", "import", &exported, "--registry", &other, "--by", "the tests"]);
    let empty = path(dir.path(), "no lake");
    let call = |lake: &str, registry: &str, more: &[&str]| {
        run(&[&["replay", "--lake", lake, "--registry", registry][..], more].concat())
    };
    for (lake, registry, more, code, words) in [
        (&lake, trio(), &["nothing"][..], 20, "there is no run \"nothing\""),
        (&empty, trio(), &["latest"], 20, "there is no run in this lake"),
        (&lake, trio(), &[&id(0)[..4]], 2, "2 runs begin with"),
        (&lake, &none, &[id(0)], 21, "was made with hs@1"),
        (&lake, &other, &[id(0)], 21, "of digest"),
        (&lake, trio(), &[], 2, "required"),
        (&lake, trio(), &["latest", "--sample", "0"], 2, "give a share such as 1%"),
        (&lake, trio(), &["latest", "--sample", "101%"], 2, "give a share such as 1%"),
        (&lake, trio(), &["latest", "--kernel", "abacus"], 2, "this machine has plain"),
        (&lake, trio(), &["latest", "--line", "7"], 2, "--pack"),
        (&lake, trio(), &["latest", "--pack", "x", "--file", "y"], 2, "--row"),
        (&lake, trio(), &["latest", "--pack", &none, "--line", "7"], 20, "no line with the id"),
        (&lake, trio(), &["latest", "--pack", &none, "--file", "/nowhere", "--row", "7"], 20, "has no row for row 7"),
    ] {
        let ended = call(lake, registry, more);
        assert_eq!(ended.code, code, "{more:?} {}{}", ended.out, ended.err);
        assert!(ended.err.contains(words), "{more:?} {}", ended.err);
    }
    assert_eq!(call(&lake, trio(), &[&id(1)[..20], "--sample", "10"]).code, 0, "a beginning that is its own is enough");
    assert_eq!(told(&lake, &["latest", "--sample", "10"]).1["models"], json!(["hs@2"]));
    for (n, query) in [
        "SELECT * REPLACE (replace(policy_json, '\"audit_ratio\":0.01', '\"audit_ratio\":0.02') AS policy_json) FROM t",
        "SELECT * REPLACE (replace(policy_json, '\"rows\":', '\"rows\":1') AS policy_json) FROM t",
        "SELECT * REPLACE ('{}' AS policy_json) FROM t",
        "SELECT * REPLACE (repeat('0', 64) AS policy_digest) FROM t",
    ]
    .into_iter()
    .enumerate()
    {
        let spoilt = tampered(dir.path(), &format!("policy {n}"), &lake, "runs", query);
        let ended = call(&spoilt, trio(), &[id(0)]);
        assert_eq!(ended.code, 20, "{query} {}{}", ended.out, ended.err);
        assert!(ended.err.contains("the record was changed"), "{query} {}", ended.err);
    }
}

/// By an independent program: the lines whose hash of run, file and row is among the lowest twentieth.
#[test]
fn a_sample_is_a_fixed_part_of_the_lines_drawn_by_their_addresses() {
    let dir = folder();
    let lake = classified(dir.path(), "lake", lines(), &["--where", "origin <> 'DE'"]);
    let place = "substr(sha256(run_id || chr(10) || source_file || chr(10) || source_row), 1, 16)";
    let inside =
        number(&lake, "predictions", &format!("SELECT count(*) AS n FROM t WHERE {place} < '0ccccccccccccccd'"));
    let (code, report) = told(&lake, &["latest", "--sample", "5%", "--threads", "1"]);
    assert_eq!((code, rows(&report)), (0, only("equal", inside as u64)), "{report}");
    assert_eq!(told(&lake, &["latest", "--sample", "5%", "--threads", "2", "--memory", "64KiB"]).1, report);
    assert_eq!(rows(&told(&lake, &["latest", "--sample", "123"]).1), only("equal", 123));
    let all = number(&lake, "predictions", "SELECT count(*) AS n FROM t") as u64;
    assert_eq!(rows(&told(&lake, &["latest", "--sample", "1000000"]).1), only("equal", all));
    // What was changed is found by a sample that it is in, and by no other.
    for (order, found) in [("ASC", 1), ("DESC", 0)] {
        let at = format!("SELECT source_row, source_file FROM t ORDER BY {place} {order} LIMIT 1");
        let at = &read(&lake, "predictions", &at)[0];
        let here =
            format!("source_file = {} AND source_row = {}", at["source_file"], at["source_row"]).replace('"', "'");
        let query = format!("SELECT * REPLACE (CASE WHEN {here} THEN 'x' ELSE hs6 END AS hs6) FROM t");
        let spoilt = tampered(dir.path(), order, &lake, "predictions", &query);
        let (code, report) = told(&spoilt, &["latest", "--sample", "10"]);
        assert_eq!((code, rows(&report).get("differing").copied()), (10 * found, (found > 0).then_some(1)), "{report}");
    }
}

#[test]
fn a_run_of_an_older_contract_is_replayed_too() {
    let dir = folder();
    let new = classified(dir.path(), "new", lines(), &["--where", "origin = 'CN'"]);
    let old = path(dir.path(), "old");
    let of_runs = "challenger_name challenger_version challenger_digest challenger_policy_digest challenger_rows split_ratio \
                   challenger_lines challenger_written challenger_served differing_lines differing_codes";
    for (table, columns) in [("predictions", "role served"), ("runs", of_runs)] {
        let (from, to) = (format!("{new}/{table}"), format!("{old}/{table}"));
        let columns: Vec<&str> = columns.split_whitespace().collect();
        python("old_table.py", &[&[from.as_str(), &to][..], &columns].concat(), &[]);
    }
    let all = number(&old, "predictions", "SELECT count(*) AS n FROM t") as u64;
    assert_eq!((told(&old, &["latest"]).0, rows(&told(&old, &["latest"]).1)), (0, only("equal", all)));
}

/// A nomenclature in which every subheading has a text of its own.
fn nomenclature(dir: &Path) -> String {
    let file = path(dir, "nomenclature.csv");
    let mut csv = String::from("hs_code,level,parent,section,description\n");
    let codes = harmonize::tariff::Codes::builtin(harmonize::tariff::Edition::Hs2022);
    let mut all: Vec<String> = codes.iter().map(|code| code.as_str().to_string()).collect();
    all.extend(all.clone().iter().flat_map(|code| [code[..2].to_string(), code[..4].to_string()]));
    all.sort();
    all.dedup();
    for code in all {
        csv += &format!("{code},{},{},I,\"goods, of {code}\"\n", code.len(), &code[..code.len() - 2]);
    }
    std::fs::write(&file, csv).unwrap();
    file
}

/// A registry of its own, whose champion is the lab's model.
fn promoted(dir: &Path) -> String {
    let (exported, registry) = (path(dir, "export"), path(dir, "models"));
    ok(&["models", "export", "hs@1", &exported, "--registry", trio()]);
    ok(&["models", "import", &exported, "--registry", &registry, "--by", "the tests"]);
    let promote = ["models", "promote", "hs@1", "--as", "champion", "--why", "the only <one>", "--by", "Ana"];
    ok(&[&promote[..], &["--registry", &registry]].concat());
    registry
}

/// The JSON of a pack, with what others say of its digest.
fn checked(file: &str, kind: &str) -> (String, Value) {
    let text = std::fs::read_to_string(file).unwrap();
    let by_python = python("verify_pack.py", &[file], &[]);
    assert_eq!((&by_python["digest"], &by_python["kind"]), (&by_python["stated"], &json!(kind)));
    let said = ok(&["replay", "--verify-pack", file]);
    assert!(said.contains(by_python["digest"].as_str().unwrap()) && said.contains(kind), "{said}");
    let html = std::fs::read_to_string(file.replace(".json", ".html")).unwrap();
    assert!(html.contains(by_python["digest"].as_str().unwrap()));
    assert!(!html.contains("http") && !html.contains("<script"), "self-contained");
    let pack: Value = serde_json::from_str(&text).unwrap();
    (text, pack["pack"].clone())
}

#[test]
fn a_pack_of_a_line_says_what_was_said_why_by_what_and_who_decided_since() {
    let dir = folder();
    let registry = promoted(dir.path());
    let lake = path(dir.path(), "lake");
    let file = dir.path().join("in/lines.parquet");
    let texts =
        [Some("steel <b>bolts</b> m8 zinc plated"), Some("spare parts"), None, Some("cotton shirts"), Some("!")];
    write_lines(&file, &texts);
    let input = file.to_str().unwrap();
    let classify = ["classify", "--input", input, "--id", "line_id", "--lake", &lake, "--registry", &registry];
    ok(&[&classify[..], &["--model", "hs@champion"]].concat());
    let first = sql(&lake, "SELECT run_id FROM run_history")[0]["run_id"].as_str().unwrap().to_string();
    ok(&[&classify[..], &["--model", "hs@1", "--threshold", "0.01", "--audit-ratio", "0"]].concat());
    // What happens after the run is not of its time.
    let later =
        ["models", "promote", "hs@1", "--as", "candidate", "--why", "later", "--by", "Ben", "--registry", &registry];
    ok(&later);
    let url = format!("file://{input}");
    let digest = sql(&lake, "SELECT text_digest FROM predictions WHERE line_id = '0'")[0]["text_digest"].clone();
    python("write_decisions.py", &[&format!("{lake}/decisions"), digest.as_str().unwrap(), &url, "0"], &[]);
    let names = nomenclature(dir.path());
    let packs = path(dir.path(), "packs");
    let replay = ["replay", "--lake", &lake, "--registry", &registry, &first, "--nomenclature", &names];
    let pack = |to: &str, more: &[&str]| {
        let ended = run(&[&replay[..], &["--pack", to], more].concat());
        assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
        let file = ended.err.lines().find_map(|l| l.strip_prefix("wrote ").filter(|f| f.ends_with(".json"))).unwrap();
        file.to_string()
    };
    let file_of_line = pack(&packs, &["--line", "0"]);
    let (text, line) = checked(&file_of_line, "line");
    // The same state makes the same bytes, whatever names the line and the file.
    let again = pack(&path(dir.path(), "again.html"), &["--file", input, "--row", "0", "--threads", "1"]);
    assert!(again.ends_with("again.json"), "{again}");
    assert_eq!(std::fs::read_to_string(&again).unwrap(), text);
    let html = |json: &str| std::fs::read_to_string(json.replace(".json", ".html")).unwrap();
    assert_eq!(html(&again), html(&file_of_line));

    let told = &line["line"];
    assert_eq!(told["description_stored"], texts[0].unwrap());
    assert_eq!(told["description_in_input"], texts[0].unwrap());
    assert_eq!((&told["line_id"], &told["source_file"], &told["source_row"]), (&json!("0"), &json!(url), &json!(0)));
    assert_eq!((&told["text_digest"], &told["text_digest_now"]), (&digest, &digest));
    assert_eq!(told["input"]["state"], "there");
    let said = &told["predictions"][0];
    assert_eq!((&said["equal"], &said["role"]), (&json!(true), &json!("champion")));
    let (then, now) = (said["then"].as_object().unwrap(), said["now"].as_object().unwrap());
    assert!(now.iter().all(|(name, value)| then[name] == *value) && now.len() + 1 == then.len(), "{said}");
    let in_lake = sql(
        &lake,
        &format!("SELECT hs6, confidence, decision FROM predictions WHERE run_id = '{first}' AND line_id = '0'"),
    );
    for column in ["hs6", "confidence", "decision"] {
        assert_eq!(then[column], in_lake[0][column], "{column}");
    }
    let candidates = said["candidates"].as_array().unwrap();
    assert_eq!((candidates.len(), &candidates[0]["hs6"]), (5, &then["hs6"]));
    for candidate in candidates {
        let code = candidate["hs6"].as_str().unwrap();
        assert_eq!(candidate["wording"]["subheading"], format!("goods, of {code}"));
        assert_eq!(candidate["wording"]["heading"], format!("goods, of {}", &code[..4]));
    }
    let explained = ok(&["explain", "--registry", &registry, "--model", "hs@1", "--format", "json", texts[0].unwrap()]);
    assert_eq!(said["explanation"], serde_json::from_str::<Value>(&explained).unwrap());
    let facts = &said["why"]["facts"];
    assert_eq!((&facts["threshold"], &facts["confidence"]), (&line["policy"]["threshold"], &then["confidence"]));
    let reaches = then["confidence"].as_f64() >= facts["threshold"].as_f64();
    let because = said["why"]["because"].to_string();
    assert!(because.contains(if reaches { "reaches the threshold" } else { "is below the threshold" }), "{because}");

    let model = &line["models"][0];
    let version = format!("{registry}/hs/versions/1");
    assert_eq!(model["digest"], sha256(&format!("{version}/manifest.json")));
    assert_eq!(model["card_sha256"], sha256(&format!("{version}/README.md")));
    let chain = &model["registry"];
    let events = chain["events"].as_array().unwrap();
    let kinds: Vec<&str> = events.iter().map(|e| e["event"]["kind"].as_str().unwrap()).collect();
    assert_eq!((kinds, &chain["whole"]), (vec!["registered", "promoted"], &json!(true)), "{chain}");
    assert_eq!((&events[1]["event"]["by"], &events[1]["event"]["why"]), (&json!("Ana"), &json!("the only <one>")));
    assert_eq!(chain["aliases"], json!(["champion"]));
    for (event, n) in events.iter().zip(1..) {
        assert_eq!(event["file_sha256"], sha256(&format!("{registry}/hs/events/{n}.json")));
    }
    let who: Vec<&str> =
        line["decisions"].as_array().unwrap().iter().map(|d| d["reviewer"].as_str().unwrap()).collect();
    assert_eq!(who, ["Ana", "Ben"]);
    let history = line["history"].as_array().unwrap();
    assert_eq!(history.len(), 1, "{history:?}");
    assert_ne!(history[0]["policy_digest"], then["policy_digest"]);
    assert_eq!(line["run"]["run_id"], first);

    // Lines without a code or without a text, and the second run, as a browser shows them.
    let mut pages = vec![("line.html".to_string(), html(&file_of_line))];
    for (row, words) in [("1", "names no goods"), ("2", "The description is null"), ("3", "threshold"), ("4", "")] {
        let (_, line) = checked(&pack(&packs, &["--line", row]), "line");
        let said = &line["line"]["predictions"][0];
        assert!(said["why"]["because"].to_string().contains(words), "{row} {said}");
        assert_eq!(
            (said["then"]["hs6"].is_null(), said["candidates"] == json!([])),
            (row != "3", row != "3"),
            "{said}"
        );
        let name = std::fs::read_dir(&packs).unwrap().flatten().map(|e| e.path()).find(|p| {
            p.extension().is_some_and(|e| e == "html")
                && !pages.iter().any(|(_, html)| *html == std::fs::read_to_string(p).unwrap())
        });
        pages.push((format!("{row}.html"), std::fs::read_to_string(name.unwrap()).unwrap()));
    }
    let pages: Vec<(&str, &str)> = pages.iter().map(|(name, html)| (name.as_str(), html.as_str())).collect();
    for seen in looked_at(&pages).unwrap_or_default() {
        let headings = seen["headings"].to_string();
        for heading in
            ["The line", "What the champion said", "What people decided", "What had happened to it", "The digest"]
        {
            assert!(headings.contains(heading), "{heading}: {seen}");
        }
        assert!(seen["tables"].as_u64() >= Some(8) && seen["texts"].as_u64() > Some(80), "{seen}");
    }

    // What was changed afterwards shows: in the pack by its digest, in the lake by the row made again.
    for at in [70, text.len() / 3, text.len() / 2, text.len() - 10] {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
        let spoilt = path(dir.path(), "spoilt.json");
        std::fs::write(&spoilt, bytes).unwrap();
        let ended = run(&["replay", "--verify-pack", &spoilt]);
        assert_eq!(ended.code, 20, "{at} {}{}", ended.out, ended.err);
    }
    std::fs::remove_file(&file).unwrap();
    let ended = run(&[&replay[..], &["--pack", &path(dir.path(), "gone.json"), "--line", "0"]].concat());
    assert_eq!(ended.code, 10, "{}", ended.err);
    let (_, gone) = checked(&path(dir.path(), "gone.json"), "line");
    let said = &gone["line"]["predictions"][0];
    assert_eq!(
        (&gone["line"]["input"]["state"], &said["now"], &said["equal"]),
        (&json!("gone"), &Value::Null, &json!(false))
    );
    assert_eq!(gone["line"]["description_stored"], texts[0].unwrap());
    assert!(!said["explanation"].is_null(), "the stored text is explained");
}

/// By an independent program.
fn sha256(file: &str) -> Value {
    let sum = std::process::Command::new("sha256sum").arg(file).output().unwrap();
    String::from_utf8(sum.stdout).unwrap().split(' ').next().unwrap().into()
}

#[test]
fn a_pack_of_a_line_that_was_changed_says_so_column_by_column() {
    let dir = folder();
    let lake = classified(
        dir.path(),
        "lake",
        lines(),
        &["--id", "line_id", "--challenger", "hs@2", "--challenger-rows", "all"],
    );
    let at = "SELECT source_file, source_row FROM t WHERE decision = 'accept' ORDER BY source_file, source_row LIMIT 1";
    let at = &read(&lake, "predictions", at)[0];
    let (source, row) = (at["source_file"].as_str().unwrap(), at["source_row"].to_string());
    let here = format!("source_file = '{source}' AND source_row = {row} AND role = 'champion'");
    let query = format!("SELECT * REPLACE (CASE WHEN {here} THEN '999999' ELSE hs6 END AS hs6) FROM t");
    let spoilt = tampered(dir.path(), "spoilt", &lake, "predictions", &query);
    let file = path(dir.path(), "pack.json");
    let args = ["replay", "--lake", &spoilt, "--registry", trio(), "latest", "--pack", &file, "--file", source];
    let ended = run(&[&args[..], &["--row", &row]].concat());
    assert_eq!(ended.code, 10, "{}{}", ended.out, ended.err);
    let (_, pack) = checked(&file, "line");
    let said = pack["line"]["predictions"].as_array().unwrap();
    let roles: Vec<(&str, bool)> =
        said.iter().map(|s| (s["role"].as_str().unwrap(), s["equal"].as_bool().unwrap())).collect();
    assert_eq!(roles, [("challenger", true), ("champion", false)]);
    let differing = &said[1]["differing"][0];
    assert_eq!((&differing["column"], &differing["then"]), (&json!("hs6"), &json!("999999")), "{differing}");
    assert_eq!(pack["models"].as_array().unwrap().len(), 2);
}

#[test]
fn a_pack_of_a_run_counts_what_came_of_it_and_says_whether_it_comes_again() {
    let dir = folder();
    let lake = classified(dir.path(), "lake", lines(), &["--where", "origin = 'CN'", "--challenger", "hs@2"]);
    let packs = path(dir.path(), "packs");
    let args = ["replay", "--lake", &lake, "--registry", trio(), "latest", "--pack", &packs];
    ok(&args);
    let file =
        std::fs::read_dir(&packs).unwrap().flatten().map(|e| path(Path::new(&packs), e.file_name().to_str().unwrap()));
    let file = file.into_iter().find(|file| file.ends_with(".json")).unwrap();
    let (text, pack) = checked(&file, "run");
    ok(&[&args[..], &["--threads", "1", "--batch-rows", "500"]].concat());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "the same state, the same bytes");
    let all = number(&lake, "predictions", "SELECT count(*) AS n FROM t");
    assert_eq!(pack["replay"]["rows"]["equal"], all);
    let counted = read(
        &lake,
        "predictions",
        "SELECT role, served, decision, count(*) AS rows FROM t GROUP BY ALL ORDER BY role, served, decision",
    );
    assert_eq!(pack["counts"]["decisions"], json!(counted));
    let counted = read(
        &lake,
        "predictions",
        "SELECT role, reason, count(*) AS rows FROM (SELECT role, unnest(reasons) AS reason FROM t) GROUP BY ALL ORDER BY role, reason",
    );
    assert_eq!(pack["counts"]["reasons"], json!(counted));
    let counted = read(
        &lake,
        "predictions",
        "SELECT role, hs6[1:2] AS chapter, decision, count(*) AS rows FROM t WHERE hs6 IS NOT NULL GROUP BY ALL \
         ORDER BY role, chapter, decision",
    );
    assert_eq!(pack["counts"]["chapters"], json!(counted));
    let samples = pack["samples"].as_array().unwrap();
    let lines: std::collections::BTreeSet<String> =
        samples.iter().map(|s| format!("{} {}", s["source_file"], s["source_row"])).collect();
    assert_eq!(lines.len(), 20, "{samples:?}");
    let record = &read(&lake, "runs", "SELECT * FROM t")[0];
    assert_eq!(pack["run"]["policy_json"], record["policy_json"]);
    let policy: Value = serde_json::from_str(record["policy_json"].as_str().unwrap()).unwrap();
    assert_eq!(pack["policy"], policy);
    assert_eq!(pack["run"]["inputs"].as_array().unwrap().len(), 3);
    let html = std::fs::read_to_string(file.replace(".json", ".html")).unwrap();
    for seen in looked_at(&[("run.html", &html)]).unwrap_or_default() {
        let headings = seen["headings"].to_string();
        for heading in ["Inputs", "By decision", "By chapter", "Samples", "Made again", "The run", "The digest"] {
            assert!(headings.contains(heading), "{heading}: {seen}");
        }
    }
}
