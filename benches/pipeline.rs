//! What the whole job costs, from Parquet to a committed Delta table: CPU seconds and lines a second of the process as a
//! user starts it, over numbers of lines, threads and classes, and beside other engines on the same lines and weights.
//!
//! ```sh
//! cargo bench --bench pipeline -- --lines 1000000,10000000 --classes 5600 --screen 64
//! cargo bench --bench pipeline -- --lines 200000 --peers peers.py --python python3 --engines ort,torch
//! ```
//!
//! `--registry` with `--model` takes a trained model in place of random weights. `--json FILE` keeps the figures, one object
//! a line; `--plot FILE.svg --from a.json,b.json` draws such files and measures nothing. Nothing is asserted.

mod support {
    pub mod plot;
    mod shared;
    pub use shared::*;
}

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use harmonize::lake::Place;
use harmonize::model::{Beta, Bundle, Calibration, Draft, Labels, Network, Policy};
use harmonize::registry::{Act, Registry};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use support::{Failure, Model, arguments, random, samples};

/// Lines that the vocabulary is learned from.
const VOCABULARY_LINES: usize = 20_000;

fn main() -> Result<(), Failure> {
    let args = arguments();
    let list = |name: &str, default: &str| -> Result<Vec<usize>, Failure> {
        let values = args.get(name).map_or(default, String::as_str).split(',');
        Ok(values.map(str::parse).collect::<Result<_, _>>()?)
    };
    if let Some(file) = args.get("plot") {
        let mut results = Vec::new();
        for from in args.get("from").ok_or("--plot needs --from FILE,FILE")?.split(',') {
            for line in std::fs::read_to_string(from)?.lines() {
                results.push(serde_json::from_str(line)?);
            }
        }
        return support::plot::draw(&results, file);
    }
    let passing = tempfile::tempdir()?;
    // `--dir` keeps model and lines.
    let dir = args.get("dir").map_or(passing.path(), Path::new);
    let threads = std::thread::available_parallelism()?.get();
    let mut results: Vec<Value> = Vec::new();
    println!(
        "{:<22} {:>12} {:>8} {:>8} {:>8} {:>10} {:>14} {:>8}",
        "engine", "lines", "repeats", "classes", "threads", "lines/s", "CPU-s/million", "peak MB"
    );
    for &classes in &list("classes", "5600")? {
        let screen: usize = args.get("screen").map_or(Ok(0), |dim| dim.parse())?;
        let filters = list("filters", "128")?[0];
        let registry = dir.join(format!("models-{classes}-{filters}-{screen}"));
        let weights = dir.join(format!("weights-{classes}-{filters}-{screen}"));
        let (registry, model) = match args.get("registry") {
            Some(registry) => (registry.clone(), args.get("model").map_or("hs@1", String::as_str)),
            None => {
                if !registry.exists() {
                    make_model(&registry, &weights, classes, filters, (screen > 0).then_some(screen))?;
                }
                (registry.display().to_string(), "bench@1")
            }
        };
        for &repeats in &list("repeats", "0")? {
            for &lines in &list("lines", "1000000")? {
                let input = dir.join(format!("lines-{lines}-{repeats}"));
                if !input.exists() {
                    let ratio = (repeats as f64 / 100.0).to_string();
                    harmonize(&[
                        "sample",
                        "--output",
                        &text(&input),
                        "--rows",
                        &lines.to_string(),
                        "--repeats",
                        &ratio,
                    ])?;
                }
                for &threads in &list("threads", &threads.to_string())? {
                    let lake = dir.join("lake");
                    let out = harmonize(&[
                        "classify",
                        "--input",
                        &text(&input),
                        "--text",
                        "description",
                        "--id",
                        "line_id",
                        "--lake",
                        &text(&lake),
                        "--registry",
                        &registry,
                        "--model",
                        model,
                        "--threads",
                        &threads.to_string(),
                    ])?;
                    std::fs::remove_dir_all(&lake)?;
                    let (cpu, peak) = used(&out).ok_or("classify did not say what it used")?;
                    let rate = number_before(&out, " lines/s").ok_or("classify did not say its speed")?;
                    let result = json!({
                        "engine": "harmonize", "lines": lines, "repeats_percent": repeats, "classes": classes, "threads": threads,
                        "lines_per_sec": rate, "cpu_secs_per_million": cpu / lines as f64 * 1e6, "peak_mb": peak,
                    });
                    show(&result);
                    results.push(result);
                }
                if let Some(peers) = args.get("peers") {
                    let described = dir.join(format!("described-{lines}-{repeats}"));
                    described_lines(&input, &described)?;
                    for engine in args.get("engines").map_or("ort,torch", String::as_str).split(',') {
                        let mut result = peer(&args, &[peers, "run", engine], &weights, &described, threads)?;
                        result["repeats_percent"] = repeats.into();
                        result["classes"] = classes.into();
                        show(&result);
                        results.push(result);
                    }
                }
                if !args.contains_key("dir") {
                    std::fs::remove_dir_all(&input)?;
                }
            }
        }
    }
    for peer in results.iter().filter(|r| r["engine"] != "harmonize") {
        let alike = |r: &&Value| ["classes", "repeats_percent", "threads"].iter().all(|&key| r[key] == peer[key]);
        let own = results.iter().filter(|r| r["engine"] == "harmonize").find(alike);
        let own = own.and_then(|r| r["cpu_secs_per_million"].as_f64()).unwrap_or(f64::NAN);
        let ratio = peer["cpu_secs_per_million"].as_f64().unwrap_or(0.0) / own;
        println!("{} takes {ratio:.1} times the CPU of harmonize", peer["engine"].as_str().unwrap_or_default());
    }
    if let Some(file) = args.get("json") {
        let lines: Vec<String> = results.iter().map(Value::to_string).collect();
        std::fs::write(file, lines.join("\n") + "\n")?;
    }
    Ok(())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// What the program printed.
fn harmonize(args: &[&str]) -> Result<String, Failure> {
    let out = Command::new(env!("CARGO_BIN_EXE_harmonize")).args(args).output()?;
    match out.status.success() {
        true => Ok(String::from_utf8(out.stdout)?),
        false => Err(String::from_utf8_lossy(&out.stderr).into_owned().into()),
    }
}

/// CPU seconds and peak megabytes.
fn used(out: &str) -> Option<(f64, f64)> {
    let line = out.lines().find(|line| line.contains("CPU-seconds"))?;
    Some((number_before(line, " CPU-seconds")?, number_before(line, " MB")?))
}

/// The number that stands before `unit`.
fn number_before(text: &str, unit: &str) -> Option<f64> {
    let before = text.split(unit).next().filter(|before| before.len() < text.len())?;
    before.split_whitespace().last()?.replace(',', "").parse().ok()
}

fn show(result: &Value) {
    let number = |key: &str| result[key].as_f64().unwrap_or(0.0);
    println!(
        "{:<22} {:>12} {:>7}% {:>8} {:>8} {:>10.0} {:>14.1} {:>8.0}",
        result["engine"].as_str().unwrap_or_default(),
        number("lines"),
        number("repeats_percent"),
        number("classes"),
        number("threads"),
        number("lines_per_sec"),
        number("cpu_secs_per_million"),
        number("peak_mb"),
    );
}

/// The lines that have a description: the peers take no null.
fn described_lines(input: &Path, output: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(output)?;
    for (n, file) in std::fs::read_dir(input)?.enumerate() {
        let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file?.path())?)?;
        let to = std::fs::File::create(output.join(format!("{n}.parquet")))?;
        let mut writer = ArrowWriter::try_new(to, reader.schema().clone(), None)?;
        for batch in reader.build()? {
            let batch = batch?;
            let there = arrow::compute::is_not_null(batch.column_by_name("description").ok_or("no description")?)?;
            writer.write(&arrow::compute::filter_record_batch(&batch, &there)?)?;
        }
        writer.close()?;
    }
    Ok(())
}

