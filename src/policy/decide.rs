//! One line's decision and the reasons for it.
//!
//! Always holds: decisions and reasons come from closed lists, and reasons come in the order of the list.
//! Refuses: randomness and clocks. The audit sample is drawn by a hash of the text.

use crate::model::Policy;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// What happens to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The code stands without a person.
    Accept,
    /// A person looks at it.
    Review,
    /// There is no code: the text does not say what the goods are.
    Refuse,
    /// The code of the earlier edition still stands; no model was asked.
    Carried,
    /// The code was replaced by its one successor; no model was asked.
    Mapped,
    /// A person's decision or a ruling is kept, although its code needs a new one.
    Held,
}

impl Decision {
    /// Every decision.
    pub const ALL: [Decision; 6] =
        [Decision::Accept, Decision::Review, Decision::Refuse, Decision::Carried, Decision::Mapped, Decision::Held];

    /// The name in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Decision::Accept => "accept",
            Decision::Review => "review",
            Decision::Refuse => "refuse",
            Decision::Carried => "carried",
            Decision::Mapped => "mapped",
            Decision::Held => "held",
        }
    }
}

/// Why a line was not simply accepted. The order is the order in tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The confidence is below the policy's threshold.
    BelowThreshold,
    /// The text is on the policy's list of texts that name no goods, or the model takes it for one.
    Vague,
    /// Nothing is left of the text after normalisation, or no token.
    Empty,
    /// The bytes are not UTF-8.
    InvalidUtf8,
    /// The text was cut: the model did not see all of it.
    Truncated,
    /// Too many tokens are unknown to the model.
    OutOfVocabulary,
    /// It would have been accepted, and a person looks at it to measure how often that is wrong.
    AuditSample,
    /// The code keeps its number and changes what it covers.
    ScopeChanged,
    /// The code has several successors.
    Split,
    /// The code has one successor with another number.
    Renumbered,
    /// The code has no successor, or is not of the earlier edition.
    Orphaned,
    /// The description is null.
    NoText,
    /// The subheading is not sure, its heading is.
    HeadingSure,
    /// The heading is not sure, its chapter is.
    ChapterSure,
}

impl Reason {
    /// Every reason, in the order of tables.
    pub const ALL: [Reason; 14] = [
        Reason::BelowThreshold,
        Reason::Vague,
        Reason::Empty,
        Reason::InvalidUtf8,
        Reason::Truncated,
        Reason::OutOfVocabulary,
        Reason::AuditSample,
        Reason::ScopeChanged,
        Reason::Split,
        Reason::Renumbered,
        Reason::Orphaned,
        Reason::NoText,
        Reason::HeadingSure,
        Reason::ChapterSure,
    ];

    /// The name in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::BelowThreshold => "below_threshold",
            Reason::Vague => "vague",
            Reason::Empty => "empty",
            Reason::InvalidUtf8 => "invalid_utf8",
            Reason::Truncated => "truncated",
            Reason::OutOfVocabulary => "out_of_vocabulary",
            Reason::AuditSample => "audit_sample",
            Reason::ScopeChanged => "scope_changed",
            Reason::Split => "split",
            Reason::Renumbered => "renumbered",
            Reason::Orphaned => "orphaned",
            Reason::NoText => "no_text",
            Reason::HeadingSure => "heading_sure",
            Reason::ChapterSure => "chapter_sure",
        }
    }
}

/// A set of reasons.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Reasons(u16);

impl Reasons {
    /// No reason.
    pub const NONE: Reasons = Reasons(0);

    /// The set with `reason` in it.
    #[must_use]
    pub const fn with(self, reason: Reason) -> Reasons {
        Reasons(self.0 | 1 << reason as u16)
    }

    /// Whether `reason` is in the set.
    pub const fn has(self, reason: Reason) -> bool {
        self.0 & (1 << reason as u16) != 0
    }

    /// Whether there is no reason.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The reasons, in the order of [`Reason::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(move |reason| self.has(*reason))
    }
}

