-- purpose: how often accepted codes are wrong, by the audit sample: texts that were drawn, decided and right, with a 95 % interval, for each model
-- reads:   predictions, decisions
-- yields:  model_name, model_version, model_digest, tariff_edition, texts, decided_texts, right_texts, right_ratio, low, high, right_heading_texts
-- param: since date = null — first day of runs that count; null is the first there is
-- param: until date = null — last day of runs that count; null is the last there is
-- The sample is drawn by text, so texts are counted and not lines. The decision that counts is the newest of the text in the
-- edition, binding ones first. Wilson's interval (1927).
WITH sample AS (
  SELECT model_name, model_version, model_digest, tariff_edition, text_digest, min(hs6) AS hs6
  FROM predictions
  WHERE coalesce(served, true) AND array_has(reasons, 'audit_sample')
    AND (CAST($since AS DATE) IS NULL OR run_date >= CAST($since AS DATE))
    AND (CAST($until AS DATE) IS NULL OR run_date <= CAST($until AS DATE))
  GROUP BY 1, 2, 3, 4, 5
),
decided AS (
  SELECT text_digest, tariff_edition, hs6,
         row_number() OVER (PARTITION BY text_digest, tariff_edition ORDER BY binding DESC, decided_at DESC, decision_id) AS newest
  FROM decisions
  WHERE text_digest IS NOT NULL
),
counted AS (
  SELECT s.model_name, s.model_version, s.model_digest, s.tariff_edition, count(*) AS texts, count(d.newest) AS decided_texts,
         count(*) FILTER (WHERE d.hs6 = s.hs6) AS right_texts,
         count(*) FILTER (WHERE substr(d.hs6, 1, 4) = substr(s.hs6, 1, 4)) AS right_heading_texts
  FROM sample AS s
  LEFT JOIN decided AS d ON d.text_digest = s.text_digest AND d.tariff_edition = s.tariff_edition AND d.newest = 1
  GROUP BY 1, 2, 3, 4
),
ratios AS (
  SELECT *, CAST(decided_texts AS DOUBLE) AS n, CAST(right_texts AS DOUBLE) / nullif(decided_texts, 0) AS p, 1.959963984540054 AS z
  FROM counted
)
SELECT model_name, model_version, model_digest, tariff_edition, texts, decided_texts, right_texts, p AS right_ratio,
       CASE WHEN n > 0 THEN (p + z * z / (2 * n) - z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n) END AS low,
       CASE WHEN n > 0 THEN (p + z * z / (2 * n) + z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n) END AS high,
       right_heading_texts
FROM ratios
ORDER BY model_name, model_version, tariff_edition
