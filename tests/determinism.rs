use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, DictionaryArray, LargeBinaryArray, LargeStringArray, StringArray,
    StringViewArray, StructArray,
};
use arrow::datatypes::{Int8Type, Int32Type};
use harmonize::engine::{Engine, Kernel, Score, Scratch};
use harmonize::lake::Place;
use harmonize::model::{Config, Conv, Network, Screen, Weights};
use harmonize::registry::{Loaded, Registry};
use harmonize::sample::{self, Spec};
use harmonize::sql::Classifier;

use crate::support::lab::{folder, lab, number, ok, path, read};
use crate::support::random::Random;

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

/// With a classifier that remembers nothing yet.
fn predict(array: ArrayRef) -> StructArray {
    classifier().predict(&array).unwrap()
}

/// Weights without training: an embedding, kernels and an output layer of random numbers.
fn random_model(screen_dim: Option<usize>) -> (Config, Weights) {
    let small = Config::default_text_cnn(3000, 700);
    let config = Config { embedding_dim: 24, filters: 40, widths: vec![1, 2, 3], max_tokens: 40, screen_dim, ..small };
    let grams = harmonize::text::Grams { buckets: 500, shortest: 2, longest: 4, pairs: true, whole: false };
    let bag = screen_dim.map(|_| harmonize::model::BagShape { dim: 17, grams });
    let config = Config { bag, ..config };
    let mut draw = Random(5);
    let mut random = |count, spread| draw.floats(count, spread);
    let mut embedding = random(config.vocab_size * config.embedding_dim, 1.0);
    embedding[..config.embedding_dim].fill(0.0);
    let convs = config
        .widths
        .iter()
        .map(|&width| Conv {
            width,
            weight: random(config.filters * config.embedding_dim * width, 1.0),
            bias: random(config.filters, 0.2),
        })
        .collect();
    let bag = config.bag.map(|bag| harmonize::model::Bag {
        table: random(bag.grams.buckets * bag.dim, 2.0).into(),
        bias: random(bag.dim, 0.2),
    });
    let features = config.features();
    let mut output = random(config.classes * features, if screen_dim.is_some() { 0.4 } else { 4.0 });
    let output_bias = random(config.classes, 1.0);
    let screen = screen_dim.map(|dim| Screen {
        projection: random(dim * features, 1.0),
        output: random(config.classes * dim, 1.0),
        bias: output_bias.iter().map(|b| b + 3.0).collect(),
    });
    // The output layer is what the screen says, and more.
    if let Some(screen) = &screen {
        let dim = screen.output.len() / config.classes;
        for (at, x) in output.iter_mut().enumerate() {
            let (class, feature) = (at / features, at % features);
            *x += (0..dim)
                .map(|d| screen.output[class * dim + d] * screen.projection[d * features + feature])
                .sum::<f32>();
        }
    }
    (config, Weights { embedding: embedding.into(), convs, output, output_bias, ranges: None, screen, bag })
}

fn codes(classes: usize) -> Vec<String> {
    harmonize::tariff::Codes::builtin(harmonize::tariff::Edition::Hs2022)
        .iter()
        .take(classes)
        .map(|c| c.as_str().to_string())
        .collect()
}

fn normalised(rows: u64) -> Vec<String> {
    texts(rows)
        .iter()
        .flatten()
        .map(|t| {
            let mut out = String::new();
            harmonize::text::normalise(t, &mut out);
            out
        })
        .collect()
}

#[test]
fn every_string_encoding_gives_equal_answers() {
    let plain = texts(2000);
    let reference = predict(Arc::new(plain.clone()));
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
        assert_eq!(predict(array), reference, "{kind}");
    }
    let dictionary: ArrayRef = Arc::new(small.iter().collect::<DictionaryArray<Int8Type>>());
    assert_eq!(predict(dictionary), predict(Arc::new(small)));
}

