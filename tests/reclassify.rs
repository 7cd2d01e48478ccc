use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::OnceLock;

use harmonize::tariff::{Codes, Edition};
use serde_json::Value;

use crate::support::lab::{RECIPE, classify_args, folder, harmonize, lab, number, ok, path, read, run, sql};
use crate::support::servers::python;

/// A registry with the lab's model of edition 2022 as `hs@1` and one of edition 2017 as `old@1`, and a tariff of both editions as
/// files: the real numbers, with some links made up so that every kind of change meets lines.
struct Two {
    registry: String,
    nomenclatures: [String; 2],
    correlation: String,
    pairs: String,
    _dir: tempfile::TempDir,
}

fn nomenclature(edition: Edition) -> String {
    let codes = Codes::builtin(edition);
    let mut out = "hs_code,level,parent,section,description\n".to_owned();
    codes.chapters().for_each(|code| out += &format!("{code},2,,I,chapter\n"));
    codes.headings().for_each(|code| out += &format!("{code},4,{},I,heading\n", &code[..2]));
    codes.iter().for_each(|code| out += &format!("{code},6,{},I,subheading\n", code.heading()));
    out
}

fn two() -> &'static Two {
    static TWO: OnceLock<Two> = OnceLock::new();
    TWO.get_or_init(|| {
        let dir = folder();
        let at = |name: &str| path(dir.path(), name);
        let (registry, exported, recipe) = (at("models"), at("exported"), at("recipe.toml"));
        ok(&["models", "export", "hs@1", &exported, "--registry", &lab().registry]);
        ok(&["models", "import", &exported, "--registry", &registry, "--by", "the tests"]);
        std::fs::write(&recipe, RECIPE).unwrap();
        let labelled = &lab().labelled;
        let (old, new) = (Codes::builtin(Edition::Hs2017), Codes::builtin(Edition::Hs2022));
        let (old, new): (BTreeSet<_>, BTreeSet<_>) = (old.iter().collect(), new.iter().collect());
        let of_both = new.difference(&old).map(|code| format!("'{code}'")).collect::<Vec<_>>().join(", ");
        let of_both = format!("hs6 NOT IN ({of_both})");
        let args =
            ["train", "--input", labelled, "--label", "hs6", "--edition", "2017", "--name", "old", "--recipe", &recipe];
        let args = [&args[..], &["--where", &of_both, "--registry", &registry]].concat();
        ok(&[&args[..], &["--target-precision", "0.9", "--by", "the tests"]].concat());
        // The codes that lines most often have, each with a fate of its own.
        let lake = at("lake");
        ok(&["classify", "--input", &lab().lines, "--lake", &lake, "--registry", &registry, "--model", "old@1"]);
        let most =
            "SELECT hs6, count(*) AS n FROM predictions WHERE hs6 IS NOT NULL GROUP BY 1 ORDER BY n DESC, 1 LIMIT 40";
        let most: Vec<String> = sql(&lake, most).iter().map(|r| r["hs6"].as_str().unwrap().to_owned()).collect();
        let both = |code: &str| new.iter().any(|c| c.as_str() == code);
        let most: Vec<&String> = most.iter().filter(|code| both(code)).collect();
        let mut pairs: Vec<(String, String)> = Vec::new();
        let spare: Vec<String> = new.difference(&old).map(ToString::to_string).collect();
        for code in &old {
            let code = code.to_string();
            match most.iter().position(|c| **c == code) {
                // Keeps its number and shares its goods with its neighbour among the frequent ones.
                Some(0) => pairs.extend([(code.clone(), code), (most[0].clone(), most[1].clone())]),
                // Gives its number away and is split in two others.
                Some(2) => pairs.extend([(code.clone(), most[3].clone()), (code, most[4].clone())]),
                // Renumbered, merged into another, deleted.
                Some(5) => pairs.push((code, spare[0].clone())),
                Some(6) => pairs.push((code, most[7].clone())),
                Some(8) => {}
                _ if new.iter().any(|c| c.as_str() == code) => pairs.push((code.clone(), code)),
                _ => {}
            }
        }
        let linked: BTreeSet<&str> = pairs.iter().map(|(_, to)| to.as_str()).collect();
        let rest: Vec<String> = new.iter().map(ToString::to_string).filter(|c| !linked.contains(c.as_str())).collect();
        let mut correlation = "hs2022,hs2017,relationship\n".to_owned();
        pairs.iter().for_each(|(from, to)| correlation += &format!("{to},{from},\n"));
        let mut as_pairs = "from_code,to_code\n".to_owned();
        pairs.iter().for_each(|(from, to)| as_pairs += &format!("{from},{to}\n"));
        rest.iter().for_each(|to| as_pairs += &format!(",{to}\n"));
        let files = [at("2017.csv"), at("2022.csv")];
        std::fs::write(&files[0], nomenclature(Edition::Hs2017)).unwrap();
        std::fs::write(&files[1], nomenclature(Edition::Hs2022)).unwrap();
        std::fs::write(at("links.csv"), correlation).unwrap();
        std::fs::write(at("pairs.csv"), as_pairs).unwrap();
        let (correlation, pairs) = (at("links.csv"), at("pairs.csv"));
        Two { registry, nomenclatures: files, correlation, pairs, _dir: dir }
    })
}

