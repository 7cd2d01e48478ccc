use std::path::Path;

use serde_json::Value;

use crate::support::lab::{folder, lab, number, ok, path, read, run};

/// Small shapes that learn the sample's goods in a few epochs.
const RECIPES: [(&str, &str, &str); 4] = [
    ("linear", "bag_buckets = 2048", "epochs = 2"),
    ("averaged", "bag_buckets = 2048\nbag_dim = 24\nembedding_dim = 16\nhidden_dim = 48", "epochs = 3"),
    ("gru", "embedding_dim = 24\nhidden_dim = 24", "epochs = 3\nlearning_rate = 0.006"),
    ("transformer", "embedding_dim = 24\nhidden_dim = 32\nlayers = 1\nheads = 2", "epochs = 3\nlearning_rate = 0.006"),
];

fn train(dir: &Path, n: usize) -> String {
    let (name, model, fit) = RECIPES[n];
    let (registry, recipe) = (path(dir, name), path(dir, &format!("{name}.toml")));
    let text = format!(
        "[model]\narchitecture = '{name}'\nvocab_size = 2000\n{model}\n[fit]\n{fit}\n[split]\ntest = 0.05\nthreshold = 0.1\n"
    );
    std::fs::write(&recipe, text).unwrap();
    let args = ["train", "--input", &lab().labelled, "--label", "hs6", "--registry", &registry, "--recipe", &recipe];
    let ended = run(&[&args[..], &["--target-precision", "0.8", "--threads", "2"]].concat());
    assert!(ended.code == 0 || ended.code == 10, "{name}: {}", ended.err);
    registry
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn objects(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The whole way of one architecture: trained, registered, loaded, asked, explained, measured, and the job.
fn whole_way(n: usize) {
    let name = RECIPES[n].0;
    let dir = folder();
    let registry = train(dir.path(), n);
    let version = dir.path().join(name).join("hs/versions/1");
    assert_eq!(json(&version.join("config.json"))["architecture"], name);
    assert_eq!(json(&version.join("manifest.json"))["architecture"], name);
    let metrics = json(&version.join("metrics.json"));
    let right = metrics["figures"]["accuracy"]["hs6"].as_f64().unwrap();
    assert!(right > 0.3, "{name}: {right} of 150 classes right");
    let recipe = &metrics["recipe"];
    assert!(recipe["model"]["architecture"] == name && recipe["model"].get("filters").is_none(), "{recipe}");

    let texts = ["cotton shirts 12 pcs", "STEEL BOLTS M8", "..."];
    let asked =
        |command: &[&str]| objects(&ok(&[command, &["--registry", &registry, "--format", "json"], &texts].concat()));
    let (predicted, explained) = (asked(&["predict"]), asked(&["explain"]));
    assert_eq!(explained[2], Value::Null);
    for (e, p) in explained.iter().zip(&predicted).take(2) {
        assert_eq!((&e["hs6"], &e["confidence"]), (&p["hs6"], &p["confidence"]));
        assert_eq!(e["method"], "leave-one-out");
        let sum: f64 = e["words"].as_array().unwrap().iter().map(|w| w["contribution"].as_f64().unwrap()).sum();
        let (rest, whole) = (e["bias_over_mean"].as_f64().unwrap(), e["logit_over_mean"].as_f64().unwrap());
        assert!((sum + rest - whole).abs() < 1e-9 && whole > 0.0, "{e}");
    }
    let page = ok(&["explain", "--registry", &registry, "cotton shirts"]);
    assert!(page.contains("leave-one-out") && page.contains("(together)"), "{page}");

    let args = ["evaluate", "--input", &lab().labelled, "--label", "hs6", "--registry", &registry];
    let measured = ok(&[&args[..], &["--where", "line_id < 'L0000001000'"]].concat());
    assert!(measured.contains("calibration error"), "{measured}");

    same_bytes(dir.path(), &registry, name);
    crate::fuzz::breaks_without_panic(&version, 200);
}

/// The same lines in one file and in several, on one thread and on four, in large and in small batches: the same rows.
fn same_bytes(dir: &Path, registry: &str, name: &str) {
    let lines = [path(dir, "one"), path(dir, "several")];
    ok(&["sample", "--output", &lines[0], "--rows", "3000", "--seed", "3"]);
    ok(&["sample", "--output", &lines[1], "--rows", "3000", "--seed", "3", "--rows-per-file", "700"]);
    let columns = "line_id, hs6, confidence, confidence_heading, confidence_chapter, margin, CAST(alternatives AS VARCHAR), \
                   decision, CAST(reasons AS VARCHAR), text_digest";
    let query = format!(
        "SELECT md5(string_agg(r, '|' ORDER BY r)) AS n FROM (SELECT CAST(({columns}) AS VARCHAR) AS r FROM t)"
    );
    let mut digests = Vec::new();
    for (n, (input, threads)) in [(&lines[0], "1"), (&lines[0], "4"), (&lines[1], "4")].into_iter().enumerate() {
        let lake = path(dir, &format!("lake{n}"));
        let args = ["classify", "--input", input, "--id", "line_id", "--lake", &lake, "--registry", registry];
        ok(&[&args[..], &["--threads", threads]].concat());
        assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t"), 3000);
        assert!(number(&lake, "predictions", "SELECT count(DISTINCT hs6) AS n FROM t") > 50, "{name}");
        digests.push(read(&lake, "predictions", &query)[0]["n"].clone());
    }
    assert!(digests.iter().all(|d| *d == digests[0]), "{name}: {digests:?}");
    let rows = |model: &[&str]| -> Vec<Value> {
        let lake = path(dir, "lake0");
        let query = "SELECT hs_predict(t)['hs6'] AS code, hs_explain(t) AS why FROM (VALUES ('steel bolts')) AS v(t)";
        objects(&ok(
            &[&["sql", "--lake", &lake, "--registry", registry, "--format", "ndjson"], model, &[query]].concat()
        ))
    };
    let found = &rows(&["--model", "hs@1"])[0];
    assert!(found["code"].as_str().is_some_and(|code| code.len() == 6), "{found}");
    assert!(found["why"].to_string().contains("leave-one-out"), "{found}");
    let words: Vec<&str> = found["why"].as_array().unwrap().iter().map(|w| w["word"].as_str().unwrap()).collect();
    assert_eq!(words, ["steel", "bolts", "(together)"]);
}

#[test]
fn a_linear_model_goes_the_whole_way() {
    whole_way(0);
}

#[test]
fn averaged_embeddings_go_the_whole_way() {
    whole_way(1);
}

#[test]
fn a_recurrent_network_goes_the_whole_way() {
    whole_way(2);
}

#[test]
fn an_encoder_goes_the_whole_way() {
    whole_way(3);
}

/// Matrix products that threads take in turns.
#[test]
fn the_same_seed_trains_the_same_bytes_at_any_number_of_threads() {
    let dir = folder();
    let recipe = path(dir.path(), "recipe.toml");
    let mut weights = Vec::new();
    for architecture in ["linear", "averaged", "gru", "transformer"] {
        let small = if architecture == "linear" { "bag_buckets = 500" } else { "hidden_dim = 96" };
        let text = format!("[model]\narchitecture = '{architecture}'\nvocab_size = 500\n{small}\n[fit]\nepochs = 1\n");
        std::fs::write(&recipe, text + "batch_rows = 128\n").unwrap();
        for threads in ["1", "2", "4"] {
            let registry = path(dir.path(), &format!("{architecture}{threads}"));
            let args = ["train", "--input", &lab().labelled, "--label", "hs6", "--registry", &registry];
            let more = ["--recipe", &recipe, "--threads", threads, "--where", "line_id < 'L0000003000'"];
            let ended = run(&[&args[..], &more].concat());
            assert!(ended.code == 0 || ended.code == 10, "{}", ended.err);
            weights.push(std::fs::read(Path::new(&registry).join("hs/versions/1/model.safetensors")).unwrap());
        }
        assert!(weights.iter().all(|w| *w == weights[0]), "{architecture}: the number of threads changed the model");
        weights.clear();
    }
}

#[test]
fn what_a_recipe_says_in_vain_is_refused_before_anything_is_read() {
    let dir = folder();
    let recipe = path(dir.path(), "recipe.toml");
    for (text, said) in [
        ("[model]\narchitecture = 'rnn'\n", "rnn"),
        ("[model]\narchitecture = 'gru'\nfilters = 8\n", "[model] filters does nothing for a gru model"),
        ("[model]\narchitecture = 'linear'\n[fit]\nmembers = 3\n", "[fit] members does nothing"),
    ] {
        std::fs::write(&recipe, text).unwrap();
        let ended = run(&["train", "--input", "missing", "--label", "hs6", "--registry", "x", "--recipe", &recipe]);
        assert!(ended.code == 2 && ended.err.contains(said), "{text}: {} {}", ended.code, ended.err);
    }
}
