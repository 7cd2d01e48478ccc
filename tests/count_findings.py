#!/usr/bin/env python3
"""The findings of consistency in a lake, by the rules of docs/audit.md in plain Python over the Delta tables.

    count_findings.py LAKE [--min-confidence SHARE] [--least-value VALUE]

Prints {"findings": [{kind, finding, lines, value, explained_by, rows}], "chapters": [{kind, chapter, findings, lines, value}]}, both
sorted. A value is the exact sum of the values that there are, or null.
"""

import argparse
import json
import re
import sys
from collections import defaultdict
from fractions import Fraction

from deltalake import DeltaTable

arguments = argparse.ArgumentParser()
arguments.add_argument("lake")
arguments.add_argument("--min-confidence", type=float, default=0.0)
arguments.add_argument("--least-value", type=float)
arguments = arguments.parse_args()


def table(name):
    return DeltaTable(f"{arguments.lake}/{name}").to_pyarrow_table().to_pylist()


predictions, decisions, runs = table("predictions"), table("decisions"), {r["run_id"]: r for r in table("runs")}
served = [p for p in predictions if p["served"] is not False]
STOOD = ("accept", "carried", "mapped")


def total(values):
    values = [Fraction(v) for v in values if v is not None]
    return float(sum(values)) if values else None


def best(rows):
    """The decision that counts: of the latest edition, the binding one, then the newest, then by its identity."""
    rank = lambda d: (-int(d["tariff_edition"]), not d["binding"], -d["decided_at"].timestamp(), d["decision_id"])
    return min(rows, key=rank, default=None)


# The newest served prediction of every line, with what people decided.
current = {}
for p in served:
    place = p["source_file"], p["source_row"]
    if place not in current or (p["run_date"], p["run_id"]) > (current[place]["run_date"], current[place]["run_id"]):
        current[place] = p
lines = []
for p in current.values():
    of_line = [d for d in decisions if (d["source_file"], d["source_row"]) == (p["source_file"], p["source_row"]) and d["text_digest"] == p["text_digest"]]
    of_text = [d for d in decisions if d["source_file"] is None and d["text_digest"] is not None and d["text_digest"] == p["text_digest"]]
    d, t = best(of_line), best(of_text)
    if d is None or (t is not None and t["tariff_edition"] > d["tariff_edition"]):
        d = t
    line = dict(p, person=d is not None)
    line["said"] = d["hs6"] if d else p["hs6"]
    line["counts"] = d["hs6"] if d else (p["hs6"] if p["decision"] in STOOD else None)
    carried = d is not None and p["decision"] == "carried" and d["hs6"] == p["hs6"]
    line["edition"] = d["tariff_edition"] if d and not carried else p["tariff_edition"]
    digits = re.sub("[^0-9]", "", re.sub(r"^([0-9]{5,})\.0$", r"\1", (p["declared_code"] or "").strip(" ")))
    line["declared"] = digits[:6] if len(digits) >= 2 else None
    if len(digits) in (5, 7, 9) and line["said"] == "0" + digits[:5]:
        line["declared"] = line["said"]
    lines.append(line)

found, by_chapter = [], []


def add(kind, finding, rows, explained_by, lines, value):
    """`rows` are (code, value) of the lines concerned."""
    if arguments.least_value is not None and (value is None or value < arguments.least_value):
        return
    found.append({"kind": kind, "finding": finding, "lines": lines, "value": value, "explained_by": explained_by, "rows": len(rows)})
    whole = kind == "same_text_across_runs"
    for code, of_row in rows:
        if code is not None:
            by_chapter.append((kind, code[:2], finding, lines if whole else 1, value if whole else of_row))


def groups(rows, key):
    of = defaultdict(list)
    for row in rows:
        if key(row) is not None:
            of[key(row)].append(row)
    return of