#[test]
fn slices_positions_and_neighbours_do_not_matter() {
    let plain = texts(500);
    let reference = predict(Arc::new(plain.clone()));
    for (from, length) in [(0, 1), (1, 1), (7, 16), (15, 17), (100, 333), (499, 1)] {
        let part = predict(Arc::new(plain.slice(from, length)));
        assert_eq!(part, reference.slice(from, length), "{from} {length}");
    }
    for width in [1, 3, 16, 64] {
        let classifier = classifier();
        let predict = |array: ArrayRef| classifier.predict(&array).unwrap();
        for from in (0..500).step_by(width) {
            let length = width.min(500 - from);
            assert_eq!(predict(Arc::new(plain.slice(from, length))), reference.slice(from, length));
        }
    }
    let reversed: StringArray = plain.iter().rev().collect();
    // Scored, and then remembered.
    let classifier = classifier();
    for _ in 0..2 {
        let reversed: ArrayRef = Arc::new(reversed.clone());
        let backwards = classifier.predict(&reversed).unwrap();
        for row in 0..500 {
            assert_eq!(backwards.slice(499 - row, 1), reference.slice(row, 1));
        }
    }
    assert!(classifier.texts() <= 500, "the second time nothing went through the network");
}

fn encoded(column: &StringArray, kind: usize) -> ArrayRef {
    let bytes = || column.iter().map(|v| v.map(str::as_bytes));
    match kind {
        0 => Arc::new(column.clone()),
        1 => Arc::new(column.iter().collect::<LargeStringArray>()),
        2 => Arc::new(column.iter().collect::<StringViewArray>()),
        3 => Arc::new(bytes().collect::<LargeBinaryArray>()),
        4 => Arc::new(bytes().collect::<BinaryViewArray>()),
        _ => Arc::new(column.iter().collect::<DictionaryArray<Int32Type>>()),
    }
}

/// Property: whatever is drawn for order, neighbours, batch size, encoding, kernel, number of threads and what was asked
/// before, a text has one answer.
#[test]
fn a_text_has_one_answer_in_any_mix_of_circumstances() {
    let plain = texts(1200);
    let reference = predict(Arc::new(plain.clone()));
    let mut draw = Random(2);
    let warm: Vec<Classifier> = Kernel::available().into_iter().map(|kernel| classifier().on(kernel)).collect();
    for round in 0..40 {
        let cold = classifier().on(Kernel::available()[draw.below(warm.len())]);
        let classifier = if draw.below(2) == 0 { &cold } else { &warm[draw.below(warm.len())] };
        let rows: Vec<usize> = (0..1 + draw.below(700)).map(|_| draw.below(plain.len())).collect();
        let (width, threads) = (1 + draw.below(200), 1 + draw.below(4));
        let batches: Vec<(&[usize], ArrayRef)> = rows
            .chunks(width)
            .map(|rows| {
                let column: StringArray = rows.iter().map(|&r| plain.is_valid(r).then(|| plain.value(r))).collect();
                let padded: StringArray = std::iter::once(Some("left out")).chain(&column).collect();
                let slice = draw.below(2) == 0;
                let kind = draw.below(6);
                (rows, if slice { encoded(&padded, kind).slice(1, rows.len()) } else { encoded(&column, kind) })
            })
            .collect();
        std::thread::scope(|scope| {
            for part in batches.chunks(batches.len().div_ceil(threads)) {
                let reference = &reference;
                scope.spawn(move || {
                    for (rows, column) in part {
                        let found = classifier.predict(column).unwrap();
                        for (at, &row) in rows.iter().enumerate() {
                            assert_eq!(found.slice(at, 1), reference.slice(row, 1), "round {round}, row {row}");
                        }
                    }
                });
            }
        });
    }
}

