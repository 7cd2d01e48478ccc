-- purpose: equal goods to which one run gave different codes that stood without a person, and what explains it: two models, or the codes that they had before
-- reads:   predictions
-- yields:  run_id, run_date, text_digest, description, codes, code_count, lines, value, explained_by
SELECT run_id, run_date, text_digest, min(description) AS description, array_sort(array_agg(DISTINCT hs6)) AS codes,
       count(DISTINCT hs6) AS code_count, count(*) AS lines, sum(value) AS value,
       CASE WHEN count(DISTINCT model_digest) > 1 THEN 'model'
            WHEN count(DISTINCT previous_hs6) > 1 THEN 'previous_code' ELSE 'unexplained' END AS explained_by
FROM predictions
WHERE coalesce(served, true) AND hs6 IS NOT NULL AND text_digest IS NOT NULL AND decision IN ('accept', 'carried', 'mapped')
GROUP BY run_id, run_date, text_digest
HAVING count(DISTINCT hs6) > 1
