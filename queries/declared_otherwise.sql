-- purpose: lines that were declared under another subheading than a person decided, or else the model gives: what an auditor looks for first
-- reads:   declared_lines
-- yields:  line_id, source_file, source_row, description, text_digest, declared_code, hs6, confidence, same_heading, same_chapter, value, decision, model_name, model_version, run_id, declared_hs6, tariff_edition, by_person, decided_by, decided_at, confidence_heading, confidence_chapter, model_digest, run_date
SELECT line_id, source_file, source_row, description, text_digest, declared_code, hs6, confidence,
       substr(declared_hs6, 1, 4) = substr(hs6, 1, 4) AS same_heading,
       substr(declared_hs6, 1, 2) = substr(hs6, 1, 2) AS same_chapter,
       value, decision, model_name, model_version, run_id, declared_hs6, tariff_edition, by_person, decided_by, decided_at,
       confidence_heading, confidence_chapter, model_digest, run_date
FROM declared_lines
-- A heading alone is not another subheading of it.
WHERE hs6 IS NOT NULL AND declared_hs6 <> substr(hs6, 1, length(declared_hs6))