/// The trained model, and random ones without and with a screen.
#[test]
fn every_kernel_of_this_machine_gives_the_same_bytes() {
    let texts = normalised(3000);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let loaded = loaded();
    let random = |screen_dim, kernel| {
        let (config, weights) = random_model(screen_dim);
        Engine::uncalibrated(&config, &weights, &loaded.bundle.tokenizer_json, codes(700)).unwrap().on(kernel)
    };
    let engines: [&dyn Fn(Kernel) -> Engine; 4] = [
        &|kernel| Engine::compile(&loaded.bundle).unwrap().on(kernel),
        &|kernel| random(None, kernel),
        &|kernel| random(Some(24), kernel),
        // No multiple of what the instructions take at once.
        &|kernel| random(Some(7), kernel),
    ];
    for (n, engine) in engines.into_iter().enumerate() {
        let mut answers: Vec<(Kernel, Vec<Score>)> = Vec::new();
        for kernel in Kernel::available() {
            let mut scores = Vec::new();
            engine(kernel).score(&texts, &mut Scratch::default(), &mut scores).unwrap();
            answers.push((kernel, scores));
        }
        let bits = |scores: &[Score]| -> Vec<u32> {
            scores
                .iter()
                .flat_map(|s| {
                    let top = s.top.iter().flat_map(|&(class, p)| [class, p.to_bits()]);
                    top.chain([s.heading.to_bits(), s.chapter.to_bits()]).collect::<Vec<_>>()
                })
                .collect()
        };
        for (kernel, scores) in &answers[1..] {
            assert!(bits(scores) == bits(&answers[0].1), "model {n}, {kernel:?}");
        }
    }
}

/// What one model left in the working memory is nothing to the next.
#[test]
fn models_of_different_sizes_can_share_their_working_memory() {
    let texts = normalised(200);
    let json = loaded().bundle.tokenizer_json;
    let engines: Vec<Engine> = [None, Some(7), Some(24), None, Some(65)]
        .into_iter()
        .map(|dim| {
            let (config, weights) = random_model(dim);
            Engine::uncalibrated(&config, &weights, &json, codes(700)).unwrap()
        })
        .chain([Engine::compile(&loaded().bundle).unwrap()])
        .collect();
    let mut shared = Scratch::default();
    for text in texts.chunks(13) {
        let text: Vec<&str> = text.iter().map(String::as_str).collect();
        for (n, engine) in engines.iter().enumerate() {
            let (mut mixed, mut alone) = (Vec::new(), Vec::new());
            engine.score(&text, &mut shared, &mut mixed).unwrap();
            engine.score(&text, &mut Scratch::default(), &mut alone).unwrap();
            assert_eq!(mixed, alone, "model {n}");
        }
    }
}

/// What a model with a screen answers is defined in floating point, and the engine keeps to it.
#[test]
fn a_screened_model_agrees_with_its_definition_in_floating_point() {
    let json = loaded().bundle.tokenizer_json;
    let tokenizer = harmonize::text::Tokenizer::from_json(&json).unwrap();
    let (config, weights) = random_model(Some(24));
    let engine = Engine::uncalibrated(&config, &weights, &json, codes(700)).unwrap();
    let (mut same, mut total, mut worst, mut mean) = (0usize, 0usize, 0f64, 0f64);
    for text in normalised(1500) {
        let (mut scratch, mut ids, mut scores) = (Default::default(), Vec::new(), Vec::new());
        tokenizer.encode(&text, &mut scratch, &mut ids).unwrap();
        let grams = config.bag.unwrap().grams.of_text(&text, config.max_tokens);
        let line = harmonize::model::forward::Line { tokens: &ids, grams: &grams };
        let exact = harmonize::model::forward::served(&config, &weights, line);
        engine.score(&[text.as_str()], &mut Scratch::default(), &mut scores).unwrap();
        let best = (0..exact.len()).fold(0, |b, i| if exact[i] > exact[b] { i } else { b });
        let sum: f64 = exact.iter().map(|&x| f64::from(x - exact[best]).exp()).sum();
        total += 1;
        let first = scores[0].top[0].0 as usize;
        same += usize::from(first == best);
        let off = (f64::from(scores[0].confidence()) - f64::from(exact[first] - exact[best]).exp() / sum).abs();
        worst = worst.max(off);
        mean += off;
    }
    assert!(same * 1000 >= total * 995, "first choice equal on {same} of {total}");
    assert!(
        worst < 0.02 && mean / (total as f64) < 0.001,
        "confidence off by {worst}, {} on average",
        mean / total as f64
    );
}

