//! What each stage of scoring costs on one core, beside the same network in candle, in the same run.
//!
//! ```sh
//! cargo bench --bench stages -- --lines 20000 --classes 5600 --screen 64
//! cargo bench --bench stages -- --registry models --model hs@1 --input labelled.parquet
//! ```
//!
//! Without a registry the network has random weights, which cost what trained ones cost. Prints microseconds a line and
//! ratios, with `--json FILE` writes them too. Nothing is asserted: it measures.

use std::time::{Duration, Instant};

use arrow::array::AsArray;
use candle_core::{D, DType, Device, IndexOp, Tensor};
use harmonize::engine::{Engine, Kernel, Score, Scratch};
use harmonize::lake::Place;
use harmonize::model::Network;
use harmonize::model::forward::replace_likely;
use harmonize::registry::Registry;
use harmonize::text::{EncodeScratch, Tokenizer, normalise};

mod support {
    mod shared;
    pub use shared::*;
}

use support::{Failure, Model, arguments, random, samples};

/// Lines that candle takes at once.
const BATCH: usize = 256;

/// Rounds of which the quickest counts.
const ROUNDS: usize = 3;

fn main() -> Result<(), Failure> {
    // candle takes its number of threads from the environment when it starts.
    if std::env::var_os("RAYON_NUM_THREADS").is_none() {
        let status = std::process::Command::new(std::env::current_exe()?)
            .args(std::env::args().skip(1))
            .env("RAYON_NUM_THREADS", "1")
            .status()?;
        std::process::exit(status.code().unwrap_or(1));
    }
    let args = arguments();
    let number = |name: &str, default: usize| args.get(name).map_or(Ok(default), |v| v.parse());
    let lines = number("lines", 20_000)?;
    let raw = match args.get("input") {
        Some(file) => descriptions(file)?,
        None => samples(lines, number("repeats", 0)? as f64 / 100.0)?,
    };
    let raw: Vec<&str> = raw.iter().map(String::as_str).take(lines).collect();
    let model = match args.get("registry") {
        Some(registry) => stored(registry, args.get("model").map_or("hs", String::as_str))?,
        None => random(
            &raw,
            number("vocab", 30_000)?,
            number("classes", 5600)?,
            number("filters", 128)?,
            args.get("screen").map(|f| f.parse()).transpose()?,
        )?,
    };
    let began = Instant::now();
    let engine = Engine::uncalibrated(&model.config, &model.weights, &model.tokenizer, model.codes.clone())?
        .with_temperature(model.temperature);
    let compiled = began.elapsed();

    let mut normalised = Vec::new();
    let mut text = Vec::new();
    let to_text = quickest(|| {
        text.clear();
        normalised.clear();
        let mut one = String::new();
        let began = Instant::now();
        for line in &raw {
            normalise(line, &mut one);
            text.push(one.clone());
        }
        began.elapsed()
    });
    normalised.extend(text.iter().map(String::as_str));

    let mut scores: Vec<Score> = Vec::new();
    let mut scratch = Scratch::default();
    let mut spent = Default::default();
    let whole = quickest(|| {
        scores.clear();
        scratch.spent = Default::default();
        let began = Instant::now();
        if let Err(e) = engine.score(&normalised, &mut scratch, &mut scores) {
            eprintln!("{e}");
        }
        spent = scratch.spent;
        began.elapsed()
    });

    let tokenizer = Tokenizer::from_json(&model.tokenizer)?;
    let mut ids = Vec::new();
    let mut encode = EncodeScratch::default();
    let mut one = Vec::new();
    for line in &normalised {
        tokenizer.encode(line, &mut encode, &mut one)?;
        ids.push(one.clone());
    }
    let grams: Vec<Vec<u32>> = normalised
        .iter()
        .map(|line| model.config.bag.map_or_else(Vec::new, |bag| bag.grams.of_text(line, model.config.max_tokens)))
        .collect();
    let candle = Candle::new(&model)?;
    let some = ids.len().min(number("reference", 4096)?);
    let began = Instant::now();
    let reference = candle.answers((&ids[..some], &grams[..some]), &scores, model.temperature)?;
    let by_candle = began.elapsed().as_secs_f64() * 1e6 / some as f64;

    let a_line = |time: Duration| time.as_secs_f64() * 1e6 / raw.len() as f64;
    let tokens = ids.iter().map(Vec::len).sum::<usize>() as f64 / ids.len() as f64;
    println!(
        "{} lines, {tokens:.1} tokens a line, {} classes, {} features{}, kernel {:?}, one thread",
        raw.len(),
        model.config.classes,
        model.config.features(),
        model.config.screen_dim.map_or(String::new(), |f| format!(" screened through {f}")),
        Kernel::best(),
    );
    println!("compiled in {:.1} ms", compiled.as_secs_f64() * 1e3);
    let stages = [
        ("normalise", a_line(to_text)),
        ("tokenise", a_line(spent.tokenise)),
        ("look up", a_line(spent.look_up)),
        ("output layer", a_line(spent.output)),
        ("answer", a_line(spent.answer)),
        ("whole engine", a_line(whole)),
        ("candle", by_candle),
    ];
    println!("{:<14} {:>10} {:>12} {:>9}", "stage", "us a line", "lines/s", "candle");
    for (name, micros) in stages {
        println!("{name:<14} {micros:>10.2} {:>12.0} {:>8.1}x", 1e6 / micros, by_candle / micros);
    }
    if model.config.screen_dim.is_some() {
        println!("first choice as without the screen on {:.3} %", 100.0 * reference.as_flat as f64 / some as f64);
    }
    let agreed = 100.0 * reference.same as f64 / some as f64;
    println!(
        "first choice as candle's on {agreed:.3} % of {some}, confidence off by {:.6} on average, {:.4} at most",
        reference.mean, reference.worst
    );
    if let Some(file) = args.get("json") {
        let mut json = serde_json::json!({
            "lines": raw.len(),
            "tokens_per_line": tokens,
            "config": model.config,
            "kernel": format!("{:?}", Kernel::best()),
            "compile_secs": compiled.as_secs_f64(),
            "agreement_ratio": agreed / 100.0,
            "confidence_off_mean": reference.mean,
            "confidence_off_max": reference.worst,
        });
        json["micros_per_line"] =
            stages.iter().map(|(n, m)| (n.to_string(), (*m).into())).collect::<serde_json::Map<_, _>>().into();
        std::fs::write(file, serde_json::to_vec_pretty(&json)?)?;
    }
    Ok(())
}

