"""Sends statements that mean harm as the role reader, and tells what became of them, as JSON.

hostile.py PORT COUNT PID: each kind of statement in turn, with sizes and names drawn from a fixed seed. Each has to be refused
or stopped. Beside them a session
that was there before asks something harmless."""

import json
import random
import sys
import time

import psycopg

PORT, COUNT, PID = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
LIMIT_SECONDS = 3
# What a statement may take beyond its limit: a step in the middle of which nothing stops, and a busy machine.
PATIENCE = 25
draw = random.Random(7)


def connect(user="rita"):
    return psycopg.connect(
        host="127.0.0.1", port=PORT, user=user, password=f"{user}-secret word", dbname="lake", sslmode="disable", autocommit=True
    )


def resident():
    with open(f"/proc/{PID}/statm") as f:
        return int(f.read().split()[1]) * 4096


def number(low, high):
    return draw.randint(low, high)


def word():
    return "".join(draw.choice("abcdefghij") for _ in range(number(3, 9)))


def doubling(levels):
    parts = ["t0 AS (SELECT 1 AS x)"]
    parts += [f"t{i} AS (SELECT a.x FROM t{i - 1} a, t{i - 1} b)" for i in range(1, levels)]
    return "WITH " + ", ".join(parts) + f" SELECT count(*) FROM t{levels - 1}"


def structs(levels):
    parts = ["t0 AS (SELECT struct(1, 2) AS s)"]
    parts += [f"t{i} AS (SELECT struct(s, s) AS s FROM t{i - 1})" for i in range(1, levels)]
    return "WITH " + ", ".join(parts) + f" SELECT s FROM t{levels - 1}"


def joins(levels):
    parts = [f"t0 AS (SELECT repeat('x', {number(1000, 100000)}) AS s)"]
    parts += [f"t{i} AS (SELECT s || s || s || s AS s FROM t{i - 1})" for i in range(1, levels)]
    return "WITH " + ", ".join(parts) + f" SELECT length(s) FROM t{levels - 1}"


