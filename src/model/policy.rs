//! `policy.json`: which predictions are accepted without a person, and the evidence for it.
//!
//! Always holds after [`Policy::validate`]: every number is finite and in its range, and the evidence adds
//! up. Refuses: deciding. That is the room `policy`, which reads this.

use super::manifest::{refused, sha256_hex, to_json};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// File name in a bundle.
pub const POLICY: &str = "policy.json";
/// A threshold that no confidence reaches.
pub const ACCEPT_NOTHING: f32 = 1.01;
/// Level of the one-sided confidence bounds.
pub const BOUND: f64 = 0.95;
/// Points of a risk-coverage curve, at most.
pub const MAX_CURVE_POINTS: usize = 50;
/// Texts that say nothing of the goods, in the normalised form (lower case, single spaces). The examples of
/// unacceptable descriptions of the EU's and the US' advance cargo rules, and what couriers write.
pub const VAGUE: [&str; 66] = [
    "accessories",
    "articles",
    "as per attached list",
    "as per invoice",
    "as per packing list",
    "assorted goods",
    "assorted items",
    "cargo",
    "commercial samples",
    "commodity",
    "consolidated cargo",
    "consumables",
    "daily necessities",
    "dangerous goods",
    "diplomatic cargo",
    "documents",
    "donation items",
    "equipment",
    "freight all kinds",
    "freight of all kinds",
    "general cargo",
    "general goods",
    "general merchandise",
    "gift",
    "gifts",
    "goods",
    "household effects",
    "household goods",
    "household items",
    "items",
    "machine parts",
    "machinery parts",
    "materials",
    "merchandise",
    "miscellaneous",
    "miscellaneous goods",
    "mixed goods",
    "n/a",
    "new items",
    "no description",
    "office supplies",
    "other articles nes",
    "parts",
    "personal effects",
    "products",
    "project cargo",
    "promotional items",
    "repair and return",
    "return goods",
    "returned goods",
    "said to contain",
    "sample",
    "samples",
    "samples no commercial value",
    "see packing list",
    "spare parts",
    "spares",
    "stock lot",
    "sundries",
    "trade goods",
    "unknown",
    "used personal effects",
    "used personal items",
    "various articles",
    "various goods",
    "various items",
];

const MAX_VAGUE_TEXTS: usize = 10_000;
const MAX_VAGUE_BYTES: usize = 1_024;

/// When a prediction is accepted, goes to a person, or is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// A prediction is accepted when its confidence is at least this; above 1 nothing is.
    pub threshold: f32,
    /// Share of accepted texts that must be right, 0 to 1.
    pub target_precision: f64,
    /// Level of the one-sided bound under which the target is proved, 0 to 1.
    pub bound: f64,
    /// Share of texts that people can look at, when the threshold was chosen by it; 0 to 1.
    pub review_budget: Option<f64>,
    /// Share of accepted texts that go to people all the same, by a hash of the text; 0 to 1.
    pub audit_ratio: f64,
    /// Normalised texts that are refused, because they name no goods.
    pub vague: Vec<String>,
    /// A text is refused when a larger share of its tokens is unknown to the model; 0 to 1.
    pub out_of_vocabulary_ratio: f64,
    /// Why the threshold is what it is.
    pub evidence: Evidence,
    /// From which confidence the heading is sure by the same target, although the subheading is not.
    #[serde(default)]
    pub heading: LevelThreshold,
    /// The same of the chapter.
    #[serde(default)]
    pub chapter: LevelThreshold,
    /// Thresholds of single headings, by their four digits: a prediction in one of them is accepted at that confidence too.
    /// Empty unless they prove what no one threshold does.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub single_headings: BTreeMap<String, HeadingThreshold>,
}

/// A threshold of one heading, with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadingThreshold {
    /// Accepted at this confidence or above.
    pub threshold: f32,
    /// Distinct texts whose prediction was in the heading.
    pub texts: u64,
    /// Of these, those at or above the threshold.
    pub accepted: u64,
    /// Accepted texts whose code was wrong.
    pub errors: u64,
    /// Upper bound on the error rate among the accepted texts.
    pub error_upper_bound: f64,
    /// One-sided level of that bound; above the policy's own, which is shared among the headings that were tried.
    pub level: f64,
}

/// A threshold for fewer digits than six, with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelThreshold {
    /// Sure at this confidence or above; above 1 never.
    pub threshold: f32,
    /// Why it is what it is.
    pub evidence: Evidence,
}

impl Default for LevelThreshold {
    /// Never sure, since there is no evidence yet.
    fn default() -> Self {
        LevelThreshold { threshold: ACCEPT_NOTHING, evidence: Evidence::default() }
    }
}

