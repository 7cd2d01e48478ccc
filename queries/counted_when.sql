-- purpose: every prediction that ever was the answer for its line, with the moment from which it counted and the one until which it did; null while it still does
-- reads:   predictions, runs
-- yields:  source_file, source_row, line_id, text_digest, hs6, confidence, decision, tariff_edition, model_name, model_version, role, run_id, counts_from, counts_until
SELECT p.source_file, p.source_row, p.line_id, p.text_digest, p.hs6, p.confidence, p.decision, p.tariff_edition, p.model_name,
       p.model_version, p.role, p.run_id, r.finished_at AS counts_from,
       lead(r.finished_at) OVER (PARTITION BY p.source_file, p.source_row ORDER BY p.run_date, p.run_id) AS counts_until
FROM predictions AS p
LEFT JOIN runs AS r ON r.run_id = p.run_id
WHERE coalesce(p.served, true)
