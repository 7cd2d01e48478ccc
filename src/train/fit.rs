//! Fitting a Text-CNN: batches, schedule, early stopping.
//!
//! The same config, settings, examples and seed give the same bytes at any number of threads, on one machine (a
//! time limit breaks that, since it looks at the clock). Reads nothing, writes nothing, prints nothing.

mod bag;
mod checkpoint;
mod graph;
mod hyper;
mod join;
mod learner;
mod linear;
mod network;
mod random;
mod together;

use crate::error::{Error, Result};
use crate::model::config::BagShape;
use crate::model::config::Config;
use crate::model::nets::{Net, Shape};
use crate::model::weights::Weights;
use crate::train::ops::Target;
use bag::{BagNetwork, BagWeights};
use checkpoint::Numbers;
pub use checkpoint::{CheckpointPlace, Checkpoints};
use graph::Graph;
pub use hyper::{BagHyper, Hyper};
use join::join;
use learner::{Learner, Lines, Plan, run};
use linear::LinearNetwork;
use network::{Network, shown};
pub(super) use random::Random;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use together::{Together, parted};

/// Lines that one forward pass of the evaluation takes.
const EVALUATION_ROWS: usize = 256;

/// One labelled line.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Token ids without padding; those beyond the config's `max_tokens` are not looked at.
    pub tokens: Vec<u32>,
    /// Rows of its n-grams, when there is a bag.
    pub grams: Vec<u32>,
    /// Index of the right class.
    pub class: u32,
    /// How much the line counts, above 0.
    pub weight: f32,
}

/// One pass over the training examples.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Epoch {
    /// From 1.
    pub number: usize,
    /// Mean loss of the epoch's steps.
    pub train_loss: f64,
    /// Share of the stopping rows whose first class is right; 0 if there are none.
    pub stop_accuracy: f64,
    /// Since the start of `fit_members`.
    pub elapsed_secs: f64,
    /// Training examples over wall time, evaluation left out.
    pub examples_per_sec: f64,
}

/// What `fit_members` reports while it works.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// A step ended.
    Step {
        /// Epoch, from 1.
        epoch: usize,
        /// Steps done in all epochs.
        step: usize,
        /// Steps of all epochs.
        steps: usize,
        /// Its loss.
        loss: f64,
    },
    /// An epoch ended and was evaluated.
    Epoch(Epoch),
    /// A checkpoint of an interrupted training with the same data and settings was found.
    Resumed {
        /// Of which part of the model.
        name: String,
        /// Epochs that need not run again.
        epochs: usize,
    },
}

/// What a fit found.
#[derive(Clone, Debug)]
pub struct Fitted<W = Weights> {
    /// The parameters of the best epoch.
    pub weights: W,
    /// All epochs that ran.
    pub history: Vec<Epoch>,
    /// Number of the epoch with the highest `stop_accuracy`, the last one without stopping rows.
    pub best_epoch: usize,
    /// What can be removed once the weights are safe.
    pub checkpoints: Checkpoints,
}

