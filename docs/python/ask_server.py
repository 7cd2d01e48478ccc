#!/usr/bin/env python3
"""Asks `harmonize serve` in SQL, with psycopg and with ADBC's PostgreSQL driver, into pandas.

    ask_server.py "postgresql://ana@127.0.0.1:5432/lake" [--chapter 85] [--text "steel bolts"]

The password is that of PGPASSWORD, or of a password file of PostgreSQL. Prints one JSON document with the answers of both: lines by
decision in a chapter of the codes that count, and what the server's model says of a text, when it has one.
"""

import argparse
import json

import adbc_driver_postgresql.dbapi
import pandas
import psycopg

BY_DECISION = """
SELECT decision, count(*) AS lines, sum(value) AS value, avg(confidence) AS mean_confidence, max(run_date) AS last_day
FROM current_predictions WHERE substr(hs6, 1, 2) = {} GROUP BY decision ORDER BY lines DESC, decision
"""
PREDICT = "SELECT hs_code({}) AS hs6, hs_confidence({}) AS confidence"


def with_psycopg(dsn, query, values):
    """Values are bound by the server; `%s` is psycopg's sign for one."""
    with psycopg.connect(dsn) as connection, connection.cursor(binary=True) as cursor:
        cursor.execute(query.format(*["%s"] * len(values)), values)
        return pandas.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description])


def with_adbc(dsn, query, values):
    """The driver fetches by COPY, which takes no values; without it the columns come as Arrow all the same."""
    with adbc_driver_postgresql.dbapi.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
        cursor.execute(query.format(*[f"${n + 1}" for n in range(len(values))]), values)
        return cursor.fetch_arrow_table().to_pandas()


def plain(frame):
    """Rows as JSON can say them: what is missing is null."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dsn")
    parser.add_argument("--chapter", default="85")
    parser.add_argument("--text")
    asked = parser.parse_args()
    answer = {}
    for name, ask in (("psycopg", with_psycopg), ("adbc", with_adbc)):
        answer[name] = {"by_decision": plain(ask(asked.dsn, BY_DECISION, [asked.chapter]))}
        if asked.text:
            answer[name]["predicted"] = plain(ask(asked.dsn, PREDICT, [asked.text, asked.text]))
    print(json.dumps(answer, indent=1, default=str))


if __name__ == "__main__":
    main()
