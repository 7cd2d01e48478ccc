use crate::support::bench::{Bench, rows, runtime};
use crate::support::random::Random;

/// Makes queries over the tables of `queries/scored_once.sql` that give the same rows whenever they run.
struct Writer {
    random: Random,
    aliases: usize,
}

impl Writer {
    fn pick(&mut self, of: &[&str]) -> String {
        of[self.random.below(of.len())].to_string()
    }

    fn chance(&mut self, in_ten: usize) -> bool {
        self.random.below(10) < in_ten
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("s{}", self.aliases)
    }

    fn number(&mut self, below: usize) -> usize {
        self.random.below(below)
    }

    /// A call about the text of `at`.
    fn call(&mut self, at: &str) -> String {
        let text = if self.chance(9) { format!("{at}.d") } else { format!("upper({at}.d)") };
        if self.chance(9) { format!("hs_predict({text})") } else { format!("hs_predict({text}, 'hs@2')") }
    }

    fn code(&mut self, at: &str) -> String {
        match self.number(3) {
            0 => format!("hs_code({at}.d)"),
            1 => format!("hs_topk({at}.d, {})[1]['hs6']", 1 + self.number(5)),
            _ => format!("{}['hs6']", self.call(at)),
        }
    }

    /// An expression whose value is a text.
    fn text(&mut self, at: &str, depth: usize) -> String {
        match self.number(if depth == 0 { 4 } else { 9 }) {
            0 | 1 => self.code(at),
            2 => format!("{}['decision']", self.call(at)),
            3 => format!("{at}.declared"),
            4 => format!("substr({}, 1, {})", self.text(at, depth - 1), 2 + 2 * self.number(2)),
            5 => format!("coalesce({}, {}, 'none')", self.text(at, depth - 1), self.text(at, depth - 1)),
            6 | 7 => {
                let condition = self.condition(at, depth - 1);
                let otherwise =
                    if self.chance(5) { format!(" ELSE {}", self.text(at, depth - 1)) } else { String::new() };
                format!("CASE WHEN {condition} THEN {}{otherwise} END", self.text(at, depth - 1))
            }
            _ => format!("nullif({}, 'review')", self.text(at, depth - 1)),
        }
    }

    fn number_of(&mut self, at: &str) -> String {
        match self.number(5) {
            0 => format!("{at}.x"),
            1 => format!("{}['margin']", self.call(at)),
            2 => format!("array_length({}['alternatives'])", self.call(at)),
            3 => format!("hs_confidence({at}.d)"),
            _ => format!("{}['confidence']", self.call(at)),
        }
    }

    fn condition(&mut self, at: &str, depth: usize) -> String {
        match self.number(if depth == 0 { 5 } else { 10 }) {
            0 => format!("{at}.x < {}", 1 + self.number(9)),
            1 => format!("{at}.month = '{}'", 1 + self.number(4)),
            2 => format!("{} > 0.{}", self.number_of(at), 1 + self.number(8)),
            3 => format!("{}['hs6'] > '{}'", self.call(at), 1 + self.number(8)),
            4 => format!("{at}.id % {} = 0", 2 + self.number(5)),
            5 => format!("({} AND {})", self.condition(at, depth - 1), self.condition(at, depth - 1)),
            6 => format!("({} OR {})", self.condition(at, depth - 1), self.condition(at, depth - 1)),
            7 => format!("NOT ({})", self.condition(at, depth - 1)),
            8 => format!("{} IS {}NULL", self.text(at, depth - 1), self.pick(&["", "NOT "])),
            _ => format!("{} = {}", self.text(at, depth - 1), self.text(at, depth - 1)),
        }
    }

