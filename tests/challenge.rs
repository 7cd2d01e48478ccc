use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use harmonize::challenge::Comparison;
use harmonize::tariff::{Codes, Edition};
use harmonize::train::Label;
use harmonize::trial::{Pairs, pairs_to_prove};
use serde_json::{Value, json};

use crate::support::browser::looked_at;
use crate::support::lab::{Ended, folder, lab, ok, path, run};
use crate::support::models::{sha256, trained};
use crate::support::servers::{python, python_lines};

/// As small as a model can be, so that it is wrong where the lab's is right.
const SMALL: &str = "[model]\nvocab_size = 400\nembedding_dim = 16\nfilters = 16\nwidths = [1, 2]\nscreen_dim = 0\nbag_dim = 16\nbag_buckets = 600\n\
                     [fit]\nmembers = 1\nplain_members = 0\nepochs = 3\nlearning_rate = 0.01\nbag = { together = false, members = 1, plain_members = 0, weight = 3.0, row_rate_ratio = 8.0, epochs = 3 }\n\
                     [split]\ntest = 0.05\nthreshold = 0.1\n";

/// Lines that are compared on.
const SOME: &str = "line_id > 'L0000016000'";

/// The lab's model as `hs@1`, the champion, and a small one as `hs@2`, the challenger.
fn registry() -> &'static str {
    static PAIR: OnceLock<(String, tempfile::TempDir)> = OnceLock::new();
    let (registry, _) = PAIR.get_or_init(|| {
        let dir = folder();
        let (registry, recipe) = (path(dir.path(), "models"), path(dir.path(), "small.toml"));
        std::fs::write(&recipe, SMALL).unwrap();
        let place = ["--registry", &registry];
        ok(&[&["models", "import", trained().to_str().unwrap(), "--name", "hs"], &place[..]].concat());
        let train = ["train", "--input", &lab().labelled, "--label", "hs6", "--recipe", &recipe];
        ok(&[&train[..], &["--target-precision", "0.5"], &place].concat());
        ok(&[&["models", "promote", "hs@1", "--why", "a test"], &place[..]].concat());
        ok(&[&["models", "promote", "hs@2", "--as", "challenger", "--why", "a test"], &place[..]].concat());
        (registry, dir)
    });
    registry
}

fn compare(more: &[&str]) -> Ended {
    let fixed = ["models", "compare", "hs@champion", "hs@challenger", "--registry", registry(), "--cost-secs", "0.05"];
    run(&[&fixed[..], more].concat())
}

fn compared(more: &[&str]) -> String {
    let ended = compare(more);
    assert_eq!(ended.code, 0, "{more:?}\n{}", ended.err);
    ended.out
}

fn on_labels(more: &[&str]) -> String {
    compared(&[&["--input", &lab().labelled, "--label", "hs6", "--where", SOME], more].concat())
}

/// A line as `harmonize sql` gives it with both models.
#[derive(Clone)]
struct Line {
    file: String,
    row: i64,
    description: String,
    digest: String,
    truth: String,
    /// Of the champion and of the challenger.
    answers: [Value; 2],
}

impl Line {
    fn code(&self, model: usize) -> Option<&str> {
        self.answers[model]["hs6"].as_str()
    }

    fn right(&self, model: usize, digits: usize) -> bool {
        self.code(model).is_some_and(|code| code[..digits] == self.truth[..digits])
    }
}

