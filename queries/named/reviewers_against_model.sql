-- purpose: how often each person confirmed what the model showed, at which digits they differ, and the agreement beyond chance (Cohen's kappa)
-- reads:   decisions
-- yields:  reviewer, decisions, confirmed, other_subheading, other_heading, other_chapter, unclassifiable, agreement_ratio, chance_ratio, kappa, mean_shown_confidence
-- param: since date = null — first day of decisions that count; null is the first there is
-- param: until date = null — last day of decisions that count; null is the last there is
-- Decisions that were shown a code. The person saw it, so this is not a blind comparison.
WITH shown AS (
  SELECT reviewer, shown_hs6 AS model_code, coalesce(hs6, 'none') AS code, shown_confidence
  FROM decisions
  WHERE shown_hs6 IS NOT NULL
    AND (CAST($since AS DATE) IS NULL OR CAST(decided_at AS DATE) >= CAST($since AS DATE))
    AND (CAST($until AS DATE) IS NULL OR CAST(decided_at AS DATE) <= CAST($until AS DATE))
),
people AS (
  SELECT reviewer, count(*) AS decisions, count(*) FILTER (WHERE code = model_code) AS confirmed,
         count(*) FILTER (WHERE code <> model_code AND substr(code, 1, 4) = substr(model_code, 1, 4)) AS other_subheading,
         count(*) FILTER (WHERE code <> 'none' AND substr(code, 1, 4) <> substr(model_code, 1, 4)
                            AND substr(code, 1, 2) = substr(model_code, 1, 2)) AS other_heading,
         count(*) FILTER (WHERE code <> 'none' AND substr(code, 1, 2) <> substr(model_code, 1, 2)) AS other_chapter,
         count(*) FILTER (WHERE code = 'none') AS unclassifiable,
         avg(CAST(shown_confidence AS DOUBLE)) AS mean_shown_confidence
  FROM shown
  GROUP BY reviewer
),
by_chance AS (
  SELECT p.reviewer, sum(CAST(p.n AS DOUBLE) * m.n) AS pairs
  FROM (SELECT reviewer, code, count(*) AS n FROM shown GROUP BY 1, 2) AS p
  JOIN (SELECT reviewer, model_code AS code, count(*) AS n FROM shown GROUP BY 1, 2) AS m
    ON m.reviewer = p.reviewer AND m.code = p.code
  GROUP BY 1
),
ratios AS (
  SELECT p.*, CAST(p.confirmed AS DOUBLE) / p.decisions AS agreement_ratio,
         coalesce(c.pairs, 0) / (CAST(p.decisions AS DOUBLE) * p.decisions) AS chance_ratio
  FROM people AS p
  LEFT JOIN by_chance AS c ON c.reviewer = p.reviewer
)
SELECT reviewer, decisions, confirmed, other_subheading, other_heading, other_chapter, unclassifiable, agreement_ratio,
       chance_ratio, (agreement_ratio - chance_ratio) / nullif(1 - chance_ratio, 0) AS kappa, mean_shown_confidence
FROM ratios
ORDER BY decisions DESC, reviewer
