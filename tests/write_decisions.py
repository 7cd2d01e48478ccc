#!/usr/bin/env python3
"""Appends two decisions to a Delta table with the PyPI package `deltalake`, as another tool would.

    write_decisions.py TABLE TEXT_DIGEST SOURCE_FILE SOURCE_ROW

Ana decides for every line of the text, Ben for the one line.
"""

import datetime
import sys

import pyarrow as pa
from deltalake import write_deltalake

table, digest, source_file, source_row = sys.argv[1:5]
now = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
text, optional = pa.string(), True
schema = pa.schema(
    [
        pa.field("decision_id", text, False),
        pa.field("source_file", text),
        pa.field("source_row", pa.int64()),
        pa.field("text_digest", text),
        pa.field("verdict", text, False),
        pa.field("hs6", text),
        pa.field("tariff_edition", text, False),
        pa.field("binding", pa.bool_(), False),
        pa.field("reason_code", text),
        pa.field("note", text),
        pa.field("reviewer", text, False),
        pa.field("decided_at", pa.timestamp("us", tz="UTC"), False),
        pa.field("shown_run_id", text),
        pa.field("shown_hs6", text),
        pa.field("shown_confidence", pa.float32()),
        pa.field("shown_model_digest", text),
    ]
)


def decision(name, source, row, code, who):
    return {
        "decision_id": name,
        "source_file": source,
        "source_row": row,
        "text_digest": digest,
        "verdict": "correct",
        "hs6": code,
        "tariff_edition": "2022",
        "binding": False,
        "reviewer": who,
        "decided_at": now,
    }


rows = [decision("a", None, None, "848790", "Ana"), decision("b", source_file, int(source_row), "732690", "Ben")]
write_deltalake(table, pa.Table.from_pylist(rows, schema=schema), mode="append")
print("{}")
