#!/usr/bin/env python3
"""What another reader of Delta tables sees of one at earlier times.

    time_travel.py URL TIME...

Prints {"versions": [{"version", "millis"}], "rows": [rows at each TIME]}: when the store received each log entry, and the number of
rows and of distinct run_ids at the version that deltalake loads for each RFC 3339 time.
"""

import json
import os
import sys

from deltalake import DeltaTable

url, times = sys.argv[1], sys.argv[2:]
log = os.path.join(url, "_delta_log")
entries = sorted(name for name in os.listdir(log) if name.endswith(".json"))
versions = [{"version": int(name[:-5]), "millis": os.stat(os.path.join(log, name)).st_mtime_ns // 1_000_000} for name in entries]

rows = []
for time in times:
    table = DeltaTable(url)
    table.load_as_version(time)
    data = table.to_pyarrow_table()
    rows.append({"version": table.version(), "rows": data.num_rows, "runs": len(set(data["run_id"].to_pylist()))})
print(json.dumps({"versions": versions, "rows": rows}))