/// Lines with a code and a text, in the order of the files.
fn answered() -> Vec<Line> {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let query = format!(
        "SELECT source_file, source_row, description, hs6 AS label, hs_predict(description) AS p FROM lines \
         WHERE {SOME} ORDER BY source_file, source_row"
    );
    let ask = |model: &str| -> Vec<Value> {
        let fixed =
            ["sql", "--lake", &lake, "--registry", registry(), "--input", &lab().labelled, "--format", "ndjson"];
        let out = ok(&[&fixed[..], &["--model", model, &query]].concat());
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let codes = Codes::builtin(Edition::Hs2022);
    let mut lines = Vec::new();
    for (first, second) in ask("hs@1").into_iter().zip(ask("hs@2")) {
        assert_eq!(first["source_row"], second["source_row"]);
        let label = Label::parse(first["label"].as_str(), codes);
        let (Label::Valid(truth), Some(digest)) = (label, first["p"]["text_digest"].as_str()) else { continue };
        lines.push(Line {
            file: first["source_file"].as_str().unwrap().to_string(),
            row: first["source_row"].as_i64().unwrap(),
            description: first["description"].as_str().unwrap().to_string(),
            digest: digest.to_string(),
            truth: truth.to_string(),
            answers: [first["p"].clone(), second["p"].clone()],
        });
    }
    lines
}

/// The first line of each text.
fn distinct(lines: &[Line]) -> Vec<Line> {
    let mut seen = BTreeSet::new();
    lines.iter().filter(|line| seen.insert(line.digest.clone())).cloned().collect()
}

fn pairs<'a>(lines: impl Iterator<Item = &'a Line>, digits: usize) -> Pairs {
    let mut pairs = Pairs::default();
    lines.for_each(|line| pairs.add(line.right(0, digits), line.right(1, digits)));
    pairs
}

fn close(told: f64, own: f64) {
    assert!((told - own).abs() < 1e-9, "{told} and {own}");
}

