-- purpose: day by day, what the runs answered, how sure they were, and why lines were sent to people
-- reads:   predictions
-- yields:  run_date, runs, lines, coverage_ratio, mean_confidence, below_threshold_lines, vague_lines, out_of_vocabulary_lines, audit_sample_lines
-- param: since date = null — first day; null is the first there is
-- param: until date = null — last day; null is the last there is
SELECT run_date, count(DISTINCT run_id) AS runs, count(*) AS lines,
       CAST(count(*) FILTER (WHERE decision IN ('accept', 'carried', 'mapped')) AS DOUBLE) / count(*) AS coverage_ratio,
       avg(CAST(confidence AS DOUBLE)) AS mean_confidence,
       count(*) FILTER (WHERE array_has(reasons, 'below_threshold')) AS below_threshold_lines,
       count(*) FILTER (WHERE array_has(reasons, 'vague')) AS vague_lines,
       count(*) FILTER (WHERE array_has(reasons, 'out_of_vocabulary')) AS out_of_vocabulary_lines,
       count(*) FILTER (WHERE array_has(reasons, 'audit_sample')) AS audit_sample_lines
FROM predictions
WHERE coalesce(served, true)
  AND (CAST($since AS DATE) IS NULL OR run_date >= CAST($since AS DATE))
  AND (CAST($until AS DATE) IS NULL OR run_date <= CAST($until AS DATE))
GROUP BY run_date
ORDER BY run_date
