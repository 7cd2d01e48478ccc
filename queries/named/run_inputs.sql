-- purpose: the files of a run: what was read and written of each, and which were set aside and why
-- reads:   runs, predictions
-- yields:  run_id, file, state, size_bytes, e_tag, rows, lines_written, accepted_lines, reason
-- param: run text — the id of a run, or its beginning
-- Rows that a filter left out, or whose answer stood already, are not written.
WITH chosen AS (
  SELECT run_id, inputs, quarantined FROM runs WHERE starts_with(run_id, CAST($run AS VARCHAR))
),
files AS (
  SELECT run_id, 'read' AS state, f['url'] AS file, f['size_bytes'] AS size_bytes, f['e_tag'] AS e_tag, f['rows'] AS rows,
         CAST(NULL AS VARCHAR) AS reason
  FROM (SELECT run_id, unnest(inputs) AS f FROM chosen) AS read
  UNION ALL
  SELECT run_id, 'set aside', f['url'], f['size_bytes'], NULL, f['rows'], f['reason']
  FROM (SELECT run_id, unnest(quarantined) AS f FROM chosen) AS aside
),
written AS (
  SELECT run_id, source_file, count(*) AS lines, count(*) FILTER (WHERE decision IN ('accept', 'carried', 'mapped')) AS accepted
  FROM predictions
  WHERE starts_with(run_id, CAST($run AS VARCHAR)) AND coalesce(role, 'champion') <> 'challenger'
  GROUP BY run_id, source_file
)
SELECT f.run_id, f.file, f.state, f.size_bytes, f.e_tag, f.rows, coalesce(w.lines, 0) AS lines_written,
       coalesce(w.accepted, 0) AS accepted_lines, f.reason
FROM files AS f
LEFT JOIN written AS w ON w.run_id = f.run_id AND w.source_file = f.file
ORDER BY f.run_id, f.state, f.file
