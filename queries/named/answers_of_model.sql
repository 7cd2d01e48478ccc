-- purpose: files whose answers that count are of one version of a model: what a withdrawn version leaves to do again
-- reads:   current_predictions
-- yields:  source_file, lines, accepted_lines, waiting_lines, texts, value, first_day, last_day, runs
-- param: model text — name of the model
-- param: version count — its version
-- param: limit count = 1000 — most files
SELECT source_file, count(*) AS lines, count(*) FILTER (WHERE decision IN ('accept', 'carried', 'mapped')) AS accepted_lines,
       count(*) FILTER (WHERE decision IN ('review', 'refuse', 'held')) AS waiting_lines, count(DISTINCT text_digest) AS texts,
       sum(value) AS value, min(run_date) AS first_day, max(run_date) AS last_day, count(DISTINCT run_id) AS runs
FROM current_predictions
WHERE model_name = CAST($model AS VARCHAR) AND model_version = CAST($version AS BIGINT)
GROUP BY source_file
ORDER BY lines DESC, source_file
LIMIT CAST($limit AS BIGINT)
