//! An engine and a policy together: arrays of text in, a struct array of predictions out.
//!
//! One row in, one row out, whatever the row holds. Equal normalised texts of a batch are scored once, and
//! texts of earlier batches are remembered. A row's answer
//! depends on its text, the model and the policy alone.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, AsArray, Float32Array, Float32Builder, ListArray, StringArray, StringBuilder, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use sha2::{Digest, Sha256};

use super::cache::{Cache, Remembered};
use super::values::{by_value, each_value};
use crate::engine::{Engine, Kernel, Score, Scratch, Spent, Tokens};
use crate::error::{Error, Result};
use crate::model::Policy;
use crate::policy::{Decision, Facts, Judge, Reasons, TextState};
use crate::registry::Loaded;
use crate::text;

/// What produced a prediction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the model.
    pub model_name: String,
    /// Version of the model.
    pub model_version: u64,
    /// SHA-256 of the version's manifest.
    pub model_digest: String,
    /// Edition of the codes.
    pub tariff_edition: String,
    /// SHA-256 of the policy in force.
    pub policy_digest: String,
}

impl Identity {
    /// `hs@7`.
    pub fn model(&self) -> String {
        format!("{}@{}", self.model_name, self.model_version)
    }
}

/// See the module.
pub struct Classifier {
    engine: Engine,
    judge: Judge,
    /// What it is.
    pub identity: Identity,
    /// SHA-256 of `tokenizer.json`.
    tokenizer_sha256: [u8; 32],
    /// Which working memory of a thread it uses.
    place: usize,
    cache: Cache,
    rows: AtomicU64,
    texts: AtomicU64,
    /// Nanoseconds by `STAGES`.
    spent: [AtomicU64; STAGES.len()],
}

/// What a classifier spends its time on, in the order of the work.
const STAGES: [&str; 6] = ["normalise", "tokenise", "look up", "output layer", "answer", "columns"];
const TOKENISE: usize = 1;
const COLUMNS: usize = STAGES.len() - 1;

/// Fields of a prediction, in order.
pub fn prediction_fields() -> Fields {
    static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
        let float = |name: &str| Field::new(name, DataType::Float32, true);
        Fields::from(vec![
            Field::new("hs6", DataType::Utf8, true),
            float("confidence"),
            float("confidence_heading"),
            float("confidence_chapter"),
            float("margin"),
            Field::new("alternatives", DataType::List(alternative()), true),
            Field::new("decision", DataType::Utf8, true),
            Field::new("reasons", DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))), true),
            Field::new("text_digest", DataType::Utf8, true),
            Field::new("model", DataType::Utf8, true),
        ])
    });
    FIELDS.clone()
}

/// An element of the list of alternatives.
pub(super) fn alternative() -> FieldRef {
    Arc::new(Field::new("element", DataType::Struct(alternative_fields()), true))
}

pub(super) fn alternative_fields() -> Fields {
    Fields::from(vec![Field::new("hs6", DataType::Utf8, true), Field::new("confidence", DataType::Float32, true)])
}

/// What took a text for one that names no goods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VagueBy {
    /// The policy's list, with the text of it that was found.
    List(String),
    /// The class that the model learned of such texts.
    Learned,
}

impl fmt::Display for VagueBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VagueBy::List(text) => write!(f, "the list: {text}"),
            VagueBy::Learned => f.write_str("the learned class"),
        }
    }
}

/// One distinct text of a batch and its answer.
struct Answer {
    /// `None` when there is no text.
    digest: Option<text::TextDigest>,
    /// `None` when the decision is to give no code.
    score: Option<Score>,
    decision: Decision,
    reasons: Reasons,
}

impl Answer {
    fn new(digest: text::TextDigest, answer: Remembered) -> Answer {
        Answer { digest: Some(digest), score: answer.score, decision: answer.decision, reasons: answer.reasons }
    }
}

impl Classifier {
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A model version under a policy, which is the version's own unless a flag overrode it.
    pub fn new(loaded: &Loaded, policy: &Policy) -> Result<Classifier> {
        let bundle = &loaded.bundle;
        Ok(Classifier {
            engine: Engine::compile(bundle)?,
            judge: Judge::new(policy, &bundle.digest),
            identity: Identity {
                model_name: loaded.name.clone(),
                model_version: loaded.version,
                model_digest: bundle.digest.clone(),
                tariff_edition: bundle.labels.edition.clone(),
                policy_digest: policy.digest(),
            },
            tokenizer_sha256: Sha256::digest(&bundle.tokenizer_json).into(),
            place: 0,
            cache: Cache::default(),
            rows: AtomicU64::new(0),
            texts: AtomicU64::new(0),
            spent: Default::default(),
        })
    }

