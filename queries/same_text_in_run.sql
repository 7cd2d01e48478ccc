-- purpose: equal goods to which one run gave different codes that stood without a person, and what explains it: two models, or the codes that they had before
-- reads:   predictions
-- yields:  run_id, run_date, text_digest, description, codes, code_count, lines, value, explained_by
WITH stood AS (
  SELECT * FROM predictions
  WHERE coalesce(served, true) AND hs6 IS NOT NULL AND text_digest IS NOT NULL AND decision IN ('accept', 'carried', 'mapped')
),
-- The distinct values of every text would not fit into memory.
several AS (
  SELECT run_id, text_digest FROM stood GROUP BY run_id, text_digest HAVING min(hs6) <> max(hs6)
)
SELECT p.run_id, p.run_date, p.text_digest, min(p.description) AS description, array_sort(array_agg(DISTINCT p.hs6)) AS codes,
       count(DISTINCT p.hs6) AS code_count, count(*) AS lines, sum(p.value) AS value,
       CASE WHEN count(DISTINCT p.model_digest) > 1 THEN 'model'
            WHEN count(DISTINCT p.previous_hs6) > 1 THEN 'previous_code' ELSE 'unexplained' END AS explained_by
FROM stood AS p
JOIN several AS s ON s.run_id = p.run_id AND s.text_digest = p.text_digest
GROUP BY p.run_id, p.run_date, p.text_digest
