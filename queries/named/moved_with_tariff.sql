-- purpose: lines whose code moved with the tariff: from which code to which, how many are settled and how many wait for a person
-- reads:   predictions
-- yields:  tariff_edition, previous_hs6, hs6, lines, texts, value, settled_lines, waiting_lines
-- param: edition text = null — the newer edition; null is all
-- param: chapter text = null — chapter of the older code; null is all
-- param: limit count = 100 — most pairs of codes
-- Rows of reclassifications. For a line that waits, hs6 is what is proposed.
SELECT tariff_edition, previous_hs6, hs6, count(*) AS lines, count(DISTINCT text_digest) AS texts, sum(value) AS value,
       count(*) FILTER (WHERE decision IN ('accept', 'carried', 'mapped')) AS settled_lines,
       count(*) FILTER (WHERE decision IN ('review', 'refuse', 'held')) AS waiting_lines
FROM predictions
WHERE coalesce(served, true) AND previous_hs6 IS NOT NULL AND (hs6 IS DISTINCT FROM previous_hs6)
  AND (CAST($edition AS VARCHAR) IS NULL OR tariff_edition = CAST($edition AS VARCHAR))
  AND (CAST($chapter AS VARCHAR) IS NULL OR substr(previous_hs6, 1, 2) = CAST($chapter AS VARCHAR))
GROUP BY 1, 2, 3
ORDER BY lines DESC, tariff_edition, previous_hs6, hs6
LIMIT CAST($limit AS BIGINT)
