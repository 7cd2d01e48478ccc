#!/usr/bin/env python3
"""What the named queries have to give, computed from the Delta tables of a lake without SQL. Answers JSON lines by JSON lines.

    named_expected.py LAKE

    {"query": "coverage_by_chapter", "params": {"since": "2026-01-01"}}  ->  [{column: value, ...}, ...] in order

Kappa comes from confusion matrices, intervals, entropies and divergences from scipy.
"""

import collections
import datetime
import decimal
import json
import math
import sys

import numpy as np
from deltalake import DeltaTable
from scipy import stats
from scipy.spatial import distance

lake = sys.argv[1]


def table(name):
    """All rows; none of a table that nobody has written yet."""
    there = DeltaTable.is_deltatable(f"{lake}/{name}")
    return DeltaTable(f"{lake}/{name}").to_pyarrow_table().to_pylist() if there else []


PREDICTIONS, DECISIONS, RUNS, REQUESTS = (table(name) for name in ("predictions", "decisions", "runs", "label_requests"))
NOMENCLATURE, CORRELATIONS = table("nomenclature"), table("correlations")
STANDS, WAITS = ("accept", "carried", "mapped"), ("review", "refuse", "held")
RUN = {run["run_id"]: run for run in RUNS}
for row in PREDICTIONS:
    row["served"] = row["served"] is not False
    row["place"] = (row["source_file"], row["source_row"])
SERVED = [row for row in PREDICTIONS if row["served"]]


def newest_of_each(rows):
    found = {}
    for row in sorted(rows, key=lambda row: (row["run_date"], row["run_id"])):
        found[row["place"]] = row
    return sorted(found.values(), key=lambda row: row["place"])


def ends():
    """Rows of the files that became shorter, as the run has it that last read each."""
    rows = collections.defaultdict(list)
    for run in sorted(RUNS, key=lambda run: (run["run_date"], run["run_id"])):
        for file in run["inputs"]:
            if run["scope"] != "beside":
                rows[file["url"]].append(file["rows"])
    return {url: read[-1] for url, read in rows.items() if read[-1] < max(read)}


ENDS = ends()
CURRENT = [row for row in newest_of_each(SERVED) if row["source_row"] < ENDS.get(row["source_file"], math.inf)]


def best(decisions):
    """The latest edition, then binding before newer, then the least id."""
    rank = lambda d: (-int(d["tariff_edition"]), not d["binding"], -d["decided_at"].timestamp(), d["decision_id"])  # noqa: E731
    ranked = sorted(decisions, key=rank)
    return ranked[0] if ranked else None


def decision_for(row):
    own = [d for d in DECISIONS if (d["source_file"], d["source_row"]) == row["place"] and d["text_digest"] == row["text_digest"]]
    whole = [d for d in DECISIONS if d["source_file"] is None and d["text_digest"] == row["text_digest"] is not None]
    own, whole = best(own), best(whole)
    later = own and whole and whole["tariff_edition"] > own["tariff_edition"]
    return whole if later or not own else own


def effective(row):
    """Code that counts, its edition, who gave it."""
    decision = decision_for(row)
    if decision:
        later = row["decision"] == "carried" and decision["hs6"] == row["hs6"] and row["hs6"]
        return decision["hs6"], row["tariff_edition"] if later else decision["tariff_edition"], decision["reviewer"]
    stands = row["decision"] in STANDS
    maker = f"{row['model_name']}@{row['model_version']}" if stands else None
    return row["hs6"] if stands else None, row["tariff_edition"], maker


def queue():
    requested = {(r["source_file"], r["source_row"], r["text_digest"]) for r in REQUESTS}
    for row in CURRENT:
        asked = (*row["place"], row["text_digest"]) in requested
        editions = {
            d["tariff_edition"] for d in DECISIONS
            if d["text_digest"] == row["text_digest"]
            and ((d["source_file"], d["source_row"]) == row["place"] or (d["source_file"] is None and d["text_digest"]))
        }  # fmt: skip
        # A decision of before that nothing carried over.
        stale = row["decision"] in ("accept", "mapped") and any(e < row["tariff_edition"] for e in editions)
        if all(e < row["tariff_edition"] for e in editions) and (row["decision"] in WAITS or asked or stale):
            yield row | {"reasons": row["reasons"] + (["comparison"] if asked else ["decided_before"] * stale)}


QUEUE = list(queue())


def groups(rows, key):
    found = collections.defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def total(values):
    known = [v for v in values if v is not None]
    return math.fsum(known) if known else None


def mean(values):
    known = [v for v in values if v is not None]
    return float(np.mean(np.array(known, dtype=np.float64))) if known else None


def ratio(part, whole):
    return None if part is None or not whole else part / whole


def last(key):
    """Nulls behind everything."""
    return (key is None, key)


def first(n, rows):
    return rows[:n]


def by_value(row):
    return -row["value"] if row["value"] is not None else math.inf


def chapter(code):
    return code and code[:2]


def of_days(rows, since, until, day=lambda row: row["run_date"]):
    return [r for r in rows if (since is None or day(r) >= since) and (until is None or day(r) <= until)]


def decided_on(decision):
    return decision["decided_at"].date()


def wilson(right, n):
    if not n:
        return None, None
    interval = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
    return interval.low, interval.high


