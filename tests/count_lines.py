#!/usr/bin/env python3
"""Counts the rows of Parquet files that a SQL condition lets through, with DuckDB.

    count_lines.py FOLDER CONDITION [--addresses]

Prints {"rows": n}; with --addresses also the first 50 by line_id as {"line_id", "source_row"}.
"""

import json
import sys

import duckdb

connection = duckdb.connect()
folder, condition = sys.argv[1:3]
source = f"read_parquet('{folder}/*.parquet', file_row_number = true)"
answer = {"rows": connection.execute(f"SELECT count(*) FROM {source} WHERE {condition}").fetchone()[0]}
if "--addresses" in sys.argv:
    found = connection.execute(f"SELECT line_id, file_row_number FROM {source} WHERE {condition} ORDER BY line_id LIMIT 50")
    answer["addresses"] = [{"line_id": a, "source_row": b} for a, b in found.fetchall()]
print(json.dumps(answer))
