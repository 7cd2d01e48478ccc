use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Names of the test functions below a folder of sources.
fn tests_below(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            tests_below(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            for (n, line) in lines.iter().enumerate() {
                let is_test = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                // Attributes and a comment may stand between.
                if lines[n.saturating_sub(3)..n].iter().any(is_test)
                    && let Some(rest) = line.strip_prefix("fn ").or_else(|| line.strip_prefix("async fn "))
                {
                    found.extend(rest.split('(').next().map(str::to_owned));
                }
            }
        }
    }
}

/// `**B1** … MUST …` in the text, and `| B1 | tests |` in the table.
#[test]
fn every_must_of_the_formats_has_a_name_and_tests_that_exist() {
    let page = std::fs::read_to_string(repository().join("docs/formats.md")).unwrap();
    let (text, table) = page.split_once("## Who proves it").unwrap();
    let mut musts: BTreeMap<String, String> = BTreeMap::new();
    for item in text.split("\n- ").skip(1) {
        let item = item.split("\n\n").next().unwrap();
        let Some((name, said)) = item.strip_prefix("**").and_then(|rest| rest.split_once("** ")) else { continue };
        assert!(said.contains("MUST"), "{name} demands nothing");
        assert!(musts.insert(name.to_owned(), said.to_owned()).is_none(), "{name} is there twice");
    }
    let told: usize = musts.values().map(|said| said.matches("MUST").count()).sum();
    assert_eq!(text.matches("MUST").count(), told, "every MUST stands in an item with a name");
    let mut known = BTreeSet::new();
    for folder in ["src", "tests"] {
        tests_below(&repository().join(folder), &mut known);
    }
    assert!(known.contains("every_must_of_the_formats_has_a_name_and_tests_that_exist"));
    let mut proved = BTreeSet::new();
    for row in table.lines().filter_map(|line| line.strip_prefix("| ")).filter(|row| !row.starts_with('-')) {
        let (name, tests) = row.trim_end_matches(" |").split_once(" | ").unwrap_or((row, ""));
        if name == "| tests" || tests.is_empty() || name.is_empty() {
            continue;
        }
        assert!(musts.contains_key(name), "{name} is proved and not demanded");
        for test in tests.split(", ") {
            let test = test.trim_matches('`');
            assert!(known.contains(test), "{name}: there is no test {test}");
        }
        proved.insert(name.to_owned());
    }
    let names: BTreeSet<String> = musts.keys().cloned().collect();
    assert_eq!(names, proved, "demanded, and proved");
}