    /// A condition that stands by itself in WHERE, where subqueries may be.
    fn filter(&mut self, at: &str) -> String {
        let not = self.pick(&["", "NOT "]);
        match self.number(9) {
            0 => format!("{at}.id {not}IN (SELECT line_id FROM flagged)"),
            1 => format!("{}EXISTS (SELECT 1 FROM codes AS c WHERE c.code = {}['hs6'])", not, self.call(at)),
            2 => format!("{}['hs6'] IN (SELECT code FROM codes)", self.call(at)),
            3 => {
                let inner = self.alias();
                let condition = self.condition(&inner, 1);
                format!("{not}EXISTS (SELECT 1 FROM lines AS {inner} WHERE {inner}.id = {at}.id + 1 AND {condition})")
            }
            4 => {
                let inner = self.alias();
                let number = self.number_of(&inner);
                format!(
                    "{} > (SELECT avg({number}) FROM lines AS {inner} WHERE {inner}.x = {})",
                    self.number_of(at),
                    self.number(10)
                )
            }
            5 => {
                let condition = self.condition(at, 1);
                format!("({condition} OR {at}.id IN (SELECT line_id FROM flagged))")
            }
            _ => self.condition(at, 2),
        }
    }

    fn filters(&mut self, at: &str) -> String {
        let filters: Vec<String> = (0..1 + self.number(2)).map(|_| self.filter(at)).collect();
        filters.join(" AND ")
    }

    /// A relation with `id, d, x, month, declared, c`, whose rows with equal ids are equal.
    fn relation(&mut self, depth: usize) -> String {
        if depth == 0 {
            return "(SELECT id, d, x, month, declared, declared AS c FROM lines)".into();
        }
        let (below, at) = (self.relation(depth - 1), self.alias());
        let columns = format!("{at}.id, {at}.d, {at}.x, {at}.month, {at}.declared");
        let code = if self.chance(7) { self.text(&at, 1) } else { format!("{at}.c") };
        match self.number(9) {
            0 | 1 => format!("(SELECT {columns}, {code} AS c FROM {below} AS {at} WHERE {})", self.filters(&at)),
            2 => format!(
                "(SELECT {columns}, {code} AS c FROM {below} AS {at} ORDER BY {at}.id {} LIMIT {})",
                self.pick(&["", "DESC"]),
                20 + self.number(900)
            ),
            3 => {
                let kind = self.pick(&["JOIN", "LEFT JOIN"]);
                let condition = self.condition(&at, 1);
                format!(
                    "(SELECT {columns}, {code} AS c FROM {below} AS {at} {kind} flagged AS f ON {at}.id = f.line_id AND {condition} WHERE {})",
                    self.filters(&at)
                )
            }
            4 => {
                let other = self.alias();
                let theirs = self.text(&other, 1);
                let kind = self.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN"]);
                let right = format!(
                    "(SELECT {other}.id, {other}.d, {theirs} AS t FROM lines AS {other} WHERE {})",
                    self.filter(&other)
                );
                format!(
                    "(SELECT {columns}, coalesce(r.t, {code}) AS c FROM {below} AS {at} {kind} {right} AS r ON {at}.id = r.id AND {} WHERE {at}.id >= 0)",
                    self.condition(&at, 1)
                )
            }
            5 => {
                let (key, order) = (self.text(&at, 1), self.number_of(&at));
                format!(
                    "(SELECT * EXCLUDE (place) FROM (SELECT {columns}, {code} AS c, row_number() OVER (PARTITION BY {key} ORDER BY {order}, {at}.id) AS place FROM {below} AS {at}) AS w{at} WHERE place < {})",
                    2 + self.number(20)
                )
            }
            6 => format!(
                "(SELECT {columns}, {at}.c FROM {below} AS {at} WHERE {at}.x < 5 UNION ALL SELECT {columns}, {code} AS c FROM {below} AS {at} WHERE {at}.x >= 5 AND {})",
                self.condition(&at, 1)
            ),
            7 => format!("(SELECT DISTINCT {columns}, {code} AS c FROM {below} AS {at})"),
            _ => format!("(SELECT {columns}, {code} AS c, {} AS more FROM {below} AS {at})", self.call(&at)),
        }
    }

