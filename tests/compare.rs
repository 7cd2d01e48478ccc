use std::path::Path;

use arrow::array::{Array, AsArray};
use harmonize::sample::{Spec, chunk};
use harmonize::tariff::{Codes, Edition};
use harmonize::train::{Grouping, Label, Part, Shares, Split};
use serde_json::{Value, json};

use crate::support::browser::looked_at;
use crate::support::lab::{Ended, folder, ok, path, run, write_parquet};
use crate::support::servers::python;

/// As small as a model can be.
const TINY: &str = "[model]\nvocab_size = 400\nembedding_dim = 16\nfilters = 16\nwidths = [1, 2]\nscreen_dim = 0\nbag_dim = 16\nbag_buckets = 600\n\
                    [fit]\nmembers = 1\nplain_members = 0\nepochs = 3\nlearning_rate = 0.01\ndropout = 0.1\nbag = { together = false, members = 1, plain_members = 0, weight = 3.0, row_rate_ratio = 8.0, epochs = 3 }\n\
                    [split]\nstop = 0.05\ncalibrate = 0.05\nthreshold = 0.1\ntest = 0.1\n";

const SHARES: Shares = Shares { stop: 0.05, calibrate: 0.05, threshold: 0.1, test: 0.1 };

/// The same of another architecture.
const AVERAGED: &str = "[model]\narchitecture = 'averaged'\nvocab_size = 400\nembedding_dim = 16\nbag_dim = 16\nbag_buckets = 600\n\
                        hidden_dim = 16\n[fit]\nepochs = 3\nlearning_rate = 0.01\n";

/// A line that can be learned.
struct Line {
    id: String,
    text: String,
    code: String,
}

/// 4,000 labelled sample lines in a file, and the same as normalised texts with their codes.
fn lines(file: &Path) -> Vec<Line> {
    let batch = chunk(&Spec { rows: 4000, seed: 3, labelled: true, classes: Some(60), ..Spec::default() }, 0).unwrap();
    let column = |name: &str| batch.column_by_name(name).unwrap().clone();
    write_parquet(file, ["line_id", "description", "hs6"].map(|name| (name, column(name))).to_vec());
    let [ids, texts, labels] = ["line_id", "description", "hs6"].map(|name| column(name).as_string::<i32>().clone());
    let codes = Codes::builtin(Edition::Hs2022);
    let mut usable = Vec::new();
    for row in 0..batch.num_rows() {
        let mut text = String::new();
        if texts.is_valid(row) {
            harmonize::text::normalise(texts.value(row), &mut text);
        }
        if let (Label::Valid(code), false) =
            (Label::parse(labels.is_valid(row).then(|| labels.value(row)), codes), text.is_empty())
        {
            usable.push(Line { id: ids.value(row).to_string(), text, code: code.to_string() });
        }
    }
    usable
}

/// A folder with `lines.parquet` and recipes, of which the second has another dropout and the third is no recipe.
fn prepared() -> (tempfile::TempDir, Vec<Line>) {
    let dir = folder();
    let usable = lines(&dir.path().join("lines.parquet"));
    let write = |file: &str, text: String| std::fs::write(dir.path().join(file), text).unwrap();
    write("a.toml", TINY.into());
    write("b.toml", TINY.replace("dropout = 0.1", "dropout = 0.3"));
    write("c.toml", TINY.replace("filters = 16", "filters = 0"));
    write("averaged.toml", AVERAGED.into());
    (dir, usable)
}

fn compare(dir: &Path, recipes: &[&str], more: &[&str]) -> Ended {
    let input = path(dir, "lines.parquet");
    let recipes: Vec<String> = recipes.iter().map(|recipe| path(dir, recipe)).collect();
    let mut args = vec!["compare", "--input", &input, "--label", "hs6", "--score-secs", "0.02"];
    recipes.iter().for_each(|recipe| args.extend(["--recipe", recipe]));
    run(&[&args[..], more].concat())
}

fn rows(json: &str) -> Vec<Value> {
    let comparison: Value = serde_json::from_str(json).unwrap();
    comparison["rows"].as_array().unwrap().clone()
}