/// What was seen, on validation rows that served neither to train nor to calibrate, when a threshold was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Lines behind the texts.
    pub rows: u64,
    /// Distinct texts, each one independent observation.
    pub texts: u64,
    /// Texts at or above the threshold.
    pub accepted: u64,
    /// Accepted texts whose code was wrong.
    pub errors: u64,
    /// `accepted / texts`; 0 without texts.
    pub coverage_ratio: f64,
    /// `1 - errors / accepted`; 0 when nothing was accepted.
    pub precision: f64,
    /// Upper bound on the error rate among accepted texts, at the policy's level.
    pub error_upper_bound: f64,
    /// How bound and threshold were found.
    pub method: String,
    /// Accepted texts without a single error that the target needs at least; `None` without a target.
    pub error_free_texts_needed: Option<u64>,
    /// (coverage, share of errors among accepted) from the surest texts to all, at most 50 points.
    pub risk_coverage: Vec<(f64, f64)>,
}

impl Default for Evidence {
    /// No evidence at all: the error rate is bounded by 1.
    fn default() -> Self {
        Evidence {
            rows: 0,
            texts: 0,
            accepted: 0,
            errors: 0,
            coverage_ratio: 0.0,
            precision: 0.0,
            error_upper_bound: 1.0,
            method: "none".to_owned(),
            error_free_texts_needed: None,
            risk_coverage: Vec::new(),
        }
    }
}

impl Default for Policy {
    /// Accepts nothing, since there is no evidence yet.
    fn default() -> Self {
        Policy {
            threshold: ACCEPT_NOTHING,
            target_precision: 0.98,
            bound: BOUND,
            review_budget: None,
            audit_ratio: 0.01,
            vague: VAGUE.iter().map(|s| (*s).to_owned()).collect(),
            out_of_vocabulary_ratio: 0.5,
            evidence: Evidence::default(),
            heading: LevelThreshold::default(),
            chapter: LevelThreshold::default(),
            single_headings: BTreeMap::new(),
        }
    }
}

impl HeadingThreshold {
    /// Refuses a name that is no heading, and numbers out of their range.
    fn validate(&self, heading: &str) -> Result<()> {
        let is_heading = heading.len() == 4 && heading.bytes().all(|b| b.is_ascii_digit());
        let adds_up = self.errors <= self.accepted && self.accepted <= self.texts;
        let in_range = (0.0..=2.0).contains(&self.threshold) && (0.0..=1.0).contains(&self.error_upper_bound);
        if is_heading && adds_up && in_range && self.level > 0.0 && self.level < 1.0 {
            return Ok(());
        }
        let why =
            format!("single_headings: {heading:?} must be 4 digits with numbers in their range; train the model again");
        Err(refused(POLICY, why))
    }
}

impl Evidence {
    /// Refuses shares out of their range and counts that do not add up.
    fn validate(&self) -> Result<()> {
        let ratio = |x: f64| (0.0..=1.0).contains(&x);
        let shares = [
            ("coverage_ratio", self.coverage_ratio),
            ("precision", self.precision),
            ("error_upper_bound", self.error_upper_bound),
        ];
        if let Some((field, value)) = shares.into_iter().find(|(_, value)| !ratio(*value)) {
            return Err(refused(POLICY, format!("{field} is {value}, it must be 0 to 1; correct the policy")));
        }
        if !(self.errors <= self.accepted && self.accepted <= self.texts && self.texts <= self.rows) {
            return Err(refused(
                POLICY,
                format!(
                    "the evidence does not add up: {} errors, {} accepted, {} texts, {} rows; train the model again",
                    self.errors, self.accepted, self.texts, self.rows
                ),
            ));
        }
        let points = &self.risk_coverage;
        if points.len() > MAX_CURVE_POINTS || !points.iter().all(|(c, r)| ratio(*c) && ratio(*r)) {
            return Err(refused(
                POLICY,
                format!("risk_coverage must be at most {MAX_CURVE_POINTS} pairs of 0 to 1; train the model again"),
            ));
        }
        Ok(())
    }
}

impl Policy {
    /// Whether no confidence is enough.
    pub fn accepts_nothing(&self) -> bool {
        self.threshold >= ACCEPT_NOTHING && self.single_headings.is_empty()
    }

    /// SHA-256 of the policy as `policy.json` spells it, 64 hexadecimal digits.
    pub fn digest(&self) -> String {
        // Strings, numbers and lists always have a spelling, so the error arm is never taken; it is still a
        // digest that equals no other policy's.
        to_json(POLICY, self).map_or_else(|e| sha256_hex(e.to_string().as_bytes()), |json| sha256_hex(&json))
    }

