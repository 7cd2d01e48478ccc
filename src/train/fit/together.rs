//! A network of windows and the averaged n-grams trained as one: the softmax is of the sum of their logits, so each learns what
//! the other does not say.

use super::bag::BagNetwork;
use super::checkpoint::Numbers;
use super::learner::Learner;
use super::network::{dropout_mask, with_slice};
use super::{Example, Random, Windows};
use crate::error::{Error, Result};
use crate::train::ops::softmax_loss;
use crate::train::optimiser::clip;

/// Lists of numbers of the n-grams' parameters: table, bias, output, output bias.
const BAG_LISTS: usize = 4;

/// Both learners; what they hold is written one after the other.
pub(super) struct Together<'a> {
    pub(super) windows: Windows<'a>,
    pub(super) bag: BagNetwork<'a>,
}

impl Learner for Together<'_> {
    fn step(&mut self, batch: &[usize], rate: f64, random: &mut Random) -> Result<f64> {
        let Together { windows, bag } = self;
        let hyper = windows.hyper;
        let (tokens, targets): (Vec<_>, Vec<_>) = windows.shown(batch, random).into_iter().unzip();
        let keep = dropout_mask(tokens.len() * windows.config.features(), hyper.dropout as f32, random);
        let (grams, _, keep_of_bag) = bag.shown(batch, random);
        let (of_windows, of_bag) = (windows.network.ahead(&tokens, &keep)?, bag.ahead(&grams, &keep_of_bag)?);
        let mut logits = of_windows.logits()?;
        logits.iter_mut().zip(of_bag.logits()?).for_each(|(sum, x)| *sum += x);
        let mut bias = with_slice(windows.network.output_bias(), |bias| bias.to_vec())?;
        with_slice(bag.output_bias(), |more| bias.iter_mut().zip(more).for_each(|(sum, x)| *sum += x))?;
        let loss = softmax_loss(&mut logits, &bias, &targets, hyper.label_smoothing as f32)?;
        let of_windows = windows.network.back(of_windows, &keep, logits.clone(), loss)?;
        let of_bag = bag.back(of_bag, &keep_of_bag, logits, loss)?;
        let scale = clip(of_windows.squares()? + of_bag.squares()?, hyper.clip_norm);
        windows.network.apply(&of_windows, hyper, rate, scale)?;
        bag.apply(&of_bag, rate, scale)?;
        Ok(loss)
    }

    fn snapshot(&self) -> Result<Numbers> {
        let mut lists = self.windows.snapshot()?;
        lists.extend(self.bag.snapshot()?);
        Ok(lists)
    }

    fn logits(&self, weights: &Numbers, lines: &[Example]) -> Result<Vec<f32>> {
        let (of_windows, of_bag) = parted(weights.clone())?;
        let mut logits = self.windows.logits(&of_windows, lines)?;
        logits.iter_mut().zip(self.bag.logits(&of_bag, lines)?).for_each(|(sum, x)| *sum += x);
        Ok(logits)
    }

    fn state(&self) -> Result<Numbers> {
        let mut lists = self.windows.state()?;
        let of_windows = lists.len();
        lists.extend(self.bag.state()?);
        lists.push(vec![f32::from_bits(of_windows as u32)]);
        Ok(lists)
    }

    fn restore(&mut self, mut state: Numbers) -> Result<()> {
        let refuse = || Error::Bug("a checkpoint is of another shape".to_string());
        let of_windows = state.pop().and_then(|list| Some(list.first()?.to_bits() as usize)).ok_or_else(refuse)?;
        if of_windows > state.len() {
            return Err(refuse());
        }
        let of_bag = state.split_off(of_windows);
        self.windows.restore(state)?;
        self.bag.restore(of_bag)
    }
}

/// A snapshot as that of the windows and that of the n-grams.
pub(super) fn parted(mut lists: Numbers) -> Result<(Numbers, Numbers)> {
    match lists.len().checked_sub(BAG_LISTS) {
        Some(of_windows) => {
            let of_bag = lists.split_off(of_windows);
            Ok((lists, of_bag))
        }
        None => Err(Error::Bug("a parameter is missing".to_string())),
    }
}
