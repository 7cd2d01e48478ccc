-- purpose: every run that became visible, newest first, with its coverage
-- reads:   runs
-- yields:  run_id, command, started_at, finished_at, model_name, model_version, tariff_edition, lines_written, accept_lines, review_lines, refuse_lines, coverage_ratio, quarantined_rows, lines_per_sec, fingerprint
SELECT run_id, command, started_at, finished_at, model_name, model_version, tariff_edition, lines_written,
       accept_lines, review_lines, refuse_lines,
       CASE WHEN lines_written > 0 THEN CAST(accept_lines AS DOUBLE) / lines_written END AS coverage_ratio,
       quarantined_rows,
       CASE WHEN score_secs > 0 THEN lines_written / score_secs END AS lines_per_sec,
       fingerprint
FROM runs
ORDER BY started_at DESC, run_id DESC
