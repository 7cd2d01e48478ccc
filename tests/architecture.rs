use std::collections::BTreeMap;
use std::path::Path;

use harmonize::contract::Contract;
use harmonize::sql::VIEWS;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(file: &str) -> String {
    std::fs::read_to_string(repository().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// Rust sources below a folder, as paths from it.
fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The table of `docs/architecture.md`: room → rooms that it may use.
fn allowed() -> BTreeMap<String, Vec<String>> {
    let mut table = BTreeMap::new();
    let mut above: Vec<String> = Vec::new();
    for line in text("docs/architecture.md").lines() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [room, _, uses] = cells[..] else { continue };
        let Some(room) = room.strip_prefix('`').and_then(|r| r.strip_suffix('`')) else { continue };
        let uses: Vec<String> = match uses {
            "–" => Vec::new(),
            "everything" => above.clone(),
            list => list.split(',').map(|u| u.trim().to_string()).collect(),
        };
        for used in &uses {
            assert!(above.contains(used), "{room} may use {used}, which is not above it in the table");
        }
        above.push(room.to_string());
        table.insert(room.to_string(), uses);
    }
    table
}

#[test]
fn every_room_imports_only_what_the_architecture_allows() {
    let allowed = allowed();
    let src = repository().join("src");
    let mut rooms = Vec::new();
    for file in sources(&src) {
        let inside = file.strip_prefix(&src).unwrap();
        let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_string();
        if room == "lib" || room == "main" {
            continue;
        }
        let may = allowed.get(&room).unwrap_or_else(|| panic!("docs/architecture.md does not know the room {room}"));
        rooms.push(room.clone());
        let code = std::fs::read_to_string(&file).unwrap();
        let code = code.split("#[cfg(test)]").next().unwrap();
        for (at, _) in code.match_indices("crate::") {
            let used: String = code[at + 7..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let exported = matches!(used.as_str(), "Error" | "Result");
            let ok = exported || used == room || may.contains(&used);
            assert!(ok, "{} uses crate::{used}, which the table does not allow {room}", inside.display());
        }
    }
    rooms.dedup();
    for room in allowed.keys() {
        assert!(rooms.contains(room), "docs/architecture.md names the room {room}, which does not exist");
    }
}

#[test]
fn a_library_has_one_home() {
    let homes = [
        ("candle_core", &["model", "train", "error"][..]),
        ("deltalake", &["lake", "error"]),
        ("clap", &["cli"]),
        ("tokenizers", &["text"]),
        ("indicatif", &["cli"]),
        ("plotters", &["train"]),
        ("calamine", &["review"]),
        ("rust_xlsxwriter", &["review"]),
    ];
    let src = repository().join("src");
    for file in sources(&src) {
        let inside = file.strip_prefix(&src).unwrap();
        let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let code = std::fs::read_to_string(&file).unwrap();
        for (library, rooms) in homes {
            let uses = code.contains(&format!("{library}::"));
            assert!(!uses || rooms.contains(&room), "{} uses {library}", inside.display());
        }
    }
}

#[test]
fn the_data_dictionary_says_what_the_contracts_say() {
    let dictionary = text("docs/data-dictionary.md");
    for contract in Contract::ALL {
        assert!(
            dictionary.contains(&contract.dictionary()),
            "docs/data-dictionary.md differs from schemas/{}.json; it should hold:\n{}",
            contract.table(),
            contract.dictionary()
        );
    }
    for reason in harmonize::policy::Reason::ALL {
        assert!(dictionary.contains(&format!("`{}`", reason.as_str())), "{} is not explained", reason.as_str());
    }
    for decision in harmonize::policy::Decision::ALL {
        assert!(dictionary.contains(&format!("`{}`", decision.as_str())), "{} is not explained", decision.as_str());
    }
}

#[test]
fn every_query_and_schema_file_is_one_that_the_program_has() {
    let names = |folder: &str| -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(repository().join(folder))
            .unwrap()
            .flatten()
            .filter(|e| e.path().is_file())
            .map(|e| e.path().file_stem().unwrap().to_str().unwrap().to_string())
            .collect();
        names.sort();
        names
    };
    let mut views: Vec<&str> = VIEWS.iter().map(|(name, _)| *name).collect();
    views.sort_unstable();
    assert_eq!(names("queries"), views);
    let named: Vec<&str> = harmonize::sql::named::list().iter().map(|query| query.name()).collect();
    assert_eq!(names("queries/named"), named);
    let mut tables: Vec<&str> = Contract::ALL.iter().map(|c| c.table()).collect();
    tables.sort_unstable();
    assert_eq!(names("schemas"), tables);
}

#[test]
fn every_code_of_the_lexicon_is_a_subheading_of_2022() {
    let codes = harmonize::tariff::Codes::builtin(harmonize::tariff::Edition::Hs2022);
    let lexicon = harmonize::sample::lexicon_codes();
    assert!(lexicon.len() >= 300, "{}", lexicon.len());
    for code in lexicon {
        assert!(codes.contains(code), "{code}");
    }
}

/// One copy of each: two of them would be two incompatible types.
#[test]
fn the_lock_file_has_one_datafusion_one_arrow_and_one_object_store() {
    let lock = text("Cargo.lock");
    for name in ["datafusion", "arrow", "parquet", "object_store", "deltalake", "candle-core", "tokenizers"] {
        assert_eq!(lock.matches(&format!("name = \"{name}\"\n")).count(), 1, "{name}");
    }
}
