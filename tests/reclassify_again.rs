use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::reclassify::{args, import, small_lake, two};
use crate::support::lab::{folder, lab, number, ok, path, read, run, sql};
use crate::support::servers::python;

/// A copy of a lake, whose tables have the same versions.
fn copy(lake: &str, dir: &Path, name: &str) -> String {
    let to = path(dir, name);
    assert!(std::process::Command::new("cp").args(["-r", lake, &to]).status().unwrap().success());
    to
}

fn told(lake: &str, more: &[&str]) -> (i32, Value) {
    let args = ["replay", "--lake", lake, "--registry", &two().registry, "--format", "json"];
    let ended = run(&[&args[..], more].concat());
    (ended.code, serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{e}: {}{}", ended.out, ended.err)))
}

fn rows(report: &Value) -> BTreeMap<String, u64> {
    let rows = report["rows"].as_object().unwrap();
    rows.iter().map(|(name, n)| (name.clone(), n.as_u64().unwrap())).filter(|(_, n)| *n > 0).collect()
}

fn only(name: &str, n: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(name.to_string(), n)])
}

/// What is told of a table.
fn table<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["tables"].as_array().unwrap().iter().find(|table| table["table"] == name).unwrap()
}

/// Decisions of a person, each about a text of one of the most frequent codes.
fn decide(lake: &str, of: &[usize]) {
    for at in of {
        let code = &two().most[*at];
        let text = format!("SELECT min(text_digest) AS d FROM predictions WHERE hs6 = '{code}'");
        let digest = sql(lake, &text)[0]["d"].as_str().unwrap().to_owned();
        python("write_decision.py", &[&format!("{lake}/decisions"), &digest, code, "2017"], &[]);
    }
}

const LINES: u64 = 18_000;

/// A lake of a few lines that was reclassified; its run.
fn reclassified(dir: &Path) -> (String, String) {
    let lake = small_lake(dir);
    decide(&lake, &[3, 5]);
    ok(&args(&lake, "hs@1", &["--threshold", "0.7", "--audit-ratio", "0.1"]));
    let run = "SELECT run_id FROM run_history WHERE command = 'reclassify'";
    let run = sql(&lake, run)[0]["run_id"].as_str().unwrap().to_string();
    (lake, run)
}

#[test]
fn a_reclassification_is_made_again_whatever_the_lake_has_seen_since() {
    let dir = folder();
    let (lake, run_id) = reclassified(dir.path());
    // People decide, files come, a file gets shorter, the editions get other words, another table names new links.
    decide(&lake, &[0, 2]);
    let more = path(dir.path(), "more");
    python("derive_lines.py", &[&lab().lines, &more, "SELECT * FROM t WHERE row BETWEEN 7000 AND 7100"], &[]);
    let classify = ["classify", "--id", "line_id", "--lake", &lake, "--registry", &two().registry, "--model", "old@1"];
    ok(&[&classify[..], &["--input", &more]].concat());
    let input = path(dir.path(), "in");
    python("derive_lines.py", &[&lab().lines, &input, "SELECT * FROM t WHERE row < 100"], &[]);
    let newer = ["classify", "--id", "line_id", "--lake", &lake, "--registry", &two().registry, "--model", "hs@1"];
    ok(&[&newer[..], &["--input", &input, "--value", "value"]].concat());
    let words = path(dir.path(), "2022.csv");
    let text = std::fs::read_to_string(&two().nomenclatures[1]).unwrap().replace("subheading", "other words");
    std::fs::write(&words, text).unwrap();
    ok(&["tariff", "import", &format!("2022={words}"), "--lake", &lake]);
    let links = path(dir.path(), "links.csv");
    std::fs::write(&links, "hs2022,hs2017,relationship\n010121,010121,1:1\n").unwrap();
    ok(&["tariff", "import", &links, "--lake", &lake]);
    ok(&args(&lake, "hs@1", &["--threshold", "0.1"]));
    for more in [
        &[][..],
        &["--threads", "1", "--batch-rows", "777"],
        &["--memory", "128MiB", "--threads", "3", "--kernel", "plain"],
    ] {
        let (code, report) = told(&lake, &[&[run_id.as_str()], more].concat());
        assert_eq!((code, rows(&report)), (0, only("equal", LINES)), "{more:?} {report}");
        assert_eq!(report["why"], json!([]));
        let read: Vec<&str> =
            report["tables"].as_array().unwrap().iter().map(|t| t["table"].as_str().unwrap()).collect();
        assert_eq!(read, ["correlations", "decisions", "nomenclature", "predictions", "runs"]);
        assert!(report["files"].as_array().unwrap().iter().all(|file| file["state"] == "not_read"), "{report}");
    }
    let (code, report) = told(&lake, &[&run_id, "--sample", "500"]);
    assert_eq!((code, rows(&report)), (0, only("equal", 500)), "{report}");
    // The other reclassification, of what came since, comes out again too.
    let (code, report) = told(&lake, &["latest"]);
    assert_eq!((code, rows(&report).len()), (0, 1), "{report}");
    assert_ne!(rows(&report), only("equal", LINES));
}