for line in lines:
    declared, said = line["declared"], line["said"]
    if declared is None or said is None or said.startswith(declared):
        continue
    if line["person"] or (line["confidence"] is not None and line["confidence"] >= arguments.min_confidence):
        name = f"{line['source_file']}#{line['source_row']}"
        add("declared_otherwise", name, [(said, line["value"])], "person" if line["person"] else "model", 1, total([line["value"]]))

whole = [line for line in lines if line["declared"] is not None and len(line["declared"]) == 6]
for text, of in groups(whole, lambda line: line["text_digest"]).items():
    if len({line["declared"] for line in of}) > 1:
        rows = [(line["said"], line["value"]) for line in of]
        add("same_text_declared_otherwise", text, rows, "declaration", len(of), total(line["value"] for line in of))

stood = [p for p in served if p["hs6"] is not None and p["text_digest"] is not None and p["decision"] in STOOD]
for (run, text), of in groups(stood, lambda p: (p["run_id"], p["text_digest"])).items():
    if len({p["hs6"] for p in of}) > 1:
        before = {p["previous_hs6"] for p in of} - {None}
        why = "model" if len({p["model_digest"] for p in of}) > 1 else "previous_code" if len(before) > 1 else "unexplained"
        add("same_text_in_run", f"{run} {text}", [(p["hs6"], p["value"]) for p in of], why, len(of), total(p["value"] for p in of))

now = groups(lines, lambda line: line["text_digest"])
coded = {text: [line for line in of if line["counts"] is not None] for text, of in now.items()}
for text, of in coded.items():
    if len({line["counts"] for line in of}) > 1:
        editions = groups(of, lambda line: line["edition"])
        if all(len({line["counts"] for line in same}) == 1 for same in editions.values()):
            why = "edition"
        elif any(line["person"] for line in of):
            why = "person"
        else:
            why = "model" if len({line["model_digest"] for line in of}) > 1 else "unexplained"
        add("same_text_other_code", text, [(line["counts"], line["value"]) for line in of], why, len(of), total(line["value"] for line in of))

# What stood, event by event: runs where nobody had decided, and people.
events = defaultdict(list)
answers = defaultdict(list)
for p in stood:
    at = runs[p["run_id"]]["started_at"]
    decided = any(
        d["text_digest"] == p["text_digest"] and d["tariff_edition"] == p["tariff_edition"] and d["decided_at"] <= at
        and (d["source_file"] is None or (d["source_file"], d["source_row"]) == (p["source_file"], p["source_row"]))
        for d in decisions
    )
    if not decided:
        answers[p["text_digest"], at, p["run_id"]].append(p)
for (text, at, run), of in answers.items():
    codes = " ".join(sorted({p["hs6"] for p in of}))
    events[text].append((at, run, codes, min(p["tariff_edition"] for p in of), False, min(p["model_digest"] for p in of)))
for d in decisions:
    if d["hs6"] is not None and d["text_digest"] is not None:
        events[d["text_digest"]].append((d["decided_at"], d["decision_id"], d["hs6"], d["tariff_edition"], True, None))
for text, of in events.items():
    of.sort(key=lambda e: e[:2])
    for before, after in zip(of, of[1:]):
        if before[2] == after[2]:
            continue
        why = "edition" if before[3] != after[3] else "person" if before[4] or after[4] else "model" if before[5] != after[5] else "unexplained"
        those = now.get(text, [])
        value = total(line["value"] for line in those)
        add("same_text_across_runs", f"{text} {after[1]}", [(after[2], value)], why, len(those), value)

chapters = []
for (kind, chapter), of in groups(by_chapter, lambda row: row[:2]).items():
    chapters.append({"kind": kind, "chapter": chapter, "findings": len({row[2] for row in of}), "lines": sum(row[3] for row in of), "value": total(row[4] for row in of)})
found.sort(key=lambda f: (f["kind"], f["finding"]))
chapters.sort(key=lambda c: (c["kind"], c["chapter"]))
json.dump({"findings": found, "chapters": chapters}, sys.stdout)
print()