    /// Refuses numbers out of their range and evidence that does not add up.
    ///
    /// # Errors
    /// [`crate::error::Error::Registry`] naming the field.
    pub fn validate(&self) -> Result<()> {
        let open = |x: f64| x > 0.0 && x < 1.0;
        let ratio = |x: f64| (0.0..=1.0).contains(&x);
        let checks = [
            ("threshold", f64::from(self.threshold), (0.0..=2.0).contains(&self.threshold), "0 to 2"),
            ("target_precision", self.target_precision, open(self.target_precision), "between 0 and 1"),
            ("bound", self.bound, open(self.bound), "between 0 and 1"),
            ("review_budget", self.review_budget.unwrap_or(0.0), self.review_budget.is_none_or(ratio), "0 to 1"),
            ("audit_ratio", self.audit_ratio, ratio(self.audit_ratio), "0 to 1"),
            ("out_of_vocabulary_ratio", self.out_of_vocabulary_ratio, ratio(self.out_of_vocabulary_ratio), "0 to 1"),
            (
                "heading threshold",
                self.heading.threshold.into(),
                (0.0..=2.0).contains(&self.heading.threshold),
                "0 to 2",
            ),
            (
                "chapter threshold",
                self.chapter.threshold.into(),
                (0.0..=2.0).contains(&self.chapter.threshold),
                "0 to 2",
            ),
        ];
        for (field, value, fits, range) in checks {
            if !fits {
                return Err(refused(POLICY, format!("{field} is {value}, it must be {range}; correct the policy")));
            }
        }
        [&self.evidence, &self.heading.evidence, &self.chapter.evidence]
            .into_iter()
            .try_for_each(Evidence::validate)?;
        self.single_headings.iter().try_for_each(|(heading, threshold)| threshold.validate(heading))?;
        let text_fits = |t: &String| !t.is_empty() && t.len() <= MAX_VAGUE_BYTES && t.trim() == t;
        if self.vague.len() > MAX_VAGUE_TEXTS || !self.vague.iter().all(text_fits) {
            return Err(refused(
                POLICY,
                format!(
                    "vague must be at most {MAX_VAGUE_TEXTS} texts of 1 to {MAX_VAGUE_BYTES} bytes without outer spaces; \
                     correct the list"
                ),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::manifest::parse_json;

    fn refusal(change: impl FnOnce(&mut Policy)) -> String {
        let mut policy = Policy::default();
        change(&mut policy);
        policy.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_default_accepts_nothing_and_is_valid() {
        let policy = Policy::default();
        policy.validate().unwrap();
        assert!(policy.threshold > 1.0);
        assert!(policy.vague.is_sorted() && policy.vague.iter().all(|t| t.to_lowercase() == *t));
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        assert!(refusal(|p| p.threshold = f32::NAN).contains("threshold is NaN"));
        assert!(refusal(|p| p.threshold = f32::INFINITY).contains("threshold is inf"));
        assert!(refusal(|p| p.threshold = -0.1).contains("threshold"));
        assert!(refusal(|p| p.audit_ratio = 1.5).contains("audit_ratio is 1.5"));
        assert!(refusal(|p| p.review_budget = Some(f64::NAN)).contains("review_budget is NaN"));
        assert!(refusal(|p| p.bound = 1.0).contains("bound is 1"));
        assert!(refusal(|p| p.evidence.precision = f64::NAN).contains("precision is NaN"));
        assert!(refusal(|p| p.evidence.errors = 1).contains("1 errors, 0 accepted"));
        assert!(refusal(|p| p.evidence.risk_coverage = vec![(0.5, f64::NAN)]).contains("risk_coverage"));
        assert!(refusal(|p| p.vague.push(" gift".into())).contains("vague"));
    }

    #[test]
    fn thresholds_of_headings_are_checked_and_change_nothing_where_there_are_none() {
        let own = HeadingThreshold {
            threshold: 0.9,
            texts: 210,
            accepted: 200,
            errors: 0,
            error_upper_bound: 0.02,
            level: 0.975,
        };
        let with = |heading: &str, own: &HeadingThreshold| Policy {
            single_headings: [(heading.to_string(), own.clone())].into(),
            ..Policy::default()
        };
        let policy = with("8711", &own);
        policy.validate().unwrap();
        assert!(!policy.accepts_nothing());
        let json = to_json(POLICY, &policy).unwrap();
        assert_eq!(parse_json::<Policy>(POLICY, &json, 1 << 20).unwrap(), policy);
        let without = String::from_utf8(to_json(POLICY, &Policy::default()).unwrap()).unwrap();
        assert!(!without.contains("single_headings"), "the digest of an older policy is what it was");
        for (heading, own) in [
            ("87112", &own),
            ("87", &own),
            ("ab12", &own),
            ("8711", &HeadingThreshold { threshold: f32::NAN, ..own.clone() }),
            ("8711", &HeadingThreshold { accepted: 211, ..own.clone() }),
            ("8711", &HeadingThreshold { level: 1.0, ..own.clone() }),
            ("8711", &HeadingThreshold { error_upper_bound: f64::NAN, ..own.clone() }),
        ] {
            assert!(with(heading, own).validate().unwrap_err().to_string().contains("single_headings"), "{own:?}");
        }
    }

    #[test]
    fn the_digest_is_that_of_the_file_and_sees_every_change() {
        let policy = Policy { threshold: 0.875, ..Policy::default() };
        let json = to_json(POLICY, &policy).unwrap();
        assert_eq!(policy.digest(), sha256_hex(&json));
        assert_eq!(parse_json::<Policy>(POLICY, &json, 1 << 20).unwrap().digest(), policy.digest());
        let other = Policy { audit_ratio: 0.02, ..policy.clone() };
        assert_ne!(other.digest(), policy.digest());
    }
}
