-- purpose: the lines with a reason, such as out_of_vocabulary, the most valuable first
-- reads:   current_predictions
-- yields:  line_id, source_file, source_row, description, text_digest, hs6, confidence, decision, reasons, value, model_name, model_version, run_id
-- param: reason text — a reason of the data dictionary
-- param: limit count = 100 — most lines
SELECT line_id, source_file, source_row, description, text_digest, hs6, confidence, decision, reasons, value, model_name,
       model_version, run_id
FROM current_predictions
WHERE array_has(reasons, CAST($reason AS VARCHAR))
ORDER BY value DESC NULLS LAST, source_file, source_row
LIMIT CAST($limit AS BIGINT)