def kappa(pairs):
    """Agreement, agreement by chance, kappa, from the confusion matrix."""
    names = sorted({name for pair in pairs for name in pair})
    matrix = np.zeros((len(names), len(names)))
    for one, other in pairs:
        matrix[names.index(one), names.index(other)] += 1
    matrix /= matrix.sum()
    by_chance = np.outer(matrix.sum(axis=1), matrix.sum(axis=0))
    disagree = 1 - np.eye(len(names))
    worst = (disagree * by_chance).sum()
    beyond = None if worst == 0 else 1 - (disagree * matrix).sum() / worst
    return float(np.trace(matrix)), float(np.trace(by_chance)), beyond


QUERIES = {}


def query(function):
    QUERIES[function.__name__] = function
    return function


@query
def coverage_by_chapter(since=None, until=None):
    found = groups(of_days(SERVED, since, until), lambda r: (r["run_date"].replace(day=1), chapter(r["hs6"])))
    rows = []
    for (month, chap), of in sorted(found.items(), key=lambda item: (item[0][0], last(item[0][1]))):
        stands = [r for r in of if r["decision"] in STANDS]
        value, sure = total(r["value"] for r in of), total(r["value"] for r in stands)
        rows.append(
            {
                "month": month, "chapter": chap, "lines": len(of), "accepted_lines": len(stands),
                "waiting_lines": sum(r["decision"] in ("review", "held") for r in of),
                "refused_lines": sum(r["decision"] == "refuse" for r in of), "coverage_ratio": len(stands) / len(of),
                "value": value, "accepted_value": sure, "value_coverage_ratio": ratio(sure, value),
            }
        )  # fmt: skip
    return rows


@query
def trend_by_day(since=None, until=None):
    return [
        {
            "run_date": day, "runs": len({r["run_id"] for r in of}), "lines": len(of),
            "coverage_ratio": sum(r["decision"] in STANDS for r in of) / len(of), "mean_confidence": mean(r["confidence"] for r in of),
        }
        | {f"{reason}_lines": sum(reason in r["reasons"] for r in of)
           for reason in ("below_threshold", "vague", "out_of_vocabulary", "audit_sample")}
        for day, of in sorted(groups(of_days(SERVED, since, until), lambda r: r["run_date"]).items())
    ]  # fmt: skip


@query
def cost_by_run(since=None, until=None, limit=100):
    rows = []
    for run in sorted(of_days(RUNS, since, until), key=lambda run: (run["started_at"], run["run_id"]), reverse=True):
        seconds = run["score_secs"] * run["threads"]
        rows.append(
            {name: run[name] for name in ("run_id", "command", "started_at", "lines_read", "lines_written", "threads", "plan_secs")}
            | {
                "scope": run["scope"] or "full", "model": f"{run['model_name']}@{run['model_version']}",
                "challenger_lines": run["challenger_lines"] or 0, "score_secs": run["score_secs"], "thread_secs": seconds,
                "lines_per_sec": ratio(run["lines_written"], run["score_secs"]),
                "thread_secs_per_million_lines": ratio(seconds * 1e6, run["lines_written"]),
                "bytes_written": run["bytes_written"], "bytes_per_line": ratio(run["bytes_written"], run["lines_written"]),
            }
        )  # fmt: skip
    return first(limit, rows)


@query
def run_inputs(run):
    rows = []
    for chosen in (r for r in RUNS if r["run_id"].startswith(run)):
        files = [(f, "read") for f in chosen["inputs"]] + [(f, "set aside") for f in chosen["quarantined"]]
        for file, state in sorted(files, key=lambda item: (item[1], item[0]["url"])):
            of = [
                r for r in PREDICTIONS
                if r["run_id"] == chosen["run_id"] and r["source_file"] == file["url"] and r["role"] != "challenger"
            ]  # fmt: skip
            rows.append(
                {
                    "run_id": chosen["run_id"], "file": file["url"], "state": state, "size_bytes": file["size_bytes"],
                    "e_tag": file.get("e_tag"), "rows": file["rows"], "lines_written": len(of),
                    "accepted_lines": sum(r["decision"] in STANDS for r in of), "reason": file.get("reason"),
                }
            )  # fmt: skip
    return sorted(rows, key=lambda r: r["run_id"])


@query
def model_versions(model=None):
    def key(r):
        return r["model_name"], r["model_version"], r["tariff_edition"], r["model_digest"]

    counting = groups(CURRENT, key)
    rows = []
    for (name, version, edition, digest), of in sorted(groups(PREDICTIONS, key).items()):
        if model in (None, name):
            now = counting.get((name, version, edition, digest), [])
            rows.append(
                {
                    "model_name": name, "model_version": version, "model_digest": digest, "tariff_edition": edition,
                    "first_day": min(r["run_date"] for r in of), "last_day": max(r["run_date"] for r in of),
                    "runs": len({r["run_id"] for r in of}), "rows": len(of), "served_rows": sum(r["served"] for r in of),
                    "counting_lines": len(now), "counting_accepted_lines": sum(r["decision"] in STANDS for r in now),
                    "counting_value": total(r["value"] for r in now),
                }
            )  # fmt: skip
    return rows