/// That the figures of a comparison are those of an own count of these texts, its tests those of scipy.
fn same_figures(found: &Comparison, texts: &[Line]) {
    let n = texts.len() as f64;
    let mut asked = Vec::new();
    for (level, digits) in found.levels.iter().zip([6, 4, 2]) {
        let own = pairs(texts.iter(), digits);
        assert_eq!((level.digits, level.pairs), (digits as u64, own));
        let right = |model| texts.iter().filter(|line| line.right(model, digits)).count() as f64 / n;
        close(level.champion_accuracy, right(0));
        close(level.challenger_accuracy, right(1));
        close(level.difference, right(1) - right(0));
        asked.push(json!({"pairs": [own.both_right, own.lost, own.gained, own.both_wrong], "margin": 0.02}));
    }
    let changed = |lines: &[&Line]| lines.iter().filter(|line| line.code(0) != line.code(1)).count() as f64;
    close(found.churn_ratio, changed(&texts.iter().collect::<Vec<_>>()) / n);
    let mut of_chapter: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    texts.iter().for_each(|line| of_chapter.entry(&line.truth[..2]).or_default().push(line));
    assert_eq!(found.chapters.len(), of_chapter.len());
    assert!(found.chapters.is_sorted_by(|a, b| a.interval.high <= b.interval.high));
    for chapter in &found.chapters {
        let lines = &of_chapter[chapter.chapter.as_str()];
        let own = pairs(lines.iter().copied(), 6);
        assert_eq!(chapter.pairs, own);
        close(chapter.churn_ratio, changed(lines) / lines.len() as f64);
        asked.push(json!({"pairs": [own.both_right, own.lost, own.gained, own.both_wrong], "margin": 0.02}));
    }
    let answers = python_lines("challenge_statistics.py", &[], &asked);
    for (level, told) in found.levels.iter().zip(&answers) {
        close(told["p_value"].as_f64().unwrap(), level.mcnemar.p_value);
        close(told["low"].as_f64().unwrap(), level.interval.low);
        close(told["high"].as_f64().unwrap(), level.interval.high);
    }
    let margin = found.chapter_margin;
    assert!(margin == 0.02 && found.levels[0].mcnemar.exact == (found.levels[0].pairs.discordant() < 25));
    // Holm by hand: sorted, times what is left, never falling.
    let chapters = &answers[3..];
    for (name, of) in [("worse_p", true), ("not_worse_p", false)] {
        let mut order: Vec<usize> = (0..chapters.len()).collect();
        order.sort_by(|a, b| chapters[*a][name].as_f64().unwrap().total_cmp(&chapters[*b][name].as_f64().unwrap()));
        let mut least = 0.0f64;
        for (rank, at) in order.iter().enumerate() {
            let p = chapters[*at][name].as_f64().unwrap() * (chapters.len() - rank) as f64;
            least = least.max(p.min(1.0));
            let told = if of { found.chapters[*at].worse_p } else { found.chapters[*at].not_worse_p };
            assert!((told - least).abs() < 1e-7, "{name} {}: {told} {least}", found.chapters[*at].chapter);
        }
    }
    for (model, accepted) in [&found.champion_accepted, &found.challenger_accepted].into_iter().enumerate() {
        let own: Vec<&Line> = texts.iter().filter(|line| line.answers[model]["decision"] == "accept").collect();
        let right = own.iter().filter(|line| line.right(model, 6)).count();
        assert_eq!((accepted.texts, accepted.precision.is_none()), (own.len() as u64, own.is_empty()));
        close(accepted.coverage_ratio, own.len() as f64 / n);
        close(accepted.precision.unwrap_or(0.0), right as f64 / own.len().max(1) as f64);
        // The most texts, surest first and ties together, of which 95 or 98 % are right.
        let mut sure: Vec<(f64, bool)> = texts
            .iter()
            .filter_map(|line| Some((line.answers[model]["confidence"].as_f64()?, line.right(model, 6))))
            .collect();
        sure.sort_by(|a, b| b.0.total_cmp(&a.0));
        for coverage in &found.coverage {
            let (mut best, mut right) = (0, 0);
            for (at, (confidence, is_right)) in sure.iter().enumerate() {
                right += usize::from(*is_right);
                let tied = sure.get(at + 1).is_some_and(|next| next.0 == *confidence);
                if !tied && right as f64 / (at + 1) as f64 >= coverage.precision {
                    best = at + 1;
                }
            }
            let told = if model == 0 { coverage.champion_ratio } else { coverage.challenger_ratio };
            close(told, best as f64 / n);
        }
    }
    assert_eq!(found.coverage.iter().map(|at| at.precision).collect::<Vec<_>>(), [0.95, 0.98]);
    for (version, cost) in [(1, &found.champion_cost), (2, &found.challenger_cost)] {
        assert!(cost.cpu_secs_per_million > 0.0, "{cost:?}");
        let manifest = std::fs::read(format!("{}/hs/versions/{version}/manifest.json", registry())).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let bytes = manifest["files"].as_array().unwrap().iter().map(|file| file["size_bytes"].as_u64().unwrap());
        assert_eq!(cost.bundle_bytes, bytes.sum::<u64>());
    }
    let mut lines: Vec<String> = texts.iter().map(|line| format!("{} {}\n", line.digest, line.truth)).collect();
    lines.sort();
    assert_eq!(found.lines.digest, sha256(lines.concat().as_bytes()));
}

