-- purpose: codes that split, changed their scope or have no successor, whose lines wait for a person: what they say, what they became, what hangs on them
-- reads:   review_queue, current_predictions, runs, current_nomenclature, current_correlations
-- yields:  from_edition, tariff_edition, previous_hs6, description, successors, lines, texts, value, scope_changed_lines, split_lines, orphaned_lines, held_lines, mean_confidence
-- param: edition text = null — the newer edition; null is all
-- param: language text = en — language of the wording
-- param: limit count = 100 — most codes
-- successors counts the codes that share goods with it in a table between the two editions; null without one.
WITH waiting AS (
  SELECT r.from_edition, q.tariff_edition, p.previous_hs6, count(*) AS lines, count(DISTINCT q.text_digest) AS texts,
         sum(p.value) AS value,
         count(*) FILTER (WHERE array_has(q.reasons, 'scope_changed')) AS scope_changed_lines,
         count(*) FILTER (WHERE array_has(q.reasons, 'split')) AS split_lines,
         count(*) FILTER (WHERE array_has(q.reasons, 'orphaned')) AS orphaned_lines,
         count(*) FILTER (WHERE q.decision = 'held') AS held_lines,
         avg(CAST(q.confidence AS DOUBLE)) AS mean_confidence
  FROM review_queue AS q
  JOIN current_predictions AS p ON p.source_file = q.source_file AND p.source_row = q.source_row
  LEFT JOIN runs AS r ON r.run_id = q.run_id
  WHERE p.previous_hs6 IS NOT NULL
    AND (q.decision = 'held' OR array_has(q.reasons, 'scope_changed') OR array_has(q.reasons, 'split')
         OR array_has(q.reasons, 'orphaned'))
    AND (CAST($edition AS VARCHAR) IS NULL OR q.tariff_edition = CAST($edition AS VARCHAR))
  GROUP BY 1, 2, 3
  ORDER BY lines DESC, previous_hs6
  LIMIT CAST($limit AS BIGINT)
),
wordings AS (
  SELECT edition, code, min(description) AS description
  FROM current_nomenclature
  WHERE schedule = 'HS' AND level = 6 AND language = CAST($language AS VARCHAR)
  GROUP BY 1, 2
),
links AS (
  SELECT from_edition AS older, to_edition AS newer, from_code, count(DISTINCT to_code) AS successors
  FROM current_correlations
  GROUP BY 1, 2, 3
)
SELECT w.from_edition, w.tariff_edition, w.previous_hs6, n.description, l.successors, w.lines, w.texts, w.value,
       w.scope_changed_lines, w.split_lines, w.orphaned_lines, w.held_lines, w.mean_confidence
FROM waiting AS w
LEFT JOIN wordings AS n ON n.edition = w.from_edition AND n.code = w.previous_hs6
LEFT JOIN links AS l ON l.older = w.from_edition AND l.newer = w.tariff_edition AND l.from_code = w.previous_hs6
ORDER BY w.lines DESC, w.previous_hs6, w.tariff_edition
