use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, DictionaryArray, LargeBinaryArray, LargeStringArray, StringArray,
    StringViewArray, StructArray,
};
use arrow::datatypes::{Int8Type, Int32Type};
use harmonize::engine::{Engine, Kernel, Scratch};
use harmonize::lake::Place;
use harmonize::registry::{Loaded, Registry};
use harmonize::sample::{self, Spec};
use harmonize::sql::Classifier;

use crate::support::lab::{folder, lab, number, ok, path, read};

fn loaded() -> Loaded {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(Registry::new(Place::open(&lab().registry).unwrap()).load(&"hs@1".parse().unwrap())).unwrap()
}

fn classifier() -> Classifier {
    let loaded = loaded();
    Classifier::new(&loaded, &loaded.bundle.policy).unwrap()
}

/// Sample descriptions with nulls and blanks among them.
fn texts(rows: u64) -> StringArray {
    let spec = Spec { rows, seed: 11, ..Spec::default() };
    let column = sample::chunk(&spec, 0).unwrap().column_by_name("description").unwrap().clone();
    column.as_string::<i32>().clone()
}

fn predict(classifier: &Classifier, array: ArrayRef) -> StructArray {
    classifier.predict(&array).unwrap()
}

#[test]
fn every_string_encoding_gives_equal_answers() {
    let (classifier, plain) = (classifier(), texts(2000));
    let reference = predict(&classifier, Arc::new(plain.clone()));
    let bytes = || plain.iter().map(|v| v.map(str::as_bytes));
    let small = StringArray::from(vec![Some("bolts"), None, Some("shirts"), Some(""), Some("bolts")]);
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(plain.iter().collect::<LargeStringArray>()),
        Arc::new(plain.iter().collect::<StringViewArray>()),
        Arc::new(bytes().collect::<LargeBinaryArray>()),
        Arc::new(bytes().collect::<BinaryViewArray>()),
        Arc::new(plain.iter().collect::<DictionaryArray<Int32Type>>()),
    ];
    for array in arrays {
        let kind = array.data_type().clone();
        assert_eq!(predict(&classifier, array), reference, "{kind}");
    }
    let dictionary: ArrayRef = Arc::new(small.iter().collect::<DictionaryArray<Int8Type>>());
    assert_eq!(predict(&classifier, dictionary), predict(&classifier, Arc::new(small)));
}

#[test]
fn slices_positions_and_neighbours_do_not_matter() {
    let (classifier, plain) = (classifier(), texts(500));
    let reference = predict(&classifier, Arc::new(plain.clone()));
    for (from, length) in [(0, 1), (1, 1), (7, 16), (15, 17), (100, 333), (499, 1)] {
        let part = predict(&classifier, Arc::new(plain.slice(from, length)));
        assert_eq!(part, reference.slice(from, length), "{from} {length}");
    }
    for width in [1, 3, 16, 64] {
        for from in (0..500).step_by(width) {
            let length = width.min(500 - from);
            assert_eq!(predict(&classifier, Arc::new(plain.slice(from, length))), reference.slice(from, length));
        }
    }
    let reversed: StringArray = plain.iter().rev().collect();
    let backwards = predict(&classifier, Arc::new(reversed));
    for row in 0..500 {
        assert_eq!(backwards.slice(499 - row, 1), reference.slice(row, 1));
    }
}

