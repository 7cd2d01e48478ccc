//! What a network does with a batch, written down as it is done, and the way back along it.
//!
//! Each step makes rows of numbers from parameters and from what earlier steps made. Backwards, a gradient goes from each step
//! to what it was made of; what several steps used gets the sum, in the order of the steps.

use super::batch::Places;
use super::pool::Pool;
use super::products::{self, Products};
use super::recurrence::{self, Steps};
use super::{attention, normal};
use crate::error::{Error, Result};

/// What a step made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made(usize);

/// What a step is made of: a parameter by its place, or what an earlier step made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Parameter(usize),
    Made(Made),
}

/// The steps so far.
pub struct Tape<'a> {
    /// Numbers of each parameter; of a table, perhaps a part of its rows.
    parameters: &'a [&'a [f32]],
    products: Products,
    steps: Vec<Step>,
    /// Rows that each step made, and how many numbers a row has.
    made: Vec<(Vec<f32>, usize)>,
}

enum Step {
    Gather { table: usize, rows: Vec<u32> },
    Pool { of: From, pool: Pool, places: Places },
    Dense { of: Made, weight: usize, bias: usize },
    Sum(Made, Made),
    Rectify(Made),
    Normalise { of: Made, gain: usize, bias: usize },
    Attend { of: Made, lines: Places, heads: usize },
    Recur { of: Made, weight: usize, bias: usize, steps: Steps },
    Beside(Made, Made),
}

