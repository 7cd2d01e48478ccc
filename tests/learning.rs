use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use harmonize::train::{Grouping, Part, Shares, Split};
use serde_json::{Value, json};

use crate::support::lab::{folder, ok, path, run, sql, write_lines, write_parquet};
use crate::support::random::Random;
use crate::support::servers::{python, python_lines};

/// Small enough that a training takes a second.
const TINY: &str = "[model]\nvocab_size = 300\nembedding_dim = 8\nfilters = 8\nwidths = [1, 2]\nbag_dim = 8\nbag_buckets = 300\n\
                    [fit]\nmembers = 1\nepochs = 6\nbatch_rows = 16\nlearning_rate = 0.01\naverage_decay = 0.9\n\
                    [fit.bag]\ntogether = false\nmembers = 1\nplain_members = 0\nweight = 3.0\nrow_rate_ratio = 8.0\nepochs = 3\n\
                    [split]\nstop = 0.1\ncalibrate = 0.1\nthreshold = 0.15\ntest = 0.1\n";

/// The split of that recipe, whose seed is the default one.
fn split() -> Split {
    let shares = Shares { stop: 0.1, calibrate: 0.1, threshold: 0.15, test: 0.1 };
    Split::new(17, shares, Grouping::Text).unwrap()
}

/// A text that begins so and falls into a part.
fn text_in(part: Part, stem: &str) -> String {
    (0..).map(|n| format!("{stem} {n}")).find(|text| split().part(text) == part).unwrap()
}

fn digest(text: &str) -> String {
    harmonize::text::digest(text).to_string()
}

/// 600 lines of computers and shirts, and some more.
fn write_labelled(file: &Path, more: &[(&str, &str)]) {
    let goods = (0..600).map(|i| {
        let (what, code) = [("portable computer", "847130"), ("cotton shirt", "610910")][i % 2];
        (format!("{what} number {i} of lot {}", i * 7 % 31), code.to_string())
    });
    let more = more.iter().map(|(text, code)| (text.to_string(), code.to_string()));
    let (texts, codes): (Vec<_>, Vec<_>) = goods.chain(more).unzip();
    let column = |values: Vec<String>| -> ArrayRef { Arc::new(values.into_iter().map(Some).collect::<StringArray>()) };
    write_parquet(file, vec![("description", column(texts)), ("code", column(codes))]);
}

/// A folder with labelled lines, a recipe, and lakes.
struct Place {
    dir: tempfile::TempDir,
    recipe: String,
}

impl Place {
    fn new(more: &[(&str, &str)], of_recipe: &str) -> Place {
        let dir = folder();
        write_labelled(&dir.path().join("labelled.parquet"), more);
        let recipe = path(dir.path(), "recipe.toml");
        std::fs::write(&recipe, format!("{TINY}{of_recipe}")).unwrap();
        Place { dir, recipe }
    }

    fn at(&self, name: &str) -> String {
        path(self.dir.path(), name)
    }

    /// Appends rows to a table of a lake.
    fn write(&self, lake: &str, table: &str, rows: &[Value]) {
        let file = self.at("rows.jsonl");
        std::fs::write(&file, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
        python("write_rows.py", &[&self.at(lake), table, &file], &[]);
    }

    /// Predictions that have stored these texts.
    fn store(&self, lake: &str, texts: &[&str]) {
        let row = |(n, text): (usize, &&str)| {
            json!({"source_file": "file:///gone.parquet", "source_row": n, "description": text.to_uppercase(),
                "text_digest": digest(text), "decision": "review", "reasons": [], "model_name": "hs", "model_version": 1,
                "model_digest": "0", "tariff_edition": "2022", "policy_digest": "0", "run_id": "r", "run_date": "2026-01-01"})
        };
        self.write(lake, "predictions", &texts.iter().enumerate().map(row).collect::<Vec<_>>());
    }

    /// Trains `hs@1` in a registry of this name; the bundle's folder.
    fn train(&self, name: &str, more: &[&str]) -> Bundle {
        let (input, registry) = (self.at("labelled.parquet"), self.at(name));
        let args = ["train", "--input", &input, "--label", "code", "--registry", &registry, "--recipe", &self.recipe];
        let ended = run(&[&args[..], &["--target-precision", "0.5"], more].concat());
        assert!(ended.code == 0 || ended.code == 10, "{}", ended.err);
        Bundle { registry, err: ended.err }
    }

    /// `harmonize data --decisions` of a lake: what it says of the decisions.
    fn counted(&self, lake: &str, more: &[&str]) -> Value {
        let (input, lake) = (self.at("labelled.parquet"), self.at(lake));
        let args = ["data", "--input", &input, "--label", "code", "--recipe", &self.recipe, "--format", "json"];
        let out = ok(&[&args[..], &["--decisions", "--lake", &lake], more].concat());
        serde_json::from_str::<Value>(&out).unwrap()["decisions"].clone()
    }
}

struct Bundle {
    registry: String,
    err: String,
}

impl Bundle {
    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(Path::new(&self.registry).join("hs/versions/1").join(name)).unwrap()
    }