#[test]
fn versions_are_compared_on_labelled_lines_as_one_counts_them_by_hand() {
    let dir = folder();
    let [evidence, report] = ["evidence.json", "report.html"].map(|name| path(dir.path(), name));
    let json: Value =
        serde_json::from_str(&on_labels(&["--format", "json", "--evidence", &evidence, "--report", &report])).unwrap();
    let kept = std::fs::read_to_string(&evidence).unwrap();
    let found: Comparison = serde_json::from_str(&kept).unwrap();
    let lines = answered();
    let texts = distinct(&lines);
    assert!(texts.len() > 1_000 && texts.len() < lines.len(), "{} of {}", texts.len(), lines.len());
    assert_eq!((found.lines.rows, found.lines.texts), (lines.len() as u64, texts.len() as u64));
    assert_eq!((found.lines.kind.as_str(), &found.nightly), ("labels", &None));
    assert!(found.lines.source.contains(&lab().labelled) && found.lines.source.contains(SOME));
    same_figures(&found, &texts);
    let six = found.levels[0].pairs;
    assert!(
        six.lost > 10 && six.gained > 0 && found.levels[0].mcnemar.p_value < 0.01,
        "the small one is worse: {six:?}"
    );
    for (contender, version) in [(&found.champion, 1), (&found.challenger, 2)] {
        let manifest = std::fs::read(format!("{}/hs/versions/{version}/manifest.json", registry())).unwrap();
        assert_eq!((contender.version, &contender.digest), (version, &sha256(&manifest)));
    }
    // What was left out, and the examples, lost and gained.
    let all = ok(&[
        "sql",
        "--lake",
        &path(dir.path(), "lake"),
        "--input",
        &lab().labelled,
        "--format",
        "json",
        &format!("SELECT count(*) AS n FROM lines WHERE {SOME}"),
    ]);
    let all: Value = serde_json::from_str(all.trim()).unwrap();
    let left_out: u64 = json["left_out"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(all[0]["n"].as_u64().unwrap(), found.lines.rows + left_out);
    for (name, right) in [("lost", 0), ("gained", 1)] {
        let examples = json[name].as_array().unwrap();
        let expected = if right == 0 { six.lost } else { six.gained };
        assert_eq!(examples.len() as u64, expected.min(10), "{name}");
        for example in examples {
            let text = example["text"].as_str().unwrap();
            let digest = harmonize::text::digest(text).to_string();
            let line = texts.iter().find(|line| line.digest == digest).unwrap();
            assert!(line.right(right, 6) && !line.right(1 - right, 6), "{example}");
            assert_eq!(example["truth"], line.truth.as_str());
            assert_eq!(example["champion_hs6"], line.answers[0]["hs6"]);
            assert!(!kept.contains(text), "the evidence holds no descriptions");
        }
    }
    // The page is the one whose digest the evidence has, and an event keeps both.
    let page = std::fs::read(&report).unwrap();
    assert_eq!(found.report_sha256, Some(sha256(&page)));
    let promote = ["models", "promote", "hs@2", "--as", "candidate", "--why", "a test", "--registry", registry()];
    ok(&[&promote[..], &["--evidence", &evidence, "--report", &report]].concat());
    let events = ok(&["models", "history", "hs", "--alias", "candidate", "--registry", registry(), "--format", "json"]);
    let event: Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    let evidence: Comparison = serde_json::from_value(event["evidence"].clone()).unwrap();
    assert_eq!((evidence.lines, evidence.levels[0].pairs), (found.lines.clone(), six));
    assert_eq!(event["report_sha256"], found.report_sha256.clone().unwrap().as_str());
}

#[test]
fn a_comparison_says_the_same_in_every_form_and_descriptions_only_when_asked() {
    let json: Value = serde_json::from_str(&on_labels(&["--format", "json", "--examples", "3"])).unwrap();
    let forms = ["table", "markdown", "html"].map(|form| on_labels(&["--format", form, "--examples", "3"]));
    let six = &json["levels"][0];
    let points = format!("{:.1}", 100.0 * six["difference"].as_f64().unwrap().abs());
    let worst = json["chapters"][0]["chapter"].as_str().unwrap();
    let text = json["lost"][0]["text"].as_str().unwrap().split_whitespace().next().unwrap();
    assert_eq!(json["lost"].as_array().unwrap().len(), 3);
    for form in &forms {
        for said in ["hs@2 against hs@1", points.as_str(), worst, text, "coverage at 95 % precision", "Holm"] {
            assert!(form.contains(said), "{said}\n{form}");
        }
    }
    let table = &forms[0];
    let first = table.lines().skip_while(|line| !line.starts_with("By chapter")).nth(3).unwrap();
    assert!(first.trim_start().starts_with(worst), "{first}");
    let csv = on_labels(&["--format", "csv"]);
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3 + json["chapters"].as_array().unwrap().len());
    for (row, level) in rows.iter().zip(json["levels"].as_array().unwrap()) {
        let told = [&row[4], &row[5], &row[7]].map(|number| number.parse::<f64>().unwrap());
        let of = |value: &Value| value.as_f64().unwrap();
        close(told[2], of(&level["difference"]));
        assert_eq!(told[..2], [of(&level["pairs"]["lost"]), of(&level["pairs"]["gained"])]);
    }
    let without = on_labels(&["--format", "html", "--examples", "0"]);
    assert!(!without.contains("Lost: ") && !without.contains("alone is right.</p>"), "{without}");
}

