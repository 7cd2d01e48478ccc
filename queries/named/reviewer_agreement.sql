-- purpose: how far two people agree on the texts that both decided, beyond what chance would give (Cohen's kappa)
-- reads:   decisions
-- yields:  first_reviewer, second_reviewer, texts, agreed, agreement_ratio, chance_ratio, kappa
-- param: digits count = 6 — digits that have to agree: 6, 4 or 2
-- param: since date = null — first day of decisions that count; null is the first there is
-- param: until date = null — last day of decisions that count; null is the last there is
-- The newest word of each person on a text in an edition counts; "unclassifiable" is a code of its own. kappa is null when chance
-- alone would agree always.
WITH said AS (
  SELECT reviewer, text_digest, tariff_edition, coalesce(substr(hs6, 1, CAST($digits AS BIGINT)), 'none') AS code,
         row_number() OVER (PARTITION BY reviewer, text_digest, tariff_edition ORDER BY decided_at DESC, decision_id DESC) AS newest
  FROM decisions
  WHERE text_digest IS NOT NULL
    AND (CAST($since AS DATE) IS NULL OR CAST(decided_at AS DATE) >= CAST($since AS DATE))
    AND (CAST($until AS DATE) IS NULL OR CAST(decided_at AS DATE) <= CAST($until AS DATE))
),
judged_by_two AS (
  SELECT a.reviewer AS first_reviewer, b.reviewer AS second_reviewer, a.code AS first_code, b.code AS second_code
  FROM said AS a
  JOIN said AS b ON b.text_digest = a.text_digest AND b.tariff_edition = a.tariff_edition
  WHERE a.newest = 1 AND b.newest = 1 AND a.reviewer < b.reviewer
),
pairs AS (
  SELECT first_reviewer, second_reviewer, count(*) AS texts, count(*) FILTER (WHERE first_code = second_code) AS agreed
  FROM judged_by_two
  GROUP BY 1, 2
),
by_chance AS (
  SELECT f.first_reviewer, f.second_reviewer, sum(CAST(f.n AS DOUBLE) * s.n) AS pairs
  FROM (SELECT first_reviewer, second_reviewer, first_code AS code, count(*) AS n FROM judged_by_two GROUP BY 1, 2, 3) AS f
  JOIN (SELECT first_reviewer, second_reviewer, second_code AS code, count(*) AS n FROM judged_by_two GROUP BY 1, 2, 3) AS s
    ON s.first_reviewer = f.first_reviewer AND s.second_reviewer = f.second_reviewer AND s.code = f.code
  GROUP BY 1, 2
),
ratios AS (
  SELECT p.first_reviewer, p.second_reviewer, p.texts, p.agreed, CAST(p.agreed AS DOUBLE) / p.texts AS agreement_ratio,
         coalesce(c.pairs, 0) / (CAST(p.texts AS DOUBLE) * p.texts) AS chance_ratio
  FROM pairs AS p
  LEFT JOIN by_chance AS c ON c.first_reviewer = p.first_reviewer AND c.second_reviewer = p.second_reviewer
)
SELECT first_reviewer, second_reviewer, texts, agreed, agreement_ratio, chance_ratio,
       (agreement_ratio - chance_ratio) / nullif(1 - chance_ratio, 0) AS kappa
FROM ratios
ORDER BY texts DESC, first_reviewer, second_reviewer
