"""Sends statements whose parts lie within each other, as many as somebody writes and as many as the parser takes, and tells how
long the longest took, as JSON: neither an answer nor a refusal may take time that grows faster than the statement.

serve_nesting.py PORT"""

import json
import sys
import time

import psycopg

SHAPES = [
    ("SELECT ", "abs(", "1", ")"),
    ("SELECT ", "coalesce(", "1", ", 1)"),
    ("SELECT ", "greatest(1, ", "1", ")"),
    ("SELECT ", "replace(", "'x'", ", 'a', 'b')"),
    ("SELECT ", "struct(", "1", ")"),
    ("SELECT ", "ROW(", "1", ")"),
    ("SELECT ", "[", "1", "]"),
    ("SELECT ", "ARRAY[", "1", "]"),
    ("SELECT ", "(", "1", ")"),
    ("SELECT ", "- ", "1", ""),
    ("SELECT ", "NOT ", "true", ""),
    ("SELECT ", "CAST(", "1", " AS bigint)"),
    ("SELECT ", "CASE WHEN true THEN ", "1", " ELSE 2 END"),
    ("SELECT ", "CASE WHEN ", "true", " THEN false ELSE true END"),
    ("SELECT ", "CASE ", "1", " WHEN 1 THEN 2 ELSE 1 END"),
    ("SELECT ", "coalesce(CASE WHEN true THEN ", "1", " END, 2)"),
    ("SELECT ", "nullif(nullif(", "1", ", 2), 3)"),
    ("SELECT ", "(SELECT ", "1", ")"),
    ("SELECT * FROM ", "(SELECT * FROM ", "runs", ") t"),
    ("SELECT 1 WHERE ", "EXISTS (SELECT 1 WHERE ", "true", ")"),
    ("SELECT 1 WHERE ", "1 IN (SELECT 1 WHERE ", "true", ")"),
    ("SELECT 1 WHERE ", "(true AND (false OR ", "true", "))"),
    ("SELECT 1 WHERE 1 = ", "(1 + (2 * ", "1", "))"),
    ("SELECT 1 WHERE ", "(1 < 2 AND 2 BETWEEN 1 AND 3 OR NOT ", "true", ")"),
    ("SELECT run_id FROM runs GROUP BY ", "upper(", "run_id", ")"),
    ("SELECT count(*) FROM runs GROUP BY ", "ROLLUP(", "run_id", ")"),
    ("SELECT sum(1) OVER (ORDER BY ", "abs(", "1", ")"),
    ("SELECT count(*) FROM predictions WHERE ", "coalesce(hs6 = '1', ", "true", ")"),
    ("SELECT count(*) FROM predictions WHERE ", "CASE WHEN hs6 > '5' THEN ", "true", " ELSE confidence > 0.5 END"),
    ("SELECT count(*) FROM predictions WHERE hs6 = ", "concat(hs6, ", "hs6", ")"),
    ("SELECT count(*) FROM predictions WHERE hs6 LIKE ", "(hs6 || ", "'%'", ")"),
    ("SELECT hs_parent(", "replace(hs_parent(", "'847130'", "), '.', '')"),
    ("SELECT hs_code(", "concat(hs_code(", "'x'", "), 'y')"),
]

# The steps of a chain of queries become one expression.
STEPS = [
    "(x = 'a')::text",
    "CAST(x LIKE 'a%' AS text)",
    "coalesce(x, 'b')",
    "coalesce(x = 'a', true)::text",
    "(x BETWEEN 'a' AND 'b')::text",
    "(x IN ('a', 'b'))::text",
    "CASE WHEN x = 'a' THEN x ELSE 'b' END",
    "x || x",
    "upper(x)",
    "length(x)::text",
    "hs_parent(x)",
    "array_to_string(string_to_array(x, ','), ';')",
]


def nested():
    for head, opens, middle, closes in SHAPES:
        for depth in (4, 9, 12, 15, 18, 24, 32, 45):
            sql = head + opens * depth + middle + closes * depth + (")" if head.count("(") > head.count(")") else "")
            yield depth, sql
            # With a mistake in the middle, and cut off.
            yield depth, sql.replace(middle + closes, middle + " 1" + closes)
            yield depth, head + opens * depth + middle
    for word in ("position(", "substring(", "floor(", "CAST(", "overlay(", "(interval ", "NOT (", "ARRAY[[", "convert("):
        for depth in (4, 7, 8, 12, 15):
            yield depth, "SELECT " + word * depth + "1 1"
    for step in STEPS:
        for depth in (8, 14, 20, 40, 90):
            steps = "".join(f", t{i + 1} AS (SELECT {step} AS x FROM t{i})" for i in range(depth))
            yield depth, f"WITH t0 AS (SELECT hs6 AS x FROM predictions){steps} SELECT count(x) FROM t{depth}"


longest, answered, states = [], 0, {}
with psycopg.connect(
    host="127.0.0.1", port=sys.argv[1], user="ana", password="ana-secret word", dbname="lake", sslmode="disable", autocommit=True
) as connection:
    for depth, sql in nested():
        began = time.monotonic()
        try:
            # Prepared by the protocol too: parsed, planned and described.
            connection.execute(sql, prepare=depth % 2 == 0).fetchall()
            answered += 1
        except psycopg.Error as e:
            states[e.sqlstate] = states.get(e.sqlstate, 0) + 1
        longest.append([round(time.monotonic() - began, 2), depth, sql[:60], sql[-40:]])
longest.sort(reverse=True)
print(json.dumps({"answered": answered, "states": states, "longest": longest[:6]}))
