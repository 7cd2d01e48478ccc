//! Why a line was decided as it was: its numbers beside those of the policy, and sentences that follow from them.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::jobs::{Model, short};
use crate::policy::{Decision, Reason};

/// Numbers and sentences.
#[derive(Debug)]
pub(super) struct Why {
    pub facts: Map<String, Value>,
    pub because: Vec<String>,
}

impl Why {
    /// Of a row of a model, whose text is `normalised` where that is known.
    pub fn of(row: &Map<String, Value>, model: &Model, normalised: Option<&str>) -> Why {
        let policy = &model.policy;
        let number = |name: &str| row.get(name).and_then(Value::as_f64);
        let code = row.get("hs6").and_then(Value::as_str);
        let own = code.and_then(|code| code.get(..4)).and_then(|heading| policy.single_headings.get(heading));
        let digest = row.get("text_digest").and_then(Value::as_str);
        let place = digest.and_then(|digest| audit_place(&model.loaded.bundle.digest, digest));
        let reasons: Vec<&str> =
            row.get("reasons").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let has = |reason: Reason| reasons.contains(&reason.as_str());
        let vague_by = normalised.filter(|_| has(Reason::Vague));
        let vague_by = vague_by.and_then(|text| model.classifier.vague_by(text, true)).map(|by| by.to_string());
        let facts = json!({
            "decision": row.get("decision"),
            "reasons": reasons,
            "confidence": number("confidence"),
            "threshold": short(policy.threshold),
            "single_heading_threshold": own.map(|own| short(own.threshold)),
            "confidence_heading": number("confidence_heading"),
            "heading_threshold": short(policy.heading.threshold),
            "confidence_chapter": number("confidence_chapter"),
            "chapter_threshold": short(policy.chapter.threshold),
            "out_of_vocabulary_ratio": policy.out_of_vocabulary_ratio,
            "vague_by": vague_by,
            "audit_ratio": policy.audit_ratio,
            "audit_place": place,
        });
        let told = |name: &str| number(name).map_or("unknown".to_string(), |x| x.to_string());
        let (confidence, threshold) = (told("confidence"), policy.threshold.to_string());
        let mut because = Vec::new();
        let mut say = |reason: Reason, sentence: String| {
            if has(reason) {
                because.push(sentence);
            }
        };
        say(Reason::NoText, "The description is null.".into());
        say(Reason::InvalidUtf8, "The bytes of the description are not UTF-8.".into());
        say(Reason::Empty, "Nothing is left of the description once it is normalised, or no token.".into());
        let by = vague_by.as_ref().map_or(String::new(), |by| format!(", by {by}"));
        say(Reason::Vague, format!("The description names no goods{by}."));
        let ratio = policy.out_of_vocabulary_ratio;
        say(Reason::OutOfVocabulary, format!("More than {ratio} of its tokens are unknown to the model."));
        say(Reason::Truncated, "The model did not see all of the description, so it is not accepted.".into());
        let heading = own.map_or(String::new(), |own| format!(" and below {}, that of its heading", own.threshold));
        say(
            Reason::BelowThreshold,
            format!("The confidence {confidence} is below the threshold {threshold}{heading}."),
        );
        let level = |confidence: &str, threshold: f32| format!("{} reaches {threshold}", told(confidence));
        say(
            Reason::HeadingSure,
            format!("Its heading is sure: {}.", level("confidence_heading", policy.heading.threshold)),
        );
        say(
            Reason::ChapterSure,
            format!("Its chapter is sure: {}.", level("confidence_chapter", policy.chapter.threshold)),
        );
        let at = place.map_or("unknown".to_string(), |place| place.to_string());
        say(
            Reason::AuditSample,
            format!(
                "It would be accepted; its text is in the audit sample that people look at: its place {at} is below the \
                 ratio {}.",
                policy.audit_ratio
            ),
        );
        let accepted = row.get("decision").and_then(Value::as_str) == Some(Decision::Accept.as_str());
        if accepted {
            let reached = number("confidence").is_some_and(|confidence| confidence >= as_written(policy.threshold));
            because.push(match own.filter(|_| !reached) {
                Some(own) => format!(
                    "The confidence {confidence} is below the threshold {threshold} and reaches {}, that of its heading.",
                    own.threshold
                ),
                None => format!("The confidence {confidence} reaches the threshold {threshold}."),
            });
        }
        let facts = match facts {
            Value::Object(facts) => facts,
            _ => Map::new(),
        };
        Why { facts, because }
    }
}

/// The number as a confidence in JSON is: that of its shortest text.
fn as_written(x: f32) -> f64 {
    short(x).as_f64().unwrap_or(f64::from(x))
}

/// Where a text stands in the order in which the audit sample is drawn, 0 to 1: the first four bytes of SHA-256 over the
/// model's digest as text and the sixteen bytes of the text's digest, over 2³².
pub(super) fn audit_place(model_digest: &str, text_digest: &str) -> Option<f64> {
    let bytes: Option<Vec<u8>> =
        (0..16).map(|n| u8::from_str_radix(text_digest.get(2 * n..2 * n + 2)?, 16).ok()).collect();
    let hash = Sha256::new().chain_update(model_digest).chain_update(bytes?).finalize();
    Some(f64::from(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])) / 2f64.powi(32))
}
