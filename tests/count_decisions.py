#!/usr/bin/env python3
"""What a training may learn from the decisions of a lake, counted by the rules of docs/training.md with DuckDB and plain Python.

    count_decisions.py LAKE < FACTS

FACTS is one JSON object: `part` of each text by its digest (train, stop, calibrate, threshold, test), the digests of `frozen` texts
and of those that are still `readable`, the `codes` of the model's edition, whose year is `edition`, and for each other edition that
correlations lead from, its `codes` and its pairs that are `one_to_one`. Prints the counts, and the code of each text used.
"""

import json
import sys

import duckdb
from deltalake import DeltaTable

facts = json.load(sys.stdin)
t = DeltaTable(f"{sys.argv[1]}/decisions").to_pyarrow_table()
ranked = duckdb.sql(
    """
    SELECT * REPLACE (CAST(decided_at AS VARCHAR) AS decided_at), rank() OVER (PARTITION BY source_file, source_row, text_digest
                           ORDER BY tariff_edition DESC, binding DESC, decided_at DESC, decision_id) AS place
    FROM t
    """
).fetchall()
names = [d[0] for d in duckdb.sql("SELECT *, 1 AS place FROM t LIMIT 0").description]
rows = [dict(zip(names, row)) for row in ranked]

WHYS = "superseded without_text without_code unclassifiable not_one_to_one without_correlation conflicting text_lost test kept frozen"
left_out = dict.fromkeys(WHYS.split(), 0)
said = {}


def code_of(row):
    """The class that a decision gives, or why it gives none."""
    if row["verdict"] == "unclassifiable":
        return "000000" if row["reason_code"] == "vague" else "?"
    code = row["hs6"]
    if row["verdict"] == "confirm":
        code = row["shown_hs6"] or code
        if row["hs6"] and row["hs6"] != code:
            code = None
    if code is None:
        return None, "without_code"
    if row["tariff_edition"] == facts["edition"]:
        return code if code in facts["codes"] else (None, "without_code")
    other = facts["others"].get(row["tariff_edition"])
    if other is None:
        return None, "without_correlation"
    if code not in other["codes"]:
        return None, "without_code"
    return other["one_to_one"].get(code, (None, "not_one_to_one"))


for row in rows:
    if row["place"] > 1:
        left_out["superseded"] += 1
    elif row["text_digest"] is None:
        left_out["without_text"] += 1
    else:
        code = code_of(row)
        if isinstance(code, tuple):
            left_out[code[1]] += 1
        else:
            said.setdefault(row["text_digest"], []).append((row["binding"], code))

used, learned = 0, {}
for digest, all_of in said.items():
    strong = [code for binding, code in all_of if binding] or [code for _, code in all_of]
    kept = [code for binding, code in all_of if code in strong or binding]
    left_out["superseded"] += len(all_of) - len(kept)
    if len(set(strong)) > 1:
        left_out["conflicting"] += len(kept)
    elif strong[0] == "?":
        left_out["unclassifiable"] += len(kept)
    elif digest not in facts["readable"]:
        left_out["text_lost"] += len(kept)
    elif digest in facts["frozen"]:
        left_out["frozen"] += len(kept)
    elif facts["part"][digest] == "test":
        left_out["test"] += len(kept)
    elif facts["part"][digest] != "train":
        left_out["kept"] += len(kept)
    else:
        used += len(kept)
        learned[digest] = strong[0]

json.dump({"decisions": len(rows), "used": used, "texts": len(learned), "left_out": left_out, "learned": learned}, sys.stdout)
print()
