#!/usr/bin/env python3
"""What each line of a lake has to become, by the rules alone, from Delta tables and a file of pairs.

    reclassify_expected.py LAKE PAIRS.csv FROM TO

PAIRS.csv has the columns from_code, to_code. Reads the predictions of edition FROM (the newest of each line), the decisions, and the
rows of edition TO, with DuckDB, and prints {"lines", "rows", "by_rule": {rule: n}, "wrong": [...]}: which rule each line falls
under, and the lines whose row breaks its rule.
"""

import collections
import csv
import json
import sys

import duckdb
from deltalake import DeltaTable

lake, pairs, old_edition, new_edition = sys.argv[1:5]
NEW = set()  # codes of the newer edition that nothing leads to
successors, predecessors = collections.defaultdict(set), collections.defaultdict(set)
with open(pairs) as file:
    for row in csv.DictReader(file):
        if row["from_code"] and row["to_code"]:
            successors[row["from_code"]].add(row["to_code"])
            predecessors[row["to_code"]].add(row["from_code"])
        elif row["to_code"]:
            NEW.add(row["to_code"])

table = DeltaTable(f"{lake}/predictions").to_pyarrow_table()
con = duckdb.connect()
con.register("p", table)
newest = """SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY source_file, source_row ORDER BY run_id DESC) AS n FROM p
            WHERE tariff_edition = ? AND coalesce(served, true)) WHERE n = 1"""
columns = "source_file, source_row, text_digest, hs6, decision, reasons, alternatives, previous_hs6, model_version"


def rows(edition):
    found = con.execute(f"SELECT {columns} FROM ({newest})", [edition]).fetchall()
    return {(r[0], r[1]): dict(zip(columns.split(", "), r)) for r in found}


before, after = rows(old_edition), rows(new_edition)
decided = {}
try:
    decisions = DeltaTable(f"{lake}/decisions").to_pyarrow_table().to_pylist()
except Exception:
    decisions = []
for d in decisions:
    key = (d["source_file"], d["source_row"]) if d["source_file"] else d["text_digest"]
    decided[key] = d["hs6"]

wrong, by_rule = [], collections.Counter()
for place, line in before.items():
    row = after.get(place)
    person = decided.get(place, decided.get(line["text_digest"]))
    open_ = person is None and line["decision"] not in ("accept", "carried", "mapped")
    code = person or line["hs6"]
    to = sorted(successors.get(code, ()))
    if code is None:
        rule, ok = "none", row["decision"] == "refuse" and row["hs6"] is None
    elif to == [code] and predecessors.get(code) == {code}:
        rule = "carry"
        ok = row["hs6"] == code and row["decision"] == ("review" if open_ else "carried")
    elif len(to) == 1:
        rule = "map"
        ok = row["hs6"] == to[0] and row["decision"] == ("held" if person else "review" if open_ else "mapped")
    elif to:
        rule = "rescore"
        waits = ["held"] if person else ["review"] if open_ else ["accept", "review"]
        ok = row["hs6"] in to and row["decision"] in waits
        ok = ok and all(a["hs6"] in to for a in row["alternatives"])
        # The number lives on, or it does not.
        reason = "scope_changed" if code in predecessors or code in NEW else "split"
        ok = ok and reason in row["reasons"]
    else:
        rule, ok = "orphan", row["decision"] == ("held" if person else "review") and "orphaned" in row["reasons"]
    ok = ok and row["previous_hs6"] == code and (row["hs6"] is None or row["hs6"] in predecessors or row["hs6"] in NEW)
    by_rule[("person " if person else "open " if open_ else "") + rule] += 1
    if not ok:
        wrong.append([rule, str(person), str(line), str(row)])
print(json.dumps({"lines": len(before), "rows": len(after), "by_rule": by_rule, "wrong": wrong[:5]}))