KINDS = [
    # Writes, in all the ways there are.
    lambda: f"CREATE TABLE {word()} (a int)",
    lambda: f"CREATE TABLE {word()} AS SELECT * FROM predictions",
    lambda: f"SELECT * INTO {word()} FROM predictions",
    lambda: f"CREATE VIEW {word()} AS SELECT 1",
    lambda: f"CREATE OR REPLACE VIEW predictions AS SELECT {number(1, 9)}",
    lambda: f"CREATE SCHEMA {word()}",
    lambda: f"CREATE DATABASE {word()}",
    lambda: f"CREATE FUNCTION {word()}(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    lambda: f"CREATE EXTERNAL TABLE {word()} STORED AS PARQUET LOCATION '/tmp/{word()}'",
    lambda: f"CREATE INDEX {word()} ON predictions (hs6)",
    lambda: "DROP TABLE " + draw.choice(["predictions", "runs", "decisions"]),
    lambda: "DROP VIEW review_queue",
    lambda: "DROP SCHEMA public CASCADE",
    lambda: f"ALTER TABLE predictions ADD COLUMN {word()} int",
    lambda: "TRUNCATE predictions",
    lambda: "INSERT INTO predictions SELECT * FROM predictions",
    lambda: f"INSERT INTO decisions VALUES ({number(1, 9)})",
    lambda: f"UPDATE predictions SET hs6 = '{number(100000, 999999)}'",
    lambda: f"DELETE FROM predictions WHERE line_id = '{word()}'",
    lambda: "WITH gone AS (DELETE FROM predictions RETURNING *) SELECT * FROM gone",
    lambda: "MERGE INTO predictions p USING runs r ON p.run_id = r.run_id WHEN MATCHED THEN DELETE",
    lambda: "EXPLAIN ANALYZE INSERT INTO predictions SELECT * FROM predictions",
    lambda: "VACUUM predictions",
    lambda: f"GRANT ALL ON predictions TO {word()}",
    lambda: f"CREATE ROLE {word()} SUPERUSER",
    # COPY.
    lambda: f"COPY predictions TO '/tmp/{word()}'",
    lambda: f"COPY (SELECT * FROM predictions) TO '/tmp/{word()}.parquet' (FORMAT parquet)",
    lambda: f"copy predictions to 's3://{word()}/{word()}'",
    lambda: f"COPY (SELECT 1) TO PROGRAM 'touch /tmp/{word()}'",
    lambda: "COPY predictions FROM '/etc/passwd'",
    lambda: f"CoPy predictions TO '/tmp/{word()}' STORED AS CSV",
    lambda: f"EXPLAIN COPY predictions TO '/tmp/{word()}'",
    # Settings that guard.
    lambda: f"SET datafusion.execution.batch_size = {number(1, 10**9)}",
    lambda: "SET datafusion.runtime.memory_limit = '100G'",
    lambda: f"SET datafusion.execution.target_partitions = {number(100, 10000)}",
    lambda: "SET datafusion.optimizer.enable_leaf_expression_pushdown = true",
    lambda: "RESET datafusion.runtime.memory_limit",
    lambda: "SET ROLE operator",
    lambda: "SET SESSION AUTHORIZATION otto",
    lambda: "SET is_superuser = on",
    # Files and URLs as tables.
    lambda: f"SELECT * FROM '/tmp/{word()}.parquet'",
    lambda: "SELECT * FROM '/etc/passwd'",
    lambda: f"SELECT * FROM 's3://{word()}/{word()}.parquet'",
    lambda: f"SELECT * FROM \"https://example.com/{word()}.csv\"",
    lambda: f"SELECT * FROM read_csv('/etc/passwd')",
    lambda: f"SELECT * FROM parquet_metadata('/tmp/{word()}')",
    lambda: f"SELECT pg_read_file('/etc/passwd')",
    lambda: f"SELECT lo_import('/etc/passwd')",
    # Predictions, which a reader has not.
    lambda: f"SELECT hs_code('{word()}')",
    lambda: f"SELECT hs_predict(line_id, 'hs@{number(1, 99)}') FROM predictions",
    # Depth.
    lambda: "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    lambda: "SELECT " + "1+" * number(3000, 20000) + "1",
    lambda: "SELECT " + "NOT " * 5000 + "true",
    lambda: "SELECT " + "-" + " -" * 5000 + "1",
    lambda: "SELECT 1" + "::int" * 5000,
    lambda: "SELECT a" + "[1]" * 5000 + " FROM (SELECT ARRAY[1] a)",
    lambda: "SELECT " + "abs(" * 5000 + "1" + ")" * 5000,
    lambda: "SELECT " + "CASE WHEN true THEN " * 2000 + "1" + " END" * 2000,
    lambda: "SELECT * FROM " + "(SELECT * FROM " * 2000 + "runs" + ") t" * 2000,
    lambda: " UNION ALL ".join(["SELECT 1"] * number(300, 3000)),
    lambda: "SELECT 1 WHERE " + " OR ".join(f"1 = {i}" for i in range(number(2000, 9000))),
    lambda: "SELECT [" * 4000 + "1" + "]" * 4000,
    # Length.
    lambda: f"SELECT 1 WHERE 1 IN ({','.join(str(i) for i in range(1_000_000))})",
    lambda: f"SELECT 1 WHERE 1 IN ({','.join(str(i) for i in range(number(15000, 30000)))})",
    lambda: f"SELECT '{'x' * number(300_000, 12_000_000)}'",
    lambda: "SELECT /*" + "x" * 500_000 + "*/ 1",
    lambda: "SELECT " + "/*" * 5000 + "*/" * 5000 + " 1/0",
    lambda: "SELECT 1/0;" * number(101, 2000),
    lambda: "VALUES " + ",".join("(1)" for _ in range(number(20_000, 60_000))),
    # Work without end.
    lambda: f"SELECT count(*) FROM generate_series(1, {number(10**10, 10**12)})",
    lambda: f"SELECT sum(a.value * b.value) FROM generate_series(1, {number(10**5, 10**6)}) a, generate_series(1, 10000000) b",
    lambda: "SELECT sum(length(a.line_id || d.line_id)) FROM predictions a, predictions b, predictions c, predictions d",
    lambda: "SELECT count(*) FROM predictions a JOIN predictions b ON a.line_id < b.line_id JOIN predictions c ON b.line_id < c.line_id",
    lambda: "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
    lambda: f"WITH RECURSIVE t AS (SELECT {number(1, 9)} AS n UNION ALL SELECT n FROM t) SELECT * FROM t",
    lambda: "WITH RECURSIVE t AS (SELECT 'x' AS s UNION ALL SELECT s || s FROM t) SELECT count(s) FROM t",
    lambda: "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT a.n FROM t a, generate_series(1, 10) b) SELECT count(*) FROM t",
    lambda: f"SELECT value FROM generate_series(1, {number(10**7, 10**9)})",
    # Memory without end.
    lambda: f"SELECT length(repeat('x', {number(10**9, 2 * 10**9)}))",
    lambda: f"SELECT repeat(repeat(repeat('{word()}', 1000), 1000), 1000)",
    lambda: f"SELECT length(lpad('x', {number(10**9, 2 * 10**9)}, 'y'))",
    lambda: "SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 1000000)))",
    lambda: "SELECT length(regexp_replace(repeat('x', 1000000), 'x', repeat('y', 10000), 'g'))",
    lambda: f"SELECT array_length(range(0, {number(10**9, 10**11)}))",
    lambda: f"SELECT array_length(array_repeat(1, {number(10**9, 10**10)}))",
    lambda: f"SELECT array_length(array_resize([1], {number(10**9, 10**10)}, 1))",
    lambda: "SELECT unnest(range(0, 100000000))",
    lambda: "SELECT count(s) FROM (SELECT repeat('x', 100000) || value AS s FROM generate_series(1, 1000000))",
    lambda: "SELECT string_agg(repeat('x', 1000), ',') FROM generate_series(1, 10000000)",
    lambda: "SELECT array_agg(value) FROM generate_series(1, 1000000000)",
    lambda: "SELECT count(DISTINCT value) FROM generate_series(1, 1000000000)",
    lambda: "SELECT value, count(*) FROM generate_series(1, 1000000000) GROUP BY 1 ORDER BY 2 LIMIT 1",
    lambda: "SELECT value FROM generate_series(1, 1000000000) ORDER BY value * 7919 % 1000003 LIMIT 1000000",
    lambda: "SELECT sum(value) OVER () FROM generate_series(1, 1000000000) LIMIT 1",
    lambda: "SELECT row_number() OVER (ORDER BY value % 7) FROM generate_series(1, 1000000000) LIMIT 1",
    lambda: "SELECT sum(x) FROM (SELECT lag(value, 100000000) OVER (ORDER BY value) AS x FROM generate_series(1, 1000000000))",
    lambda: joins(number(12, 60)),
    # Plans without end.
    lambda: doubling(number(20, 60)),
    lambda: structs(number(20, 60)),
    lambda: "SELECT count(*) FROM predictions GROUP BY CUBE (" + ", ".join(["hs6"] * number(14, 30)) + ")",
    lambda: "SELECT 1 FROM " + ", ".join(f"runs r{i}" for i in range(number(600, 1500))),
    lambda: "SELECT 1 FROM runs r0 " + " ".join(f"JOIN runs r{i} ON true" for i in range(1, number(110, 300))),
    # Patterns.
    lambda: "SELECT 'x' ~ '" + "(a|b)*" * number(300, 3000) + "'",
    lambda: "SELECT 'aaaa' ~ '((((a{1000}){1000}){1000}){1000})'",
    lambda: "SELECT regexp_replace(line_id, line_id, line_id) FROM predictions",
    lambda: "SELECT count(*) FROM predictions a, predictions b WHERE a.line_id ~ b.line_id",
    # Not SQL at all.
    lambda: "".join(chr(number(33, 126)) for _ in range(number(10, 500))) + " '",
    lambda: "SELECT $$" + word(),
    lambda: "SELECT '" + word(),
    lambda: "\x01\x02\x03 " + word(),
    lambda: "PREPARE a AS DELETE FROM predictions",
    lambda: "EXECUTE a",
    lambda: "CALL pg_terminate_backend(1)",
    lambda: "LOCK TABLE predictions",
    lambda: "LISTEN x",
    lambda: "DO $$ BEGIN PERFORM 1; END $$",
]

