//! Diagrams as SVG inside a page. Their colours are the page's own, so they are right in light and in dark.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::evaluate::{Accepted, Bin, ByDigits, RiskPoint, Share};
use crate::error::{Error, Result};

/// Size of a diagram in the units of its view box; a page scales it.
const SIZE: (u32, u32) = (480, 340);

/// Stand-ins for the page's colours, which [`themed`] puts in.
pub const INK: RGBColor = RGBColor(1, 1, 1);
pub const SOFT: RGBColor = RGBColor(2, 2, 2);
pub const LINE: RGBColor = RGBColor(3, 3, 3);
/// Colours of series, in order; the page's legend has them under the same names.
pub const SERIES: [RGBColor; 3] = [RGBColor(4, 4, 4), RGBColor(5, 5, 5), RGBColor(6, 6, 6)];

/// The names of the colours in the style of a page.
const NAMES: [(&str, &str); 6] = [
    ("#010101", "var(--ink)"),
    ("#020202", "var(--soft)"),
    ("#030303", "var(--line)"),
    ("#040404", "var(--first)"),
    ("#050505", "var(--second)"),
    ("#060606", "var(--third)"),
];

/// Share right against confidence, level by level, with the interval of each bin of the six digits. The diagonal is where
/// confidence is what it says.
pub fn reliability(bins: &ByDigits<Vec<Bin>>) -> Result<String> {
    drawn("How often a confidence is right", |area| {
        let axes = Axes { x: ("confidence", 1.0), y: ("share right", 1.0) };
        axes.draw(area, |chart| {
            chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], SOFT.stroke_width(1)))?;
            for (level, color) in [&bins.hs2, &bins.hs4, &bins.hs6].into_iter().zip([SERIES[2], SERIES[1], SERIES[0]]) {
                let points = level.iter().map(|bin| (bin.mean_confidence, bin.right_ratio));
                chart.draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?;
                match color {
                    c if c == SERIES[0] => chart.draw_series(points.map(|at| Circle::new(at, 4, c.filled())))?,
                    c if c == SERIES[1] => {
                        chart.draw_series(points.map(|at| TriangleMarker::new(at, 5, c.filled())))?
                    }
                    c => chart.draw_series(points.map(|at| Cross::new(at, 4, c.stroke_width(2))))?,
                };
            }
            chart.draw_series(bins.hs6.iter().map(|bin| {
                let share = Share::of(bin.right_rows, bin.rows);
                let ends = vec![(bin.mean_confidence, share.low), (bin.mean_confidence, share.high)];
                PathElement::new(ends, SERIES[0].stroke_width(1))
            }))?;
            Ok(())
        })
    })
}

/// Share wrong against the share of rows accepted, level by level: six digits, with the policy's own place and its interval, four
/// in long dashes, two in short ones; and the share of wrong ones that the policy aims at.
pub fn risk_coverage(
    levels: &ByDigits<&[RiskPoint]>,
    accepted: &Accepted,
    target_precision: Option<f64>,
) -> Result<String> {
    let points = levels.hs6;
    let target = target_precision.map(|precision| 1.0 - precision);
    let own = accepted.precision.map(|p| (accepted.coverage_ratio, 1.0 - p));
    let highest = points.iter().map(|p| p.risk_ratio).chain(target).chain(own.map(|at| at.1)).fold(0.01, f64::max);
    drawn("Wrong ones among the accepted", |area| {
        // A little air above, and no more than all of them.
        let axes = Axes { x: ("share accepted", 1.0), y: ("share wrong", (highest * 1.1).min(1.0)) };
        axes.draw(area, |chart| {
            if let Some(target) = target {
                chart.draw_series(LineSeries::new([(0.0, target), (1.0, target)], SOFT.stroke_width(1)))?;
            }
            let curve =
                |points: &[RiskPoint]| points.iter().map(|p| (p.coverage_ratio, p.risk_ratio)).collect::<Vec<_>>();
            for (points, color, dash) in [(levels.hs2, SERIES[2], 3), (levels.hs4, SERIES[1], 9)] {
                chart.draw_series(DashedLineSeries::new(curve(points), dash, 4, color.stroke_width(2)))?;
            }
            chart.draw_series(LineSeries::new(curve(points), SERIES[0].stroke_width(2)))?;
            if let Some((coverage, risk)) = own {
                let ends = [1.0 - accepted.precision_high, 1.0 - accepted.precision_low];
                let bar = ends.map(|risk| (coverage, risk.min(axes.y.1))).to_vec();
                chart.draw_series([PathElement::new(bar, SERIES[0].stroke_width(1))])?;
                chart.draw_series([Circle::new((coverage, risk), 5, SERIES[0].filled())])?;
            }
            Ok(())
        })
    })
}

/// Where a diagram is drawn.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'b, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
/// Whether it could be.
pub type Drawing = std::result::Result<(), Box<dyn std::error::Error>>;
use plotters::coord::types::RangedCoordf64;

/// What runs along each axis from 0, and how far.
#[derive(Clone, Copy)]
struct Axes {
    x: (&'static str, f64),
    y: (&'static str, f64),
}

impl Axes {
    fn draw<'a, 'b>(&self, area: &'b Area<'a>, series: impl FnOnce(&mut Chart<'a, 'b>) -> Drawing) -> Drawing
    where
        'a: 'b,
    {
        let text = |size: u32| TextStyle::from(("sans-serif", size).into_font()).color(&INK);
        let percent = |value: &f64| format!("{:.0} %", 100.0 * value);
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(16)
            .x_label_area_size(44)
            .y_label_area_size(58)
            .build_cartesian_2d(0.0..self.x.1, 0.0..self.y.1)?;
        chart
            .configure_mesh()
            .x_labels(6)
            .y_labels(6)
            .max_light_lines(0)
            .bold_line_style(LINE)
            .axis_style(SOFT)
            .label_style(text(14))
            .axis_desc_style(text(15))
            .x_desc(self.x.0)
            .y_desc(self.y.0)
            .x_label_formatter(&percent)
            .y_label_formatter(&percent)
            .draw()?;
        series(&mut chart)
    }
}

/// The drawing as an SVG element with a name for those who cannot see it.
pub fn drawn(name: &str, draw: impl FnOnce(&Area<'_>) -> Drawing) -> Result<String> {
    drawn_high(name, SIZE.1, draw)
}

/// As [`drawn`], of this height.
pub fn drawn_high(name: &str, height: u32, draw: impl FnOnce(&Area<'_>) -> Drawing) -> Result<String> {
    let mut svg = String::new();
    let failed = |e: Box<dyn std::error::Error>| Error::Bug(format!("drawing \"{name}\": {e}"));
    {
        let area = SVGBackend::with_string(&mut svg, (SIZE.0, height)).into_drawing_area();
        draw(&area).map_err(failed)?;
        area.present().map_err(|e| failed(e.into()))?;
    }
    Ok(themed(&svg, name, height))
}

/// An SVG document of `plotters` as an element of a page: the page's width, fonts and colours.
fn themed(svg: &str, name: &str, height: u32) -> String {
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    let width = SIZE.0;
    let open =
        format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">", super::page::escaped(name));
    let mut out = open + body.trim_end();
    for (stand_in, color) in NAMES {
        out = out.replace(stand_in, color);
    }
    out.replace(" font-family=\"sans-serif\"", "")
}
