//! What any model must beat: always the most frequent class, and the code of the nearest training line.
//!
//! Both learn the training part alone. The nearest neighbour's confidence is its cosine, made honest by a curve that is fitted
//! on the part that is kept for calibration, as with any other model.

mod nearest;

use std::collections::BTreeMap;

use super::evaluate::Scored;
use crate::model::Beta;
use crate::model::calibration::LEAST;
use crate::tariff::Subheading;
pub(super) use nearest::{Nearest, Scratch};

/// The answer of a baseline to one line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    /// The best codes with their confidence, best first; empty when nothing is near.
    pub top: Vec<(Subheading, f32)>,
    /// Confidence in the first four digits.
    pub heading: f32,
    /// Confidence in the first two digits.
    pub chapter: f32,
}

impl Answer {
    /// As it is measured, for a line with the code `truth`. A baseline has no policy and accepts nothing.
    pub(super) fn scored(&self, truth: Subheading, first_of_text: bool) -> Scored<'_> {
        Scored {
            truth,
            top: &self.top,
            confidence_heading: self.heading,
            confidence_chapter: self.chapter,
            first_of_text,
            accepted: false,
            sure_of: None,
        }
    }
}

/// The most frequent classes of the training part, each with its share of the rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Majority {
    /// Subheadings, the five most frequent ones; of equals the lower code.
    pub codes: Vec<(Subheading, f32)>,
    /// The five most frequent headings, which need not be those of the subheadings.
    pub headings: Vec<(String, f32)>,
    /// The five most frequent chapters.
    pub chapters: Vec<(String, f32)>,
}

impl Majority {
    /// Of lines, of which there is at least one.
    pub(super) fn fit(lines: &[(&str, Subheading)]) -> Majority {
        let share = |rows: usize| rows as f32 / lines.len() as f32;
        let most = |digits: usize| {
            let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
            lines.iter().for_each(|(_, code)| *rows.entry(&code.as_str()[..digits]).or_default() += 1);
            let mut rows: Vec<(&str, usize)> = rows.into_iter().collect();
            // Stable: of equals the lower code stays first.
            rows.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
            rows.truncate(5);
            rows
        };
        let level = |digits: usize| most(digits).into_iter().map(|(c, n)| (c.to_string(), share(n))).collect();
        Majority {
            // What comes from a subheading's digits is one.
            codes: most(6).into_iter().filter_map(|(code, rows)| Some((code.parse().ok()?, share(rows)))).collect(),
            headings: level(4),
            chapters: level(2),
        }
    }

    /// The answer to any line.
    pub(super) fn answer(&self) -> Answer {
        let first = |level: &[(String, f32)]| level.first().map_or(0.0, |(_, share)| *share);
        Answer { top: self.codes.clone(), heading: first(&self.headings), chapter: first(&self.chapters) }
    }

    /// Bytes that it keeps.
    pub(super) fn size_bytes(&self) -> u64 {
        (size_of_val(&self.codes[..]) + size_of_val(&self.headings[..]) + size_of_val(&self.chapters[..])) as u64
    }

    /// Whether one of the `first` most frequent headings (4 digits) or chapters (2) is that of a code.
    pub(super) fn right(&self, digits: usize, first: usize, code: Subheading) -> bool {
        let level = if digits == 4 { &self.headings } else { &self.chapters };
        level.iter().take(first).any(|(most, _)| *most == code.as_str()[..digits])
    }
}

/// From the cosine of the nearest line to the confidence in 6, 4 and 2 digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Curves([Beta; 3]);

impl Curves {
    /// Fitted on lines that were not learned, with the answers to them.
    pub(super) fn fit(answers: &[Vec<(Subheading, f32)>], lines: &[(&str, Subheading)]) -> Curves {
        let near = answers.iter().zip(lines).filter_map(|(top, (_, truth))| Some((top.first()?, truth)));
        let (near, cosines): (Vec<_>, Vec<f32>) = near.map(|(best, truth)| ((best.0, truth), best.1)).unzip();
        let curve = |digits: usize| {
            let right = |(code, truth): &(Subheading, &Subheading)| code.as_str()[..digits] == truth.as_str()[..digits];
            Beta::fit(&cosines, &near.iter().map(right).collect::<Vec<_>>())
        };
        Curves([6, 4, 2].map(curve))
    }

