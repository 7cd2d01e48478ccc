-- purpose: texts that stand on several lines, the most frequent first, with their codes
-- reads:   current_predictions
-- yields:  text_digest, description, lines, line_ratio, hs6, other_hs6, value, first_day, last_day
-- param: at_least count = 2 — lines that a text stands on
-- param: limit count = 100 — most texts
-- hs6 is the least of the model's codes, other_hs6 the greatest where it is another; line_ratio is of all lines. (Distinct values of
-- every text would not fit into memory.)
WITH texts AS (
  SELECT text_digest, min(description) AS description, count(*) AS lines,
         CAST(count(*) AS DOUBLE) / sum(count(*)) OVER () AS line_ratio, min(hs6) AS hs6, nullif(max(hs6), min(hs6)) AS other_hs6,
         sum(value) AS value, min(run_date) AS first_day, max(run_date) AS last_day
  FROM current_predictions
  GROUP BY text_digest
)
SELECT text_digest, description, lines, line_ratio, hs6, other_hs6, value, first_day, last_day
FROM texts
WHERE text_digest IS NOT NULL AND lines >= CAST($at_least AS BIGINT)
ORDER BY lines DESC, text_digest
LIMIT CAST($limit AS BIGINT)
