#!/usr/bin/env python3
"""Makes a copy of a Delta table as an older program left it: without some columns, with the PyPI package `deltalake`.

    old_table.py FROM TO COLUMN...
"""

import sys

from deltalake import DeltaTable, write_deltalake

source, target, *columns = sys.argv[1:]
table = DeltaTable(source).to_pyarrow_table().drop_columns(columns)
partition_by = DeltaTable(source).metadata().partition_columns
write_deltalake(target, table, partition_by=partition_by or None)
print("{}")
