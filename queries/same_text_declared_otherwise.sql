-- purpose: equal goods that were declared under several subheadings
-- reads:   declared_lines
-- yields:  text_digest, description, declared_codes, code_count, lines, value
SELECT text_digest, min(description) AS description, array_sort(array_agg(DISTINCT declared_hs6)) AS declared_codes,
       count(DISTINCT declared_hs6) AS code_count, count(*) AS lines, sum(value) AS value
FROM declared_lines
WHERE text_digest IS NOT NULL AND length(declared_hs6) = 6
GROUP BY text_digest
HAVING count(DISTINCT declared_hs6) > 1
