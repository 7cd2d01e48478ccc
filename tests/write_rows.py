#!/usr/bin/env python3
"""Appends rows to a table of a lake with the PyPI package `deltalake`, as another program would.

    write_rows.py LAKE CONTRACT ROWS

CONTRACT is the name of a file of `schemas/`, ROWS a file with one JSON object a line; a column that is left out is null.
"""

import datetime
import json
import pathlib
import sys

import pyarrow as pa
from deltalake import write_deltalake

lake, contract, rows = sys.argv[1:4]
schemas = pathlib.Path(__file__).resolve().parent.parent / "schemas"
document = json.loads((schemas / f"{contract}.json").read_text())
PLAIN = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def kind(name):
    if name in PLAIN:
        return PLAIN[name]
    if name.startswith("list<"):
        return pa.list_(pa.field("element", kind(name[5:-1])))
    fields = [field.split(":") for field in name.removeprefix("struct<")[:-1].split(",")]
    return pa.struct([pa.field(field, kind(of)) for field, of in fields])


def value(column, found):
    if found is None:
        return None
    if column["type"] == "date":
        return datetime.date.fromisoformat(found)
    if column["type"] == "timestamp":
        return datetime.datetime.fromisoformat(found)
    return found


columns = document["columns"]
schema = pa.schema([pa.field(c["name"], kind(c["type"]), c["nullable"]) for c in columns])
read = [json.loads(line) for line in open(rows, encoding="utf-8")]
unknown = {name for row in read for name in row} - {c["name"] for c in columns}
assert not unknown, f"{contract} has no {unknown}"
table = [{c["name"]: value(c, row.get(c["name"])) for c in columns} for row in read]
write_deltalake(
    f"{lake}/{document['table']}",
    pa.Table.from_pylist(table, schema=schema),
    mode="append",
    partition_by=document["partition_by"] or None,
)
print("{}")
