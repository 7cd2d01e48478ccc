use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::OnceLock;

use harmonize::tariff::{Codes, Edition};
use serde_json::Value;

use crate::support::lab::{RECIPE, folder, harmonize, lab, number, ok, parquet_files, path, read, run, sql};
use crate::support::servers::python;

/// A registry with the lab's model of edition 2022 as `hs@1` and one of edition 2017 as `old@1`, and a tariff of both editions as
/// files: the real numbers, with some links made up so that every kind of change meets lines.
pub struct Two {
    pub registry: String,
    pub nomenclatures: [String; 2],
    pub correlation: String,
    pub pairs: String,
    /// The codes that lines most often have.
    pub most: Vec<String>,
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

pub fn two() -> &'static Two {
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
        let most: Vec<String> = most.into_iter().filter(|code| both(code)).collect();
        let mut pairs: Vec<(String, String)> = Vec::new();
        let spare: Vec<String> = new.difference(&old).map(ToString::to_string).collect();
        for code in &old {
            let code = code.to_string();
            match most.iter().position(|c| *c == code) {
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
        let leads: BTreeSet<&str> = pairs.iter().map(|(from, _)| from.as_str()).collect();
        let ends = old.iter().map(ToString::to_string).filter(|from| !leads.contains(from.as_str()));
        ends.for_each(|from| as_pairs += &format!("{from},\n"));
        let files = [at("2017.csv"), at("2022.csv")];
        std::fs::write(&files[0], nomenclature(Edition::Hs2017)).unwrap();
        std::fs::write(&files[1], nomenclature(Edition::Hs2022)).unwrap();
        std::fs::write(at("links.csv"), correlation).unwrap();
        std::fs::write(at("pairs.csv"), as_pairs).unwrap();
        let (correlation, pairs) = (at("links.csv"), at("pairs.csv"));
        Two { registry, nomenclatures: files, correlation, pairs, most, _dir: dir }
    })
}

/// A lake with lines of edition 2017 and the tariff.
pub fn lake_of(dir: &std::path::Path) -> String {
    lake_with(dir, &lab().lines, &["--value", "value"])
}

/// The same of other lines, or read in another way.
pub fn lake_with(dir: &std::path::Path, input: &str, more: &[&str]) -> String {
    let lake = path(dir, "lake");
    let classify = ["classify", "--input", input, "--id", "line_id", "--lake", &lake, "--registry", &two().registry];
    ok(&[&classify[..], &["--model", "old@1"], more].concat());
    import(&lake);
    lake
}

/// A lake of 18,000 lines with values.
pub fn small_lake(dir: &std::path::Path) -> String {
    let input = path(dir, "in");
    python("derive_lines.py", &[&lab().lines, &input, "SELECT * FROM t WHERE row < 6000"], &[]);
    lake_with(dir, &input, &["--value", "value"])
}

/// Imports both editions and the way between them.
pub fn import(lake: &str) {
    let [old, new] = &two().nomenclatures;
    let (old, new) = (format!("2017={old}"), format!("2022={new}"));
    ok(&["tariff", "import", &old, &new, &two().correlation, "--lake", lake]);
}

pub fn args<'a>(lake: &'a str, model: &'a str, more: &[&'a str]) -> Vec<&'a str> {
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
    expected_under(lake, &[])
}

fn expected_under(lake: &str, policy: &[&str]) -> Value {
    python("reclassify_expected.py", &[&[lake, &two().pairs, "2017", "2022"][..], policy].concat(), &[])
}

/// That a report says of lines and values what another program adds up.
fn same_report(done: &Value, found: &Value) {
    let (report, wanted) = (&done["report"], &found["report"]);
    for part in ["all", "queue", "audit_sample", "chapters", "kinds", "coded_before", "coded_after", "scope_changed"] {
        assert_eq!(report[part], wanted[part], "{part}");
    }
    let costly: serde_json::Map<String, Value> = report["costly"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, of)| of["to_people"]["lines"] != 0)
        .map(|(code, of)| (code.clone(), of["to_people"].clone()))
        .collect();
    assert_eq!(Value::Object(costly), wanted["costly"]);
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
    same_report(&done, &found);
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
        "--value",
        "value",
    ]);
    assert!(out.contains("already done"), "{out}");
}