fn row<'a>(rows: &'a [Value], name: &str, upsampled: &str) -> &'a Value {
    let found = rows.iter().find(|row| row["name"] == name && row["upsampled"] == upsampled);
    found.unwrap_or_else(|| panic!("{name} {upsampled}"))
}

/// Whether a row has each distinct test text right, from its hexadecimal digits.
fn right(row: &Value) -> Vec<bool> {
    let digits = row["right"]["bits"].as_str().unwrap().chars().map(|digit| digit.to_digit(16).unwrap());
    let bits = digits.flat_map(|digit| [8, 4, 2, 1].map(|bit| digit & bit > 0));
    bits.take(row["right"]["texts"].as_u64().unwrap() as usize).collect()
}

/// The baselines against plain Python (`tests/baselines.py`), on the parts that the published split gives.
#[test]
fn a_table_has_every_model_with_all_figures_and_baselines_that_plain_python_gives() {
    let (dir, usable) = prepared();
    let out = path(dir.path(), "out");
    let recipes = ["a.toml", "b.toml", "averaged.toml"];
    let ended = compare(dir.path(), &recipes, &["--out", &out, "--leak-model", "--format", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let rows = rows(&ended.out);
    let names: Vec<String> =
        rows.iter().map(|r| format!("{}: {}", r["upsampled"].as_str().unwrap(), r["name"].as_str().unwrap())).collect();
    let expected = [
        "no: a",
        "no: b",
        "no: averaged",
        "no: nearest neighbour",
        "no: majority class",
        "after_split: a",
        "after_split: nearest neighbour",
        "before_split: a",
        "before_split: nearest neighbour",
        "before_split: majority class",
    ];
    assert_eq!(names, expected);

    let split = Split::new(17, SHARES, Grouping::Text).unwrap();
    let part = |of: Part| -> Vec<[&str; 2]> {
        usable.iter().filter(|line| split.part(&line.text) == of).map(|line| [&line.text[..], &line.code]).collect()
    };
    let (train, test) = (part(Part::Train), part(Part::Test));
    let file = path(dir.path(), "parts.json");
    std::fs::write(&file, json!({ "train": train, "test": test }).to_string()).unwrap();
    let expected = python("baselines.py", &[&file], &[]);
    for (name, upsampled, of) in [
        ("nearest neighbour", "no", "nearest"),
        ("nearest neighbour", "after_split", "nearest_after"),
        ("majority class", "no", "majority"),
    ] {
        let found = row(&rows, name, upsampled);
        assert_eq!(found["rows"], test.len());
        for (figure, share) in expected[of].as_object().unwrap() {
            let (found, share) = (found[figure].as_f64().unwrap(), share.as_f64().unwrap());
            assert!((found - share).abs() < 1e-8, "{name} {figure}: {found}, by Python {share}");
        }
    }
    for bucket in row(&rows, "nearest neighbour", "no")["by_support"].as_array().unwrap() {
        let by_python = &expected["support"][bucket["training_rows"].as_str().unwrap()];
        assert_eq!(bucket["rows"], by_python[0], "{bucket}");
        let gap = bucket["accuracy"].as_f64().zip(by_python[1].as_f64()).map(|(a, b)| (a - b).abs());
        assert!(gap.map_or(bucket["rows"] == 0, |gap| gap < 1e-8), "{bucket} {by_python}");
    }

    for row in &rows {
        let shares =
            "hs6 hs4 hs2 hs6_top_five hs4_top_five hs2_top_five macro_f1 coverage_at_98 coverage_at_95 brier_hs6 augrc";
        for figure in shares.split(' ') {
            assert!((0.0..=1.0).contains(&row[figure].as_f64().unwrap()), "{figure} of {row}");
        }
        let figure = |name: &str| row[name].as_f64().unwrap();
        assert!(figure("hs6_low") <= figure("hs6") && figure("hs6") <= figure("hs6_high"), "{row}");
        assert!(figure("hs6_top_five") <= figure("hs4_top_five") || row["kind"] == "majority", "{row}");
        assert!(figure("augrc") <= 0.5 && figure("brier_hs6") > 0.0, "{row}");
        // 48 are looked at.
        let tokens = row["tokens_per_line"].as_f64();
        assert!(tokens.map_or(row["kind"] != "recipe", |tokens| tokens > 1.0 && tokens <= 48.0), "{row}");
        for figure in ["calibration_error_hs6", "calibration_error_hs4", "calibration_error_hs2", "train_secs"] {
            assert!(row[figure].as_f64().unwrap() >= 0.0, "{figure} of {row}");
        }
        assert!(row["size_bytes"].as_u64().unwrap() > 0 && row["key"].as_str().unwrap().len() == 32, "{row}");
        let trained = row["kind"] != "majority";
        assert_eq!(row["score_cpu_secs_per_million"].as_f64().is_some_and(|secs| secs > 0.0), trained, "{row}");
        assert_eq!(row["peak_memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), trained, "{row}");
    }
    // Copies of the test lines were learned. Copies of what is learned help a fit that is too short, but not the neighbour.
    let hs6 = |name: &str, upsampled: &str| row(&rows, name, upsampled)["hs6"].as_f64().unwrap();
    for (name, points) in [("nearest neighbour", 0.03), ("a", 0.0)] {
        let [no, after, before] = ["no", "after_split", "before_split"].map(|upsampled| hs6(name, upsampled));
        assert!(before > no.max(after) + points, "{name}: {no}, {after} after and {before} before the split");
    }

    // Which texts are right, by Python; and each row beside the first one, counted here.
    let by_python: Vec<bool> = expected["nearest_texts"].as_array().unwrap().iter().map(|right| *right == 1).collect();
    assert_eq!(right(row(&rows, "nearest neighbour", "no")), by_python);
    let first = right(&rows[0]);
    assert!(rows[0].get("paired").is_none());
    for row in &rows[1..] {
        if row["upsampled"] == "before_split" {
            assert!(row.get("paired").is_none(), "{row}");
            continue;
        }
        let only =
            |ours: &[bool], others: &[bool]| ours.iter().zip(others).filter(|(our, other)| **our && !**other).count();
        let (this, paired) = (right(row), &row["paired"]);
        assert_eq!((&paired["lost"], &paired["gained"]), (&json!(only(&first, &this)), &json!(only(&this, &first))));
        let p = paired["p_value"].as_f64().unwrap();
        assert!(p > 0.0 && p <= 1.0 && (row["kind"] != "majority" || p < 1e-6), "{row}");
    }
    // What is learned of the first recipe is another thing with copies, on the same texts.
    assert_ne!(first, right(row(&rows, "a", "after_split")));

    let read = |file: &str| std::fs::read_to_string(Path::new(&out).join(file)).unwrap();
    assert_eq!(read("comparison.json"), ended.out);
    let csv = read("comparison.csv");
    assert_eq!(csv.lines().count(), 11);
    assert!(csv.starts_with("name,kind,architecture,upsampled,rows,hs6,hs6_low,hs6_high,lost_texts,"), "{csv}");
    for column in ["p_value", "hs4_top_five", "brier_hs6", "augrc", "tokens_per_line", "hs6_of_100_or_more_rows"] {
        assert!(csv.lines().next().unwrap().split(',').any(|name| name == column), "{column}: {csv}");
    }
    for text in [read("comparison.md"), read("comparison.html")] {
        for word in [
            "a",
            "b",
            "nearest neighbour",
            "majority class",
            "macro F1",
            "6 digits, 100 or more training rows",
            "averaged",
            "among the five best at 4 digits",
            "95 % interval of that",
            "p-value beside the first",
            "Brier score",
            "AUGRC",
            "tokens a line",
            "not up-sampled",
            "after the split",
            "LEAKY",
            "points",
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
    let page = read("comparison.html");
    assert!(page.starts_with("<!DOCTYPE html>") && !page.contains("http") && !page.contains("<script"), "{page}");
    looked_at(&[("comparison.html", &page)]);
}

#[test]
fn a_second_start_trains_only_what_is_new() {
    let (dir, _) = prepared();
    let out = path(dir.path(), "out");
    let first = compare(dir.path(), &["a.toml"], &["--out", &out, "--format", "json"]);
    assert_eq!(first.code, 0, "{}", first.err);
    assert!(!first.err.contains("done before"), "{}", first.err);
    let again = compare(dir.path(), &["a.toml"], &["--out", &out, "--format", "json"]);
    assert!(again.code == 0 && again.out == first.out, "{}", again.err);
    assert_eq!(again.err.matches("done before").count(), 6, "{}", again.err);
    // Another recipe beside it; the first is found again although it comes second and under another name.
    std::fs::copy(dir.path().join("a.toml"), dir.path().join("same.toml")).unwrap();
    let more = compare(
        dir.path(),
        &["a.toml", "b.toml", "same.toml"],
        &["--out", &out, "--format", "json", "--show-leak", "off"],
    );
    assert_eq!(more.code, 0, "{}", more.err);
    assert_eq!(more.err.matches("done before").count(), 4, "{}", more.err);
    let rows = rows(&more.out);
    let without_name = |row: &Value| {
        let mut row = row.clone();
        row["name"] = Value::Null;
        row["paired"] = Value::Null;
        row
    };
    assert_eq!(right(row(&rows, "a", "no")), right(row(&rows, "same", "no")));
    // The one is the first row, and the other stands beside it: nothing lost or gained.
    let same = json!({ "lost": 0, "gained": 0, "p_value": 1.0 });
    assert_eq!(row(&rows, "same", "no")["paired"], same);
    assert_eq!(without_name(row(&rows, "a", "no")), without_name(row(&rows, "same", "no")));
    assert!(rows.iter().all(|row| row["upsampled"] == "no"));
    // Other lines are another comparison.
    let other = compare(dir.path(), &["a.toml"], &["--out", &out, "--where", "line_id < 'L0000003500'"]);
    assert_eq!(other.code, 0, "{}", other.err);
    assert_eq!(other.err.matches("done before").count(), 0, "{}", other.err);
}

#[test]
fn lines_to_measure_on_can_be_chosen_and_are_then_not_learned() {
    let (dir, usable) = prepared();
    let test = ["--where", "line_id < 'L0000003500'", "--test-where", "line_id >= 'L0000003500'"];
    let ended = compare(dir.path(), &["a.toml"], &[&test[..], &["--format", "json"]].concat());
    assert_eq!(ended.code, 0, "{}", ended.err);
    let comparison: Value = serde_json::from_str(&ended.out).unwrap();
    let parts: Vec<(String, u64)> = serde_json::from_value(comparison["lines"]["rows"].clone()).unwrap();
    let rows = |name: &str| parts.iter().find(|(part, _)| part == name).unwrap().1 as usize;
    let (learned, measured): (Vec<_>, Vec<_>) = usable.iter().partition(|line| line.id.as_str() < "L0000003500");
    assert_eq!(rows("test"), measured.len());
    // Sample lines repeat; a repeat of a test line is in no part.
    let repeats = |line: &&&Line| measured.iter().any(|other| other.text == line.text);
    let left_out = learned.iter().filter(repeats).count();
    let all: usize = parts.iter().map(|(_, rows)| *rows as usize).sum();
    assert!(left_out > 0 && all == usable.len() - left_out, "{left_out} of {} {parts:?}", usable.len());
    // The split's own test part is learned from.
    let split = Split::new(17, SHARES, Grouping::Text).unwrap();
    let stop = learned.iter().filter(|line| split.part(&line.text) == Part::Stop && !repeats(line)).count();
    assert_eq!(rows("stop"), stop);
    assert!(comparison["lines"]["measured_on"].as_str().unwrap().contains("line_id >= 'L0000003500'"));
}

/// Further examples that are not there end a comparison before its first training, whichever recipe names them.
#[test]
fn further_examples_are_read_before_any_training() {
    let (dir, _) = prepared();
    let extra = "[[extra]]\ninput = ['missing.csv']\ntext = ['t']\nlabel = 'l'\nweight = 1.0\n";
    std::fs::write(dir.path().join("extra.toml"), format!("{TINY}{extra}")).unwrap();
    let ended = compare(dir.path(), &["a.toml", "extra.toml"], &[]);
    assert!(ended.code == 20 && ended.err.contains("extra: ") && ended.err.contains("missing.csv"), "{}", ended.err);
    assert!(!ended.err.contains("right at six digits"), "{}", ended.err);
}

/// What is wrong is said before anything is read: the input does not even exist.
#[test]
fn what_cannot_be_compared_or_searched_is_refused_before_the_work() {
    let (dir, _) = prepared();
    std::fs::remove_file(dir.path().join("lines.parquet")).unwrap();
    std::fs::write(dir.path().join("untested.toml"), TINY.replace("test = 0.1", "test = 0.0")).unwrap();
    std::fs::write(dir.path().join("odd.toml"), TINY.replace("filters", "filtres")).unwrap();
    std::fs::write(dir.path().join("copied.toml"), TINY.replacen("members = 1", "upsample_to = 5\nmembers = 1", 1))
        .unwrap();
    for (recipes, more, said) in [
        (&["a.toml", "c.toml"][..], &[][..], "c: "),
        (&["a.toml", "odd.toml"], &[], "filtres"),
        (&["untested.toml"], &[], "--test-where"),
        (&["a.toml"], &["--score-secs", "0"], "--score-secs"),
        (&["a.toml"], &["--target-precision", "2"], "--target-precision"),
        (&["copied.toml"], &["--leak-model"], "upsample_to"),
    ] {
        let ended = compare(dir.path(), recipes, more);
        assert!(ended.code == 2 && ended.err.contains(said), "{recipes:?} {more:?}: {} {}", ended.code, ended.err);
    }
    for (space, more, said) in [
        ("model.filters = { low = 0, high = 8, int = true }", &[][..], "model.filters = 0"),
        ("fit.epoks = { low = 1, high = 8, int = true }", &[], "epoks"),
        ("fit.dropout = { low = 0.9, high = 1.5 }", &[], "fit.dropout = 1.5"),
        ("fit.dropout = { low = 0.1, high = 0.5 }", &["--trials", "0"], "--trials"),
        ("fit.dropout = { low = 0.1, high = 0.5 }", &["--objective", "test"], "choose one of hs6"),
    ] {
        let ended = search(dir.path(), space, "out", more);
        assert!(ended.code == 2 && ended.err.contains(said), "{space} {more:?}: {} {}", ended.code, ended.err);
        assert!(!dir.path().join("out").exists());
    }
}

fn search(dir: &Path, space: &str, out: &str, more: &[&str]) -> Ended {
    std::fs::write(dir.join("space.toml"), space).unwrap();
    let [input, recipe, space, out] = ["lines.parquet", "a.toml", "space.toml", out].map(|file| path(dir, file));
    let args = ["search", "--input", &input, "--label", "hs6", "--recipe", &recipe, "--space", &space, "--out", &out];
    run(&[&args[..], more].concat())
}

/// Eleven trials at once, and the same after a stop in the middle of a line: ten are at random, the last one is learned.
#[test]
fn a_search_goes_on_after_a_restart_as_it_would_have_without() {
    let (dir, _) = prepared();
    let space = "fit.learning_rate = { low = 1e-4, high = 1e-2, log = true }\nfit.bag.epochs = { low = 1, high = 2, int = true }\n\
                 model.widths = { choices = [[1], [1, 2]] }\n";
    let whole = search(dir.path(), space, "whole", &["--trials", "11"]);
    assert_eq!(whole.code, 0, "{}", whole.err);
    let part = search(dir.path(), space, "parts", &["--trials", "4"]);
    assert_eq!(part.code, 0, "{}", part.err);
    let record = |out: &str| dir.path().join(out).join("trials.jsonl");
    let mut torn = std::fs::read_to_string(record("parts")).unwrap();
    torn.truncate(torn.len() - 30);
    std::fs::write(record("parts"), torn).unwrap();
    let rest = search(dir.path(), space, "parts", &["--trials", "11", "--format", "json"]);
    assert_eq!(rest.code, 0, "{}", rest.err);
    assert!(
        rest.err.contains("cut off") && rest.err.contains("trial 4: ") && !rest.err.contains("trial 3: "),
        "{}",
        rest.err
    );
    // All but the seconds.
    let trials = |out: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(record(out)).unwrap();
        let trials = text.lines().skip(1).map(|line| {
            let mut trial: Value = serde_json::from_str(line).unwrap();
            assert!(trial["secs"].as_f64().unwrap() > 0.0 && trial["cpu_secs"].as_f64().unwrap() > 0.0, "{trial}");
            (trial["secs"], trial["cpu_secs"]) = (Value::Null, Value::Null);
            trial
        });
        trials.collect()
    };
    assert_eq!(trials("whole").len(), 11);
    assert_eq!(trials("whole"), trials("parts"));
    assert_eq!(rest.out.lines().count(), 11);
    let figures: Vec<f64> = trials("whole").iter().map(|t| t["figure"].as_f64().unwrap()).collect();
    for trial in trials("whole") {
        let measured = &trial["measured"];
        for figure in "hs6 hs4 hs2 hs6_top_five macro_f1 coverage_at_98 coverage_at_95 calibration_error_hs6".split(' ')
        {
            assert!((0.0..=1.0).contains(&measured[figure].as_f64().unwrap()), "{figure} of {trial}");
        }
        assert!(measured["hs6"] == trial["figure"] && trial["fit_seed"] == 17, "{trial}");
        // One network of three epochs, then the n-grams'.
        assert_eq!(measured["epochs"], 3 + trial["parameters"]["fit.bag.epochs"].as_u64().unwrap(), "{trial}");
    }
    let best = figures.iter().copied().fold(0.0, f64::max);
    assert!(best > figures.iter().copied().fold(1.0, f64::min), "{figures:?}");

    // The best recipe is one that can be trained.
    let recipe = path(dir.path(), "whole/best.toml");
    let toml: toml::Table = toml::from_str(&std::fs::read_to_string(&recipe).unwrap()).unwrap();
    let at = figures.iter().position(|f| *f == best).unwrap();
    let rate = trials("whole")[at]["parameters"]["fit.learning_rate"].as_f64().unwrap();
    assert_eq!(toml["fit"]["learning_rate"].as_float(), Some(rate));
    let (input, registry) = (path(dir.path(), "lines.parquet"), path(dir.path(), "models"));
    ok(&[
        "train",
        "--input",
        &input,
        "--label",
        "hs6",
        "--registry",
        &registry,
        "--recipe",
        &recipe,
        "--target-precision",
        "0.2",
    ]);
    let page = std::fs::read_to_string(dir.path().join("whole/search.html")).unwrap();
    assert_eq!(page.matches("<svg ").count(), 4, "one by trial and one a parameter");
    assert!(page.matches("<circle").count() == 4 * 11 && page.contains("fit.learning_rate"), "{page}");
    for column in ["right at 6 / 4 / 2 digits", "macro F1", "coverage at 98 / 95 %", "calibration error", "CPU-seconds"]
    {
        assert!(page.contains(column), "{column}: {page}");
    }
    assert!(!page.contains("http") && !page.contains("<script") && page.contains("prefers-color-scheme:dark"));
    looked_at(&[("search.html", &page)]);

    // Another space, seed or set of lines is another search.
    let other = search(dir.path(), space, "whole", &["--trials", "12", "--seed", "18"]);
    assert!(other.code == 2 && other.err.contains("another seed"), "{}", other.err);
    let other = search(dir.path(), &space.replace("1e-4", "2e-4"), "whole", &["--trials", "12"]);
    assert!(other.code == 2 && other.err.contains("another space"), "{}", other.err);
    let other = search(dir.path(), space, "whole", &["--trials", "12", "--where", "line_id < 'L0000003900'"]);
    assert!(other.code == 2 && other.err.contains("another set of lines"), "{}", other.err);
}

#[test]
fn a_search_ends_when_everything_was_tried() {
    let (dir, _) = prepared();
    let ended = search(dir.path(), "fit.bag.epochs = { choices = [1, 2] }", "out", &["--trials", "9"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.contains("2 trials") && ended.out.contains("nothing else to try"), "{}", ended.out);
}