@query
def value_at_risk(edition=None):
    rows = []
    for chap, of in groups([r for r in QUEUE if edition in (None, r["tariff_edition"])], lambda r: chapter(r["hs6"])).items():
        at_risk = [None if r["value"] is None else r["value"] * (1 - (r["confidence"] or 0)) for r in of]
        rows.append(
            {
                "chapter": chap, "lines": len(of), "texts": len({r["text_digest"] for r in of} - {None}),
                "lines_with_value": sum(r["value"] is not None for r in of), "value": total(r["value"] for r in of),
                "value_at_risk": total(at_risk), "mean_confidence": mean(r["confidence"] for r in of),
            }
        )  # fmt: skip
    return sorted(rows, key=lambda r: (by_value({"value": r["value_at_risk"]}), -r["lines"], last(r["chapter"])))


def waits_since(row):
    """The day on which a line of the queue was first sent to somebody as it is now."""
    sent = [
        r["run_date"] for r in SERVED
        if r["place"] == row["place"] and r["text_digest"] == row["text_digest"]
        and r["tariff_edition"] == row["tariff_edition"] and r["decision"] in WAITS
    ]  # fmt: skip
    asked = [
        r["requested_at"].date() for r in REQUESTS
        if (r["source_file"], r["source_row"]) == row["place"] and r["text_digest"] == row["text_digest"]
    ]  # fmt: skip
    return min(sent or asked or [row["run_date"]])


@query
def queue_age(day=None):
    found = collections.defaultdict(list)
    for row in QUEUE:
        since = waits_since(row)
        days = ((day or datetime.date.today()) - since).days
        low, high = next(((a, b) for a, b in ((0, 1), (2, 7), (8, 30), (31, 90)) if days <= b), (91, None))
        found[low, high].append((since, row["text_digest"]))
    return [
        {
            "days_from": low, "days_to": high, "lines": len(of), "texts": len({text for _, text in of} - {None}),
            "waiting_since": min(since for since, _ in of),
        }
        for (low, high), of in sorted(found.items(), key=lambda item: item[0][0])
    ]  # fmt: skip


def columns(row, names):
    return {name: row[name] for name in names.split()}


@query
def oldest_waiting(day=None, chapter=None, limit=100):
    rows = []
    for row in QUEUE:
        if chapter in (None, (row["hs6"] or "")[:2]):
            since = waits_since(row)
            names = "line_id source_file source_row description text_digest hs6 confidence decision reasons"
            rows.append({"waiting_since": since, "days": ((day or datetime.date.today()) - since).days} | columns(row, names))
    return first(limit, sorted(rows, key=lambda r: (r["waiting_since"], r["source_file"], r["source_row"])))


def codes_and_days(rows):
    codes = sorted({r["hs6"] for r in rows} - {None})
    return {
        "hs6": codes[0] if codes else None, "other_hs6": codes[-1] if len(codes) > 1 else None,
        "first_day": min(r["run_date"] for r in rows), "last_day": max(r["run_date"] for r in rows),
    }  # fmt: skip


@query
def texts_waiting(chapter=None, limit=100):
    rows = []
    for digest, of in groups(QUEUE, lambda r: r["text_digest"]).items():
        if digest and chapter in (None, *{(r["hs6"] or "")[:2] for r in of}):
            surest = max((r["confidence"] for r in of if r["confidence"] is not None), default=None)
            rows.append(
                {
                    "text_digest": digest, "description": min(r["description"] for r in of), "lines": len(of),
                    "queue_ratio": len(of) / len(QUEUE), "confidence": surest,
                }
                | codes_and_days(of)
            )  # fmt: skip
    return first(limit, sorted(rows, key=lambda r: (-r["lines"], r["text_digest"])))


@query
def reasons_by_frequency(edition=None):
    lines = [r for r in CURRENT if edition in (None, r["tariff_edition"])]
    rows = []
    for reason in {reason for r in lines for reason in r["reasons"]}:
        of = [r for r in lines if reason in r["reasons"]]
        rows.append(
            {
                "reason": reason, "lines": len(of), "line_ratio": len(of) / len(lines),
                "texts": len({r["text_digest"] for r in of} - {None}), "value": total(r["value"] for r in of),
                "mean_confidence": mean(r["confidence"] for r in of),
            }
        )  # fmt: skip
    return sorted(rows, key=lambda r: (-r["lines"], r["reason"]))


@query
def lines_by_reason(reason, limit=100):
    names = (
        "line_id source_file source_row description text_digest hs6 confidence decision reasons value model_name model_version run_id"
    )
    found = sorted((r for r in CURRENT if reason in r["reasons"]), key=lambda r: (by_value(r), r["place"]))
    return [columns(r, names) for r in first(limit, found)]


@query
def reviewer_agreement(digits=6, since=None, until=None):
    said = {}
    for d in sorted(of_days(DECISIONS, since, until, decided_on), key=lambda d: (d["decided_at"], d["decision_id"])):
        if d["text_digest"]:
            said.setdefault((d["text_digest"], d["tariff_edition"]), {})[d["reviewer"]] = (d["hs6"] or "none")[:digits] if d["hs6"] else "none"
    people = sorted({d["reviewer"] for d in DECISIONS})
    rows = []
    for n, one in enumerate(people):
        for other in people[n + 1 :]:
            pairs = [(codes[one], codes[other]) for codes in said.values() if one in codes and other in codes]
            if pairs:
                agreement, chance, beyond = kappa(pairs)
                rows.append(
                    {
                        "first_reviewer": one, "second_reviewer": other, "texts": len(pairs),
                        "agreed": sum(a == b for a, b in pairs), "agreement_ratio": agreement, "chance_ratio": chance,
                        "kappa": beyond,
                    }
                )  # fmt: skip
    return sorted(rows, key=lambda r: (-r["texts"], r["first_reviewer"], r["second_reviewer"]))


