-- purpose: what each run cost: seconds, threads, lines a second, bytes a line, the newest run first
-- reads:   runs
-- yields:  run_id, command, scope, started_at, model, lines_read, lines_written, challenger_lines, threads, plan_secs, score_secs, thread_secs, lines_per_sec, thread_secs_per_million_lines, bytes_written, bytes_per_line
-- param: since date = null — first day; null is the first there is
-- param: until date = null — last day; null is the last there is
-- param: limit count = 100 — most rows
-- thread_secs is the most CPU time that reading, scoring and writing can have taken: all threads busy all the time.
SELECT run_id, command, coalesce(scope, 'full') AS scope, started_at,
       model_name || '@' || CAST(model_version AS VARCHAR) AS model, lines_read, lines_written,
       coalesce(challenger_lines, 0) AS challenger_lines, threads, plan_secs, score_secs,
       score_secs * threads AS thread_secs,
       lines_written / nullif(score_secs, 0) AS lines_per_sec,
       1000000 * score_secs * threads / nullif(lines_written, 0) AS thread_secs_per_million_lines,
       bytes_written, CAST(bytes_written AS DOUBLE) / nullif(lines_written, 0) AS bytes_per_line
FROM runs
WHERE (CAST($since AS DATE) IS NULL OR run_date >= CAST($since AS DATE))
  AND (CAST($until AS DATE) IS NULL OR run_date <= CAST($until AS DATE))
ORDER BY started_at DESC, run_id DESC
LIMIT CAST($limit AS BIGINT)
