//! Lines of different lengths, one after the other: nothing is padded, so no neighbour can reach a line's numbers.

use crate::model::forward::Line;
use std::ops::Range;

/// For each line the rows of a table that it looks at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    rows: Vec<u32>,
    ends: Vec<usize>,
}

impl Places {
    /// Appends a line.
    pub fn push(&mut self, rows: impl Iterator<Item = u32>) {
        self.rows.extend(rows);
        self.ends.push(self.rows.len());
    }

    /// Number of lines.
    pub fn lines(&self) -> usize {
        self.ends.len()
    }

    /// Rows of all lines, one after the other.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Where each line stands in [`Places::rows`].
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| start..end)
    }

    /// Lines of the same lengths whose rows are numbered through.
    pub fn numbered(&self) -> Places {
        Places { rows: (0..self.rows.len() as u32).collect(), ends: self.ends.clone() }
    }

    /// How far into its line each row stands.
    pub fn offsets(&self) -> Vec<u32> {
        self.ranges().flat_map(|range| 0..range.len() as u32).collect()
    }
}

/// Some lines as a network sees them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Rows of the token embedding.
    pub tokens: Places,
    /// Rows of the table of n-grams.
    pub grams: Places,
}

impl Batch {
    /// One line alone, whose rows are those of the whole tables; of ids that the tables do not have, nothing is seen.
    pub fn of_line(line: Line<'_>, max_tokens: usize, vocab_size: usize, buckets: usize) -> Batch {
        let known = |ids: &[u32], rows: usize| -> Places {
            let mut places = Places::default();
            places.push(ids.iter().copied().filter(|&id| (id as usize) < rows));
            places
        };
        let tokens = &line.tokens[..line.tokens.len().min(max_tokens)];
        Batch { tokens: known(tokens, vocab_size), grams: known(line.grams, buckets) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_follow_each_other_without_padding() {
        let mut places = Places::default();
        for line in [&[4u32, 2, 4][..], &[], &[9]] {
            places.push(line.iter().copied());
        }
        assert_eq!(places.ranges().collect::<Vec<_>>(), [0..3, 3..3, 3..4]);
        assert_eq!((places.lines(), places.rows()), (3, &[4, 2, 4, 9][..]));
        assert_eq!(places.offsets(), [0, 1, 2, 0]);
        assert_eq!(places.numbered().rows(), [0, 1, 2, 3]);
    }

    #[test]
    fn what_a_table_does_not_have_is_not_seen() {
        let batch = Batch::of_line(Line { tokens: &[1, 9, 2, 3], grams: &[0, 5] }, 3, 9, 5);
        assert_eq!((batch.tokens.rows(), batch.grams.rows()), (&[1, 2][..], &[0][..]));
    }
}
