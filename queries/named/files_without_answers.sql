-- purpose: files of which a part or the whole has no answer: set aside, filtered, or never answered
-- reads:   runs, current_predictions
-- yields:  file, state, rows, answered_lines, missing_lines, reason, where_sql, run_id
-- param: limit count = 1000 — most files
-- As the newest run has it that met the file. A file without a readable footer has no rows.
WITH met AS (
  SELECT run_id, where_sql, f['url'] AS file, f['rows'] AS rows, CAST(NULL AS VARCHAR) AS reason, 'read' AS state
  FROM (SELECT run_id, where_sql, unnest(inputs) AS f FROM runs) AS read
  UNION ALL
  SELECT run_id, where_sql, f['url'], f['rows'], f['reason'], 'set aside'
  FROM (SELECT run_id, where_sql, unnest(quarantined) AS f FROM runs) AS aside
),
newest AS (
  SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY file ORDER BY run_id DESC, state) AS place FROM met) AS ranked
  WHERE place = 1
),
answered AS (
  SELECT source_file, count(*) AS lines FROM current_predictions GROUP BY source_file
)
SELECT n.file, n.state, n.rows, coalesce(a.lines, 0) AS answered_lines,
       CASE WHEN n.rows IS NOT NULL THEN greatest(n.rows - coalesce(a.lines, 0), 0) END AS missing_lines, n.reason, n.where_sql, n.run_id
FROM newest AS n
LEFT JOIN answered AS a ON a.source_file = n.file
WHERE n.state = 'set aside' OR n.rows > coalesce(a.lines, 0)
ORDER BY missing_lines DESC NULLS FIRST, n.file
LIMIT CAST($limit AS BIGINT)
