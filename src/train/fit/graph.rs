//! The networks of `model::nets` while they are trained: a batch goes there and back along a tape, AdamW moves dense parameters in
//! one pass, and rows of tables only when a batch holds them.

use super::network::{AVERAGE_EVERY, dropout_mask, shown, tensor, with_slice};
use super::random::Random;
use super::{Example, Hyper, Learner, Numbers};
use crate::error::{Error, Result};
use crate::model::forward::Line;
use crate::model::nets::{Batch, Parameter, Places, Products, Role, Shape, Start, Tape, logits};
use crate::train::ops::{Target, column_sums, softmax_loss};
use crate::train::optimiser::{Average, Dense, Rows, Step, clip, next_four, squares};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::collections::HashMap;

/// Lines that one task of an evaluation scores.
const EVALUATED_TOGETHER: usize = 16;

/// A network with what it learns from, its optimiser's state and its averages.
pub(super) struct Graph<'a> {
    shape: &'a Shape,
    hyper: &'a Hyper,
    splits: &'a [Option<(u32, u32)>],
    train: &'a [Example],
    /// Of the training examples, with mean 1.
    weights: &'a [f32],
    /// Those of `Shape::parameters`, in their order.
    parts: Vec<Part>,
    /// Of the same, if averaging is on.
    averages: Vec<Average>,
    steps: u64,
}

/// One parameter.
enum Part {
    /// A table of which a batch touches a few rows.
    Table(Role, Rows),
    /// A tensor that every step moves.
    Dense(Dense),
}

/// What one batch says about the parameters.
struct Gradients {
    loss: f64,
    /// For each parameter: the rows that the batch touched, of a table, and their gradients.
    parts: Vec<(Vec<u32>, Vec<f32>)>,
}

/// Lines by the rows that they look at in a table.
type Looked = Vec<Vec<u32>>;

impl<'a> Graph<'a> {
    pub(super) fn new(
        shape: &'a Shape,
        (hyper, splits): (&'a Hyper, &'a [Option<(u32, u32)>]),
        (train, weights): (&'a [Example], &'a [f32]),
    ) -> Result<Self> {
        let mut random = Random::new(hyper.seed, 0);
        let part = |parameter: Parameter| -> Result<Part> {
            let size: usize = parameter.shape.iter().product();
            let values: Vec<f32> = match parameter.start {
                Start::Value(value) => vec![value; size],
                Start::Spread(spread) => (0..size).map(|_| random.normal() * spread).collect(),
            };
            Ok(match parameter.role {
                Role::Tokens | Role::Grams => Part::Table(parameter.role, Rows::new(values, parameter.shape[1])),
                Role::Weight | Role::Vector => {
                    let values = Tensor::from_vec(values, parameter.shape, &Device::Cpu)?;
                    Part::Dense(Dense::new(&values, parameter.role == Role::Weight)?)
                }
            })
        };
        let parts = shape.parameters().into_iter().map(part).collect::<Result<Vec<_>>>()?;
        let mut graph = Graph { shape, hyper, splits, train, weights, parts, averages: Vec::new(), steps: 0 };
        if hyper.average_decay > 0.0 {
            graph.averages = graph.values()?.into_iter().map(Average).collect();
        }
        Ok(graph)
    }

    /// The numbers of every parameter.
    fn values(&self) -> Result<Numbers> {
        let numbers = |part: &Part| match part {
            Part::Table(_, rows) => Ok(rows.values.clone()),
            Part::Dense(dense) => Ok(dense.var.flatten_all()?.to_vec1::<f32>()?),
        };
        self.parts.iter().map(numbers).collect()
    }

    /// Tokens and n-grams of an example as this epoch shows it, and its target.
    fn shown(&self, number: usize, random: &mut Random) -> (Vec<u32>, Vec<u32>, Target) {
        let (example, weight) = (&self.train[number], self.weights[number]);
        let drop = self.hyper.token_dropout as f32;
        let grams: Vec<u32> = example.grams.iter().copied().filter(|_| random.uniform() >= drop).collect();
        let grams = if grams.is_empty() { example.grams.clone() } else { grams };
        let (mut tokens, target) = shown(example, weight, self.splits, self.hyper, random);
        tokens.truncate(self.shape.max_tokens());
        (tokens, grams, target)
    }

