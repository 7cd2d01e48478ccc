//! What this room owns: synthetic shipment lines, made from the lexicon in `samples/`, for trials and load tests.
//!
//! What always holds: a chunk is a pure function of the [`Spec`] (its number of rows only cuts the last chunk) and of
//! its index, so chunks can be made in any order on any thread with the same bytes. Every code is a code of the
//! lexicon.
//!
//! What it refuses to do: read the clock or the environment, write files, or pretend to be real data. Scores on these
//! lines say nothing about a model.

mod describe;
mod draw;
mod files;
mod lexicon;
mod ornament;
mod trade;

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Builder, Float64Builder, Int32Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use describe::{Kind, describe};
use draw::{Draw, Stream};
use lexicon::{GOODS, Lexicon};
use trade::Trade;

pub use files::{Written, write};

/// Rows of every chunk but the last.
pub const CHUNK_ROWS: u64 = 65_536;

/// What to make.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Number of lines in all.
    pub rows: u64,
    /// Another seed gives other lines.
    pub seed: u64,
    /// Share of lines, 0 to 1, whose description repeats an earlier one of the same chunk exactly.
    pub repeat_ratio: f64,
    /// Adds the column `hs6` with the true code; null where the description is vague, blank or missing.
    pub labelled: bool,
    /// Draws goods from this many of the heaviest classes only (at least one); a wrong declared code may be any.
    pub classes: Option<usize>,
}

impl Default for Spec {
    fn default() -> Self {
        Self { rows: 10_000, seed: 7, repeat_ratio: 0.18, labelled: false, classes: None }
    }
}

/// Columns of the lines: `line_id`, `description`, `origin`, `destination`, `declared_hs`, `shipped_on`, `value` (US
/// dollars), `weight_kg`, `packages`, and `hs6` when labelled.
pub fn schema(spec: &Spec) -> SchemaRef {
    let mut fields = vec![
        Field::new("line_id", DataType::Utf8, false),
        Field::new("description", DataType::Utf8, true),
        Field::new("origin", DataType::Utf8, false),
        Field::new("destination", DataType::Utf8, false),
        Field::new("declared_hs", DataType::Utf8, true),
        Field::new("shipped_on", DataType::Date32, false),
        Field::new("value", DataType::Float64, false),
        Field::new("weight_kg", DataType::Float64, false),
        Field::new("packages", DataType::Int32, false),
    ];
    if spec.labelled {
        fields.push(Field::new("hs6", DataType::Utf8, true));
    }
    Arc::new(Schema::new(fields))
}

/// Number of chunks that hold `spec.rows` lines.
pub fn chunks(spec: &Spec) -> u64 {
    spec.rows.div_ceil(CHUNK_ROWS)
}

/// The lines from `index * CHUNK_ROWS` up to the next chunk or the end; none when `index` is past the end.
///
/// # Errors
/// Arrow's, when a batch cannot be assembled.
pub fn chunk(spec: &Spec, index: u64) -> Result<RecordBatch, ArrowError> {
    let first = index.saturating_mul(CHUNK_ROWS).min(spec.rows);
    let rows = (spec.rows - first).min(CHUNK_ROWS) as usize;
    let lexicon = &*GOODS;
    let table = lexicon.table(spec.classes);
    // A share of 2^32, so that a comparison of integers decides on each row.
    let repeats = (spec.repeat_ratio.clamp(0.0, 1.0) * 4_294_967_296.0) as u64;
    let mut lines = Lines::new(rows);
    let mut text = String::with_capacity(256);
    for row in first..first + rows as u64 {
        let mut goods = Draw::new(spec.seed, row, Stream::Goods);
        let repeated = (goods.bits() >> 32) < repeats && row > first;
        let (class, kind) = if repeated {
            lines.copy(goods.below((row - first) as u32) as usize, &mut text)
        } else {
            let class = goods.pick(table);
            let mut draw = Draw::new(spec.seed, row, Stream::Text);
            (class, describe(&mut text, lexicon, &lexicon.classes[usize::from(class)], &mut draw))
        };
        let trade = trade::draw(lexicon, class, &mut Draw::new(spec.seed, row, Stream::Trade));
        lines.push(row, class, kind, &text, &trade);
    }
    lines.finish(spec, lexicon)
}

/// All codes of the lexicon, six digits each, by rising code.
pub fn lexicon_codes() -> Vec<&'static str> {
    GOODS.by_code.iter().map(|&i| GOODS.classes[usize::from(i)].code).collect()
}

/// The columns under construction, and what a later line needs to repeat an earlier one.
struct Lines {
    goods: Vec<(u16, Kind)>,
    id: String,
    line_id: StringBuilder,
    description: StringBuilder,
    origin: StringBuilder,
    destination: StringBuilder,
    declared_hs: StringBuilder,
    shipped_on: Date32Builder,
    value: Float64Builder,
    weight_kg: Float64Builder,
    packages: Int32Builder,
}

