#!/usr/bin/env python3
"""Appends one decision for every line of a text, or for one line, to a Delta table with the PyPI package `deltalake`, as another
tool would.

    write_decision.py TABLE TEXT_DIGEST CODE EDITION [FILE ROW]
"""

import datetime
import sys

import pyarrow as pa
from deltalake import write_deltalake

table, digest, code, edition, *line = sys.argv[1:]
text = pa.string()
schema = pa.schema(
    [pa.field("decision_id", text, False), pa.field("source_file", text), pa.field("source_row", pa.int64()), pa.field("text_digest", text)]
    + [pa.field("verdict", text, False), pa.field("hs6", text), pa.field("tariff_edition", text, False), pa.field("binding", pa.bool_(), False)]
    + [pa.field("reason_code", text), pa.field("note", text), pa.field("reviewer", text, False)]
    + [pa.field("decided_at", pa.timestamp("us", tz="UTC"), False), pa.field("shown_run_id", text), pa.field("shown_hs6", text)]
    + [pa.field("shown_confidence", pa.float32()), pa.field("shown_model_digest", text)]
)
row = {
    "decision_id": "-".join([digest, edition, *line[1:]]),
    "source_file": line[0] if line else None,
    "source_row": int(line[1]) if line else None,
    "text_digest": digest,
    "verdict": "correct",
    "hs6": code,
    "tariff_edition": edition,
    "binding": False,
    "reviewer": "Ana",
    "decided_at": datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc),
}
write_deltalake(table, pa.Table.from_pylist([row], schema=schema), mode="append")
print("{}")
