#!/usr/bin/env python3
"""Writes a Delta table anew as a query over it (the table `t`) gives it, as a new version of the same table, with the PyPI packages
`duckdb` and `deltalake`; and then, if asked, removes the files that no version but the newest names.

    rewrite_table.py TABLE QUERY [--vacuum]
"""

import sys

import duckdb
import pyarrow
from deltalake import DeltaTable, write_deltalake

source, query, *more = sys.argv[1:]
table = DeltaTable(source)
t = table.to_pyarrow_table()
connection = duckdb.connect(":memory:")
connection.execute("SET TimeZone = 'UTC'")
connection.register("t", t)
changed = pyarrow.table(connection.sql(query).to_arrow_table()).select(t.schema.names).cast(t.schema)
write_deltalake(source, changed, mode="overwrite", partition_by=table.metadata().partition_columns or None)
if "--vacuum" in more:
    DeltaTable(source).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
print("{}")
