"""Runs queries that come as JSON lines on standard input over one connection each and answers each with its rows or its error.

The lines are {"name", "queries"}: what a program sends when it starts."""

import json
import sys

import psycopg

PORT = sys.argv[1]

for line in sys.stdin:
    asked = json.loads(line)
    failed = []
    with psycopg.connect(
        host="127.0.0.1", port=PORT, user="rita", password="rita-secret word", dbname="lake", sslmode="disable", autocommit=True
    ) as connection:
        for query in asked["queries"]:
            try:
                with psycopg.ClientCursor(connection) as cursor:
                    cursor.execute(query)
                    if cursor.description:
                        cursor.fetchall()
            except psycopg.Error as e:
                failed.append({"query": query, "state": e.sqlstate, "message": str(e)})
    print(json.dumps({"name": asked["name"], "failed": failed}), flush=True)
