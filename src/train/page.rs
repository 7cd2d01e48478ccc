//! One self-contained HTML page: no script, no address outside itself, readable in light and dark, on a desk and on a phone.

use super::table::{Cell, Grid, interval, tenths};

/// What stands on a page, from top to bottom.
pub struct Page {
    title: String,
    body: String,
}

/// Colours first, then what they are used for. Text of every colour has a contrast of at least 4.5 to the page.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--line:#d1d9e0;--page:#fff;--box:#f6f8fa;--bar:#2f6fb0;\
--first:#1f5fa8;--second:#a34700;--third:#17713f}\
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;--page:#0d1117;--box:#161b22;\
--bar:#6ca4dc;--first:#6ca4dc;--second:#f0a35e;--third:#5cc98f}}\
*{box-sizing:border-box}\
body{margin:2rem auto;max-width:68rem;padding:0 1rem;background:var(--page);color:var(--ink);\
font:16px/1.5 system-ui,sans-serif;overflow-wrap:break-word}\
h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.2rem;margin-top:2.2rem}h3{font-size:1rem;margin-top:1.5rem}\
p,figcaption,li{color:var(--soft)}p,li{max-width:46rem}p.lead{color:var(--ink)}\
table{border-collapse:collapse;width:100%}td,th{padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);\
text-align:left;vertical-align:top}th{font-weight:600;vertical-align:bottom}\
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}td.number{white-space:nowrap}\
td.note{color:var(--soft)}td.bar{width:40%}td.bar div{background:var(--bar);height:.8rem;border-radius:2px}\
.pairs td{overflow-wrap:anywhere}.pairs td:first-child{width:40%;color:var(--soft)}.grid td{overflow-wrap:anywhere}\
td small{display:block;color:var(--soft);font-size:.8em}\
.grid .range{width:8rem}.range div{position:relative;height:.8rem;background:var(--box);border-radius:2px;margin:.35rem 0}\
.range i,.range b{position:absolute;top:0;bottom:0}.range i{background:var(--bar);opacity:.45;border-radius:2px}\
.range b{width:2px;margin-left:-1px;background:var(--ink)}\
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;margin:1.25rem 0}\
.tiles div{background:var(--box);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem}\
.tiles b{display:block;font-size:1.5rem;line-height:1.3;font-variant-numeric:tabular-nums}\
.tiles span{color:var(--soft);font-size:.85rem}\
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1.5rem;margin-bottom:1rem}\
figure{margin:0}figure svg{width:100%;height:auto;display:block}figure h3{margin:.5rem 0}figcaption{font-size:.85rem}\
.first{color:var(--first)}.second{color:var(--second)}.third{color:var(--third)}\
pre{background:var(--box);border:1px solid var(--line);border-radius:6px;padding:.75rem;white-space:pre-wrap;\
overflow-wrap:anywhere;font-size:.85rem}\
summary{cursor:pointer;margin-top:1rem;font-weight:600}\
@media (max-width:40rem){body{margin:1rem auto}.grid thead,.grid .range{display:none}\
.grid tr{display:flex;flex-wrap:wrap;gap:0 1rem;padding:.35rem 0;border-bottom:1px solid var(--line)}\
.grid td{border:0;padding:0;font-size:.85rem;text-align:left}.grid td:first-child{flex-basis:100%;font-weight:600;font-size:1rem}\
.grid td:not(:first-child)::before{content:attr(data-name) \" \";color:var(--soft)}\
.grid td small{display:inline;margin-left:.4em;font-size:1em}}\
@media print{body{max-width:none}}";

/// Text as HTML may hold it.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// A drawing with its title and what its marks are.
pub struct Figure {
    /// Above it.
    pub title: String,
    /// An SVG element; see [`super::plot`].
    pub svg: String,
    /// Marks in the colours of the series, in their order: the sign and its meaning.
    pub marks: Vec<(&'static str, String)>,
    /// A sentence below it.
    pub says: String,
}

impl Page {
    /// A page with nothing but its title.
    pub fn new(title: &str) -> Page {
        Page { title: title.to_string(), body: format!("<h1>{}</h1>\n", escaped(title)) }
    }

    /// What the page is about, in a sentence or two.
    pub fn lead(mut self, says: &str) -> Page {
        self.body += &format!("<p class=\"lead\">{}</p>\n", prose(says));
        self
    }

    /// A heading with a sentence under it, which may be empty.
    pub fn section(self, title: &str, says: &str) -> Page {
        self.headed("h2", title, says)
    }

    /// A smaller heading with a sentence under it, which may be empty.
    pub fn subsection(self, title: &str, says: &str) -> Page {
        self.headed("h3", title, says)
    }

    fn headed(mut self, level: &str, title: &str, says: &str) -> Page {
        self.body += &format!("<{level}>{}</{level}>\n", escaped(title));
        if !says.is_empty() {
            self.body += &format!("<p>{}</p>\n", prose(says));
        }
        self
    }

    /// The few numbers that one looks for first: number and name.
    pub fn tiles(mut self, tiles: &[(String, &str)]) -> Page {
        self.body += "<div class=\"tiles\">\n";
        for (number, name) in tiles {
            self.body += &format!("<div><b>{}</b><span>{}</span></div>\n", escaped(number), escaped(name));
        }
        self.body += "</div>\n";
        self
    }

    /// Drawings, side by side where there is room.
    pub fn figures(mut self, figures: &[Figure]) -> Page {
        self.body += "<div class=\"figures\">\n";
        for Figure { title, svg, marks, says } in figures {
            let classes = ["first", "second", "third"];
            let mark = |((sign, meaning), class): (&(&str, String), _)| {
                format!("<span class=\"{class}\">{}</span>&nbsp;{}", escaped(sign), escaped(meaning))
            };
            let marks: Vec<String> = marks.iter().zip(classes).map(mark).collect();
            self.body += &format!(
                "<figure><h3>{}</h3>\n{svg}\n<figcaption>{}. {}</figcaption></figure>\n",
                escaped(title),
                marks.join(" · "),
                prose(says)
            );
        }
        self.body += "</div>\n";
        self
    }

    /// Facts: name, number, note.
    pub fn facts<'a>(mut self, rows: impl Iterator<Item = &'a [String; 3]>) -> Page {
        self.body += "<table class=\"facts\">\n";
        for [name, value, note] in rows {
            // What is set in belongs to the fact above.
            let inset = name.len() - name.trim_start().len();
            self.body += &format!(
                "<tr><td style=\"padding-left:{inset}ch\">{}</td><td class=\"number\">{}</td><td class=\"note\">{}</td></tr>\n",
                escaped(name.trim_start()),
                escaped(value),
                escaped(note)
            );
        }
        self.body += "</table>\n";
        self
    }

    /// Names with values of any length.
    pub fn pairs(mut self, rows: &[[String; 2]]) -> Page {
        self.body += "<table class=\"pairs\">\n";
        for [name, value] in rows {
            self.body += &format!("<tr><td>{}</td><td>{}</td></tr>\n", escaped(name), escaped(value));
        }
        self.body += "</table>\n";
        self
    }

    /// Rows under a header; the first share of a row is drawn too.
    pub fn grid(mut self, grid: &Grid) -> Page {
        let drawn = grid.rows.first().and_then(|row| row.iter().position(|cell| matches!(cell, Cell::Share(_))));
        let number = |at: usize| !matches!(grid.rows.first().and_then(|row| row.get(at)), Some(Cell::Words(_)));
        self.body += "<table class=\"grid\">\n<thead><tr>";
        for (at, name) in grid.header.iter().enumerate() {
            let class = if number(at) { " class=\"number\"" } else { "" };
            self.body += &format!("<th{class}>{}</th>", escaped(name));
            if drawn == Some(at) {
                self.body += "<th class=\"range\"></th>";
            }
        }
        self.body += "</tr></thead>\n<tbody>\n";
        for row in &grid.rows {
            self.body += "<tr>";
            for (at, cell) in row.iter().enumerate() {
                let (class, inside) = match cell {
                    Cell::Words(text) => ("", escaped(text)),
                    Cell::Number(text) => (" class=\"number\"", escaped(text)),
                    Cell::Ranged(number, range) => {
                        (" class=\"number\"", format!("{}<small>{}</small>", escaped(number), escaped(range)))
                    }
                    Cell::Share(None) => (" class=\"number\"", "–".to_string()),
                    Cell::Share(Some(share)) => {
                        let inside = format!("{}<small>{}</small>", tenths(share.ratio), interval(share));
                        (" class=\"number\"", inside)
                    }
                };
                // Where there is no room for the header, each cell says what it is.
                let name = escaped(grid.header.get(at).map_or("", String::as_str));
                self.body += &format!("<td{class} data-name=\"{name}\">{inside}</td>");
                if drawn == Some(at) {
                    self.body += &format!("<td class=\"range\">{}</td>", drawing_of(cell));
                }
            }
            self.body += "</tr>\n";
        }
        self.body += "</tbody></table>\n";
        self
    }

    /// Bars: name, length, what stands beside it.
    pub fn bars(mut self, rows: &[(String, usize, String)]) -> Page {
        let longest = rows.iter().map(|row| row.1).max().unwrap_or(0).max(1);
        self.body += "<table>\n";
        for (name, length, note) in rows {
            let percent = 100.0 * *length as f64 / longest as f64;
            self.body += &format!(
                "<tr><td>{}</td><td class=\"bar\"><div style=\"width:{percent:.1}%\"></div></td>\
                 <td class=\"number\">{}</td></tr>\n",
                escaped(name),
                escaped(note)
            );
        }
        self.body += "</table>\n";
        self
    }

    /// Sentences in a list.
    pub fn list(mut self, sentences: &[String]) -> Page {
        let items: String = sentences.iter().map(|says| format!("<li>{}</li>\n", prose(says))).collect();
        self.body += &format!("<ul>\n{items}</ul>\n");
        self
    }

    /// Text as it is, such as a command.
    pub fn verbatim(mut self, text: &str) -> Page {
        self.body += &format!("<pre>{}</pre>\n", escaped(text));
        self
    }

    /// What only some want to see, behind its name.
    pub fn details(mut self, name: &str, inside: impl FnOnce(Page) -> Page) -> Page {
        let inner = inside(Page { title: String::new(), body: String::new() });
        self.body += &format!("<details><summary>{}</summary>\n{}</details>\n", escaped(name), inner.body);
        self
    }

    /// The whole page.
    pub fn html(&self) -> String {
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
            escaped(&self.title),
            self.body
        )
    }
}

/// A share and its interval on a line from 0 to 1.
fn drawing_of(cell: &Cell) -> String {
    let Cell::Share(Some(share)) = cell else { return String::new() };
    let [low, width, at] = [share.low, share.high - share.low, share.ratio].map(|ratio| 100.0 * ratio);
    format!("<div><i style=\"left:{low:.1}%;width:{width:.1}%\"></i><b style=\"left:{at:.1}%\"></b></div>")
}

/// Sentences as HTML may hold them; a number stays with its sign.
fn prose(text: &str) -> String {
    escaped(text).replace(" %", "&nbsp;%")
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::Share;
    use super::*;

    #[test]
    fn nothing_on_a_page_is_taken_for_markup() {
        let rows = [["<b>".to_string(), "1 & 2".to_string(), "\"x\"".to_string()]];
        let page = Page::new("a <title>").section("s", "").facts(rows.iter()).bars(&[("<i>".into(), 3, "3".into())]);
        let html = page.html();
        assert!(
            html.contains("a &lt;title&gt;") && html.contains("1 &amp; 2") && html.contains("&quot;x&quot;"),
            "{html}"
        );
        assert!(!html.contains("<b>") && !html.contains("<i>") && html.contains("width:100.0%"));
        assert!(!html.contains("http") && !html.contains("<script"));
        let grid = Grid { rows: vec![vec![Cell::Words("<u>".into())]], ..Grid::new(["<th>"]) };
        let figure = Figure {
            title: "f".into(),
            svg: "<svg></svg>".into(),
            marks: vec![("●", "<q>".into())],
            says: "<em>".into(),
        };
        let html = Page::new("t")
            .lead("<u>")
            .tiles(&[("<u>".into(), "<u>")])
            .grid(&grid)
            .figures(&[figure])
            .list(&["<em>".into()])
            .details("<u>", |page| page.verbatim("<q>"))
            .html();
        for markup in ["<u>", "<q>", "<em>", "<th><th>"] {
            assert!(!html.contains(markup), "{markup}: {html}");
        }
    }

    #[test]
    fn a_share_is_told_and_drawn_with_its_interval() {
        let share = Share { ratio: 0.5, low: 0.25, high: 0.875 };
        let ranged = Cell::Ranged("+1".into(), "0 to +2".into());
        let row = vec![Cell::Share(Some(share)), Cell::Share(Some(share)), Cell::Share(None), ranged];
        let html = Page::new("t").grid(&Grid { rows: vec![row], ..Grid::new(["a", "b", "c", "d"]) }).html();
        assert!(html.contains("<td class=\"number\" data-name=\"d\">+1<small>0 to +2</small></td>"), "{html}");
        assert_eq!(html.matches("50.0 %<small>25.0 to 87.5</small>").count(), 2);
        assert!(html.contains("<td class=\"number\" data-name=\"c\">–</td>"), "{html}");
        assert_eq!(html.matches("<i style=\"left:25.0%;width:62.5%\"></i><b style=\"left:50.0%\"></b>").count(), 1);
    }
}
