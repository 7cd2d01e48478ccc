//! The nearest neighbour: a line gets the code of the training line whose spelling is most like its own.
//!
//! Spelling is the bag of character n-grams inside words, weighted by how rare they are: what scikit-learn calls
//! `TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5))`, but for one thing: n-grams that no training line has count
//! towards a line's length. Exact, over an inverted index; the same lines give the same answers at any number of threads.

use std::collections::HashMap;
use std::mem::size_of;

use rayon::prelude::*;

use crate::tariff::Subheading;

/// Characters of the shortest and the longest n-grams; a word stands between two spaces, which count.
const SHORTEST: usize = 2;
const LONGEST: usize = 5;

/// Codes that an answer has, at most.
const BEST: usize = 5;

/// Up to five characters, 21 bits each, the first one highest: no two n-grams are the same number.
type Gram = u128;

/// The training lines, ready to be compared with.
pub struct Nearest {
    /// Place of an n-gram in `starts`.
    grams: HashMap<Gram, u32, foldhash::fast::FixedState>,
    /// Rarity of each n-gram, and of one that no line has.
    rarity: Vec<f32>,
    unknown: f32,
    /// Where the lines of an n-gram begin in `postings`; one more than there are n-grams.
    starts: Vec<u32>,
    /// Distinct text, and the n-gram's share of its length.
    postings: Vec<(u32, f32)>,
    /// Where the classes of a distinct text begin in `classes`; one more than there are texts.
    labels: Vec<u32>,
    /// Classes of a text, the most frequent first, of equals the lower code.
    classes: Vec<u32>,
    codes: Vec<Subheading>,
}

/// Working memory of one thread.
#[derive(Default)]
pub struct Scratch {
    grams: Vec<(Gram, u32)>,
    cosines: Vec<f32>,
    /// Best cosine of each class, and its place: text, then rank among the text's classes.
    best: Vec<(f32, u32, u32)>,
}

impl Nearest {
    /// Learns normalised lines with their codes. Lines of equal text stand behind one another.
    pub fn fit(lines: &[(&str, Subheading)]) -> Nearest {
        let mut codes: Vec<Subheading> = lines.iter().map(|l| l.1).collect();
        codes.sort_unstable();
        codes.dedup();
        let (texts, labels, classes) = distinct(lines, &codes);
        let spelled: Vec<Vec<(Gram, u32)>> = texts.par_iter().map(|(text, _)| counted(text)).collect();
        let mut grams = HashMap::default();
        let mut lines_with: Vec<u64> = Vec::new();
        for (of_text, (_, rows)) in spelled.iter().zip(&texts) {
            for (gram, _) in of_text {
                let id = *grams.entry(*gram).or_insert(lines_with.len() as u32) as usize;
                if id == lines_with.len() {
                    lines_with.push(0);
                }
                lines_with[id] += rows;
            }
        }
        // scikit-learn's smooth_idf: as if one more line had every n-gram.
        let rarity = |with: u64| (((1 + lines.len() as u64) as f64 / (1 + with) as f64).ln() + 1.0) as f32;
        let mut nearest = Nearest {
            grams,
            rarity: lines_with.iter().map(|&with| rarity(with)).collect(),
            unknown: rarity(0),
            starts: Vec::new(),
            postings: Vec::new(),
            labels,
            classes,
            codes,
        };
        nearest.index(&spelled);
        nearest
    }

    /// Fills `starts` and `postings`: texts of an n-gram in their order.
    fn index(&mut self, spelled: &[Vec<(Gram, u32)>]) {
        let mut ends = vec![0u32; self.rarity.len() + 1];
        for (gram, _) in spelled.iter().flatten() {
            ends[self.grams[gram] as usize + 1] += 1;
        }
        for id in 1..ends.len() {
            ends[id] += ends[id - 1];
        }
        self.starts = ends.clone();
        self.postings = vec![(0, 0.0); spelled.iter().map(Vec::len).sum()];
        for (text, of_text) in spelled.iter().enumerate() {
            let length = self.length(of_text);
            for (gram, count) in of_text {
                let id = self.grams[gram] as usize;
                self.postings[ends[id] as usize] = (text as u32, *count as f32 * self.rarity[id] / length);
                ends[id] += 1;
            }
        }
    }

    /// Euclidean length of the weighted n-grams.
    fn length(&self, grams: &[(Gram, u32)]) -> f32 {
        let square = |(gram, count): &(Gram, u32)| {
            let rarity = self.grams.get(gram).map_or(self.unknown, |&id| self.rarity[id as usize]);
            (f64::from(*count) * f64::from(rarity)).powi(2)
        };
        grams.iter().map(square).sum::<f64>().sqrt() as f32
    }

