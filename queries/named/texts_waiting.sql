-- purpose: the texts of the review queue with the most lines: what one decision clears
-- reads:   review_queue
-- yields:  text_digest, description, lines, queue_ratio, hs6, suggestions, confidence, reasons
-- param: chapter text = null — chapter of the proposed code; null is all
-- param: limit count = 100 — most texts
-- hs6 and reasons are those of the surest line, suggestions the number of different codes, queue_ratio the share of the whole queue.
WITH texts AS (
  SELECT text_digest, min(description) AS description, count(*) AS lines,
         CAST(count(*) AS DOUBLE) / sum(count(*)) OVER () AS queue_ratio,
         first_value(hs6 ORDER BY confidence DESC NULLS LAST, source_file, source_row) AS hs6,
         count(DISTINCT hs6) AS suggestions, max(confidence) AS confidence,
         first_value(reasons ORDER BY confidence DESC NULLS LAST, source_file, source_row) AS reasons
  FROM review_queue
  GROUP BY text_digest
)
SELECT text_digest, description, lines, queue_ratio, hs6, suggestions, confidence, reasons
FROM texts
WHERE text_digest IS NOT NULL AND (CAST($chapter AS VARCHAR) IS NULL OR substr(hs6, 1, 2) = CAST($chapter AS VARCHAR))
ORDER BY lines DESC, text_digest
LIMIT CAST($limit AS BIGINT)
