-- purpose: who decided a line, when, why, what they were shown, and whether it is the decision that counts
-- reads:   decisions, current_predictions
-- yields:  decided_at, reviewer, decided_for, verdict, hs6, tariff_edition, binding, reason_code, note, shown_hs6, shown_confidence, shown_run_id, of_present_text, counts, decision_id
-- param: file text — URL of the line's file
-- param: row count — position of the line in it, from 0
-- A decision in a later edition comes before one in an earlier one, one for the line before one for its text, a binding one before a newer
-- one; one on an earlier text does not count.
WITH line AS (
  SELECT text_digest FROM current_predictions WHERE source_file = CAST($file AS VARCHAR) AND source_row = CAST($row AS BIGINT)
),
found AS (
  SELECT d.*, CASE WHEN d.source_file IS NULL THEN 'text' ELSE 'line' END AS decided_for,
         (d.text_digest IS NOT DISTINCT FROM l.text_digest) AS of_present_text
  FROM decisions AS d
  CROSS JOIN line AS l
  WHERE (d.source_file = CAST($file AS VARCHAR) AND d.source_row = CAST($row AS BIGINT))
     OR (d.source_file IS NULL AND d.text_digest = l.text_digest)
),
ranked AS (
  SELECT *, row_number() OVER (ORDER BY of_present_text DESC, tariff_edition DESC, decided_for, binding DESC, decided_at DESC, decision_id) AS place
  FROM found
)
SELECT decided_at, reviewer, decided_for, verdict, hs6, tariff_edition, binding, reason_code, note, shown_hs6, shown_confidence,
       shown_run_id, of_present_text, (place = 1 AND of_present_text) AS counts, decision_id
FROM ranked
ORDER BY decided_at, decision_id