    fn metrics(&self) -> Value {
        serde_json::from_slice(&self.file("metrics.json")).unwrap()
    }

    /// All that an answer follows from.
    fn model(&self) -> Vec<Vec<u8>> {
        let files = ["model.safetensors", "tokenizer.json", "labels.json", "calibration.json", "policy.json"];
        files.iter().map(|name| self.file(name)).collect()
    }

    fn code(&self, text: &str) -> String {
        let out = ok(&["predict", "--registry", &self.registry, "--format", "json", text]);
        let answer: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
        answer["hs6"].as_str().unwrap_or("none").to_string()
    }
}

/// A decision for all lines of a text.
fn decision(id: &str, text: &str, code: &str) -> Value {
    json!({"decision_id": id, "text_digest": digest(text), "verdict": "correct", "hs6": code, "tariff_edition": "2022",
        "binding": false, "reviewer": "Ana", "decided_at": "2026-01-01T00:00:00+00:00"})
}

/// Declared 200 times as a shirt, and decided once as a quilt; and a text that no labelled line has, of a class that none has.
#[test]
fn what_people_decided_is_coded_that_way_afterwards() {
    let (quilt, stick) =
        (text_in(Part::Train, "quilted down cover"), text_in(Part::Train, "hand carved walking stick"));
    let place = Place::new(&[(quilt.as_str(), "610910"); 200], "[decisions]\nweight = 6.0\nbinding_weight = 24.0\n");
    place.store("lake", &[&quilt, &stick]);
    let mut binding = decision("b", &stick, "660200");
    binding["binding"] = true.into();
    place.write("lake", "decisions", &[decision("a", &quilt, "940440"), binding]);
    let lake = place.at("lake");
    let before = place.train("before", &[]);
    let after = place.train("after", &["--decisions", "--lake", &lake]);
    assert_eq!((before.code(&quilt), after.code(&quilt)), ("610910".into(), "940440".into()));
    let has_class = |bundle: &Bundle| String::from_utf8(bundle.file("labels.json")).unwrap().contains("660200");
    assert_eq!((has_class(&before), has_class(&after)), (false, true));
    let (metrics, old) = (after.metrics(), before.metrics());
    let counted = &metrics["decisions"];
    for (name, count) in
        [("version", 0), ("decisions", 2), ("used", 2), ("texts", 2), ("binding_texts", 1), ("corrected_rows", 200)]
    {
        assert_eq!(counted[name], count, "{name}: {counted}");
    }
    assert_eq!(counted["table"], format!("file://{lake}/decisions"));
    assert_eq!((&metrics["class_rows"]["940440"], &old["class_rows"]["940440"]), (&json!(200), &Value::Null));
    assert_eq!(old.get("decisions"), None);
    // What is measured on is what it was.
    assert_eq!((&metrics["split"], &metrics["figures"]["rows"]), (&old["split"], &old["figures"]["rows"]));
    let card = String::from_utf8(after.file("README.md")).unwrap();
    assert!(card.contains("## Decisions of people") && card.contains(counted["digest"].as_str().unwrap()), "{card}");
    assert!(after.err.contains("learned rows whose label gave way") && !after.err.contains("quilted"), "{}", after.err);
    let page = ok(&["card", "--registry", &after.registry, "--model", "hs@1"]);
    assert!(page.contains("<h2>Decisions of people</h2>"), "{page}");
}

