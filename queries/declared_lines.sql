-- purpose: lines that came with a declared code, beside the code that counts or is proposed: a person's before the model's
-- reads:   coded_lines
-- yields:  line_id, source_file, source_row, description, text_digest, declared_code, declared_hs6, hs6, tariff_edition, by_person, decided_by, decided_at, confidence, confidence_heading, confidence_chapter, value, decision, model_name, model_version, model_digest, run_id, run_date
WITH said AS (
  SELECT *, decision_id IS NOT NULL AS by_person, CASE WHEN decision_id IS NOT NULL THEN decided_hs6 ELSE hs6 END AS code,
         -- A number column writes a whole number with a decimal.
         regexp_replace(regexp_replace(trim(declared_code), '^([0-9]{5,})[.]0$', '\1'), '[^0-9]', '', 'g') AS digits
  FROM coded_lines WHERE declared_code IS NOT NULL
)
SELECT line_id, source_file, source_row, description, text_digest, declared_code,
       -- One that has lost its leading zero is the same code where the zero makes it so.
       CASE WHEN length(digits) IN (5, 7, 9) AND '0' || substr(digits, 1, 5) = code THEN code
            ELSE substr(digits, 1, 6) END AS declared_hs6,
       code AS hs6,
       CASE WHEN NOT by_person OR (decision = 'carried' AND decided_hs6 = hs6) THEN tariff_edition
            ELSE decided_edition END AS tariff_edition,
       by_person,
       CASE WHEN by_person THEN decided_by ELSE model_name || '@' || CAST(model_version AS VARCHAR) END AS decided_by,
       decided_at, confidence, confidence_heading, confidence_chapter, value, decision, model_name, model_version,
       model_digest, run_id, run_date
FROM said
WHERE length(digits) >= 2