#[test]
fn what_is_not_the_same_is_named_with_its_reason() {
    let dir = folder();
    let (lake, run_id) = reclassified(dir.path());
    let here = format!("run_id = '{run_id}' AND source_row = 4711");
    let spoilt = |name: &str, of: &str, query: &str, more: &[&str]| {
        let to = copy(&lake, dir.path(), name);
        python("rewrite_table.py", &[&[&format!("{to}/{of}"), query][..], more].concat(), &[]);
        to
    };
    let all = "SELECT * FROM t";
    // A row was changed after the run; the version that the run read is there.
    let query = format!("SELECT * REPLACE (CASE WHEN {here} THEN '999999' ELSE hs6 END AS hs6) FROM t");
    let changed = spoilt("changed", "predictions", &query, &[]);
    for (most, shown) in [("0", 0), ("2", 2), ("100", 3)] {
        let (_, report) = told(&changed, &[&run_id, "--differences", most]);
        assert_eq!((report["differences"].as_array().unwrap().len(), &report["rows"]["differing"]), (shown, &json!(3)));
    }
    let (code, report) = told(&changed, &[&run_id]);
    let expected = BTreeMap::from([("equal".into(), LINES - 3), ("differing".into(), 3)]);
    assert_eq!((code, rows(&report)), (10, expected), "{report}");
    let difference = &report["differences"][0];
    assert_eq!(
        (&difference["columns"][0]["column"], &difference["columns"][0]["then"]),
        (&json!("hs6"), &json!("999999"))
    );
    assert!(report["why"].to_string().contains("changed, removed or added after the run"), "{report}");
    // The versions of the tables are gone: another tool rewrote them and cleaned up.
    for of in ["predictions", "decisions", "runs"] {
        let lost = spoilt(&format!("vacuumed {of}"), of, all, &["--vacuum"]);
        let (code, report) = told(&lost, &[&run_id]);
        assert_eq!((code, rows(&report)), (10, only("left_out", LINES)), "{of} {report}");
        assert_eq!(table(&report, of)["state"], "gone", "{report}");
        assert!(report["why"].to_string().contains(&format!("the table {of}, version")), "{report}");
        let ended = run(&["replay", "--lake", &lost, "--registry", &two().registry, &run_id]);
        assert!(ended.code == 10 && ended.out.contains("cleaned up"), "{}{}", ended.out, ended.err);
        let csv = ["replay", "--lake", &lost, "--registry", &two().registry, &run_id, "--format", "csv"];
        assert!(run(&csv).out.contains(&format!("table lost,{of},")), "{of}");
    }
    // Of the tariff any version will do that says the same.
    let same = spoilt("same tariff", "correlations", all, &["--vacuum"]);
    let (code, report) = told(&same, &[&run_id]);
    assert_eq!((code, rows(&report)), (0, only("equal", LINES)), "{report}");
    assert!(
        table(&report, "correlations")["why"].to_string().contains("the present version says the same"),
        "{report}"
    );
    let other = "SELECT * FROM t WHERE from_code <> (SELECT min(from_code) FROM t)";
    let (code, report) = told(&spoilt("other tariff", "correlations", other, &["--vacuum"]), &[&run_id]);
    assert_eq!((code, rows(&report)), (10, only("left_out", LINES)), "{report}");
    assert_eq!(table(&report, "correlations")["state"], "changed", "{report}");
    assert!(report["why"].to_string().contains("links or codes are others"), "{report}");
    // A table that was made anew is not the one that was read.
    let anew = copy(&lake, dir.path(), "made anew");
    std::fs::remove_dir_all(Path::new(&anew).join("decisions")).unwrap();
    let (code, report) = told(&anew, &[&run_id]);
    assert_eq!((code, &table(&report, "decisions")["state"]), (10, &json!("gone")), "{report}");
    // Another engine is told beside what differs.
    let query = format!(
        "SELECT * REPLACE (CASE WHEN run_id = '{run_id}' THEN '0.0.9' ELSE program_version END AS program_version) FROM t"
    );
    let older = spoilt("older program", "runs", &query, &[]);
    assert_eq!(told(&older, &[&run_id]).0, 0, "another version that says the same is equal");
    python("rewrite_table.py", &[&format!("{older}/predictions"), &format!("SELECT * FROM t WHERE NOT ({here})")], &[]);
    let (code, report) = told(&older, &[&run_id]);
    let expected = BTreeMap::from([("equal".into(), LINES - 3), ("not_in_lake".into(), 3)]);
    assert_eq!((code, rows(&report)), (10, expected), "{report}");
    assert!(report["why"].to_string().contains("made by version 0.0.9"), "{report}");
}

