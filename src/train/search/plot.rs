//! Drawings of a search.

use plotters::prelude::*;

use crate::error::Result;
use crate::train::plot::{Area, Drawing, INK, LINE, SERIES, SOFT, drawn};

/// Points over something, with a line through other points.
pub struct Scatter<'a> {
    /// What it shows, for those who do not see it.
    pub name: &'a str,
    /// Across, then upwards as a share of 1.
    pub points: Vec<(f64, f64)>,
    /// From left to right.
    pub line: Vec<(f64, f64)>,
    /// What stands below a place across.
    pub label: &'a dyn Fn(f64) -> String,
    /// From where to where; `None` for as far as there are points.
    pub across: Option<(f64, f64)>,
    /// How many places across there are, where there are no others.
    pub places: Option<usize>,
}

impl Scatter<'_> {
    /// As an element of a page.
    ///
    /// # Errors
    /// `Bug` when it cannot be drawn.
    pub fn svg(&self) -> Result<String> {
        drawn(self.name, |area| self.draw(area))
    }

    fn draw(&self, area: &Area<'_>) -> Drawing {
        let all = || self.points.iter().chain(&self.line);
        let across = self.across.unwrap_or_else(|| around(all().map(|p| p.0)));
        let upwards = around(all().map(|p| p.1));
        let text = TextStyle::from(("sans-serif", 14).into_font()).color(&INK);
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(16)
            .x_label_area_size(32)
            .y_label_area_size(62)
            .build_cartesian_2d(across.0..across.1, upwards.0..upwards.1)?;
        chart
            .configure_mesh()
            .x_labels(self.places.map_or(6, |places| places + 2))
            .y_labels(6)
            .max_light_lines(0)
            .bold_line_style(LINE)
            .axis_style(SOFT)
            .label_style(text)
            .x_label_formatter(&|x| (self.label)(*x))
            .y_label_formatter(&|y| format!("{:.1} %", 100.0 * y))
            .draw()?;
        chart.draw_series(LineSeries::new(self.line.iter().copied(), SERIES[1].stroke_width(2)))?;
        chart.draw_series(self.points.iter().map(|at| Circle::new(*at, 4, SERIES[0].filled())))?;
        Ok(())
    }
}

/// From a little below the least to a little above the largest; where all are the same, on both sides of that.
fn around(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    match high - low {
        span if span > 0.0 => (low - 0.05 * span, high + 0.05 * span),
        _ if low.is_finite() => (low - 0.05, high + 0.05),
        _ => (0.0, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_has_its_points_and_its_line_in_the_colours_of_the_page() {
        let points = vec![(1.0, 0.2), (2.0, 0.4), (3.0, 0.3)];
        let line = vec![(1.0, 0.2), (3.0, 0.4)];
        let svg = Scatter { name: "a <b>", points, line, label: &|x| format!("at {x}"), across: None, places: None }
            .svg()
            .unwrap();
        assert_eq!(svg.matches("<circle").count(), 3, "{svg}");
        assert!(svg.contains("<polyline") && svg.contains("at 2") && svg.contains("a &lt;b&gt;"), "{svg}");
        assert!(!svg.contains("http") && !svg.contains('#') && svg.ends_with("</svg>"), "{svg}");
    }

    #[test]
    fn one_point_none_and_a_choice_of_places_can_be_drawn() {
        for points in [vec![], vec![(1.0, 0.0)]] {
            for (across, places) in [(None, None), (Some((-0.5, 1.5)), Some(2))] {
                let (label, line) = (|_: f64| String::new(), points.clone());
                let scatter = Scatter { name: "n", line, points: points.clone(), label: &label, across, places };
                assert!(scatter.svg().unwrap().ends_with("</svg>"));
            }
        }
    }
}