    /// The same classifier on another kernel, whose answers are the same.
    pub fn on(self, kernel: Kernel) -> Classifier {
        Classifier { engine: self.engine.on(kernel), ..self }
    }

    /// The same classifier with working memory of its own, so that what a thread remembers of words stays when it asks
    /// another classifier in between.
    pub fn beside(self) -> Classifier {
        Classifier { place: 1, ..self }
    }

    /// The same classifier without a memory for texts of earlier batches, for measuring what an answer costs.
    pub fn forgetting(self) -> Classifier {
        Classifier { cache: Cache::none(), ..self }
    }

    /// Rows answered so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Time by stage, all threads together.
    pub fn spent(&self) -> Vec<(&'static str, Duration)> {
        let nanos = self.spent.iter().map(|n| Duration::from_nanos(n.load(Ordering::Relaxed)));
        STAGES.into_iter().zip(nanos).collect()
    }

    /// Texts that went through the network so far.
    pub fn texts(&self) -> u64 {
        self.texts.load(Ordering::Relaxed)
    }

    /// What takes a normalised text for one that names no goods: the list before what was learned, which is `learned`.
    pub fn vague_by(&self, normalised: &str, learned: bool) -> Option<VagueBy> {
        let listed = self.judge.listed(normalised).map(|text| VagueBy::List(text.to_string()));
        listed.or(learned.then_some(VagueBy::Learned))
    }

    /// One prediction for each row of a string or bytes array of any encoding.
    ///
    /// # Errors
    /// `Usage` when the array is neither.
    pub fn predict(&self, array: &ArrayRef) -> Result<StructArray> {
        self.predict_fields(array, &prediction_fields())
    }

    /// Some fields of what [`Classifier::predict`] gives, without making the others.
    ///
    /// # Errors
    /// `Usage` when the array is no text, `Bug` when a prediction has no such field.
    pub(super) fn predict_fields(&self, array: &ArrayRef, fields: &Fields) -> Result<StructArray> {
        let some = by_value(array, &|values| {
            let (batch, normalise) = Batch::of(values)?;
            Ok(Arc::new(self.columns(&batch, normalise, &self.known(&batch), None, fields)?))
        });
        Ok(some?.as_struct().clone())
    }

    /// One field of what [`Classifier::predict`] gives, without making the others.
    ///
    /// # Errors
    /// `Usage` when the array is no text, `Bug` when a prediction has no such field.
    pub fn predict_field(&self, array: &ArrayRef, name: &str) -> Result<ArrayRef> {
        by_value(array, &|values| {
            let (batch, normalise) = Batch::of(values)?;
            let answers = self.answered(&batch, normalise, &self.known(&batch), None)?;
            self.field(name, &batch, &answers)
        })
    }

    /// Whether another classifier makes the same tokens of a text.
    pub(super) fn shares_tokens(&self, other: &Classifier) -> bool {
        self.tokenizer_sha256 == other.tokenizer_sha256
    }

    /// The shares of some classes of a normalised text among themselves: see [`Engine::within`].
    ///
    /// # Errors
    /// As [`Engine::within`].
    pub fn within(&self, normalised: &str, classes: &[u32]) -> Result<Vec<f32>> {
        self.texts.fetch_add(1, Ordering::Relaxed);
        SCRATCH.with_borrow_mut(|scratch| self.engine.within(normalised, classes, &mut scratch[self.place]))
    }

    /// Whether a normalised text that would be accepted is in the audit sample of model and policy.
    pub fn audits(&self, normalised: &str) -> bool {
        self.judge.audits(*text::digest(normalised).as_bytes())
    }

    /// Subheadings of all classes, in class order.
    pub fn codes(&self) -> &[String] {
        self.engine.codes()
    }

    /// The answers that are remembered.
    pub(super) fn known(&self, batch: &Batch) -> Vec<Option<Remembered>> {
        batch.entries.iter().map(|e| self.cache.get(&(e.digest, e.truncated))).collect()
    }

    /// Token ids of those texts of the batch that have no answer yet.
    pub(super) fn tokens(&self, batch: &Batch, known: &[Option<Remembered>]) -> Result<Tokens> {
        let texts: Vec<&str> = unknown(known).map(|i| batch.text(i)).collect();
        let began = Instant::now();
        let tokens = SCRATCH.with_borrow_mut(|scratch| self.engine.tokens(&texts, &mut scratch[self.place]))?;
        self.spend(TOKENISE, began.elapsed());
        Ok(tokens)
    }