/// Values that are missing or no numbers are counted apart; sums are exact on any number of threads, in every form.
#[test]
fn the_report_adds_up_values_exactly_and_counts_lines_without_one_apart() {
    let dir = folder();
    let input = path(dir.path(), "in");
    let odd = "SELECT * REPLACE (CASE row % 7 WHEN 0 THEN NULL WHEN 1 THEN -value WHEN 2 THEN 'nan'::DOUBLE \
               WHEN 3 THEN value * 1e9 + 0.1 ELSE value END AS value) FROM t WHERE row < 12000";
    python("derive_lines.py", &[&lab().lines, &input, odd], &[]);
    let lake = lake_with(dir.path(), &input, &["--value", "value"]);
    let call = |more: &[&str]| ok(&args(&lake, "hs@1", &[&["--threshold", "0.8"], more].concat()));
    let rehearsed = ["1", "2", "3"].map(|threads| call(&["--dry-run", "--format", "json", "--threads", threads]));
    assert!(rehearsed.iter().all(|one| *one == rehearsed[0]), "the same lake, the same bytes");
    let (table, csv) = (call(&["--dry-run"]), call(&["--dry-run", "--format", "csv"]));
    let done: Value = serde_json::from_str(&call(&["--format", "json"])).unwrap();
    let found = expected(&lake);
    assert_eq!(found["wrong"], serde_json::json!([]), "{found}");
    same_report(&done, &found);
    let all = &found["report"]["all"];
    // Rows 0 and 2 of every seven, in files of 12,000, 12,000 and 8,928.
    assert_eq!((&all["lines"], &all["without_value"]), (&32_928.into(), &9_410.into()));
    let worth = format!("worth {} (9,410 without a value)", all["value"].as_str().unwrap());
    assert!(table.contains(&worth), "{worth} {table}");
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == header.len()), "{csv}");
    let of = |by: &str, name: &str, column: &str| {
        let at = header.iter().position(|of| *of == column).unwrap();
        rows.iter().find(|row| row[0] == by && row[1] == name).map(|row| row[at].to_owned()).unwrap()
    };
    let wanted = &found["report"];
    assert_eq!(of("queue", "", "value"), wanted["queue"]["value"].as_str().unwrap());
    for (chapter, groups) in wanted["chapters"].as_object().unwrap() {
        for (group, tally) in groups.as_object().unwrap() {
            let suffix = if group == "all" { String::new() } else { format!("_{group}") };
            assert_eq!(of("chapter", chapter, &format!("value{suffix}")), tally["value"].as_str().unwrap());
            assert_eq!(of("chapter", chapter, &format!("without_value{suffix}")), tally["without_value"].to_string());
            let lines = if group == "all" { "lines" } else { group };
            assert_eq!(of("chapter", chapter, lines), tally["lines"].to_string());
        }
    }
    for (code, tally) in wanted["costly"].as_object().unwrap() {
        assert_eq!(of("code", code, "value_to_people"), tally["value"].as_str().unwrap());
    }
    // Without values in the lake nothing is taken for 0.
    let dir = folder();
    let lake = lake_with(dir.path(), &input, &[]);
    let table = ok(&args(&lake, "hs@1", &["--dry-run"]));
    assert!(table.contains("no line has one that was stored") && !table.contains("worth"), "{table}");
}

/// Of the choices that would be accepted a share goes to people: the texts whose hash with the model's digest is lowest, by another
/// program.
#[test]
fn a_share_of_the_accepted_choices_goes_to_people_drawn_by_a_hash_of_the_text() {
    let dir = folder();
    let lake = lake_of(dir.path());
    let job = path(dir.path(), "job.toml");
    let settings = "id = \"line_id\"\nvalue = \"value\"\nmodel = \"hs@1\"\nthreshold = 0.6\naudit-ratio = 0.2\n";
    std::fs::write(&job, format!("input = {:?}\n{settings}", lab().lines)).unwrap();
    let call = ["--config", &job, "--threshold", "0.5", "--format", "json"];
    let done: Value = serde_json::from_str(&ok(&args(&lake, "hs@1", &call))).unwrap();
    let found = expected(&lake);
    assert_eq!(found["wrong"], serde_json::json!([]), "{found}");
    same_report(&done, &found);
    // 0.2 of 2^32 is 858,993,459, in hexadecimal 33333333.
    let sampled = "substr(sha256(n.model_digest::BLOB || unhex(n.text_digest)), 1, 8) < '33333333'";
    // Lines that had a code that counted.
    let count = |more: &str| {
        let of = "FROM t AS n JOIN t AS o USING (source_file, source_row) WHERE n.tariff_edition = '2022' AND \
                  o.tariff_edition = '2017' AND o.decision = 'accept'";
        number(&lake, "predictions", &format!("SELECT count(*) AS n {of} AND {more}"))
    };
    let looked_at = "n.decision = 'review' AND list_contains(n.reasons, 'audit_sample')";
    assert_eq!(count(&format!("n.decision = 'accept' AND {sampled}")), 0);
    assert_eq!(count(&format!("{looked_at} AND NOT {sampled}")), 0);
    assert_eq!(
        count(&format!("{looked_at} AND (n.confidence < 0.5 OR list_contains(n.reasons, 'below_threshold'))")),
        0
    );
    let (accepted, n) = (count("n.decision = 'accept'"), done["report"]["audit_sample"].as_i64().unwrap());
    assert!(accepted > 100 && n > 10, "{accepted} {n}");
    assert_eq!(count(looked_at), n);
    // The policy of the run says so, and so do the rows.
    let run = read(&lake, "runs", "SELECT policy_origin, policy_digest FROM t WHERE command = 'reclassify'").remove(0);
    assert_eq!(run["policy_origin"], "--threshold 0.6 --audit-ratio 0.2");
    let digests = "SELECT DISTINCT policy_digest FROM t WHERE tariff_edition = '2022' AND decision = 'accept'";
    assert_eq!(read(&lake, "predictions", digests), [serde_json::json!({"policy_digest": run["policy_digest"]})]);
    // So the nightly job with these settings has nothing to do.
    let nightly = ["classify", "--config", &job, "--lake", &lake, "--registry", &two().registry];
    assert!(ok(&nightly).contains("already done"));
}