impl fmt::Debug for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Reason::as_str)).finish()
    }
}

/// What there is of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextState {
    Null,
    InvalidUtf8,
    /// Nothing is left after normalisation.
    Empty,
    Text,
}

/// What is known of one line. Without a text only `state` counts.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The subheading, six digits; empty without one.
    pub code: &'a str,
    /// Calibrated probability that it is right, 0 to 1.
    pub confidence: f32,
    /// The same of its heading and of its chapter.
    pub confidence_heading: f32,
    pub confidence_chapter: f32,
    /// The normalised text.
    pub normalised: &'a str,
    /// First 16 bytes of the digest of the normalised text.
    pub text_digest: [u8; 16],
    /// Tokens of the text.
    pub tokens: usize,
    /// Tokens among them that the model does not know.
    pub unknown_tokens: usize,
    /// The text was cut before it was normalised, or tokens were cut before they were scored.
    pub truncated: bool,
    /// The model takes it for a text that names no goods.
    pub vague: bool,
    pub state: TextState,
}

/// Words that count, pack or refer and name no goods.
const WRAPPING: [&str; 66] = [
    "and",
    "approx",
    "art",
    "as",
    "bag",
    "bags",
    "bale",
    "bales",
    "box",
    "boxes",
    "bundle",
    "bundles",
    "carton",
    "cartons",
    "case",
    "cases",
    "cntr",
    "container",
    "containers",
    "crate",
    "crates",
    "ctn",
    "ctns",
    "doz",
    "dozen",
    "drum",
    "drums",
    "ft",
    "gross",
    "gw",
    "inv",
    "kg",
    "kgs",
    "lot",
    "mod",
    "model",
    "net",
    "new",
    "no",
    "nos",
    "nw",
    "o",
    "of",
    "p",
    "package",
    "packages",
    "pallet",
    "pallets",
    "pc",
    "pcs",
    "per",
    "piece",
    "pieces",
    "pkg",
    "pkgs",
    "qty",
    "ref",
    "roll",
    "rolls",
    "sack",
    "sacks",
    "set",
    "sets",
    "stc",
    "units",
    "x",
];

/// Longest core that is looked up, in words: no vague text is longer.
const CORE_WORDS: usize = 6;

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// What a normalised text says besides numbers, references and packing: "1x40ft stc spare parts, 23 ctns" → "spare
/// parts". `None` when that is longer than any vague text, begins with a word that `begins` refuses, or is all of the text.
fn core(normalised: &str, begins: impl Fn(&str) -> bool) -> Option<String> {
    let mut core = String::new();
    let (mut count, mut left_out) = (0, false);
    for word in words(normalised) {
        let reference = word.len() == 1 || word.bytes().any(|b| b.is_ascii_digit());
        if reference || WRAPPING.binary_search(&word).is_ok() {
            left_out = true;
            continue;
        }
        count += 1;
        if count > CORE_WORDS || (count == 1 && !begins(word)) {
            return None;
        }
        if !core.is_empty() {
            core.push(' ');
        }
        core.push_str(word);
    }
    (left_out || core.len() != normalised.len()).then_some(core)
}

/// A policy made ready for many lines.
#[derive(Debug, Clone)]
pub struct Judge {
    threshold: f32,
    /// Of single headings.
    single_headings: BTreeMap<String, f32>,
    heading_threshold: f32,
    chapter_threshold: f32,
    vague: HashSet<String, foldhash::fast::RandomState>,
    /// Their first words: most texts begin with none of them.
    vague_begins: HashSet<String, foldhash::fast::RandomState>,
    out_of_vocabulary_ratio: f64,
    /// Accepted texts whose 32-bit hash is below this are looked at; 0 to 2^32.
    audit_cut_off: u64,
    /// Hash state after the model digest.
    salt: Sha256,
}

