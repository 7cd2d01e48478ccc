//! What the benchmarks share: sample lines, and a network of random weights that costs what a trained one costs.

use std::collections::HashMap;

use arrow::array::AsArray;
use harmonize::model::{Config, Conv, Screen, Weights};
use harmonize::sample::{self, Spec};
use harmonize::tariff::{Codes, Edition};
use harmonize::text::{Tokenizer, normalise};

pub type Failure = Box<dyn std::error::Error>;

/// A network with its tokenizer and codes.
pub struct Model {
    pub config: Config,
    pub weights: Weights,
    pub tokenizer: Vec<u8>,
    pub codes: Vec<String>,
    pub temperature: f32,
}

/// `--name value` pairs; what cargo adds is passed over.
pub fn arguments() -> HashMap<String, String> {
    let mut args = std::env::args().skip(1).peekable();
    let mut found = HashMap::new();
    while let Some(arg) = args.next() {
        if let Some(name) = arg.strip_prefix("--")
            && let Some(value) = args.next_if(|v| !v.starts_with("--"))
        {
            found.insert(name.to_string(), value);
        }
    }
    found
}

/// Descriptions of sample lines.
pub fn samples(rows: usize, repeat_ratio: f64) -> Result<Vec<String>, Failure> {
    let spec = Spec { rows: rows as u64 * 5 / 4 + 100, repeat_ratio, ..Spec::default() };
    let mut out = Vec::new();
    for chunk in 0..sample::chunks(&spec) {
        let batch = sample::chunk(&spec, chunk)?;
        let column = batch.column_by_name("description").ok_or("no description")?;
        out.extend(column.as_string::<i32>().iter().flatten().filter(|t| !t.trim().is_empty()).map(str::to_string));
    }
    Ok(out)
}

/// Random weights; with `screen_dim` the output layer is a product of two small matrices and a little noise, and the screen is
/// that product.
pub fn random(
    lines: &[&str],
    vocab: usize,
    classes: usize,
    filters: usize,
    screen_dim: Option<usize>,
) -> Result<Model, Failure> {
    let mut text = Vec::new();
    for line in lines {
        let mut one = String::new();
        normalise(line, &mut one);
        text.push(one);
    }
    let tokenizer = Tokenizer::learn(text.iter().map(String::as_str), vocab, 32)?;
    let default = Config::default_text_cnn(tokenizer.vocab_size().max(vocab), classes);
    let config = Config { filters, widths: vec![2, 3, 4, 5], screen_dim, ..default };
    let mut state = 9u64;
    let mut values = |count: usize, spread: f32| -> Vec<f32> {
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * spread
            })
            .collect()
    };
    let dim = config.embedding_dim;
    let mut embedding = values(config.vocab_size * dim, 1.0);
    embedding[..dim].fill(0.0);
    let convs = config
        .widths
        .iter()
        .map(|&width| Conv { width, weight: values(filters * dim * width, 0.3), bias: values(filters, 0.1) })
        .collect();
    let features = config.features();
    let mut output = values(classes * features, 0.1);
    let output_bias = values(classes, 0.1);
    // What a screen of a trained network finds: a product of two small matrices comes near the output layer.
    let dim = screen_dim.unwrap_or(64);
    let screen = Screen {
        projection: values(dim * features, 0.3),
        output: values(classes * dim, 0.5),
        bias: output_bias.clone(),
    };
    for (row, of_class) in output.chunks_exact_mut(features).zip(screen.output.chunks_exact(dim)) {
        for (&x, direction) in of_class.iter().zip(screen.projection.chunks_exact(features)) {
            row.iter_mut().zip(direction).for_each(|(sum, d)| *sum += x * d);
        }
    }
    let screen = screen_dim.map(|_| screen);
    let mut weights =
        Weights { embedding: embedding.into(), convs, output, output_bias, ranges: None, screen, bag: None };
    weights.ranges = Some(harmonize::engine::ranges(&config, &weights));
    let codes: Vec<String> =
        Codes::builtin(Edition::Hs2022).iter().take(classes).map(|c| c.as_str().to_string()).collect();
    if codes.len() < classes {
        return Err(format!("--classes {classes}: edition 2022 has {}", codes.len()).into());
    }
    Ok(Model { config, weights, tokenizer: tokenizer.to_json()?, codes, temperature: 1.0 })
}
