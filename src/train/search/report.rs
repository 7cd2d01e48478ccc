//! A search as rows of text and as a self-contained page.

use super::plot::Scatter;
use super::space::{Axis, Parameter};
use super::trials::{Measured, Trial};
use super::{Found, SearchOptions};
use crate::error::Result;
use crate::train::page::{Figure, Page};
use crate::train::table::{Cell, Grid, tenths};

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
        let mut says = format!(
            "{} trials, judged by {} on the part of the split that ends the fit",
            self.trials.len(),
            self.objective
        );
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
            drawings.push(self.against(parameter)?);
        }
        let mut best = Grid::new([
            "trial",
            "figure",
            "right at 6 / 4 / 2 digits",
            "among five",
            "macro F1",
            "coverage at 98 / 95 %",
            "calibration error",
            "epochs",
            "seconds",
            "CPU-seconds",
            "parameters",
        ]);
        for trial in self.ranked().into_iter().take(TOLD) {
            best.rows.push(cells(trial).map(Cell::Words).to_vec());
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
        let svg =
            Scatter { name: &title, points, line, label: &|x| format!("{x:.0}"), across: None, places: None }.svg()?;
        let marks = [("●", "a trial"), ("━", "the best so far")].map(|(sign, meaning)| (sign, meaning.to_string()));
        Ok(Figure { title, svg, marks: marks.to_vec(), says: String::new() })
    }

    /// The figure against a parameter, over all that it may be.
    fn against(&self, parameter: &Parameter) -> Result<Figure> {
        let (key, range) = (&parameter.key, &parameter.range);
        let point = |trial: &Trial| Some((range.coordinate(trial.parameters.get(key)?)?, trial.figure?));
        let points = self.trials.iter().filter_map(point).collect();
        let (across, places) = match range.axis() {
            Axis::Line(low, high) => ((low, high), None),
            Axis::Places(places) => ((-0.5, places as f64 - 0.5), Some(places)),
        };
        let label = |x: f64| range.label(x);
        let svg = Scatter { name: key, points, line: vec![], label: &label, across: Some(across), places }.svg()?;
        Ok(Figure { title: key.clone(), svg, marks: vec![("●", "a trial".to_string())], says: String::new() })
    }
}

fn shown(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".into(), |f| format!("{:.2} %", 100.0 * f))
}

/// A row of the table of the best trials.
fn cells(trial: &Trial) -> [String; 11] {
    let of = |figure: &dyn Fn(&Measured) -> String| trial.measured.as_ref().map_or_else(|| "-".into(), figure);
    [
        trial.number.to_string(),
        shown(trial.figure),
        of(&|m| format!("{} / {} / {}", tenths(m.hs6), tenths(m.hs4), tenths(m.hs2))),
        of(&|m| tenths(m.hs6_top_five)),
        of(&|m| tenths(m.macro_f1)),
        of(&|m| format!("{} / {}", tenths(m.coverage_at_98), tenths(m.coverage_at_95))),
        of(&|m| format!("{:.3}", m.calibration_error_hs6)),
        of(&|m| m.epochs.to_string()),
        format!("{:.1}", trial.secs),
        trial.cpu_secs.map_or_else(|| "-".into(), |secs| format!("{secs:.1}")),
        parameters(trial),
    ]
}

fn parameters(trial: &Trial) -> String {
    trial.parameters.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
}
