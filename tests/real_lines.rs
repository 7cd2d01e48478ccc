//! Real declarations, read where they are; nothing of them is part of the project.

use std::path::PathBuf;

use crate::support::lab::{folder, ok, path};

/// The labelled lines, where they are at hand.
fn labelled() -> Option<PathBuf> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/labelled_train.parquet");
    if !file.exists() {
        println!("skipped: no real lines beside the checkout");
    }
    file.exists().then_some(file)
}

/// A short training on one fold: the way holds on real text. The figures of a full training are in docs/accuracy.md.
#[test]
fn a_small_model_trains_on_real_lines_and_is_measured_on_a_fold_that_it_has_not_seen() {
    let Some(file) = labelled() else { return };
    let dir = folder();
    let registry = path(dir.path(), "models");
    let recipe = path(dir.path(), "recipe.toml");
    std::fs::write(
        &recipe,
        "[model]\nvocab_size = 4000\nembedding_dim = 48\nfilters = 48\nwidths = [1, 2, 3]\nbag_dim = 64\nbag_buckets = 16384\n[fit]\nmembers = 1\nepochs = 8\ndropout = 0.2\nlearning_rate = 0.004\nbag.epochs = 4\nbag.row_rate_ratio = 8.0\n",
    )
    .unwrap();
    let input = file.to_str().unwrap();
    ok(&[
        "train",
        "--input",
        input,
        "--label",
        "hs6_2017",
        "--edition",
        "2017",
        "--registry",
        &registry,
        "--recipe",
        &recipe,
        "--where",
        "fold IN (0, 1, 2)",
        "--test-share",
        "0",
        "--target-precision",
        "0.8",
    ]);
    let out = ok(&[
        "evaluate",
        "--input",
        input,
        "--label",
        "hs6_2017",
        "--registry",
        &registry,
        "--where",
        "fold = 9",
        "--json",
    ]);
    let figures: serde_json::Value = serde_json::from_str(&out).unwrap();
    // A majority class is right on 7 %; nearest neighbour on all ten folds on 62 %.
    assert!(figures["accuracy"]["hs6"].as_f64().unwrap() > 0.35, "{}", figures["accuracy"]);
    assert!(figures["rows"].as_u64().unwrap() > 5000);
}

#[test]
fn real_lines_get_the_ids_of_the_hugging_face_library() {
    use arrow::array::AsArray;
    let Some(file) = labelled() else { return };
    let json = format!("{}/hs/versions/1/tokenizer.json", crate::support::lab::lab().registry);
    let tokenizer = harmonize::text::Tokenizer::from_json(&std::fs::read(&json).unwrap()).unwrap();
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file).unwrap());
    let mut texts: Vec<String> = Vec::new();
    for batch in reader.unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let column =
            arrow::compute::cast(batch.column_by_name("description").unwrap(), &arrow::datatypes::DataType::Utf8);
        texts.extend(column.unwrap().as_string::<i32>().iter().flatten().map(str::to_string));
    }
    assert!(texts.len() > 50_000);
    let lines: Vec<serde_json::Value> = texts.iter().map(|t| serde_json::json!(t)).collect();
    let theirs = crate::support::servers::python_lines("tokenizer_ids.py", &[&json], &lines);
    let (mut normalised, mut ids, mut scratch) = (String::new(), Vec::new(), Default::default());
    for (text, theirs) in texts.iter().zip(theirs) {
        let cut = harmonize::text::normalise(text, &mut normalised).truncated;
        tokenizer.encode(&normalised, &mut scratch, &mut ids).unwrap();
        if !cut {
            assert_eq!(serde_json::json!(ids), theirs, "{text:?}");
        }
    }
}
