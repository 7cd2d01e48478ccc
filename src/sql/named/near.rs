//! Names that somebody may have meant.

/// Up to three names that are few edits away from the given one, or hold it, the nearest first.
pub(super) fn near<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let given = given.to_lowercase().replace('-', "_");
    let allowed = (given.chars().count() / 3).clamp(2, 4);
    let mut found: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let inside = given.len() >= 3 && (name.contains(&given) || given.contains(name));
            let edits = edits(&given, name);
            (inside || edits <= allowed).then_some((edits, name))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

/// The least number of characters to insert, delete or replace that makes one of the other (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_right_gets_a_suggestion() {
        let names = ["queue_age", "run_inputs", "cost_by_run"];
        assert_eq!(near("queue-age", names.into_iter()), ["queue_age"]);
        assert_eq!(near("cost_by_rnu", names.into_iter()), ["cost_by_run"]);
        assert_eq!(near("inputs", names.into_iter()), ["run_inputs"]);
        assert!(near("nomenclature", names.into_iter()).is_empty());
        assert_eq!((edits("kitten", "sitting"), edits("", "abc"), edits("flaw", "lawn")), (3, 3, 2));
    }
}
