//! The network while it is being trained: parameters as candle variables, one step, and the batched forward pass.

use super::random::Random;
use super::{Example, Hyper, Numbers};
use crate::error::{Error, Result};
use crate::model::config::Config;
use crate::model::weights::{Conv, Weights};
use crate::train::ops::{Lines, Maxima, Target, WindowMax, column_sums, softmax_loss};
use crate::train::optimiser::{Average, Dense, Rows, Step, clip, next_four, squares};
use candle_core::{Device, Storage, Tensor};
use std::collections::HashMap;

/// Standard deviation of the embedding at the start.
const EMBEDDING_SPREAD: f32 = 0.1;
/// Steps between two updates of the averages.
pub(super) const AVERAGE_EVERY: u64 = 8;

/// All parameters, their optimiser's state and their averages.
pub(super) struct Network<'a> {
    config: &'a Config,
    embedding: Rows,
    /// Kernels, conv bias, output, output bias; laid out as in [`Tensors`].
    dense: Vec<Dense>,
    /// Of the embedding, then of `dense`, if averaging is on.
    averages: Vec<Average>,
    steps: u64,
}

/// The tensors that one forward pass uses.
struct Tensors<'a> {
    /// `[embedding_dim, Σ widths × filters]`: columns by width, offset, filter.
    kernels: &'a Tensor,
    /// `[features]`.
    conv_bias: &'a Tensor,
    /// `[features, classes]`.
    output: &'a Tensor,
    /// `[classes]`.
    output_bias: &'a Tensor,
}

impl<'a> Network<'a> {
    pub(super) fn new(config: &'a Config, hyper: &Hyper, random: &mut Random) -> Result<Self> {
        let dim = config.embedding_dim;
        let mut embedding: Vec<f32> =
            (0..config.vocab_size * dim).map(|_| random.normal() * EMBEDDING_SPREAD).collect();
        embedding[..dim].fill(0.0);
        let features = config.features();
        let mut kernels = vec![0f32; dim * config.widths.iter().sum::<usize>() * config.filters];
        let columns = kernels.len() / dim;
        let mut first = 0;
        for &width in &config.widths {
            let spread = (2.0 / (dim * width) as f32).sqrt();
            for row in kernels.chunks_exact_mut(columns) {
                row[first..first + width * config.filters].fill_with(|| random.normal() * spread);
            }
            first += width * config.filters;
        }
        let matrix = |rows: usize, columns: usize, random: &mut Random| {
            let spread = 1.0 / (rows as f32).sqrt();
            let values: Vec<f32> = (0..rows * columns).map(|_| random.normal() * spread).collect();
            Tensor::from_vec(values, (rows, columns), &Device::Cpu)
        };
        let zeros = |len: usize| Tensor::zeros(len, candle_core::DType::F32, &Device::Cpu);
        let mut dense = vec![
            Dense::new(&Tensor::from_vec(kernels, (dim, columns), &Device::Cpu)?, true)?,
            Dense::new(&zeros(features)?, false)?,
        ];
        dense.push(Dense::new(&matrix(features, config.classes, random)?, true)?);
        dense.push(Dense::new(&zeros(config.classes)?, false)?);
        let embedding = Rows::new(embedding, dim);
        let mut network = Network { config, embedding, dense, averages: Vec::new(), steps: 0 };
        if hyper.average_decay > 0.0 {
            network.averages = network.values()?.into_iter().map(Average).collect();
        }
        Ok(network)
    }