/// The engine against the network in plain floating point, as written in the book.
#[test]
fn the_engine_agrees_with_the_network_in_floating_point() {
    let loaded = loaded();
    let bundle = &loaded.bundle;
    let Network::TextCnn(cnn) = &bundle.network else { panic!("the lab's model is a Text-CNN") };
    let (config, weights) = (&cnn.config, &cnn.weights);
    // The shares of the softmax, before the curves of the calibration.
    let engine = Engine::compile(bundle).unwrap().with_curves([harmonize::model::Beta::IDENTITY; 3]);
    let tokenizer = harmonize::text::Tokenizer::from_json(&bundle.tokenizer_json).unwrap();
    let plain = texts(2000);
    let (mut same, mut total, mut worst) = (0usize, 0usize, 0f64);
    for text in plain.iter().flatten() {
        let mut normalised = String::new();
        harmonize::text::normalise(text, &mut normalised);
        let (mut scratch, mut ids, mut scores) = (Default::default(), Vec::new(), Vec::new());
        tokenizer.encode(&normalised, &mut scratch, &mut ids).unwrap();
        let grams = config.bag.map_or(vec![], |bag| bag.grams.of_text(&normalised, config.max_tokens));
        let line = harmonize::model::forward::Line { tokens: &ids, grams: &grams };
        let exact = harmonize::model::forward::served(config, weights, line);
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

/// Shares of a few classes among themselves are the softmax of their logits alone, in every kernel and by every network.
#[test]
fn shares_within_a_set_of_classes_are_their_softmax_alone() {
    let json = loaded().bundle.tokenizer_json;
    let tokenizer = harmonize::text::Tokenizer::from_json(&json).unwrap();
    let (config, weights) = random_model(Some(24));
    let engine =
        |kernel| Engine::uncalibrated(&config, &weights, &json, codes(700)).unwrap().with_temperature(1.7).on(kernel);
    let engines: Vec<Engine> = Kernel::available().into_iter().map(engine).collect();
    let mut worst = 0f64;
    for (n, text) in normalised(300).iter().enumerate() {
        let classes: Vec<u32> = (0..2 + n as u32 % 13).map(|i| (n as u32 * 7 + i * 53) % 700).collect();
        let (mut scratch, mut ids) = (Default::default(), Vec::new());
        tokenizer.encode(text, &mut scratch, &mut ids).unwrap();
        let grams = config.bag.unwrap().grams.of_text(text, config.max_tokens);
        let exact = harmonize::model::forward::forward(
            &config,
            &weights,
            harmonize::model::forward::Line { tokens: &ids, grams: &grams },
        );
        let shares: Vec<Vec<f32>> =
            engines.iter().map(|e| e.within(text, &classes, &mut Scratch::default()).unwrap()).collect();
        assert!(shares.iter().all(|s| s.iter().zip(&shares[0]).all(|(a, b)| a.to_bits() == b.to_bits())), "{text}");
        let largest = classes.iter().map(|&c| f64::from(exact[c as usize])).fold(f64::MIN, f64::max);
        let each: Vec<f64> = classes.iter().map(|&c| ((f64::from(exact[c as usize]) - largest) / 1.7).exp()).collect();
        let sum: f64 = each.iter().sum();
        for (share, e) in shares[0].iter().zip(each) {
            worst = worst.max((f64::from(*share) - e / sum).abs());
        }
        assert!((shares[0].iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
    assert!(worst < 0.01, "off by {worst}");
    let all: Vec<u32> = (0..700).collect();
    let one = engines[0].within("steel bolts", &all, &mut Scratch::default()).unwrap();
    assert_eq!(one.len(), 700);
    assert!(engines[0].within("steel bolts", &[700], &mut Scratch::default()).is_err());
}