    /// Loss and gradients of one batch. `keep` is the dropout mask of the features.
    fn gradients(&self, tokens: &Looked, grams: &Looked, targets: &[Target], keep: &[f32]) -> Result<Gradients> {
        let ((token_ids, tokens), (gram_ids, grams)) = (distinct(tokens), distinct(grams));
        let ids = |role: Role| if role == Role::Tokens { &token_ids } else { &gram_ids };
        let [body @ .., Part::Dense(weight), Part::Dense(bias)] = &self.parts[..] else {
            return Err(Error::Bug("a network without an output layer".to_string()));
        };
        // Of a table the rows that are touched.
        let numbers = |part: &Part| match part {
            Part::Table(role, rows) => rows.gather(ids(*role)),
            Part::Dense(dense) => Ok(dense.var.flatten_all()?.to_vec1::<f32>()?),
        };
        let numbers = body.iter().map(numbers).collect::<Result<Numbers>>()?;
        let parameters: Vec<&[f32]> = numbers.iter().map(Vec::as_slice).collect();
        let mut tape = Tape::new(&parameters, Products::Fast);
        let last = self.shape.forward(&mut tape, &Batch { tokens, grams })?;
        let mut hidden = tape.rows(last).to_vec();
        hidden.iter_mut().zip(keep).for_each(|(x, keep)| *x *= keep);
        let smoothing = self.hyper.label_smoothing as f32;
        let (loss, mut back, of_output) = output_layer(hidden, (&weight.var, &bias.var), targets, smoothing)?;
        back.iter_mut().zip(keep).for_each(|(gradient, keep)| *gradient *= keep);
        let of_body = tape.backward(last, back)?;
        let mut parts = Vec::with_capacity(self.parts.len());
        for ((part, gradient), values) in body.iter().zip(of_body).zip(&numbers) {
            let touched = if let Part::Table(role, _) = part { ids(*role).clone() } else { Vec::new() };
            parts.push((touched, gradient.unwrap_or_else(|| vec![0.0; values.len()])));
        }
        parts.extend(of_output.map(|gradient| (Vec::new(), gradient)));
        Ok(Gradients { loss, parts })
    }

    /// Moves every parameter.
    fn update(&mut self, found: Gradients, rate: f64) -> Result<()> {
        let norm = found.parts.iter().map(|(_, gradient)| squares(gradient)).sum();
        let (hyper, scale) = (self.hyper, clip(norm, self.hyper.clip_norm));
        let step = Step { rate: rate as f32, decay: hyper.weight_decay as f32, scale };
        let row_rate = (rate * hyper.embedding_rate_ratio) as f32;
        let row_step = Step { rate: row_rate, decay: hyper.embedding_decay as f32, scale };
        for (part, (ids, gradient)) in self.parts.iter_mut().zip(found.parts) {
            match part {
                Part::Table(_, rows) => rows.step(&ids, &gradient, row_step)?,
                Part::Dense(dense) => {
                    dense.step(&Tensor::from_vec(gradient, dense.var.shape(), &Device::Cpu)?, step)?
                }
            }
        }
        self.steps += 1;
        if self.steps.is_multiple_of(AVERAGE_EVERY) {
            let decay = hyper.average_decay.min((1.0 + self.steps as f64) / (10.0 + self.steps as f64));
            let decay = decay.powi(AVERAGE_EVERY as i32) as f32;
            for (average, part) in self.averages.iter_mut().zip(&self.parts) {
                match part {
                    Part::Table(_, rows) => average.follow(&rows.values, decay),
                    Part::Dense(dense) => with_slice(&dense.var, |values| average.follow(values, decay))?,
                }
            }
        }
        Ok(())
    }
}