/// A lake with lines of edition 2017 and the tariff.
fn lake_of(dir: &std::path::Path) -> String {
    let lake = path(dir, "lake");
    let two = two();
    ok(&[
        "classify",
        "--input",
        &lab().lines,
        "--id",
        "line_id",
        "--lake",
        &lake,
        "--registry",
        &two.registry,
        "--model",
        "old@1",
    ]);
    let [old, new] = &two.nomenclatures;
    let (old, new) = (format!("2017={old}"), format!("2022={new}"));
    ok(&["tariff", "import", &old, &new, &two.correlation, "--lake", &lake]);
    lake
}

fn args<'a>(lake: &'a str, model: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = [
        "reclassify",
        "--lake",
        lake,
        "--registry",
        &two().registry,
        "--from",
        "2017",
        "--to",
        "2022",
        "--model",
        model,
    ];
    [&args, more].concat()
}

fn expected(lake: &str) -> Value {
    python("reclassify_expected.py", &[lake, &two().pairs, "2017", "2022"], &[])
}

#[test]
fn every_line_gets_what_became_of_its_code_asks_for() {
    let dir = folder();
    let lake = lake_of(dir.path());
    // People: one decision on a text of every frequent code, one on a line.
    let frequent = "SELECT min(text_digest) AS d, min(source_file) AS f, hs6 FROM predictions WHERE hs6 IS NOT NULL GROUP BY hs6 ORDER BY count(*) DESC, hs6 LIMIT 12";
    for row in sql(&lake, frequent) {
        let [digest, code] = ["d", "hs6"].map(|name| row[name].as_str().unwrap().to_owned());
        python("write_decision.py", &[&format!("{lake}/decisions"), &digest, &code, "2017"], &[]);
    }
    let rehearsed = ok(&args(&lake, "hs@1", &["--threshold", "0.8", "--dry-run", "--format", "json"]));
    assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t"), 140_000, "a rehearsal writes nothing");
    let done = ok(&args(&lake, "hs@1", &["--threshold", "0.8", "--format", "json"]));
    let [rehearsed, done]: [Value; 2] = [rehearsed, done].map(|out| serde_json::from_str(&out).unwrap());
    assert_eq!(rehearsed["report"], done["report"]);
    let found = expected(&lake);
    assert_eq!((&found["lines"], &found["rows"]), (&140_000.into(), &140_000.into()));
    assert_eq!(found["wrong"], serde_json::json!([]), "{found}");
    for rule in
        ["carry", "map", "rescore", "orphan", "open carry", "open map", "open rescore", "open none", "person carry"]
    {
        assert!(found["by_rule"][rule].as_u64().unwrap_or(0) > 0, "{rule}: {found}");
    }
    let held = found["by_rule"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(rule, _)| ["person map", "person rescore", "person orphan"].contains(&rule.as_str()));
    assert!(held.count() >= 2, "{found}");
    // The report counts what the table holds.
    for (decision, n) in done["report"]["decisions"].as_object().unwrap() {
        let query = format!("SELECT count(*) AS n FROM t WHERE tariff_edition = '2022' AND decision = '{decision}'");
        assert_eq!(number(&lake, "predictions", &query), n.as_i64().unwrap(), "{decision}");
    }
    let sure = "SELECT count(*) AS n FROM t WHERE tariff_edition = '2022' AND decision = 'accept' AND confidence < 0.8";
    assert_eq!(number(&lake, "predictions", sure), 0);
    // Shares among successors add up to one, where all of them are told.
    let sums = "SELECT count(*) AS n FROM (SELECT source_file, source_row, sum(a.confidence) AS s, count(*) AS c FROM \
                (SELECT source_file, source_row, unnest(alternatives) AS a FROM t WHERE tariff_edition = '2022' AND \
                decision = 'accept') GROUP BY 1, 2) WHERE c < 5 AND abs(s - 1) > 1e-4";
    assert_eq!(number(&lake, "predictions", sums), 0);
    // What people decided stands; what needs a new code waits for them, with a suggestion.
    let people = sql(
        &lake,
        "SELECT DISTINCT decided_hs6, hs6, decision FROM coded_lines WHERE decision_id IS NOT NULL ORDER BY 1",
    );
    for row in &people {
        let kept = row["decision"] == "carried" && row["hs6"] == row["decided_hs6"];
        assert!(kept || row["decision"] == "held", "{row}");
    }
    let effective = "SELECT count(*) AS n FROM effective_codes AS e JOIN coded_lines AS c ON e.source_file = c.source_file AND \
                     e.source_row = c.source_row WHERE c.decision_id IS NOT NULL AND e.hs6 <> c.decided_hs6";
    assert_eq!(sql(&lake, effective)[0]["n"], 0);
    let waiting = sql(&lake, "SELECT count(*) AS n FROM review_queue WHERE decision = 'held'")[0]["n"].clone();
    assert_eq!(waiting, done["report"]["decisions"]["held"]);
    // Again, there is nothing left; and the nightly job with that model has nothing to do.
    assert!(
        ok(&args(&lake, "hs@1", &["--threshold", "0.8"])).contains("already done: no line of edition 2017 is left")
    );
    let out = ok(&[
        "classify",
        "--input",
        &lab().lines,
        "--id",
        "line_id",
        "--lake",
        &lake,
        "--registry",
        &two().registry,
        "--model",
        "hs@1",
    ]);
    assert!(out.contains("already done"), "{out}");
}

