"""Load on a server: so many clients with short predictions, for so long; times, errors and the memory of the server.

    pip install "psycopg[binary]"
    harmonize serve user add load --role analyst --users users.toml        # password on standard input
    harmonize serve --lake LAKE --model hs@champion --users users.toml --listen 127.0.0.1:5432 &
    PGPASSWORD=… benches/serve_load.py --port 5432 --user load --clients 64 --seconds 600 --pid $! [--heavy 1]

Every client sends one description at a time, no two alike, so that no answer is remembered. `--heavy N` adds clients that run a
statement without end, again and again. Prints one line each ten seconds and the whole at the end, as JSON.
"""

import argparse
import asyncio
import json
import random
import time

import psycopg

GOODS = "cotton shirts steel bolts plastic pumps leather shoes glass bottles copper wire rubber tyres paper bags".split()
HEAVY = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b WHERE (a.value * b.value) % 7 = 3"


def resident(pid):
    if not pid:
        return 0
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * 4096 >> 20


def percentile(times, share):
    return round(sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1000, 2) if times else None


async def client(number, args, until, times, errors):
    draw = random.Random(number)
    connection = await psycopg.AsyncConnection.connect(
        host=args.host, port=args.port, user=args.user, dbname="lake", autocommit=True, sslmode=args.sslmode
    )
    async with connection:
        while time.time() < until:
            text = " ".join(draw.choices(GOODS, k=4)) + f" {draw.random():.9f}"
            began = time.perf_counter()
            try:
                await connection.execute("SELECT hs_code(%s), hs_confidence(%s)", (text, text))
                times.append(time.perf_counter() - began)
            except psycopg.Error as e:
                errors.append(f"{e.sqlstate} {e}")
            if args.pause:
                await asyncio.sleep(args.pause * draw.random() * 2)


async def heavy(args, until):
    connection = await psycopg.AsyncConnection.connect(
        host=args.host, port=args.port, user=args.heavy_user or args.user, dbname="lake", autocommit=True, sslmode=args.sslmode
    )
    async with connection:
        while time.time() < until:
            try:
                async with asyncio.timeout(max(1, until - time.time())):
                    await connection.execute(HEAVY)
            except (psycopg.Error, TimeoutError):
                if connection.closed:
                    return


async def watch(args, until, times, errors, memory):
    seen = 0
    while time.time() < until:
        await asyncio.sleep(min(10, max(0.1, until - time.time())))
        new = times[seen:]
        seen += len(new)
        memory.append(resident(args.pid))
        line = {"statements": len(new), "p50 ms": percentile(new, 0.5), "p99 ms": percentile(new, 0.99)}
        print(json.dumps(line | {"errors": len(errors), "resident MiB": memory[-1]}), flush=True)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5432)
    parser.add_argument("--user", required=True)
    parser.add_argument("--heavy-user")
    parser.add_argument("--sslmode", default="prefer")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--heavy", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.0, help="mean seconds between two statements of a client")
    parser.add_argument("--pid", type=int, default=0, help="of the server, for its memory")
    args = parser.parse_args()
    until = time.time() + args.seconds
    times, errors, memory = [], [], [resident(args.pid)]
    began = time.time()
    tasks = [client(n, args, until, times, errors) for n in range(args.clients)]
    tasks += [heavy(args, until) for _ in range(args.heavy)]
    await asyncio.gather(watch(args, until, times, errors, memory), *tasks)
    took = time.time() - began
    whole = {
        "clients": args.clients,
        "heavy": args.heavy,
        "seconds": round(took, 1),
        "statements": len(times),
        "per second": round(len(times) / took, 1),
        "p50 ms": percentile(times, 0.5),
        "p95 ms": percentile(times, 0.95),
        "p99 ms": percentile(times, 0.99),
        "longest ms": percentile(times, 1.0),
        "errors": len(errors),
        "first errors": errors[:3],
        "resident MiB": {"first": memory[0], "most": max(memory), "last": memory[-1]},
    }
    print(json.dumps(whole, indent=2))


asyncio.run(main())