impl Lines {
    fn new(rows: usize) -> Self {
        Self {
            goods: Vec::with_capacity(rows),
            id: String::with_capacity(32),
            line_id: StringBuilder::with_capacity(rows, rows * 11),
            description: StringBuilder::with_capacity(rows, rows * 48),
            origin: StringBuilder::with_capacity(rows, rows * 2),
            destination: StringBuilder::with_capacity(rows, rows * 2),
            declared_hs: StringBuilder::with_capacity(rows, rows * 10),
            shipped_on: Date32Builder::with_capacity(rows),
            value: Float64Builder::with_capacity(rows),
            weight_kg: Float64Builder::with_capacity(rows),
            packages: Int32Builder::with_capacity(rows),
        }
    }

    /// Copies the description of the line `at` of this chunk into `text`; gives its class and kind.
    fn copy(&self, at: usize, text: &mut String) -> (u16, Kind) {
        text.clear();
        let offsets = self.description.offsets_slice();
        let bytes = &self.description.values_slice()[offsets[at] as usize..offsets[at + 1] as usize];
        // The bytes came from a string, so nothing is lost and nothing is allocated.
        text.push_str(&String::from_utf8_lossy(bytes));
        self.goods[at]
    }

    fn push(&mut self, row: u64, class: u16, kind: Kind, text: &str, trade: &Trade) {
        self.goods.push((class, kind));
        self.id.clear();
        self.id.push('L');
        ornament::number(&mut self.id, row, 10);
        self.line_id.append_value(&self.id);
        self.description.append_option((kind != Kind::Null).then_some(text));
        self.origin.append_value(trade.origin);
        self.destination.append_value(trade.destination);
        self.id.clear();
        if let Some((code, suffix)) = trade.declared {
            self.id.push_str(code);
            self.id.push_str(suffix);
        }
        self.declared_hs.append_option(trade.declared.map(|_| &self.id));
        self.shipped_on.append_value(trade.shipped_on);
        self.value.append_value(trade.value);
        self.weight_kg.append_value(trade.weight_kg);
        self.packages.append_value(trade.packages);
    }

