use harmonize::lake::Place;
use harmonize::model::Network;
use harmonize::model::forward::{Line, forward};
use harmonize::registry::{Loaded, Registry};
use harmonize::text::{Tokenizer, normalise};
use serde_json::Value;

use crate::support::lab::{folder, lab, ok, path};

const TEXTS: [&str; 6] = [
    "cotton shirts 12 pcs",
    "STEEL BOLTS M8",
    "70CTNS X 120 PCS PLASTIC WATER BOTTLES[500ML] ref 123456789",
    "shirts",
    // More tokens than the network looks at.
    "bolts of steel, nuts, washers, screws, rivets, hooks, pins, chains, springs, anchors, nails, tacks, staples, needles, \
     pots, pans, knives, forks, spoons, locks, keys, hinges, castors, racks, pegs, safes, boxes, files, letters, fittings, clasps, \
     frames, buckles, eyelets, beads, spangles, bells, gongs, statuettes, mirrors, tubing, stoppers, caps, lids, plates, wire",
    "...",
];

fn objects(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn loaded() -> Loaded {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(Registry::new(Place::open(&lab().registry).unwrap()).load(&"hs@1".parse().unwrap())).unwrap()
}

/// Logits of a text by the definition of the network in floating point, which knows nothing of words or parts.
fn logits(loaded: &Loaded, text: &str) -> Vec<f64> {
    let bundle = &loaded.bundle;
    let Network::TextCnn(cnn) = &bundle.network else { panic!("the lab's model is a Text-CNN") };
    let (mut normalised, mut tokens) = (String::new(), Vec::new());
    normalise(text, &mut normalised);
    let tokenizer = Tokenizer::from_json(&bundle.tokenizer_json).unwrap();
    tokenizer.encode(&normalised, &mut Default::default(), &mut tokens).unwrap();
    let grams = cnn.config.bag.unwrap().grams.of_text(&normalised, cnn.config.max_tokens);
    let exact = forward(&cnn.config, &cnn.weights, Line { tokens: &tokens, grams: &grams });
    exact.into_iter().map(f64::from).collect()
}

/// What the words and the bias add up to is what the network's own definition computes, for the code that is predicted; and SQL
/// lists the same numbers as the JSON.
#[test]
fn contributions_add_up_to_the_logits_of_the_definition_and_sql_lists_the_same() {
    let lab = lab();
    let loaded = loaded();
    let class = |code: &Value| {
        let code = code.as_str().unwrap_or("000000");
        loaded.bundle.labels.codes.iter().position(|c| c == code).unwrap()
    };
    let asked = |command: &str| {
        objects(&ok(&[&[command, "--registry", &lab.registry, "--format", "json"], &TEXTS[..]].concat()))
    };
    let (explained, predicted) = (asked("explain"), asked("predict"));
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let values: Vec<String> = TEXTS.iter().enumerate().map(|(n, text)| format!("({n}, '{text}')")).collect();
    let query = format!(
        "SELECT hs_explain(t) AS e FROM (VALUES {}, (98, NULL), (99, '')) AS v(n, t) ORDER BY n",
        values.join(", ")
    );
    let sql = ["sql", "--lake", &lake, "--registry", &lab.registry, "--model", "hs@1", "--format", "ndjson", &query];
    let listed = objects(&ok(&sql));
    assert_eq!(listed.len(), TEXTS.len() + 2);
    assert!(listed[TEXTS.len() - 1..].iter().all(|row| row["e"].is_null()), "no word, no text: {listed:?}");
    assert_eq!(explained[TEXTS.len() - 1], Value::Null);
    for (n, text) in TEXTS.iter().enumerate().take(TEXTS.len() - 1) {
        let (json, list) = (&explained[n], listed[n]["e"].as_array().unwrap());
        let exact = logits(&loaded, text);
        let mean = exact.iter().sum::<f64>() / exact.len() as f64;
        let (first, second) = (class(&json["hs6"]), class(&json["second"]["hs6"]));
        let sum = |field: &str| list.iter().map(|word| number(&word[field])).sum::<f64>();
        let (over_mean, over_second) = (exact[first] - mean, exact[first] - exact[second]);
        assert!((sum("contribution") - over_mean).abs() < 1e-4, "{text}: {} {over_mean}", sum("contribution"));
        assert!((sum("over_second") - over_second).abs() < 1e-4, "{text}: {} {over_second}", sum("over_second"));
        assert!((number(&json["logit_over_mean"]) - over_mean).abs() < 1e-4, "{json}");
        assert!((number(&json["second"]["logit_difference"]) - over_second).abs() < 1e-4, "{json}");
        // The list is the JSON's words, and behind them what no word added.
        let words = json["words"].as_array().unwrap();
        assert_eq!(list.len(), words.len() + 1, "{text}");
        for (one, other) in list.iter().zip(words) {
            assert_eq!(one["word"], other["word"]);
            for field in ["contribution", "over_second"] {
                assert!((number(&one[field]) - number(&other[field])).abs() < 1e-9, "{text}: {one} {other}");
            }
        }
        let last = list.last().unwrap();
        assert_eq!((&last["word"], &last["method"]), (&"(bias)".into(), &"exact".into()));
        assert!((number(&last["contribution"]) - number(&json["bias_over_mean"])).abs() < 1e-9);
        assert!((number(&last["over_second"]) - number(&json["second"]["bias_difference"])).abs() < 1e-9);
        // The code is the one that is predicted.
        assert_eq!(
            (&json["hs6"], number(&json["confidence"])),
            (&predicted[n]["hs6"], number(&predicted[n]["confidence"]))
        );
    }
    let words: Vec<&str> =
        explained[0]["words"].as_array().unwrap().iter().map(|w| w["word"].as_str().unwrap()).collect();
    assert_eq!(words, ["cotton", "shirts", "12", "pcs"]);
}

#[test]
fn the_words_are_coloured_over_all_codes_and_over_the_second_choice_on_request() {
    let registry = &lab().registry;
    let page = ok(&["explain", "--registry", registry, "--color", "always", "cotton shirts"]);
    let coloured: Vec<&str> = page.lines().filter(|line| line.contains("\x1b[38;5;")).collect();
    assert!(coloured.len() == 2 && coloured[0].starts_with("over all ") && coloured[1].starts_with("over "), "{page}");
    assert!(coloured.iter().all(|line| line.contains("mcotton\x1b[0m") && line.contains("mshirts\x1b[0m")), "{page}");
    assert!(page.contains("(bias)") && page.contains("sum"), "{page}");
    assert!(!ok(&["explain", "--registry", registry, "cotton shirts"]).contains('\x1b'));
}
