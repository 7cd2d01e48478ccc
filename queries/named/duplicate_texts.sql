-- purpose: texts that stand on several lines, the most frequent first, with their codes
-- reads:   current_predictions
-- yields:  text_digest, description, lines, line_ratio, files, code_count, hs6, value
-- param: at_least count = 2 — lines that a text stands on
-- param: limit count = 100 — most texts
-- hs6 is the least of the codes; line_ratio is of all lines.
WITH texts AS (
  SELECT text_digest, min(description) AS description, count(*) AS lines,
         CAST(count(*) AS DOUBLE) / sum(count(*)) OVER () AS line_ratio, count(DISTINCT source_file) AS files,
         count(DISTINCT hs6) AS code_count, min(hs6) AS hs6, sum(value) AS value
  FROM current_predictions
  GROUP BY text_digest
)
SELECT text_digest, description, lines, line_ratio, files, code_count, hs6, value
FROM texts
WHERE text_digest IS NOT NULL AND lines >= CAST($at_least AS BIGINT)
ORDER BY lines DESC, text_digest
LIMIT CAST($limit AS BIGINT)
