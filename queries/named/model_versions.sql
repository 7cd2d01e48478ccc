-- purpose: the versions of models whose answers the lake holds, and how many lines each still answers
-- reads:   predictions, current_predictions
-- yields:  model_name, model_version, model_digest, tariff_edition, first_day, last_day, runs, rows, served_rows, counting_lines, counting_accepted_lines, counting_value
-- param: model text = null — name of a model; null is all
WITH written AS (
  SELECT model_name, model_version, model_digest, tariff_edition, min(run_date) AS first_day, max(run_date) AS last_day,
         count(DISTINCT run_id) AS runs, count(*) AS rows, count(*) FILTER (WHERE coalesce(served, true)) AS served_rows
  FROM predictions
  WHERE CAST($model AS VARCHAR) IS NULL OR model_name = CAST($model AS VARCHAR)
  GROUP BY 1, 2, 3, 4
),
counting AS (
  SELECT model_digest AS digest, tariff_edition AS edition, count(*) AS lines,
         count(*) FILTER (WHERE decision IN ('accept', 'carried', 'mapped')) AS accepted, sum(value) AS value
  FROM current_predictions
  GROUP BY 1, 2
)
SELECT w.model_name, w.model_version, w.model_digest, w.tariff_edition, w.first_day, w.last_day, w.runs, w.rows, w.served_rows,
       coalesce(c.lines, 0) AS counting_lines, coalesce(c.accepted, 0) AS counting_accepted_lines, c.value AS counting_value
FROM written AS w
LEFT JOIN counting AS c ON c.digest = w.model_digest AND c.edition = w.tariff_edition
ORDER BY w.model_name, w.model_version, w.tariff_edition
