-- purpose: lines that were accepted below a confidence, the least sure first
-- reads:   current_predictions
-- yields:  line_id, source_file, source_row, description, text_digest, hs6, confidence, margin, value, model_name, model_version, policy_digest, run_id
-- param: confidence ratio — accepted lines below it are listed
-- param: limit count = 100 — most lines
SELECT line_id, source_file, source_row, description, text_digest, hs6, confidence, margin, value, model_name, model_version,
       policy_digest, run_id
FROM current_predictions
WHERE decision = 'accept' AND confidence < CAST(CAST($confidence AS DOUBLE) AS REAL)
ORDER BY confidence, source_file, source_row
LIMIT CAST($limit AS BIGINT)
