//! The limits that a promotion has to keep, as the section `[gates]` of the settings says them.
//!
//! Always holds: at least one limit, shares between 0 and 1, no key that this program does not know. Refuses: judging by
//! them; that is `verdict`.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::registry::{CHAMPION, ModelRef, Selector};

/// Evidence that has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Required {
    /// The comparison is over labelled lines.
    Labels,
    /// It is over what reviewers decided.
    Decisions,
    /// Its nightly test proved that the challenger is better.
    Nightly,
    /// It names its report, which is given with it.
    Report,
}

/// The section `[gates]`; `None` means no such limit. Shares and differences are from 0 to 1.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// Aliases that they guard.
    pub aliases: Vec<String>,
    /// Least share of the texts that the challenger's own policy accepts.
    pub min_coverage: Option<f64>,
    /// Least precision among these: the lower end of its 95 % interval has to reach it.
    pub min_precision: Option<f64>,
    /// Largest fall of accuracy at six digits: the lower end of the 95 % interval of the difference has to be above it.
    pub max_drop_hs6: Option<f64>,
    /// The same at four digits.
    pub max_drop_hs4: Option<f64>,
    /// The same at two digits.
    pub max_drop_hs2: Option<f64>,
    /// No chapter may be proved to fall by more than this, at six digits.
    pub max_chapter_drop: Option<f64>,
    /// Largest expected calibration error of the challenger, at each of 6, 4 and 2 digits.
    pub max_calibration_error: Option<f64>,
    /// Largest share of the texts for which the models give different codes.
    pub max_churn: Option<f64>,
    /// Largest CPU time of an answer, in those of the champion.
    pub max_slowdown: Option<f64>,
    /// Most memory that the compiled challenger takes, in bytes.
    pub max_memory_bytes: Option<u64>,
    /// Fewest distinct texts that were compared.
    pub min_texts: Option<u64>,
    /// Oldest comparison, in days.
    pub max_evidence_age_days: Option<u64>,
    /// Evidence that has to be there.
    pub require: Vec<Required>,
    /// Whether a person has to approve by name.
    pub human_approval: bool,
    /// Fewest runs in which the challenger was scored beside the champion.
    pub min_shadow_runs: Option<u64>,
    /// Fewest lines that it answered in these.
    pub min_shadow_lines: Option<u64>,
}

impl Default for Gates {
    fn default() -> Gates {
        Gates {
            aliases: vec![CHAMPION.to_owned()],
            min_coverage: None,
            min_precision: None,
            max_drop_hs6: None,
            max_drop_hs4: None,
            max_drop_hs2: None,
            max_chapter_drop: None,
            max_calibration_error: None,
            max_churn: None,
            max_slowdown: None,
            max_memory_bytes: None,
            min_texts: None,
            max_evidence_age_days: None,
            require: Vec::new(),
            human_approval: false,
            min_shadow_runs: None,
            min_shadow_lines: None,
        }
    }
}

impl Gates {
    /// Whether a promotion to this alias has to pass them.
    pub fn guard(&self, alias: &str) -> bool {
        self.aliases.iter().any(|guarded| guarded == alias)
    }

    /// Whether the runs of a lake are asked about.
    pub fn need_runs(&self) -> bool {
        self.min_shadow_runs.is_some() || self.min_shadow_lines.is_some()
    }

    /// That they can be judged by.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the key.
    pub fn check(&self) -> Result<()> {
        let refuse = |why: String| Err(Error::Usage(format!("[gates] {why}")));
        for (key, value) in [
            ("min_coverage", self.min_coverage),
            ("min_precision", self.min_precision),
            ("max_drop_hs6", self.max_drop_hs6),
            ("max_drop_hs4", self.max_drop_hs4),
            ("max_drop_hs2", self.max_drop_hs2),
            ("max_chapter_drop", self.max_chapter_drop),
            ("max_calibration_error", self.max_calibration_error),
            ("max_churn", self.max_churn),
        ] {
            if let Some(value) = value.filter(|value| !(0.0..=1.0).contains(value)) {
                return refuse(format!("{key} = {value}: give a share from 0 to 1"));
            }
        }
        if let Some(ratio) = self.max_slowdown.filter(|ratio| !(ratio.is_finite() && *ratio > 0.0)) {
            return refuse(format!("max_slowdown = {ratio}: give a ratio above 0, such as 1.5"));
        }
        if self.require.contains(&Required::Labels) && self.require.contains(&Required::Decisions) {
            return refuse("require: one comparison is over labels or over decisions, not over both".into());
        }
        if self.aliases.is_empty() {
            return refuse("aliases: name at least one, such as [\"champion\"]".into());
        }
        for alias in &self.aliases {
            let named: Result<ModelRef> = format!("hs@{alias}").parse();
            if !named.is_ok_and(|named| matches!(named.selector(), Selector::Alias(_))) {
                return refuse(format!("aliases: {alias:?} is no alias; write a-z, then a-z, 0-9 and '-'"));
            }
        }
        if *self == (Gates { aliases: self.aliases.clone(), ..Gates::default() }) {
            return refuse("sets no limit; docs/operations.md lists them".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Gates, String> {
        let gates: Gates = toml::from_str(text).map_err(|e| e.to_string())?;
        gates.check().map_err(|e| e.to_string())?;
        Ok(gates)
    }

    #[test]
    fn every_limit_may_be_given_alone_and_the_champion_is_guarded() {
        for limit in [
            "min_coverage = 0.5",
            "min_precision = 0.98",
            "max_drop_hs6 = 0.0",
            "max_drop_hs4 = 0.01",
            "max_drop_hs2 = 0.01",
            "max_chapter_drop = 0.05",
            "max_calibration_error = 0.03",
            "max_churn = 0.2",
            "max_slowdown = 1.5",
            "max_memory_bytes = 1000",
            "min_texts = 10",
            "max_evidence_age_days = 7",
            "require = [\"nightly\", \"report\"]",
            "human_approval = true",
            "min_shadow_runs = 3",
            "min_shadow_lines = 1000",
        ] {
            let gates = parsed(limit).unwrap();
            assert!(gates.guard("champion") && !gates.guard("challenger"), "{limit}");
            assert_eq!(gates.need_runs(), limit.contains("shadow"), "{limit}");
        }
        let others = parsed("aliases = [\"eu\", \"us\"]\nhuman_approval = true").unwrap();
        assert!(others.guard("us") && !others.guard("champion"));
    }

    #[test]
    fn unknown_keys_and_limits_that_are_none_are_refused_by_name() {
        for (text, words) in [
            ("min_covrage = 0.5", "unknown field `min_covrage`"),
            ("min_coverage = 50", "min_coverage = 50: give a share"),
            ("max_churn = -0.1", "max_churn"),
            ("max_slowdown = 0", "max_slowdown"),
            ("max_slowdown = nan", "max_slowdown"),
            ("min_texts = -1", "min_texts"),
            ("require = [\"luck\"]", "unknown variant `luck`"),
            ("require = [\"labels\", \"decisions\"]", "not over both"),
            ("aliases = []\nmin_texts = 1", "at least one"),
            ("aliases = [\"latest\"]\nmin_texts = 1", "is no alias"),
            ("aliases = [\"Best\"]\nmin_texts = 1", "is no alias"),
            ("", "sets no limit"),
            ("human_approval = false", "sets no limit"),
        ] {
            let why = parsed(text).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
    }
}
