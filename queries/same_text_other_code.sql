-- purpose: equal goods with different codes: the same normalised text under several effective codes, and whether the same model or people gave them
-- reads:   effective_codes, current_predictions
-- yields:  text_digest, description, codes, code_count, lines, value, decided_by, runs
SELECT e.text_digest, min(p.description) AS description, array_agg(DISTINCT e.hs6) AS codes, count(DISTINCT e.hs6) AS code_count,
       count(*) AS lines, sum(p.value) AS value, array_agg(DISTINCT e.decided_by) AS decided_by, count(DISTINCT e.run_id) AS runs
FROM effective_codes AS e
JOIN current_predictions AS p ON p.source_file = e.source_file AND p.source_row = e.source_row
-- Only of texts with two codes: the distinct values of every text would not fit into memory.
WHERE e.hs6 IS NOT NULL AND e.text_digest IN (SELECT text_digest FROM effective_codes WHERE hs6 IS NOT NULL AND text_digest IS NOT NULL
                                              GROUP BY text_digest HAVING min(hs6) <> max(hs6))
GROUP BY e.text_digest
