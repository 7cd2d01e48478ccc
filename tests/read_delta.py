#!/usr/bin/env python3
"""Reads a Delta table with other programs than harmonize, and prints it as one JSON document.

    read_delta.py URL [--engine deltalake|duckdb] [--version N] [--storage KEY=VALUE ...] [--no-data]
    read_delta.py URL [...] --query SQL

Without --query: {"version", "rows", "files", "schema": {column: type}, "partition_columns",
"txns": {application: version}, "commits": [commitInfo with "version", oldest first], "data": [row, ...]}.
With --query: the rows of the SQL as a list of objects; DuckDB runs it, the table is called `t`.

Two engines, so that the writer's own library is not the only witness:
  deltalake   the PyPI package (delta-rs): its log replay, its Parquet reader
  duckdb      the log replayed here by the letter of the Delta protocol, the files read by DuckDB

URL is a path, file:// or s3://. The S3 settings are the AWS_* variables of the environment; --storage
overrides them. Dates and times are printed as ISO 8601, decimals with places and non-finite numbers as
strings, bytes as hexadecimal.
"""

import argparse
import datetime
import decimal
import json
import math
import os
import pathlib
import re
import sys
import tempfile
import urllib.parse

import duckdb
import pyarrow

S3_SETTINGS = ("AWS_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ALLOW_HTTP")


class LocalStore:
    """The files of a table in a directory."""

    def __init__(self, root):
        self.root = pathlib.Path(root)

    def list(self, folder):
        folder = self.root / folder
        return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []

    def read(self, path):
        return (self.root / path).read_bytes()


class S3Store:
    """The files of a table under a prefix of a bucket."""

    def __init__(self, bucket, prefix, settings):
        import boto3
        from botocore.config import Config

        self.bucket, self.prefix = bucket, prefix.strip("/")
        self.client = boto3.client(
            "s3",
            endpoint_url=settings.get("AWS_ENDPOINT"),
            aws_access_key_id=settings.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=settings.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=settings.get("AWS_SESSION_TOKEN"),
            region_name=settings.get("AWS_REGION", "us-east-1"),
            config=Config(s3={"addressing_style": "path"}),
        )

    def key(self, path):
        return f"{self.prefix}/{path}" if self.prefix else path

    def list(self, folder):
        prefix = self.key(folder) + "/"
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return sorted(o["Key"][len(prefix) :] for page in pages for o in page.get("Contents", []))

    def read(self, path):
        return self.client.get_object(Bucket=self.bucket, Key=self.key(path))["Body"].read()


def store_of(url, settings):
    parts = urllib.parse.urlsplit(url)
    if parts.scheme in ("s3", "s3a"):
        return S3Store(parts.netloc, parts.path, settings)
    return LocalStore(urllib.parse.unquote(parts.path) if parts.scheme == "file" else url)


class Log:
    """A Delta log, replayed up to a version: see "Action Reconciliation" in the Delta protocol."""

    def __init__(self, store, wanted):
        names = store.list("_delta_log")
        commits = {int(n[:20]): n for n in names if re.fullmatch(r"\d{20}\.json", n)}
        checkpoints = {int(n[:20]): n for n in names if re.fullmatch(r"\d{20}\.checkpoint\.parquet", n)}
        last = max([*commits, *checkpoints], default=None)
        if last is None:
            sys.exit("read_delta: no Delta table here")
        self.version = last if wanted is None else wanted
        if not 0 <= self.version <= last:
            sys.exit(f"read_delta: no version {self.version}, the last one is {last}")
        self.files, self.txns, self.metadata, self.protocol, self.commits = {}, {}, None, None, []
        start = 0
        if 0 not in commits:
            start = max(v for v in checkpoints if v <= self.version)
            for action in self.checkpoint(store.read("_delta_log/" + checkpoints[start])):
                self.apply(action, start)
            start += 1
        for version in range(start, self.version + 1):
            if version not in commits:
                sys.exit(f"read_delta: commit {version} is missing from the log")
            for line in store.read("_delta_log/" + commits[version]).decode().splitlines():
                if line.strip():
                    self.apply(json.loads(line), version)

    @staticmethod
    def checkpoint(content):
        import pyarrow.parquet

        for row in pyarrow.parquet.read_table(pyarrow.BufferReader(content)).to_pylist(maps_as_pydicts="strict"):
            yield {kind: value for kind, value in row.items() if value is not None}

    def apply(self, action, version):
        for kind, value in action.items():
            if kind in ("add", "remove"):
                if value.get("deletionVector"):
                    sys.exit("read_delta: deletion vectors are not read here")
                path = urllib.parse.unquote(value["path"])
                if kind == "add":
                    self.files[path] = value
                else:
                    self.files.pop(path, None)
            elif kind == "txn":
                self.txns[value["appId"]] = value["version"]
            elif kind == "metaData":
                self.metadata = value
            elif kind == "protocol":
                self.protocol = value
            elif kind == "commitInfo":
                self.commits.append({"version": version, **value})

    def fields(self):
        return json.loads(self.metadata["schemaString"])["fields"]