@query
def reviewers_against_model(since=None, until=None):
    rows = []
    shown = [d for d in of_days(DECISIONS, since, until, decided_on) if d["shown_hs6"]]
    for who, of in groups(shown, lambda d: d["reviewer"]).items():
        agreement, chance, beyond = kappa([(d["hs6"] or "none", d["shown_hs6"]) for d in of])
        same = collections.Counter()
        for d in of:
            digits = next((n for n in (6, 4, 2) if d["hs6"] and d["hs6"][:n] == d["shown_hs6"][:n]), 0)
            same["none" if d["hs6"] is None else digits] += 1
        rows.append(
            {
                "reviewer": who, "decisions": len(of), "confirmed": same[6], "other_subheading": same[4], "other_heading": same[2],
                "other_chapter": same[0], "unclassifiable": same["none"], "agreement_ratio": agreement, "chance_ratio": chance,
                "kappa": beyond, "mean_shown_confidence": mean(d["shown_confidence"] for d in of),
            }
        )  # fmt: skip
    return sorted(rows, key=lambda r: (-r["decisions"], r["reviewer"]))


@query
def decisions_by_reviewer(since=None, until=None):
    rows = []
    for who, of in groups(of_days(DECISIONS, since, until, decided_on), lambda d: d["reviewer"]).items():
        verdicts, days = collections.Counter(d["verdict"] for d in of), {decided_on(d) for d in of}
        rows.append(
            {
                "reviewer": who, "decisions": len(of), "for_texts": sum(d["source_file"] is None for d in of),
                "confirmed": verdicts["confirm"], "corrected": verdicts["correct"], "unclassifiable": verdicts["unclassifiable"],
                "binding": sum(d["binding"] for d in of), "texts": len({d["text_digest"] for d in of} - {None}),
                "days": len(days), "first_day": min(days), "last_day": max(days),
            }
        )  # fmt: skip
    return sorted(rows, key=lambda r: (-r["decisions"], r["reviewer"]))


@query
def corrections_by_heading(since=None, until=None, limit=100):
    shown = [d for d in of_days(DECISIONS, since, until, decided_on) if d["shown_hs6"]]
    headings = collections.Counter(d["shown_hs6"][:4] for d in shown)
    moved = groups((d for d in shown if d["hs6"] != d["shown_hs6"]), lambda d: (d["shown_hs6"][:4], d["hs6"] and d["hs6"][:4]))
    rows = [
        {
            "from_heading": before, "to_heading": after, "decisions": len(of),
            "texts": len({d["text_digest"] for d in of} - {None}), "reviewers": len({d["reviewer"] for d in of}),
            "mean_shown_confidence": mean(d["shown_confidence"] for d in of), "from_heading_decisions": headings[before],
            "moved_ratio": len(of) / headings[before],
        }
        for (before, after), of in moved.items()
    ]  # fmt: skip
    return first(limit, sorted(rows, key=lambda r: (-r["decisions"], r["from_heading"], last(r["to_heading"]))))


@query
def confidence_calibration(bins=10, model=None, since=None, until=None):
    shown = [
        d for d in of_days(DECISIONS, since, until, decided_on)
        if d["shown_hs6"] and d["shown_confidence"] is not None and (d["shown_model_digest"] or "").startswith(model or "")
    ]  # fmt: skip
    rows = []
    for at, of in sorted(groups(shown, lambda d: min(int(d["shown_confidence"] * bins), bins - 1)).items()):
        right = sum(d["hs6"] == d["shown_hs6"] for d in of)
        low, high = wilson(right, len(of))
        confidence = mean(d["shown_confidence"] for d in of)
        rows.append(
            {
                "confidence_from": at / bins, "confidence_to": (at + 1) / bins, "decisions": len(of), "mean_confidence": confidence,
                "right_ratio": right / len(of), "gap": right / len(of) - confidence, "low": low, "high": high,
            }
        )  # fmt: skip
    return rows


def decision_on_text(digest, edition, with_code=False):
    return best(
        d for d in DECISIONS if d["text_digest"] == digest is not None and d["tariff_edition"] == edition and (d["hs6"] or not with_code)
    )


@query
def audit_sample(since=None, until=None):
    def key(r):
        return r["model_name"], r["model_version"], r["tariff_edition"], r["model_digest"]

    drawn = [r for r in of_days(SERVED, since, until) if "audit_sample" in r["reasons"]]
    rows = []
    for (name, version, edition, digest), of in sorted(groups(drawn, key).items()):
        texts = {r["text_digest"]: r["hs6"] for r in of}
        answers = [(code, decision_on_text(text, edition)) for text, code in texts.items()]
        decided = [(code, d["hs6"] or "") for code, d in answers if d]
        right = sum(code == said for code, said in decided)
        low, high = wilson(right, len(decided))
        rows.append(
            {
                "model_name": name, "model_version": version, "model_digest": digest, "tariff_edition": edition, "texts": len(texts),
                "decided_texts": len(decided), "right_texts": right, "right_ratio": ratio(right, len(decided)), "low": low, "high": high,
                "right_heading_texts": sum(code[:4] == said[:4] for code, said in decided),
            }
        )  # fmt: skip
    return rows