    /// Embedding, then `dense`, as numbers.
    fn values(&self) -> Result<Vec<Vec<f32>>> {
        let mut values = vec![self.embedding.values.clone()];
        for dense in &self.dense {
            values.push(dense.var.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(values)
    }

    /// Gradients of one batch, after which every parameter moved. Gives the loss.
    pub(super) fn step(
        &mut self,
        batch: Vec<(Vec<u32>, Target)>,
        hyper: &Hyper,
        rate: f64,
        random: &mut Random,
    ) -> Result<f64> {
        let (tokens, targets): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let keep = dropout_mask(tokens.len() * self.config.features(), hyper.dropout as f32, random);
        let found = self.gradients(&tokens, &targets, hyper.label_smoothing as f32, &keep)?;
        let scale = clip(found.squares()?, hyper.clip_norm);
        self.apply(&found, hyper, rate, scale)?;
        Ok(found.loss)
    }

    /// Moves every parameter by its gradient.
    pub(super) fn apply(&mut self, found: &Gradients, hyper: &Hyper, rate: f64, scale: f32) -> Result<()> {
        let step = Step { rate: rate as f32, decay: hyper.weight_decay as f32, scale };
        for (dense, gradient) in self.dense.iter_mut().zip(&found.dense) {
            dense.step(gradient, step)?;
        }
        let row_rate = (rate * hyper.embedding_rate_ratio) as f32;
        let row_step = Step { rate: row_rate, decay: hyper.embedding_decay as f32, scale };
        // The padding row is never part of a line, so it keeps its zeros.
        self.embedding.step(&found.ids, &found.rows, row_step)?;
        self.steps += 1;
        if self.steps.is_multiple_of(AVERAGE_EVERY) {
            self.average(hyper.average_decay)?;
        }
        Ok(())
    }

    /// Bias of the output layer.
    pub(super) fn output_bias(&self) -> &Tensor {
        &self.dense[3].var
    }

    /// The way to the logits of a batch, without the output bias; `keep` is the dropout mask.
    pub(super) fn ahead(&self, tokens: &[Vec<u32>], keep: &[f32]) -> Result<Ahead<'a>> {
        let (ids, lines) = distinct(tokens.iter().map(Vec::as_slice), self.config);
        let rows = tensor(self.embedding.gather(&ids)?, ids.len())?;
        let dense: Vec<Tensor> = self.dense.iter().map(|dense| dense.var.as_detached_tensor()).collect();
        let window = WindowMax::new(lines, &self.config.widths, self.config.filters);
        let passed = forward(&tensors(&dense)?, &window, &rows, Some(keep))?;
        Ok(Ahead { ids, rows, dense, window, passed })
    }

    /// The way back from the gradient of the logits, `[lines, classes]`: the chain rule written out.
    pub(super) fn back(&self, ahead: Ahead<'_>, keep: &[f32], logits: Vec<f32>, loss: f64) -> Result<Gradients> {
        let Ahead { ids, rows, dense, window, passed } = ahead;
        let tensors = tensors(&dense)?;
        let output_bias =
            Tensor::from_vec(column_sums(&logits, self.config.classes), self.config.classes, &Device::Cpu)?;
        let logits = tensor(logits, window.lines())?;
        let output = passed.hidden.t()?.matmul(&logits)?;
        let hidden = logits.matmul(&tensors.output.t()?)?;
        let mut features = hidden.flatten_all()?.to_vec1::<f32>()?;
        features.iter_mut().zip(keep).for_each(|(gradient, keep)| *gradient *= keep);
        let (products, conv_bias) = window.backward(&passed.maxima, &mut features, passed.products)?;
        let products = tensor(products, ids.len())?;
        let kernels = rows.t()?.matmul(&products)?;
        let rows = products.matmul(&tensors.kernels.t()?)?.flatten_all()?.to_vec1::<f32>()?;
        let conv_bias = Tensor::from_vec(conv_bias, self.config.features(), &Device::Cpu)?;
        Ok(Gradients { loss, ids, rows, dense: vec![kernels, conv_bias, output, output_bias] })
    }

    /// Loss and gradients of one batch.
    fn gradients(&self, tokens: &[Vec<u32>], targets: &[Target], smoothing: f32, keep: &[f32]) -> Result<Gradients> {
        let ahead = self.ahead(tokens, keep)?;
        let mut logits = ahead.logits()?;
        let loss = with_slice(self.output_bias(), |bias| softmax_loss(&mut logits, bias, targets, smoothing))??;
        self.back(ahead, keep, logits, loss)
    }

    /// Moves the averages; slower than asked in the first steps, when the parameters still run far.
    fn average(&mut self, decay: f64) -> Result<()> {
        let warm = (1.0 + self.steps as f64) / (10.0 + self.steps as f64);
        let decay = decay.min(warm).powi(AVERAGE_EVERY as i32) as f32;
        let Some((embedding, dense)) = self.averages.split_first_mut() else {
            return Ok(());
        };
        embedding.follow(&self.embedding.values, decay);
        for (average, dense) in dense.iter_mut().zip(&self.dense) {
            with_slice(&dense.var, |values| average.follow(values, decay))?;
        }
        Ok(())
    }

    /// What would be shipped now: the averages if there are any; the embedding, then the dense tensors.
    pub(super) fn snapshot(&self) -> Result<Numbers> {
        if self.averages.is_empty() {
            return self.values();
        }
        Ok(self.averages.iter().map(|average| average.0.clone()).collect())
    }

    /// All that the next step depends on.
    pub(super) fn state(&self) -> Result<Numbers> {
        let mut lists = vec![vec![f32::from_bits(self.steps as u32), f32::from_bits((self.steps >> 32) as u32)]];
        lists.extend(self.embedding.state());
        for dense in &self.dense {
            lists.extend(dense.state()?);
        }
        lists.extend(self.averages.iter().map(|average| average.0.clone()));
        Ok(lists)
    }

    /// Takes up what `state` gave.
    pub(super) fn restore(&mut self, state: Numbers) -> Result<()> {
        let mut lists = state.into_iter();
        let refuse = || Error::Bug("a checkpoint is of another shape".to_string());
        let Some([low, high]) = lists.next().and_then(|steps| <[f32; 2]>::try_from(steps).ok()) else {
            return Err(refuse());
        };
        self.steps = u64::from(low.to_bits()) | u64::from(high.to_bits()) << 32;
        self.embedding.restore(next_four(&mut lists)?)?;
        for dense in &mut self.dense {
            dense.restore(next_four(&mut lists)?)?;
        }
        for average in &mut self.averages {
            let values = lists.next().filter(|values| values.len() == average.0.len()).ok_or_else(refuse)?;
            average.0 = values;
        }
        lists.next().is_none().then_some(()).ok_or_else(refuse)
    }
}

/// A batch on its way to the logits, with what the way back needs.
pub(super) struct Ahead<'a> {
    ids: Vec<u32>,
    rows: Tensor,
    dense: Vec<Tensor>,
    window: WindowMax<'a>,
    passed: Passed,
}