/// Decisions about texts of the test part, of another kept part, and of a frozen file leave every byte of the model as it is without
/// them; the last one, without its file, does not.
#[test]
fn what_a_model_is_measured_on_is_never_learned_from_a_decision() {
    let [test, unseen, threshold, frozen] = [
        ("glass vase", Part::Test),
        ("rubber duck", Part::Test),
        ("paper lantern", Part::Threshold),
        ("oak table", Part::Train),
    ]
    .map(|(stem, part)| text_in(part, stem));
    let rows = [(test.as_str(), "610910"), (threshold.as_str(), "847130"), (frozen.as_str(), "847130")];
    let place = Place::new(&rows, "");
    place.store("lake", &[&test, &unseen, &threshold, &frozen]);
    let decided = [(&test, "701391"), (&unseen, "950300"), (&threshold, "940599"), (&frozen, "940360")];
    let decided: Vec<Value> = decided.iter().map(|(text, code)| decision(&digest(text), text, code)).collect();
    place.write("lake", "decisions", &decided);
    let kept = place.at("frozen.parquet");
    write_lines(Path::new(&kept), &[Some(&frozen.to_uppercase()), Some("something else"), None]);
    let lake = place.at("lake");
    let with = ["--decisions", "--lake", &lake];
    let without = place.train("without", &[]);
    let guarded = place.train("guarded", &[&with[..], &["--frozen", &kept]].concat());
    assert!(guarded.model() == without.model(), "a decision about a text that is kept was learned");
    let counted = guarded.metrics()["decisions"].clone();
    let left_out = |name: &str| counted["left_out"][name].as_u64().unwrap();
    assert_eq!((counted["decisions"].as_u64(), counted["used"].as_u64()), (Some(4), Some(0)));
    assert_eq!((left_out("test"), left_out("kept"), left_out("frozen")), (2, 1, 1), "{counted}");
    // But for what is accepted: the audit sample that is left out of it is drawn by the digest of the version.
    let figures = |of: &Bundle| -> Value {
        let mut figures = of.metrics()["figures"].clone();
        figures.as_object_mut().unwrap().remove("accepted").unwrap();
        figures
    };
    assert_eq!(figures(&guarded), figures(&without));
    let learned = place.train("learned", &with);
    assert!(learned.model() != without.model() && learned.model().len() == 5);
    assert_eq!(learned.metrics()["decisions"]["left_out"]["frozen"], 0);
    assert_eq!(learned.metrics()["split"], without.metrics()["split"], "the test part is the same");

    // A condition alone names lines of the input, and one that names none guards nothing.
    let counted = place.counted("lake", &["--frozen-where", &format!("description = '{frozen}'")]);
    assert_eq!((&counted["used"], &counted["left_out"]["frozen"]), (&json!(0), &json!(1)));
    let input = place.at("labelled.parquet");
    let base = ["data", "--input", &input, "--label", "code", "--lake", &lake];
    for (more, code, said) in [
        (&["--decisions", "--frozen-where", "description = 'nothing'"][..], 20, "guard of nothing"),
        (&["--decisions", "--frozen", "missing.parquet"], 20, "--frozen"),
        (&["--decisions", "--decisions-version", "7"], 2, "no version 7"),
        (&["--frozen-where", "true"], 2, "--decisions"),
    ] {
        let ended = run(&[&base[..], more].concat());
        assert!(ended.code == code && ended.err.contains(said), "{more:?}: {} {}", ended.code, ended.err);
    }
    let nowhere = place.at("nowhere");
    let ended = run(&["data", "--input", &input, "--label", "code", "--lake", &nowhere, "--decisions"]);
    assert!(ended.code == 20 && ended.err.contains("no table of decisions"), "{}", ended.err);
}

/// The same decisions in another order and in other commits train the same bytes, and so does an earlier version of a table that has
/// grown since.
#[test]
fn a_training_with_decisions_can_be_repeated() {
    let texts: Vec<String> =
        ["wool rug", "brass bell", "clay pot", "silk scarf"].map(|stem| text_in(Part::Train, stem)).to_vec();
    let codes = ["570310", "830610", "691200", "621410"];
    let place = Place::new(&[], "");
    let decided: Vec<Value> = texts.iter().zip(codes).map(|(text, code)| decision(&digest(text), text, code)).collect();
    let stored: Vec<&str> = texts.iter().map(String::as_str).collect();
    for lake in ["one", "other"] {
        place.store(lake, &stored);
    }
    place.write("one", "decisions", &decided);
    let reversed: Vec<Value> = decided.iter().rev().cloned().collect();
    place.write("other", "decisions", &reversed[..1]);
    place.write("other", "decisions", &reversed[1..]);
    let [one, other] = ["one", "other"].map(|lake| place.at(lake));
    let first = place.train("first", &["--decisions", "--lake", &one]);
    let second = place.train("second", &["--decisions", "--lake", &other]);
    assert!(first.model() == second.model());
    let told = |bundle: &Bundle, name: &str| bundle.metrics()["decisions"][name].clone();
    assert_eq!((told(&first, "version"), told(&second, "version")), (json!(0), json!(1)));
    assert_eq!((told(&first, "digest"), told(&first, "used")), (told(&second, "digest"), json!(4)));

    // Ben corrects Ana on one text.
    let mut later = decision("later", &texts[0], "570242");
    (later["reviewer"], later["decided_at"]) = ("Ben".into(), "2026-02-01T00:00:00+00:00".into());
    place.write("other", "decisions", &[later]);
    let again = place.train("again", &["--decisions", "--decisions-version", "1", "--lake", &other]);
    assert!(again.model() == first.model() && told(&again, "digest") == told(&first, "digest"));
    let newest = place.train("newest", &["--decisions", "--lake", &other]);
    assert!(newest.model() != first.model() && told(&newest, "digest") != told(&first, "digest"));
    assert_eq!((told(&newest, "version"), told(&newest, "left_out")["superseded"].clone()), (json!(2), json!(1)));
}