impl<'a> Tape<'a> {
    /// An empty one.
    pub fn new(parameters: &'a [&'a [f32]], products: Products) -> Tape<'a> {
        Tape { parameters, products, steps: Vec::new(), made: Vec::new() }
    }

    /// The rows that a step made, one after the other.
    pub fn rows(&self, made: Made) -> &[f32] {
        &self.made[made.0].0
    }

    fn of(&self, from: From) -> &[f32] {
        match from {
            From::Parameter(n) => self.parameters[n],
            From::Made(made) => self.rows(made),
        }
    }

    fn columns(&self, made: Made) -> usize {
        self.made[made.0].1
    }

    fn put(&mut self, step: Step, rows: Vec<f32>, columns: usize) -> Made {
        self.steps.push(step);
        self.made.push((rows, columns));
        Made(self.made.len() - 1)
    }

    /// These rows of a table of so many columns.
    pub fn gather(&mut self, table: usize, columns: usize, rows: Vec<u32>) -> Made {
        let from = self.parameters[table];
        let all = rows.iter().flat_map(|&row| &from[row as usize * columns..][..columns]).copied().collect();
        self.put(Step::Gather { table, rows }, all, columns)
    }

    /// For each line one row from several, which have so many columns.
    pub fn pool(&mut self, of: From, columns: usize, pool: Pool, places: Places) -> Made {
        let rows = pool.forward(self.of(of), columns, &places);
        self.put(Step::Pool { of, pool, places }, rows, columns)
    }

    /// `row · weightᵀ + bias` of every row.
    pub fn dense(&mut self, of: Made, weight: usize, bias: usize) -> Result<Made> {
        let mut rows = self.products.forward(self.rows(of), self.parameters[weight], self.columns(of))?;
        let bias_of = self.parameters[bias];
        for row in rows.chunks_exact_mut(bias_of.len()) {
            row.iter_mut().zip(bias_of).for_each(|(x, b)| *x += b);
        }
        Ok(self.put(Step::Dense { of, weight, bias }, rows, bias_of.len()))
    }

    /// The sum of two of one shape.
    pub fn sum(&mut self, a: Made, b: Made) -> Made {
        let rows = self.rows(a).iter().zip(self.rows(b)).map(|(a, b)| a + b).collect();
        self.put(Step::Sum(a, b), rows, self.columns(a))
    }

    /// The numbers above 0, and 0 for the others.
    pub fn rectify(&mut self, of: Made) -> Made {
        let rows = self.rows(of).iter().map(|&x| if x > 0.0 { x } else { 0.0 }).collect();
        self.put(Step::Rectify(of), rows, self.columns(of))
    }

    /// See [`normal`].
    pub fn normalise(&mut self, of: Made, gain: usize, bias: usize) -> Made {
        let rows = normal::forward(self.rows(of), self.parameters[gain], self.parameters[bias]);
        self.put(Step::Normalise { of, gain, bias }, rows, self.columns(of))
    }

    /// See [`attention`].
    pub fn attend(&mut self, of: Made, lines: &Places, heads: usize) -> Made {
        let dim = self.columns(of) / 3;
        let rows = attention::forward(self.rows(of), dim, lines, heads);
        self.put(Step::Attend { of, lines: lines.clone(), heads }, rows, dim)
    }

    /// See [`recurrence`].
    pub fn recur(&mut self, of: Made, (weight, bias): (usize, usize), steps: Steps) -> Result<Made> {
        let of_weights = (self.parameters[weight], self.parameters[bias]);
        let states = recurrence::forward(self.rows(of), of_weights.0, of_weights.1, &steps, self.products)?;
        let units = self.columns(of) / 3;
        Ok(self.put(Step::Recur { of, weight, bias, steps }, states, units))
    }

    /// The rows of one with those of the other behind them.
    pub fn beside(&mut self, a: Made, b: Made) -> Made {
        let (left, right) = (self.columns(a), self.columns(b));
        let pairs = self.rows(a).chunks_exact(left).zip(self.rows(b).chunks_exact(right));
        let rows = pairs.flat_map(|(a, b)| a.iter().chain(b)).copied().collect();
        self.put(Step::Beside(a, b), rows, left + right)
    }

    /// From the gradient of what a step made to those of the parameters, for each of them; `None` where none of it came.
    pub fn backward(&self, last: Made, gradient: Vec<f32>) -> Result<Vec<Option<Vec<f32>>>> {
        let mut back = Back { parameters: vec![None; self.parameters.len()], made: vec![None; last.0 + 1] };
        if gradient.len() != self.rows(last).len() {
            return Err(Error::Bug(format!("{} gradients for {} numbers", gradient.len(), self.rows(last).len())));
        }
        back.made[last.0] = Some(gradient);
        for n in (0..=last.0).rev() {
            // A batch without tokens has nothing to learn from here.
            if let Some(gradient) = back.made[n].take().filter(|gradient| !gradient.is_empty()) {
                self.step_back(n, gradient, &mut back)?;
            }
        }
        Ok(back.parameters)
    }

    fn step_back(&self, n: usize, gradient: Vec<f32>, back: &mut Back) -> Result<()> {
        let (rows, columns) = (&self.made[n].0, self.made[n].1);
        match &self.steps[n] {
            Step::Gather { table, rows } => {
                let mut of_table = vec![0f32; self.parameters[*table].len()];
                for (&row, gradient) in rows.iter().zip(gradient.chunks_exact(columns)) {
                    add(&mut of_table[row as usize * columns..][..columns], gradient);
                }
                back.parameter(*table, of_table);
            }
            Step::Pool { of, pool, places } => {
                let found = pool.backward(self.of(*of), rows, columns, places, &gradient);
                match of {
                    From::Parameter(n) => back.parameter(*n, found),
                    From::Made(made) => back.made(*made, found),
                }
            }
            Step::Dense { of, weight, bias } => {
                back.parameter(*bias, super::arithmetic::column_sums(&gradient, columns));
                let (input, width) = (self.rows(*of), self.columns(*of));
                let (of_rows, of_weight) = products::backward(input, self.parameters[*weight], width, &gradient)?;
                back.parameter(*weight, of_weight);
                back.made(*of, of_rows);
            }
            Step::Sum(a, b) => {
                back.made(*a, gradient.clone());
                back.made(*b, gradient);
            }
            Step::Rectify(of) => {
                let open = gradient.iter().zip(rows).map(|(g, x)| if *x > 0.0 { *g } else { 0.0 });
                back.made(*of, open.collect());
            }
            Step::Normalise { of, gain, bias } => {
                let [of_rows, of_gain, of_bias] = normal::backward(self.rows(*of), self.parameters[*gain], &gradient);
                back.parameter(*gain, of_gain);
                back.parameter(*bias, of_bias);
                back.made(*of, of_rows);
            }
            Step::Attend { of, lines, heads } => {
                back.made(*of, attention::backward(self.rows(*of), columns, lines, *heads, &gradient));
            }
            Step::Recur { of, weight, bias, steps } => {
                let made_of = (self.rows(*of), self.parameters[*weight], self.parameters[*bias]);
                let [of_inputs, of_weight, of_bias] = recurrence::backward(made_of, rows, steps, &gradient)?;
                back.parameter(*weight, of_weight);
                back.parameter(*bias, of_bias);
                back.made(*of, of_inputs);
            }
            Step::Beside(a, b) => {
                let left = self.columns(*a);
                let lines = || gradient.chunks_exact(columns);
                back.made(*a, lines().flat_map(|line| &line[..left]).copied().collect());
                back.made(*b, lines().flat_map(|line| &line[left..]).copied().collect());
            }
        }
        Ok(())
    }
}

/// Gradients on the way back.
struct Back {
    parameters: Vec<Option<Vec<f32>>>,
    made: Vec<Option<Vec<f32>>>,
}

impl Back {
    fn parameter(&mut self, n: usize, gradient: Vec<f32>) {
        put(&mut self.parameters[n], gradient);
    }

    fn made(&mut self, made: Made, gradient: Vec<f32>) {
        put(&mut self.made[made.0], gradient);
    }
}

fn put(sum: &mut Option<Vec<f32>>, gradient: Vec<f32>) {
    match sum {
        Some(sum) => add(sum, &gradient),
        None => *sum = Some(gradient),
    }
}

fn add(sum: &mut [f32], addend: &[f32]) {
    sum.iter_mut().zip(addend).for_each(|(sum, x)| *sum += x);
}
