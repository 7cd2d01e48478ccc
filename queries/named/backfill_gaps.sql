-- purpose: days of the input with a gap: no file was read, a file was set aside, or rows have no answer
-- reads:   runs, current_predictions
-- yields:  day, files, files_set_aside, rows, answered_lines, missing_lines
-- param: since date — first day
-- param: until date — last day
-- The day of a file is the first one in its URL: date=2026-03-01, 2026-03-01 or 2026/03/01. The newest run that met a file says
-- whether it was read and how many rows it had; rows that a filter left out are missing too.
WITH met AS (
  SELECT run_id, f['url'] AS file, f['rows'] AS rows, false AS set_aside FROM (SELECT run_id, unnest(inputs) AS f FROM runs) AS read
  UNION ALL
  SELECT run_id, f['url'], f['rows'], true FROM (SELECT run_id, unnest(quarantined) AS f FROM runs) AS aside
),
newest AS (
  SELECT file, rows, set_aside,
         try_cast(regexp_replace((regexp_match(file, '\d{4}[-/]\d{2}[-/]\d{2}'))[1], '/', '-', 'g') AS DATE) AS day
  FROM (SELECT *, row_number() OVER (PARTITION BY file ORDER BY run_id DESC, set_aside) AS place FROM met) AS ranked
  WHERE place = 1
),
answered AS (
  SELECT source_file, count(*) AS lines FROM current_predictions GROUP BY source_file
),
by_day AS (
  SELECT n.day, count(*) AS files, count(*) FILTER (WHERE n.set_aside) AS files_set_aside, sum(n.rows) AS rows,
         sum(coalesce(a.lines, 0)) AS answered_lines, sum(greatest(coalesce(n.rows, 0) - coalesce(a.lines, 0), 0)) AS missing_lines
  FROM newest AS n
  LEFT JOIN answered AS a ON a.source_file = n.file
  GROUP BY n.day
),
days AS (
  SELECT CAST(unnest(generate_series(CAST($since AS DATE), CAST($until AS DATE), INTERVAL '1 day')) AS DATE) AS day
)
SELECT d.day, coalesce(b.files, 0) AS files, coalesce(b.files_set_aside, 0) AS files_set_aside, b.rows,
       coalesce(b.answered_lines, 0) AS answered_lines, coalesce(b.missing_lines, 0) AS missing_lines
FROM days AS d
LEFT JOIN by_day AS b ON b.day = d.day
WHERE b.files IS NULL OR b.files_set_aside > 0 OR b.missing_lines > 0
ORDER BY d.day
