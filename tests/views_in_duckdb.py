#!/usr/bin/env python3
"""Makes the views of queries/ in DuckDB over the Delta tables of a lake, as they are, and counts their rows.

    views_in_duckdb.py LAKE VIEW...

prints {view: rows}; a view comes behind those that it reads.
"""

import json
import pathlib
import sys

import deltalake
import duckdb

lake, *views = sys.argv[1:]
connection = duckdb.connect()
for name in ("predictions", "decisions", "runs", "label_requests", "nomenclature", "correlations"):
    connection.register(name, deltalake.DeltaTable(f"{lake}/{name}").to_pyarrow_dataset())
counts = {}
for view in views:
    text = (pathlib.Path(__file__).resolve().parent.parent / "queries" / f"{view}.sql").read_text(encoding="utf-8")
    connection.execute(f"CREATE VIEW {view} AS {text}")
    counts[view] = connection.execute(f"SELECT count(*) FROM {view}").fetchall()[0][0]
print(json.dumps(counts))
