use std::collections::BTreeSet;
use std::process::Stdio;

use harmonize::challenge::{
    Accepted, ByChapter, ByLevel, Calibration, Comparison, Contender, Cost, Coverage, EVIDENCE_FORMAT_VERSION, Lines,
};
use harmonize::trial::{Pairs, drop_beyond, holm, interval, mcnemar};
use serde_json::{Value, json};

use crate::support::lab::{Ended, folder, harmonize, number, ok, path, read, run, run_with, sql};
use crate::support::models::{Models, sha256};
use crate::support::servers::python;

/// Gates under which [`better`] is green.
const GATES: &str = "min_coverage = 0.5\nmin_precision = 0.95\nmax_drop_hs6 = 0.0\nmax_drop_hs4 = 0.0\nmax_drop_hs2 = 0.0\n\
                     max_chapter_drop = 0.05\nmax_calibration_error = 0.05\nmax_churn = 0.3\nmax_slowdown = 1.5\n\
                     max_memory_bytes = 1000000000\nmin_texts = 1000\nmax_evidence_age_days = 7\n\
                     require = [\"labels\", \"report\"]\n";
const PAGE: &str = "<p>the challenger is better</p>";

/// Versions of which the first is champion and the second challenger, a lake, a file of settings, evidence and its report.
struct Stage {
    dir: tempfile::TempDir,
    models: Models,
    lake: String,
    config: String,
    evidence: String,
    report: String,
}

impl Stage {
    fn new(versions: usize, gates: &str) -> Stage {
        let dir = folder();
        let models = Models::on_disk(dir.path(), versions);
        models.promote(1);
        models.ok(&["promote", "hs@2", "--as", "challenger", "--why", "to be compared"]);
        let at = |name: &str| path(dir.path(), name);
        let (lake, config, evidence, report) = (at("lake"), at("job.toml"), at("evidence.json"), at("report.html"));
        std::fs::write(&report, PAGE).unwrap();
        let stage = Stage { models, lake, config, evidence, report, dir };
        stage.set_gates(gates);
        stage.write(&stage.comparison(2));
        stage
    }

    fn set_gates(&self, gates: &str) {
        std::fs::write(&self.config, format!("threads = 1\n[gates]\n{gates}")).unwrap();
    }

    fn digest(&self, version: u64) -> String {
        sha256(&std::fs::read(self.models.folder(&format!("versions/{version}/manifest.json"))).unwrap())
    }

    /// Version 1 against another one, made just now.
    fn comparison(&self, challenger: u64) -> Comparison {
        better(&self.digest(1), challenger, &self.digest(challenger))
    }

    fn write(&self, comparison: &Comparison) {
        std::fs::write(&self.evidence, serde_json::to_string(comparison).unwrap()).unwrap();
    }

    /// Writes changed evidence.
    fn change(&self, change: impl FnOnce(&mut Comparison)) {
        let mut comparison = self.comparison(2);
        change(&mut comparison);
        self.write(&comparison);
    }

    /// Promotes the challenger by the gates.
    fn promote(&self, more: &[&str]) -> Ended {
        let args = ["promote", "hs@challenger", "--config", &self.config, "--evidence", &self.evidence];
        self.models.run(&[&args[..], &["--report", &self.report], more].concat())
    }

    /// That it is stopped by these gates alone, which the event names; its words.
    fn stopped(&self, more: &[&str], red: &[&str]) -> String {
        let events = self.models.events().len();
        let ended = self.promote(&[&["--format", "json"], more].concat());
        assert_eq!(ended.code, 10, "{}{}", ended.out, ended.err);
        assert_eq!(self.models.answers("hs@champion"), "hs@1");
        let rows: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found: Vec<&Value> = rows.iter().filter(|row| row["passed"] == false).map(|row| &row["gate"]).collect();
        assert_eq!(found, red, "{}", ended.out);
        let event = self.models.events().pop().unwrap();
        assert_eq!(self.models.events().len(), events + 1);
        assert_eq!((&event["kind"], &event["alias"]), (&"refused".into(), &"champion".into()));
        assert_eq!((&event["version"], &event["replaced_version"]), (&2.into(), &1.into()));
        let evidence = &event["evidence"];
        assert_eq!(evidence["outcome"], "refused");
        assert_eq!(evidence["gates"].as_array().unwrap().len(), rows.len());
        for (kept, row) in evidence["gates"].as_array().unwrap().iter().zip(&rows) {
            for column in ["gate", "limit", "found", "passed"] {
                assert_eq!(kept[column], row[column], "{row}");
            }
            assert_eq!(kept["explanation"].is_string(), row["passed"] == false, "{row}");
        }
        self.models.ok(&["verify"]);
        format!("{}{}", ended.out, ended.err)
    }
}

