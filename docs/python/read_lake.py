#!/usr/bin/env python3
"""Reads a lake of harmonize as what it is, Delta tables, with deltalake, DuckDB, polars and pandas. Needs nothing of harmonize.

    read_lake.py LAKE [--since 2026-03-01]

LAKE is a folder or s3://bucket/prefix; keys, region and endpoint for S3 are the AWS_* variables of the environment. Prints one JSON
document: versions and sizes of the tables, what counts by decision, coverage by month and chapter, and the cost of runs.
"""

import argparse
import datetime
import json
import os

import deltalake
import duckdb
import polars

# deltalake and polars take the same settings under the names of the environment.
SETTINGS = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def table(lake, name, version=None):
    """A table of the lake, now or as it was."""
    return deltalake.DeltaTable(f"{lake}/{name}", version=version, storage_options=SETTINGS)


def sizes(lake):
    """Version, rows and files of the tables that are there; every commit of `predictions` with the rows that one saw after it."""
    found = {}
    for name in ("predictions", "decisions", "runs", "nomenclature", "correlations", "label_requests"):
        if deltalake.DeltaTable.is_deltatable(f"{lake}/{name}", SETTINGS):
            now = table(lake, name)
            found[name] = {"version": now.version(), "rows": now.to_pyarrow_dataset().count_rows(), "files": len(now.file_uris())}
    versions = range(found["predictions"]["version"] + 1)
    rows = [table(lake, "predictions", version).to_pyarrow_dataset().count_rows() for version in versions]
    return {"tables": found, "rows_after_each_commit": rows}


def what_counts(lake):
    """The newest answer of every line, by decision, but for lines that a file has lost since. DuckDB reads only the columns that the
    query names."""
    connection = duckdb.connect()
    connection.register("predictions", table(lake, "predictions").to_pyarrow_dataset())
    connection.register("runs", table(lake, "runs").to_pyarrow_dataset())
    answer = connection.execute(
        """
        WITH files AS (
          SELECT input.url, arg_max(input.rows, run_id) AS rows
          FROM (SELECT run_id, unnest(inputs) AS input FROM runs WHERE scope IS DISTINCT FROM 'beside') GROUP BY input.url
        ),
        answers AS (
          SELECT *, row_number() OVER (PARTITION BY source_file, source_row ORDER BY run_date DESC, run_id DESC) AS newest
          FROM predictions WHERE coalesce(served, true)
        )
        SELECT decision, count(*) AS lines, round(sum(value), 2) AS value
        FROM answers LEFT JOIN files ON files.url = source_file
        WHERE newest = 1 AND (files.rows IS NULL OR source_row < files.rows)
        GROUP BY decision ORDER BY lines DESC, decision
        """
    )
    names = [column[0] for column in answer.description]
    return [dict(zip(names, row)) for row in answer.fetchall()]


def coverage(lake, since):
    """Share of the answers that stand without a person: polars reads only the days that are asked for."""
    lines = polars.scan_delta(f"{lake}/predictions", storage_options=SETTINGS)
    if since:
        lines = lines.filter(polars.col("run_date") >= since)
    stands = polars.col("decision").is_in(["accept", "carried", "mapped"])
    return (
        lines.filter(polars.col("served").fill_null(True))
        .group_by(polars.col("run_date").dt.truncate("1mo").alias("month"), polars.col("hs6").str.slice(0, 2).alias("chapter"))
        .agg(polars.len().alias("lines"), stands.sum().alias("accepted_lines"), stands.mean().alias("coverage_ratio"))
        .sort("month", "chapter", nulls_last=True)
        .collect()
        .to_dicts()
    )


def cost(lake):
    """Lines a second of every run, in pandas."""
    runs = table(lake, "runs").to_pandas(columns=["run_id", "command", "lines_written", "score_secs"])
    runs["lines_per_sec"] = runs["lines_written"] / runs["score_secs"]
    return runs.sort_values("run_id").to_dict("records")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lake")
    parser.add_argument("--since", type=datetime.date.fromisoformat)
    asked = parser.parse_args()
    answer = {
        "deltalake": sizes(asked.lake),
        "duckdb": what_counts(asked.lake),
        "polars": coverage(asked.lake, asked.since),
        "pandas": cost(asked.lake),
    }
    print(json.dumps(answer, indent=1, default=str))


if __name__ == "__main__":
    main()