impl Ahead<'_> {
    /// `[lines, classes]`, without the output bias.
    pub(super) fn logits(&self) -> Result<Vec<f32>> {
        Ok(self.passed.logits.flatten_all()?.to_vec1::<f32>()?)
    }
}

/// What one batch says about the parameters.
pub(super) struct Gradients {
    loss: f64,
    /// Distinct tokens of the batch.
    ids: Vec<u32>,
    /// Gradients of their embeddings, `[ids, embedding_dim]`.
    rows: Vec<f32>,
    /// Those of [`Network`]'s dense parameters, in their order.
    dense: Vec<Tensor>,
}

/// Logits `[lines, classes]` of what `Network::snapshot` gave, without dropout.
pub(super) fn logits(values: &Numbers, config: &Config, lines: &[&[u32]]) -> Result<Vec<f32>> {
    let (ids, lines) = distinct(lines.iter().copied(), config);
    let dim = config.embedding_dim;
    let mut rows = Vec::with_capacity(ids.len() * dim);
    for id in &ids {
        rows.extend_from_slice(&values[0][*id as usize * dim..][..dim]);
    }
    let rows = tensor(rows, ids.len())?;
    let dense = dense_tensors(values, config)?;
    let tensors = tensors(&dense)?;
    let window = WindowMax::new(lines, &config.widths, config.filters);
    let passed = forward(&tensors, &window, &rows, None)?;
    Ok(passed.logits.broadcast_add(tensors.output_bias)?.flatten_all()?.to_vec1::<f32>()?)
}