impl Learner for Graph<'_> {
    fn step(&mut self, batch: &[usize], rate: f64, random: &mut Random) -> Result<f64> {
        let (mut tokens, mut grams, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for &number in batch {
            let (of_tokens, of_grams, target) = self.shown(number, random);
            tokens.push(of_tokens);
            grams.push(of_grams);
            targets.push(target);
        }
        let features = self.shape.features().unwrap_or(0);
        let keep = dropout_mask(batch.len() * features, self.hyper.dropout as f32, random);
        let found = self.gradients(&tokens, &grams, &targets, &keep)?;
        let loss = found.loss;
        self.update(found, rate)?;
        Ok(loss)
    }

    fn snapshot(&self) -> Result<Numbers> {
        match self.averages.is_empty() {
            true => self.values(),
            false => Ok(self.averages.iter().map(|average| average.0.clone()).collect()),
        }
    }

    fn logits(&self, weights: &Numbers, lines: &[Example]) -> Result<Vec<f32>> {
        let parts = lines.par_chunks(EVALUATED_TOGETHER).map(|lines| {
            let lines: Vec<Line<'_>> =
                lines.iter().map(|line| Line { tokens: &line.tokens, grams: &line.grams }).collect();
            logits(self.shape, weights, &lines)
        });
        Ok(parts.collect::<Result<Vec<_>>>()?.concat())
    }

    fn state(&self) -> Result<Numbers> {
        let mut lists = vec![vec![f32::from_bits(self.steps as u32), f32::from_bits((self.steps >> 32) as u32)]];
        for part in &self.parts {
            lists.extend(match part {
                Part::Table(_, rows) => rows.state(),
                Part::Dense(dense) => dense.state()?,
            });
        }
        lists.extend(self.averages.iter().map(|average| average.0.clone()));
        Ok(lists)
    }

    fn restore(&mut self, state: Numbers) -> Result<()> {
        let mut lists = state.into_iter();
        let refuse = || Error::Bug("a checkpoint is of another shape".to_string());
        let Some([low, high]) = lists.next().and_then(|steps| <[f32; 2]>::try_from(steps).ok()) else {
            return Err(refuse());
        };
        self.steps = u64::from(low.to_bits()) | u64::from(high.to_bits()) << 32;
        for part in &mut self.parts {
            let four = next_four(&mut lists)?;
            match part {
                Part::Table(_, rows) => rows.restore(four)?,
                Part::Dense(dense) => dense.restore(four)?,
            }
        }
        for average in &mut self.averages {
            average.0 = lists.next().filter(|values| values.len() == average.0.len()).ok_or_else(refuse)?;
        }
        lists.next().is_none().then_some(()).ok_or_else(refuse)
    }
}

/// The distinct rows of some lines in order of appearance, at least one, and the lines in terms of them.
fn distinct(lines: &Looked) -> (Vec<u32>, Places) {
    let (mut ids, mut places, mut by_place) = (Vec::new(), HashMap::new(), Places::default());
    for line in lines {
        by_place.push(line.iter().map(|&id| {
            *places.entry(id).or_insert_with(|| {
                ids.push(id);
                (ids.len() - 1) as u32
            })
        }));
    }
    if ids.is_empty() {
        ids.push(0);
    }
    (ids, by_place)
}

/// Loss, the gradient of the features after dropout, `[lines, features]`, and those of the output layer's weight, `[classes,
/// features]`, and bias.
fn output_layer(
    hidden: Vec<f32>,
    (weight, bias): (&Tensor, &Tensor),
    targets: &[Target],
    smoothing: f32,
) -> Result<(f64, Vec<f32>, [Vec<f32>; 2])> {
    let hidden = tensor(hidden, targets.len())?;
    let weight = weight.detach();
    let numbers = |tensor: Tensor| -> Result<Vec<f32>> { Ok(tensor.flatten_all()?.to_vec1::<f32>()?) };
    let mut logits = numbers(hidden.matmul(&weight.t()?)?)?;
    let loss = with_slice(bias, |bias| softmax_loss(&mut logits, bias, targets, smoothing))??;
    let of_bias = column_sums(&logits, bias.elem_count());
    let logits = tensor(logits, targets.len())?;
    let of_weight = numbers(logits.t()?.matmul(&hidden)?)?;
    Ok((loss, numbers(logits.matmul(&weight)?)?, [of_weight, of_bias]))
}

#[cfg(test)]
mod tests {
    use super::super::{CheckpointPlace, Fitted, Progress};
    use super::*;
    use crate::model::nets::{Averaged, Gru, Linear, Net, Transformer};
    use crate::text::Grams;
    use std::ops::ControlFlow;

    fn grams(buckets: usize) -> Grams {
        Grams { buckets, shortest: 2, longest: 3, pairs: false, whole: false }
    }