    /// Predictions for the rows of a batch, whose texts took so long to normalise; with the token ids of the texts that have
    /// no answer yet, where they were made before.
    pub(super) fn columns(
        &self,
        batch: &Batch,
        normalise: Duration,
        known: &[Option<Remembered>],
        tokens: Option<&Tokens>,
        fields: &Fields,
    ) -> Result<StructArray> {
        let answers = self.answered(batch, normalise, known, tokens)?;
        let began = Instant::now();
        let columns = fields.iter().map(|field| self.field(field.name(), batch, &answers)).collect::<Result<_>>()?;
        self.spend(COLUMNS, began.elapsed());
        Ok(StructArray::new(fields.clone(), columns, None))
    }

    /// The same before it is put into columns.
    fn answered(
        &self,
        batch: &Batch,
        normalise: Duration,
        known: &[Option<Remembered>],
        tokens: Option<&Tokens>,
    ) -> Result<Vec<Answer>> {
        self.rows.fetch_add(batch.rows.len() as u64, Ordering::Relaxed);
        let began = Instant::now();
        let (answers, spent) = self.answers(batch, known, tokens)?;
        // The cache's look-ups and the policy count as answers.
        let answer = began.elapsed().saturating_sub(spent.tokenise + spent.look_up + spent.output);
        for (stage, time) in [normalise, spent.tokenise, spent.look_up, spent.output, answer].into_iter().enumerate() {
            self.spend(stage, time);
        }
        Ok(answers)
    }

    fn spend(&self, stage: usize, time: Duration) {
        self.spent[stage].fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Answers of the distinct texts of a batch, after those of the three kinds of line that have no text.
    fn answers(
        &self,
        batch: &Batch,
        known: &[Option<Remembered>],
        tokens: Option<&Tokens>,
    ) -> Result<(Vec<Answer>, Spent)> {
        let mut answers: Vec<Answer> = NO_TEXT
            .iter()
            .map(|&state| {
                let facts = Facts {
                    code: "",
                    confidence: 0.0,
                    confidence_heading: 0.0,
                    confidence_chapter: 0.0,
                    normalised: "",
                    text_digest: [0; 16],
                    tokens: 0,
                    unknown_tokens: 0,
                    truncated: false,
                    vague: false,
                    state,
                };
                let (decision, reasons) = self.judge.decide(&facts);
                Answer { digest: None, score: None, decision, reasons }
            })
            .collect();
        let unknown: Vec<usize> = unknown(known).collect();
        let mut known = known.to_vec();
        let texts: Vec<&str> = unknown.iter().map(|&i| batch.text(i)).collect();
        self.texts.fetch_add(texts.len() as u64, Ordering::Relaxed);
        let mut scores = Vec::with_capacity(texts.len());
        let spent = SCRATCH.with_borrow_mut(|scratch| {
            let scratch = &mut scratch[self.place];
            scratch.spent = Spent::default();
            self.engine.score_tokens(&texts, tokens, scratch, &mut scores).map(|()| scratch.spent)
        })?;
        for ((score, text), i) in scores.into_iter().zip(texts).zip(unknown) {
            let entry = &batch.entries[i];
            let facts = Facts {
                code: self.engine.code(score.top[0].0),
                confidence: score.confidence(),
                confidence_heading: score.heading,
                confidence_chapter: score.chapter,
                normalised: text,
                text_digest: *entry.digest.as_bytes(),
                tokens: score.tokens,
                unknown_tokens: score.unknown,
                truncated: entry.truncated || score.cut,
                vague: score.vague,
                state: TextState::Text,
            };
            let (decision, reasons) = self.judge.decide(&facts);
            let score = (decision != Decision::Refuse).then_some(score);
            let answer = Remembered { score, decision, reasons };
            self.cache.put((entry.digest, entry.truncated), answer);
            known[i] = Some(answer);
        }
        for (entry, answer) in batch.entries.iter().zip(known) {
            let answer = answer.ok_or_else(|| Error::Bug("a text has no answer".into()))?;
            answers.push(Answer::new(entry.digest, answer));
        }
        Ok((answers, spent))
    }

    /// A field of the predictions for the rows of a batch.
    fn field(&self, name: &str, batch: &Batch, answers: &[Answer]) -> Result<ArrayRef> {
        let rows = batch.rows.len();
        let each = || batch.rows.iter().map(|&i| &answers[i as usize]);
        let scores = || each().map(|a| a.score.as_ref());
        let floats = |f: fn(&Score) -> f32| -> ArrayRef {
            let mut column = Float32Builder::with_capacity(rows);
            scores().for_each(|s| column.append_option(s.map(f)));
            Arc::new(column.finish())
        };
        Ok(match name {
            "hs6" => {
                let mut hs6 = StringBuilder::with_capacity(rows, rows * 6);
                scores().for_each(|s| hs6.append_option(s.map(|s| self.engine.code(s.top[0].0))));
                Arc::new(hs6.finish())
            }
            "confidence" => floats(Score::confidence),
            "confidence_heading" => floats(|s| s.heading),
            "confidence_chapter" => floats(|s| s.chapter),
            "margin" => floats(Score::margin),
            "alternatives" => self.alternatives(scores()),
            "decision" => {
                let mut decision = StringBuilder::with_capacity(rows, rows * 6);
                each().for_each(|a| decision.append_value(a.decision.as_str()));
                Arc::new(decision.finish())
            }
            "reasons" => reasons(each().map(|a| a.reasons)),
            "text_digest" => {
                let mut digest = StringBuilder::with_capacity(rows, rows * 32);
                each().for_each(|a| match &a.digest {
                    Some(of_text) => digest.append_value(of_text.hex(&mut [0; 32])),
                    None => digest.append_null(),
                });
                Arc::new(digest.finish())
            }
            "model" => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(self.identity.model(), rows))),
            other => return Err(Error::Bug(format!("a prediction has no field {other}"))),
        })
    }

    fn alternatives<'a>(&self, scores: impl Iterator<Item = Option<&'a Score>>) -> ArrayRef {
        let (mut lengths, mut valid) = (Vec::new(), Vec::new());
        let (mut hs6, mut confidence) = (StringBuilder::new(), Vec::new());
        for score in scores {
            valid.push(score.is_some());
            lengths.push(score.map_or(0, |s| s.choices));
            for &(class, p) in score.iter().flat_map(|s| &s.top[..s.choices]) {
                hs6.append_value(self.engine.code(class));
                confidence.push(p);
            }
        }
        let columns: Vec<ArrayRef> = vec![Arc::new(hs6.finish()), Arc::new(Float32Array::from(confidence))];
        let items = Arc::new(StructArray::new(alternative_fields(), columns, None));
        let nulls = NullBuffer::from(valid);
        Arc::new(ListArray::new(alternative(), OffsetBuffer::from_lengths(lengths), items, Some(nulls)))
    }
}