/// A model of the older edition cannot tell successors apart: these lines go to people, and none has a dead code.
#[test]
fn a_model_of_the_older_edition_sends_splits_to_people() {
    let dir = folder();
    let lake = lake_of(dir.path());
    ok(&args(&lake, "old@1", &["--threshold", "0"]));
    let found = expected(&lake);
    assert_eq!(found["wrong"], serde_json::json!([]), "{found}");
    let accepted = "SELECT count(*) AS n FROM t WHERE tariff_edition = '2022' AND decision = 'accept'";
    assert_eq!(number(&lake, "predictions", accepted), 0);
    let codes =
        read(&lake, "predictions", "SELECT DISTINCT hs6 FROM t WHERE tariff_edition = '2022' AND hs6 IS NOT NULL");
    let new = Codes::builtin(Edition::Hs2022);
    assert!(codes.iter().all(|row| new.contains(row["hs6"].as_str().unwrap())));
    let alternatives =
        "SELECT DISTINCT a.hs6 FROM (SELECT unnest(alternatives) AS a FROM t WHERE tariff_edition = '2022')";
    let alternatives = read(&lake, "predictions", alternatives);
    assert!(alternatives.len() > 50);
    assert!(alternatives.iter().all(|row| new.contains(row["hs6"].as_str().unwrap())));
}

