-- purpose: codes that count and that an edition of the tariff does not have, orphaned ones (without a successor) first
-- reads:   effective_codes, current_nomenclature, current_correlations
-- yields:  hs6, tariff_edition, successors, lines, decided_lines, texts, value
-- param: edition text — the edition, such as 2022; its nomenclature has to be in the lake, or every code is listed
-- successors counts the codes of the edition that share goods with it, by the table from the code's own edition.
WITH codes AS (
  SELECT hs6, tariff_edition, count(*) AS lines, count(decided_at) AS decided_lines, count(DISTINCT text_digest) AS texts,
         sum(value) AS value
  FROM effective_codes
  WHERE hs6 IS NOT NULL
  GROUP BY 1, 2
),
links AS (
  SELECT from_edition, from_code, count(DISTINCT to_code) AS successors
  FROM current_correlations
  WHERE to_edition = CAST($edition AS VARCHAR)
  GROUP BY 1, 2
)
SELECT c.hs6, c.tariff_edition, coalesce(l.successors, 0) AS successors, c.lines, c.decided_lines, c.texts, c.value
FROM codes AS c
LEFT JOIN links AS l ON l.from_edition = c.tariff_edition AND l.from_code = c.hs6
WHERE NOT EXISTS (SELECT 1 FROM current_nomenclature AS n
                  WHERE n.schedule = 'HS' AND n.level = 6 AND n.edition = CAST($edition AS VARCHAR) AND n.code = c.hs6)
ORDER BY successors, c.lines DESC, c.hs6, c.tariff_edition