@query
def texts_most_decided(at_least=2, limit=100):
    rows = []
    for (digest, edition), of in groups((d for d in DECISIONS if d["text_digest"]), lambda d: (d["text_digest"], d["tariff_edition"])).items():
        here = [r["description"] for r in CURRENT if r["text_digest"] == digest]
        codes = sorted({d["hs6"] for d in of} - {None})
        if len(of) >= at_least:
            rows.append(
                {
                    "text_digest": digest, "tariff_edition": edition, "description": min(here, default=None), "decisions": len(of),
                    "reviewers": len({d["reviewer"] for d in of}), "code_count": len(codes), "codes": codes or None,
                    "first_day": min(map(decided_on, of)), "last_day": max(map(decided_on, of)), "lines": len(here),
                }
            )  # fmt: skip
    return first(limit, sorted(rows, key=lambda r: (-r["decisions"], r["text_digest"], r["tariff_edition"])))


@query
def who_decided(file, row):
    line = next(r for r in CURRENT if r["place"] == (file, row))
    counts = decision_for(line)
    names = (
        "decided_at reviewer verdict hs6 tariff_edition binding reason_code note shown_hs6 shown_confidence shown_run_id decision_id"
    )
    rows = []
    for d in sorted(DECISIONS, key=lambda d: (d["decided_at"], d["decision_id"])):
        own = (d["source_file"], d["source_row"]) == (file, row)
        if own or (d["source_file"] is None and d["text_digest"] == line["text_digest"]):
            rows.append(
                columns(d, names)
                | {
                    "decided_for": "line" if own else "text", "of_present_text": d["text_digest"] == line["text_digest"],
                    "counts": counts is not None and d["decision_id"] == counts["decision_id"],
                }
            )  # fmt: skip
    return rows


@query
def line_history(file, row):
    names = (
        "run_date run_id served model_name model_version model_digest tariff_edition policy_digest hs6 confidence decision reasons "
        "previous_hs6 declared_code value description text_digest"
    )
    answers = [r for r in PREDICTIONS if r["place"] == (file, row)]
    counts = [r for r in CURRENT if r["place"] == (file, row)]
    return [
        columns(r, names) | {"command": RUN[r["run_id"]]["command"], "role": r["role"] or "champion", "counts": r in counts}
        for r in sorted(answers, key=lambda r: (r["run_date"], r["run_id"], not r["served"]))
    ]


def differences(since, until):
    """(champion, challenger) rows of one run that differ in code or decision."""
    beside = {(r["run_id"], r["place"]): r for r in PREDICTIONS if r["role"] == "challenger"}
    for r in of_days(PREDICTIONS, since, until):
        other = beside.get((r["run_id"], r["place"]))
        if r["role"] == "champion" and other and (r["hs6"] != other["hs6"] or r["decision"] != other["decision"]):
            yield r, other


def version(row):
    return f"{row['model_name']}@{row['model_version']}"


@query
def challenger_by_chapter(since=None, until=None):
    rows = []
    for (champion, challenger, chap), of in groups(
        differences(since, until), lambda p: (version(p[0]), version(p[1]), chapter(p[0]["hs6"]))
    ).items():
        right = collections.defaultdict(set)
        for a, b in of:
            decision = decision_on_text(a["text_digest"], a["tariff_edition"], with_code=True)
            if decision and a["hs6"] != b["hs6"]:
                right["decided"].add(a["text_digest"])
                right[0 if decision["hs6"] == a["hs6"] else 1 if decision["hs6"] == b["hs6"] else None].add(a["text_digest"])
        rows.append(
            {
                "champion": champion, "challenger": challenger, "chapter": chap, "lines": len(of),
                "other_code": sum(a["hs6"] != b["hs6"] for a, b in of),
                "other_heading": sum((a["hs6"] or "")[:4] != (b["hs6"] or "")[:4] for a, b in of),
                "other_chapter": sum((a["hs6"] or "")[:2] != (b["hs6"] or "")[:2] for a, b in of),
                "champion_alone_accepts": sum(a["decision"] == "accept" != b["decision"] for a, b in of),
                "challenger_alone_accepts": sum(b["decision"] == "accept" != a["decision"] for a, b in of),
                "decided_texts": len(right["decided"]), "champion_right": len(right[0]), "challenger_right": len(right[1]),
            }
        )  # fmt: skip
    return sorted(rows, key=lambda r: (r["champion"], r["challenger"], -r["lines"], last(r["chapter"])))


@query
def challenger_by_value(since=None, until=None, limit=100):
    newest = {}
    for a, b in sorted(differences(since, until), key=lambda p: (p[0]["run_date"], p[0]["run_id"])):
        if a["hs6"] != b["hs6"]:
            newest[a["place"]] = (a, b)
    rows = []
    for a, b in newest.values():
        row = columns(a, "line_id source_file source_row description text_digest value run_id")
        for name, of in (("champion", a), ("challenger", b)):
            row |= {name: version(of)} | {f"{name}_{column}": of[column] for column in ("hs6", "confidence", "decision")}
        rows.append(row)
    return first(limit, sorted(rows, key=lambda r: (by_value(r), r["source_file"], r["source_row"])))