fn quickest(mut round: impl FnMut() -> Duration) -> Duration {
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}

fn descriptions(file: &str) -> Result<Vec<String>, Failure> {
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file)?)?;
    let mut out = Vec::new();
    for batch in reader.build()? {
        let batch = batch?;
        let column = batch.column_by_name("description").ok_or("no column description")?;
        let column = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8)?;
        out.extend(column.as_string::<i32>().iter().flatten().filter(|t| !t.trim().is_empty()).map(str::to_string));
    }
    Ok(out)
}

fn stored(registry: &str, model: &str) -> Result<Model, Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let loaded = runtime.block_on(Registry::new(Place::open(registry)?).load(&model.parse()?))?;
    let bundle = loaded.bundle;
    let Network::TextCnn(cnn) = bundle.network else {
        return Err("only a Text-CNN has these stages".into());
    };
    Ok(Model {
        config: cnn.config,
        weights: cnn.weights,
        tokenizer: bundle.tokenizer_json,
        codes: bundle.labels.codes,
        temperature: bundle.calibration.temperature,
    })
}

/// The network in candle, as the books write it: windows unfolded into a matrix product.
struct Candle {
    embedding: Tensor,
    /// `[width · dim, filters]` and `[filters]` of each width.
    convs: Vec<(usize, Tensor, Tensor)>,
    output: Tensor,
    bias: Tensor,
    /// Projection, output and bias.
    screen: Option<[Tensor; 3]>,
    /// Table and bias.
    bag: Option<(Tensor, Tensor)>,
}

struct Agreement {
    same: usize,
    /// First choice as that of the output layer alone.
    as_flat: usize,
    mean: f64,
    worst: f64,
}

impl Candle {
    fn new(model: &Model) -> Result<Candle, Failure> {
        let (config, weights) = (&model.config, &model.weights);
        let dim = config.embedding_dim;
        let tensor = |values: &[f32], shape: (usize, usize)| Tensor::from_slice(values, shape, &Device::Cpu);
        let mut convs = Vec::new();
        for conv in &weights.convs {
            let kernel = Tensor::from_slice(&conv.weight, (config.filters, dim, conv.width), &Device::Cpu)?;
            let kernel = kernel.permute((2, 1, 0))?.contiguous()?.reshape((conv.width * dim, config.filters))?;
            convs.push((conv.width, kernel, Tensor::from_slice(&conv.bias, config.filters, &Device::Cpu)?));
        }
        let screen = match (&weights.screen, config.screen_dim) {
            (Some(screen), Some(dim)) => Some([
                tensor(&screen.projection, (dim, config.features()))?.t()?.contiguous()?,
                tensor(&screen.output, (config.classes, dim))?.t()?.contiguous()?,
                Tensor::from_slice(&screen.bias, config.classes, &Device::Cpu)?,
            ]),
            _ => None,
        };
        let bag = match (&weights.bag, config.bag) {
            (Some(bag), Some(shape)) => Some((
                tensor(&bag.table, (shape.grams.buckets, shape.dim))?,
                Tensor::from_slice(&bag.bias, shape.dim, &Device::Cpu)?,
            )),
            _ => None,
        };
        Ok(Candle {
            bag,
            screen,
            embedding: tensor(&weights.embedding, (config.vocab_size, dim))?,
            convs,
            output: tensor(&weights.output, (config.classes, config.features()))?.t()?.contiguous()?,
            bias: Tensor::from_slice(&weights.output_bias, config.classes, &Device::Cpu)?,
        })
    }