    /// Bytes that the index takes in memory.
    pub fn size_bytes(&self) -> u64 {
        let grams = self.grams.len() * (size_of::<Gram>() + size_of::<u32>() + size_of::<f32>() + size_of::<u32>());
        let lists = size_of_val(&self.postings[..]) + size_of_val(&self.classes[..]) + size_of_val(&self.labels[..]);
        (grams + lists + size_of_val(&self.codes[..])) as u64
    }

    /// The codes of the nearest lines, nearest first, at most five of them, each with the cosine of its nearest line.
    /// Of lines that are equally near the earlier one comes first, of codes of one text the more frequent. Lines that
    /// share no n-gram with the text are not near.
    pub fn answer(&self, normalised: &str, scratch: &mut Scratch) -> Vec<(Subheading, f32)> {
        let Scratch { grams, cosines, best } = scratch;
        count(normalised, grams);
        let length = self.length(grams);
        cosines.clear();
        cosines.resize(self.labels.len() - 1, 0.0);
        for (gram, count) in grams.iter() {
            let Some(&id) = self.grams.get(gram) else { continue };
            let id = id as usize;
            let weight = *count as f32 * self.rarity[id] / length;
            for (text, share) in &self.postings[self.starts[id] as usize..self.starts[id + 1] as usize] {
                cosines[*text as usize] += weight * share;
            }
        }
        best.clear();
        best.resize(self.codes.len(), (0.0, 0, 0));
        for (text, &cosine) in cosines.iter().enumerate().filter(|(_, cosine)| **cosine > 0.0) {
            let classes = &self.classes[self.labels[text] as usize..self.labels[text + 1] as usize];
            for (rank, &class) in classes.iter().enumerate() {
                if cosine > best[class as usize].0 {
                    best[class as usize] = (cosine, text as u32, rank as u32);
                }
            }
        }
        let mut found: Vec<(usize, &(f32, u32, u32))> = best.iter().enumerate().filter(|(_, b)| b.0 > 0.0).collect();
        let nearer = |a: &(f32, u32, u32), b: &(f32, u32, u32)| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2)));
        if found.len() > BEST {
            found.select_nth_unstable_by(BEST - 1, |a, b| nearer(a.1, b.1));
            found.truncate(BEST);
        }
        found.sort_unstable_by(|a, b| nearer(a.1, b.1));
        // Rounding can lift the cosine of a text with itself above 1.
        found.into_iter().map(|(class, (cosine, ..))| (self.codes[class], cosine.min(1.0))).collect()
    }

    /// The answers of many texts, in their order.
    pub fn answers(&self, texts: &[&str]) -> Vec<Vec<(Subheading, f32)>> {
        texts.par_iter().map_init(Scratch::default, |scratch, text| self.answer(text, scratch)).collect()
    }
}

