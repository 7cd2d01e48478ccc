-- purpose: the texts that people decided most often, and with how many different codes
-- reads:   decisions, current_predictions
-- yields:  text_digest, tariff_edition, description, decisions, reviewers, code_count, codes, first_day, last_day, lines
-- param: at_least count = 2 — decisions on a text that make it worth a look
-- param: limit count = 100 — most texts
WITH texts AS (
  SELECT text_digest, tariff_edition, count(*) AS decisions, count(DISTINCT reviewer) AS reviewers,
         count(DISTINCT hs6) AS code_count, array_sort(array_agg(DISTINCT hs6) FILTER (WHERE hs6 IS NOT NULL)) AS codes,
         min(CAST(decided_at AS DATE)) AS first_day, max(CAST(decided_at AS DATE)) AS last_day
  FROM decisions
  WHERE text_digest IS NOT NULL
  GROUP BY 1, 2
  HAVING count(*) >= CAST($at_least AS BIGINT)
  ORDER BY decisions DESC, text_digest, tariff_edition
  LIMIT CAST($limit AS BIGINT)
),
lines AS (
  SELECT text_digest AS digest, min(description) AS description, count(*) AS lines
  FROM current_predictions
  WHERE text_digest IN (SELECT text_digest FROM texts)
  GROUP BY 1
)
SELECT t.text_digest, t.tariff_edition, l.description, t.decisions, t.reviewers, t.code_count, t.codes, t.first_day, t.last_day,
       coalesce(l.lines, 0) AS lines
FROM texts AS t
LEFT JOIN lines AS l ON l.digest = t.text_digest
ORDER BY t.decisions DESC, t.text_digest, t.tariff_edition
