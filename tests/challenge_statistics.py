#!/usr/bin/env python3
"""Recomputes the statistics of a comparison with scipy, in other ways than the program does. Answers JSON lines by JSON lines.

    {"pairs": [both_right, lost, gained, both_wrong], "margin": m}  -> McNemar's test, interval, tests of a fall
    {"p_values": [...]}                                             -> adjusted for all of them together
    {"looks": [[lost, gained], ...]}                                -> logarithms of the evidence
    {"wins": w, "alpha": a, "power": p, "pairs": n}                 -> pairs that one look needs; power of n pairs at the last look
"""

import itertools
import json
import math
import sys

import numpy as np
from scipy import integrate, special, stats

# Exact for polynomials of a degree up to 1023: the likelihood of so many pairs is one.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(512)
NODES, WEIGHTS = 0.75 + 0.25 * NODES, 0.25 * WEIGHTS


def paired(both_right, lost, gained, both_wrong, margin):
    n = lost + gained
    if n < 25:
        p_value = stats.binomtest(gained, n, 0.5).pvalue if n else 1.0
    else:
        p_value = stats.chi2.sf(max(abs(lost - gained) - 1, 0) ** 2 / n, 1)
    # What each line adds to the difference, with half a line more of each kind.
    values = np.array([0, -1, 1, 0])
    lines = np.array([both_right, lost, gained, both_wrong]) + 0.5
    mean = np.average(values, weights=lines)
    error = math.sqrt(np.average((values - mean) ** 2, weights=lines) / lines.sum())
    low, high = stats.norm.interval(0.95, loc=mean, scale=error)
    return {
        "p_value": p_value,
        "exact": n < 25,
        "low": max(low, -1.0),
        "high": min(high, 1.0),
        "not_worse_p": stats.norm.sf(mean, loc=-margin, scale=error),
        "worse_p": stats.norm.cdf(mean, loc=-margin, scale=error),
    }


def adjusted(p_values):
    """Holm's procedure is the closed test by Bonferroni: the worst over all sets of hypotheses that hold this one."""
    every = range(len(p_values))
    sets = [s for size in range(1, len(p_values) + 1) for s in itertools.combinations(every, size)]
    bonferroni = {s: min(1.0, len(s) * min(p_values[i] for i in s)) for s in sets}
    return [max(bonferroni[s] for s in sets if i in s) for i in every]


def by_rule(lost, gained):
    """ln of 2 * integral of q^gained (1-q)^lost over [1/2, 1] / (1/2)^n, by a rule that is exact for polynomials."""
    terms = np.outer(gained, np.log(NODES)) + np.outer(lost, np.log1p(-NODES)) + np.log(WEIGHTS)
    return math.log(2) + special.logsumexp(terms, axis=1) + (lost + gained) * math.log(2)


def by_quad(lost, gained):
    """The same by adaptive quadrature around the highest place."""
    n = lost + gained
    peak = max(gained / n, 0.5) if n else 0.75

    def ln_likelihood(q):
        return special.xlogy(gained, q) + special.xlog1py(lost, -q)

    width = 40 / math.sqrt(n + 1)
    low, high = max(0.5, peak - width), min(1.0, peak + width)
    value, _ = integrate.quad(
        lambda q: math.exp(ln_likelihood(q) - ln_likelihood(peak)), low, high, points=[peak], epsabs=0, epsrel=1e-11, limit=500
    )
    return math.log(2) + math.log(value) + ln_likelihood(peak) + n * math.log(2)


def evidence(looks):
    lost, gained = np.array(looks, dtype=float).T
    small = lost + gained <= 1000
    found = np.empty(len(looks))
    for some in np.array_split(np.flatnonzero(small), 1 + small.sum() // 4096):
        found[some] = by_rule(lost[some], gained[some])
    # Some of the small ones, and all of the others.
    for at in np.concatenate([np.flatnonzero(small)[::97], np.flatnonzero(~small)]):
        value = by_quad(lost[at], gained[at])
        if small[at]:
            assert abs(value - found[at]) < 1e-8 * max(1, abs(value)), (looks[at], value, found[at])
        found[at] = value
    return list(found)


def design(wins, alpha, power, pairs):
    root = stats.norm.isf(alpha) * 0.5 + stats.norm.ppf(power) * math.sqrt(wins * (1 - wins))
    gained = np.arange(pairs + 1)
    enough = by_rule(pairs - gained, gained) >= -math.log(alpha)
    reached = stats.binom.pmf(gained[enough], pairs, wins).sum()
    return {"once": math.ceil((root / (wins - 0.5)) ** 2), "power": reached}


for line in sys.stdin:
    asked = json.loads(line)
    if "margin" in asked:
        answer = paired(*asked["pairs"], asked["margin"])
    elif "p_values" in asked:
        answer = adjusted(asked["p_values"])
    elif "looks" in asked:
        answer = evidence(asked["looks"])
    else:
        answer = design(**asked)
    print(json.dumps(answer, default=float))
