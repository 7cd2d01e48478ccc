#!/usr/bin/env python3
"""Reads Parquet files with PyArrow, verifying the CRC of every page; prints {"files", "rows"}.

    check_pages.py FILE...

Fails on a wrong CRC. A page without one is found by flipping a bit in it: that must fail too.
"""

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq

rows = 0
for name in sys.argv[1:]:
    rows += pq.read_table(name, page_checksum_verification=True, partitioning=None).num_rows
    data = bytearray(open(name, "rb").read())
    column = pq.ParquetFile(name).metadata.row_group(0).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    data[start + column.total_compressed_size - 1] ^= 1
    try:
        pq.ParquetFile(pa.BufferReader(bytes(data)), page_checksum_verification=True).read()
    except OSError as e:
        assert "CRC" in str(e) or "crc" in str(e), e
    else:
        raise SystemExit(f"{name}: a flipped bit was not noticed")
print(json.dumps({"files": len(sys.argv) - 1, "rows": rows}))
