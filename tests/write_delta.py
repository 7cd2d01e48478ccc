#!/usr/bin/env python3
"""Writes a Delta table with the PyPI package `deltalake`: rows 0 to 9, of which the last three are deleted in a second commit.

    write_delta.py URL

S3 settings come from the AWS_* variables.
"""

import os
import sys

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

settings = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
settings["conditional_put"] = "etag"
rows = pa.table({"n": list(range(10)), "text": [f"line {n}" for n in range(10)]})
write_deltalake(sys.argv[1], rows, storage_options=settings)
DeltaTable(sys.argv[1], storage_options=settings).delete("n >= 7")
print("{}")
