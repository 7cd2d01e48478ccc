//! Cost against lines, threads and classes, drawn from the results of `pipeline`.

use plotters::prelude::*;
use serde_json::Value;

use super::Failure;

const WIDTH: u32 = 900;
const HEIGHT: u32 = 300;

/// One panel: what runs along it, and the name of that number in a result.
const PANELS: [(&str, &str); 3] = [("lines", "lines"), ("threads", "threads"), ("classes", "classes")];

/// Draws CPU seconds per million lines of harmonize; a panel shows the runs that differ in its number alone.
pub fn draw(results: &[Value], file: &str) -> Result<(), Failure> {
    let area = SVGBackend::new(file, (WIDTH, HEIGHT)).into_drawing_area();
    area.fill(&WHITE)?;
    let own: Vec<&Value> = results.iter().filter(|r| r["engine"] == "harmonize").collect();
    for (panel, (name, key)) in area.split_evenly((1, PANELS.len())).iter().zip(PANELS) {
        let mut points = longest_row(&own, key);
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let Some((first, last)) = points.first().zip(points.last()) else { continue };
        let (from, to) = (first.0 * 0.8, last.0 * 1.25);
        let highest = points.iter().fold(0.0, |m: f64, p| m.max(p.1)) * 1.3;
        let mut chart = ChartBuilder::on(panel)
            .margin(12)
            .caption(format!("CPU-seconds per million lines by {name}"), ("sans-serif", 14))
            .x_label_area_size(30)
            .y_label_area_size(34)
            .build_cartesian_2d((from..to).log_scale(), 0.0..highest)?;
        chart.configure_mesh().x_label_formatter(&|_| String::new()).disable_x_mesh().light_line_style(WHITE).draw()?;
        chart.draw_series(LineSeries::new(points.iter().copied(), &BLUE))?;
        chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, BLUE.filled())))?;
        let named = points.iter().map(|&(x, y)| Text::new(short(x), (x, y * 1.08), ("sans-serif", 11)));
        chart.draw_series(named)?;
    }
    area.present()?;
    Ok(())
}

fn short(x: f64) -> String {
    if x >= 1e6 { format!("{:.0} M", x / 1e6) } else { format!("{x:.0}") }
}

/// Most results that agree in everything but `key`, as points.
fn longest_row(results: &[&Value], key: &str) -> Vec<(f64, f64)> {
    let others = ["lines", "threads", "classes", "repeats_percent"];
    let alike = |a: &Value, b: &Value| others.iter().all(|&k| k == key || a[k] == b[k]);
    let rows = results.iter().map(|first| {
        let row = results.iter().filter(|r| alike(first, r));
        let mut row: Vec<(f64, f64)> =
            row.filter_map(|r| Some((r[key].as_f64()?, r["cpu_secs_per_million"].as_f64()?))).collect();
        row.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        row.dedup_by_key(|point| point.0);
        row
    });
    rows.max_by_key(Vec::len).unwrap_or_default()
}