/// Evidence over 1,000 texts that the challenger is better.
fn better(champion: &str, version: u64, challenger: &str) -> Comparison {
    let chapters = [
        ("61", Pairs { both_right: 400, lost: 10, gained: 40, both_wrong: 50 }),
        ("87", Pairs { both_right: 400, lost: 20, gained: 20, both_wrong: 60 }),
    ];
    let (all, margin) = (Pairs { both_right: 800, lost: 30, gained: 60, both_wrong: 110 }, 0.05);
    let level = |digits| ByLevel {
        digits,
        champion_accuracy: 0.83,
        challenger_accuracy: 0.86,
        pairs: all,
        difference: all.difference(),
        interval: interval(&all, 0.95).unwrap(),
        mcnemar: mcnemar(&all).unwrap(),
    };
    let falls = chapters.map(|(_, pairs)| drop_beyond(&pairs, margin).unwrap());
    let (not_worse, worse) = (holm(&falls.map(|f| f.not_worse_p)), holm(&falls.map(|f| f.worse_p)));
    let by_chapter = chapters.iter().enumerate().map(|(n, (chapter, pairs))| ByChapter {
        chapter: (*chapter).into(),
        pairs: *pairs,
        difference: pairs.difference(),
        interval: interval(pairs, 0.95).unwrap(),
        churn_ratio: 0.12,
        not_worse_p: not_worse[n],
        worse_p: worse[n],
    });
    let contender = |version, digest: &str| Contender {
        name: "hs".into(),
        version,
        digest: digest.into(),
        policy_digest: "ee".repeat(32),
        edition: "2022".into(),
    };
    let accepted = |texts: u64, precision| Accepted {
        texts,
        coverage_ratio: texts as f64 / 1_000.0,
        precision: Some(precision),
        precision_low: precision - 0.01,
        precision_high: precision + 0.01,
    };
    let calibration = || Calibration { hs6: 0.02, hs4: 0.015, hs2: 0.01 };
    let cost = |secs| Cost { cpu_secs_per_million: secs, memory_bytes: Some(64 << 20), bundle_bytes: 20 << 20 };
    Comparison {
        format_version: EVIDENCE_FORMAT_VERSION,
        compared_at: chrono::Utc::now().to_rfc3339(),
        champion: contender(1, champion),
        challenger: contender(version, challenger),
        lines: Lines {
            kind: "labels".into(),
            source: "lines".into(),
            rows: 1_005,
            texts: 1_000,
            digest: "cd".repeat(32),
        },
        levels: vec![level(6), level(4), level(2)],
        chapter_margin: margin,
        chapters: by_chapter.collect(),
        churn_ratio: 0.12,
        coverage: vec![Coverage { precision: 0.95, champion_ratio: 0.5, challenger_ratio: 0.55 }],
        champion_accepted: accepted(500, 0.97),
        challenger_accepted: accepted(600, 0.97),
        champion_calibration: calibration(),
        challenger_calibration: calibration(),
        champion_cost: cost(100.0),
        challenger_cost: cost(120.0),
        nightly: None,
        report_sha256: Some(sha256(PAGE.as_bytes())),
    }
}

