"""Times of short predictions while another client runs a heavy statement, as JSON in milliseconds."""

import json
import sys
import threading
import time

import psycopg

PORT, SECONDS = sys.argv[1], float(sys.argv[2])
HEAVY = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b WHERE (a.value * b.value) % 7 = 3"


def connect(user):
    return psycopg.connect(
        host="127.0.0.1", port=PORT, user=user, password=user + "-secret word", dbname="lake", sslmode="disable", autocommit=True
    )


def times(connection, until):
    out = []
    while time.time() < until or len(out) < 5:
        began = time.perf_counter()
        connection.execute("SELECT hs_code(%s)", (f"cotton shirts {len(out)}",)).fetchone()
        out.append((time.perf_counter() - began) * 1000)
    return sorted(out)


with connect("ana") as short, connect("otto") as heavy:
    alone = times(short, time.time() + 1)

    def run():
        try:
            heavy.execute(HEAVY)
        except psycopg.errors.QueryCanceled:
            pass

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.3)
    beside = times(short, time.time() + SECONDS)
    heavy.cancel_safe()
    thread.join()
at = lambda values, share: round(values[min(len(values) - 1, int(len(values) * share))], 2)
print(
    json.dumps(
        {"alone": at(alone, 0.5), "p50": at(beside, 0.5), "p99": at(beside, 0.99), "statements": len(beside)}
    )
)