fn dense_tensors(values: &Numbers, config: &Config) -> Result<Vec<Tensor>> {
    let mut shapes = vec![vec![config.embedding_dim, config.widths.iter().sum::<usize>() * config.filters]];
    shapes.push(vec![config.features()]);
    shapes.push(vec![config.features(), config.classes]);
    shapes.push(vec![config.classes]);
    let values = values.iter().skip(1).zip(shapes);
    let tensors = values.map(|(values, shape)| Tensor::from_slice(values, shape, &Device::Cpu));
    Ok(tensors.collect::<candle_core::Result<Vec<_>>>()?)
}

/// The same numbers in the layout of the file.
pub(super) fn weights(values: Numbers, config: &Config) -> Result<Weights> {
    let mut values = values.into_iter();
    let mut next = || values.next().ok_or_else(|| Error::Bug("a parameter is missing".to_string()));
    let (embedding, kernels, bias) = (next()?, next()?, next()?);
    let columns = kernels.len() / config.embedding_dim;
    let mut convs = Vec::with_capacity(config.widths.len());
    let mut first = 0;
    for (&width, bias) in config.widths.iter().zip(bias.chunks_exact(config.filters)) {
        let mut weight = Vec::with_capacity(config.filters * config.embedding_dim * width);
        for filter in 0..config.filters {
            for d in 0..config.embedding_dim {
                let at = d * columns + first + filter;
                weight.extend((0..width).map(|offset| kernels[at + offset * config.filters]));
            }
        }
        convs.push(Conv { width, weight, bias: bias.to_vec() });
        first += width * config.filters;
    }
    let output = transpose(&next()?, config.classes);
    let embedding = embedding.into();
    Ok(Weights { embedding, convs, output, output_bias: next()?, ranges: None, screen: None, bag: None })
}

/// `[rows, columns]` as `[columns, rows]`.
fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    let column = |c: usize| values.iter().skip(c).step_by(columns);
    (0..columns).flat_map(column).copied().collect()
}

fn tensors(dense: &[Tensor]) -> Result<Tensors<'_>> {
    match dense {
        [kernels, conv_bias, output, output_bias] => Ok(Tensors { kernels, conv_bias, output, output_bias }),
        _ => Err(Error::Bug(format!("{} dense parameters", dense.len()))),
    }
}

/// What the way back needs of the way there.
struct Passed {
    maxima: Maxima,
    /// Length of the products that `maxima` was taken over.
    products: usize,
    /// Features after dropout, `[lines, features]`.
    hidden: Tensor,
    /// `[lines, classes]`, without the output bias.
    logits: Tensor,
}

impl Gradients {
    /// The sum of their squares.
    pub(super) fn squares(&self) -> Result<f64> {
        let mut sum = squares(&self.rows);
        for gradient in &self.dense {
            sum += with_slice(gradient, squares)?;
        }
        Ok(sum)
    }
}

/// From the rows of the distinct tokens, `[ids, embedding_dim]`, to the logits; `keep` is the dropout mask.
fn forward(tensors: &Tensors<'_>, window: &WindowMax<'_>, rows: &Tensor, keep: Option<&[f32]>) -> Result<Passed> {
    let products = rows.matmul(tensors.kernels)?;
    let maxima =
        with_slice(&products, |products| with_slice(tensors.conv_bias, |bias| window.forward(products, bias)))???;
    let mut hidden = maxima.features.clone();
    if let Some(keep) = keep {
        hidden.iter_mut().zip(keep).for_each(|(feature, keep)| *feature *= keep);
    }
    let hidden = Tensor::from_vec(hidden, (window.lines(), tensors.conv_bias.elem_count()), &Device::Cpu)?;
    let logits = hidden.matmul(tensors.output)?;
    Ok(Passed { maxima, products: products.elem_count(), hidden, logits })
}