fn reasons(each: impl Iterator<Item = Reasons>) -> ArrayRef {
    let (mut lengths, mut names) = (Vec::new(), StringBuilder::new());
    for reasons in each {
        let mut length = 0;
        for reason in reasons.iter() {
            names.append_value(reason.as_str());
            length += 1;
        }
        lengths.push(length);
    }
    let field = Arc::new(Field::new("element", DataType::Utf8, true));
    Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(lengths), Arc::new(names.finish()), None))
}

/// Places of the texts that have no answer yet.
fn unknown(known: &[Option<Remembered>]) -> impl Iterator<Item = usize> {
    known.iter().enumerate().filter(|(_, answer)| answer.is_none()).map(|(i, _)| i)
}

thread_local! {
    static SCRATCH: std::cell::RefCell<[Scratch; 2]> = std::cell::RefCell::default();
}

/// Kinds of line without a text, in the order of their places before the texts of a batch.
const NO_TEXT: [TextState; 3] = [TextState::Null, TextState::InvalidUtf8, TextState::Empty];

struct Entry {
    digest: text::TextDigest,
    truncated: bool,
    from: usize,
    to: usize,
}

/// Distinct normalised texts of a batch; every row points to one of them or to a place of `NO_TEXT`.
#[derive(Default)]
pub(super) struct Batch {
    arena: String,
    entries: Vec<Entry>,
    known: HashMap<(text::TextDigest, bool), u32, foldhash::fast::RandomState>,
    rows: Vec<u32>,
    scratch: String,
}

impl Batch {
    /// The texts of an array that is no dictionary, and how long it took.
    pub(super) fn of(array: &ArrayRef) -> Result<(Batch, Duration)> {
        let began = Instant::now();
        let mut batch = Batch::default();
        each_value(array, |value| batch.add(value))?;
        Ok((batch, began.elapsed()))
    }

    fn text(&self, i: usize) -> &str {
        &self.arena[self.entries[i].from..self.entries[i].to]
    }

    fn add(&mut self, value: Option<&[u8]>) {
        let row = match value.map(std::str::from_utf8) {
            None => 0,
            Some(Err(_)) => 1,
            Some(Ok(value)) => self.add_text(value),
        };
        self.rows.push(row);
    }

    fn add_text(&mut self, value: &str) -> u32 {
        let truncated = text::normalise(value, &mut self.scratch).truncated;
        if self.scratch.is_empty() {
            return 2;
        }
        let digest = text::digest(&self.scratch);
        let next = (NO_TEXT.len() + self.entries.len()) as u32;
        let place = *self.known.entry((digest, truncated)).or_insert(next);
        if place == next {
            let from = self.arena.len();
            self.arena.push_str(&self.scratch);
            self.entries.push(Entry { digest, truncated, from, to: self.arena.len() });
        }
        place
    }
}
