-- purpose: the lines that have waited longest for a person
-- reads:   review_queue, predictions, label_requests
-- yields:  waiting_since, days, line_id, source_file, source_row, description, text_digest, hs6, confidence, decision, reasons
-- param: day date = null — the day up to which is counted; null is today, UTC
-- param: chapter text = null — chapter of the proposed code; null is all
-- param: limit count = 100 — most lines
-- A line waits since the first day on which it was sent to a person, or a label was requested, with its present text and edition; else
-- since a model answered it over what a person had decided in an earlier edition.
WITH sent AS (
  SELECT source_file, source_row, text_digest, tariff_edition, min(run_date) AS day
  FROM predictions
  WHERE coalesce(served, true) AND decision IN ('review', 'refuse', 'held')
  GROUP BY 1, 2, 3, 4
),
requested AS (
  SELECT source_file, source_row, text_digest, CAST(min(requested_at) AS DATE) AS day
  FROM label_requests
  GROUP BY 1, 2, 3
)
SELECT coalesce(s.day, r.day, q.run_date) AS waiting_since,
       coalesce(CAST($day AS DATE), current_date()) - coalesce(s.day, r.day, q.run_date) AS days,
       q.line_id, q.source_file, q.source_row, q.description, q.text_digest, q.hs6, q.confidence, q.decision, q.reasons
FROM review_queue AS q
LEFT JOIN sent AS s ON s.source_file = q.source_file AND s.source_row = q.source_row
  AND (s.text_digest IS NOT DISTINCT FROM q.text_digest) AND s.tariff_edition = q.tariff_edition
LEFT JOIN requested AS r ON r.source_file = q.source_file AND r.source_row = q.source_row AND r.text_digest = q.text_digest
WHERE CAST($chapter AS VARCHAR) IS NULL OR substr(q.hs6, 1, 2) = CAST($chapter AS VARCHAR)
ORDER BY waiting_since, q.source_file, q.source_row
LIMIT CAST($limit AS BIGINT)