@query
def moved_with_tariff(edition=None, chapter=None, limit=100):
    moved = [
        r for r in SERVED
        if r["previous_hs6"] and r["hs6"] != r["previous_hs6"] and edition in (None, r["tariff_edition"])
        and chapter in (None, r["previous_hs6"][:2])
    ]  # fmt: skip
    rows = [
        {
            "tariff_edition": to, "previous_hs6": before, "hs6": after, "lines": len(of),
            "texts": len({r["text_digest"] for r in of} - {None}), "value": total(r["value"] for r in of),
            "settled_lines": sum(r["decision"] in STANDS for r in of), "waiting_lines": sum(r["decision"] in WAITS for r in of),
        }
        for (to, before, after), of in groups(moved, lambda r: (r["tariff_edition"], r["previous_hs6"], r["hs6"])).items()
    ]  # fmt: skip
    return first(limit, sorted(rows, key=lambda r: (-r["lines"], r["tariff_edition"], r["previous_hs6"], last(r["hs6"]))))


def imported(rows, key):
    newest = collections.defaultdict(str)
    for row in rows:
        newest[key(row)] = max(newest[key(row)], row["import_id"])
    return [row for row in rows if row["import_id"] == newest[key(row)]]


NOMENCLATURE = imported(NOMENCLATURE, lambda r: (r["schedule"], r["edition"]))
CORRELATIONS = imported(CORRELATIONS, lambda r: (r["from_edition"], r["to_edition"]))


def successors(edition, to, code):
    return len({r["to_code"] for r in CORRELATIONS if (r["from_edition"], r["to_edition"], r["from_code"]) == (edition, to, code)})


@query
def tariff_changes_waiting(edition=None, language="en", limit=100):
    reasons = ("scope_changed", "split", "orphaned")
    waiting = [
        r for r in QUEUE
        if r["previous_hs6"] and (r["decision"] == "held" or set(reasons) & set(r["reasons"])) and edition in (None, r["tariff_edition"])
    ]  # fmt: skip
    wording = {(r["edition"], r["code"]): r["description"] for r in NOMENCLATURE if r["language"] == language}
    rows = []
    for (before, to, code), of in groups(
        waiting, lambda r: (RUN[r["run_id"]]["from_edition"], r["tariff_edition"], r["previous_hs6"])
    ).items():
        rows.append(
            {
                "from_edition": before, "tariff_edition": to, "previous_hs6": code, "description": wording.get((before, code)),
                "successors": successors(before, to, code) or None, "lines": len(of),
                "texts": len({r["text_digest"] for r in of} - {None}), "value": total(r["value"] for r in of),
                "held_lines": sum(r["decision"] == "held" for r in of), "mean_confidence": mean(r["confidence"] for r in of),
            }
            | {f"{reason}_lines": sum(reason in r["reasons"] for r in of) for reason in reasons}
        )  # fmt: skip
    return first(limit, sorted(rows, key=lambda r: (-r["lines"], r["previous_hs6"], r["tariff_edition"])))


@query
def codes_not_in_edition(edition):
    there = {r["code"] for r in NOMENCLATURE if (r["schedule"], r["edition"], r["level"]) == ("HS", edition, 6)}
    of_code = collections.defaultdict(list)
    for r in CURRENT:
        code, of, _ = effective(r)
        if code and code not in there:
            of_code[code, of].append(r)
    rows = [
        {
            "hs6": code, "tariff_edition": of, "successors": successors(of, edition, code), "lines": len(lines),
            "decided_lines": sum(decision_for(r) is not None for r in lines), "texts": len({r["text_digest"] for r in lines} - {None}),
            "value": total(r["value"] for r in lines),
        }
        for (code, of), lines in of_code.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda r: (r["successors"], -r["lines"], r["hs6"], r["tariff_edition"]))


@query
def lines_by_edition(edition=None):
    rows = []
    for (of, decision), lines in groups(CURRENT, lambda r: (effective(r)[1], r["decision"])).items():
        days = [r for r in NOMENCLATURE if r["edition"] == of]
        if edition in (None, of):
            rows.append(
                {
                    "tariff_edition": of, "valid_from": min((r["valid_from"] for r in days), default=None),
                    "valid_to": max((r["valid_to"] for r in days if r["valid_to"]), default=None), "decision": decision,
                    "lines": len(lines), "lines_with_code": sum(effective(r)[0] is not None for r in lines),
                    "decided_lines": sum(decision_for(r) is not None for r in lines),
                }
            )  # fmt: skip
    return sorted(rows, key=lambda r: (r["tariff_edition"], -r["lines"], r["decision"]))


@query
def drift_by_chapter(base_since, base_until, since, until):
    periods = [of_days(SERVED, base_since, base_until), of_days(SERVED, since, until)]
    counts = [collections.Counter(chapter(r["hs6"]) for r in of) for of in periods]
    chapters = sorted(set(counts[0]) | set(counts[1]), key=last)
    base, now = (np.array([count[c] for c in chapters], dtype=float) for count in counts)
    q, p = ((c + 0.5) / (c + 0.5).sum() for c in (base, now))
    # Jeffreys' divergence: the relative entropies of both ways.
    psi = stats.entropy(p, q) + stats.entropy(q, p)
    apart = distance.jensenshannon(base, now, 2) ** 2 if base.sum() and now.sum() else None
    rows = [
        {
            "chapter": c, "base_lines": int(base[i]), "lines": int(now[i]), "base_ratio": ratio(base[i], base.sum()),
            "ratio": ratio(now[i], now.sum()), "psi_part": p[i] * math.log(p[i] / q[i]) - q[i] * math.log(p[i] / q[i]),
            "psi": psi, "psi_by_chance": (len(chapters) - 1) * (1 / now.sum() + 1 / base.sum()) if now.sum() and base.sum() else None,
            "jensen_shannon": apart,
        }
        for i, c in enumerate(chapters)
    ]  # fmt: skip
    return sorted(rows, key=lambda r: (-r["psi_part"], last(r["chapter"])))


