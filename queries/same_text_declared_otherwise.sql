-- purpose: equal goods that were declared under several subheadings
-- reads:   declared_lines
-- yields:  text_digest, description, declared_codes, code_count, lines, value
SELECT text_digest, min(description) AS description, array_sort(array_agg(DISTINCT declared_hs6)) AS declared_codes,
       count(DISTINCT declared_hs6) AS code_count, count(*) AS lines, sum(value) AS value
FROM declared_lines
-- Only of texts with two codes: the distinct values of every text would not fit into memory.
WHERE length(declared_hs6) = 6
  AND text_digest IN (SELECT text_digest FROM declared_lines WHERE length(declared_hs6) = 6 AND text_digest IS NOT NULL
                      GROUP BY text_digest HAVING min(declared_hs6) <> max(declared_hs6))
GROUP BY text_digest
