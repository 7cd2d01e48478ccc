-- purpose: whether the goods changed: the share of each chapter in one period against another, with the population stability index and the Jensen-Shannon divergence
-- reads:   predictions
-- yields:  chapter, base_lines, lines, base_ratio, ratio, psi_part, psi, psi_by_chance, jensen_shannon
-- param: base_since date — first day of runs of the period that is compared with
-- param: base_until date — its last day
-- param: since date — first day of runs of the period that is looked at
-- param: until date — its last day
-- psi is over shares with half a line more in every chapter, (n + 1/2) / (N + K/2), so that an empty chapter is not infinite.
-- psi_by_chance is what it comes to without any drift: (K - 1) (1/N + 1/M). jensen_shannon is in bits, 0 to 1. Lines without a
-- code are a chapter of their own.
WITH periods AS (
  SELECT substr(hs6, 1, 2) AS chapter,
         count(*) FILTER (WHERE run_date BETWEEN CAST($base_since AS DATE) AND CAST($base_until AS DATE)) AS m,
         count(*) FILTER (WHERE run_date BETWEEN CAST($since AS DATE) AND CAST($until AS DATE)) AS n
  FROM predictions
  WHERE coalesce(served, true)
    AND ((run_date BETWEEN CAST($base_since AS DATE) AND CAST($base_until AS DATE))
         OR (run_date BETWEEN CAST($since AS DATE) AND CAST($until AS DATE)))
  GROUP BY 1
),
totals AS (
  SELECT chapter, m, n, CAST(sum(m) OVER () AS DOUBLE) AS all_m, CAST(sum(n) OVER () AS DOUBLE) AS all_n,
         CAST(count(*) OVER () AS DOUBLE) AS k
  FROM periods
),
shares AS (
  SELECT *, m / nullif(all_m, 0) AS q, n / nullif(all_n, 0) AS p, (m + 0.5) / (all_m + k / 2) AS smooth_q,
         (n + 0.5) / (all_n + k / 2) AS smooth_p
  FROM totals
),
parts AS (
  SELECT *, (smooth_p - smooth_q) * ln(smooth_p / smooth_q) AS psi_part,
         CASE WHEN p > 0 THEN p / 2 * log2(2 * p / (p + q)) ELSE 0 END + CASE WHEN q > 0 THEN q / 2 * log2(2 * q / (p + q)) ELSE 0 END
           AS js_part
  FROM shares
)
SELECT chapter, m AS base_lines, n AS lines, q AS base_ratio, p AS ratio, psi_part, sum(psi_part) OVER () AS psi,
       (k - 1) * (1 / nullif(all_n, 0) + 1 / nullif(all_m, 0)) AS psi_by_chance,
       CASE WHEN all_n > 0 AND all_m > 0 THEN sum(js_part) OVER () END AS jensen_shannon
FROM parts
ORDER BY psi_part DESC, chapter
