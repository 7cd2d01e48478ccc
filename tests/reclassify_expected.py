#!/usr/bin/env python3
"""What each line of a lake has to become, by the rules alone, from Delta tables and a file of pairs.

    reclassify_expected.py LAKE PAIRS.csv FROM TO [CATCH_ALL_CODE WORD]

PAIRS.csv has the columns from_code, to_code. Reads the predictions of edition FROM (the newest of each line), the decisions, and the
rows of edition TO, with DuckDB, and prints {"lines", "rows", "by_rule": {rule: n}, "wrong": [...], "report": {...}}: which rule each
line falls under, the lines whose row breaks its rule, and what the report has to say. Links of another code to CATCH_ALL_CODE count
only for lines whose text holds WORD, or is not stored.
"""

import collections
import csv
import decimal
import json
import math
import re
import sys

import duckdb
from deltalake import DeltaTable

lake, pairs, old_edition, new_edition, *policy = sys.argv[1:]
caught, word = policy or (None, None)
NEW = set()  # codes of the newer edition that nothing leads to
OLD = set()
LINKS = []
with open(pairs) as file:
    for row in csv.DictReader(file):
        OLD.update([row["from_code"]] if row["from_code"] else [])
        if row["from_code"] and row["to_code"]:
            LINKS.append((row["from_code"], row["to_code"]))
        elif row["to_code"]:
            NEW.add(row["to_code"])


def changes(with_caught):
    successors, predecessors = collections.defaultdict(set), collections.defaultdict(set)
    for old, new in LINKS:
        if with_caught or new != caught or old == new:
            successors[old].add(new)
            predecessors[new].add(old)
    return successors, predecessors


BY_TEXT = {True: changes(True), False: changes(False)}
EXISTS = NEW | {new for _, new in LINKS}


def speaks(text):
    return text is None or word in re.findall(r"[^\W_]+", text.lower())


class Tally:
    def __init__(self):
        self.lines, self.value, self.without = 0, decimal.Decimal(0), 0

    def add(self, value):
        self.lines += 1
        if value is None or not math.isfinite(value) or abs(value) >= 2**63:
            self.without += 1
        else:
            self.value += decimal.Decimal(value).quantize(decimal.Decimal("0.0001"), decimal.ROUND_HALF_EVEN)

    def told(self):
        text = format(self.value.quantize(decimal.Decimal("0.0001")), "f").rstrip("0").rstrip(".")
        return {"lines": self.lines, "value": "0" if text in ("", "-0") else text, "without_value": self.without}


decimal.getcontext().prec = 60
table = DeltaTable(f"{lake}/predictions").to_pyarrow_table()
con = duckdb.connect()
con.register("p", table)
newest = """SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY source_file, source_row ORDER BY run_id DESC) AS n FROM p
            WHERE tariff_edition = ? AND coalesce(served, true)) WHERE n = 1"""
columns = "source_file, source_row, description, text_digest, hs6, decision, reasons, alternatives, previous_hs6, model_version, value"


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

