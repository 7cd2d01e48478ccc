//! A search as rows of text and as a self-contained page.

use std::collections::BTreeSet;

use toml::Value;

use super::plot::Scatter;
use super::trials::Trial;
use super::{Found, SearchOptions};
use crate::error::Result;
use crate::train::page::{Figure, Page};
use crate::train::table::{Cell, Grid};

/// Trials that are told by name, the best ones.
const TOLD: usize = 20;

impl Found {
    /// The best trials and their parameters.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.says()];
        for trial in self.ranked().into_iter().take(5) {
            lines.push(format!("  {:>7}  trial {}: {}", shown(trial.figure), trial.number, parameters(trial)));
        }
        lines
    }

    /// In a sentence.
    fn says(&self) -> String {
        let failed = self.trials.iter().filter(|t| t.figure.is_none()).count();
        let mut says =
            format!("{} trials, {} on the part of the split that ends the fit", self.trials.len(), self.objective);
        if failed > 0 {
            says += &format!("; {failed} failed");
        }
        if self.exhausted {
            says += "; nothing else to try was found";
        }
        says
    }

    /// Trials with a figure, the best first.
    fn ranked(&self) -> Vec<&Trial> {
        let mut trials: Vec<&Trial> = self.trials.iter().filter(|t| t.figure.is_some()).collect();
        trials.sort_by(|a, b| b.figure.partial_cmp(&a.figure).unwrap_or(std::cmp::Ordering::Equal));
        trials
    }

    /// A page with the figure by trial, each parameter against the figure, and the best trials.
    pub(super) fn html(&self, options: &SearchOptions) -> Result<String> {
        let mut drawings = vec![self.by_trial()?];
        for parameter in options.space.parameters() {
            drawings.push(self.against(&parameter.key)?);
        }
        let mut best = Grid::new(["trial", "figure", "seconds", "parameters"]);
        for trial in self.ranked().into_iter().take(TOLD) {
            let cells =
                [trial.number.to_string(), shown(trial.figure), format!("{:.1}", trial.secs), parameters(trial)];
            best.rows.push(cells.map(Cell::Words).to_vec());
        }
        let failed = self.trials.iter().filter_map(|t| Some((t, t.failed.as_ref()?)));
        let failed: Vec<[String; 3]> =
            failed.map(|(t, why)| [format!("trial {}", t.number), String::new(), why.clone()]).collect();
        let page = Page::new("Search")
            .section("Figures", &self.says())
            .figures(&drawings)
            .section("Best trials", &format!("Trained on HS {} with seed {}.", options.train.edition, options.seed))
            .grid(&best);
        let page = if failed.is_empty() { page } else { page.section("Failed trials", "").facts(failed.iter()) };
        Ok(page.html())
    }

    /// Each trial's figure, and the best one so far.
    fn by_trial(&self) -> Result<Figure> {
        let points: Vec<(f64, f64)> = self.trials.iter().filter_map(|t| Some((t.number as f64, t.figure?))).collect();
        let mut best = f64::NEG_INFINITY;
        let mut line = Vec::new();
        for (number, figure) in &points {
            if line.last().is_some() {
                line.push((*number, best));
            }
            best = best.max(*figure);
            line.push((*number, best));
        }
        let title = "Figure by trial".to_string();
        let svg = Scatter { name: &title, points, line, label: &|x| format!("{x:.0}"), places: None }.svg()?;
        let marks = [("●", "a trial"), ("━", "the best so far")].map(|(sign, meaning)| (sign, meaning.to_string()));
        Ok(Figure { title, svg, marks: marks.to_vec(), says: String::new() })
    }

    /// The figure against a parameter.
    fn against(&self, key: &str) -> Result<Figure> {
        let figure = |scatter: Scatter<'_>| {
            let marks = vec![("●", "a trial".to_string())];
            Ok(Figure { title: key.to_string(), svg: scatter.svg()?, marks, says: String::new() })
        };
        let values = || self.trials.iter().filter_map(|t| Some((t.parameters.get(key)?, t.figure?)));
        let number = |value: &Value| match value {
            Value::Float(x) => Some(*x),
            Value::Integer(n) => Some(*n as f64),
            _ => None,
        };
        let numbers: Option<Vec<(f64, f64)>> = values().map(|(value, figure)| Some((number(value)?, figure))).collect();
        let Some(points) = numbers else {
            let places: Vec<String> =
                values().map(|(v, _)| v.to_string()).collect::<BTreeSet<_>>().into_iter().collect();
            let place = |value: &Value| places.binary_search(&value.to_string()).unwrap_or_default() as f64;
            let points = values().map(|(value, figure)| (place(value), figure)).collect();
            let label = |x: f64| {
                let whole = (x - x.round()).abs() < 1e-6 && x > -0.5;
                if whole { places.get(x.round() as usize).cloned().unwrap_or_default() } else { String::new() }
            };
            return figure(Scatter { name: key, points, line: vec![], label: &label, places: Some(places.len()) });
        };
        // Over factors where the values span more than ten.
        let (low, high) = points.iter().fold((f64::INFINITY, 0.0f64), |(l, h), p| (l.min(p.0), h.max(p.0)));
        let log = low > 0.0 && high >= 5.0 * low;
        let points = points.into_iter().map(|(x, y)| (if log { x.ln() } else { x }, y)).collect();
        let label = |x: f64| short(if log { x.exp() } else { x });
        figure(Scatter { name: key, points, line: vec![], label: &label, places: None })
    }
}

/// A number in few characters.
fn short(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        a if a < 0.001 => format!("{x:.1e}"),
        a if a < 1.0 => format!("{x:.3}"),
        a if a < 10.0 => format!("{x:.1}"),
        _ => format!("{x:.0}"),
    }
}

fn shown(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".into(), |f| format!("{:.2} %", 100.0 * f))
}

fn parameters(trial: &Trial) -> String {
    trial.parameters.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
}
