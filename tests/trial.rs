use std::collections::BTreeSet;

use harmonize::trial::{
    EProcess, Pairs, drop_beyond, holm, interval, ln_evidence, mcnemar, pairs_needed, pairs_to_prove,
};
use serde_json::{Value, json};

use crate::support::random::Random;
use crate::support::servers::python_lines;

const SCRIPT: &str = "challenge_statistics.py";

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn close(a: f64, b: f64, what: &dyn std::fmt::Debug) {
    assert!((a - b).abs() <= 1e-7 * b.abs().max(1e-3), "{what:?}: {a} and {b}");
}

/// Small tables and large, even ones and one-sided ones, so that the exact test and the approximate one have their turn.
fn tables(count: usize) -> Vec<Pairs> {
    let mut random = Random(7);
    let table = |_| {
        let mut below = |bounds: [usize; 4]| {
            let bound = bounds[random.below(4)];
            random.below(bound) as u64
        };
        let (lost, gained) = (below([1, 6, 30, 400]), below([1, 6, 30, 400]));
        Pairs { both_right: below([1, 20, 500, 20_000]), lost, gained, both_wrong: below([1, 20, 500, 9_000]) }
    };
    (0..count).map(table).collect()
}

#[test]
fn tests_and_intervals_are_those_of_scipy_over_thousands_of_tables() {
    let margins = [0.0, 0.01, 0.02, 0.1];
    let tables = tables(4000);
    let ask = |(n, p): (usize, &Pairs)| json!({"pairs": [p.both_right, p.lost, p.gained, p.both_wrong], "margin": margins[n % 4]});
    let mut asked: Vec<Value> = tables.iter().enumerate().map(ask).collect();
    // Chapters as they come: p-values of seven tables at a time, some of them equal.
    let p_of = |pairs: &Pairs| drop_beyond(pairs, 0.02).unwrap().worse_p;
    let families: Vec<Vec<f64>> = tables.chunks(7).take(200).map(|family| family.iter().map(p_of).collect()).collect();
    asked.extend(families.iter().map(|family| json!({"p_values": family})));
    let answers = python_lines(SCRIPT, &[], &asked);
    let mut exact = 0;
    for ((n, pairs), told) in tables.iter().enumerate().zip(&answers) {
        let (test, range) = (mcnemar(pairs).unwrap(), interval(pairs, 0.95).unwrap());
        let fall = drop_beyond(pairs, margins[n % 4]).unwrap();
        assert_eq!(json!(test.exact), told["exact"], "{pairs:?}");
        exact += usize::from(test.exact);
        let ours = [test.p_value, range.low, range.high, fall.not_worse_p, fall.worse_p];
        for (ours, name) in ours.into_iter().zip(["p_value", "low", "high", "not_worse_p", "worse_p"]) {
            close(ours, number(&told[name]), &(pairs, name));
        }
    }
    assert!((1000..3000).contains(&exact), "{exact}");
    for (family, told) in families.iter().zip(&answers[tables.len()..]) {
        for (ours, theirs) in holm(family).into_iter().zip(told.as_array().unwrap()) {
            close(ours, number(theirs), family);
        }
    }
}

/// Many pairs, few, and hopeless ones: what a page may have to draw.
#[test]
fn the_evidence_is_its_integral_however_many_pairs_there_are() {
    let looks = [
        [0, 0],
        [1, 0],
        [0, 1],
        [0, 40],
        [40, 0],
        [1_400, 0],
        [2_000, 300],
        [300, 2_000],
        [5_000, 10],
        [10, 5_000],
        [9_700, 10_300],
        [49_000, 51_000],
        [51_000, 49_000],
        [500_000, 500_000],
    ];
    let answer = &python_lines(SCRIPT, &[], &[json!({"looks": looks})])[0];
    for ([lost, gained], theirs) in looks.into_iter().zip(answer.as_array().unwrap()) {
        close(ln_evidence(lost, gained), number(theirs), &(lost, gained));
    }
}

