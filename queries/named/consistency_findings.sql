-- purpose: what an auditor looks for first: equal goods under different codes, and goods declared under another code than a person or a sure model gives, by value
-- reads:   same_text_other_code, declared_otherwise
-- yields:  finding, text_digest, description, codes, lines, value
-- param: confidence ratio = 0.95 — least confidence of a model that is taken as sure
-- param: limit count = 100 — most findings
WITH declared AS (
  SELECT text_digest, min(description) AS description, declared_code, hs6, count(*) AS lines, sum(value) AS value
  FROM declared_otherwise
  WHERE by_person OR confidence >= CAST(CAST($confidence AS DOUBLE) AS REAL)
  GROUP BY text_digest, declared_code, hs6
)
SELECT 'same text, other code' AS finding, text_digest, description, array_sort(codes) AS codes, lines, value
FROM same_text_other_code
UNION ALL
SELECT 'declared otherwise' AS finding, text_digest, description, [declared_code, hs6] AS codes, lines, value
FROM declared
ORDER BY value DESC NULLS LAST, lines DESC, finding, text_digest, codes
LIMIT CAST($limit AS BIGINT)
