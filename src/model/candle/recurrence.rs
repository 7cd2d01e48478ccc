//! The gated recurrent unit (Cho and others 2014, <https://arxiv.org/abs/1406.1078>, in the form of PyTorch's `GRU`), over
//! lines of different lengths, in one direction.
//!
//! With `i` from the token and `h` from the state before, each of reset, update and new:
//! `r = σ(i_r + h_r)`, `z = σ(i_z + h_z)`, `n = tanh(i_n + r · h_n)`, `state = (1 - z) · n + z · before`, where
//! `h = weight · before + bias` and the state before the first token is zero.
//!
//! It is one operation with its gradient written out: step by step, candle's `backward` would add each step's gradient to
//! tensors of the whole batch.

use super::arithmetic::{add_scaled, column_sums, product, sigmoid, tanh};
use super::batch::Places;
use super::{for_parts, slice};
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor};

/// States after each token, `[tokens, H]`, of inputs `[tokens, 3 H]`, weight `[3 H, H]` and bias `[3 H]`; from the last token to
/// the first when `backwards`.
pub fn recurrence(inputs: &Tensor, weight: &Tensor, bias: &Tensor, lines: &Places, backwards: bool) -> Result<Tensor> {
    inputs.apply_op3(weight, bias, Recurrence { lines: lines.clone(), backwards })
}

struct Recurrence {
    lines: Places,
    backwards: bool,
}

/// What one step computes.
struct Gates {
    reset: f32,
    update: f32,
    new: f32,
}

/// The gates of unit `u` of so many.
#[inline(always)]
fn gates(inputs: &[f32], hidden: &[f32], u: usize, units: usize) -> Gates {
    let reset = sigmoid(inputs[u] + hidden[u]);
    let update = sigmoid(inputs[units + u] + hidden[units + u]);
    Gates { reset, update, new: tanh(inputs[2 * units + u] + reset * hidden[2 * units + u]) }
}

impl Recurrence {
    /// Tokens of a line in the order of the steps.
    fn steps(&self, tokens: usize) -> impl Iterator<Item = usize> + '_ {
        (0..tokens).map(move |step| if self.backwards { tokens - 1 - step } else { step })
    }

    /// States of one line.
    fn line(&self, inputs: &[f32], weight: &[f32], bias: &[f32], states: &mut [f32]) {
        let units = bias.len() / 3;
        let (mut before, mut hidden) = (vec![0f32; units], vec![0f32; 3 * units]);
        for at in self.steps(states.len() / units) {
            product(&before, weight, units, &mut hidden);
            hidden.iter_mut().zip(bias).for_each(|(h, b)| *h += b);
            let inputs = &inputs[at * 3 * units..(at + 1) * 3 * units];
            for (u, state) in before.iter_mut().enumerate() {
                let Gates { update, new, .. } = gates(inputs, &hidden, u, units);
                *state = (1.0 - update) * new + update * *state;
            }
            states[at * units..(at + 1) * units].copy_from_slice(&before);
        }
    }

    /// States before each token, `[tokens, H]`.
    fn before(&self, states: &[f32], units: usize) -> Vec<f32> {
        let mut before = vec![0f32; states.len()];
        for range in self.lines.ranges() {
            let (line, out) = (&states[range.start * units..range.end * units], range.start * units);
            let mut last = None;
            for at in self.steps(range.len()) {
                if let Some(last) = last {
                    before[out + at * units..][..units].copy_from_slice(&line[last * units..][..units]);
                }
                last = Some(at);
            }
        }
        before
    }
}

/// All that the way back looks at, of all lines.
struct Back<'a> {
    units: usize,
    /// `[tokens, 3 H]`.
    inputs: &'a [f32],
    /// `weight · before + bias`, `[tokens, 3 H]`.
    hidden: &'a [f32],
    /// States before each token, `[tokens, H]`.
    before: &'a [f32],
    /// `[3 H, H]`.
    weight: &'a [f32],
    /// Of the states, `[tokens, H]`.
    gradient: &'a [f32],
}

