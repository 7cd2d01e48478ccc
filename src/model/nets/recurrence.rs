//! The gated recurrent unit (Cho and others 2014, <https://arxiv.org/abs/1406.1078>, in the form of PyTorch's `GRU`), over
//! lines of different lengths, in one direction.
//!
//! With `i` from the token and `h` from the state before, each of reset, update and new:
//! `r = σ(i_r + h_r)`, `z = σ(i_z + h_z)`, `n = tanh(i_n + r · h_n)`, `state = (1 - z) · n + z · before`, where
//! `h = weight · before + bias` and the state before the first token is zero.
//!
//! Lines go in step, the longest first, so that those that are not at their end are always the first rows.

use super::arithmetic::{column_sums, sigmoid, tanh};
use super::batch::Places;
use super::for_rows;
use super::products::{Products, matrix, through};
use crate::error::Result;

/// For each step the tokens that take it, by their places in the batch.
pub type Steps = Vec<Vec<usize>>;

/// For each step the tokens that take it, by their places in the batch: of the first lines, the longest first.
pub fn steps(lines: &Places, backwards: bool) -> Steps {
    let mut ranges: Vec<_> = lines.ranges().collect();
    ranges.sort_by_key(|range| std::cmp::Reverse(range.len()));
    let longest = ranges.first().map_or(0, |range| range.len());
    let at = |step: usize| {
        let taking = ranges.iter().take_while(move |range| range.len() > step);
        taking.map(move |range| if backwards { range.end - 1 - step } else { range.start + step }).collect()
    };
    (0..longest).map(at).collect()
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

/// States after each token, `[tokens, H]`, of inputs `[tokens, 3 H]`, weight `[3 H, H]` and bias `[3 H]`.
pub fn forward(inputs: &[f32], weight: &[f32], bias: &[f32], steps: &Steps, products: Products) -> Result<Vec<f32>> {
    let three = bias.len();
    let units = three / 3;
    let mut states = vec![0f32; inputs.len() / 3];
    // Of the lines in the order of the steps.
    let mut before = vec![0f32; steps.first().map_or(0, Vec::len) * units];
    for taking in steps {
        before.truncate(taking.len() * units);
        let mut hidden = products.forward(&before, weight, units)?;
        for row in hidden.chunks_exact_mut(three) {
            row.iter_mut().zip(bias).for_each(|(h, b)| *h += b);
        }
        for_rows(&mut before, units, |n, state| {
            let inputs = &inputs[taking[n] * three..(taking[n] + 1) * three];
            let hidden = &hidden[n * three..(n + 1) * three];
            for (u, state) in state.iter_mut().enumerate() {
                let Gates { update, new, .. } = gates(inputs, hidden, u, units);
                *state = (1.0 - update) * new + update * *state;
            }
        });
        for (state, &at) in before.chunks_exact(units).zip(taking) {
            states[at * units..(at + 1) * units].copy_from_slice(state);
        }
    }
    Ok(states)
}

/// States before each token, `[tokens, H]`.
fn before(states: &[f32], steps: &Steps, units: usize) -> Vec<f32> {
    let mut before = vec![0f32; states.len()];
    for pair in steps.windows(2) {
        for (&last, &at) in pair[0].iter().zip(&pair[1]) {
            before[at * units..(at + 1) * units].copy_from_slice(&states[last * units..(last + 1) * units]);
        }
    }
    before
}

/// The gradients of one token: the state's becomes what reaches the state before through the update gate; those of the inputs
/// and of the hidden part are put into `out`, `[2 · 3 H]`.
fn token_back(state: &mut [f32], inputs: &[f32], hidden: &[f32], before: &[f32], out: &mut [f32]) {
    let units = state.len();
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
}

/// The gradients of inputs, weight and bias from that of the states that [`forward`] made of them; of one token at least.
pub fn backward(
    (inputs, weight, bias): (&[f32], &[f32], &[f32]),
    states: &[f32],
    steps: &Steps,
    gradient: &[f32],
) -> Result<[Vec<f32>; 3]> {
    let three = bias.len();
    let units = three / 3;
    let before = before(states, steps, units);
    let mut hidden = Products::Fast.forward(&before, weight, units)?;
    for row in hidden.chunks_exact_mut(three) {
        row.iter_mut().zip(bias).for_each(|(h, b)| *h += b);
    }
    let weights = matrix(weight, units)?;
    let (mut of_inputs, mut of_hidden) = (vec![0f32; inputs.len()], vec![0f32; inputs.len()]);
    // What comes back to the states of the lines that take the step.
    let mut coming: Vec<f32> = Vec::new();
    for taking in steps.iter().rev() {
        coming.resize(taking.len() * units, 0.0);
        for (coming, &at) in coming.chunks_exact_mut(units).zip(taking) {
            coming.iter_mut().zip(&gradient[at * units..(at + 1) * units]).for_each(|(sum, g)| *sum += g);
        }
        // A line's state, and behind it the gradients of its token.
        let mut all = vec![0f32; taking.len() * 7 * units];
        for_rows(&mut all, 7 * units, |n, row| {
            let (state, out) = row.split_at_mut(units);
            state.copy_from_slice(&coming[n * units..(n + 1) * units]);
            let (at, one) = (taking[n] * three..(taking[n] + 1) * three, taking[n] * units..(taking[n] + 1) * units);
            token_back(state, &inputs[at.clone()], &hidden[at], &before[one], out);
        });
        let mut step = Vec::with_capacity(taking.len() * three);
        for (n, (row, &at)) in all.chunks_exact(7 * units).zip(taking).enumerate() {
            coming[n * units..(n + 1) * units].copy_from_slice(&row[..units]);
            of_inputs[at * three..(at + 1) * three].copy_from_slice(&row[units..4 * units]);
            of_hidden[at * three..(at + 1) * three].copy_from_slice(&row[4 * units..]);
            step.extend_from_slice(&row[4 * units..]);
        }
        coming.iter_mut().zip(through(&step, &weights)?).for_each(|(sum, x)| *sum += x);
    }
    let of_bias = column_sums(&of_hidden, three);
    let of_weight = matrix(&of_hidden, three)?.t()?.matmul(&matrix(&before, units)?)?;
    Ok([of_inputs, of_weight.flatten_all()?.to_vec1::<f32>()?, of_bias])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_take_their_steps_longest_first_and_leave_at_their_ends() {
        let mut lines = Places::default();
        for length in [1, 3, 0, 2] {
            lines.push(0..length);
        }
        // Tokens 0; 1 to 3; none; 4 and 5.
        assert_eq!(steps(&lines, false), [vec![1, 4, 0], vec![2, 5], vec![3]]);
        assert_eq!(steps(&lines, true), [vec![3, 5, 0], vec![2, 4], vec![1]]);
        assert!(steps(&Places::default(), true).is_empty());
    }
}
