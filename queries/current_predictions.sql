-- purpose: the newest prediction of every line that is its answer; what a challenger said beside it is not, nor what stands beyond the end of a file that became shorter
-- reads:   predictions, shortened_files
-- yields:  line_id, source_file, source_row, description, text_digest, hs6, confidence, confidence_heading, confidence_chapter, margin, alternatives, decision, reasons, previous_hs6, model_name, model_version, model_digest, tariff_edition, policy_digest, run_id, declared_code, value, role, run_date
SELECT line_id, source_file, source_row, description, text_digest, hs6, confidence, confidence_heading,
       confidence_chapter, margin, alternatives, decision, reasons, previous_hs6, model_name, model_version,
       model_digest, tariff_edition, policy_digest, run_id, declared_code, value, role, run_date
FROM (
  SELECT *, row_number() OVER (PARTITION BY source_file, source_row ORDER BY run_date DESC, run_id DESC) AS newest
  FROM predictions WHERE coalesce(served, true)
) AS ranked
WHERE newest = 1
  AND NOT EXISTS (SELECT 1 FROM shortened_files AS s WHERE s.url = ranked.source_file AND ranked.source_row >= s.row_count)