impl Judge {
    /// Compiles `policy` for the model whose digest this is.
    pub fn new(policy: &Policy, model_digest: &str) -> Judge {
        Judge {
            threshold: policy.threshold,
            single_headings: policy.single_headings.iter().map(|(h, own)| (h.clone(), own.threshold)).collect(),
            heading_threshold: policy.heading.threshold,
            chapter_threshold: policy.chapter.threshold,
            vague: policy.vague.iter().cloned().collect(),
            vague_begins: policy.vague.iter().filter_map(|text| words(text).next()).map(str::to_string).collect(),
            out_of_vocabulary_ratio: policy.out_of_vocabulary_ratio,
            audit_cut_off: (policy.audit_ratio * 2f64.powi(32)).round() as u64,
            salt: Sha256::new_with_prefix(model_digest.as_bytes()),
        }
    }

    /// Decides one line: `Accept`, `Review` or `Refuse`.
    ///
    /// A refused text has no code, so nothing is said of its confidence. A cut text is never accepted, since
    /// what was cut may be what tells two subheadings apart. A confidence that is not a number is below every
    /// threshold.
    pub fn decide(&self, facts: &Facts) -> (Decision, Reasons) {
        let refused = self.refusal(facts);
        let cut = if facts.truncated { refused.with(Reason::Truncated) } else { refused };
        if !refused.is_empty() {
            return (Decision::Refuse, cut);
        }
        let sure = facts.confidence >= self.threshold || self.sure_of_heading(facts);
        let reasons = if sure { cut } else { self.unsure(facts, cut.with(Reason::BelowThreshold)) };
        if !reasons.is_empty() {
            return (Decision::Review, reasons);
        }
        if self.audits(facts.text_digest) {
            return (Decision::Review, reasons.with(Reason::AuditSample));
        }
        (Decision::Accept, reasons)
    }

    /// Whether the subheading's heading has a threshold of its own, and it is reached.
    fn sure_of_heading(&self, facts: &Facts) -> bool {
        let own = facts.code.get(..4).and_then(|heading| self.single_headings.get(heading));
        own.is_some_and(|threshold| facts.confidence >= *threshold)
    }

    /// What is sure all the same: a person who knows the heading has few subheadings to choose from.
    fn unsure(&self, facts: &Facts, reasons: Reasons) -> Reasons {
        if facts.confidence_heading >= self.heading_threshold {
            reasons.with(Reason::HeadingSure)
        } else if facts.confidence_chapter >= self.chapter_threshold {
            reasons.with(Reason::ChapterSure)
        } else {
            reasons
        }
    }

    /// The text of the list that a normalised text is, beside counts, packing and references.
    pub fn listed(&self, normalised: &str) -> Option<&str> {
        let listed = |text: &str| self.vague.get(text).map(String::as_str);
        listed(normalised).or_else(|| listed(&core(normalised, |word| self.vague_begins.contains(word))?))
    }

    fn refusal(&self, facts: &Facts) -> Reasons {
        let none = Reasons::NONE;
        match facts.state {
            TextState::Null => return none.with(Reason::NoText),
            TextState::InvalidUtf8 => return none.with(Reason::InvalidUtf8),
            TextState::Empty => return none.with(Reason::Empty),
            TextState::Text if facts.tokens == 0 => return none.with(Reason::Empty),
            TextState::Text => {}
        }
        let mut reasons = none;
        if facts.vague || self.listed(facts.normalised).is_some() {
            reasons = reasons.with(Reason::Vague);
        }
        if facts.unknown_tokens as f64 > self.out_of_vocabulary_ratio * facts.tokens as f64 {
            reasons = reasons.with(Reason::OutOfVocabulary);
        }
        reasons
    }

