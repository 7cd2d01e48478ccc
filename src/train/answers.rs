//! A model's answers to lines whose code is known.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringArray};
use arrow::datatypes::Float32Type;

use super::evaluate::{Metrics, Scored, SureOf, Vague, evaluate};
use crate::error::{Error, Result};
use crate::model::VAGUE_CODE;
use crate::policy::Reason;
use crate::sql::Classifier;
use crate::tariff::Subheading;

/// One answer for each of some lines.
pub struct Answers<'a> {
    lines: &'a [(&'a str, Subheading)],
    answers: Vec<Answer>,
}

struct Answer {
    /// Best codes with their confidence; empty without a code.
    top: Vec<(Subheading, f32)>,
    confidence_heading: f32,
    confidence_chapter: f32,
    accepted: bool,
    sure_of: Option<SureOf>,
    refused_as_vague: bool,
}

/// The lines whose label is a code of goods.
pub struct Goods<'a> {
    /// What was said of them.
    pub rows: Vec<Scored<'a>>,
    /// Their places among all lines.
    pub places: Vec<usize>,
}

impl<'a> Answers<'a> {
    /// Asks for normalised texts; a label can be [`VAGUE_CODE`].
    pub fn of(classifier: &Classifier, lines: &'a [(&'a str, Subheading)]) -> Result<Answers<'a>> {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(lines.iter().map(|(text, _)| *text)));
        let predictions = classifier.predict(&texts)?;
        let column = |name: &str| {
            predictions.column_by_name(name).ok_or_else(|| Error::Bug(format!("hs_predict gives no {name}")))
        };
        let heading = column("confidence_heading")?.as_primitive::<Float32Type>();
        let chapter = column("confidence_chapter")?.as_primitive::<Float32Type>();
        let decision = column("decision")?.as_string::<i32>();
        let alternatives = column("alternatives")?.as_list::<i32>();
        let reasons = column("reasons")?.as_list::<i32>();
        let number =
            |column: &PrimitiveArray<Float32Type>, row| if column.is_valid(row) { column.value(row) } else { 0.0 };
        let answer = |row: usize| {
            let mut top = Vec::new();
            if alternatives.is_valid(row) {
                let items = alternatives.value(row);
                let items = items.as_struct();
                let (codes, confidences) =
                    (items.column(0).as_string::<i32>(), items.column(1).as_primitive::<Float32Type>());
                for i in 0..items.len() {
                    top.push((codes.value(i).parse()?, confidences.value(i)));
                }
            }
            let reasons = reasons.value(row);
            let has = |reason: Reason| reasons.as_string::<i32>().iter().any(|name| name == Some(reason.as_str()));
            let sure_of_chapter = has(Reason::ChapterSure).then_some(SureOf::Chapter);
            Ok(Answer {
                top,
                confidence_heading: number(heading, row),
                confidence_chapter: number(chapter, row),
                accepted: decision.value(row) == "accept",
                sure_of: has(Reason::HeadingSure).then_some(SureOf::Heading).or(sure_of_chapter),
                refused_as_vague: has(Reason::Vague),
            })
        };
        Ok(Answers { lines, answers: (0..lines.len()).map(answer).collect::<Result<_>>()? })
    }

    /// The answers to lines whose label is a code of goods.
    pub fn goods(&self) -> Goods<'_> {
        let mut seen = HashSet::new();
        let mut goods = Goods { rows: Vec::new(), places: Vec::new() };
        for (place, (answer, (text, truth))) in self.answers.iter().zip(self.lines).enumerate() {
            if truth.as_str() == VAGUE_CODE {
                continue;
            }
            goods.places.push(place);
            goods.rows.push(Scored {
                truth: *truth,
                top: &answer.top,
                confidence_heading: answer.confidence_heading,
                confidence_chapter: answer.confidence_chapter,
                first_of_text: seen.insert(*text),
                accepted: answer.accepted,
                sure_of: answer.sure_of,
            });
        }
        goods
    }

    /// The figures; `goods` are those of these answers.
    pub fn metrics(&self, goods: &Goods<'_>) -> Metrics {
        let labelled = self.lines.iter().map(|(_, truth)| truth.as_str() == VAGUE_CODE);
        let vague = Vague::of(labelled.zip(self.answers.iter().map(|answer| answer.refused_as_vague)));
        Metrics { vague, ..evaluate(&goods.rows) }
    }
}

/// The figures of a classifier on normalised texts with their codes.
pub fn measure(classifier: &Classifier, lines: &[(&str, Subheading)]) -> Result<Metrics> {
    let answers = Answers::of(classifier, lines)?;
    Ok(answers.metrics(&answers.goods()))
}