#[test]
fn what_cannot_be_made_again_says_who_must_act() {
    let dir = folder();
    let (lake, run_id) = reclassified(dir.path());
    let none = path(dir.path(), "no models");
    let ended = run(&["replay", "--lake", &lake, "--registry", &none, &run_id]);
    assert_eq!((ended.code, ended.err.contains("was made with hs@1")), (21, true), "{}", ended.err);
    for (name, kept) in [("no record", "NULL"), ("older record", "'{\"links\":[\"2017 → 2022\"]}'")] {
        let to = copy(&lake, dir.path(), name);
        let query = format!(
            "SELECT * REPLACE (CASE WHEN run_id = '{run_id}' THEN {kept} ELSE reclassify_json END AS reclassify_json) FROM t"
        );
        python("rewrite_table.py", &[&format!("{to}/runs"), &query], &[]);
        let ended = run(&["replay", "--lake", &to, "--registry", &two().registry, &run_id]);
        assert_eq!(ended.code, 20, "{name} {}", ended.err);
        assert!(ended.err.contains("which versions of the lake's tables it read"), "{name} {}", ended.err);
    }
}

/// The pack of the first line of which a condition over the run's rows holds.
fn pack(lake: &str, run_id: &str, to: &str, condition: &str) -> Value {
    let at = format!(
        "SELECT source_file, source_row FROM t WHERE run_id = '{run_id}' AND {condition} ORDER BY source_file, source_row LIMIT 1"
    );
    let at = &read(lake, "predictions", &at)[0];
    let (file, row) = (at["source_file"].as_str().unwrap(), at["source_row"].to_string());
    let replay = ["replay", "--lake", lake, "--registry", &two().registry, run_id, "--pack", to];
    ok(&[&replay[..], &["--file", file, "--row", &row]].concat());
    let by_python = python("verify_pack.py", &[to], &[]);
    assert_eq!(by_python["digest"], by_python["stated"]);
    assert!(ok(&["replay", "--verify-pack", to]).contains("whole"));
    let pack: Value = serde_json::from_str(&std::fs::read_to_string(to).unwrap()).unwrap();
    pack["pack"].clone()
}

