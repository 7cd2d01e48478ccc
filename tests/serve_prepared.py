"""Prepares a statement with a prediction, runs it, promotes another version and runs it again: the models that answered, as JSON.

serve_prepared.py PORT HARMONIZE REGISTRY"""

import json
import subprocess
import sys
import time

import psycopg

PORT, HARMONIZE, REGISTRY = sys.argv[1:4]

with psycopg.connect(
    host="127.0.0.1", port=PORT, user="ana", password="ana-secret word", dbname="lake", sslmode="disable", autocommit=True
) as connection:
    ask = lambda: connection.execute("SELECT hs_predict(%s)['model']", ("cotton shirts",), prepare=True).fetchone()[0]
    models = [ask(), ask()]
    promote = [HARMONIZE, "models", "promote", "hs@2", "--as", "champion", "--why", "test", "--registry", REGISTRY]
    subprocess.run(promote, check=True, stdout=subprocess.DEVNULL)
    time.sleep(1.2)
    models.append(ask())
    print(json.dumps({"models": models, "statements": len(connection._prepared._names)}))