/// Trains `hyper.members` networks of the shape `config` and joins them; the shape of the joined one, and what was found.
///
/// The weighted mean of several networks' logits is the logit of one Text-CNN: embeddings and filters stand side by side, each
/// filter looks only at its own network's part of the embedding, and each output layer is scaled by its share. So
/// the engine that serves one network serves them all.
///
/// Bags are further members, whose features stand behind the others'.
///
/// `history` is that of all members in turn; `best_epoch` that of the last network.
pub fn fit_members(
    config: &Config,
    hyper: &Hyper,
    splits: &[Option<(u32, u32)>],
    (train, stop): (&[Example], &[Example]),
    place: &CheckpointPlace,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(Config, Fitted)> {
    hyper.validate()?;
    let mut kept = place.of(config, hyper, splits, [train, stop])?;
    let (mut members, mut parts) = (Vec::with_capacity(hyper.members), Vec::with_capacity(hyper.members));
    let (mut history, mut best_epoch, mut before) = (Vec::new(), 0, 0);
    let windows = Config { bag: None, ..config.clone() };
    let steps_per_epoch = train.len().div_ceil(hyper.batch_rows.max(1));
    let together = config.bag.filter(|_| hyper.bag.together);
    let bags_alone = if config.bag.is_some() { hyper.bag.members - usize::from(together.is_some()) } else { 0 };
    let all_steps = (hyper.members * hyper.epochs + bags_alone * hyper.bag.epochs) * steps_per_epoch;
    let mut tell = |p: Progress, before: usize| {
        progress(match p {
            Progress::Step { epoch, step, loss, .. } => {
                Progress::Step { epoch, step: before + step, steps: all_steps, loss }
            }
            epoch => epoch,
        })
    };
    let mut bags = Vec::new();
    for member in 0..hyper.members {
        let seed = hyper.seed.wrapping_add(member as u64);
        // A single network is never plain.
        let plain = member > 0 && member + hyper.plain_members >= hyper.members;
        parts.push(if plain { hyper.plain_weight } else { 1.0 });
        let label_smoothing = if plain { 0.0 } else { hyper.label_smoothing };
        let alike = Hyper { seed, label_smoothing, ..hyper.clone() };
        let (kept, name) = (&mut kept, format!("network {}", member + 1));
        if let (0, Some(shape)) = (member, together) {
            let lines = (train, stop);
            let (weights, of_bag, all, best) =
                fit_together(&windows, shape, &alike, splits, lines, (kept, &name), &mut |p| tell(p, before))?;
            before += hyper.epochs * steps_per_epoch;
            history.extend(all);
            best_epoch = best;
            members.push(weights);
            bags.push(of_bag);
            continue;
        }
        let fitted = fit_with_splits(&windows, &alike, splits, (train, stop), (kept, &name), &mut |p| tell(p, before))?;
        before += hyper.epochs * steps_per_epoch;
        history.extend(fitted.history);
        best_epoch = fitted.best_epoch;
        members.push(fitted.weights);
    }
    // What was trained as one counts as one.
    let together = parts[0];
    parts.extend(bags.iter().map(|_| together));
    let alone = if config.bag.is_some() { bags.len()..hyper.bag.members } else { 0..0 };
    for (shape, member) in config.bag.into_iter().cycle().zip(alone) {
        let plain = member > 0 && member + hyper.bag.plain_members >= hyper.bag.members;
        let (weight, label_smoothing) =
            if plain { (hyper.bag.plain_weight, 0.0) } else { (1.0, hyper.bag.label_smoothing) };
        let alike = Hyper { bag: BagHyper { label_smoothing, ..hyper.bag.clone() }, ..hyper.clone() };
        let name = if member == 0 { "n-grams".to_string() } else { format!("n-grams {}", member + 1) };
        let kept = (&mut kept, name.as_str());
        let (weights, of_bag) =
            fit_bag(config, (shape, member), &alike, (train, stop), kept, &mut |p| tell(p, before))?;
        before += hyper.bag.epochs * steps_per_epoch;
        parts.push(hyper.bag.weight * weight);
        history.extend(of_bag);
        bags.push(weights);
    }
    let (config, weights) = join(config, &members, &bags, &parts);
    Ok((config, Fitted { weights, history, best_epoch, checkpoints: kept }))
}

/// `fit_with_splits` without splits: no token is taken apart.
#[cfg(test)]
pub fn fit(
    config: &Config,
    hyper: &Hyper,
    train: &[Example],
    stop: &[Example],
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Fitted> {
    fit_with_splits(config, hyper, &[], (train, stop), (&mut Checkpoints::none(), ""), progress)
}

/// Trains on `train`, and keeps the epoch that is best on `stop`. `splits` are those of the tokenizer,
/// `Tokenizer::splits`.
///
/// A `Break` from `progress` ends training after that step or epoch, like the time limit: what was learnt so far is
/// evaluated and given back.
pub fn fit_with_splits(
    config: &Config,
    hyper: &Hyper,
    splits: &[Option<(u32, u32)>],
    (train, stop): (&[Example], &[Example]),
    kept: (&mut Checkpoints, &str),
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Fitted> {
    config.validate()?;
    hyper.validate()?;
    check((config.vocab_size, config.classes), train, stop)?;
    check_splits(config.vocab_size, splits)?;
    let weights = weights(config.classes, hyper, train);
    let network = Network::new(config, hyper, &mut Random::new(hyper.seed, 0))?;
    let mut learner = Windows { network, config, hyper, splits, train, weights: &weights };
    let plan = Plan { epochs: hyper.epochs, rate: hyper.learning_rate, seed: hyper.seed, hyper };
    let lines = Lines { classes: config.classes, train: train.len(), stop };
    let (values, history, best_epoch) = run(&mut learner, plan, lines, kept, progress)?;
    Ok(Fitted { weights: network::weights(values, config)?, history, best_epoch, checkpoints: Checkpoints::none() })
}

/// Trains a network of another architecture on `train`, and keeps the epoch that is best on `stop`, as [`fit_with_splits`] does.
pub fn fit_net(
    shape: &Shape,
    hyper: &Hyper,
    splits: &[Option<(u32, u32)>],
    (train, stop): (&[Example], &[Example]),
    place: &CheckpointPlace,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Fitted<Net>> {
    shape.validate()?;
    hyper.validate()?;
    let sees_tokens = shape.vocab_size() > 0;
    let vocab_size = if sees_tokens { shape.vocab_size() } else { usize::MAX };
    check((vocab_size, shape.classes()), train, stop)?;
    check_splits(vocab_size, splits)?;
    if let Some(grams) = shape.grams() {
        check_grams(grams.buckets, train, stop)?;
    }
    let weights = weights(shape.classes(), hyper, train);
    let plan = Plan { epochs: hyper.epochs, rate: hyper.learning_rate, seed: hyper.seed, hyper };
    let lines = Lines { classes: shape.classes(), train: train.len(), stop };
    let mut checkpoints = place.of(shape, hyper, splits, [train, stop])?;
    let kept = (&mut checkpoints, shape.name());
    let (values, history, best_epoch) = match shape {
        Shape::Linear(shape) => {
            run(&mut LinearNetwork::new(shape, hyper, (train, &weights)), plan, lines, kept, progress)
        }
        _ => run(&mut Graph::new(shape, (hyper, splits), (train, &weights))?, plan, lines, kept, progress),
    }?;
    Ok(Fitted { weights: Net::new(shape.clone(), values)?, history, best_epoch, checkpoints })
}

/// A network of windows and the bag, trained as one.
fn fit_together(
    config: &Config,
    shape: BagShape,
    hyper: &Hyper,
    splits: &[Option<(u32, u32)>],
    (train, stop): (&[Example], &[Example]),
    kept: (&mut Checkpoints, &str),
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(Weights, BagWeights, Vec<Epoch>, usize)> {
    check((config.vocab_size, config.classes), train, stop)?;
    check_splits(config.vocab_size, splits)?;
    check_grams(shape.grams.buckets, train, stop)?;
    let weights = weights(config.classes, hyper, train);
    let network = Network::new(config, hyper, &mut Random::new(hyper.seed, 0))?;
    let windows = Windows { network, config, hyper, splits, train, weights: &weights };
    let (sizes, settings) = ((shape.grams.buckets, shape.dim, config.classes), (&hyper.bag, hyper.clip_norm));
    // Draws of its own.
    let bag = BagNetwork::new(sizes, settings, (train, &weights), &mut Random::new(hyper.seed ^ 1 << 32, 0))?;
    let plan = Plan { epochs: hyper.epochs, rate: hyper.learning_rate, seed: hyper.seed, hyper };
    let lines = Lines { classes: config.classes, train: train.len(), stop };
    let (values, history, best) = run(&mut Together { windows, bag }, plan, lines, kept, progress)?;
    let (of_windows, of_bag) = parted(values)?;
    Ok((network::weights(of_windows, config)?, BagWeights::of(of_bag)?, history, best))
}

/// The bag's own numbers, trained by themselves.
fn fit_bag(
    config: &Config,
    (shape, member): (BagShape, usize),
    hyper: &Hyper,
    (train, stop): (&[Example], &[Example]),
    kept: (&mut Checkpoints, &str),
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(BagWeights, Vec<Epoch>)> {
    check_grams(shape.grams.buckets, train, stop)?;
    let weights = weights(config.classes, hyper, train);
    // Draws of its own.
    let seed = hyper.seed.wrapping_add(member as u64) ^ 1 << 32;
    let sizes = (shape.grams.buckets, shape.dim, config.classes);
    let settings = (&hyper.bag, hyper.clip_norm);
    let mut network = BagNetwork::new(sizes, settings, (train, &weights), &mut Random::new(seed, 0))?;
    let plan = Plan { epochs: hyper.bag.epochs, rate: hyper.bag.learning_rate, seed, hyper };
    let lines = Lines { classes: config.classes, train: train.len(), stop };
    let (values, history, _) = run(&mut network, plan, lines, kept, progress)?;
    Ok((BagWeights::of(values)?, history))
}

/// The network of windows with what it learns from.
struct Windows<'a> {
    network: Network<'a>,
    config: &'a Config,
    hyper: &'a Hyper,
    splits: &'a [Option<(u32, u32)>],
    train: &'a [Example],
    weights: &'a [f32],
}

impl Windows<'_> {
    /// Tokens and targets of a batch as this epoch shows them.
    fn shown(&self, batch: &[usize], random: &mut Random) -> Vec<(Vec<u32>, Target)> {
        let one = |&n: &usize| shown(&self.train[n], self.weights[n], self.splits, self.hyper, random);
        batch.iter().map(one).collect()
    }
}

impl Learner for Windows<'_> {
    fn step(&mut self, batch: &[usize], rate: f64, random: &mut Random) -> Result<f64> {
        let shown = self.shown(batch, random);
        self.network.step(shown, self.hyper, rate, random)
    }

    fn snapshot(&self) -> Result<Numbers> {
        self.network.snapshot()
    }

    fn logits(&self, weights: &Numbers, lines: &[Example]) -> Result<Vec<f32>> {
        let tokens: Vec<&[u32]> = lines.iter().map(|example| example.tokens.as_slice()).collect();
        network::logits(weights, self.config, &tokens)
    }

    fn state(&self) -> Result<Numbers> {
        self.network.state()
    }

    fn restore(&mut self, state: Numbers) -> Result<()> {
        self.network.restore(state)
    }
}

/// Refuses examples that the network cannot take.
fn check((vocab_size, classes): (usize, usize), train: &[Example], stop: &[Example]) -> Result<()> {
    if train.is_empty() {
        return Err(Error::Input("there is no example to train on".to_string()));
    }
    for (n, example) in train.iter().chain(stop).enumerate() {
        // Id 0 is padding: were it trained, its row would not stay zero.
        let known = |&id: &u32| id != 0 && (id as usize) < vocab_size;
        if !example.tokens.iter().all(known) || example.class as usize >= classes {
            return Err(Error::Bug(format!("example {n} does not fit the config")));
        }
        if !(example.weight > 0.0 && example.weight.is_finite()) {
            return Err(Error::Input(format!("example {n} has weight {}, it must be above 0", example.weight)));
        }
    }
    Ok(())
}

/// Refuses n-grams that a table does not have.
fn check_grams(buckets: usize, train: &[Example], stop: &[Example]) -> Result<()> {
    let known = |example: &Example| example.grams.iter().all(|&row| (row as usize) < buckets);
    match train.iter().chain(stop).all(known) {
        true => Ok(()),
        false => Err(Error::Bug("n-grams that the table does not have".to_string())),
    }
}

/// Refuses splits that name a token outside the vocabulary, the padding, or do not come to an end.
fn check_splits(vocab_size: usize, splits: &[Option<(u32, u32)>]) -> Result<()> {
    let sound = |(id, parts): (usize, &Option<(u32, u32)>)| match parts {
        Some((a, b)) => *a > 0 && *b > 0 && (*a as usize) < id && (*b as usize) < id && id < vocab_size,
        None => true,
    };
    match splits.iter().enumerate().all(sound) {
        true => Ok(()),
        false => Err(Error::Bug("the splits are not those of the tokenizer".to_string())),
    }
}

/// Weights of the training examples, with mean 1.
fn weights(classes: usize, hyper: &Hyper, train: &[Example]) -> Vec<f32> {
    let mut rows = vec![0f64; classes];
    train.iter().for_each(|example| rows[example.class as usize] += 1.0);
    let largest = rows.iter().fold(1.0, |a: f64, b| a.max(*b));
    let factor = |class: u32| (largest / rows[class as usize]).powf(hyper.rarity_power);
    let raw: Vec<f64> = train.iter().map(|e| f64::from(e.weight) * factor(e.class)).collect();
    let mean = raw.iter().sum::<f64>() / raw.len() as f64;
    raw.into_iter().map(|weight| (weight / mean) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::forward::{Line, forward};

    const SPLITS: [Option<(u32, u32)>; 12] =
        [None, None, None, None, None, None, None, None, None, None, Some((2, 9)), Some((10, 3))];

    fn config() -> Config {
        let small = Config::default_text_cnn(40, 5);
        Config { embedding_dim: 8, filters: 6, widths: vec![1, 2, 4], max_tokens: 9, ..small }
    }

    /// Lines of 1 to 9 tokens whose class is told by one of them.
    fn examples(rows: usize, seed: u64) -> Vec<Example> {
        let mut random = Random::new(seed, 99);
        let line = |_| {
            let class = random.below(5) as u32;
            let mut tokens: Vec<u32> = (0..random.below(9)).map(|_| 10 + random.below(30) as u32).collect();
            tokens.insert(random.below(tokens.len() + 1), 2 + class);
            Example { tokens, grams: vec![], class, weight: 0.5 + random.uniform() }
        };
        (0..rows).map(line).collect()
    }

    fn quiet(_: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn in_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
    }

    #[test]
    fn a_simple_rule_is_learnt() {
        let hyper = Hyper { epochs: 20, batch_rows: 32, learning_rate: 0.01, average_decay: 0.9, ..Hyper::default() };
        let fitted = fit(&config(), &hyper, &examples(600, 1), &examples(200, 2), &mut quiet).unwrap();
        let best = &fitted.history[fitted.best_epoch - 1];
        assert!(best.stop_accuracy > 0.95, "{:?}", fitted.history);
        assert!(fitted.history.iter().all(|epoch| epoch.stop_accuracy <= best.stop_accuracy));
    }

    /// Broken off at each of some places: inside an epoch, between two, in each network and in the n-grams, which are learned
    /// apart or with the first network.
    #[test]
    fn an_interrupted_training_goes_on_and_ends_with_the_same_weights() {
        let bag = BagShape {
            dim: 6,
            grams: crate::text::Grams { buckets: 50, shortest: 2, longest: 3, pairs: false, whole: false },
        };
        let config = Config { bag: Some(bag), ..config() };
        let bag = BagHyper { together: false, epochs: 3, members: 2, plain_members: 1, ..BagHyper::default() };
        let apart =
            Hyper { epochs: 4, batch_rows: 32, members: 2, plain_members: 1, patience: 2, bag, ..Hyper::default() };
        let together = Hyper { bag: BagHyper { together: true, ..apart.bag.clone() }, ..apart.clone() };
        let with_grams = |seed| {
            let with = |e: Example| Example { grams: e.tokens.iter().map(|t| t * 7 % 50).collect(), ..e };
            examples(150, seed).into_iter().map(with).collect::<Vec<_>>()
        };
        let (train, stop) = (with_grams(1), with_grams(2));
        let fit = |hyper: &Hyper, place: &CheckpointPlace, break_at: Option<usize>| {
            let mut said = 0;
            let mut resumed = Vec::new();
            let mut progress = |p: Progress| {
                match p {
                    Progress::Resumed { name, epochs } => resumed.push((name, epochs)),
                    _ => said += 1,
                }
                if break_at.is_some_and(|at| said >= at) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let (_, fitted) = fit_members(&config, hyper, &SPLITS, (&train, &stop), place, &mut progress).unwrap();
            let weights = fitted.weights.clone();
            (weights, resumed, fitted, said)
        };
        for hyper in [apart, together] {
            let (undisturbed, _, _, all) = fit(&hyper, &CheckpointPlace::default(), None);
            for break_at in (1..all).step_by(3) {
                let root = tempfile::tempdir().unwrap();
                let place = CheckpointPlace { root: Some(root.path().to_path_buf()), every: std::time::Duration::ZERO };
                let (broken, ..) = fit(&hyper, &place, Some(break_at));
                // Later ones may not be better than what there is.
                assert!(break_at > 6 || broken != undisturbed, "{break_at}");
                let (weights, resumed, fitted, said) = fit(&hyper, &place, None);
                assert!(weights == undisturbed, "broken off at {break_at} of {all}, resumed {resumed:?}");
                // Five steps and the epoch's own word.
                assert!(break_at <= 6 || (!resumed.is_empty() && said < all), "{break_at}: {resumed:?}");
                assert!(std::fs::read_dir(root.path()).unwrap().count() == 1);
                fitted.checkpoints.remove();
                assert!(std::fs::read_dir(root.path()).unwrap().count() == 0);
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_at_any_number_of_threads() {
        // Large enough that matrix products are split between threads.
        let config = Config { embedding_dim: 64, filters: 64, classes: 300, ..config() };
        let hyper = Hyper { epochs: 2, batch_rows: 100, ..Hyper::default() };
        let (train, stop) = (examples(450, 1), examples(50, 2));
        let bytes = |threads, hyper: &Hyper| {
            let fitted = in_threads(threads, || {
                fit_with_splits(&config, hyper, &SPLITS, (&train, &stop), (&mut Checkpoints::none(), ""), &mut quiet)
            })
            .unwrap();
            fitted.weights.to_safetensors(&config).unwrap()
        };
        let first = bytes(1, &hyper);
        for threads in [1, 2, 3] {
            assert!(bytes(threads, &hyper) == first, "{threads} threads");
        }
        assert!(bytes(2, &Hyper { seed: 18, ..hyper }) != first);
    }

    #[test]
    fn the_batched_forward_pass_is_the_reference_whatever_the_neighbours() {
        let config = config();
        let network = Network::new(&config, &Hyper::default(), &mut Random::new(3, 0)).unwrap();
        let mut lines: Vec<Vec<u32>> = examples(50, 4).into_iter().map(|e| e.tokens).collect();
        lines.push(vec![]);
        let views: Vec<&[u32]> = lines.iter().map(Vec::as_slice).collect();
        let together = network::logits(&network.snapshot().unwrap(), &config, &views).unwrap();
        let weights = network::weights(network.snapshot().unwrap(), &config).unwrap();
        for (line, logits) in views.iter().zip(together.chunks_exact(config.classes)) {
            let alone = network::logits(&network.snapshot().unwrap(), &config, &[line]).unwrap();
            for ((a, b), c) in
                logits.iter().zip(&alone).zip(forward(&config, &weights, Line { tokens: line, grams: &[] }))
            {
                assert!((a - b).abs() < 1e-5 && (a - c).abs() < 1e-5, "{a} {b} {c}");
            }
        }
        let padded: Vec<Vec<u32>> = lines.iter().map(|line| [line.as_slice(), &[0, 0, 0]].concat()).collect();
        let padded: Vec<&[u32]> = padded.iter().map(Vec::as_slice).rev().collect();
        let padded = network::logits(&network.snapshot().unwrap(), &config, &padded).unwrap();
        for (a, b) in padded.chunks_exact(config.classes).rev().flatten().zip(&together) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    #[test]
    fn training_ends_when_told_and_when_nothing_improves() {
        let (config, train, stop) = (config(), examples(64, 1), examples(20, 2));
        let mut steps = 0;
        let hyper = Hyper { epochs: 50, batch_rows: 16, ..Hyper::default() };
        let fitted = fit_with_splits(
            &config,
            &hyper,
            &SPLITS,
            (&train, &stop),
            (&mut Checkpoints::none(), ""),
            &mut |progress| {
                steps += usize::from(matches!(progress, Progress::Step { .. }));
                if steps < 6 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            },
        );
        assert_eq!((steps, fitted.unwrap().history.len()), (6, 2));
        let hyper = Hyper { patience: 2, learning_rate: 1e-12, ..hyper };
        let fitted =
            fit_with_splits(&config, &hyper, &SPLITS, (&train, &stop), (&mut Checkpoints::none(), ""), &mut quiet)
                .unwrap();
        assert_eq!((fitted.best_epoch, fitted.history.len()), (1, 3));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (config, good) = (config(), examples(4, 1));
        let hyper = Hyper::default();
        assert!(fit(&config, &hyper, &[], &[], &mut quiet).is_err());
        let broken: [fn(&mut Example); 4] =
            [|e| e.tokens = vec![40], |e| e.tokens = vec![0], |e| e.class = 5, |e| e.weight = 0.0];
        for change in broken {
            let mut rows = good.clone();
            change(&mut rows[3]);
            assert!(fit(&config, &hyper, &rows, &[], &mut quiet).is_err());
        }
        assert!(
            fit_with_splits(
                &config,
                &hyper,
                &[None, None, Some((1, 2))],
                (&good, &[]),
                (&mut Checkpoints::none(), ""),
                &mut quiet
            )
            .is_err()
        );
        let refused = fit_with_splits(
            &config,
            &Hyper { dropout: 1.0, ..hyper },
            &[],
            (&good, &[]),
            (&mut Checkpoints::none(), ""),
            &mut quiet,
        )
        .unwrap_err();
        assert!(refused.to_string().contains("dropout"));
        assert!(serde_json::from_str::<Hyper>(r#"{"dropuot": 0.1}"#).is_err());
    }
}
