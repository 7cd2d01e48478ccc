-- purpose: lines that were declared under another subheading than the model gives them: what an auditor looks for first
-- reads:   current_predictions
-- yields:  line_id, source_file, source_row, description, text_digest, declared_code, hs6, confidence, same_heading, same_chapter, value, decision, model_name, model_version, run_id
SELECT line_id, source_file, source_row, description, text_digest, declared_code, hs6, confidence,
       substr(regexp_replace(declared_code, '[^0-9]', '', 'g'), 1, 4) = substr(hs6, 1, 4) AS same_heading,
       substr(regexp_replace(declared_code, '[^0-9]', '', 'g'), 1, 2) = substr(hs6, 1, 2) AS same_chapter,
       value, decision, model_name, model_version, run_id
FROM current_predictions
WHERE declared_code IS NOT NULL AND hs6 IS NOT NULL
  AND substr(regexp_replace(declared_code, '[^0-9]', '', 'g'), 1, 6) <> hs6
