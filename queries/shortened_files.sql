-- purpose: files that became shorter when they were rewritten: rows that each had when a run last read it, and the most that one ever read
-- reads:   runs
-- yields:  url, row_count, most_rows
WITH reads AS (
  SELECT run_date, run_id, unnest(inputs) AS input FROM runs WHERE scope IS DISTINCT FROM 'beside'
),
ranked AS (
  SELECT input['url'] AS url, input['rows'] AS row_count, max(input['rows']) OVER (PARTITION BY input['url']) AS most_rows,
         row_number() OVER (PARTITION BY input['url'] ORDER BY run_date DESC, run_id DESC) AS newest
  FROM reads
)
SELECT url, row_count, most_rows FROM ranked WHERE newest = 1 AND row_count < most_rows
