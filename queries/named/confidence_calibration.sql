-- purpose: whether confidences hold: the shown confidence against how often people confirmed the code, in bins, with 95 % intervals
-- reads:   decisions
-- yields:  confidence_from, confidence_to, decisions, mean_confidence, right_ratio, gap, low, high
-- param: bins count = 10 — bins of equal width
-- param: model text = null — digest of a model, or its beginning; null is all
-- param: since date = null — first day of decisions that count; null is the first there is
-- param: until date = null — last day of decisions that count; null is the last there is
-- Wilson's interval (1927). People decide what was sent to them: above the threshold that is the audit sample alone.
WITH shown AS (
  SELECT CAST(shown_confidence AS DOUBLE) AS confidence, coalesce(hs6 = shown_hs6, false) AS is_right,
         least(floor(CAST(shown_confidence AS DOUBLE) * greatest(CAST($bins AS BIGINT), 1)), greatest(CAST($bins AS BIGINT), 1) - 1)
           AS bin
  FROM decisions
  WHERE shown_hs6 IS NOT NULL AND shown_confidence IS NOT NULL
    AND (CAST($model AS VARCHAR) IS NULL OR starts_with(shown_model_digest, CAST($model AS VARCHAR)))
    AND (CAST($since AS DATE) IS NULL OR CAST(decided_at AS DATE) >= CAST($since AS DATE))
    AND (CAST($until AS DATE) IS NULL OR CAST(decided_at AS DATE) <= CAST($until AS DATE))
),
binned AS (
  SELECT bin, CAST(count(*) AS DOUBLE) AS n, avg(confidence) AS mean_confidence,
         CAST(count(*) FILTER (WHERE is_right) AS DOUBLE) / count(*) AS p, 1.959963984540054 AS z
  FROM shown
  GROUP BY bin
)
SELECT bin / greatest(CAST($bins AS BIGINT), 1) AS confidence_from, (bin + 1) / greatest(CAST($bins AS BIGINT), 1) AS confidence_to,
       CAST(n AS BIGINT) AS decisions, mean_confidence, p AS right_ratio, p - mean_confidence AS gap,
       (p + z * z / (2 * n) - z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n) AS low,
       (p + z * z / (2 * n) + z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n) AS high
FROM binned
ORDER BY bin