#[test]
fn every_kernel_of_this_machine_gives_the_same_bytes() {
    let loaded = loaded();
    let plain = texts(3000);
    let texts: Vec<String> = plain
        .iter()
        .flatten()
        .map(|t| {
            let mut out = String::new();
            harmonize::text::normalise(t, &mut out);
            out
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut answers = Vec::new();
    for kernel in Kernel::available() {
        let engine = Engine::with_kernel(&loaded.bundle, kernel).unwrap();
        let mut scores = Vec::new();
        engine.score(&texts, &mut Scratch::default(), &mut scores).unwrap();
        let bits: Vec<(u32, u32, u32, u32)> = scores
            .iter()
            .map(|s| (s.top[0].0, s.confidence().to_bits(), s.heading.to_bits(), s.chapter.to_bits()))
            .collect();
        answers.push((kernel, bits));
    }
    for (kernel, bits) in &answers[1..] {
        assert_eq!(bits, &answers[0].1, "{kernel:?}");
    }
}

/// The engine against the network in plain floating point, as written in the book.
#[test]
fn the_engine_agrees_with_the_network_in_floating_point() {
    let loaded = loaded();
    let bundle = &loaded.bundle;
    let engine = Engine::compile(bundle).unwrap();
    let tokenizer = harmonize::text::Tokenizer::from_json(&bundle.tokenizer_json).unwrap();
    let plain = texts(2000);
    let (mut same, mut total, mut worst) = (0usize, 0usize, 0f64);
    for text in plain.iter().flatten() {
        let mut normalised = String::new();
        harmonize::text::normalise(text, &mut normalised);
        let (mut scratch, mut ids, mut scores) = (Default::default(), Vec::new(), Vec::new());
        tokenizer.encode(&normalised, &mut scratch, &mut ids).unwrap();
        let exact = harmonize::model::forward::forward(&bundle.config, &bundle.weights, &ids);
        engine.score(&[normalised.as_str()], &mut Scratch::default(), &mut scores).unwrap();
        let temperature = f64::from(bundle.calibration.temperature);
        let best = (0..exact.len()).fold(0, |b, i| if exact[i] > exact[b] { i } else { b });
        let sum: f64 = exact.iter().map(|&x| (f64::from(x - exact[best]) / temperature).exp()).sum();
        let probability = |class: usize| (f64::from(exact[class] - exact[best]) / temperature).exp() / sum;
        let first = scores[0].top[0].0 as usize;
        total += 1;
        same += usize::from(first == best);
        // Where integers choose otherwise, the network itself holds the two for all but equal.
        assert!(probability(best) - probability(first) < 0.01, "{}", probability(best) - probability(first));
        worst = worst.max((f64::from(scores[0].confidence()) - probability(first)).abs());
    }
    assert!(same * 1000 >= total * 995, "first choice equal on {same} of {total}");
    assert!(worst < 0.01, "confidence off by {worst}");
}

#[test]
fn threads_memory_files_and_order_change_no_prediction() {
    let dir = folder();
    let columns = "line_id, description, text_digest, hs6, confidence, confidence_heading, confidence_chapter, margin, \
                   alternatives, decision, reasons";
    let query = format!(
        "SELECT md5(string_agg(r, '|' ORDER BY r)) AS n FROM (SELECT CAST(({columns}) AS VARCHAR) AS r FROM t)"
    );
    let one_file = path(dir.path(), "one");
    ok(&["sample", "--output", &one_file, "--rows", "140000", "--seed", "2"]);
    let mut digests = Vec::new();
    let ways: [(&str, &[&str]); 4] = [
        (&lab().lines, &["--threads", "1"]),
        (&lab().lines, &["--threads", "2"]),
        (&lab().lines, &["--threads", "7", "--memory", "300MiB", "--target-file-size", "1MiB"]),
        (&one_file, &["--threads", "3"]),
    ];
    for (i, (input, flags)) in ways.into_iter().enumerate() {
        let lake = path(dir.path(), &format!("lake{i}"));
        let mut args =
            vec!["classify", "--input", input, "--id", "line_id", "--lake", &lake, "--registry", &lab().registry];
        args.extend(flags);
        ok(&args);
        assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t"), 140_000);
        digests.push(read(&lake, "predictions", &query)[0]["n"].clone());
    }
    assert!(digests.iter().all(|d| *d == digests[0]), "{digests:?}");
}

#[test]
fn the_same_seed_writes_the_same_sample_bytes_on_any_number_of_threads() {
    let dir = folder();
    let mut bytes = Vec::new();
    for (name, threads) in [("a", "1"), ("b", "4")] {
        let out = path(dir.path(), name);
        ok(&["sample", "--output", &out, "--rows", "150000", "--threads", threads, "--rows-per-file", "65536"]);
        let files = crate::support::lab::parquet_files(&dir.path().join(name));
        assert_eq!(files.len(), 3);
        bytes.push(files.iter().map(|f| std::fs::read(f).unwrap()).collect::<Vec<_>>());
    }
    assert!(bytes[0] == bytes[1]);
}
