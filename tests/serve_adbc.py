"""What the ADBC driver for PostgreSQL gets from the server at a port, as JSON."""

import json
import sys

import adbc_driver_postgresql.dbapi as adbc

URI = f"postgresql://ana:ana-secret%20word@127.0.0.1:{sys.argv[1]}/lake?sslmode=disable"

with adbc.connect(URI, autocommit=True) as connection, connection.cursor() as cursor:

    def table(sql, parameters=None, copy=True):
        cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "true" if copy else "false"})
        cursor.execute(sql, parameters)
        return cursor.fetch_arrow_table()

    out = {}
    for copy in (True, False):
        got = table(
            "SELECT line_id, hs6, confidence, accepted_at FROM (SELECT line_id, hs6, confidence, TIMESTAMP '2026-03-01 10:00:00' "
            "AS accepted_at FROM predictions) ORDER BY line_id LIMIT 1000",
            copy=copy,
        )
        out["copy" if copy else "rows"] = {
            "rows": got.num_rows,
            "columns": got.column_names,
            "types": [str(t) for t in got.schema.types],
            "first": got.slice(0, 1).to_pylist()[0]["line_id"],
        }
    out["code"] = table("SELECT hs_code('cotton shirts') AS code").column("code").to_pylist()
    out["parameter"] = table("SELECT length($1) AS n", ["red"], copy=False).column("n").to_pylist()
    out["tables"] = sorted(
        t["table_name"]
        for catalog in connection.adbc_get_objects(depth="tables", db_schema_filter="public").read_all().to_pylist()
        for schema in catalog["catalog_db_schemas"] or []
        for t in schema["db_schema_tables"] or []
    )
    out["columns"] = [f.name for f in connection.adbc_get_table_schema("runs")][:3]
print(json.dumps(out))