    /// One of each, of dimensions that grow with `size`.
    fn shapes(size: usize, classes: usize) -> [Shape; 4] {
        let (vocab_size, max_tokens, embedding_dim, hidden_dim) = (20, 7, 4 * size, 3 * size);
        let (grams, bag_dim) = (grams(30), 3 * size);
        [
            Shape::Linear(Linear { grams, max_tokens, classes }),
            Shape::Averaged(Averaged { vocab_size, embedding_dim, grams, bag_dim, hidden_dim, max_tokens, classes }),
            Shape::Gru(Gru { vocab_size, embedding_dim, hidden_dim, max_tokens, classes }),
            Shape::Transformer(Transformer {
                vocab_size,
                embedding_dim,
                layers: 2,
                heads: 2,
                hidden_dim,
                max_tokens,
                classes,
            }),
        ]
    }

    /// Moves number `at` of a parameter by `by`.
    fn shift(part: &mut Part, at: usize, by: f32) {
        match part {
            Part::Table(_, rows) => rows.values[at] += by,
            Part::Dense(dense) => {
                let mut values = dense.var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                values[at] += by;
                dense.var.set(&Tensor::from_vec(values, dense.var.shape(), &Device::Cpu).unwrap()).unwrap();
            }
        }
    }

    /// What candle's `backward` and our own operations say, against the loss a little to either side.
    #[test]
    fn gradients_of_every_architecture_match_finite_differences() {
        let tokens: Looked = vec![vec![2, 3, 4, 5, 6, 7, 2], vec![4], vec![8, 8, 3], vec![5, 7, 6, 4, 4, 3], vec![]];
        let grams: Looked = vec![vec![0, 3, 3, 29], vec![1], vec![5, 4], vec![7, 0, 2, 9, 9, 9], vec![]];
        let targets: Vec<Target> = [1.0, 0.25, 3.0, 0.5, 1.0]
            .into_iter()
            .enumerate()
            .map(|(n, weight)| Target { class: n as u32, weight })
            .collect();
        // The linear one has a test of its own.
        for shape in shapes(2, 6).into_iter().skip(1) {
            let hyper = Hyper { label_smoothing: 0.1, average_decay: 0.0, ..Hyper::default() };
            let mut graph = Graph::new(&shape, (&hyper, &[]), (&[], &[])).unwrap();
            let mut random = Random::new(11, 0);
            let sizes: Vec<usize> = graph.values().unwrap().iter().map(Vec::len).collect();
            for (part, size) in graph.parts.iter_mut().zip(&sizes) {
                (0..*size).for_each(|at| shift(part, at, random.normal() * 0.5));
            }
            let keep = dropout_mask(targets.len() * shape.features().unwrap_or(0), 0.2, &mut random);
            let found = graph.gradients(&tokens, &grams, &targets, &keep).unwrap();
            let (h, mut telling) = (2e-3f32, 0);
            for (n, size) in sizes.iter().enumerate() {
                let (ids, gradient) = &found.parts[n];
                let width = shape.parameters()[n].shape.last().copied().unwrap();
                for at in 0..*size {
                    let of_row = |place: usize| gradient[place * width + at % width];
                    let found = match graph.parts[n] {
                        Part::Table(..) => ids.iter().position(|&id| id as usize == at / width).map_or(0.0, of_row),
                        Part::Dense(_) => gradient[at],
                    };
                    let mut at_distance = |h: f32| {
                        shift(&mut graph.parts[n], at, h);
                        let loss = graph.gradients(&tokens, &grams, &targets, &keep).unwrap().loss;
                        shift(&mut graph.parts[n], at, -h);
                        loss
                    };
                    let expected = (at_distance(h) - at_distance(-h)) / (2.0 * f64::from(h));
                    let name = &shape.parameters()[n].name;
                    assert!((f64::from(found) - expected).abs() < 4e-4, "{name} {at}: {found}, expected {expected}");
                    telling += usize::from(expected.abs() > 4e-3);
                }
            }
            assert!(telling > 80, "{}: only {telling} gradients say anything", shape.name());
        }
    }

    /// Lines of 1 to 7 tokens and n-grams whose class is told by one of each.
    fn examples(rows: usize, classes: u32, seed: u64) -> Vec<Example> {
        let mut random = Random::new(seed, 99);
        let line = |_| {
            let class = random.below(classes as usize) as u32;
            let mut draw = || {
                let mut ids: Vec<u32> = (0..random.below(6)).map(|_| 10 + random.below(10) as u32).collect();
                ids.insert(random.below(ids.len() + 1), 2 + class);
                ids
            };
            Example { tokens: draw(), grams: draw(), class, weight: 1.0 }
        };
        (0..rows).map(line).collect()
    }

