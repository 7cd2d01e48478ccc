#!/usr/bin/env python3
"""Reads Parquet files with PyArrow, verifying the CRC of every page; prints {"files", "rows"}.

    check_pages.py FILE...

Fails on a wrong CRC. A page without one is found by flipping a bit in it: that must fail too.
"""

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def read(source):
    """On this thread alone: a read that fails while others run can abort the interpreter when it ends."""
    file = pq.ParquetFile(source, page_checksum_verification=True, pre_buffer=False)
    return file.read(use_threads=False).num_rows


rows = 0
for name in sys.argv[1:]:
    rows += read(name)
    data = bytearray(open(name, "rb").read())
    column = pq.ParquetFile(name).metadata.row_group(0).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    data[start + column.total_compressed_size - 1] ^= 1
    try:
        read(pa.BufferReader(bytes(data)))
    except OSError as e:
        assert "CRC" in str(e) or "crc" in str(e), e
    else:
        raise SystemExit(f"{name}: a flipped bit was not noticed")
print(json.dumps({"files": len(sys.argv) - 1, "rows": rows}))
