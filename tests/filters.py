"""Counts rows of the tables of a lake by conditions that other engines hand down to the files and their statistics, and by reading all.

    filters.py LAKE

prints the conditions whose two counts differ, each with both.
"""

import json
import sys

import deltalake
import duckdb
import pyarrow as pa

lake, wrong, asked = sys.argv[1], [], 0
for name in ("predictions", "runs"):
    table = deltalake.DeltaTable(f"{lake}/{name}")
    rows = table.to_pyarrow_table()
    connection = duckdb.connect()
    connection.register("handed_down", table.to_pyarrow_dataset())
    connection.register("whole", rows)
    for field in rows.schema:
        if pa.types.is_nested(field.type):
            continue
        value = next((v.as_py() for v in rows[field.name].unique() if v.is_valid), None)
        conditions = [(f"{field.name} IS NULL", []), (f"{field.name} IS NOT NULL", [])]
        conditions += [(f"{field.name} = ?", [value])] if value is not None else []
        for condition, values in conditions:
            asked += 1
            counts = [
                connection.execute(f"SELECT count(*) FROM {of} WHERE {condition}", values).fetchone()[0] for of in ("handed_down", "whole")
            ]
            if counts[0] != counts[1]:
                wrong.append([name, condition, *counts])
print(json.dumps({"asked": asked, "wrong": wrong}))