COUNTS = ("accept", "carried", "mapped")
wrong, by_rule = [], collections.Counter()
everything, queue, sampled, changed_scope = Tally(), Tally(), 0, 0
chapters = collections.defaultdict(lambda: collections.defaultdict(Tally))
costly = collections.defaultdict(Tally)
kinds, coded = collections.Counter(), [0, 0]
for place, line in before.items():
    row = after.get(place)
    successors, predecessors = BY_TEXT[caught is None or speaks(line["description"])]
    person = decided.get(place, decided.get(line["text_digest"]))
    open_ = person is None and line["decision"] not in COUNTS
    code = person or line["hs6"]
    to = sorted(successors.get(code, ()))
    audit = "audit_sample" in row["reasons"] and "audit_sample" not in line["reasons"]
    if code is None:
        rule, ok = "none", row["decision"] == "refuse" and row["hs6"] is None
    elif to == [code] and predecessors.get(code) == {code}:
        rule = "carry"
        ok = row["hs6"] == code and row["decision"] == ("review" if open_ else "carried")
        # The candidates that live on, the code itself among them where the model had given it.
        ok = ok and (person or code in [a["hs6"] for a in row["alternatives"]])
    elif len(to) == 1:
        rule = "map"
        ok = row["hs6"] == to[0] and row["decision"] == ("held" if person else "review" if open_ else "mapped")
        reason = "scope_changed" if code in EXISTS else "renumbered"
        ok = ok and (reason in row["reasons"]) == bool(person)
    elif to:
        rule = "rescore"
        waits = ["held"] if person else ["review"] if open_ else ["accept", "review"]
        ok = row["hs6"] in to and row["decision"] in waits
        if open_:
            # Nobody was asked: what the model had thought of, each with all of its successors, the number that lives on first.
            wanted, first = [], code if code in to else to[0]
            for old in line["alternatives"]:
                # Of its own code what the text says counts, of the others what a text that is silent does.
                of = successors if old["hs6"] == code else BY_TEXT[caught is None][0]
                several = sorted(of.get(old["hs6"], ()), key=lambda new: (new != old["hs6"] and new != first, new))
                share = old["confidence"] if len(several) == 1 else None
                wanted += [(new, share) for new in several if new not in [w for w, _ in wanted]]
            ok = ok and row["hs6"] == first and [(a["hs6"], a["confidence"]) for a in row["alternatives"]] == wanted[:5]
        else:
            ok = ok and all(a["hs6"] in to for a in row["alternatives"])
        # The number lives on, or it does not.
        reason = "scope_changed" if code in EXISTS else "split"
        ok = ok and reason in row["reasons"] and not (audit and (person or open_))
    else:
        rule, ok = "orphan", row["decision"] == ("held" if person else "review") and "orphaned" in row["reasons"]
    ok = ok and row["previous_hs6"] == code and (row["hs6"] is None or row["hs6"] in EXISTS)
    same = row["value"] == line["value"] or (row["value"] != row["value"] and line["value"] != line["value"])
    ok = ok and same
    by_rule[("person " if person else "open " if open_ else "") + rule] += 1
    if not ok:
        wrong.append([rule, str(person), str(line), str(row)])
    # What the report has to say.
    value, decision = line["value"], row["decision"]
    everything.add(value)
    sampled += audit
    if decision not in COUNTS:
        queue.add(value)
    # Merged goods have the same successor as others; a code of the older edition has a pair, if only one without a successor.
    merged = len(to) == 1 and len(predecessors[to[0]]) > 1
    known = code in OLD
    kind = ("no_code" if code is None else "unknown_code" if not known else "deleted" if not to else "split" if len(to) > 1
            else "merged" if merged else "unchanged" if to == [code] else "renumbered")
    kinds[kind] += 1
    changed_scope += known and kind != "unchanged" and code in EXISTS
    if code is not None and not open_:
        coded[0] += 1
        coded[1] += decision in COUNTS
    if code is not None:
        of = chapters[code[:2]]
        of["all"].add(value)
        of[{"carried": "carried", "mapped": "mapped", "accept": "accepted"}.get(decision, "others")].add(value)
        if not open_ and decision not in COUNTS:
            of["to_people"].add(value)
            costly[code].add(value)
groups = ["all", "carried", "mapped", "accepted", "to_people"]
report = {
    "all": everything.told(),
    "queue": queue.told(),
    "audit_sample": sampled,
    "kinds": dict(sorted(kinds.items())),
    "coded_before": coded[0],
    "coded_after": coded[1],
    "scope_changed": changed_scope,
    "chapters": {name: {group: of[group].told() for group in groups} for name, of in sorted(chapters.items())},
    "costly": {code: of.told() for code, of in sorted(costly.items())},
}
print(json.dumps({"lines": len(before), "rows": len(after), "by_rule": by_rule, "wrong": wrong[:5], "report": report}))
