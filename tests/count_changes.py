#!/usr/bin/env python3
"""Counts what became of every subheading between two editions, from the files alone, and prints it as one JSON document.

    count_changes.py NOMENCLATURE_FROM NOMENCLATURE_TO CORRELATION FROM TO [PREFIX ...]

The columns of CORRELATION are hsFROM and hsTO. Links into newer codes that begin with a PREFIX are left out,
those of a number to itself excepted.
"""

import collections
import csv
import json
import statistics
import sys

old_file, new_file, links_file, year_from, year_to, *prefixes = sys.argv[1:]


def subheadings(name):
    with open(name, newline="", encoding="utf-8") as file:
        return {row["hs_code"] for row in csv.DictReader(file) if row["level"] == "6"} - {"999999"}


old, new = subheadings(old_file), subheadings(new_file)
to, back = collections.defaultdict(set), collections.defaultdict(set)
with open(links_file, newline="", encoding="utf-8") as file:
    for row in csv.DictReader(file):
        a, b = row["hs" + year_from], row["hs" + year_to]
        if a != "999999" and (a == b or not b.startswith(tuple(prefixes))):
            to[a].add(b)
            back[b].add(a)

counts = collections.Counter()
for code in old:
    targets = sorted(to[code])
    if not targets:
        kind = "deleted"
    elif len(targets) > 1:
        kind = "split"
    elif len(back[targets[0]]) > 1:
        kind = "merged"
    else:
        kind = "unchanged" if targets == [code] else "renumbered"
    counts[kind] += 1
    counts["scope_changed"] += kind != "unchanged" and code in new
    counts["one_target_same_number"] += targets == [code]
    counts["one_target_other_number"] += len(targets) == 1 and targets != [code]
counts["new"] = sum(1 for code in new if not back[code])
counts["number_gone"] = len(old - new)
counts["number_new"] = len(new - old)
sizes = [len(targets) for targets in to.values() if len(targets) > 1]
print(json.dumps({**counts, "median_candidates": statistics.median_high(sizes), "most_candidates": max(sizes)}))