    /// Probabilities of the first choices, compared with the engine's.
    fn answers(
        &self,
        (ids, grams): (&[Vec<u32>], &[Vec<u32>]),
        scores: &[Score],
        temperature: f32,
    ) -> Result<Agreement, Failure> {
        let (mut same, mut as_flat, mut sum, mut worst) = (0, 0, 0f64, 0f64);
        for ((batch, grams), scores) in ids.chunks(BATCH).zip(grams.chunks(BATCH)).zip(scores.chunks(BATCH)) {
            let widest = self.convs.iter().map(|c| c.0).max().unwrap_or(1);
            let length = batch.iter().map(Vec::len).max().unwrap_or(0) + widest - 1;
            let mut padded = vec![0u32; batch.len() * length];
            for (row, ids) in padded.chunks_exact_mut(length).zip(batch) {
                row[..ids.len()].copy_from_slice(ids);
            }
            let ids = Tensor::from_vec(padded, batch.len() * length, &Device::Cpu)?;
            let dim = self.embedding.dim(1)?;
            let rows = self.embedding.index_select(&ids, 0)?.reshape((batch.len(), length, dim))?;
            let mut features = Vec::new();
            for (width, kernel, bias) in &self.convs {
                let windows = length - width + 1;
                let parts: Vec<Tensor> =
                    (0..*width).map(|o| rows.narrow(1, o, windows)).collect::<candle_core::Result<_>>()?;
                let unfolded = Tensor::cat(&parts, D::Minus1)?.reshape((batch.len() * windows, width * dim))?;
                let sums = unfolded.matmul(kernel)?.reshape((batch.len(), windows, bias.elem_count()))?;
                features.push(sums.max(1)?.relu()?.broadcast_add(bias)?.relu()?);
            }
            if let Some((table, bias)) = &self.bag {
                let mut means = Vec::with_capacity(batch.len());
                for line in grams {
                    let rows = table.index_select(&Tensor::from_slice(line, line.len(), &Device::Cpu)?, 0)?;
                    means.push((rows.sum(0)? / line.len().max(1) as f64)?);
                }
                features.push(Tensor::stack(&means, 0)?.broadcast_add(bias)?.relu()?);
            }
            let hidden = Tensor::cat(&features, D::Minus1)?;
            let mut logits = hidden.matmul(&self.output)?.broadcast_add(&self.bias)?.to_dtype(DType::F32)?;
            let flat = logits.argmax(D::Minus1)?.to_vec1::<u32>()?;
            if let Some([projection, output, bias]) = &self.screen {
                let rough = hidden.matmul(projection)?.matmul(output)?.broadcast_add(bias)?;
                let mut rough = rough.to_vec2::<f32>()?;
                for (rough, exact) in rough.iter_mut().zip(logits.to_vec2::<f32>()?) {
                    replace_likely(rough, &exact);
                }
                logits = Tensor::new(rough, &Device::Cpu)?;
            }
            let scaled = (logits / f64::from(temperature))?;
            let largest = scaled.max_keepdim(D::Minus1)?;
            let powers = scaled.broadcast_sub(&largest)?.exp()?;
            let shares = powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?;
            let first = shares.argmax(D::Minus1)?.to_vec1::<u32>()?;
            for (line, ((first, flat), score)) in first.into_iter().zip(flat).zip(scores).enumerate() {
                as_flat += usize::from(flat == score.top[0].0);
                let class = score.top[0].0;
                same += usize::from(first == class);
                let share = shares.i((line, class as usize))?.to_scalar::<f32>()?;
                let off = f64::from((share - score.confidence()).abs());
                sum += off;
                worst = worst.max(off);
            }
        }
        Ok(Agreement { same, as_flat, mean: sum / ids.len().max(1) as f64, worst })
    }
}
