-- purpose: lines that wait for a person, the surest first; those of requested labels are among them, with the reason comparison, and those that a person decided in an earlier edition and no reclassification carried over, with the reason decided_before; one that a person has decided in its edition, or in a later one, has left the queue
-- reads:   coded_lines, label_requests
-- yields:  line_id, source_file, source_row, description, text_digest, hs6, confidence, confidence_heading, confidence_chapter, margin, alternatives, decision, reasons, model_name, model_version, tariff_edition, run_id, run_date, model_digest, previous_hs6, declared_code, decided_hs6, decided_edition, decided_by, decided_at, binding
SELECT p.line_id, p.source_file, p.source_row, p.description, p.text_digest, p.hs6, p.confidence,
       p.confidence_heading, p.confidence_chapter, p.margin, p.alternatives, p.decision,
       CASE WHEN q.source_file IS NOT NULL THEN array_append(p.reasons, 'comparison')
            WHEN p.decision IN ('accept', 'mapped') THEN array_append(p.reasons, 'decided_before') ELSE p.reasons END AS reasons,
       p.model_name, p.model_version, p.tariff_edition, p.run_id, p.run_date, p.model_digest, p.previous_hs6, p.declared_code,
       p.decided_hs6, p.decided_edition, p.decided_by, p.decided_at, p.binding
FROM coded_lines AS p
LEFT JOIN (SELECT DISTINCT source_file, source_row, text_digest FROM label_requests) AS q
  ON q.source_file = p.source_file AND q.source_row = p.source_row AND q.text_digest = p.text_digest
WHERE (p.decision IN ('review', 'refuse', 'held') OR q.source_file IS NOT NULL
       OR (p.decision IN ('accept', 'mapped') AND p.decision_id IS NOT NULL))
  AND (p.decision_id IS NULL OR p.decided_edition < p.tariff_edition)
ORDER BY p.confidence DESC NULLS LAST, p.source_file, p.source_row