DUCKDB_TYPES = {
    "string": "VARCHAR", "long": "BIGINT", "integer": "INTEGER", "short": "SMALLINT", "byte": "TINYINT",
    "float": "FLOAT", "double": "DOUBLE", "boolean": "BOOLEAN", "binary": "BLOB", "date": "DATE",
    "timestamp": "TIMESTAMPTZ", "timestamp_ntz": "TIMESTAMP",
}  # fmt: skip


def duckdb_type(delta):
    if isinstance(delta, str):
        return DUCKDB_TYPES.get(delta) or delta.upper()  # decimal(p,s) is the same in both
    if delta["type"] == "array":
        return duckdb_type(delta["elementType"]) + "[]"
    if delta["type"] == "map":
        return f"MAP({duckdb_type(delta['keyType'])}, {duckdb_type(delta['valueType'])})"
    fields = ", ".join(f"{quoted(f['name'])} {duckdb_type(f['type'])}" for f in delta["fields"])
    return f"STRUCT({fields})"


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def literal(text):
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def read_with_duckdb(connection, store, log, folder):
    """Makes the table `t` of the files of the log, in the order of their paths."""
    feature = log.metadata.get("configuration", {}).get("delta.columnMapping.mode", "none")
    if feature != "none":
        sys.exit("read_delta: column mapping is not read here")
    fields, partitions = log.fields(), log.metadata.get("partitionColumns", [])
    columns = ", ".join(f"{quoted(f['name'])} {duckdb_type(f['type'])}" for f in fields)
    connection.execute(f"CREATE TABLE t ({columns})")
    for number, (path, add) in enumerate(sorted(log.files.items())):
        copy = pathlib.Path(folder) / f"{number}.parquet"
        copy.write_bytes(store.read(path))
        if copy.stat().st_size != add["size"]:
            sys.exit(f"read_delta: {path} has {copy.stat().st_size} bytes, the log says {add['size']}")
        source = f"read_parquet({literal(str(copy))}, hive_partitioning = false)"
        present = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
        values = []
        for field in fields:
            name = field["name"]
            if name in partitions:
                value = add["partitionValues"].get(name) or None  # an empty string is null too
                values.append(f"CAST({literal(value)} AS {duckdb_type(field['type'])})")
            else:
                values.append(quoted(name) if name in present else "NULL")
        connection.execute(f"INSERT INTO t SELECT {', '.join(values)} FROM {source}")
        copy.unlink()


def arrow_of(relation):
    """All rows of a DuckDB relation as one Arrow table."""
    return pyarrow.table(relation.to_arrow_table())


def plain(value):
    """A value as JSON can say it."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return int(value) if value.as_tuple().exponent == 0 else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def rows_of(table):
    return [plain(row) for row in table.to_pylist()]


def main():
    parser = argparse.ArgumentParser(description="Print a Delta table as JSON.")
    parser.add_argument("url")
    parser.add_argument("--engine", choices=("deltalake", "duckdb"), default="deltalake")
    parser.add_argument("--version", type=int)
    parser.add_argument("--storage", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--no-data", action="store_true")
    parser.add_argument("--query")
    arguments = parser.parse_args()

    settings = {name: os.environ[name] for name in S3_SETTINGS if name in os.environ}
    settings |= {key.upper(): value for key, _, value in (pair.partition("=") for pair in arguments.storage)}
    store = store_of(arguments.url, settings)
    log = Log(store, arguments.version)

    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    connection.execute("SET threads = 1")
    if arguments.engine == "duckdb":
        version, files = log.version, len(log.files)
        schema = {f["name"]: f["type"] for f in log.fields()}
        with tempfile.TemporaryDirectory() as folder:
            read_with_duckdb(connection, store, log, folder)
    else:
        import deltalake

        table = deltalake.DeltaTable(arguments.url, version=arguments.version, storage_options=settings)
        version, files = table.version(), len(table.file_uris())
        schema = {f["name"]: f["type"] for f in json.loads(table.schema().to_json())["fields"]}
        connection.register("t", table.to_pyarrow_table())

    if arguments.query is not None:
        answer = rows_of(arrow_of(connection.sql(arguments.query)))
    else:
        answer = {
            "version": version,
            "rows": connection.execute("SELECT count(*) FROM t").fetchall()[0][0],
            "files": files,
            "schema": schema,
            "partition_columns": log.metadata.get("partitionColumns", []),
            "txns": log.txns,
            "commits": plain(log.commits),
        }
        if not arguments.no_data:
            answer["data"] = rows_of(arrow_of(connection.table("t")))
    json.dump(answer, sys.stdout, ensure_ascii=False, allow_nan=False)
    print()


if __name__ == "__main__":
    main()