#[test]
fn all_gates_green_and_auto_promotes_and_the_event_holds_evidence_and_gates() {
    let stage = Stage::new(2, GATES);
    let ended = stage.promote(&["--auto"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    for word in
        ["min_coverage", "max_drop_hs6", "+0.0300 (", "hs@2 is champion", "back to it: harmonize models rollback"]
    {
        assert!(ended.out.contains(word), "{word}: {}", ended.out);
    }
    let event = stage.models.events().pop().unwrap();
    assert_eq!((&event["kind"], &event["version"]), (&"promoted".into(), &2.into()));
    assert_eq!(event["why"], "all gates are green");
    let evidence = &event["evidence"];
    assert_eq!(
        (&evidence["outcome"], &evidence["auto"], &evidence["approved_by"]),
        (&"promoted".into(), &true.into(), &Value::Null)
    );
    let written: Value = serde_json::from_slice(&std::fs::read(&stage.evidence).unwrap()).unwrap();
    assert_eq!(evidence["comparison"]["challenger"], written["challenger"]);
    assert_eq!(evidence["comparison"]["levels"][0]["pairs"], written["levels"][0]["pairs"]);
    let gates = evidence["gates"].as_array().unwrap();
    assert_eq!(gates.len(), 17, "{gates:?}");
    assert!(gates.iter().all(|gate| gate["passed"] == true));
    let digest = sha256(PAGE.as_bytes());
    assert_eq!(event["report_sha256"], digest.as_str());
    assert_eq!(std::fs::read_to_string(stage.models.folder(&format!("reports/{digest}.html"))).unwrap(), PAGE);
    stage.models.ok(&["verify"]);
    // The same command again finds it done, and a rollback is one command.
    let events = stage.models.events().len();
    let again = stage.promote(&["--auto"]);
    assert!(again.code == 0 && again.out.contains("nothing to do"), "{}{}", again.out, again.err);
    assert_eq!(stage.models.events().len(), events);
    stage.models.ok(&["rollback", "hs", "--why", "a test"]);
    assert_eq!(stage.models.answers("hs@champion"), "hs@1");
    let table = stage.models.ok(&["history", "hs"]);
    assert!(table.contains("all 17 gates green") && !table.contains("chapters"), "{table}");
}

/// Each kind of evidence that does not do, and the gates that it turns red.
#[test]
fn whatever_is_red_explains_itself_ends_with_10_and_is_an_event() {
    let stage = Stage::new(3, GATES);
    stage.change(|c| c.compared_at = "2026-01-01T00:00:00Z".into());
    assert!(stage.stopped(&["--auto"], &["max_evidence_age_days"]).contains("too old"));
    stage.change(|c| c.challenger.digest = stage.digest(3));
    assert!(stage.stopped(&["--auto"], &["challenger"]).contains("not about the version to be promoted"));
    stage.change(|c| c.champion.digest = stage.digest(3));
    assert!(stage.stopped(&["--auto"], &["champion"]).contains("does not name now"));
    stage.change(|c| c.churn_ratio = 0.31);
    let said = stage.stopped(&["--auto"], &["max_churn"]);
    assert!(said.contains("hs@2 is not promoted to champion: red: max_churn"), "{said}");
    let event = stage.models.events().pop().unwrap();
    assert_eq!(event["why"], "red: max_churn");
    assert_eq!(event["evidence"]["comparison"]["churn_ratio"], 0.31);
    assert_eq!(event["report_sha256"], sha256(PAGE.as_bytes()).as_str(), "the report of a refusal is kept too");

    // Figures that were bettered by hand.
    stage.change(|c| c.levels[0].interval.low = 0.2);
    let every = "evidence challenger champion report min_coverage min_precision max_drop_hs6 max_drop_hs4 max_drop_hs2 \
                 max_chapter_drop max_calibration_error max_churn max_slowdown max_memory_bytes min_texts \
                 max_evidence_age_days require_labels";
    let every: Vec<&str> = every.split_whitespace().collect();
    assert!(stage.stopped(&["--auto"], &every).contains("interval at 6 digits"));
    assert_eq!(stage.models.events().pop().unwrap()["evidence"]["comparison"], Value::Null);
    std::fs::write(&stage.evidence, "{\"p\": 0.01}").unwrap();
    assert!(stage.stopped(&["--auto"], &every).contains("no comparison of format version 1"));

    // Another page than the one that was written, and none.
    stage.change(|_| {});
    std::fs::write(&stage.report, "<p>the challenger is perfect</p>").unwrap();
    assert!(stage.stopped(&["--auto"], &["report"]).contains("not the one that the comparison wrote"));
    assert_eq!(stage.models.events().pop().unwrap()["report_sha256"], Value::Null);
    let args = ["promote", "hs@2", "--config", &stage.config, "--evidence", &stage.evidence, "--auto"];
    let ended = stage.models.run(&args);
    assert!(ended.code == 10 && ended.out.contains("give the page"), "{}{}", ended.out, ended.err);
    // An approval does not make a red gate green.
    let said = stage.stopped(&["--approved-by", "Ana", "--why", "I want it"], &["report"]);
    assert!(said.contains("red: report"), "{said}");
    let event = stage.models.events().pop().unwrap();
    assert_eq!((&event["why"], &event["evidence"]["approved_by"]), (&"I want it".into(), &"Ana".into()));
    let table = stage.models.ok(&["history", "hs"]);
    assert!(table.contains("1 of 17 gates red: max_churn"), "{table}");
}

#[test]
fn green_gates_alone_promote_nothing_and_a_person_approves_where_one_is_asked_for() {
    let stage = Stage::new(2, GATES);
    let said = stage.stopped(&[], &[]);
    assert!(said.contains("all gates are green; --auto or --approved-by NAME promotes"), "{said}");
    stage.set_gates(&format!("{GATES}human_approval = true\n"));
    let said = stage.stopped(&["--auto"], &["human_approval"]);
    assert!(said.contains("--approved-by NAME"), "{said}");
    let ended = stage.promote(&["--approved-by", " "]);
    assert!(ended.code == 2 && ended.err.contains("--approved-by"), "{}", ended.err);
    let ended = stage.promote(&["--approved-by", "Ana", "--by", "the night job"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    let event = stage.models.events().pop().unwrap();
    assert_eq!((&event["by"], &event["evidence"]["approved_by"]), (&"the night job".into(), &"Ana".into()));
    let gates = event["evidence"]["gates"].as_array().unwrap();
    assert_eq!((&gates[17]["gate"], &gates[17]["found"]), (&"human_approval".into(), &"Ana".into()));
    assert_eq!(stage.models.answers("hs@champion"), "hs@2");
}

#[test]
fn gates_guard_the_champion_and_are_asked_for_by_name() {
    let stage = Stage::new(3, GATES);
    let config = ["--config", stage.config.as_str()];
    // Another alias is a person's business, or else there would be no challenger.
    stage.models.ok(&[&["promote", "hs@3", "--as", "challenger", "--why", "a test"][..], &config].concat());
    stage.models.ok(&[&["promote", "hs@2", "--as", "challenger", "--why", "a test"][..], &config].concat());
    for (args, words) in [
        (&["promote", "hs@2", "--why", "x", "--auto"][..], "--auto needs gates for the alias champion"),
        (&["promote", "hs@2", "--why", "x", "--approved-by", "Ana"], "--approved-by needs gates"),
        (&["promote", "hs@2", "--as", "other", "--why", "x", "--auto", config[0], config[1]], "for the alias other"),
        (&["promote", "hs@2", "--auto", config[0], config[1]], "--evidence is missing"),
        (&["promote", "hs@2"], "--why is missing"),
    ] {
        let ended = stage.models.run(args);
        assert_eq!(ended.code, 2, "{args:?}: {}", ended.err);
        assert!(ended.err.contains(words), "{args:?}: {}", ended.err);
    }
    for (gates, words) in [
        ("min_covrage = 0.5\n", "min_covrage"),
        ("max_churn = 20\n", "max_churn = 20"),
        ("require = [\"luck\"]\n", "luck"),
        ("", "sets no limit"),
    ] {
        stage.set_gates(gates);
        let ended = stage.promote(&["--auto"]);
        assert_eq!(ended.code, 2, "{gates}: {}", ended.err);
        assert!(ended.err.contains(words) && ended.err.contains("job.toml"), "{gates}: {}", ended.err);
    }
    // `check` tells it too, and a rollback is not stopped by it.
    let ended = run(&["check", "--config", &stage.config]);
    assert!(ended.code == 2 && ended.err.contains("sets no limit"), "{}", ended.err);
    let back = [&["rollback", "hs", "--alias", "challenger", "--why", "a test"][..], &config].concat();
    assert!(stage.models.ok(&back).contains("hs@3 is challenger again"));
    std::fs::write(&stage.config, "colour = 1\n[gates]\nmin_texts = 1\n").unwrap();
    assert!(stage.promote(&["--auto"]).err.contains("unknown setting \"colour\""));
    // By the environment too, and other commands do not mind the section.
    stage.set_gates(GATES);
    let env = [("HARMONIZE_CONFIG".to_string(), stage.config.clone())];
    let args = stage.models.args(&["promote", "hs@2", "--why", "x"]);
    assert!(run_with(&args, &env).err.contains("--evidence is missing"));
    assert_eq!(run_with(&["predict", "--registry", &stage.models.url, "steel bolts"], &env).code, 0);
    // Settings with gates for another alias leave the champion alone.
    stage.set_gates("aliases = [\"other\"]\nmin_texts = 1\n");
    stage.models.ok(&[&["promote", "hs@2", "--why", "by hand"][..], &config].concat());
    assert_eq!(stage.models.answers("hs@champion"), "hs@2");
}

#[test]
fn the_first_champion_is_a_persons_decision() {
    let stage = Stage::new(2, GATES);
    let dir = folder();
    let models = Models::on_disk(dir.path(), 2);
    let args = ["promote", "hs@2", "--config", &stage.config, "--evidence", &stage.evidence, "--report", &stage.report];
    let ended = models.run(&[&args[..], &["--auto"]].concat());
    assert_eq!(ended.code, 10, "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("the first one is a person's decision"), "{}", ended.out);
    assert_eq!(models.events().pop().unwrap()["kind"], "refused");
    models.promote(1);
}

/// A row of `runs`.
fn run_row(id: &str, champion: &str, challenger: Option<&str>, lines: u64) -> Value {
    let mut row = json!({
        "run_id": id, "fingerprint": sha256(id.as_bytes()), "command": "classify",
        "started_at": "2026-03-01T10:00:00+00:00", "finished_at": "2026-03-01T10:01:00+00:00",
        "run_date": "2026-03-01", "inputs": [], "quarantined": [], "text_column": "description", "store_text": "all",
        "model_name": "hs", "model_version": 1, "model_digest": champion, "tariff_edition": "2022",
        "policy_digest": "p", "policy_json": "{}", "policy_origin": "bundle", "lines_read": lines,
        "lines_written": lines, "accept_lines": lines, "review_lines": 0, "refuse_lines": 0, "quarantined_rows": 0,
        "files_written": 1, "bytes_written": 1, "plan_secs": 0.1, "score_secs": 0.1, "threads": 1,
        "program_version": "0",
    });
    if let Some(challenger) = challenger {
        row["challenger_digest"] = challenger.into();
        row["challenger_lines"] = lines.into();
    }
    row
}

fn write_rows(dir: &std::path::Path, lake: &str, contract: &str, rows: &[Value]) {
    let file = path(dir, &format!("{contract}.jsonl"));
    std::fs::write(&file, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    python("write_rows.py", &[lake, contract, &file], &[]);
}

#[test]
fn the_shadow_period_is_measured_by_the_runs_beside_the_present_champion() {
    let stage = Stage::new(3, &format!("{GATES}min_shadow_runs = 2\nmin_shadow_lines = 500\n"));
    let without = stage.promote(&["--auto"]);
    assert!(without.code == 2 && without.err.contains("--lake is missing"), "{}", without.err);
    let auto = ["--auto", "--lake", stage.lake.as_str()];
    let said = stage.stopped(&auto, &["min_shadow_runs", "min_shadow_lines"]);
    assert!(said.contains("classify --challenger"), "{said}");
    let (first, second, third) = (stage.digest(1), stage.digest(2), stage.digest(3));
    // Of another champion, of another challenger, of none; and one that counts.
    let rows = [
        run_row("a", &third, Some(&second), 9_000),
        run_row("b", &first, Some(&third), 9_000),
        run_row("c", &first, None, 9_000),
        run_row("d", &first, Some(&second), 600),
    ];
    write_rows(stage.dir.path(), &stage.lake, "runs", &rows);
    let said = stage.stopped(&auto, &["min_shadow_runs"]);
    assert!(said.contains("\"found\":\"600\"") && said.contains("\"found\":\"1\""), "{said}");
    write_rows(stage.dir.path(), &stage.lake, "runs", &[run_row("e", &first, Some(&second), 1)]);
    let ended = stage.promote(&auto);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("601"), "{}", ended.out);
    // A lake that cannot be read is an error, not a red gate.
    stage.models.ok(&["rollback", "hs", "--why", "a test"]);
    let log = stage.dir.path().join("lake/runs/_delta_log/00000000000000000000.json");
    std::fs::write(log, "not a log").unwrap();
    let ended = stage.promote(&auto);
    assert!(![0, 10].contains(&ended.code), "{}{}", ended.out, ended.err);
    assert_eq!(stage.models.answers("hs@champion"), "hs@1");
}

/// Evidence of each is about the same champion, so at most one of those that run at once can be right.
#[test]
fn of_gated_promotions_at_once_one_wins_and_the_others_end_with_30_or_10() {
    let stage = Stage::new(5, GATES);
    let children: Vec<_> = (2..=5)
        .map(|version| {
            let evidence = path(stage.dir.path(), &format!("evidence-{version}.json"));
            std::fs::write(&evidence, serde_json::to_string(&stage.comparison(version)).unwrap()).unwrap();
            let model = format!("hs@{version}");
            let args =
                ["promote", &model, "--config", &stage.config, "--evidence", &evidence, "--report", &stage.report];
            let args = stage.models.args(&[&args[..], &["--auto"]].concat()).join("\n");
            harmonize(&args.split('\n').collect::<Vec<_>>())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut won = 0;
    for child in children {
        let ended: Ended = child.wait_with_output().unwrap().into();
        match ended.code {
            0 => won += 1,
            30 => assert!(ended.err.contains("another was first: hs@"), "{}", ended.err),
            10 => assert!(ended.out.contains("does not name now"), "{}", ended.out),
            other => panic!("{other}: {}{}", ended.out, ended.err),
        }
    }
    assert_eq!(won, 1);
    let promoted = stage.models.events().into_iter().filter(|e| e["kind"] == "promoted" && e["alias"] == "champion");
    assert_eq!(promoted.count(), 2, "by hand, and by gates");
    stage.models.ok(&["verify"]);
}

/// Lines of the lake of [`Differing`]: so many texts differ, each by two lines.
const DIFFERING: u64 = 300;

/// A lake in which a challenger ran beside the champion: [`DIFFERING`] texts with other codes, as many with the same code, and
/// some with another decision alone.
struct Differing {
    dir: tempfile::TempDir,
    models: Models,
    lake: String,
    digests: [String; 2],
}

fn text_digest(text: u64) -> String {
    sha256(format!("text {text}").as_bytes())[..32].to_owned()
}

fn prediction(row: u64, text: u64, model: (u64, &str), code: &str, decision: &str) -> Value {
    json!({
        "source_file": "file:///lines.parquet", "source_row": row, "description": format!("text {text}"),
        "text_digest": text_digest(text), "hs6": code, "confidence": 0.9, "decision": decision,
        "reasons": if decision == "accept" { vec![] } else { vec!["below_threshold"] },
        "model_name": "hs", "model_version": model.0, "model_digest": model.1, "tariff_edition": "2022",
        "policy_digest": "p", "run_id": "r", "run_date": "2026-03-01",
        "role": if model.0 == 1 { "champion" } else { "challenger" }, "served": model.0 == 1,
    })
}

impl Differing {
    fn new() -> Differing {
        let dir = folder();
        let models = Models::on_disk(dir.path(), 2);
        models.promote(1);
        models.ok(&["promote", "hs@2", "--as", "challenger", "--why", "to be compared"]);
        let digest =
            |version| sha256(&std::fs::read(models.folder(&format!("versions/{version}/manifest.json"))).unwrap());
        let digests = [digest(1), digest(2)];
        let (champion, challenger) = ((1, digests[0].as_str()), (2, digests[1].as_str()));
        let mut rows = Vec::new();
        for row in 0..2 * DIFFERING {
            let text = row % DIFFERING;
            // A tenth is in review anyway.
            let decision = if text.is_multiple_of(10) { "review" } else { "accept" };
            rows.push(prediction(row, text, champion, "610910", decision));
            rows.push(prediction(row, text, challenger, "870323", "accept"));
        }
        for row in 2 * DIFFERING..4 * DIFFERING {
            rows.push(prediction(row, row, champion, "610910", "accept"));
            if row.is_multiple_of(2) {
                rows.push(prediction(row, row, challenger, "610910", "review"));
            }
        }
        let lake = path(dir.path(), "lake");
        write_rows(dir.path(), &lake, "predictions", &rows);
        Differing { dir, models, lake, digests }
    }

    fn args<'a>(&'a self, share: &[&'a str]) -> Vec<&'a str> {
        let models = ["models", "request-labels", "hs@champion", "hs@challenger", "--lake", &self.lake];
        [&models[..], &["--registry", &self.models.url], share].concat()
    }

    fn ask(&self, share: &[&str]) -> String {
        ok(&self.args(share))
    }

    /// Digests of the texts that were asked for.
    fn asked(&self) -> BTreeSet<String> {
        let rows = read(&self.lake, "label_requests", "SELECT text_digest FROM t");
        let texts: BTreeSet<String> = rows.iter().map(|r| r["text_digest"].as_str().unwrap().to_owned()).collect();
        assert_eq!(texts.len(), rows.len(), "each once");
        texts
    }

    /// The texts whose hash, as `sha256sum` gives it, is below the share.
    fn drawn(&self, share: f64) -> BTreeSet<String> {
        let below = |digest: &String| {
            let hash = sha256(format!("{}{}{digest}", self.digests[0], self.digests[1]).as_bytes());
            (u64::from_str_radix(&hash[..16], 16).unwrap() as f64) < share * 2f64.powi(64)
        };
        (0..DIFFERING).map(text_digest).filter(below).collect()
    }

    fn queue(&self, condition: &str) -> usize {
        sql(&self.lake, &format!("SELECT * FROM review_queue WHERE {condition}")).len()
    }
}

#[test]
fn labels_are_requested_for_a_known_share_of_the_texts_that_differ_and_no_others() {
    let at = Differing::new();
    let review = 2 * DIFFERING as usize / 10;
    assert_eq!(at.queue("true"), review);
    let said = at.ask(&["--ratio", "20%", "--by", "Ana"]);
    assert!(said.contains("hs@1 and hs@2 give different codes on 300 text(s): 0 decided already"), "{said}");
    let some = at.asked();
    assert_eq!(some, at.drawn(0.2));
    // Five standard deviations of a share of 0.2 among 300 are 35.
    assert!(some.len().abs_diff(60) < 35, "{}", some.len());
    let rows = read(&at.lake, "label_requests", "SELECT * FROM t");
    for row in &rows {
        assert_eq!(
            (&row["champion_digest"], &row["challenger_digest"]),
            (&at.digests[0].as_str().into(), &at.digests[1].as_str().into())
        );
        assert_eq!((&row["champion_hs6"], &row["challenger_hs6"]), (&"610910".into(), &"870323".into()));
        assert_eq!(
            (&row["sampling_ratio"], &row["requested_by"], &row["run_id"]),
            (&0.2.into(), &"Ana".into(), &"r".into())
        );
        assert!(row["source_row"].as_u64().unwrap() < DIFFERING, "one line stands for the text: {row}");
    }
    // The same again adds nothing, a larger share holds the smaller one.
    let version =
        |table: &str| python("read_delta.py", &[&format!("{}/{table}", at.lake), "--no-data"], &[])["version"].clone();
    let before = version("label_requests");
    assert!(at.ask(&["--ratio", "0.2", "--by", "Ben"]).contains("0 requested now"));
    assert_eq!((at.asked(), version("label_requests")), (some.clone(), before));
    at.ask(&["--ratio", "50%"]);
    let more = at.asked();
    assert!(some.is_subset(&more) && more == at.drawn(0.5), "{}", more.len());
    // Each waits in the queue, by one line, once; and those that were in review anyway are not there twice.
    assert_eq!(at.queue("array_has(reasons, 'comparison')"), more.len());
    let (addresses, all) =
        (sql(&at.lake, "SELECT DISTINCT source_file, source_row FROM review_queue").len(), at.queue("true"));
    assert_eq!(addresses, all);
    let reviewed = (0..DIFFERING).filter(|text| text.is_multiple_of(10) && more.contains(&text_digest(*text))).count();
    assert_eq!(all, review + more.len() - reviewed);
    assert_eq!(at.queue("array_to_string(reasons, ' ') = 'below_threshold comparison'"), reviewed);
    assert_eq!(at.queue("decision = 'accept' AND array_to_string(reasons, ' ') <> 'comparison'"), 0);
    // All of them.
    at.ask(&["--ratio", "100%"]);
    assert_eq!(at.asked().len() as u64, DIFFERING);
}

#[test]
fn so_many_texts_are_requested_and_one_that_is_decided_leaves_the_queue() {
    let at = Differing::new();
    let decide = |text: u64, row: u64| {
        let (table, digest) = (format!("{}/decisions", at.lake), text_digest(text));
        python("write_decisions.py", &[&table, &digest, "file:///lines.parquet", &row.to_string()], &[]);
    };
    // Decided before: it is not asked for.
    decide(7, 7);
    let said = at.ask(&["--lines", "1000"]);
    assert!(said.contains("1 decided already, 0 requested before, 299 requested now"), "{said}");
    let asked = at.asked();
    assert!(asked.len() == 299 && !asked.contains(&text_digest(7)));
    assert_eq!(number(&at.lake, "label_requests", "SELECT count(*) AS n FROM t WHERE sampling_ratio <> 1"), 0);
    let waiting = at.queue("array_has(reasons, 'comparison')");
    assert_eq!(waiting, 299);
    decide(8, 8);
    assert_eq!(at.queue("array_has(reasons, 'comparison')"), 298);
    assert_eq!(at.queue(&format!("text_digest = '{}'", text_digest(8))), 0);
    let said = at.ask(&["--lines", "1000"]);
    assert!(said.contains("1 decided already, 299 requested before, 0 requested now"), "{said}");

    // The lowest hashes first: fewer are among more.
    let at = Differing::new();
    assert!(at.ask(&["--lines", "40"]).contains("40 requested now\ndrawn with probability 0.133333"));
    let some = at.asked();
    assert!(at.ask(&["--lines", "40"]).contains("40 requested before, 0 requested now"));
    assert!(at.ask(&["--lines", "25"]).contains("40 requested before, 0 requested now"));
    assert!(at.ask(&["--lines", "50"]).contains("40 requested before, 10 requested now"));
    let more = at.asked();
    assert!(more.len() == 50 && some.is_subset(&more));
}

#[test]
fn labels_requested_at_once_are_there_once_and_wrong_calls_end_with_2() {
    let at = Differing::new();
    let children: Vec<_> = (0..4)
        .map(|_| {
            let mut command = harmonize(&at.args(&["--ratio", "100%"]));
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let ended: Ended = child.wait_with_output().unwrap().into();
        assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    }
    assert_eq!(at.asked().len() as u64, DIFFERING);
    for (share, words) in [
        (&["--ratio", "0"][..], "write a share such as 20%"),
        (&["--ratio", "150%"], "write a share such as 20%"),
        (&["--lines", "0"], "1 at least"),
        (&[], "--ratio"),
        (&["--ratio", "1", "--lines", "3"], "cannot be used with"),
    ] {
        let ended = run(&at.args(share));
        assert_eq!(ended.code, 2, "{share:?}: {}", ended.err);
        assert!(ended.err.contains(words), "{share:?}: {}", ended.err);
    }
    let place = ["--lake", &at.lake, "--registry", &at.models.url, "--ratio", "1"];
    let ended = run(&[&["models", "request-labels", "hs@1", "hs@champion"][..], &place].concat());
    assert!(ended.code == 2 && ended.err.contains("two versions with different digests"), "{}", ended.err);
    // The other way round nothing was compared.
    let said = ok(&[&["models", "request-labels", "hs@2", "hs@1"][..], &place].concat());
    assert!(said.contains("on 0 text(s)") && said.contains("classify --challenger"), "{said}");
    // A line that has another text by now is not asked for, and one that was is gone from the queue.
    let mut row = prediction(0, 9_999, (1, &at.digests[0]), "610910", "accept");
    row["run_id"] = "s".into();
    row["run_date"] = "2026-03-02".into();
    write_rows(at.dir.path(), &at.lake, "predictions", &[row]);
    assert_eq!(at.queue("array_has(reasons, 'comparison')") as u64, DIFFERING - 1);
}