    fn finish(mut self, spec: &Spec, lexicon: &Lexicon) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.line_id.finish()),
            Arc::new(self.description.finish()),
            Arc::new(self.origin.finish()),
            Arc::new(self.destination.finish()),
            Arc::new(self.declared_hs.finish()),
            Arc::new(self.shipped_on.finish()),
            Arc::new(self.value.finish()),
            Arc::new(self.weight_kg.finish()),
            Arc::new(self.packages.finish()),
        ];
        if spec.labelled {
            let mut hs6 = StringBuilder::with_capacity(self.goods.len(), self.goods.len() * 6);
            for &(class, kind) in &self.goods {
                hs6.append_option((kind == Kind::Wording).then(|| lexicon.classes[usize::from(class)].code));
            }
            columns.push(Arc::new(hs6.finish()));
        }
        RecordBatch::try_new(schema(spec), columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Date32Type, Float64Type, Int32Type};
    use std::collections::HashSet;

    fn all(spec: &Spec) -> Vec<RecordBatch> {
        (0..chunks(spec)).map(|index| chunk(spec, index).unwrap()).collect()
    }

    /// Share of rows whose description is there and was seen before in the whole data set.
    fn repeats(spec: &Spec) -> f64 {
        let batches = all(spec);
        let mut seen = HashSet::new();
        let mut repeated = 0;
        for batch in &batches {
            for text in batch["description"].as_string::<i32>().iter().flatten() {
                repeated += usize::from(!seen.insert(text));
            }
        }
        repeated as f64 / spec.rows as f64
    }

    #[test]
    fn chunks_are_the_same_in_any_order_and_on_any_thread() {
        let spec = Spec { rows: 3 * CHUNK_ROWS + 11, labelled: true, ..Spec::default() };
        let forward = all(&spec);
        let backward: Vec<_> = std::thread::scope(|scope| {
            let spec = &spec;
            let running: Vec<_> = (0..chunks(spec)).rev().map(|i| scope.spawn(move || chunk(spec, i))).collect();
            running.into_iter().rev().map(|thread| thread.join().unwrap().unwrap()).collect()
        });
        assert_eq!(forward, backward);
        assert_ne!(forward, all(&Spec { seed: 8, ..spec }));
    }

    #[test]
    fn a_longer_data_set_starts_with_the_shorter_one() {
        let short = chunk(&Spec { rows: 100, ..Spec::default() }, 0).unwrap();
        let long = chunk(&Spec { rows: 1_000, ..Spec::default() }, 0).unwrap();
        assert_eq!(short, long.slice(0, 100));
    }

    #[test]
    fn rows_are_exact_and_line_ids_unique() {
        for rows in [0, 1, CHUNK_ROWS, CHUNK_ROWS + 1] {
            let spec = Spec { rows, ..Spec::default() };
            let batches = all(&spec);
            let ids: HashSet<_> =
                batches.iter().flat_map(|batch| batch["line_id"].as_string::<i32>().iter().flatten()).collect();
            assert_eq!(ids.len() as u64, rows);
            assert_eq!(chunk(&spec, chunks(&spec)).unwrap().num_rows(), 0);
        }
    }

    #[test]
    fn repeats_follow_the_ratio() {
        let spec = Spec { rows: 200_000, ..Spec::default() };
        for (ratio, range) in [(0.0, 0.0..0.03), (0.18, 0.165..0.225), (0.4, 0.38..0.44)] {
            let share = repeats(&Spec { repeat_ratio: ratio, ..spec.clone() });
            assert!(range.contains(&share), "{ratio}: {share}");
        }
    }

    #[test]
    fn shares_of_odd_descriptions_are_as_documented() {
        let spec = Spec { rows: CHUNK_ROWS, labelled: true, repeat_ratio: 0.0, ..Spec::default() };
        let batch = chunk(&spec, 0).unwrap();
        let rows = spec.rows as f64;
        let texts = batch["description"].as_string::<i32>();
        let share =
            |test: &dyn Fn(&str) -> bool| texts.iter().flatten().filter(|text| test(text)).count() as f64 / rows;
        let blank = share(&|text| text.trim().is_empty());
        let null = texts.null_count() as f64 / rows;
        let vague = batch["hs6"].null_count() as f64 / rows - blank - null;
        assert!((0.002..0.006).contains(&null), "{null}");
        assert!((0.002..0.006).contains(&blank), "{blank}");
        assert!((0.025..0.035).contains(&vague), "{vague}");
        let broken = share(&|text| text.trim().contains('\n'));
        assert!((0.08..0.12).contains(&broken), "{broken}");
        let upper = share(&|text| !text.bytes().any(|b| b.is_ascii_lowercase()));
        assert!((0.7..0.9).contains(&upper), "{upper}");
    }

    #[test]
    fn some_four_lines_in_a_hundred_are_in_another_language() {
        let batch = chunk(&Spec { rows: 8_000, repeat_ratio: 0.0, ..Spec::default() }, 0).unwrap();
        let words: Vec<_> =
            GOODS.classes.iter().flat_map(|class| &class.foreign).map(|word| word.to_ascii_uppercase()).collect();
        let texts = batch["description"].as_string::<i32>();
        let found = texts.iter().flatten().map(str::to_ascii_uppercase);
        // Abbreviated, broken and cut wordings are not found again, a few English lines are found too.
        let share = found.filter(|text| words.iter().any(|word| text.contains(word))).count() as f64 / 8_000.0;
        assert!((0.025..0.055).contains(&share), "{share}");
    }

    #[test]
    fn declared_codes_are_mostly_true_and_always_of_the_lexicon() {
        let codes: HashSet<_> = lexicon_codes().into_iter().collect();
        let batch = chunk(&Spec { rows: CHUNK_ROWS, labelled: true, ..Spec::default() }, 0).unwrap();
        let mut counts = [0_u32; 3];
        for (declared, hs6) in batch["declared_hs"].as_string::<i32>().iter().zip(batch["hs6"].as_string::<i32>()) {
            let Some(hs6) = hs6 else { continue };
            let Some(declared) = declared else {
                counts[2] += 1;
                continue;
            };
            assert_eq!(declared.len(), 10);
            assert!(codes.contains(&declared[..6]) && codes.contains(hs6));
            counts[usize::from(&declared[..6] != hs6)] += 1;
        }
        let total = f64::from(counts.iter().sum::<u32>());
        let [same, other, none] = counts.map(|count| f64::from(count) / total);
        assert!((0.92..0.94).contains(&same), "{same}");
        assert!((0.04..0.06).contains(&other), "{other}");
        assert!((0.015..0.025).contains(&none), "{none}");
    }

    #[test]
    fn amounts_and_dates_are_in_range() {
        let batch = chunk(&Spec { rows: 20_000, ..Spec::default() }, 0).unwrap();
        let days = batch["shipped_on"].as_primitive::<Date32Type>().values();
        // 20,270 and 20,453 days after 1970-01-01 are 2025-07-01 and 2025-12-31 (date -d '2025-07-01 UTC' +%s / 86400).
        assert_eq!((days.iter().min(), days.iter().max()), (Some(&20_270), Some(&20_453)));
        for name in ["value", "weight_kg"] {
            assert!(batch[name].as_primitive::<Float64Type>().values().iter().all(|&x| x > 0.0 && x < 10_000_000.0));
        }
        assert!(batch["packages"].as_primitive::<Int32Type>().values().iter().all(|&n| n >= 1));
    }

    #[test]
    fn a_limit_on_classes_holds() {
        let spec = Spec { classes: Some(5), labelled: true, ..Spec::default() };
        let batch = chunk(&spec, 0).unwrap();
        let seen: HashSet<_> = batch["hs6"].as_string::<i32>().iter().flatten().collect();
        assert_eq!(seen.len(), 5);
    }

    #[test]
    fn codes_are_given_by_rising_code() {
        assert!(lexicon_codes().is_sorted());
    }
}
