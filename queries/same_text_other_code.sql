-- purpose: equal goods with different codes: the same normalised text under several effective codes, and whether the same model or people gave them
-- reads:   effective_codes, current_predictions
-- yields:  text_digest, description, codes, code_count, lines, value, decided_by, runs
SELECT e.text_digest, min(p.description) AS description, array_agg(DISTINCT e.hs6) AS codes, count(DISTINCT e.hs6) AS code_count,
       count(*) AS lines, sum(p.value) AS value, array_agg(DISTINCT e.decided_by) AS decided_by, count(DISTINCT e.run_id) AS runs
FROM effective_codes AS e
JOIN current_predictions AS p ON p.source_file = e.source_file AND p.source_row = e.source_row
WHERE e.hs6 IS NOT NULL AND e.text_digest IS NOT NULL
GROUP BY e.text_digest
HAVING count(DISTINCT e.hs6) > 1
