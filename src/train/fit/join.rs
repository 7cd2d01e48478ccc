//! Networks that were trained apart, as one network whose logits are the weighted mean of theirs.

use super::bag::BagWeights;
use crate::model::config::Config;
use crate::model::weights::{Bag, Conv, Weights};

/// One network whose logits are the mean of the members' and the bag's, each counted `parts` times.
pub(super) fn join(config: &Config, members: &[Weights], bag: Option<BagWeights>, parts: &[f64]) -> (Config, Weights) {
    let count = members.len();
    let all: f64 = parts.iter().sum();
    let shares: Vec<f32> = parts.iter().map(|part| (part / all) as f32).collect();
    let (dim, filters) = (config.embedding_dim, config.filters);
    let joined = Config { embedding_dim: dim * count, filters: filters * count, ..config.clone() };
    let mut embedding = Vec::with_capacity(config.vocab_size * dim * count);
    for token in 0..config.vocab_size {
        members.iter().for_each(|m| embedding.extend_from_slice(&m.embedding[token * dim..(token + 1) * dim]));
    }
    let convs = (0..config.widths.len()).map(|w| {
        let width = config.widths[w];
        // [filters of all, dimensions of all, width], zero where a filter meets another member's dimensions.
        let mut weight = vec![0f32; filters * count * dim * count * width];
        for (m, member) in members.iter().enumerate() {
            for f in 0..filters {
                let from = f * dim * width;
                let to = ((m * filters + f) * dim * count + m * dim) * width;
                weight[to..to + dim * width].copy_from_slice(&member.convs[w].weight[from..from + dim * width]);
            }
        }
        Conv { width, weight, bias: members.iter().flat_map(|m| m.convs[w].bias.iter().copied()).collect() }
    });
    let convs = convs.collect();
    // Features of the joined network by width, then member: a member's own features by width.
    let features = config.conv_features();
    let row = joined.features();
    let place = |m: usize, feature: usize| (feature / filters) * filters * count + m * filters + feature % filters;
    let mut output = vec![0f32; config.classes * row];
    for (m, member) in members.iter().enumerate() {
        for (at, &x) in member.output.iter().enumerate() {
            output[(at / features) * row + place(m, at % features)] = x * shares[m];
        }
    }
    let mut output_bias: Vec<f32> =
        (0..config.classes).map(|c| members.iter().zip(&shares).map(|(m, s)| m.output_bias[c] * s).sum()).collect();
    let bag = bag.map(|bag| {
        let share = shares[count];
        for (at, &x) in bag.output.iter().enumerate() {
            output[(at % config.classes) * row + features * count + at / config.classes] = x * share;
        }
        output_bias.iter_mut().zip(&bag.output_bias).for_each(|(sum, b)| *sum += b * share);
        Bag { table: bag.table.into(), bias: bag.bias }
    });
    (joined, Weights { embedding: embedding.into(), convs, output, output_bias, ranges: None, screen: None, bag })
}

#[cfg(test)]
mod tests {
    use super::super::{CheckpointPlace, Example, Hyper, Progress, fit, fit_members};
    use super::*;
    use crate::model::forward::{Line, forward};
    use std::ops::ControlFlow;

    #[test]
    fn joined_networks_answer_with_the_mean_of_their_logits() {
        let config = Config { embedding_dim: 6, widths: vec![1, 2, 3], filters: 4, ..Config::default_text_cnn(30, 7) };
        let train: Vec<Example> = (0..60)
            .map(|n| Example { tokens: vec![1 + n % 29, 1 + n * 7 % 29, 2], grams: vec![], class: n % 7, weight: 1.0 })
            .collect();
        // The last one is plain and counts half.
        let hyper = Hyper { epochs: 2, members: 3, batch_rows: 16, ..Hyper::default() };
        let shares = [0.4, 0.4, 0.2];
        let mut go_on = |_: Progress| ControlFlow::Continue(());
        let (joined, all) =
            fit_members(&config, &hyper, &[], (&train, &train), &CheckpointPlace::default(), &mut go_on).unwrap();
        joined.validate().unwrap();
        for tokens in [&[3u32][..], &[5, 9, 2, 2, 17], &[1, 28, 4]] {
            let mut mean = [0f64; 7];
            for (member, share) in shares.into_iter().enumerate() {
                let label_smoothing = if member == 2 { 0.0 } else { hyper.label_smoothing };
                let seed = hyper.seed + member as u64;
                let alike = Hyper { seed, label_smoothing, members: 1, ..hyper.clone() };
                let one = fit(&config, &alike, &train, &train, &mut go_on).unwrap();
                let logits = forward(&config, &one.weights, Line { tokens, grams: &[] });
                mean.iter_mut().zip(logits).for_each(|(sum, x)| *sum += f64::from(x) * share);
            }
            for (a, b) in forward(&joined, &all.weights, Line { tokens, grams: &[] }).iter().zip(mean) {
                assert!((f64::from(*a) - b).abs() < 1e-5, "{a} {b}");
            }
        }
    }
}
