//! What a bundle computes with: the Text-CNN that the fast engine compiles, or a network of another architecture.

use super::config::{ARCHITECTURE, Config};
use super::nets::{Net, Shape};
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::text::Grams;
use bytes::Bytes;

/// A network with its numbers.
#[derive(Clone, Debug)]
pub enum Network {
    /// Windows, and perhaps averaged n-grams.
    TextCnn(Box<TextCnn>),
    /// One of the others.
    Other(Net),
}

/// A Text-CNN with its numbers.
#[derive(Clone, Debug)]
pub struct TextCnn {
    /// Every dimension.
    pub config: Config,
    /// The numbers, which fit the config.
    pub weights: Weights,
}

impl Network {
    /// A Text-CNN.
    pub fn text_cnn(config: Config, weights: Weights) -> Network {
        Network::TextCnn(Box::new(TextCnn { config, weights }))
    }

    /// Name of the architecture.
    pub fn architecture(&self) -> &str {
        match self {
            Network::TextCnn(cnn) => &cnn.config.architecture,
            Network::Other(net) => net.shape().name(),
        }
    }

    /// Classes.
    pub fn classes(&self) -> usize {
        match self {
            Network::TextCnn(cnn) => cnn.config.classes,
            Network::Other(net) => net.shape().classes(),
        }
    }

    /// Tokens of a line that are looked at, and words of which the n-grams are.
    pub fn max_tokens(&self) -> usize {
        match self {
            Network::TextCnn(cnn) => cnn.config.max_tokens,
            Network::Other(net) => net.shape().max_tokens(),
        }
    }

    /// The n-grams that it sees, if any.
    pub fn grams(&self) -> Option<Grams> {
        match self {
            Network::TextCnn(cnn) => cnn.config.bag.map(|bag| bag.grams),
            Network::Other(net) => net.shape().grams(),
        }
    }

    /// The contents of `config.json`.
    ///
    /// # Errors
    /// `Bug`.
    pub fn config(&self) -> Result<serde_json::Value> {
        let value = match self {
            Network::TextCnn(cnn) => serde_json::to_value(&cnn.config),
            Network::Other(net) => serde_json::to_value(net.shape()),
        };
        value.map_err(|e| Error::Bug(format!("the config cannot be written: {e}")))
    }

    /// The contents of `model.safetensors`.
    ///
    /// # Errors
    /// `Registry` when the numbers do not fit or are not finite.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        match self {
            Network::TextCnn(cnn) => cnn.weights.to_safetensors(&cnn.config),
            Network::Other(net) => net.to_safetensors(),
        }
    }
}

/// What `config.json` says.
#[derive(Clone, Debug, PartialEq)]
pub enum NetworkConfig {
    /// Of a Text-CNN.
    TextCnn(Config),
    /// Of another architecture.
    Other(Shape),
}

impl NetworkConfig {
    /// From JSON without doubled keys.
    ///
    /// # Errors
    /// In words: an architecture that there is not, a key that is missing, or one that there is not.
    pub(super) fn parse(json: serde_json::Value) -> std::result::Result<NetworkConfig, String> {
        let name = json["architecture"].as_str().unwrap_or_default().to_string();
        if name == ARCHITECTURE {
            let given = json.clone();
            let config: Config = serde_json::from_value(json).map_err(|e| e.to_string())?;
            let known = serde_json::to_value(&config).map_err(|e| e.to_string())?;
            // A field that is `null` may be left out when it is written.
            let odd = given.as_object().and_then(|given| {
                given.iter().find(|(key, value)| known.get(key).is_none() && !value.is_null()).map(|(key, _)| key)
            });
            return match odd {
                Some(key) => Err(format!("unknown field {key:?}; use the program that wrote it")),
                None => Ok(NetworkConfig::TextCnn(config)),
            };
        }
        if Shape::NAMES.contains(&name.as_str()) {
            return match serde_json::from_value(json) {
                Ok(shape) => Ok(NetworkConfig::Other(shape)),
                Err(e) => Err(format!("{e}; use the program that wrote it")),
            };
        }
        let known = Shape::NAMES.join(", ");
        Err(format!("architecture {name:?} is none of {ARCHITECTURE}, {known}; use the program that wrote it"))
    }

    /// Refuses a shape that is empty or absurd.
    ///
    /// # Errors
    /// `Registry`, with the dimension.
    pub fn validate(&self) -> Result<()> {
        match self {
            NetworkConfig::TextCnn(config) => config.validate(),
            NetworkConfig::Other(shape) => shape.validate(),
        }
    }

    /// Tokens of a line that are looked at, and words of which the n-grams are.
    pub fn max_tokens(&self) -> usize {
        match self {
            NetworkConfig::TextCnn(config) => config.max_tokens,
            NetworkConfig::Other(shape) => shape.max_tokens(),
        }
    }

    /// The n-grams that it sees, if any.
    pub fn grams(&self) -> Option<Grams> {
        match self {
            NetworkConfig::TextCnn(config) => config.bag.map(|bag| bag.grams),
            NetworkConfig::Other(shape) => shape.grams(),
        }
    }

    pub(super) fn architecture(&self) -> &str {
        match self {
            NetworkConfig::TextCnn(config) => &config.architecture,
            NetworkConfig::Other(shape) => shape.name(),
        }
    }

    pub(super) fn classes(&self) -> usize {
        match self {
            NetworkConfig::TextCnn(config) => config.classes,
            NetworkConfig::Other(shape) => shape.classes(),
        }
    }

    /// The network of these dimensions in a file of weights.
    ///
    /// # Errors
    /// `Registry` with what does not fit.
    pub(super) fn read(self, bytes: &Bytes) -> Result<Network> {
        match self {
            NetworkConfig::TextCnn(config) => {
                let weights = Weights::from_safetensors(bytes, &config)?;
                Ok(Network::text_cnn(config, weights))
            }
            NetworkConfig::Other(shape) => Ok(Network::Other(Net::from_safetensors(bytes, &shape)?)),
        }
    }
}
