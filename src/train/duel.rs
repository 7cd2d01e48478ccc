//! Drawings of one model against another: differences with their intervals, and evidence that grows look by look.

use plotters::prelude::*;

use super::figures::signed;
use super::plot::{Area, Drawing, INK, LINE, SERIES, SOFT, drawn, drawn_high};
use crate::error::Result;

/// A difference with its interval, as shares of 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// What it is of, in few letters.
    pub name: String,
    /// The difference.
    pub at: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
}

/// Height of one difference.
const ROW: u32 = 20;

/// Differences one below the other with their intervals, the first on top; beside 0 there is a line at `limit`.
///
/// # Errors
/// `Bug` when it cannot be drawn.
pub fn differences(name: &str, ranges: &[Range], limit: f64) -> Result<String> {
    drawn_high(name, 56 + ROW * ranges.len().max(1) as u32, |area| draw_differences(area, ranges, limit))
}

fn draw_differences(area: &Area<'_>, ranges: &[Range], limit: f64) -> Drawing {
    let (low, high) = ranges.iter().fold((limit, -limit), |(low, high), r| (r.low.min(low), r.high.max(high)));
    let air = 0.05 * (high - low).max(0.01);
    let (low, high, rows) = (low - air, high + air, ranges.len());
    let ends = (-0.5, rows.max(1) as f64 - 0.5);
    // Upwards the first one comes last.
    let place = |row: usize| rows as f64 - 1.0 - row as f64;
    let label = |y: &f64| {
        let whole = (y - y.round()).abs() < 1e-6;
        let row = ranges.iter().enumerate().find(|(row, _)| whole && (place(*row) - y).abs() < 0.5);
        row.map_or_else(String::new, |(_, range)| range.name.clone())
    };
    let text = |size: u32| TextStyle::from(("sans-serif", size).into_font()).color(&INK);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(16)
        .x_label_area_size(36)
        .y_label_area_size(40)
        .build_cartesian_2d(low..high, ends.0..ends.1)?;
    chart
        .configure_mesh()
        .x_labels(6)
        .y_labels(rows + 2)
        .max_light_lines(0)
        .bold_line_style(LINE)
        .axis_style(SOFT)
        .label_style(text(14))
        .x_label_formatter(&|x| signed(100.0 * x))
        .y_label_formatter(&label)
        .draw()?;
    chart.draw_series(LineSeries::new([(0.0, ends.0), (0.0, ends.1)], SOFT.stroke_width(1)))?;
    chart.draw_series(LineSeries::new([(limit, ends.0), (limit, ends.1)], SERIES[1].stroke_width(1)))?;
    for (row, range) in ranges.iter().enumerate() {
        let y = place(row);
        chart.draw_series([PathElement::new(vec![(range.low, y), (range.high, y)], SERIES[0].stroke_width(2))])?;
        chart.draw_series([Circle::new((range.at, y), 4, SERIES[0].filled())])?;
    }
    Ok(())
}

/// Evidence after each of some looks, as powers of ten from none at the start, and the level at which it is enough; `dates` name
/// the looks.
///
/// # Errors
/// `Bug` when it cannot be drawn.
pub fn evidence(name: &str, dates: &[String], powers: &[f64], level: f64) -> Result<String> {
    drawn(name, |area| draw_evidence(area, dates, powers, level))
}

fn draw_evidence(area: &Area<'_>, dates: &[String], powers: &[f64], level: f64) -> Drawing {
    let line: Vec<(f64, f64)> =
        std::iter::once(0.0).chain(powers.iter().copied()).enumerate().map(|(n, power)| (n as f64, power)).collect();
    let (low, high) = line.iter().fold((0.0_f64, level), |(low, high), at| (low.min(at.1), high.max(at.1)));
    let air = 0.06 * (high - low);
    let last = powers.len().max(1) as f64;
    let label = |x: &f64| match (x - x.round()).abs() < 1e-6 && *x > 0.5 {
        true => dates.get(x.round() as usize - 1).cloned().unwrap_or_default(),
        false => String::new(),
    };
    let text = |size: u32| TextStyle::from(("sans-serif", size).into_font()).color(&INK);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(40)
        .x_label_area_size(36)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..last, low - air..high + air)?;
    chart
        .configure_mesh()
        .x_labels(5)
        .y_labels(6)
        .max_light_lines(0)
        .bold_line_style(LINE)
        .axis_style(SOFT)
        .label_style(text(14))
        .axis_desc_style(text(15))
        .y_desc("evidence, powers of ten")
        .x_label_formatter(&label)
        .y_label_formatter(&|y| format!("{y:.1}"))
        .draw()?;
    chart.draw_series(LineSeries::new([(0.0, level), (last, level)], SERIES[1].stroke_width(1)))?;
    chart.draw_series(LineSeries::new(line.iter().copied(), SERIES[0].stroke_width(2)))?;
    chart.draw_series(line.iter().skip(1).map(|at| Circle::new(*at, 3, SERIES[0].filled())))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_has_its_name_its_interval_and_its_point() {
        for rows in [0, 1, 2, 7, 25] {
            let range = |n: usize| Range { name: format!("{:02}", n + 61), at: -0.01, low: -0.05, high: 0.03 };
            let ranges: Vec<Range> = (0..rows).map(range).collect();
            let svg = differences("a <b>", &ranges, -0.02).unwrap();
            let lines = |of: &str| svg.matches(&format!("stroke=\"var(--{of})\"")).count();
            assert_eq!((svg.matches("<circle").count(), lines("first"), lines("second")), (rows, rows, 1), "{svg}");
            assert!(svg.contains("a &lt;b&gt;") && svg.ends_with("</svg>"), "{svg}");
            assert!(!svg.contains('#') && !svg.contains("http"), "{svg}");
            for range in &ranges {
                assert!(svg.lines().any(|line| line.trim() == range.name), "{rows} {}: {svg}", range.name);
            }
        }
    }

    #[test]
    fn evidence_is_drawn_from_the_start_and_its_looks_are_named() {
        for looks in [0, 1, 2, 60] {
            let dates: Vec<String> = (0..looks).map(|n| format!("2026-03-{:02}", n + 1)).collect();
            let powers: Vec<f64> = (0..looks).map(|n| n as f64 / 20.0 - 0.2).collect();
            let svg = evidence("evidence", &dates, &powers, 1.3).unwrap();
            let level = svg.matches("stroke=\"var(--second)\"").count();
            assert_eq!((svg.matches("<circle").count(), level), (looks, 1), "{svg}");
            assert!(looks == 0 || svg.contains("2026-03-"), "{svg}");
        }
    }
}
