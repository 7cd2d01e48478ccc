#!/usr/bin/env python3
"""Makes a copy of a Delta table as somebody might leave it who changed it by hand: what a query over the table `t` gives, with
the PyPI packages `duckdb` and `deltalake`.

    tamper.py FROM TO QUERY
"""

import sys

import duckdb
import pyarrow
from deltalake import DeltaTable, write_deltalake

source, target, query = sys.argv[1:]
table = DeltaTable(source)
t = table.to_pyarrow_table()
connection = duckdb.connect(":memory:")
connection.execute("SET TimeZone = 'UTC'")
connection.register("t", t)
changed = pyarrow.table(connection.sql(query).to_arrow_table()).select(t.schema.names).cast(t.schema)
write_deltalake(target, changed, partition_by=table.metadata().partition_columns or None)
print("{}")
