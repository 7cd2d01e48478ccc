use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, NullArray, StringArray};
use serde_json::{Value, json};

use crate::support::lab::{RECIPE, folder, lab, ok, path, run, write_parquet};
use crate::support::servers::python_lines;

fn write(file: &Path, texts: Vec<Option<String>>, labels: ArrayRef) {
    let text: ArrayRef = Arc::new(texts.into_iter().collect::<StringArray>());
    write_parquet(file, vec![("description", text), ("code", labels)]);
}

/// What is wrong with the call is said before anything is read or fitted: the input does not even exist.
#[test]
fn bad_numbers_names_and_places_are_refused_before_the_work() {
    let dir = folder();
    let registry = path(dir.path(), "models");
    let refused = |more: &[&str], code: i32, said: &str| {
        let missing = path(dir.path(), "missing");
        let mut args = vec!["train", "--input", &missing, "--label", "hs6"];
        if !more.contains(&"--registry") {
            args.extend(["--registry", &registry]);
        }
        args.extend(more);
        let ended = run(&args);
        assert_eq!(ended.code, code, "{more:?} {}", ended.err);
        assert!(ended.err.contains(said), "{more:?} {}", ended.err);
    };
    refused(&["--target-precision", "98"], 2, "--target-precision 98");
    refused(&["--audit-ratio=-1"], 2, "--audit-ratio");
    refused(&["--review-budget", "10"], 2, "--review-volume");
    refused(&["--review-budget", "11", "--review-volume", "10"], 2, "--review-budget 11");
    refused(&["--review-budget", "1", "--review-volume", "10", "--target-precision", "0.9"], 2, "cannot be used with");
    refused(&["--name", "HS Model"], 2, "HS Model");
    std::fs::write(dir.path().join("file"), "").unwrap();
    refused(&["--registry", &path(dir.path(), "file/models")], 31, "the registry");
}

#[test]
fn a_training_reports_its_checks_before_it_fits_and_its_figures_after() {
    let dir = folder();
    let registry = path(dir.path(), "models");
    let ended = run(&[
        "train",
        "--input",
        &lab().labelled,
        "--label",
        "hs6",
        "--registry",
        &registry,
        "--recipe",
        &lab().recipe,
        "--target-precision",
        "0.9",
    ]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.err.contains("checks of the labelled lines") && ended.err.contains("20,000"), "{}", ended.err);
    assert!(ended.out.contains("hs@1 registered") && ended.out.contains("used for nothing else"), "{}", ended.out);
    let version = dir.path().join("models/hs/versions/1");
    let metrics: Value = serde_json::from_slice(&std::fs::read(version.join("metrics.json")).unwrap()).unwrap();
    let figures = &metrics["figures"];
    assert!(figures["accuracy"]["hs6"].as_f64().unwrap() > 0.5, "{}", figures["accuracy"]);
    let policy: Value = serde_json::from_slice(&std::fs::read(version.join("policy.json")).unwrap()).unwrap();
    let evidence = &policy["evidence"];
    assert!(evidence["error_upper_bound"].as_f64().unwrap() <= 0.1 + 1e-9, "{evidence}");
    assert!(evidence["accepted"].as_u64().unwrap() > 0);
    // A second training is another version beside it; the first is untouched.
    let first = std::fs::read(version.join("manifest.json")).unwrap();
    let again =
        ["train", "--input", &lab().labelled, "--label", "hs6", "--registry", &registry, "--recipe", &lab().recipe];
    let ended = run(&[&again[..], &["--threads", "1", "--log", "info"]].concat());
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.err.contains("computing threads=1"), "{}", ended.err);
    assert!(dir.path().join("models/hs/versions/2/manifest.json").exists());
    assert_eq!(std::fs::read(version.join("manifest.json")).unwrap(), first);
}