/// Distinct texts in the order of their first lines, with their rows; where the classes of each begin, and the classes.
fn distinct<'t>(lines: &[(&'t str, Subheading)], codes: &[Subheading]) -> (Vec<(&'t str, u64)>, Vec<u32>, Vec<u32>) {
    let mut places: HashMap<&str, usize, foldhash::fast::FixedState> = HashMap::default();
    let mut texts: Vec<(&str, u64)> = Vec::new();
    let mut rows_of: Vec<Vec<(u32, u32)>> = Vec::new();
    for (text, code) in lines {
        let place = *places.entry(text).or_insert(texts.len());
        if place == texts.len() {
            texts.push((text, 0));
            rows_of.push(Vec::new());
        }
        texts[place].1 += 1;
        // `codes` holds the code of every line.
        let class = codes.binary_search(code).unwrap_or_default() as u32;
        match rows_of[place].iter_mut().find(|(of, _)| *of == class) {
            Some((_, rows)) => *rows += 1,
            None => rows_of[place].push((class, 1)),
        }
    }
    let (mut starts, mut classes) = (vec![0], Vec::new());
    for mut of_text in rows_of {
        of_text.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        classes.extend(of_text.into_iter().map(|(class, _)| class));
        starts.push(classes.len() as u32);
    }
    (texts, starts, classes)
}

/// The n-grams of a normalised text and how often it has each, in the order of their numbers.
fn counted(normalised: &str) -> Vec<(Gram, u32)> {
    let mut grams = Vec::new();
    count(normalised, &mut grams);
    grams
}

/// As `counted`, into `grams`, which is cleared first.
fn count(normalised: &str, grams: &mut Vec<(Gram, u32)>) {
    grams.clear();
    for word in normalised.split(' ').filter(|word| !word.is_empty()) {
        let mut ends = [0; LONGEST];
        let mut seen = 0;
        for c in std::iter::once(' ').chain(word.chars()).chain([' ']) {
            // The n-grams that end with this character, from the one of a character to the longest.
            for length in (1..LONGEST).rev() {
                ends[length] = (ends[length - 1] << 21) | Gram::from(u32::from(c));
            }
            ends[0] = Gram::from(u32::from(c));
            seen += 1;
            grams.extend(ends[SHORTEST - 1..seen.clamp(SHORTEST - 1, LONGEST)].iter().map(|gram| (*gram, 1)));
        }
    }
    grams.sort_unstable();
    grams.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        kept.1 += u32::from(same);
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Subheading {
        text.parse().unwrap()
    }

    fn gram(text: &str) -> Gram {
        text.chars().fold(0, |number, c| (number << 21) | Gram::from(u32::from(c)))
    }

    #[test]
    fn a_word_between_spaces_gives_its_n_grams_of_two_to_five_characters() {
        // By hand, of " tin " and " é ".
        let mut expected: Vec<(Gram, u32)> =
            [" t", "ti", "in", "n ", " ti", "tin", "in ", " tin", "tin ", " tin ", " é", "é ", " é "]
                .into_iter()
                .map(|text| (gram(text), 1))
                .collect();
        expected.sort_unstable();
        assert_eq!(counted("tin é"), expected);
        // " aaa ": aa twice, all others once.
        let repeated = counted("aaa");
        assert_eq!(repeated.iter().map(|g| g.1).sum::<u32>(), 10);
        assert_eq!(repeated.iter().filter(|g| g.1 == 2).map(|g| g.0).collect::<Vec<_>>(), [gram("aa")]);
        assert_eq!(counted(""), []);
    }

    /// Cosines by plain Python (`math` and `collections.Counter`), term by term from the definition in the module's words.
    #[test]
    fn codes_come_in_the_order_of_cosines_computed_elsewhere() {
        let lines = [
            ("steel bolts m8", "731815"),
            ("steel bolts m8", "731816"),
            ("steel bolts m8", "731815"),
            ("steel nuts m8", "731816"),
            ("cotton shirts", "610510"),
            ("cotton t-shirt", "610910"),
            ("wooden chair", "940169"),
            ("plastic chair", "940180"),
            ("bolts steel m8", "831110"),
        ]
        .map(|(text, label)| (text, code(label)));
        let nearest = Nearest::fit(&lines);
        // The second is of the same text as the first, the third of another text with the same n-grams.
        let expected: [(&str, &[(&str, f32)]); 5] = [
            (
                "steel bolt",
                &[
                    ("731815", 0.653613),
                    ("731816", 0.653613),
                    ("831110", 0.653613),
                    ("610910", 0.040620),
                    ("610510", 0.012138),
                ],
            ),
            (
                "cotton shirts",
                &[
                    ("610510", 1.0),
                    ("610910", 0.640867),
                    ("731815", 0.049950),
                    ("731816", 0.049950),
                    ("831110", 0.049950),
                ],
            ),
            (
                "chairs xyzzy",
                &[
                    ("940169", 0.229381),
                    ("940180", 0.217680),
                    ("610510", 0.028265),
                    ("610910", 0.019354),
                    ("731815", 0.009884),
                ],
            ),
            ("qqq", &[]),
            ("m8", &[("731815", 0.365675), ("731816", 0.365675), ("831110", 0.365675)]),
        ];
        let answers = nearest.answers(&expected.map(|e| e.0));
        for ((text, expected), found) in expected.iter().zip(answers) {
            let codes: Vec<String> = found.iter().map(|(code, _)| code.to_string()).collect();
            assert_eq!(codes, expected.iter().map(|e| e.0).collect::<Vec<_>>(), "{text}");
            for ((_, cosine), (_, expected)) in found.iter().zip(*expected) {
                assert!((cosine - expected).abs() < 2e-6, "{text}: {cosine}");
            }
        }
    }

    #[test]
    fn a_learned_line_is_its_own_nearest_and_no_cosine_is_above_one() {
        let texts: Vec<String> = (0..400).map(|n| format!("goods of kind {} number {n}", n % 17)).collect();
        let codes: Vec<Subheading> = (0..400).map(|n| code(&format!("{:06}", 100_000 + n))).collect();
        let lines: Vec<(&str, Subheading)> = texts.iter().map(String::as_str).zip(codes).collect();
        let nearest = Nearest::fit(&lines);
        for ((_, code), found) in lines.iter().zip(nearest.answers(&lines.iter().map(|l| l.0).collect::<Vec<_>>())) {
            assert!(
                found.len() == BEST && found[0].0 == *code && (1.0 - 1e-5..=1.0).contains(&found[0].1),
                "{found:?}"
            );
        }
        assert!(nearest.size_bytes() > 0);
    }
}
