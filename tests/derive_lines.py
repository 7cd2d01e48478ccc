#!/usr/bin/env python3
"""Writes Parquet files as a query over each of others (the table `t`, with its rows numbered from 0 as `row`) gives them, with DuckDB.

    derive_lines.py FROM TO QUERY
"""

import pathlib
import sys

import duckdb

source, target, query = sys.argv[1:]
pathlib.Path(target).mkdir(parents=True, exist_ok=True)
for file in sorted(pathlib.Path(source).glob("**/*.parquet")):
    connection = duckdb.connect(":memory:")
    connection.execute(f"CREATE VIEW t AS SELECT * EXCLUDE file_row_number, file_row_number AS row FROM read_parquet('{file}', file_row_number = true)")
    connection.execute(f"COPY ({query}) TO '{pathlib.Path(target) / file.name}' (FORMAT parquet)")
print("{}")
