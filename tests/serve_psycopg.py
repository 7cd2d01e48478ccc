"""What psycopg 3 gets from the server at a port, as JSON: values in text and binary, parameters, prepared statements,
transactions, cursors, pipelines, cancellation, errors."""

import datetime
import decimal
import json
import sys
import threading
import time

import psycopg
from psycopg import rows

PORT = sys.argv[1]


def connect(user="ana", **more):
    return psycopg.connect(
        host="127.0.0.1", port=PORT, user=user, password=user + "-secret word", dbname="lake", sslmode="disable", **more
    )


def plain(value):
    if isinstance(value, (datetime.date, datetime.datetime, datetime.time, datetime.timedelta)):
        return value.isoformat() if not isinstance(value, datetime.timedelta) else value.total_seconds()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


VALUES = """SELECT 1::smallint, 2::int, 3::bigint, 1.5::real, 2.25::double precision, 'text', true, NULL::int,
    DATE '2026-03-01', TIMESTAMP '2026-03-01 10:00:00', CAST(12.34 AS DECIMAL(10,2)), ARRAY['a','b'], ARRAY[1,2]::bigint[],
    'über', ''"""


def values(binary):
    with connect() as c, c.cursor(binary=binary) as cur:
        return plain(cur.execute(VALUES).fetchone())


def parameters(binary):
    out = {}
    with connect() as c, c.cursor(binary=binary) as cur:
        b = "%b" if binary else "%s"
        one = lambda sql, *p: plain(cur.execute(sql.replace("%?", b), p).fetchone()[0])
        out["int"] = one("SELECT %? + 1", 41)
        out["text"] = one("SELECT %? || '!'", "red shirts")
        out["float"] = one("SELECT %? * 2", 1.25)
        out["null"] = one("SELECT %?::text IS NULL", None)
        out["date"] = one("SELECT %?::date", datetime.date(2026, 3, 1))
        out["decimal"] = one("SELECT %? + 0.5", decimal.Decimal("1.25"))
        out["array"] = one("SELECT %?", [1, 2, 3])
        out["bool"] = one("SELECT NOT %?", True)
        out["predict"] = one("SELECT length(hs_code(%?))", "cotton shirts")
        out["where"] = one("SELECT count(*) FROM predictions WHERE hs6 = %?", "none") == 0
        cur.execute("SELECT line_id FROM predictions ORDER BY 1 LIMIT " + b, (3,))
        out["limit"] = len(cur.fetchall())
        out["in"] = one("SELECT count(*) FROM (VALUES (1), (2), (3)) t(v) WHERE v = ANY(%?)", [1, 3])
    return out


def prepared():
    with connect(prepare_threshold=5) as c, c.cursor() as cur:
        got = [cur.execute("SELECT %s::int * 2", (i,)).fetchone()[0] for i in range(20)]
        names = len(c._prepared._names)
        explicit = cur.execute("SELECT %s::text", ("x",), prepare=True).fetchone()[0]
        c.execute("DEALLOCATE ALL")
    return {"got": got, "prepared": names, "explicit": explicit}


def transactions():
    out = {}
    with connect(autocommit=True) as c:
        with c.transaction():
            out["inside"] = c.info.transaction_status.name
            try:
                with c.transaction():
                    c.execute("SELECT * FROM nothing_here")
            except psycopg.errors.UndefinedTable as e:
                out["inner"] = e.sqlstate
            out["after savepoint"] = c.execute("SELECT 1").fetchone()[0]
        out["outside"] = c.info.transaction_status.name
    with connect() as c:
        try:
            c.execute("SELECT 1/0")
        except psycopg.Error as e:
            out["division"] = e.sqlstate
        out["failed"] = c.info.transaction_status.name
        try:
            c.execute("SELECT 1")
        except psycopg.Error as e:
            out["in failed"] = e.sqlstate
        c.rollback()
        out["rolled back"] = c.execute("SELECT 1").fetchone()[0]
    return out


def cursors():
    with connect() as c:
        with c.cursor(name="some", row_factory=rows.scalar_row) as cur:
            cur.itersize = 700
            cur.execute("SELECT value FROM generate_series(1, 5000) ORDER BY value")
            total = sum(cur)
        with c.cursor(name="few") as cur:
            cur.execute("SELECT line_id FROM predictions")
            few = len(cur.fetchmany(10)) + len(cur.fetchmany(10))
        streamed = sum(1 for _ in c.cursor().stream("SELECT value FROM generate_series(1, 30000)"))
    return {"total": total, "few": few, "streamed": streamed}


