//! One self-contained HTML page: no script, no address outside itself, readable in light and dark.

/// What stands on a page, from top to bottom.
pub struct Page {
    title: String,
    body: String,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--line:#d1d9e0;--page:#fff;--bar:#2f6fb0}\
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;--page:#0d1117;--bar:#6ca4dc}}\
body{margin:2rem auto;max-width:60rem;padding:0 1rem;background:var(--page);color:var(--ink);\
font:16px/1.5 system-ui,sans-serif}\
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}p{color:var(--soft)}\
table{border-collapse:collapse;width:100%}td,th{padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);\
text-align:left;vertical-align:top}td.number,th.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
td.note{color:var(--soft)}td.bar{width:40%}td.bar div{background:var(--bar);height:.8rem;border-radius:2px}";

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

impl Page {
    /// A page with nothing but its title.
    pub fn new(title: &str) -> Page {
        Page { title: title.to_string(), body: format!("<h1>{}</h1>\n", escaped(title)) }
    }

    /// A heading with a sentence under it, which may be empty.
    pub fn section(mut self, title: &str, says: &str) -> Page {
        self.body += &format!("<h2>{}</h2>\n", escaped(title));
        if !says.is_empty() {
            self.body += &format!("<p>{}</p>\n", escaped(says));
        }
        self
    }

    /// Facts: name, number, note.
    pub fn facts<'a>(mut self, rows: impl Iterator<Item = &'a [String; 3]>) -> Page {
        self.body += "<table>\n";
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

#[cfg(test)]
mod tests {
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
    }
}