/// Everything that a decision can be, at random, in counts of another program that has its rules from the manual.
#[test]
fn every_decision_is_counted_once_as_used_or_by_why_it_is_not() {
    let parts = [Part::Train, Part::Train, Part::Train, Part::Train, Part::Test, Part::Threshold, Part::Calibrate];
    let texts: Vec<String> = (0..42).map(|n| text_in(parts[n % 7], &format!("thing {n} of kind"))).collect();
    let rows: Vec<(&str, &str)> = texts.iter().map(|text| (text.as_str(), "731815")).collect();
    let place = Place::new(&rows, "");
    let stored: Vec<&str> =
        texts.iter().enumerate().filter(|(n, _)| n % 11 != 3).map(|(_, text)| text.as_str()).collect();
    place.store("lake", &stored);
    write_lines(&place.dir.path().join("frozen.parquet"), &[Some(&texts[7]), Some(&texts[14]), Some(&texts[4])]);
    // 2017: one unchanged, one renumbered, one that was split, two that were merged.
    let pairs = [
        ("731815", "731815"),
        ("010110", "010121"),
        ("851712", "851713"),
        ("851712", "851714"),
        ("570210", "570231"),
        ("570220", "570231"),
    ];
    tariff(&place, &pairs);
    let mut random = Random(1);
    let of_2022 = ["731815", "731816", "851713", "999998"];
    let of_2017 = ["731815", "010110", "851712", "570210", "999998"];
    let mut decided: Vec<Value> = (0..400)
        .map(|n| {
            let mut pick = |of: usize| random.below(of);
            // A later edition comes before an earlier one: some texts were decided in none of 2022.
            let at = pick(texts.len());
            let editions: &[&str] =
                if at % 6 == 2 { &["2017", "2017", "2012"] } else { &["2022", "2022", "2022", "2022", "2017", "2012"] };
            let edition = editions[pick(editions.len())];
            let code = if edition == "2017" { of_2017[pick(5)] } else { of_2022[[0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3][pick(11)]] };
            let verdict = ["correct", "confirm", "confirm", "unclassifiable", "correct", "correct", "correct"][pick(7)];
            let text = &texts[at];
            let line = (pick(4) == 0).then(|| pick(3));
            let shown = [Value::Null, json!(code), json!("731816")][[0, 1, 1, 1, 2][pick(5)]].clone();
            let hs6 = if verdict == "unclassifiable" { Value::Null } else { [json!(code), Value::Null][usize::from(pick(9) == 0)].clone() };
            json!({"decision_id": format!("{n:03}"), "text_digest": if pick(30) == 0 { Value::Null } else { json!(digest(text)) },
                "source_file": line.map(|_| "file:///gone.parquet"), "source_row": line, "verdict": verdict, "hs6": hs6,
                "shown_hs6": shown, "tariff_edition": edition, "binding": pick(12) == 0, "reviewer": (["Ana", "Ben"][pick(2)]),
                "reason_code": ([Value::Null, json!("vague"), json!("other")][pick(3)].clone()),
                "decided_at": format!("2026-01-{:02}T00:00:00+00:00", 1 + pick(28))})
        })
        .collect();
    // One that nobody else has decided on.
    let mut unsure = decision("unsure", "thing of no kind", "731815");
    (unsure["verdict"], unsure["hs6"]) = ("unclassifiable".into(), Value::Null);
    decided.push(unsure);
    place.write("lake", "decisions", &decided);
    let part: BTreeMap<String, &str> = texts.iter().map(|text| (digest(text), split().part(text).name())).collect();
    let digests = |texts: &[&str]| texts.iter().map(|text| digest(text)).collect::<BTreeSet<_>>();
    let facts = json!({
        "part": part, "readable": digests(&stored), "frozen": digests(&[&texts[7], &texts[14], &texts[4]]),
        "edition": "2022", "codes": ["731815", "731816", "851713"],
        "others": {"2017": {"codes": ["731815", "010110", "851712", "570210", "570220"],
                            "one_to_one": {"731815": "731815", "010110": "010121"}}},
    });
    let expected = python_lines("count_decisions.py", &[&place.at("lake")], &[facts]).remove(0);
    let counted = place.counted("lake", &["--frozen", &place.at("frozen.parquet")]);
    for name in ["decisions", "used", "texts"] {
        assert_eq!(counted[name], expected[name], "{name}: {counted} {expected}");
    }
    assert_eq!(counted["left_out"], expected["left_out"]);
    assert!(expected["left_out"].as_object().unwrap().values().all(|count| count.as_u64().unwrap() > 0), "{expected}");
    assert!(expected["used"].as_u64().unwrap() > 5 && counted["used_mapped"].as_u64().unwrap() > 0, "{counted}");
    let corrected = expected["learned"].as_object().unwrap().values().filter(|code| *code != "731815").count();
    assert_eq!(counted["corrected_rows"], corrected, "each text is one labelled row of 731815");
    let left_out: u64 = counted["left_out"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(counted["used"].as_u64().unwrap() + left_out, 401);
}

/// Rows of the tables that hold the tariff of a lake.
fn tariff(place: &Place, pairs: &[(&str, &str)]) {
    let code = |edition: &str, code: &str| {
        json!({"schedule": "HS", "edition": edition, "code": code, "level": 6, "parent": &code[..4], "description": "goods",
            "language": "en", "valid_from": format!("{edition}-01-01"), "source": "n.csv", "import_id": "1"})
    };
    let of = |edition: &str, codes: BTreeSet<&str>| codes.into_iter().map(|c| code(edition, c)).collect::<Vec<_>>();
    let old = of("2017", pairs.iter().map(|pair| pair.0).collect());
    let new = of("2022", pairs.iter().map(|pair| pair.1).collect());
    place.write("lake", "nomenclature", &[old, new].concat());
    let link = |(from, to): &(&str, &str)| json!({"from_edition": "2017", "to_edition": "2022", "from_code": from, "to_code": to, "source": "c.csv", "import_id": "1"});
    place.write("lake", "correlations", &pairs.iter().map(link).collect::<Vec<_>>());
}

/// A lake that keeps no text: it is read where the line stands, and gone with it.
#[test]
fn a_text_that_the_lake_has_not_stored_is_read_from_its_file_while_it_stands_there() {
    let [clock, lamp] = ["iron clock", "tin lamp"].map(|stem| text_in(Part::Train, stem));
    let place = Place::new(&[], "");
    let registry = place.train("models", &[]).registry;
    let lines = place.dir.path().join("in/lines.parquet");
    write_lines(&lines, &[Some("cotton shirt"), Some(&clock.to_uppercase()), Some(&lamp), None]);
    let (input, lake) = (lines.to_str().unwrap().to_string(), place.at("lake"));
    let fixed = ["classify", "--input", &input, "--id", "line_id", "--lake", &lake, "--registry", &registry];
    ok(&[&fixed[..], &["--store-text", "none"]].concat());
    assert_eq!(sql(&lake, "SELECT description FROM predictions WHERE description IS NOT NULL").len(), 0);
    place.write("lake", "decisions", &[decision("a", &clock, "910529"), decision("b", &lamp, "940550")]);
    let counted = place.counted("lake", &[]);
    assert_eq!((&counted["used"], &counted["left_out"]["text_lost"]), (&json!(2), &json!(0)), "{counted}");
    // Rewritten: the second line is another now, the third is where it was.
    write_lines(&lines, &[Some("cotton shirt"), Some("portable computer"), Some(&lamp), None]);
    let counted = place.counted("lake", &[]);
    assert_eq!((&counted["used"], &counted["left_out"]["text_lost"]), (&json!(1), &json!(1)), "{counted}");
    std::fs::remove_file(&lines).unwrap();
    assert_eq!(place.counted("lake", &[])["left_out"]["text_lost"], 2);
}