#[test]
fn what_cannot_be_compared_is_refused_with_what_to_do() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let labelled = ["--input", &lab().labelled, "--label", "hs6"];
    let refused = |models: [&str; 2], more: &[&str], code: i32, said: &[&str]| {
        let ended = run(&[&["models", "compare"], &models[..], &["--registry", registry()], more].concat());
        assert_eq!(ended.code, code, "{more:?}: {}", ended.err);
        said.iter().for_each(|said| assert!(ended.err.contains(said), "{said}: {}", ended.err));
    };
    let both = ["hs@champion", "hs@challenger"];
    refused(["hs@1", "hs@champion"], &labelled, 2, &["hs@1 and hs@1 are one model", "harmonize models list"]);
    refused(["hs@1", "hs@9"], &labelled, 21, &["hs@9"]);
    refused(both, &[], 2, &["--input is missing", "--decisions"]);
    refused(both, &["--decisions"], 2, &["--lake is missing"]);
    refused(both, &[&["--decisions", "--lake", &lake][..], &labelled].concat(), 2, &["--input", "--decisions"]);
    refused(both, &["--decisions", "--lake", &lake], 20, &["no decision", "--store-text"]);
    refused(
        both,
        &[&labelled[..], &["--where", "line_id = 'none'"]].concat(),
        20,
        &["none of the 0 lines", "--label hs6"],
    );
    for (flag, value) in
        [("--alpha", "1"), ("--effect", "0"), ("--power", "1"), ("--chapter-margin", "2"), ("--cost-secs", "0")]
    {
        refused(both, &[&labelled[..], &[flag, value]].concat(), 2, &[flag]);
    }
}

/// A row of `predictions`, as a run with a challenger beside its model writes them.
fn prediction(line: &Line, model: usize, run: &str, date: &str, digest: &str) -> Value {
    let answer = &line.answers[model];
    let role = if model == 0 { "champion" } else { "challenger" };
    json!({
        "source_file": line.file, "source_row": line.row, "description": line.description, "text_digest": line.digest,
        "hs6": answer["hs6"], "confidence": answer["confidence"], "decision": answer["decision"], "reasons": [],
        "model_name": "hs", "model_version": model + 1, "model_digest": digest, "tariff_edition": "2022",
        "policy_digest": "p", "run_id": run, "run_date": date, "role": role,
        "served": model == 0,
    })
}

fn decision(id: usize, line: &Line, whole_text: bool, code: Option<&str>, at: &str) -> Value {
    let mut row = json!({
        "decision_id": format!("d{id:05}"), "text_digest": line.digest, "verdict": "correct", "hs6": code,
        "tariff_edition": "2022", "binding": false, "reviewer": "Ana", "decided_at": at,
    });
    if !whole_text {
        (row["source_file"], row["source_row"]) = (line.file.as_str().into(), line.row.into());
    }
    row
}