/// Another engine on the same lines with the same weights, whose words it knows as far as they are pieces of the vocabulary.
fn peer(
    args: &HashMap<String, String>,
    script: &[&str],
    weights: &Path,
    input: &Path,
    threads: usize,
) -> Result<Value, Failure> {
    let mut command = Command::new(args.get("python").map_or("python3", String::as_str));
    let output = tempfile::tempdir()?;
    command.args(script).args(["--input", &text(input), "--weights", &text(weights)]);
    command.args(["--output", &text(output.path()), "--id", "line_id", "--threads", &threads.to_string(), "--trim"]);
    for (own, theirs) in [("peer-lines", "--limit"), ("fasttext-model", "--fasttext-model")] {
        if let Some(value) = args.get(own) {
            command.args([theirs, value]);
        }
    }
    let out = command.output()?;
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into_owned().into());
    }
    let found: Value = serde_json::from_slice(&out.stdout)?;
    Ok(json!({
        "engine": found["engine"], "lines": found["rows"], "threads": threads, "lines_per_sec": found["rows_per_s"],
        "cpu_secs_per_million": found["cpu_s_per_million"], "peak_mb": found["peak_rss_mb"],
    }))
}

/// A bundle of random weights in a registry, and the same weights as the peers read them.
fn make_model(
    registry: &Path,
    weights: &Path,
    classes: usize,
    filters: usize,
    screen: Option<usize>,
) -> Result<(), Failure> {
    let lines = samples(VOCABULARY_LINES, 0.0)?;
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let Model { config, weights: values, tokenizer, codes, temperature } =
        random(&lines, 30_000, classes, filters, screen)?;
    std::fs::create_dir_all(weights)?;
    std::fs::write(weights.join("model.safetensors"), values.to_safetensors(&config)?)?;
    let document: Value = serde_json::from_slice(&tokenizer)?;
    let mut vocabulary = vec![Value::String(String::new()); config.vocab_size];
    for (piece, id) in document["model"]["vocab"].as_object().ok_or("no vocabulary")? {
        vocabulary[id.as_u64().ok_or("no id")? as usize] = piece.as_str().into();
    }
    std::fs::write(weights.join("vocab.json"), serde_json::to_vec(&vocabulary)?)?;
    let draft = Draft {
        name: "bench".into(),
        created_at: "2026-01-01T00:00:00Z".into(),
        created_by: "benchmark".into(),
        program_version: env!("CARGO_PKG_VERSION").into(),
        seed: 0,
        data: Vec::new(),
        network: Network::text_cnn(config, values),
        tokenizer_json: tokenizer,
        labels: Labels { edition: "2022".into(), codes },
        calibration: Calibration {
            temperature,
            subheading: Beta::IDENTITY,
            heading: Beta::IDENTITY,
            chapter: Beta::IDENTITY,
            rows: 1,
            texts: 1,
            nll_before: 1.0,
            nll_after: 1.0,
            ece_subheading: 0.0,
            ece_heading: 0.0,
            ece_chapter: 0.0,
            ece_bins: 15,
        },
        policy: Policy::default(),
        metrics: json!({}),
        card: "Random weights: a benchmark.\n".into(),
    };
    let (_, files) = Bundle::build(draft)?;
    let registry = Registry::new(Place::open(&text(registry))?);
    let act = Act::new("benchmark", chrono::Utc::now(), "a benchmark")?;
    tokio::runtime::Runtime::new()?.block_on(registry.register("bench", files, &act))?;
    Ok(())
}