    fn query(&mut self) -> String {
        let depth = self.number(4);
        let (from, at) = (self.relation(depth), self.alias());
        let condition = self.filters(&at);
        let (one, two) = (self.text(&at, 2), self.number_of(&at));
        match self.number(4) {
            0 => format!(
                "SELECT {one} AS code, count(*) AS n, max({two}) AS most, count({}) FILTER (WHERE {}) AS some FROM {from} AS {at} WHERE {condition} GROUP BY 1 HAVING count(*) > {}",
                self.text(&at, 1),
                self.condition(&at, 1),
                self.number(3)
            ),
            1 => format!(
                "SELECT {at}.id, {at}.c, {one} AS code, {two} AS n FROM {from} AS {at} WHERE {condition} ORDER BY {}, {at}.id, 2 LIMIT {}",
                self.number_of(&at),
                1 + self.number(60)
            ),
            2 => format!(
                "SELECT {at}.id, {at}.c, {one} AS code, unnest({}['alternatives']) AS choice FROM {from} AS {at} WHERE {condition}",
                self.call(&at)
            ),
            _ => format!(
                "SELECT {at}.id, {at}.c, {one} AS code, {two} AS n, {} AS p FROM {from} AS {at} WHERE {condition}",
                self.call(&at)
            ),
        }
    }
}

/// `HARMONIZE_QUERIES` says how many, `HARMONIZE_QUERY_SEED` which.
#[test]
fn random_queries_answer_as_without_the_rule_and_score_fewer_lines() {
    let from_env = |name: &str, default: u64| std::env::var(name).map_or(default, |n| n.parse().unwrap());
    let (queries, first) = (from_env("HARMONIZE_QUERIES", 200), from_env("HARMONIZE_QUERY_SEED", 1));
    let (mut failed, mut refused, mut with_rule, mut call_by_call) = (Vec::new(), 0, 0, 0);
    runtime().block_on(async {
        let on = Bench::new().await;
        let off = on.call_by_call().await;
        for seed in first..first + queries {
            // Conditions that sorts and joins find while they run leave out rows as they happen to come: every other query has
            // none of them, and can be counted.
            let counted = seed % 2 == 0;
            let query = Writer { random: Random(seed), aliases: 0 }.query();
            let sql = format!("SET datafusion.optimizer.enable_dynamic_filter_pushdown = {}; {query}", !counted);
            let (got, without) = match (on.got(&sql).await, off.got(&sql).await) {
                (Ok(got), Ok(without)) => (got, without),
                (Err(_), Err(_)) => {
                    refused += 1;
                    continue;
                }
                (got, without) => {
                    failed.push(format!("seed {seed}: with {:?}, without {:?}\n{sql}", got.err(), without.err()));
                    continue;
                }
            };
            let (with, plain) = (rows(&got.batches, false), rows(&without.batches, false));
            let asked = |got: &crate::support::bench::Got| got.scored + got.other;
            if with != plain {
                let differs: Vec<_> = with.iter().filter(|row| !plain.contains(row)).take(3).collect();
                failed.push(format!(
                    "seed {seed}: {} rows, {} without; not there: {differs:?}\n{sql}",
                    with.len(),
                    plain.len()
                ));
            } else if got.schema != without.schema && !got.batches.is_empty() && !without.batches.is_empty() {
                failed.push(format!("seed {seed}: columns {}\nwithout {}\n{sql}", got.schema, without.schema));
            } else if counted && asked(&got) > asked(&without) && !by_luck(&sql) {
                failed.push(format!("seed {seed}: scored {} lines, {} without\n{sql}", asked(&got), asked(&without)));
            }
            with_rule += asked(&got);
            call_by_call += asked(&without);
        }
    });
    assert!(failed.is_empty(), "{} of {queries}\n\n{}", failed.len(), failed.join("\n\n"));
    assert!(refused * 10 < queries, "DataFusion itself refuses {refused} of {queries}");
    assert!(with_rule * 10 < call_by_call * 6, "{with_rule} lines scored, {call_by_call} without the rule");
}

/// Whether without the rule fewer lines may be scored: a join that finds one side empty does not read the other, and which
/// it reads first depends on the plan; a group that has its text is a row of its own.
fn by_luck(sql: &str) -> bool {
    ["JOIN", "EXISTS", " IN (SELECT", "DISTINCT"].iter().any(|word| sql.contains(word))
}
