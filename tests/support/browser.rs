//! A real browser that looks at pages.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::lab::folder;

/// The browser; without one there is nothing to look with, which is an error only where one was promised.
fn browser() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut found = std::env::split_paths(&folders).flat_map(|folder| names.map(|name| folder.join(name)));
    let found = found.find(|file| file.is_file());
    assert!(found.is_some() || std::env::var_os("HARMONIZE_REQUIRE_BROWSER").is_none(), "there is no chromium");
    if found.is_none() {
        eprintln!("skipped: there is no chromium");
    }
    found
}

/// What a reader sees of these pages, each with its file name, at the width of a phone and of a desk, in light and in dark:
/// nothing sticks out of the screen, every text can be told from what is behind it, and nothing is fetched. `None` without
/// a browser.
pub fn looked_at(pages: &[(&str, &str)]) -> Option<Vec<Value>> {
    let browser = browser()?;
    let dir = folder();
    let mut all = Vec::new();
    for dark in [false, true] {
        for seen in look(&browser, dir.path(), pages, dark) {
            assert_eq!((&seen["outside"], &seen["faint"]), (&json!([]), &json!([])), "{seen}");
            assert!(seen["scroll_width"].as_f64() <= seen["width"].as_f64(), "{seen}");
            assert_eq!(seen["unnamed"], 0, "{seen}");
            assert_eq!((&seen["dark"], &seen["requests"]), (&json!(dark), &json!([])), "{seen}");
            assert_eq!(seen["background"] == "rgb(255, 255, 255)", !dark, "{seen}");
            all.push(seen);
        }
    }
    Some(all)
}

/// What `look.js` tells of each page at two widths, in one colour scheme.
fn look(browser: &Path, folder: &Path, pages: &[(&str, &str)], dark: bool) -> Vec<Value> {
    let mut frames = String::new();
    for (name, html) in pages {
        let with_script = html.replace("</body>", &format!("<script>{}</script></body>", include_str!("look.js")));
        std::fs::write(folder.join(name), with_script).unwrap();
        for width in [400, 1200] {
            frames += &format!("<iframe src=\"{name}\" width=\"{width}\" height=\"800\" style=\"border:0\"></iframe>");
        }
    }
    let collect = "addEventListener('message', e => { const p = document.createElement('pre'); \
                   p.textContent = e.data; document.body.append(p); })";
    let around = format!("<!DOCTYPE html><html><body><script>{collect}</script>{frames}</body></html>");
    std::fs::write(folder.join("around.html"), around).unwrap();
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--virtual-time-budget=10000"]);
    command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    // 0 is dark, 1 is light.
    command.arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!dark)));
    command.arg("--dump-dom").arg(format!("file://{}", folder.join("around.html").display()));
    let output = command.output().unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let told = dom.split("<pre>").skip(1).filter_map(|rest| rest.split("</pre>").next());
    let plain = |t: &str| t.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ").replace("&amp;", "&");
    let told: Vec<Value> = told.map(|text| serde_json::from_str(&plain(text)).unwrap()).collect();
    assert_eq!(told.len(), 2 * pages.len(), "{dom}\n{}", String::from_utf8_lossy(&output.stderr));
    told
}
