use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use harmonize::tariff::{Codes, Edition};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::support::lab::{folder, lab, ok, parquet_files, path, run, write_parquet};

/// Live horses, which no sample line is about.
const WRONG: &str = "010121";

/// Lines of the lab with columns of their own: `mode`, of which all of "rail" have a wrong label and a quarter is null; `chapter`,
/// which is none; `weight`, different everywhere; `pieces`, of three values. Returns the labels.
fn planted(file: &str) -> Vec<Option<String>> {
    let lines = std::fs::File::open(&parquet_files(Path::new(&lab().labelled))[0]).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(lines).unwrap().with_batch_size(4000).build().unwrap();
    let batch = batches.into_iter().next().unwrap().unwrap();
    let column =
        |name: &str| arrow::compute::cast(batch.column_by_name(name).unwrap(), &arrow::datatypes::DataType::Utf8);
    let (texts, labels) = (column("description").unwrap(), column("hs6").unwrap());
    let mode = |n: usize| [Some("sea"), Some("air"), Some("rail"), None][n % 4];
    let labels: Vec<Option<String>> = labels
        .as_string::<i32>()
        .iter()
        .enumerate()
        .map(|(n, label)| if mode(n) == Some("rail") { Some(WRONG.to_string()) } else { label.map(str::to_string) })
        .collect();
    let rows = texts.len();
    assert_eq!(rows, 4000);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("description", texts),
        ("hs6", Arc::new(labels.iter().cloned().collect::<StringArray>())),
        ("mode", Arc::new((0..rows).map(mode).collect::<StringArray>())),
        ("chapter", Arc::new((0..rows).map(|n| Some(["north", "south"][n % 2])).collect::<StringArray>())),
        ("weight", Arc::new((0..rows as i64).collect::<Int64Array>())),
        ("pieces", Arc::new((0..rows as i64).map(|n| n % 3).collect::<Int64Array>())),
    ];
    write_parquet(Path::new(file), columns);
    labels
}

#[test]
fn a_value_that_was_made_bad_comes_first_and_columns_are_told_apart_by_what_they_hold() {
    let dir = folder();
    let file = path(dir.path(), "lines.parquet");
    let labels = planted(&file);
    let fixed = ["evaluate", "--input", &file, "--label", "hs6", "--registry", &lab().registry];
    let by = ["mode", "column:chapter", "chapter", "weight", "pieces"].map(|name| ["--by", name]).concat();
    let of = |more: &[&str]| ok(&[&fixed[..], &by, more].concat());
    let found: Value = serde_json::from_str(&of(&["--json"])).unwrap();
    let slices = |n: usize| found["slices"][n]["slices"].as_array().unwrap();
    let sorted = |n: usize| {
        let mut values: Vec<&str> = slices(n).iter().map(|slice| slice["value"].as_str().unwrap()).collect();
        values.sort_unstable();
        values
    };
    let ratio = |value: &Value| value.as_f64().unwrap();

    // The planted one leads, far from the next.
    assert_eq!(sorted(0), ["(none)", "air", "rail", "sea"]);
    let (rail, next) = (&slices(0)[0], &slices(0)[1]);
    assert_eq!((&rail["value"], &rail["rows"]), (&"rail".into(), &1000.into()));
    assert!(ratio(&rail["hs6"]["high"]) < 0.05 && ratio(&next["hs6"]["low"]) > 0.4, "{rail} {next}");
    let gap = &rail["calibration_gap_interval"];
    assert!(ratio(&gap["low"]) > 0.0 && ratio(&gap["low"]) <= ratio(&rail["calibration_gap"]), "too sure: {rail}");
    assert!(ratio(&gap["high"]) >= ratio(&rail["calibration_gap"]), "{rail}");
    let coverage = &rail["coverage_interval"];
    let (low, at, high) = (ratio(&coverage["low"]), ratio(&rail["coverage_ratio"]), ratio(&coverage["high"]));
    assert!(low < at && at < high && high - low < 0.1, "{rail}");
    // Rows without a value are told together, as many as have a code of the edition.
    let codes = Codes::builtin(Edition::Hs2022);
    let known = |label: &Option<String>| label.as_ref().is_some_and(|label| codes.contains(label));
    let nulls = labels.iter().skip(3).step_by(4).filter(|label| known(label)).count();
    let none = slices(0).iter().find(|slice| slice["value"] == "(none)").unwrap();
    assert_eq!(none["rows"], nulls);

    // A column of a name that means something else is asked for with a prefix.
    assert_eq!((&found["slices"][1]["by"], sorted(1)), (&"column:chapter".into(), vec!["north", "south"]));
    assert!(sorted(2).iter().all(|chapter| chapter.len() == 2 && chapter.parse::<u8>().is_ok()), "{:?}", sorted(2));
    // Many numbers are ranges of equally many rows, three are three.
    let rows: Vec<i64> = slices(3).iter().map(|slice| slice["rows"].as_i64().unwrap()).collect();
    assert!(rows.len() == 10 && rows.iter().max().unwrap() - rows.iter().min().unwrap() <= 1, "{rows:?}");
    assert!(sorted(3)[0].starts_with("0 to "), "{:?}", sorted(3));
    assert_eq!(sorted(4), ["0", "1", "2"]);

    // Mistakes of the worst are shown when they are asked for, and not otherwise.
    assert!(rail.get("examples").is_none());
    let shown: Value = serde_json::from_str(&of(&["--json", "--examples", "2"])).unwrap();
    let examples = shown["slices"][0]["slices"][0]["examples"].as_array().unwrap();
    assert!(examples.len() == 2 && examples.iter().all(|e| e["truth"] == WRONG && e["predicted"] != WRONG));
    let text = examples[0]["text"].as_str().unwrap();
    let (with, without) = (of(&["--examples", "2"]), of(&[]));
    assert!(with.contains("By column mode: mistakes in the worst") && with.contains(text), "{with}");
    assert!(!without.contains("mistakes in the worst") && without.contains("By column chapter"), "{without}");
    for form in ["markdown", "html"] {
        let page = of(&["--format", form, "--examples", "2"]);
        for said in ["By column mode: mistakes in the worst", "By column chapter"] {
            assert!(page.contains(said), "{said}\n{page}");
        }
    }
}

#[test]
fn a_column_that_is_not_there_is_named_with_those_that_are() {
    let fixed = ["evaluate", "--input", &lab().labelled, "--label", "hs6", "--registry", &lab().registry];
    for name in ["nowhere", "column:nowhere", "column:"] {
        let ended = run(&[&fixed[..], &["--by", name]].concat());
        assert_eq!(ended.code, 20, "{name}: {}", ended.err);
        for said in ["no column", "there are: ", "hs6", "choose one with --by"] {
            assert!(ended.err.contains(said), "{name}: {said}\n{}", ended.err);
        }
        assert!(ended.out.is_empty());
    }
}