    /// Whether a text that would be accepted is in the audit sample.
    ///
    /// The sample is drawn by text, not by line: identical goods are treated identically, and a line decides
    /// the same in every batch, order, retry and replay, which the state of a random generator would not give.
    /// The model digest salts the hash, so each version has a sample of its own and no text is spared for ever.
    pub fn audits(&self, text_digest: [u8; 16]) -> bool {
        let hash = self.salt.clone().chain_update(text_digest).finalize();
        u64::from(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])) < self.audit_cut_off
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HeadingThreshold, LevelThreshold};

    fn judge(audit_ratio: f64) -> Judge {
        Judge::new(&Policy { threshold: 0.8, audit_ratio, ..Policy::default() }, &"a".repeat(64))
    }

    fn text() -> Facts<'static> {
        Facts {
            code: "010129",
            confidence: 0.9,
            confidence_heading: 0.95,
            confidence_chapter: 0.99,
            normalised: "live horses",
            text_digest: [7; 16],
            tokens: 2,
            unknown_tokens: 0,
            truncated: false,
            vague: false,
            state: TextState::Text,
        }
    }

    fn names((decision, reasons): (Decision, Reasons)) -> String {
        let reasons: Vec<_> = reasons.iter().map(Reason::as_str).collect();
        format!("{} {}", decision.as_str(), reasons.join("+"))
    }

    #[test]
    fn packing_numbers_and_references_do_not_make_a_vague_text_say_more() {
        assert!(WRAPPING.is_sorted(), "it is searched by halves");
        let judge = judge(0.0);
        let at = |normalised| names(judge.decide(&Facts { normalised, ..text() }));
        for vague in
            ["spare parts", "1x40ft stc spare parts, 23 ctns/397 pcs", "spare parts ; r/63692", "*** gifts ***"]
        {
            assert_eq!(at(vague), "refuse vague", "{vague}");
        }
        for goods in ["truck spare parts", "samples of cotton fabric", "box", "23 ctns"] {
            assert_eq!(at(goods), "accept ", "{goods}");
        }
    }

    #[test]
    fn the_threshold_itself_is_accepted_and_what_lies_below_goes_to_a_person() {
        let judge = judge(0.0);
        let at = |confidence| names(judge.decide(&Facts { confidence, ..text() }));
        assert_eq!(at(0.9), "accept ");
        assert_eq!(at(0.8), "accept ");
        assert_eq!(at(0.799_999), "review below_threshold");
        assert_eq!(at(f32::NAN), "review below_threshold");
        let nothing = Judge::new(&Policy::default(), "");
        assert_eq!(names(nothing.decide(&Facts { confidence: 1.0, ..text() })), "review below_threshold");
    }

    #[test]
    fn a_line_whose_subheading_is_unsure_says_what_is_sure() {
        let level = |threshold| LevelThreshold { threshold, ..LevelThreshold::default() };
        let policy =
            Policy { threshold: 0.8, audit_ratio: 0.0, heading: level(0.9), chapter: level(0.95), ..Policy::default() };
        let judge = Judge::new(&policy, "");
        let at = |confidence, confidence_heading, confidence_chapter| {
            names(judge.decide(&Facts { confidence, confidence_heading, confidence_chapter, ..text() }))
        };
        assert_eq!(at(0.8, 0.9, 0.99), "accept ");
        assert_eq!(at(0.7, 0.9, 0.99), "review below_threshold+heading_sure");
        assert_eq!(at(0.7, 0.89, 0.95), "review below_threshold+chapter_sure");
        assert_eq!(at(0.7, 0.89, 0.94), "review below_threshold");
        assert_eq!(at(f32::NAN, f32::NAN, f32::NAN), "review below_threshold");
    }

    #[test]
    fn a_heading_with_a_threshold_of_its_own_is_accepted_at_it() {
        let of = |threshold: f32| {
            let own = HeadingThreshold {
                threshold: 0.7,
                texts: 9,
                accepted: 9,
                errors: 0,
                error_upper_bound: 0.3,
                level: 0.95,
            };
            let single_headings = [("8711".to_string(), own)].into();
            let judge = Judge::new(&Policy { threshold, audit_ratio: 0.0, single_headings, ..Policy::default() }, "");
            move |code, confidence| names(judge.decide(&Facts { code, confidence, ..text() }))
        };
        let (alone, beside) = (of(crate::model::policy::ACCEPT_NOTHING), of(0.8));
        assert_eq!([alone("871120", 0.7), alone("871200", 1.0)], ["accept ", "review below_threshold"]);
        assert_eq!([alone("871120", 0.69), alone("871120", f32::NAN)], ["review below_threshold"; 2]);
        assert_eq!([beside("871120", 0.7), beside("871200", 0.8)], ["accept "; 2]);
        assert_eq!([beside("871200", 0.79), beside("", 0.79)], ["review below_threshold"; 2]);
    }

    #[test]
    fn lines_without_a_usable_text_are_refused_with_the_reason() {
        let judge = judge(1.0);
        let of = |facts: Facts| names(judge.decide(&facts));
        assert_eq!(of(Facts { vague: true, confidence: 1.0, ..text() }), "refuse vague");
        assert_eq!(of(Facts { state: TextState::Null, ..text() }), "refuse no_text");
        assert_eq!(of(Facts { state: TextState::InvalidUtf8, ..text() }), "refuse invalid_utf8");
        assert_eq!(of(Facts { state: TextState::Empty, ..text() }), "refuse empty");
        assert_eq!(of(Facts { tokens: 0, ..text() }), "refuse empty");
        assert_eq!(of(Facts { normalised: "spare parts", ..text() }), "refuse vague");
        assert_eq!(of(Facts { unknown_tokens: 2, ..text() }), "refuse out_of_vocabulary");
        assert_eq!(of(Facts { unknown_tokens: 1, ..text() }), "review audit_sample");
        let all = Facts { normalised: "gift", unknown_tokens: 2, truncated: true, confidence: 0.0, ..text() };
        assert_eq!(of(all), "refuse vague+truncated+out_of_vocabulary");
    }

    #[test]
    fn a_cut_text_goes_to_a_person_and_is_not_refused() {
        assert_eq!(names(judge(0.0).decide(&Facts { truncated: true, ..text() })), "review truncated");
        let unsure = Facts { truncated: true, confidence: 0.1, ..text() };
        assert_eq!(names(judge(0.0).decide(&unsure)), "review below_threshold+truncated");
    }

    #[test]
    fn the_audit_share_is_close_to_the_ratio_stable_and_of_the_model() {
        let sample = |judge: &Judge| -> Vec<u32> {
            (0..100_000u32)
                .filter(|i| {
                    let mut text_digest = [0; 16];
                    text_digest[..4].copy_from_slice(&i.to_le_bytes());
                    judge.decide(&Facts { text_digest, ..text() }).1.has(Reason::AuditSample)
                })
                .collect()
        };
        let first = sample(&judge(0.01));
        // 1,000 expected; five standard deviations of the binomial are 157.
        assert!((843..=1157).contains(&first.len()), "{}", first.len());
        assert_eq!(first, sample(&judge(0.01)));
        let other = Judge::new(&Policy { threshold: 0.8, ..Policy::default() }, &"b".repeat(64));
        assert_ne!(first, sample(&other));
        assert_eq!((sample(&judge(0.0)).len(), sample(&judge(1.0)).len()), (0, 100_000));
        // A larger share keeps the texts of the smaller one.
        let more = sample(&judge(0.02));
        assert!(first.iter().all(|i| more.binary_search(i).is_ok()));
    }

    #[test]
    fn the_audit_sample_of_a_known_text_is_the_one_that_sha256sum_gives() {
        // printf 'a%.0s' {1..64} followed by 16 bytes 07, through sha256sum: the first 32 bits.
        const AUDIT_HASH: u32 = 0x7b5a_0eed;
        let at = |cut: u64| Judge { audit_cut_off: cut, ..judge(0.0) }.audits([7; 16]);
        assert!(at(u64::from(AUDIT_HASH) + 1) && !at(u64::from(AUDIT_HASH)));
    }

    #[test]
    fn reasons_come_in_the_order_of_the_closed_list() {
        let all = Reason::ALL.into_iter().rev().fold(Reasons::NONE, Reasons::with);
        assert!(all.iter().eq(Reason::ALL));
        let names: HashSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        assert_eq!(Decision::ALL.map(Decision::as_str), ["accept", "review", "refuse", "carried", "mapped", "held"]);
    }
}
