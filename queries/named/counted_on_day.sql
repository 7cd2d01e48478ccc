-- purpose: what counted at the end of a day: the newest answers that had been written by then, by edition, model and decision
-- reads:   predictions
-- yields:  tariff_edition, model_name, model_version, decision, lines, value, mean_confidence
-- param: day date — the day
-- Lines that a file has lost since, when it became shorter, are among them.
SELECT tariff_edition, model_name, model_version, decision, count(*) AS lines, sum(value) AS value,
       avg(CAST(confidence AS DOUBLE)) AS mean_confidence
FROM (
  SELECT *, row_number() OVER (PARTITION BY source_file, source_row ORDER BY run_date DESC, run_id DESC) AS newest
  FROM predictions
  WHERE coalesce(served, true) AND run_date <= CAST($day AS DATE)
) AS ranked
WHERE newest = 1
GROUP BY 1, 2, 3, 4
ORDER BY tariff_edition, model_name, model_version, lines DESC, decision