/// Nights of a lake: lines come until so many pairs are decided that the plan has them after the last night.
struct Plan {
    nights: u64,
    pairs: u64,
    /// Share of the lines on which the codes differ and one model is right.
    discordant: f64,
    /// Accuracy of the challenger less that of the champion.
    effect: f64,
}

impl Plan {
    fn uniform(random: &mut Random) -> f64 {
        (random.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The pairs after each night.
    fn run(&self, random: &mut Random) -> Vec<Pairs> {
        let gained = 0.5 * (self.discordant + self.effect);
        let mut pairs = Pairs::default();
        let night = |night: u64| {
            while pairs.discordant() < self.pairs * (night + 1) / self.nights {
                match Plan::uniform(random) {
                    x if x < gained => pairs.add(false, true),
                    x if x < self.discordant => pairs.add(true, false),
                    // Both right or both wrong: no evidence.
                    x => pairs.add(x < 0.9, x < 0.9),
                }
            }
            pairs
        };
        (0..self.nights).map(night).collect()
    }
}

/// 10,000 champions and challengers with a known difference, looked at on each of 60 nights: one that is no better is promoted
/// in at most 5 % of them, and one that is better by what was asked for in at least 80 %, with as many decided pairs as the plan says.
/// The evidence of every look is an integral that Python takes.
#[test]
fn sixty_looks_promote_no_more_often_by_chance_than_was_allowed_and_find_what_was_asked_for() {
    let (alpha, power, discordant, effect) = (0.05, 0.8, 0.25, 0.04);
    let wins = 0.5 + effect / (2.0 * discordant);
    let pairs = pairs_to_prove(wins, alpha, power).unwrap().unwrap();
    let mut random = Random(11);
    let mut all = |effect: f64, models: usize| -> Vec<Vec<Pairs>> {
        let plan = Plan { nights: 60, pairs, discordant, effect };
        (0..models).map(|_| plan.run(&mut random)).collect()
    };
    let runs = [all(0.0, 10_000), all(effect, 10_000), all(-effect, 10_000)];
    let looks: BTreeSet<(u64, u64)> = runs.iter().flatten().flatten().map(|pairs| (pairs.lost, pairs.gained)).collect();
    let looks: Vec<[u64; 2]> = looks.into_iter().map(|(lost, gained)| [lost, gained]).collect();
    let design = json!({"wins": wins, "alpha": alpha, "power": power, "pairs": pairs});
    let answers = python_lines(SCRIPT, &[], &[json!({"looks": looks}), design]);
    let theirs = answers[0].as_array().unwrap();
    for ([lost, gained], theirs) in looks.iter().zip(theirs) {
        close(ln_evidence(*lost, *gained), number(theirs), &(lost, gained));
    }
    let of = |pairs: &Pairs| number(&theirs[looks.binary_search(&[pairs.lost, pairs.gained]).unwrap()]);
    let shares = runs.each_ref().map(|runs| {
        let ours = runs.iter().filter(|nights| {
            let mut process = EProcess::default();
            nights.iter().for_each(|pairs| {
                process.look(pairs);
            });
            process.proved(alpha)
        });
        let theirs = runs.iter().filter(|nights| nights.iter().any(|pairs| of(pairs) >= -alpha.ln()));
        let (ours, theirs) = (ours.count(), theirs.count());
        assert_eq!(ours, theirs);
        ours as f64 / runs.len() as f64
    });
    println!("{pairs} pairs; promoted by chance, with the effect, and with its opposite: {shares:?}");
    assert!(shares[0] <= alpha, "promoted by chance: {}", shares[0]);
    assert!(shares[1] >= power, "found: {}", shares[1]);
    assert!(shares[2] <= 0.01, "promoted although worse: {}", shares[2]);
    // The plan is of the last look alone, as Python counts it, and a single look would take fewer.
    let reached = number(&answers[1]["power"]);
    assert!((power..power + 0.05).contains(&reached), "{reached}");
    assert_eq!(pairs_needed(wins, alpha, power).unwrap(), answers[1]["once"].as_u64());
    assert!(pairs_needed(wins, alpha, power).unwrap() < Some(pairs));
}