#[test]
fn a_pack_of_a_reclassified_line_shows_what_became_of_its_code() {
    let dir = folder();
    let (lake, run_id) = reclassified(dir.path());
    let to = path(dir.path(), "pack.json");
    let most = &two().most;
    let text = |code: &str| format!("words of {code}");
    // Every code has words of its own.
    let [old, new] = [0, 1].map(|at| {
        let csv = std::fs::read_to_string(&two().nomenclatures[at]).unwrap();
        let words = csv.lines().enumerate().map(|(n, line)| match n {
            0 => format!("{line}\n"),
            _ => format!("{},{}\n", line.rsplit_once(',').unwrap().0, text(line.split(',').next().unwrap())),
        });
        let file = path(dir.path(), &format!("{at}.csv"));
        std::fs::write(&file, words.collect::<String>()).unwrap();
        file
    });
    // The run read the editions as they were before: with those words a lake of its own is reclassified.
    let lake_of_words = path(dir.path(), "words/lake");
    let input = path(dir.path(), "in");
    let classify =
        ["classify", "--input", &input, "--id", "line_id", "--lake", &lake_of_words, "--registry", &two().registry];
    ok(&[&classify[..], &["--model", "old@1"]].concat());
    let (old, new) = (format!("2017={old}"), format!("2022={new}"));
    ok(&["tariff", "import", &old, &new, &two().correlation, "--lake", &lake_of_words]);
    ok(&args(&lake_of_words, "hs@1", &["--threshold", "0.7"]));
    let run_of_words =
        sql(&lake_of_words, "SELECT run_id FROM run_history WHERE command = 'reclassify'")[0]["run_id"].clone();
    let run_of_words = run_of_words.as_str().unwrap();
    let split = format!("previous_hs6 = '{}' AND decision = 'accept'", most[0]);
    let line = pack(&lake_of_words, run_of_words, &to, &split);
    let became = &line["line"]["reclassified"];
    assert_eq!(became["previous"]["hs6"], most[0].as_str());
    assert_eq!(became["previous"]["standing"], "a code that counted");
    assert_eq!(became["previous"]["wording"]["subheading"], text(&most[0]));
    assert_eq!((&became["change"]["kind"], &became["change"]["scope_changed"]), (&json!("split"), &json!(true)));
    let successors = became["successors"].as_array().unwrap();
    let mut codes: Vec<&str> = successors.iter().map(|one| one["hs6"].as_str().unwrap()).collect();
    assert_eq!(codes[0], line["line"]["predictions"][0]["then"]["hs6"], "the likeliest first");
    codes.sort_unstable();
    let mut wanted = [most[0].as_str(), &most[1]];
    wanted.sort_unstable();
    assert_eq!(codes, wanted);
    let shares: Vec<f64> = successors.iter().map(|one| one["share"].as_f64().unwrap()).collect();
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-5 && shares[0] >= 0.7, "{shares:?}");
    assert_eq!(json!(shares[0]), line["line"]["predictions"][0]["then"]["confidence"]);
    for one in successors {
        assert_eq!(one["wording"]["subheading"], text(one["hs6"].as_str().unwrap()));
    }
    let said = &line["line"]["predictions"][0];
    assert_eq!(
        (&said["equal"], &said["candidates"][0]["wording"]["subheading"]),
        (&json!(true), &successors[0]["wording"]["subheading"])
    );
    let because = said["why"]["because"].to_string();
    assert!(
        because.contains("chose among the 2 successors") && because.contains("reaches the threshold 0.7"),
        "{because}"
    );
    assert!(!said["explanation"].is_null());
    assert_eq!(line["line"]["input"]["state"], "not_read");
    let html = std::fs::read_to_string(to.replace(".json", ".html")).unwrap();
    for seen in ["What became of its code", "Successors", "As it stood before", &text(&most[1])] {
        assert!(html.contains(seen), "{seen}");
    }

    // Carried, mapped, without a successor, and a person's: what each rests on.
    for (condition, action, because, asked) in [
        ("decision = 'carried'".to_string(), "carry", "no model was asked", false),
        (format!("previous_hs6 = '{}' AND decision = 'mapped'", most[6]), "map", "its one successor", false),
        (format!("previous_hs6 = '{}'", most[8]), "orphan", "It has no successor", true),
        ("decision = 'held'".into(), "", "A person decided the code", false),
        ("list_contains(reasons, 'audit_sample') AND NOT list_contains(reasons, 'below_threshold') AND confidence >= 0.7 AND \
          len(alternatives) = 2 AND model_name = 'hs'".into(), "rescore", "", true),
    ] {
        let line = pack(&lake, &run_id, &to, &condition);
        let (became, said) = (&line["line"]["reclassified"], &line["line"]["predictions"][0]);
        assert_eq!(said["equal"], true, "{condition} {line}");
        assert!(action.is_empty() || became["change"]["action"] == action, "{condition} {became}");
        assert!(said["why"]["because"].to_string().contains(because), "{condition} {}", said["why"]);
        if !action.is_empty() {
            assert_eq!(became["became"]["facts"]["model_asked"], asked, "{condition} {became}");
            assert_eq!(said["explanation"].is_null(), !asked, "{condition}");
        }
    }
    // A pack of the whole run counts what came of it.
    let whole = path(dir.path(), "run.json");
    ok(&["replay", "--lake", &lake, "--registry", &two().registry, &run_id, "--pack", &whole]);
    let run: Value = serde_json::from_str(&std::fs::read_to_string(&whole).unwrap()).unwrap();
    let counted: u64 =
        run["pack"]["counts"]["decisions"].as_array().unwrap().iter().map(|row| row["rows"].as_u64().unwrap()).sum();
    assert_eq!(counted, LINES);
    assert_eq!(number(&lake, "predictions", &format!("SELECT count(*) AS n FROM t WHERE run_id = '{run_id}'")), 18_000);
}

/// Nothing that a replay does is seen in the lake.
#[test]
fn making_a_reclassification_again_writes_nothing() {
    let dir = folder();
    let lake = small_lake(dir.path());
    import(&lake);
    ok(&args(&lake, "hs@1", &["--threshold", "0.8"]));
    let before = copy(&lake, dir.path(), "before");
    let (code, report) = told(&lake, &["latest", "--memory", "512MiB"]);
    assert_eq!((code, rows(&report)), (0, only("equal", LINES)), "{report}");
    let same = std::process::Command::new("diff").args(["-rq", &before, &lake]).output().unwrap();
    assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stdout));
}
