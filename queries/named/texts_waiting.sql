-- purpose: the texts of the review queue with the most lines: what one decision clears
-- reads:   review_queue
-- yields:  text_digest, description, lines, queue_ratio, hs6, other_hs6, confidence, first_day, last_day
-- param: chapter text = null — chapter of a proposed code; null is all
-- param: limit count = 100 — most texts
-- hs6 is the least of the proposed codes, other_hs6 the greatest where it is another, confidence that of the surest line, the days
-- those of the runs; queue_ratio is of the whole queue. (Distinct values of every text would not fit into memory.)
WITH texts AS (
  SELECT text_digest, min(description) AS description, count(*) AS lines,
         CAST(count(*) AS DOUBLE) / sum(count(*)) OVER () AS queue_ratio, min(hs6) AS hs6, nullif(max(hs6), min(hs6)) AS other_hs6,
         max(confidence) AS confidence, min(run_date) AS first_day, max(run_date) AS last_day,
         count(*) FILTER (WHERE substr(hs6, 1, 2) = CAST($chapter AS VARCHAR)) AS of_chapter
  FROM review_queue
  GROUP BY text_digest
)
SELECT text_digest, description, lines, queue_ratio, hs6, other_hs6, confidence, first_day, last_day
FROM texts
WHERE text_digest IS NOT NULL AND (CAST($chapter AS VARCHAR) IS NULL OR of_chapter > 0)
ORDER BY lines DESC, text_digest
LIMIT CAST($limit AS BIGINT)