    /// The answer with these confidences: a heading is never less likely than its subheading, nor a chapter than its heading.
    pub(super) fn calibrated(&self, nearest: Vec<(Subheading, f32)>) -> Answer {
        let Some((_, cosine)) = nearest.first().copied() else {
            return Answer { top: nearest, heading: 0.0, chapter: 0.0 };
        };
        let [subheading, heading, chapter] = self.0.map(|beta| curve(beta, cosine));
        let heading = heading.max(subheading);
        let top = nearest.into_iter().map(|(code, cosine)| (code, curve(self.0[0], cosine))).collect();
        Answer { top, heading, chapter: chapter.max(heading) }
    }
}

/// See [`Beta`].
fn curve(beta: Beta, cosine: f32) -> f32 {
    let p = f64::from(cosine.clamp(LEAST, 1.0 - LEAST));
    let z = f64::from(beta.a) * p.ln() - f64::from(beta.b) * (1.0 - p).ln() + f64::from(beta.c);
    (1.0 / (1.0 + (-z).exp())) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Subheading {
        text.parse().unwrap()
    }

    fn lines(codes: &[&str]) -> Vec<(&'static str, Subheading)> {
        codes.iter().map(|c| ("x", code(c))).collect()
    }

    /// By hand: of ten lines 871120 has three, but chapter 84 has six and heading 8471 four.
    #[test]
    fn the_most_frequent_class_of_each_level_is_counted_by_itself() {
        let codes =
            ["871120", "871120", "871120", "847130", "847141", "847149", "847150", "848180", "848180", "010121"];
        let majority = Majority::fit(&lines(&codes));
        let found: Vec<(String, f32)> = majority.codes.iter().map(|(c, share)| (c.to_string(), *share)).collect();
        let expected = [("871120", 0.3), ("848180", 0.2), ("010121", 0.1), ("847130", 0.1), ("847141", 0.1)];
        assert_eq!(found, expected.map(|(c, share)| (c.to_string(), share)));
        assert_eq!((&majority.headings[0], &majority.chapters[0]), (&("8471".into(), 0.4), &("84".into(), 0.6)));
        assert!(majority.right(4, 1, code("847130")) && !majority.right(4, 1, code("871120")));
        assert!(majority.right(2, 1, code("848180")) && !majority.right(2, 1, code("871120")));
        assert!(majority.right(4, 2, code("871120")) && !majority.right(4, 5, code("010200")));
    }

    /// A curve of one level by hand: p = 0.5, a = 2, b = 1, c = 0.3 gives z = -2 ln 2 + ln 2 + 0.3 = -0.393147 and 0.402960.
    #[test]
    fn cosines_become_confidences_that_do_not_fall_with_fewer_digits() {
        let curves = Curves([Beta { a: 2.0, b: 1.0, c: 0.3 }, Beta { a: 1.0, b: 1.0, c: -5.0 }, Beta::IDENTITY]);
        let answer = curves.calibrated(vec![(code("010121"), 0.5), (code("010129"), 0.25)]);
        assert!((answer.top[0].1 - 0.402960).abs() < 1e-6, "{answer:?}");
        assert!(answer.top[1].1 < answer.top[0].1);
        assert_eq!((answer.heading, answer.chapter), (answer.top[0].1, 0.5));
        assert_eq!(curves.calibrated(vec![]), Answer { top: vec![], heading: 0.0, chapter: 0.0 });
    }

    /// At one cosine the most likely constant is the share that is right, but for the slight pull.
    #[test]
    fn curves_are_fitted_to_the_share_that_is_right_at_each_level() {
        let answers = vec![vec![(code("010121"), 0.6)]; 400];
        let truth: Vec<&str> = (0..400).map(|n| ["010121", "010129", "010200", "020110"][n % 4]).collect();
        let answer = Curves::fit(&answers, &lines(&truth)).calibrated(answers[0].clone());
        for (found, share) in [(answer.top[0].1, 0.25), (answer.heading, 0.5), (answer.chapter, 0.75)] {
            assert!((found - share).abs() < 0.01, "{answer:?}");
        }
    }
}