/// Without texts in the lake, what the model would have to look at goes to people, and is counted.
#[test]
fn lines_whose_text_was_not_stored_go_to_people() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let two = two();
    let classify =
        ["classify", "--input", &lab().lines, "--lake", &lake, "--registry", &two.registry, "--model", "old@1"];
    ok(&[&classify[..], &["--store-text", "none"]].concat());
    let [old, new] = &two.nomenclatures;
    let (old, new) = (format!("2017={old}"), format!("2022={new}"));
    ok(&["tariff", "import", &old, &new, &two.correlation, "--lake", &lake]);
    let out = ok(&args(&lake, "hs@1", &["--threshold", "0"]));
    assert!(out.contains("not stored in the lake"), "{out}");
    assert_eq!(expected(&lake)["wrong"], serde_json::json!([]));
    let asked = "SELECT count(*) AS n FROM t WHERE tariff_edition = '2022' AND decision = 'accept'";
    assert_eq!(number(&lake, "predictions", asked), 0);
}

/// The threshold among successors is found on labelled lines, kept with its evidence, and said.
#[test]
fn the_threshold_among_successors_rests_on_labelled_lines() {
    let dir = folder();
    let lake = lake_of(dir.path());
    let labelled = ["--labelled", &lab().labelled, "--label", "hs6", "--target-precision", "0.9", "--format", "json"];
    let done: Value = serde_json::from_str(&ok(&args(&lake, "hs@1", &labelled))).unwrap();
    let within = &done["within"];
    assert!(within["rests_on"]["accepted"].as_u64().unwrap() > 30, "{within}");
    let kept =
        read(&lake, "runs", "SELECT reclassify_json, from_edition, carried_lines FROM t WHERE command = 'reclassify'")
            .remove(0);
    let basis: Value = serde_json::from_str(kept["reclassify_json"].as_str().unwrap()).unwrap();
    assert_eq!(&basis["within"], within);
    assert_eq!(basis["links"], serde_json::json!(["2017 → 2022"]));
    assert_eq!(
        (kept["from_edition"].as_str(), kept["carried_lines"].clone()),
        (Some("2017"), done["report"]["decisions"]["carried"].clone())
    );
    let ended = run(&args(&lake, "old@1", &labelled));
    assert_eq!(ended.code, 2, "{}", ended.err);
}

#[test]
fn killed_at_any_stage_it_is_there_whole_or_not_at_all() {
    for stage in ["planned", "scoring", "written", "proved", "committed"] {
        let dir = folder();
        let lake = lake_of(dir.path());
        let mut child = harmonize(&args(&lake, "hs@1", &["--threshold", "0.8"]))
            .env("HARMONIZE_HOLD_AT", stage)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(said.any(|line| line == format!("held at {stage}")), "{stage}");
        child.kill().unwrap();
        child.wait().unwrap();
        let there = if stage == "committed" { 280_000 } else { 140_000 };
        assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t"), there, "{stage}");
        ok(&args(&lake, "hs@1", &["--threshold", "0.8"]));
        assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t"), 280_000, "{stage}");
        let out = ok(&args(&lake, "hs@1", &["--threshold", "0.8"]));
        assert!(out.contains("already done"), "{stage}: {out}");
    }
}

#[test]
fn wrong_calls_say_what_to_do() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    ok(&classify_args(&lab().lines, &lake));
    let registry = &two().registry;
    let call = |from: &str, to: &str| {
        run(&["reclassify", "--lake", &lake, "--registry", registry, "--from", from, "--to", to, "--model", "hs@1"])
    };
    let ended = call("2022", "2017");
    assert_eq!((ended.code, ended.err.contains("older edition first")), (2, true), "{}", ended.err);
    let ended = call("2017", "2022");
    assert_eq!(ended.code, 20, "{}", ended.err);
    assert!(ended.err.contains("harmonize tariff import"), "{}", ended.err);
}
