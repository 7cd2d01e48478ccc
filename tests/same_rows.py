#!/usr/bin/env python3
"""Compares a file of rows with the Parquet file that they come from, each read by a program that is not ours.

    same_rows.py ORIGINAL FORM FILE

FORM is csv, json, ndjson or parquet. Python's own csv and json read the first three, pyarrow the last; DuckDB reads each of them
once more. Prints {"rows", "differences": [first few], "duckdb": [rows, sum of id]}.
"""

import csv
import datetime
import json
import sys

import duckdb
import pyarrow
import pyarrow.parquet as pq

original, form, file = sys.argv[1:4]
table = pq.read_table(original)
wanted = table.to_pylist()


def plain(value):
    """A value as JSON has it."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def csv_text(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(plain(value))


if form == "csv":
    with open(file, newline="", encoding="utf-8") as opened:
        found = list(csv.DictReader(opened))
    # A list has no form of its own in CSV.
    flat = [field.name for field in table.schema if not pyarrow.types.is_nested(field.type)]
    wanted = [{key: csv_text(row[key]) for key in flat} for row in wanted]
    found = [{key: row[key] for key in flat} for row in found]
    same = lambda a, b: a == b or (a and b and a.replace(".", "").replace("-", "").isdigit() and float(a) == float(b))
else:
    if form == "json":
        found = json.load(open(file, encoding="utf-8"))
    elif form == "ndjson":
        found = [json.loads(line) for line in open(file, encoding="utf-8")]
    else:
        found = [plain(row) for row in pq.read_table(file).to_pylist()]
    wanted = [plain(row) for row in wanted]
    same = lambda a, b: a == b

differences = []
if len(found) != len(wanted):
    differences.append(f"{len(found)} rows in place of {len(wanted)}")
for number, (a, b) in enumerate(zip(found, wanted)):
    if list(a) != list(b):
        differences.append(f"row {number}: columns {list(a)} in place of {list(b)}")
    differences.extend(f"row {number}, {key}: {a[key]!r} in place of {b[key]!r}" for key in b if not same(a.get(key), b[key]))
reader = {"csv": "read_csv", "json": "read_json", "ndjson": "read_json", "parquet": "read_parquet"}[form]
counted = duckdb.sql(f"SELECT count(*), sum(id)::BIGINT FROM {reader}('{file}')").fetchall()[0]
print(json.dumps({"rows": len(found), "differences": differences[:5], "duckdb": list(counted)}))
