//! Epochs: batches in their order, the learning rate, early stopping, and going on where a training was interrupted.
//!
//! An epoch's order and draws come from the seed and its number alone, so what a learner holds after an epoch is all that the
//! next one depends on.

use std::ops::ControlFlow;
use std::time::Instant;

use super::checkpoint::{Checkpoints, Numbers, Reached};
use super::{EVALUATION_ROWS, Epoch, Example, Hyper, Progress, Random};
use crate::error::{Error, Result};

/// Something that learns from examples in steps.
pub(super) trait Learner {
    /// One step over the training examples of these numbers. Gives the loss.
    fn step(&mut self, batch: &[usize], rate: f64, random: &mut Random) -> Result<f64>;
    /// The parameters that would be shipped now.
    fn snapshot(&self) -> Result<Numbers>;
    /// Logits `[lines, classes]` of such parameters, without dropout.
    fn logits(&self, weights: &Numbers, lines: &[Example]) -> Result<Vec<f32>>;
    /// All that the next step depends on.
    fn state(&self) -> Result<Numbers>;
    /// Takes up what `state` gave. Refuses numbers of another shape.
    fn restore(&mut self, state: Numbers) -> Result<()>;
}

/// How long and how fast something learns.
pub(super) struct Plan<'a> {
    pub(super) epochs: usize,
    /// Highest learning rate.
    pub(super) rate: f64,
    pub(super) seed: u64,
    pub(super) hyper: &'a Hyper,
}

/// What there is to learn from.
pub(super) struct Lines<'a> {
    pub(super) classes: usize,
    /// Number of training examples.
    pub(super) train: usize,
    pub(super) stop: &'a [Example],
}

/// Epochs until the last one or until patience ends: the parameters of the best, all epochs, and the number of the best.
/// What is reached is kept under the name in `kept`, and taken up from there.
pub(super) fn run<L: Learner>(
    learner: &mut L,
    plan: Plan<'_>,
    Lines { classes, train, stop }: Lines<'_>,
    (checkpoints, name): (&mut Checkpoints, &str),
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(Numbers, Vec<Epoch>, usize)> {
    let Plan { epochs, rate, seed, hyper } = plan;
    let started = Instant::now();
    let steps_per_epoch = train.div_ceil(hyper.batch_rows);
    let steps = steps_per_epoch * epochs;
    let Reached { mut history, mut best, state, mut ended } = checkpoints.load(name).unwrap_or_default();
    let done = history.len();
    let mut order: Vec<usize> = (0..train).collect();
    if done > 0 {
        let _ = progress(Progress::Resumed { name: name.to_string(), epochs: done });
        (1..=done).for_each(|number| Random::new(seed, number as u64).shuffle(&mut order));
        if !ended {
            learner.restore(state)?;
        }
    }
    let mut interrupted = false;
    for number in done + 1..=epochs {
        if ended || interrupted {
            break;
        }
        let epoch_started = Instant::now();
        let mut random = Random::new(seed, number as u64);
        random.shuffle(&mut order);
        let (mut losses, mut seen) = (Vec::with_capacity(steps_per_epoch), 0);
        for batch in order.chunks(hyper.batch_rows) {
            let step = (number - 1) * steps_per_epoch + losses.len();
            let loss = learner.step(batch, hyper.rate(rate, step, steps), &mut random)?;
            if !loss.is_finite() {
                return Err(Error::Usage("training diverged; lower learning_rate or set clip_norm".to_string()));
            }
            losses.push(loss);
            seen += batch.len();
            interrupted = progress(Progress::Step { epoch: number, step: step + 1, steps, loss }).is_break()
                || hyper.max_secs.is_some_and(|limit| started.elapsed().as_secs() >= limit);
            if interrupted {
                break;
            }
        }
        let examples_per_sec = seen as f64 / epoch_started.elapsed().as_secs_f64().max(1e-9);
        let snapshot = learner.snapshot()?;
        let stop_accuracy = accuracy(learner, &snapshot, classes, stop)?;
        let train_loss = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
        let elapsed_secs = started.elapsed().as_secs_f64();
        let epoch = Epoch { number, train_loss, stop_accuracy, elapsed_secs, examples_per_sec };
        history.push(epoch.clone());
        if stop.is_empty() || best.as_ref().is_none_or(|(_, accuracy, _)| stop_accuracy > *accuracy) {
            best = Some((number, stop_accuracy, snapshot));
        }
        let waited = best.as_ref().map_or(0, |(best, ..)| number - best);
        ended = number == epochs || waited >= hyper.patience;
        // What was broken off inside an epoch is no place to go on from.
        if !interrupted {
            let reached = || {
                let state = if ended { Numbers::new() } else { learner.state()? };
                Ok(Reached { history: history.clone(), best: best.clone(), state, ended })
            };
            checkpoints.keep(name, reached, ended)?;
        }
        interrupted |= progress(Progress::Epoch(epoch)).is_break();
    }
    let Some((best_epoch, _, snapshot)) = best else {
        return Err(Error::Bug("no epoch ran".to_string()));
    };
    Ok((snapshot, history, best_epoch))
}

/// Share of rows whose highest logit is the right class.
fn accuracy<L: Learner>(learner: &L, weights: &Numbers, classes: usize, rows: &[Example]) -> Result<f64> {
    let mut right = 0;
    for batch in rows.chunks(EVALUATION_ROWS) {
        let logits = learner.logits(weights, batch)?;
        for (logits, example) in logits.chunks_exact(classes).zip(batch) {
            let own = logits[example.class as usize];
            let beaten =
                |(class, &logit): (usize, &f32)| logit > own || (logit == own && class < example.class as usize);
            right += usize::from(!logits.iter().enumerate().any(beaten));
        }
    }
    Ok(if rows.is_empty() { 0.0 } else { f64::from(right as u32) / rows.len() as f64 })
}
