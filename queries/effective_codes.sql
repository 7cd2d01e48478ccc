-- purpose: the code that counts for every line: a person's decision before the model's, an accepted prediction else
-- reads:   coded_lines
-- yields:  line_id, source_file, source_row, text_digest, hs6, tariff_edition, decided_by, decided_at, decision, confidence, model_name, model_version, run_id, by_person, description, declared_code, value, confidence_heading, confidence_chapter, model_digest, run_date
SELECT line_id, source_file, source_row, text_digest,
       CASE WHEN decision_id IS NOT NULL THEN decided_hs6
            WHEN decision IN ('accept', 'carried', 'mapped') THEN hs6 END AS hs6,
       -- What a person decided holds in a later edition too when its code is unchanged there.
       CASE WHEN decision_id IS NULL OR (decision = 'carried' AND decided_hs6 = hs6) THEN tariff_edition
            ELSE decided_edition END AS tariff_edition,
       CASE WHEN decision_id IS NOT NULL THEN decided_by
            WHEN decision IN ('accept', 'carried', 'mapped')
            THEN model_name || '@' || CAST(model_version AS VARCHAR) END AS decided_by,
       decided_at, decision, confidence, model_name, model_version, run_id, decision_id IS NOT NULL AS by_person, description,
       declared_code, value, confidence_heading, confidence_chapter, model_digest, run_date
FROM coded_lines
