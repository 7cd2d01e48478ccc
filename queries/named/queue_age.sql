-- purpose: how long the lines of the review queue have waited
-- reads:   review_queue, predictions, label_requests
-- yields:  days_from, days_to, lines, texts, waiting_since
-- param: day date = null — the day up to which is counted; null is today, UTC
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
),
waiting AS (
  SELECT q.text_digest, coalesce(s.day, r.day, q.run_date) AS since,
         coalesce(CAST($day AS DATE), current_date()) - coalesce(s.day, r.day, q.run_date) AS days
  FROM review_queue AS q
  LEFT JOIN sent AS s ON s.source_file = q.source_file AND s.source_row = q.source_row
    AND (s.text_digest IS NOT DISTINCT FROM q.text_digest) AND s.tariff_edition = q.tariff_edition
  LEFT JOIN requested AS r ON r.source_file = q.source_file AND r.source_row = q.source_row AND r.text_digest = q.text_digest
),
grouped AS (
  SELECT CASE WHEN days <= 1 THEN 0 WHEN days <= 7 THEN 2 WHEN days <= 30 THEN 8 WHEN days <= 90 THEN 31 WHEN days > 90 THEN 91 END AS days_from,
         CASE WHEN days <= 1 THEN 1 WHEN days <= 7 THEN 7 WHEN days <= 30 THEN 30 WHEN days <= 90 THEN 90 END AS days_to,
         text_digest, since
  FROM waiting
)
SELECT days_from, days_to, count(*) AS lines, count(DISTINCT text_digest) AS texts, min(since) AS waiting_since
FROM grouped
GROUP BY days_from, days_to
ORDER BY days_from