#[test]
fn the_same_seed_trains_the_same_bytes_and_another_does_not() {
    let dir = folder();
    let mut weights = Vec::new();
    for (name, seed) in [("a", "5"), ("b", "5"), ("c", "6")] {
        let registry = path(dir.path(), name);
        let ended = run(&[
            "train",
            "--input",
            &lab().labelled,
            "--label",
            "hs6",
            "--registry",
            &registry,
            "--recipe",
            &lab().recipe,
            "--seed",
            seed,
            "--where",
            "line_id < 'L0000006000'",
        ]);
        // So few lines prove no threshold at 98 %: the model is there, and the exit code says that it accepts nothing.
        assert_eq!(ended.code, 10, "{}", ended.err);
        assert!(ended.out.contains("nothing is accepted") && ended.out.contains("it takes 149"), "{}", ended.out);
        let version = dir.path().join(name).join("hs/versions/1");
        let read = |file: &str| std::fs::read(version.join(file)).unwrap();
        weights.push((
            read("model.safetensors"),
            read("tokenizer.json"),
            read("policy.json"),
            read("calibration.json"),
        ));
    }
    assert!(weights[0] == weights[1], "the same seed");
    assert!(weights[0].0 != weights[2].0, "another seed");
}

/// The checks as a command of their own: in three forms, and with limits that stop.
#[test]
fn the_data_checks_tell_what_is_there_and_stop_at_limits() {
    let lab = lab();
    let args = ["data", "--input", &lab.labelled, "--label", "hs6"];
    let json = ok(&[&args[..], &["--format", "json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&report["edition"], &report["labels"]["rows"]), (&"2022".into(), &20000.into()), "{report}");
    let described = report["descriptions"]["rows"].as_u64().unwrap();
    assert!(described > 19000 && described < 20000, "some have no description: {described}");
    let scripts = report["descriptions"]["scripts"].as_array().unwrap();
    assert_eq!(scripts.iter().map(|s| s["rows"].as_u64().unwrap()).sum::<u64>(), described);
    assert_eq!(scripts[0]["name"], "Latin");
    let table = ok(&args);
    assert!(table.contains("near twins across the split") && table.contains("best possible accuracy"), "{table}");
    let page = ok(&[&args[..], &["--format", "html"]].concat());
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("prefers-color-scheme:dark"));
    assert!(!page.contains("http") && !page.contains("<script"), "the page stands alone");
    for (limit, said) in [
        (["--max-near-twin", "0"], "near twin"),
        (["--max-vague", "0"], "name no goods"),
        (["--min-classes", "900"], "at least 900 are needed"),
        (["--max-conflict", "2"], "--max-conflict"),
    ] {
        let ended = run(&[&args[..], &limit].concat());
        let code = if limit[1] == "2" { 2 } else { 20 };
        assert!(ended.code == code && ended.err.contains(said), "{limit:?}: {} {}", ended.code, ended.err);
        assert_eq!(ended.out.is_empty(), code == 2, "the report is printed all the same");
    }
}

/// Further examples teach subheadings that no line has; what is kept from the fit is not among them.
#[test]
fn further_examples_are_learned_with_their_weight_and_never_measured_on() {
    let lab = lab();
    let dir = folder();
    let texts = path(dir.path(), "texts.csv");
    let mut csv = "code,part,text\n".to_string();
    for n in 0..60 {
        csv += &format!("970690,a,\"antique cupboard, over a hundred years old, number {n}\"\n970690,b,left out {n}\n");
    }
    std::fs::write(&texts, csv + "990000,a,no such code\n").unwrap();
    let recipe = path(dir.path(), "recipe.toml");
    let extra = |text: &str, weight: &str| {
        let source =
            format!("[[extra]]\ninput = [{texts:?}]\ntext = [{text:?}]\nlabel = 'code'\nwhere = \"part = 'a'\"\n");
        std::fs::write(&recipe, format!("{}{source}weight = {weight}\n", RECIPE)).unwrap();
    };
    let registry = path(dir.path(), "models");
    let args = ["train", "--input", &lab.labelled, "--label", "hs6", "--registry", &registry, "--recipe", &recipe];
    let bundle = |version: u64, file: &str| -> serde_json::Value {
        let file = dir.path().join(format!("models/hs/versions/{version}/{file}"));
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    };
    extra("text", "2.0");
    let ended = run(&args);
    assert!(ended.code == 0 || ended.code == 10, "{}", ended.err);
    assert!(bundle(1, "labels.json")["codes"].as_array().unwrap().contains(&"970690".into()));
    let counted = &bundle(1, "metrics.json")["extra"][0];
    assert_eq!((&counted["rows"], &counted["used_rows"], &counted["classes"]), (&61.into(), &60.into(), &1.into()));
    assert!(bundle(1, "manifest.json")["data"].to_string().contains("texts.csv"));
    let out =
        ok(&["predict", "--registry", &registry, "--format", "json", "antique cupboard over a hundred years old"]);
    assert!(out.contains("\"hs6\":\"970690\""), "{out}");
    for (text, weight, code, said) in [
        ("nothing", "1.0", 20, "no column \"nothing\""),
        ("text", "0.0", 2, "weight is 0"),
        ("text", "nan", 2, "weight"),
    ] {
        extra(text, weight);
        let ended = run(&args);
        assert!(ended.code == code && ended.err.contains(said), "{text} {weight}: {} {}", ended.code, ended.err);
    }
}

/// Several batches, which threads take in turns.
#[test]
fn the_same_seed_trains_the_same_bytes_at_any_number_of_threads() {
    let dir = folder();
    let lines = path(dir.path(), "lines");
    ok(&["sample", "--output", &lines, "--rows", "60000", "--labelled", "--classes", "40"]);
    let recipe = path(dir.path(), "recipe.toml");
    let small = "vocab_size = 500\nembedding_dim = 8\nfilters = 8\nwidths = [1, 2]\nscreen_dim = 4\nbag_dim = 8\nbag_buckets = 300\n";
    std::fs::write(
        &recipe,
        format!("[model]\n{small}[fit]\nmembers = 1\nepochs = 1\nbatch_rows = 512\nbag.epochs = 1\n"),
    )
    .unwrap();
    let mut weights = Vec::new();
    for (n, threads) in ["1", "2", "2", "4", "4"].into_iter().enumerate() {
        let registry = path(dir.path(), &n.to_string());
        let args = ["train", "--input", &lines, "--label", "hs6", "--registry", &registry, "--recipe", &recipe];
        let ended = run(&[&args[..], &["--threads", threads, "--where", "value > 1"]].concat());
        assert!(ended.code == 0 || ended.code == 10, "{}", ended.err);
        weights.push(std::fs::read(dir.path().join(n.to_string()).join("hs/versions/1/model.safetensors")).unwrap());
    }
    assert!(weights.iter().all(|w| *w == weights[0]), "the number of threads changed the model");
}

/// Small enough that a training takes a second.
const TINY: &str = "[model]\nvocab_size = 300\nembedding_dim = 8\nfilters = 8\nwidths = [1, 2]\nbag_dim = 8\nbag_buckets = 300\n\
                    [fit]\nmembers = 1\nepochs = 3\nbatch_rows = 16\nlearning_rate = 0.01\naverage_decay = 0.9\n\
                    [fit.bag]\ntogether = false\nmembers = 1\nplain_members = 0\nweight = 3.0\nrow_rate_ratio = 8.0\nepochs = 2\n[split]\nstop = 0.1\ncalibrate = 0.1\nthreshold = 0.15\ntest = 0.1\n";

/// Codes as text, row by row.
fn codes(rows: usize, code: impl Fn(usize) -> Option<&'static str>) -> ArrayRef {
    Arc::new((0..rows).map(code).collect::<StringArray>())
}

/// A laptop and a shirt in turns; the expected endings are those that `docs/training.md` names.
#[test]
fn each_bad_input_trains_or_says_what_to_do() {
    let both = |i: usize| Some(["847130", "610910"][i % 2]);
    let but =
        |other: &'static str, every: usize| move |i: usize| if i.is_multiple_of(every) { Some(other) } else { both(i) };
    let english =
        |i: usize| format!("{} number {i} of lot {}", ["portable computer", "cotton shirt"][i % 2], i * 7 % 31);
    let german =
        |i: usize| format!("{} Nummer {i} für den Großhandel", ["tragbarer Rechner", "Hemd aus Baumwolle"][i % 2]);
    let chinese = |i: usize| format!("{}型号{i}", ["便携式计算机", "棉质针织衬衫"][i % 2]);
    let texts = |rows: usize, text: &dyn Fn(usize) -> String| (0..rows).map(|i| Some(text(i))).collect::<Vec<_>>();
    let goods = || texts(600, &english);
    let integers = |codes: [i64; 2]| Arc::new((0..600).map(|i| Some(codes[i % 2])).collect::<Int64Array>()) as ArrayRef;
    let floats = |codes: [f64; 2]| Arc::new((0..600).map(|i| Some(codes[i % 2])).collect::<Float64Array>()) as ArrayRef;
    let (trains, refused) = (0, 20);
    type Case = (&'static str, Vec<Option<String>>, ArrayRef, i32, &'static str, &'static str);
    #[rustfmt::skip]
    let cases: Vec<Case> = vec![
        ("integers", goods(), integers([847130, 610910]), trains, "", ""),
        ("integers of ten digits", goods(), integers([8471300000, 6109100010]), trains, "", ""),
        ("integers without their zero", goods(), integers([10121, 847130]), refused, "lost their leading zero, 010121", "--repair-zeros"),
        ("decimals", goods(), floats([847130.0, 610910.0]), trains, "", ""),
        ("decimals of ten digits", goods(), floats([8471300000.0, 6109100010.0]), trains, "", ""),
        ("decimals without their zero", goods(), floats([10121.0, 847130.0]), refused, "lost their leading zero", "--repair-zeros"),
        ("dots", goods(), codes(600, |i| Some(["8471.30", "6109.10.00"][i % 2])), trains, "", ""),
        ("spaces", goods(), codes(600, |i| Some([" 8471 30 ", "6109 10 00 00"][i % 2])), trains, "", ""),
        // 8517.12 ended with HS 2017, by the WCO's tables.
        ("4 % of another edition", goods(), codes(600, but("851712", 25)), trains, "", ""),
        ("10 % of another edition", goods(), codes(600, but("851712", 10)), refused, "another edition", "sound only for codes that it gives one to one"),
        ("unknown codes", goods(), codes(600, but("999998", 10)), refused, "in no edition, 999998", "check the label column"),
        ("words", goods(), codes(600, |_| Some("laptop")), refused, "(not a number)", "check the label column"),
        ("a class with one row", goods(), codes(600, |i| if i == 7 { Some("010121") } else { both(i) }), trains, "", ""),
        ("one class", goods(), codes(600, |_| Some("847130")), refused, "1 subheading(s)", "add rows of other goods"),
        ("ten rows", texts(10, &english), codes(10, both), refused, "10 rows are usable and at least 200", "add labelled rows"),
        ("constant text", texts(600, &|_| "goods".into()), codes(600, both), refused, "1 different description(s)", "--text"),
        ("no text", vec![None; 600], codes(600, both), refused, "0 different description(s)", "--text"),
        ("German", texts(600, &german), codes(600, both), trains, "", ""),
        ("Chinese", texts(600, &chinese), codes(600, both), trains, "", ""),
        ("some labels", goods(), codes(600, |i| if i % 3 == 0 { None } else { both(i) }), trains, "", ""),
        ("no labels", goods(), codes(600, |_| None), refused, "no row has a label", "--label"),
        ("no labels of no type", goods(), Arc::new(NullArray::new(600)), refused, "no row has a label", "--label"),
        ("no rows", vec![], codes(0, both), refused, "no rows", "filter"),
    ];
    let dir = folder();
    let recipe = path(dir.path(), "recipe.toml");
    std::fs::write(&recipe, TINY).unwrap();
    let train = |name: &str, more: &[&str]| {
        let (file, registry) = (path(dir.path(), &format!("{name}.parquet")), path(dir.path(), name));
        let args = ["train", "--input", &file, "--label", "code", "--registry", &registry, "--recipe", &recipe];
        let ended = run(&[&args[..], &["--target-precision", "0.5"], more].concat());
        (ended, Path::new(&registry).join("hs/versions/1/manifest.json").exists())
    };
    for (name, texts, labels, code, reason, next) in cases {
        write(&dir.path().join(format!("{name}.parquet")), texts, labels);
        let (ended, registered) = train(name, &[]);
        assert_eq!((ended.code, registered), (code, code == trains), "{name}: {}{}", ended.out, ended.err);
        assert_eq!(ended.out.contains("hs@1 registered"), registered, "{name}: {}", ended.out);
        assert!(ended.err.contains(reason) && ended.err.contains(next), "{name}: {}", ended.err);
        assert!(!ended.err.contains("cotton") && !ended.err.contains("[split]"), "{name}: {}", ended.err);
    }
    let (repaired, registered) = train("decimals without their zero", &["--repair-zeros"]);
    assert!(repaired.code == 0 && registered, "{}", repaired.err);
}

/// Two files of which one lacks a column, a list of vague texts in the recipe, and rows that pass three limits: all counted by
/// hand.
#[test]
fn the_data_checks_tell_files_columns_and_every_reason() {
    let dir = folder();
    let text = |i: usize| Some(if i < 7 { format!("blue things {i}") } else { format!("steel bolts of kind {i}") });
    let texts = |from: usize| -> ArrayRef { Arc::new((from..from + 60).map(text).collect::<StringArray>()) };
    // One row in sixty is of a class of its own, and two have no label.
    let code = |i: usize| [None, None, Some("847130")].get(i).copied().unwrap_or(Some(["731815", "731816"][i % 2]));
    let wide =
        vec![("description", texts(0)), ("code", codes(60, code)), ("place", codes(60, |i| (i > 9).then_some("x")))];
    write_parquet(&dir.path().join("in/a.parquet"), wide);
    write_parquet(
        &dir.path().join("in/b.parquet"),
        vec![("description", texts(60)), ("code", codes(60, |i| code(i + 4)))],
    );
    let (input, list, recipe) =
        (path(dir.path(), "in"), path(dir.path(), "vague.txt"), path(dir.path(), "recipe.toml"));
    std::fs::write(&list, "Blue  Things\n").unwrap();
    std::fs::write(&recipe, format!("[vague]\nlist = {list:?}\n[checks]\nmin_usable_rows = 100\n")).unwrap();
    let checks =
        |more: &[&str]| run(&[&["data", "--input", &input, "--label", "code", "--recipe", &recipe][..], more].concat());
    let json = |more: &[&str]| -> Value {
        serde_json::from_str(&checks(&[&["--format", "json"], more].concat()).out).unwrap()
    };
    let report = json(&[]);
    assert_eq!((&report["refused"], &report["limits"]["min_usable_rows"]), (&json!([]), &100.into()));
    assert_eq!(report["descriptions"]["vague_rows"], 7);
    let files: Vec<_> = report["schema"]["files"].as_array().unwrap().iter().map(|file| file["rows"].clone()).collect();
    assert_eq!(files, [60, 60]);
    assert!(report["schema"]["files"][1]["url"].as_str().unwrap().ends_with("b.parquet"));
    let column = |name: &str, nulls: u64| json!({"name": name, "data_type": "text", "nulls": nulls});
    let columns = [column("description", 0), column("code", 2), column("place", 10 + 60)];
    assert_eq!(report["schema"]["columns"], json!(columns));
    assert_eq!(report["labels"]["rare"]["classes"], json!({"847130": 1}));
    assert!(report["near_duplicates"]["kept_texts"].as_u64().unwrap() > 0, "{report}");

    let limits = ["--max-missing-label", "0.01", "--max-rare", "0.001", "--max-vague", "0", "--min-texts", "200"];
    let reasons = json(&limits)["refused"].clone();
    let reasons: Vec<&str> = reasons.as_array().unwrap().iter().map(|reason| reason.as_str().unwrap()).collect();
    // 2 of 120 rows, 1 of 118 usable ones, 118 different texts, 7 of 120 texts.
    let expected =
        ["1.67 % of the rows have no label", "0.85 % of the usable rows are in", "118 different", "5.83 % of the"];
    assert_eq!(reasons.len(), expected.len(), "{reasons:?}");
    assert!(reasons.iter().zip(expected).all(|(reason, begins)| reason.starts_with(begins)), "{reasons:?}");
    let (table, page) = (checks(&limits), checks(&[&limits[..], &["--format", "html"]].concat()));
    assert_eq!((table.code, page.code), (20, 20));
    for reason in reasons {
        assert!(table.err.contains(reason), "{}", table.err);
        assert!(page.out.contains(reason.split(" %").last().unwrap()) && page.err.contains(reason), "{}", page.out);
    }
    assert!(table.out.contains("place        text     70\n") && table.out.contains("b.parquet"), "{}", table.out);
    assert!(page.out.contains("max_rare_ratio") && page.out.contains("0.001"), "{}", page.out);
    assert_eq!(checks(&["--max-rare", "0.001", "--rare-below", "0"]).code, 0, "no class is rare");
}

#[test]
fn a_nomenclature_file_replaces_the_built_in_codes() {
    let dir = folder();
    let csv = dir.path().join("nomenclature.csv");
    let head = "hs_code,level,parent,section,description\n";
    std::fs::write(&csv, format!("{head}84,2,,XVI,a\n8471,4,84,XVI,b\n847130,6,8471,XVI,c\n")).unwrap();
    let mut args = vec![
        "train",
        "--input",
        &lab().labelled,
        "--label",
        "hs6",
        "--recipe",
        &lab().recipe,
        "--nomenclature",
        csv.to_str().unwrap(),
    ];
    let registry = path(dir.path(), "models");
    args.extend(["--registry", &registry]);
    let ended = run(&args);
    assert_eq!(ended.code, 20, "{}", ended.err);
    std::fs::write(&csv, format!("{head}8471,4,84,XVI,b\n")).unwrap();
    let ended = run(&args);
    assert_eq!(ended.code, 20);
    assert!(ended.err.contains("nomenclature.csv") && ended.err.contains("84"), "{}", ended.err);
}

#[test]
fn a_recipe_with_a_word_that_is_not_one_is_a_usage_error() {
    let dir = folder();
    let recipe = path(dir.path(), "recipe.toml");
    std::fs::write(&recipe, RECIPE.replace("epochs", "epoks")).unwrap();
    let ended = run(&["train", "--input", &lab().labelled, "--label", "hs6", "--registry", "x", "--recipe", &recipe]);
    assert_eq!(ended.code, 2, "{}", ended.err);
    assert!(ended.err.contains("epoks"), "{}", ended.err);
}

/// The ids of the Hugging Face library, from the raw description, on sample lines and on hostile Unicode.
#[test]
fn the_hugging_face_library_gives_the_same_ids() {
    let json = format!("{}/hs/versions/1/tokenizer.json", lab().registry);
    let tokenizer = harmonize::text::Tokenizer::from_json(&std::fs::read(&json).unwrap()).unwrap();
    let mut texts: Vec<String> = vec![
        "70CTNS X 120 PCS PLASTIC WATER BOTTLES[500ML]".into(),
        "ＦＵＬＬ　ＷＩＤＴＨ ½ ﬁne №5 Straße İstanbul ǅ".into(),
        "\u{feff}zero\u{200b}width\u{0000}nul\u{0085}next\u{2028}line".into(),
        "قمصان ١٢٣ हिन्दी ４２ 中文鋼螺栓 😀🚢 e\u{301}\u{302}".into(),
        "SN: 00000000000000001234567890123456789".into(),
        "a".repeat(2000),
    ];
    let spec = harmonize::sample::Spec { rows: 3000, seed: 9, ..Default::default() };
    let chunk = harmonize::sample::chunk(&spec, 0).unwrap();
    let column = chunk.column_by_name("description").unwrap();
    texts.extend(arrow::array::AsArray::as_string::<i32>(column.as_ref()).iter().flatten().map(str::to_string));
    // SplitMix64 (Steele, Lea, Flood 2014) over all of Unicode.
    let mut state = 3u64;
    let mut random = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    for _ in 0..3000 {
        let planes = [0x80, 0x800, 0x3000, 0x11_0000][(random() % 4) as usize];
        let text: String = (0..random() % 24).filter_map(|_| char::from_u32((random() % planes) as u32)).collect();
        texts.push(text);
    }
    let lines: Vec<Value> = texts.iter().map(|t| json!(t)).collect();
    let theirs = python_lines("tokenizer_ids.py", &[&json], &lines);
    let (mut normalised, mut ids) = (String::new(), Vec::new());
    let mut scratch = Default::default();
    for (text, theirs) in texts.iter().zip(theirs) {
        let cut = harmonize::text::normalise(text, &mut normalised).truncated;
        tokenizer.encode(&normalised, &mut scratch, &mut ids).unwrap();
        if !cut {
            assert_eq!(json!(ids), theirs, "{text:?}");
        }
    }
}

/// Killed after an epoch, started again: it says where it goes on, and the weights are those of a training that nobody disturbed.
#[test]
fn a_killed_training_goes_on_from_its_checkpoint_and_ends_with_the_same_weights() {
    let dir = folder();
    let (input, recipe) = (&lab().labelled, path(dir.path(), "recipe.toml"));
    std::fs::write(&recipe, RECIPE.replace("\nepochs = 4", "\nepochs = 12")).unwrap();
    let kept = dir.path().join("kept");
    let args = |registry: &str, checkpoints: &str| -> Vec<String> {
        let more = ["--registry", registry, "--checkpoints", checkpoints, "--checkpoint-secs", "0"];
        [&["train", "--input", input, "--label", "hs6", "--recipe", &recipe, "--target-precision", "0.9"][..], &more]
            .concat()
            .iter()
            .map(|arg| arg.to_string())
            .collect()
    };
    let weights = |registry: &str| std::fs::read(Path::new(registry).join("hs/versions/1/model.safetensors")).unwrap();
    let (calm, stormy) = (path(dir.path(), "calm"), path(dir.path(), "stormy"));
    let of = |args: &[String]| run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let ended = of(&args(&calm, "none"));
    assert_eq!(ended.code, 0, "{}", ended.err);

    let disturbed = args(&stormy, kept.to_str().unwrap());
    let strs: Vec<&str> = disturbed.iter().map(String::as_str).collect();
    let mut child = crate::support::lab::harmonize(&strs).spawn().unwrap();
    let there =
        || std::fs::read_dir(&kept).is_ok_and(|mut all| all.any(|d| d.unwrap().path().join("network 1").exists()));
    while !there() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its first checkpoint");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!Path::new(&stormy).join("hs/versions/1").exists());

    let ended = of(&disturbed);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.err.contains("network 1: going on after epoch"), "{}", ended.err);
    assert!(weights(&calm) == weights(&stormy));
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 0, "what is done needs no checkpoint");
}