def pipeline():
    with connect(autocommit=True) as c:
        with c.pipeline() as p:
            curs = [c.execute("SELECT %s::int", (i,)) for i in range(50)]
            p.sync()
            got = [cur.fetchone()[0] for cur in curs]
        state = None
        try:
            with c.pipeline() as p:
                c.execute("SELECT 1")
                c.execute("SELECT * FROM nothing_here")
                c.execute("SELECT 2")
        except psycopg.Error as e:
            state = e.sqlstate
        after = c.execute("SELECT 3").fetchone()[0]
    return {"got": got == list(range(50)), "state": state, "after": after}


HEAVY = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b WHERE (a.value * b.value) % 7 = 3"


def cancellation():
    with connect(autocommit=True) as c:
        threading.Timer(0.5, c.cancel_safe).start()
        began = time.time()
        try:
            c.execute(HEAVY)
            state = "finished"
        except psycopg.errors.QueryCanceled as e:
            state = e.sqlstate
        took = time.time() - began
        c.execute("SET statement_timeout = '300ms'")
        began = time.time()
        try:
            c.execute(HEAVY)
            timed = "finished"
        except psycopg.errors.QueryCanceled as e:
            timed = e.sqlstate + " " + str(e).split("\n")[0]
        short = time.time() - began
        c.execute("RESET statement_timeout")
        after = c.execute("SELECT 1").fetchone()[0]
    return {"state": state, "took": took, "timed": timed, "short": short, "after": after}


def errors():
    out = {}
    with connect(autocommit=True) as c:
        for sql in [
            "SELEC 1",
            "SELECT * FROM nothing_here",
            "SELECT nocolumn FROM predictions",
            "SELECT nofunction(1)",
            "SELECT CAST('red shirts' AS INT)",
            "SELECT 1/0",
            "COPY predictions TO '/tmp/stolen'",
            "COPY predictions FROM STDIN",
            "INSERT INTO predictions VALUES (1)",
            "CREATE TABLE t (a int)",
            "SET datafusion.execution.batch_size = 1",
            "SELECT * FROM 'file.parquet'",
            "SELECT * FROM \"/etc/passwd\"",
            "SELECT hs6, count(*) FROM predictions",
            "EXECUTE nothing",
            "FETCH 1 FROM nothing",
            "SELECT 1; SELECT nocolumn FROM predictions; SELECT 2",
        ]:
            try:
                c.execute(sql)
                out[sql] = "ok"
            except psycopg.Error as e:
                out[sql] = e.sqlstate
                assert "red shirts" not in str(e), e
        out["position"] = None
        try:
            c.execute("SELECT 1 + )")
        except psycopg.Error as e:
            out["position"] = e.diag.statement_position
        out["after"] = c.execute("SELECT 1").fetchone()[0]
    return out


def settings():
    with connect(autocommit=True, application_name="the tests", options="-c statement_timeout=7s") as c:
        show = lambda name: c.execute("SHOW " + name).fetchone()[0]
        out = {"application": show("application_name"), "timeout": show("statement_timeout")}
        c.execute("SET application_name = 'other'")
        out["told"] = c.info.parameter_status("application_name")
        c.execute("SET TIME ZONE 'Europe/Berlin'")
        out["zone"] = c.info.parameter_status("TimeZone")
        c.execute("DISCARD ALL")
        out["discarded"] = show("application_name")
        out["version"] = c.info.server_version
        out["encoding"] = c.info.encoding
        out["setting"] = c.execute("SELECT current_setting('application_name')").fetchone()[0]
        out["user"] = c.execute("SELECT current_user").fetchone()[0]
        out["database"] = c.execute("SELECT current_database()").fetchone()[0]
        out["schema"] = c.execute("SELECT current_schema()").fetchone()[0]
        out["pid"] = c.execute("SELECT pg_backend_pid()").fetchone()[0] == c.info.backend_pid
    return out


print(
    json.dumps(
        {
            "text": values(False),
            "binary": values(True),
            "parameters": parameters(False),
            "binary parameters": parameters(True),
            "prepared": prepared(),
            "transactions": transactions(),
            "cursors": cursors(),
            "pipeline": pipeline(),
            "cancellation": cancellation(),
            "errors": errors(),
            "settings": settings(),
        }
    )
)
