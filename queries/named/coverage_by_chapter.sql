-- purpose: how many of the answers of each month stand without a person, by chapter, in lines and in value
-- reads:   predictions
-- yields:  month, chapter, lines, accepted_lines, waiting_lines, refused_lines, coverage_ratio, value, accepted_value, value_coverage_ratio
-- param: since date = null — first day of runs that count; null is the first there is
-- param: until date = null — last day of runs that count; null is the last there is
-- A refused line has no code and so no chapter. A line that two runs of a month answered is two answers.
SELECT CAST(date_trunc('month', run_date) AS DATE) AS month, substr(hs6, 1, 2) AS chapter, count(*) AS lines,
       count(*) FILTER (WHERE decision IN ('accept', 'carried', 'mapped')) AS accepted_lines,
       count(*) FILTER (WHERE decision IN ('review', 'held')) AS waiting_lines,
       count(*) FILTER (WHERE decision = 'refuse') AS refused_lines,
       CAST(count(*) FILTER (WHERE decision IN ('accept', 'carried', 'mapped')) AS DOUBLE) / count(*) AS coverage_ratio,
       sum(value) AS value,
       sum(value) FILTER (WHERE decision IN ('accept', 'carried', 'mapped')) AS accepted_value,
       sum(value) FILTER (WHERE decision IN ('accept', 'carried', 'mapped')) / nullif(sum(value), 0) AS value_coverage_ratio
FROM predictions
WHERE coalesce(served, true)
  AND (CAST($since AS DATE) IS NULL OR run_date >= CAST($since AS DATE))
  AND (CAST($until AS DATE) IS NULL OR run_date <= CAST($until AS DATE))
GROUP BY 1, 2
ORDER BY 1, 2
