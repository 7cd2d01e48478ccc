-- purpose: in which edition of the tariff the codes of the lake stand: what an update still has to do
-- reads:   effective_codes, current_nomenclature
-- yields:  tariff_edition, valid_from, valid_to, decision, lines, lines_with_code, decided_lines
-- param: edition text = null — one edition; null is all
WITH lines AS (
  SELECT tariff_edition, decision, count(*) AS lines, count(hs6) AS lines_with_code, count(decided_at) AS decided_lines
  FROM effective_codes
  WHERE CAST($edition AS VARCHAR) IS NULL OR tariff_edition = CAST($edition AS VARCHAR)
  GROUP BY 1, 2
),
editions AS (
  SELECT edition, min(valid_from) AS valid_from, max(valid_to) AS valid_to
  FROM current_nomenclature
  WHERE schedule = 'HS'
  GROUP BY 1
)
SELECT l.tariff_edition, e.valid_from, e.valid_to, l.decision, l.lines, l.lines_with_code, l.decided_lines
FROM lines AS l
LEFT JOIN editions AS e ON e.edition = l.tariff_edition
ORDER BY l.tariff_edition, l.lines DESC, l.decision
