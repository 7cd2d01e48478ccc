#!/usr/bin/env python3
"""Appends rows to a Delta table of the lake with the PyPI package `deltalake`, as another tool would.

    append_rows.py LAKE TABLE FILE

TABLE is a contract of schemas/, FILE has a JSON object a line; a column that a row lacks is null. Times are ISO 8601 in UTC.
"""

import datetime
import json
import pathlib
import sys

import pyarrow as pa
from deltalake import write_deltalake

lake, name, file = sys.argv[1:4]
contract = json.loads((pathlib.Path(__file__).parents[1] / "schemas" / f"{name}.json").read_text())
TYPES = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
    "list<string>": pa.list_(pa.string()),
    "list<struct<hs6:string,confidence:float>>": pa.list_(
        pa.struct([pa.field("hs6", pa.string()), pa.field("confidence", pa.float32())])
    ),
}
READ = {
    "timestamp": lambda text: datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc),
    "date": datetime.date.fromisoformat,
}
columns = contract["columns"]
schema = pa.schema([pa.field(c["name"], TYPES[c["type"]], c["nullable"]) for c in columns])


def read(row):
    unknown = set(row) - {c["name"] for c in columns}
    assert not unknown, f"{name} has no {unknown}"
    values = {c["name"]: (row.get(c["name"]), READ.get(c["type"])) for c in columns}
    return {column: value if read is None or value is None else read(value) for column, (value, read) in values.items()}


rows = [read(json.loads(line)) for line in open(file)]
table = pa.Table.from_pylist(rows, schema=schema)
write_deltalake(f"{lake}/{name}", table, mode="append", partition_by=contract["partition_by"] or None)
print("{}")