/// `values` as a matrix of so many rows.
pub(super) fn tensor(values: Vec<f32>, rows: usize) -> Result<Tensor> {
    let columns = values.len() / rows.max(1);
    Ok(Tensor::from_vec(values, (rows, columns), &Device::Cpu)?)
}

/// The distinct tokens of some lines in order of appearance (at least one), and the lines in terms of them.
fn distinct<'t>(lines: impl Iterator<Item = &'t [u32]>, config: &Config) -> (Vec<u32>, Lines) {
    let mut ids = Vec::new();
    let mut rows: HashMap<u32, u32> = HashMap::new();
    let mut by_row = Lines::default();
    for line in lines {
        by_row.push(line.iter().take(config.max_tokens).map(|&id| {
            *rows.entry(id).or_insert_with(|| {
                ids.push(id);
                (ids.len() - 1) as u32
            })
        }));
    }
    if ids.is_empty() {
        ids.push(1);
    }
    (ids, by_row)
}

/// `len` times 0 or `1 / (1 - dropout)`.
pub(super) fn dropout_mask(len: usize, dropout: f32, random: &mut Random) -> Vec<f32> {
    let keep = 1.0 / (1.0 - dropout);
    (0..len).map(|_| if random.uniform() < dropout { 0.0 } else { keep }).collect()
}

/// Runs `read` on the numbers of a contiguous tensor.
pub(super) fn with_slice<T>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(read(crate::train::ops::slice(storage, layout)?)),
        _ => Err(Error::Bug("a parameter is not in main memory".to_string())),
    }
}

