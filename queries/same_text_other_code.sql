-- purpose: equal goods with different codes now: the same normalised text under several effective codes, who gave them, and what explains it: the edition, a person, the model, or nothing that is written down
-- reads:   effective_codes
-- yields:  text_digest, description, codes, code_count, lines, value, decided_by, runs, explained_by
SELECT text_digest, min(description) AS description, array_agg(DISTINCT hs6) AS codes, count(DISTINCT hs6) AS code_count,
       count(*) AS lines, sum(value) AS value, array_agg(DISTINCT decided_by) AS decided_by, count(DISTINCT run_id) AS runs,
       -- One code in each edition.
       CASE WHEN count(DISTINCT tariff_edition || ' ' || hs6) = count(DISTINCT tariff_edition) THEN 'edition'
            WHEN bool_or(by_person) THEN 'person'
            WHEN count(DISTINCT model_digest) > 1 THEN 'model' ELSE 'unexplained' END AS explained_by
FROM effective_codes
-- Only of texts with two codes: the distinct values of every text would not fit into memory.
WHERE hs6 IS NOT NULL AND text_digest IN (SELECT text_digest FROM effective_codes WHERE hs6 IS NOT NULL AND text_digest IS NOT NULL
                                          GROUP BY text_digest HAVING min(hs6) <> max(hs6))
GROUP BY text_digest
