//! Networks that were trained apart, as one network whose logits are the weighted mean of theirs.

use super::bag::BagWeights;
use crate::model::config::{BagShape, Config};
use crate::model::weights::{Bag, Conv, Weights};

/// One network whose logits are the mean of the members' and then the bags', each counted `parts` times. Rows of several bags
/// stand side by side.
pub(super) fn join(config: &Config, members: &[Weights], bags: &[BagWeights], parts: &[f64]) -> (Config, Weights) {
    let count = members.len();
    let all: f64 = parts.iter().sum();
    let shares: Vec<f32> = parts.iter().map(|part| (part / all) as f32).collect();
    let (dim, filters) = (config.embedding_dim, config.filters);
    let bag_shape = config.bag.map(|shape| BagShape { dim: shape.dim * bags.len(), ..shape });
    let joined = Config { embedding_dim: dim * count, filters: filters * count, bag: bag_shape, ..config.clone() };
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
    let bag_dim = config.bag.map_or(0, |shape| shape.dim);
    for (b, (bag, share)) in bags.iter().zip(&shares[count..]).enumerate() {
        let from = features * count + b * bag_dim;
        for (at, &x) in bag.output.iter().enumerate() {
            output[(at % config.classes) * row + from + at / config.classes] = x * share;
        }
        output_bias.iter_mut().zip(&bag.output_bias).for_each(|(sum, b)| *sum += b * share);
    }
    let bag = config.bag.map(|shape| {
        let mut table = Vec::with_capacity(shape.grams.buckets * bag_dim * bags.len());
        for gram in 0..shape.grams.buckets {
            bags.iter().for_each(|bag| table.extend_from_slice(&bag.table[gram * bag_dim..(gram + 1) * bag_dim]));
        }
        Bag { table: table.into(), bias: bags.iter().flat_map(|bag| bag.bias.iter().copied()).collect() }
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
        let hyper = Hyper { epochs: 2, members: 3, plain_members: 1, batch_rows: 16, ..Hyper::default() };
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

    /// Numbers that look random, around 0.
    fn numbers(len: usize, seed: u32) -> Vec<f32> {
        (0..len as u32).map(|n| ((n * 37 + seed * 101) % 64) as f32 / 32.0 - 1.0).collect()
    }

    /// The mean of two lines' worth of rows by hand: rectified, through each bag's own output layer, counted by its part.
    #[test]
    fn joined_bags_answer_with_the_mean_of_their_logits() {
        let grams = crate::text::Grams { buckets: 9, shortest: 2, longest: 3, pairs: false, whole: false };
        let (dim, classes) = (4, 5);
        let config = Config {
            embedding_dim: 2,
            widths: vec![1],
            filters: 2,
            bag: Some(BagShape { dim, grams }),
            ..Config::default_text_cnn(6, classes)
        };
        let silent = Weights {
            embedding: vec![0.0; 12].into(),
            convs: vec![Conv { width: 1, weight: vec![0.0; 4], bias: vec![0.0; 2] }],
            output: vec![0.0; 2 * classes],
            output_bias: vec![0.0; classes],
            ranges: None,
            screen: None,
            bag: None,
        };
        let bag = |seed| BagWeights {
            table: numbers(9 * dim, seed),
            bias: numbers(dim, seed + 1),
            output: numbers(dim * classes, seed + 2),
            output_bias: numbers(classes, seed + 3),
        };
        let (bags, parts) = ([bag(5), bag(11), bag(17)], [0.5, 2.0, 1.0, 0.5]);
        let (joined, weights) = join(&config, &[silent], &bags, &parts);
        joined.validate().unwrap();
        assert_eq!(joined.bag.unwrap().dim, 3 * dim);
        let line = [2u32, 7, 7, 0];
        let mut expected = vec![0f64; classes];
        for (bag, part) in bags.iter().zip(&parts[1..]) {
            let at = |row: u32, d: usize| f64::from(bag.table[row as usize * dim + d]);
            let feature = |d| (line.iter().map(|&row| at(row, d)).sum::<f64>() / 4.0 + f64::from(bag.bias[d])).max(0.0);
            for (class, sum) in expected.iter_mut().enumerate() {
                let through = |d: usize| feature(d) * f64::from(bag.output[d * classes + class]);
                let logit = (0..dim).map(through).sum::<f64>() + f64::from(bag.output_bias[class]);
                *sum += logit * part / 4.0;
            }
        }
        let found = forward(&joined, &weights, Line { tokens: &[3, 4], grams: &line });
        for (a, b) in found.iter().zip(&expected) {
            assert!((f64::from(*a) - b).abs() < 1e-5, "{found:?} {expected:?}");
        }
        assert!(expected.iter().any(|x| x.abs() > 0.1));
    }
}
