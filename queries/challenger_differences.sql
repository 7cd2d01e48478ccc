-- purpose: lines on which a challenger gave another code or another decision than the model of the run, side by side
-- reads:   predictions
-- yields:  run_id, run_date, line_id, source_file, source_row, description, text_digest, champion_name, champion_version, champion_digest, champion_hs6, champion_confidence, champion_decision, challenger_name, challenger_version, challenger_digest, challenger_hs6, challenger_confidence, challenger_decision, served_role
SELECT c.run_id, c.run_date, c.line_id, c.source_file, c.source_row, coalesce(c.description, x.description) AS description,
       c.text_digest,
       c.model_name AS champion_name, c.model_version AS champion_version, c.model_digest AS champion_digest,
       c.hs6 AS champion_hs6, c.confidence AS champion_confidence, c.decision AS champion_decision,
       x.model_name AS challenger_name, x.model_version AS challenger_version, x.model_digest AS challenger_digest,
       x.hs6 AS challenger_hs6, x.confidence AS challenger_confidence, x.decision AS challenger_decision,
       CASE WHEN x.served THEN 'challenger' ELSE 'champion' END AS served_role
FROM predictions AS c
JOIN predictions AS x ON x.run_id = c.run_id AND x.run_date = c.run_date AND x.source_file = c.source_file
  AND x.source_row = c.source_row AND x.role = 'challenger'
WHERE c.role = 'champion' AND ((x.hs6 IS DISTINCT FROM c.hs6) OR x.decision <> c.decision)