/// Tokens and target of an example as this epoch shows it: some tokens are left out, but never all, and some are
/// taken apart.
pub(super) fn shown(
    example: &Example,
    weight: f32,
    splits: &[Option<(u32, u32)>],
    hyper: &Hyper,
    random: &mut Random,
) -> (Vec<u32>, Target) {
    let (drop, split) = (hyper.token_dropout as f32, hyper.split_ratio as f32);
    let mut tokens = Vec::with_capacity(example.tokens.len() + 4);
    let mut open = Vec::new();
    for &token in &example.tokens {
        if random.uniform() < drop {
            continue;
        }
        open.push(token);
        while let Some(token) = open.pop() {
            match splits.get(token as usize).copied().flatten() {
                Some((left, right)) if random.uniform() < split => open.extend([right, left]),
                _ => tokens.push(token),
            }
        }
    }
    if tokens.is_empty() {
        tokens.clone_from(&example.tokens);
    }
    (tokens, Target { class: example.class, weight })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole network's loss in f64, written from the formulas alone. `p`: embedding, kernels, conv bias,
    /// output, output bias.
    fn plain_loss(
        config: &Config,
        p: &[Vec<f64>],
        lines: &[Vec<u32>],
        targets: &[Target],
        keep: &[f32],
        e: f64,
    ) -> f64 {
        let (dim, filters, features) = (config.embedding_dim, config.filters, config.features());
        let columns = config.widths.iter().sum::<usize>() * filters;
        let (output, output_bias) = (&p[p.len() - 2], &p[p.len() - 1]);
        let (mut total, mut weights) = (0.0, 0.0);
        for (n, (line, target)) in lines.iter().zip(targets).enumerate() {
            let mut hidden = vec![0.0; features];
            for (k, &width) in config.widths.iter().enumerate() {
                for f in 0..filters {
                    let mut pre: f64 = 0.0;
                    for start in 0..line.len() {
                        let mut sum = 0.0;
                        for j in 0..width {
                            let Some(&token) = line.get(start + j) else { continue };
                            let offset = config.widths[..k].iter().sum::<usize>() + j;
                            for d in 0..dim {
                                sum += p[0][token as usize * dim + d] * p[1][d * columns + offset * filters + f];
                            }
                        }
                        pre = pre.max(sum);
                    }
                    let feature = k * filters + f;
                    hidden[feature] = (pre + p[2][feature]).max(0.0) * f64::from(keep[n * features + feature]);
                }
            }
            let row = |c: usize| (0..hidden.len()).map(|f| hidden[f] * output[f * config.classes + c]).sum::<f64>();
            let logits: Vec<f64> = (0..config.classes).map(|c| row(c) + output_bias[c]).collect();
            let sum: f64 = logits.iter().map(|z| z.exp()).sum();
            for (c, z) in logits.iter().enumerate() {
                let right = if c == target.class as usize { 1.0 - e } else { 0.0 };
                total -= f64::from(target.weight) * (right + e / config.classes as f64) * (z.exp() / sum).ln();
            }
            weights += f64::from(target.weight);
        }
        total / weights
    }

    #[test]
    fn gradients_of_the_whole_network_match_finite_differences() {
        // Lines shorter than the widest window, repeated tokens, a batch of four.
        let lines = [vec![2, 3, 4, 5, 6, 7, 2], vec![4], vec![8, 8, 3], vec![5, 7, 6, 4, 4, 3]];
        let targets: Vec<Target> = [1.0, 0.25, 3.0, 0.5]
            .into_iter()
            .enumerate()
            .map(|(n, weight)| Target { class: n as u32 * 2, weight })
            .collect();
        let small = Config::default_text_cnn(9, 7);
        let config = Config { embedding_dim: 6, filters: 5, widths: vec![1, 2, 4], ..small };
        let mut random = Random::new(5, 0);
        let mut network = Network::new(&config, &Hyper::default(), &mut random).unwrap();
        network.embedding.values.iter_mut().skip(6).for_each(|v| *v = random.normal());
        for dense in &network.dense {
            let values: Vec<f32> = (0..dense.var.elem_count()).map(|_| random.normal() * 0.5).collect();
            dense.var.set(&Tensor::from_vec(values, dense.var.shape(), &Device::Cpu).unwrap()).unwrap();
        }
        let keep = dropout_mask(lines.len() * config.features(), 0.2, &mut random);
        let found = network.gradients(&lines, &targets, 0.1, &keep).unwrap();
        let p: Vec<Vec<f64>> =
            network.values().unwrap().into_iter().map(|v| v.into_iter().map(f64::from).collect()).collect();
        let loss = |p: &[Vec<f64>]| plain_loss(&config, p, &lines, &targets, &keep, f64::from(0.1f32));
        assert!((found.loss - loss(&p)).abs() < 1e-5);

        let mut all = vec![vec![0f32; p[0].len()]];
        for (id, row) in found.ids.iter().zip(found.rows.chunks_exact(6)) {
            all[0][*id as usize * 6..][..6].copy_from_slice(row);
        }
        all.extend(found.dense.iter().map(|g| g.flatten_all().unwrap().to_vec1::<f32>().unwrap()));
        assert_eq!(all.len(), p.len());
        let (h, mut telling) = (1e-6, 0);
        for (n, gradients) in all.iter().enumerate() {
            assert_eq!(gradients.len(), p[n].len());
            for (at, &found) in gradients.iter().enumerate() {
                let at_distance = |h: f64| {
                    let mut moved = p.clone();
                    moved[n][at] += h;
                    loss(&moved)
                };
                let expected = (at_distance(h) - at_distance(-h)) / (2.0 * h);
                assert!((f64::from(found) - expected).abs() < 2e-6, "{n} {at}: {found}, expected {expected}");
                telling += usize::from(expected.abs() > 1e-4);
            }
        }
        assert!(telling > 250, "only {telling} gradients say anything");
    }
}