/// The link from the most frequent code to the second counts only for lines whose text has a word.
#[test]
fn a_catch_all_link_counts_for_the_lines_whose_text_speaks_of_it() {
    let dir = folder();
    let lake = small_lake(dir.path());
    let caught = &two().most[1];
    let groups = path(dir.path(), "groups.toml");
    let group = "[[group]]\nname = \"test\"";
    std::fs::write(&groups, format!("min_predecessors = 2\n{group}\ncodes = [{caught:?}]\nwords = [\"pcs\"]\n"))
        .unwrap();
    let call = ["--threshold", "0.8", "--catch-all", "when_text_says", "--catch-all-file", &groups, "--format", "json"];
    let done: Value = serde_json::from_str(&ok(&args(&lake, "hs@1", &call))).unwrap();
    let found = expected_under(&lake, &[caught, "pcs"]);
    assert_eq!(found["wrong"], serde_json::json!([]), "{found}");
    same_report(&done, &found);
    let decided = |decision: &str| {
        let most = &two().most[0];
        let query = "SELECT count(*) AS n FROM t WHERE tariff_edition = '2022' AND previous_hs6 =";
        number(&lake, "predictions", &format!("{query} '{most}' AND decision = '{decision}'"))
    };
    assert!(decided("carried") > 0 && decided("accept") + decided("review") > 0);
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
    let lake = lake_with(dir.path(), &lab().lines, &["--store-text", "none"]);
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
        let lake = small_lake(dir.path());
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
        let there = if stage == "committed" { 36_000 } else { 18_000 };
        assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t"), there, "{stage}");
        ok(&args(&lake, "hs@1", &["--threshold", "0.8"]));
        assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t"), 36_000, "{stage}");
        let out = ok(&args(&lake, "hs@1", &["--threshold", "0.8"]));
        assert!(out.contains("already done"), "{stage}: {out}");
        let records = "SELECT count(*) AS n FROM t WHERE command = 'reclassify'";
        assert_eq!(number(&lake, "runs", records), 1, "{stage}: one record of one run");
    }
}

