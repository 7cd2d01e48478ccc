-- purpose: the texts of the review queue with the most lines: what one decision clears
-- reads:   review_queue
-- yields:  text_digest, description, lines, queue_ratio, hs6, suggestions, confidence, reasons
-- param: chapter text = null — chapter of the proposed code; null is all
-- param: limit count = 100 — most texts
-- hs6 and reasons are those of the surest line, suggestions the number of different codes, queue_ratio the share of the whole queue.
-- What is told of a text is looked up for those of the answer alone: distinct values of millions of texts would not fit into memory.
WITH texts AS (
  SELECT text_digest, count(*) AS lines, CAST(count(*) AS DOUBLE) / sum(count(*)) OVER () AS queue_ratio,
         count(*) FILTER (WHERE substr(hs6, 1, 2) = CAST($chapter AS VARCHAR)) AS of_chapter
  FROM review_queue
  GROUP BY text_digest
),
frequent AS (
  SELECT text_digest, lines, queue_ratio
  FROM texts
  WHERE text_digest IS NOT NULL AND (CAST($chapter AS VARCHAR) IS NULL OR of_chapter > 0)
  ORDER BY lines DESC, text_digest
  LIMIT CAST($limit AS BIGINT)
),
told AS (
  SELECT text_digest AS digest, min(description) AS description,
         first_value(hs6 ORDER BY confidence DESC NULLS LAST, source_file, source_row) AS hs6,
         count(DISTINCT hs6) AS suggestions, max(confidence) AS confidence,
         first_value(reasons ORDER BY confidence DESC NULLS LAST, source_file, source_row) AS reasons
  FROM review_queue
  WHERE text_digest IN (SELECT text_digest FROM frequent)
  GROUP BY 1
)
SELECT f.text_digest, t.description, f.lines, f.queue_ratio, t.hs6, t.suggestions, t.confidence, t.reasons
FROM frequent AS f
JOIN told AS t ON t.digest = f.text_digest
ORDER BY f.lines DESC, f.text_digest