kinds = {}
answered, slow, states = [], [], {}
most = before = resident()
# Another user: a statement given up in the middle of a step keeps its place until the step ends.
other = connect("otto")
connection = connect()
sent = 0
for i in range(COUNT):
    kind = i % len(KINDS)
    sql = KINDS[kind]()
    began = time.time()
    try:
        with psycopg.ClientCursor(connection) if draw.random() < 0.7 else connection.cursor() as cursor:
            cursor.execute(sql)
            if cursor.description:
                for _ in cursor:
                    pass
        answered.append([sql[:200], len(sql)])
    except psycopg.Error as e:
        states[e.sqlstate or "closed"] = states.get(e.sqlstate or "closed", 0) + 1
        if connection.closed or connection.broken:
            connection = connect()
    took = time.time() - began
    sent += 1
    kinds[kind] = max(kinds.get(kind, 0), took)
    if took > LIMIT_SECONDS + PATIENCE:
        slow.append([sql[:200], round(took, 1)])
    most = max(most, resident())
    if i % 10 == 0:
        assert other.execute("SELECT count(*) FROM runs").fetchone()[0] == 1
alive = other.execute("SELECT 'alive'").fetchone()[0] == "alive"
again = connect().execute("SELECT 1").fetchone()[0] == 1
longest = sorted(((round(t, 1), KINDS[k]()[:80]) for k, t in kinds.items()), reverse=True)[:8]
print(
    json.dumps(
        {
            "statements": sent,
            "states": states,
            "answered": answered,
            "slow": slow,
            "survived": again,
            "other session": alive,
            "resident before": before,
            "most resident": most,
            "longest": longest,
        }
    )
)