#[test]
fn what_cannot_be_reclassified_is_refused_by_name_and_nothing_is_written() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let few = path(dir.path(), "few");
    python("derive_lines.py", &[&lab().lines, &few, "SELECT * FROM t WHERE row < 200"], &[]);
    let classify = ["classify", "--input", &few, "--lake", &lake, "--registry", &two().registry, "--model", "old@1"];
    ok(&classify);
    let files = parquet_files(&dir.path().join("lake/predictions")).len();
    let registry = &two().registry;
    let import = |files: &[&str]| ok(&[&["tariff", "import", "--lake", &lake], files].concat());
    let [old, new] = &two().nomenclatures;
    let (of_2012, of_2017, of_2022) = (format!("2012={old}"), format!("2017={old}"), format!("2022={new}"));
    let refused = |from: &str, to: &str, model: &str, code: i32, says: &str| {
        let call =
            ["reclassify", "--lake", &lake, "--registry", registry, "--from", from, "--to", to, "--model", model];
        let ended = run(&call);
        assert_eq!((ended.code, ended.err.contains(says)), (code, true), "{call:?} {says}: {}{}", ended.out, ended.err);
        assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t"), 600, "{says}");
        assert_eq!(number(&lake, "runs", "SELECT count(*) AS n FROM t"), 1, "{says}");
        assert_eq!(parquet_files(&dir.path().join("lake/predictions")).len(), files, "{says}");
    };
    refused("2022", "2017", "hs@1", 2, "older edition first");
    refused("2017", "2022", "hs@1", 20, "the lake has no nomenclature HS 2017; import it: harmonize tariff import");
    // Editions without a way between them, and with a gap.
    import(&[&of_2012, &of_2022, "--allow-gap"]);
    refused("2012", "2022", "hs@1", 20, "no correlations lead from HS 2012 to HS 2022");
    refused("2017", "2022", "hs@1", 20, "no nomenclature HS 2017");
    import(&[&of_2017]);
    refused("2017", "2022", "hs@1", 20, "missing: HS 2017 → HS 2022");
    import(&[&two().correlation]);
    refused("2012", "2022", "hs@1", 20, "missing: HS 2012 → HS 2017");
    // An edition that is not in force yet, unless that is what is wanted.
    let next = path(dir.path(), "next.csv");
    let codes: Vec<String> = Codes::builtin(Edition::Hs2022).iter().map(|code| format!("{code},{code},\n")).collect();
    std::fs::write(&next, format!("from_code,to_code,relationship\n{}", codes.concat())).unwrap();
    import(&[&format!("2028={new}"), &next, "--from", "2022", "--to", "2028", "--allow-future"]);
    refused("2022", "2028", "hs@1", 20, "HS 2028 takes effect on 2028-01-01, after today");
    refused("2017", "2028", "old@1", 20, "--allow-future");
    let future =
        ["reclassify", "--lake", &lake, "--registry", registry, "--from", "2017", "--to", "2028", "--model", "old@1"];
    assert!(ok(&[&future[..], &["--dry-run"]].concat()).contains("nothing was written"));
    // A model of another edition, and one that is not there.
    refused("2022", "2028", "old@1", 20, "2028");
    let other =
        ["reclassify", "--lake", &lake, "--registry", registry, "--from", "2022", "--to", "2028", "--model", "old@1"];
    let ended = run(&[&other[..], &["--allow-future"]].concat());
    assert_eq!((ended.code, ended.err.contains("gives codes of edition 2017")), (21, true), "{}", ended.err);
    refused("2017", "2022", "hs@7", 21, "hs@7");
    // What another program wrote: a table that names codes which its edition does not have.
    let rows = path(dir.path(), "rows.jsonl");
    let row = serde_json::json!({"from_edition": "2017", "to_edition": "2022", "from_code": "010199", "to_code": "010121",
        "source": "by hand", "import_id": "20990101T000000.000000Z-0123456789abcdef"});
    std::fs::write(&rows, format!("{row}\n")).unwrap();
    python("write_rows.py", &[&lake, "correlations", &rows], &[]);
    refused("2017", "2022", "hs@1", 20, "by hand has 1 code not in HS 2017: 010199");
}

/// Tables as an older program left them are read as they are, and get their columns with the run.
#[test]
fn a_lake_of_an_older_version_is_reclassified_and_brought_up_to_date() {
    let dir = folder();
    let new = small_lake(dir.path());
    let old = path(dir.path(), "old");
    let of_runs = "scope skipped_files skipped_rows unchanged_lines declared_column value_column from_edition carried_lines \
                   mapped_lines held_lines reclassify_json";
    for (table, columns) in [
        ("predictions", "declared_code value role served"),
        ("runs", of_runs),
        ("nomenclature", "awaits"),
        ("correlations", "completes"),
    ] {
        let (from, to) = (format!("{new}/{table}"), format!("{old}/{table}"));
        let columns: Vec<&str> = columns.split_whitespace().collect();
        python("old_table.py", &[&[from.as_str(), &to][..], &columns].concat(), &[]);
    }
    let call = |lake: &str| ok(&args(lake, "hs@1", &["--threshold", "0.8", "--format", "json"]));
    let [old_done, new_done]: [Value; 2] = [&old, &new].map(|lake| serde_json::from_str(&call(lake)).unwrap());
    assert_eq!(old_done["report"]["decisions"], new_done["report"]["decisions"]);
    assert_eq!(old_done["report"]["all"]["without_value"], 18_000, "a value that was not stored is none");
    assert_eq!(expected(&old)["wrong"], serde_json::json!([]));
    assert_eq!(number(&old, "runs", "SELECT count(*) AS n FROM t WHERE reclassify_json IS NOT NULL"), 1);
    // The tariff of an older program counts, and one of today beside it does too.
    assert!(ok(&["tariff", "check", "--lake", &old, "--on", "2026-01-01"]).contains("no_link"));
    import(&old);
    assert_eq!(number(&old, "nomenclature", "SELECT count(DISTINCT import_id) AS n FROM t"), 2, "the same is a no-op");
}