impl Back<'_> {
    /// One token: the gradient of its state becomes that of the state before it; those of its inputs and of its hidden part are
    /// put into `out`, `[2 · 3 H]`.
    fn token(&self, at: usize, state: &mut [f32], out: &mut [f32]) {
        let units = self.units;
        let three = at * 3 * units..(at + 1) * 3 * units;
        let (inputs, hidden) = (&self.inputs[three.clone()], &self.hidden[three]);
        let before = &self.before[at * units..(at + 1) * units];
        let (of_inputs, of_hidden) = out.split_at_mut(3 * units);
        for u in 0..units {
            let Gates { reset, update, new } = gates(inputs, hidden, u, units);
            let d = state[u];
            let of_new = d * (1.0 - update) * (1.0 - new * new);
            let of_update = d * (before[u] - new) * update * (1.0 - update);
            let of_reset = of_new * hidden[2 * units + u] * reset * (1.0 - reset);
            (of_inputs[u], of_inputs[units + u], of_inputs[2 * units + u]) = (of_reset, of_update, of_new);
            (of_hidden[u], of_hidden[units + u], of_hidden[2 * units + u]) = (of_reset, of_update, of_new * reset);
            state[u] = d * update;
        }
        for (d, row) in of_hidden.iter().zip(self.weight.chunks_exact(units)) {
            add_scaled(state, *d, row);
        }
    }
}

impl CustomOp3 for Recurrence {
    fn name(&self) -> &'static str {
        "recurrence"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (inputs, weight, bias) = (slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?);
        let ((tokens, three), (rows, units)) = (l1.shape().dims2()?, l2.shape().dims2()?);
        let fits = units > 0 && rows == 3 * units && three == rows && bias.len() == rows;
        if !fits || tokens != self.lines.rows().len() {
            candle_core::bail!("recurrence: inputs {:?}, weight {:?}", l1.shape(), l2.shape());
        }
        let mut states = vec![0f32; tokens * units];
        let ranges: Vec<_> = self.lines.ranges().collect();
        for_parts(&mut states, ranges.iter().map(|range| range.len() * units), |n, states| {
            let inputs = &inputs[ranges[n].start * three..ranges[n].end * three];
            self.line(inputs, weight, bias, states);
        });
        Ok((CpuStorage::F32(states), (tokens, units).into()))
    }

    fn bwd(
        &self,
        inputs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        states: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let numbers = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let (tokens, units) = states.dims2()?;
        let three = 3 * units;
        let before = self.before(&numbers(states)?, units);
        let before = Tensor::from_vec(before, (tokens, units), &Device::Cpu)?;
        let hidden = before.matmul(&weight.t()?)?.broadcast_add(bias)?;
        let (of_inputs, of_hidden, of_before) = (numbers(inputs)?, numbers(&hidden)?, numbers(&before)?);
        let (weights, gradient) = (numbers(weight)?, numbers(gradient)?);
        let back = Back {
            units,
            inputs: &of_inputs,
            hidden: &of_hidden,
            before: &of_before,
            weight: &weights,
            gradient: &gradient,
        };
        let mut both = vec![0f32; tokens * 2 * three];
        let ranges: Vec<_> = self.lines.ranges().collect();
        for_parts(&mut both, ranges.iter().map(|range| range.len() * 2 * three), |n, out| {
            let mut state = vec![0f32; units];
            let steps: Vec<usize> = self.steps(ranges[n].len()).collect();
            for &step in steps.iter().rev() {
                let at = ranges[n].start + step;
                add_scaled(&mut state, 1.0, &back.gradient[at * units..(at + 1) * units]);
                back.token(at, &mut state, &mut out[step * 2 * three..(step + 1) * 2 * three]);
            }
        });
        let half = |second: usize| -> Vec<f32> {
            both.chunks_exact(three).skip(second).step_by(2).flatten().copied().collect()
        };
        let (of_inputs, of_hidden) = (half(0), half(1));
        let of_bias = Tensor::from_vec(column_sums(&of_hidden, three), three, &Device::Cpu)?;
        let of_hidden = Tensor::from_vec(of_hidden, (tokens, three), &Device::Cpu)?;
        let of_weight = of_hidden.t()?.matmul(&before)?;
        let of_inputs = Tensor::from_vec(of_inputs, (tokens, three), &Device::Cpu)?;
        Ok((Some(of_inputs), Some(of_weight), Some(of_bias)))
    }
}