def declared_otherwise(confidence):
    """Lines under another code than a person's, or else a sure model's, both with six digits at most."""
    found = []
    for r in CURRENT:
        if r["declared_code"] is None:
            continue
        decision, written = decision_for(r), r["declared_code"].strip()
        code = decision["hs6"] if decision else r["hs6"]
        whole, _, rest = written.partition(".")
        digits = whole if rest == "0" and whole.isdigit() and len(whole) > 4 else "".join(c for c in written if c in "0123456789")
        sure = decision or (r["confidence"] is not None and np.float32(r["confidence"]) >= np.float32(confidence))
        if code and len(digits) >= 2 and sure:
            lost_zero = len(digits) in (5, 7, 9) and "0" + digits[:5] == code
            declared = code if lost_zero else digits[:6]
            if declared != code[: len(declared)]:
                found.append(r | {"code": code, "declared": declared})
    return found


@query
def consistency_findings(confidence=0.95, limit=100):
    rows = []
    for digest, of in groups(CURRENT, lambda r: r["text_digest"]).items():
        coded = [r for r in of if effective(r)[0]]
        codes = sorted({effective(r)[0] for r in coded})
        if digest and len(codes) > 1:
            rows.append({"finding": "same text, other code", "text_digest": digest, "codes": codes} | about(coded))
    for (digest, declared, code), of in groups(
        declared_otherwise(confidence), lambda r: (r["text_digest"], r["declared_code"], r["code"])
    ).items():
        rows.append({"finding": "declared otherwise", "text_digest": digest, "codes": [declared, code]} | about(of))
    return first(limit, sorted(rows, key=lambda r: (by_value(r), -r["lines"], r["finding"], r["text_digest"], r["codes"])))


def about(rows):
    return {
        "description": min(r["description"] for r in rows), "lines": len(rows), "value": total(r["value"] for r in rows),
    }  # fmt: skip


@query
def declared_by_value(confidence=0.9, limit=100):
    rows = [
        {
            "declared_heading": declared, "heading": heading, "same_chapter": declared[:2] == heading[:2], "lines": len(of),
            "texts": len({r["text_digest"] for r in of} - {None}), "lines_with_value": sum(r["value"] is not None for r in of),
            "value": total(r["value"] for r in of), "mean_confidence": mean(r["confidence"] for r in of),
        }
        for (declared, heading), of in groups(
            declared_otherwise(confidence), lambda r: (r["declared"][:4], r["code"][:4])
        ).items()
    ]  # fmt: skip
    return first(limit, sorted(rows, key=lambda r: (by_value(r), -r["lines"], r["declared_heading"], r["heading"])))


@query
def duplicate_texts(at_least=2, limit=100):
    rows = [
        {"text_digest": digest, "line_ratio": len(of) / len(CURRENT)} | codes_and_days(of) | about(of)
        for digest, of in groups(CURRENT, lambda r: r["text_digest"]).items()
        if digest and len(of) >= at_least
    ]
    return first(limit, sorted(rows, key=lambda r: (-r["lines"], r["text_digest"])))


@query
def accepted_below(confidence, limit=100):
    names = (
        "line_id source_file source_row description text_digest hs6 confidence margin value model_name model_version policy_digest run_id"
    )
    found = [r for r in CURRENT if r["decision"] == "accept" and np.float32(r["confidence"]) < np.float32(confidence)]
    return [columns(r, names) for r in first(limit, sorted(found, key=lambda r: (r["confidence"], r["place"])))]


@query
def threshold_effect(threshold):
    lines = [r for r in CURRENT if r["hs6"] and not r["previous_hs6"] and r["decision"] in ("accept", "review")]
    rows = []
    for chap, of in groups(lines, lambda r: chapter(r["hs6"])).items():
        sure = [r for r in of if np.float32(r["confidence"]) >= np.float32(threshold)]
        other = {"truncated", "audit_sample", "scope_changed", "split", "orphaned", "vague", "comparison"}
        gained = [r for r in sure if r["decision"] == "review" and not other & set(r["reasons"])]
        accepted = [r for r in of if r["decision"] == "accept"]
        lost = [r for r in accepted if r not in sure]
        rows.append(
            {
                "chapter": chap, "lines": len(of), "accepted_lines": len(accepted), "gained_lines": len(gained), "lost_lines": len(lost),
                "accepted_then_lines": len(accepted) + len(gained) - len(lost), "gained_texts": len({r["text_digest"] for r in gained}),
                "gained_value": total(r["value"] for r in gained), "lost_value": total(r["value"] for r in lost),
            }
        )  # fmt: skip
    return sorted(rows, key=lambda r: (-r["gained_lines"], -r["lost_lines"], r["chapter"]))


def files_met():
    """What the newest run that met it says of each file: (run, file, whether it was set aside)."""
    met = {}
    for run in sorted(RUNS, key=lambda run: run["run_id"]):
        for file in run["quarantined"]:
            met[file["url"]] = (run, file, True)
        for file in run["inputs"]:
            met[file["url"]] = (run, file, False)
    answered = collections.Counter(r["source_file"] for r in CURRENT)
    return [(run, file, aside, answered[url]) for url, (run, file, aside) in sorted(met.items())]