fn append(dir: &std::path::Path, lake: &str, table: &str, rows: &[Value]) {
    let file = path(dir, &format!("{table}.jsonl"));
    std::fs::write(&file, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    python("write_rows.py", &[lake, table, &file], &[]);
}

/// A lake in which `hs@2` ran beside `hs@1`, and reviewers decided every second text over five dates by its label, most by line and
/// some by text. Some decisions are nothing to ask about: unclassifiable, without a stored description, on another text.
#[test]
fn decisions_of_a_lake_are_compared_and_looked_at_night_by_night() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let texts = distinct(&answered());
    let digests = [1, 2]
        .map(|version| sha256(&std::fs::read(format!("{}/hs/versions/{version}/manifest.json", registry())).unwrap()));
    let mut predictions = Vec::new();
    for line in &texts {
        // Twice the same, and beside another challenger: neither is one more pair.
        for (model, digest) in digests.iter().enumerate() {
            predictions.push(prediction(line, model, "run-1", "2026-02-27", digest));
            predictions.push(prediction(line, model, "run-2", "2026-02-28", digest));
        }
        let mut other = prediction(line, 1, "run-3", "2026-02-28", &"f".repeat(64));
        other["hs6"] = "010121".into();
        predictions.extend([prediction(line, 0, "run-3", "2026-02-28", &digests[0]), other]);
    }
    let mut decisions = Vec::new();
    let mut asked = Vec::new();
    let dates = ["2026-03-02", "2026-03-03", "2026-03-05", "2026-03-06", "2026-03-09"];
    let mut nights: BTreeMap<&str, Pairs> = BTreeMap::new();
    let (mut both_wrong, mut wrong_first) = (0, 0);
    for (n, line) in texts.iter().enumerate().filter(|(n, _)| n % 2 == 0) {
        let at = dates[n / 2 % 5];
        if n % 14 == 0 {
            // Decided twice: the later code counts, on the date of the first.
            decisions.push(decision(2 * n, line, n % 6 == 0, Some("010121"), &format!("{at}T08:00:00")));
            decisions.push(decision(2 * n + 1, line, n % 6 == 0, Some(&line.truth), "2026-04-01T08:00:00"));
            wrong_first += 1;
        } else {
            decisions.push(decision(2 * n, line, n % 6 == 0, Some(&line.truth), &format!("{at}T23:59:59")));
        }
        asked.push(line.clone());
        if line.code(0) != line.code(1) {
            match (line.right(0, 6), line.right(1, 6)) {
                (false, false) => both_wrong += 1,
                (champion, challenger) => nights.entry(at).or_default().add(champion, challenger),
            }
        }
    }
    assert!(wrong_first > 5 && both_wrong > 5 && nights.len() == 5, "{wrong_first} {both_wrong} {nights:?}");
    // One that nobody can classify, one whose text is not stored, one whose stored text is another.
    let odd: Vec<&Line> = texts.iter().skip(1).step_by(2).take(3).collect();
    decisions.push(decision(100_001, odd[0], true, None, "2026-03-02T08:00:00"));
    for prediction in &mut predictions {
        if prediction["text_digest"] == odd[1].digest.as_str() {
            prediction["description"] = Value::Null;
        }
        if prediction["text_digest"] == odd[2].digest.as_str() {
            prediction["description"] = "cut".into();
        }
    }
    // They are decided, and so they are pairs where the codes differ.
    for (n, line) in odd[1..].iter().enumerate() {
        decisions.push(decision(100_002 + n, line, true, Some(&line.truth), "2026-03-02T08:00:00"));
        if line.code(0) != line.code(1) {
            match (line.right(0, 6), line.right(1, 6)) {
                (false, false) => both_wrong += 1,
                (champion, challenger) => nights.entry(dates[0]).or_default().add(champion, challenger),
            }
        }
    }
    append(dir.path(), &lake, "predictions", &predictions);
    append(dir.path(), &lake, "decisions", &decisions);

    let evidence = path(dir.path(), "evidence.json");
    let flags = ["--decisions", "--lake", &lake, "--evidence", &evidence, "--effect", "0.05", "--format", "json"];
    let json: Value = serde_json::from_str(&compared(&flags)).unwrap();
    let found: Comparison = serde_json::from_str(&std::fs::read_to_string(&evidence).unwrap()).unwrap();
    assert_eq!((found.lines.kind.as_str(), found.lines.texts), ("decisions", asked.len() as u64));
    let left_out = json!({"without_code": 1, "without_text": 0, "without_description": 1, "of_another_text": 1});
    assert_eq!(json["left_out"], left_out);
    same_figures(&found, &asked);

    // The nights, by an own count and by Python's integral.
    let nightly = found.nightly.clone().unwrap();
    let (mut total, mut looks) = (Pairs::default(), Vec::new());
    for pairs in nights.values() {
        (total.lost, total.gained) = (total.lost + pairs.lost, total.gained + pairs.gained);
        looks.push([total.lost, total.gained]);
    }
    let answer = &python_lines("challenge_statistics.py", &[], &[json!({"looks": looks})])[0];
    assert_eq!(nightly.nights.len(), nights.len());
    for (((night, date), [lost, gained]), ln) in
        nightly.nights.iter().zip(nights.keys()).zip(&looks).zip(answer.as_array().unwrap())
    {
        assert_eq!((night.date.as_str(), night.discordant, night.gained), (*date, lost + gained, *gained));
        assert!((night.ln_evidence - ln.as_f64().unwrap()).abs() < 1e-7, "{night:?} {ln}");
    }
    assert_eq!(nightly.proved, answer.as_array().unwrap().iter().any(|ln| ln.as_f64().unwrap() >= 20.0f64.ln()));
    let differing = texts.iter().filter(|line| line.code(0) != line.code(1)).count();
    let expected = json!({"texts": texts.len(), "differing": differing, "both_wrong": both_wrong});
    assert_eq!(json["side_by_side"], expected);
    let wins = 0.5 + 0.05 * texts.len() as f64 / (2.0 * differing as f64);
    let needed = pairs_to_prove(wins, 0.05, 0.8).unwrap().unwrap();
    assert_eq!((nightly.pairs_needed, nightly.effect), (Some(needed), 0.05));
    assert_eq!(nightly.pairs_missing, Some(needed.saturating_sub(total.discordant())));

    let table = compared(&["--decisions", "--lake", &lake, "--effect", "0.05"]);
    let missing = format!("{needed} decided pairs are needed: {} more", nightly.pairs_missing.unwrap());
    assert!(table.replace(',', "").contains(&missing), "{missing}\n{table}");
    assert!(table.contains("2026-03-09") && table.contains(&format!("called both wrong on {both_wrong}")), "{table}");

    // The other way round what was won is lost; and beside a model that never ran there are no nights.
    let back = run(&[
        "models",
        "compare",
        "hs@2",
        "hs@1",
        "--registry",
        registry(),
        "--cost-secs",
        "0.05",
        "--decisions",
        "--lake",
        &lake,
        "--format",
        "json",
    ]);
    let back: Value = serde_json::from_str(&back.out).unwrap();
    assert_eq!(
        (&back["nightly"], &back["levels"][0]["pairs"]["lost"]),
        (&Value::Null, &json["levels"][0]["pairs"]["gained"])
    );

    let page = compared(&["--decisions", "--lake", &lake, "--format", "html"]);
    assert!(page.contains("Evidence night by night") && !page.contains("http") && !page.contains("<script"));
    let labels = on_labels(&["--format", "html"]);
    for seen in looked_at(&[("decisions.html", &page), ("labels.html", &labels)]).unwrap_or_default() {
        let headings = seen["headings"].to_string();
        for heading in ["Right at 6, 4 and 2 digits", "Side by side", "By chapter", "Lost: ", "What was compared"] {
            assert!(headings.contains(heading), "{seen}");
        }
        let widths: Vec<f64> = seen["drawings"].as_array().unwrap().iter().map(|d| d.as_f64().unwrap()).collect();
        assert!((1..=2).contains(&widths.len()) && widths.iter().all(|width| *width > 300.0), "{seen}");
        assert!(seen["tables"].as_u64() >= Some(5) && seen["texts"].as_u64() > Some(100), "{seen}");
    }
}
