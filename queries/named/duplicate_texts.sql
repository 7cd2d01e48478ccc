-- purpose: texts that stand on several lines, the most frequent first, with their codes
-- reads:   current_predictions
-- yields:  text_digest, description, lines, line_ratio, files, code_count, hs6, value
-- param: at_least count = 2 — lines that a text stands on
-- param: limit count = 100 — most texts
-- hs6 is the least of the codes; line_ratio is of all lines. What is told of a text is looked up for those of the answer alone: distinct
-- values of millions of texts would not fit into memory.
WITH frequent AS (
  SELECT text_digest, lines, line_ratio
  FROM (SELECT text_digest, count(*) AS lines, CAST(count(*) AS DOUBLE) / sum(count(*)) OVER () AS line_ratio
        FROM current_predictions GROUP BY text_digest) AS texts
  WHERE text_digest IS NOT NULL AND lines >= CAST($at_least AS BIGINT)
  ORDER BY lines DESC, text_digest
  LIMIT CAST($limit AS BIGINT)
),
told AS (
  SELECT text_digest AS digest, min(description) AS description, count(DISTINCT source_file) AS files,
         count(DISTINCT hs6) AS code_count, min(hs6) AS hs6, sum(value) AS value
  FROM current_predictions
  WHERE text_digest IN (SELECT text_digest FROM frequent)
  GROUP BY 1
)
SELECT f.text_digest, t.description, f.lines, f.line_ratio, t.files, t.code_count, t.hs6, t.value
FROM frequent AS f
JOIN told AS t ON t.digest = f.text_digest
ORDER BY f.lines DESC, f.text_digest