    fn fit_net(shape: &Shape, hyper: &Hyper, train: &[Example], stop: &[Example]) -> Result<Fitted<Net>> {
        let mut quiet = |_: Progress| ControlFlow::Continue(());
        super::super::fit_net(shape, hyper, &[], (train, stop), &CheckpointPlace::default(), &mut quiet)
    }

    #[test]
    fn every_architecture_learns_a_simple_rule() {
        for shape in shapes(6, 5) {
            let hyper = Hyper { epochs: 12, batch_rows: 32, learning_rate: 0.02, dropout: 0.1, ..Hyper::default() };
            let learning_rate = if shape.features().is_some() { 0.02 } else { 0.5 };
            let hyper = Hyper { average_decay: 0.9, learning_rate, ..hyper };
            let (train, stop) = (examples(600, 5, 1), examples(200, 5, 2));
            let fitted = fit_net(&shape, &hyper, &train, &stop).unwrap();
            let best = &fitted.history[fitted.best_epoch - 1];
            assert!(best.stop_accuracy > 0.95, "{}: {:?}", shape.name(), fitted.history);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_at_any_number_of_threads() {
        // Large enough that matrix products are split between threads.
        for shape in shapes(24, 300) {
            let hyper = Hyper { epochs: 2, batch_rows: 100, average_decay: 0.0, ..Hyper::default() };
            let (train, stop) = (examples(250, 8, 1), examples(50, 8, 2));
            let bytes = |threads: usize, hyper: &Hyper| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let fitted = pool.install(|| fit_net(&shape, hyper, &train, &stop)).unwrap();
                fitted.weights.to_safetensors().unwrap()
            };
            let first = bytes(1, &hyper);
            for threads in [1, 2, 3] {
                assert!(bytes(threads, &hyper) == first, "{} {threads} threads", shape.name());
            }
            assert!(bytes(2, &Hyper { seed: 18, ..hyper }) != first);
        }
    }

    #[test]
    fn an_interrupted_training_goes_on_and_ends_with_the_same_weights() {
        for shape in shapes(2, 5) {
            let hyper = Hyper { epochs: 4, batch_rows: 8, ..Hyper::default() };
            let (train, stop) = (examples(90, 5, 1), examples(20, 5, 2));
            let fit = |place: &CheckpointPlace, epochs: usize| {
                let (mut resumed, mut ended) = (0, 0);
                let mut progress = |progress: Progress| {
                    match progress {
                        Progress::Resumed { epochs, .. } => resumed = epochs,
                        Progress::Epoch(_) => ended += 1,
                        Progress::Step { .. } => {}
                    }
                    if ended < epochs { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                };
                let lines = (&train[..], &stop[..]);
                let fitted = super::super::fit_net(&shape, &hyper, &[], lines, place, &mut progress).unwrap();
                (fitted.weights.to_safetensors().unwrap(), resumed)
            };
            let root = tempfile::tempdir().unwrap();
            let place = CheckpointPlace { root: Some(root.path().to_path_buf()), every: std::time::Duration::ZERO };
            let (undisturbed, _) = fit(&CheckpointPlace::default(), 9);
            assert_eq!(fit(&place, 2).1, 0);
            let (weights, resumed) = fit(&place, 9);
            assert!(resumed == 2 && weights == undisturbed, "{} after {resumed}", shape.name());
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let good = examples(4, 5, 1);
        for shape in shapes(2, 5) {
            let hyper = Hyper { epochs: 1, ..Hyper::default() };
            assert!(fit_net(&shape, &hyper, &[], &[]).is_err());
            let broken: [fn(&mut Example); 3] = [|e| e.class = 5, |e| e.weight = 0.0, |e| e.tokens = vec![0]];
            for change in broken {
                let mut rows = good.clone();
                change(&mut rows[3]);
                assert!(fit_net(&shape, &hyper, &rows, &[]).is_err());
            }
            let mut rows = good.clone();
            rows[3] = Example { tokens: vec![20], grams: vec![30], ..rows[3].clone() };
            assert!(fit_net(&shape, &hyper, &rows, &[]).is_err(), "{}", shape.name());
        }
    }
}