def day_of(url):
    for at in range(len(url) - 9):
        try:
            return datetime.date.fromisoformat(url[at : at + 10].replace("/", "-"))
        except ValueError:
            pass
    return None


@query
def backfill_gaps(since, until):
    of_day = groups(files_met(), lambda met: day_of(met[1]["url"]))
    rows, day = [], since
    while day <= until:
        of = of_day.get(day, [])
        known = [file["rows"] for _, file, _, _ in of if file["rows"] is not None]
        aside = sum(aside for _, _, aside, _ in of)
        missing = sum(max((file["rows"] or 0) - answered, 0) for _, file, _, answered in of)
        if not of or aside or missing:
            rows.append(
                {
                    "day": day, "files": len(of), "files_set_aside": aside, "rows": sum(known) if known else None,
                    "answered_lines": sum(answered for *_, answered in of), "missing_lines": missing,
                }
            )  # fmt: skip
        day += datetime.timedelta(days=1)
    return rows


@query
def files_without_answers(limit=1000):
    rows = [
        {
            "file": file["url"], "state": "set aside" if aside else "read", "rows": file["rows"], "answered_lines": answered,
            "missing_lines": None if file["rows"] is None else max(file["rows"] - answered, 0), "reason": file.get("reason"),
            "where_sql": run["where_sql"], "run_id": run["run_id"],
        }
        for run, file, aside, answered in files_met()
        if aside or (file["rows"] or 0) > answered
    ]  # fmt: skip
    most = sorted(rows, key=lambda r: (r["missing_lines"] is not None, -(r["missing_lines"] or 0), r["file"]))
    return first(limit, most)


@query
def answers_of_model(model, version, limit=1000):
    of_model = [r for r in CURRENT if (r["model_name"], r["model_version"]) == (model, version)]
    rows = [
        {
            "source_file": file, "lines": len(of), "accepted_lines": sum(r["decision"] in STANDS for r in of),
            "waiting_lines": sum(r["decision"] in WAITS for r in of), "texts": len({r["text_digest"] for r in of} - {None}),
            "value": total(r["value"] for r in of), "first_day": min(r["run_date"] for r in of),
            "last_day": max(r["run_date"] for r in of), "runs": len({r["run_id"] for r in of}),
        }
        for file, of in groups(of_model, lambda r: r["source_file"]).items()
    ]  # fmt: skip
    return first(limit, sorted(rows, key=lambda r: (-r["lines"], r["source_file"])))


@query
def binding_rulings(code=""):
    lines = [(r, decision_for(r)) for r in CURRENT]
    bound = [(r, d) for r, d in lines if d and d["binding"] and d["hs6"].startswith(code)]
    rows = []
    for (given, of, who), pairs in groups(bound, lambda p: (p[1]["hs6"], p[1]["tariff_edition"], p[1]["reviewer"])).items():
        other = [r for r, d in pairs if r["hs6"] != d["hs6"]]
        rows.append(
            {
                "decided_hs6": given, "decided_edition": of, "decided_by": who, "lines": len(pairs),
                "texts": len({r["text_digest"] for r, _ in pairs}), "value": total(r["value"] for r, _ in pairs),
                "model_differs_lines": len(other), "model_differs_value": total(r["value"] for r in other),
                "held_lines": sum(r["decision"] == "held" for r, _ in pairs),
                "first_decided_at": min(d["decided_at"] for _, d in pairs), "last_decided_at": max(d["decided_at"] for _, d in pairs),
            }
        )  # fmt: skip
    return sorted(rows, key=lambda r: (-r["lines"], r["decided_hs6"], r["decided_edition"], r["decided_by"]))


@query
def counted_on_day(day):
    rows = [
        {
            "tariff_edition": edition, "model_name": name, "model_version": number, "decision": decision, "lines": len(of),
            "value": total(r["value"] for r in of), "mean_confidence": mean(r["confidence"] for r in of),
        }
        for (edition, name, number, decision), of in groups(
            newest_of_each(of_days(SERVED, None, day)), lambda r: (r["tariff_edition"], r["model_name"], r["model_version"], r["decision"])
        ).items()
    ]  # fmt: skip
    return sorted(rows, key=lambda r: (r["tariff_edition"], r["model_name"], r["model_version"], -r["lines"], r["decision"]))


def typed(name, text):
    """Days, numbers and texts as the parameters have them."""
    if name in ("since", "until", "base_since", "base_until", "day"):
        return datetime.date.fromisoformat(text)
    if name in ("limit", "digits", "bins", "at_least", "row", "version"):
        return int(text)
    return float(text) if name in ("confidence", "threshold") else text


def plain(value):
    if isinstance(value, datetime.datetime):
        # As Arrow writes it: no, three or six digits behind the second.
        kept = "seconds" if not value.microsecond else "microseconds" if value.microsecond % 1000 else "milliseconds"
        return value.astimezone(datetime.timezone.utc).isoformat(timespec=kept).replace("+00:00", "Z")
    if isinstance(value, datetime.date):
        return value.isoformat()
    return float(value) if isinstance(value, (np.floating, decimal.Decimal)) else int(value)


for line in sys.stdin:
    asked = json.loads(line)
    given = {name: typed(name, text) for name, text in asked["params"].items()}
    print(json.dumps(QUERIES[asked["query"]](**given), default=plain))
