-- purpose: lines that wait for a person, the surest first; those of requested labels are among them, with the reason comparison, and those that a person decided in an earlier edition and no reclassification carried over, with the reason decided_before; one that a person has decided in its edition has left the queue
-- reads:   current_predictions, decisions, label_requests
-- yields:  line_id, source_file, source_row, description, text_digest, hs6, confidence, confidence_heading, confidence_chapter, margin, alternatives, decision, reasons, model_name, model_version, tariff_edition, run_id, run_date, model_digest, previous_hs6, declared_code
SELECT p.line_id, p.source_file, p.source_row, p.description, p.text_digest, p.hs6, p.confidence,
       p.confidence_heading, p.confidence_chapter, p.margin, p.alternatives, p.decision,
       CASE WHEN q.source_file IS NOT NULL THEN array_append(p.reasons, 'comparison')
            WHEN p.decision IN ('accept', 'mapped') THEN array_append(p.reasons, 'decided_before') ELSE p.reasons END AS reasons,
       p.model_name, p.model_version, p.tariff_edition, p.run_id, p.run_date, p.model_digest, p.previous_hs6, p.declared_code
FROM current_predictions AS p
LEFT JOIN (SELECT DISTINCT source_file, source_row, text_digest FROM label_requests) AS q
  ON q.source_file = p.source_file AND q.source_row = p.source_row AND q.text_digest = p.text_digest
LEFT JOIN (SELECT source_file, source_row, text_digest, min(tariff_edition) AS edition FROM decisions
           WHERE source_file IS NOT NULL GROUP BY source_file, source_row, text_digest) AS l
  ON l.source_file = p.source_file AND l.source_row = p.source_row AND (l.text_digest IS NOT DISTINCT FROM p.text_digest)
LEFT JOIN (SELECT text_digest, min(tariff_edition) AS edition FROM decisions
           WHERE source_file IS NULL GROUP BY text_digest) AS t ON t.text_digest = p.text_digest
WHERE (p.decision IN ('review', 'refuse', 'held') OR q.source_file IS NOT NULL
       OR (p.decision IN ('accept', 'mapped') AND (l.edition < p.tariff_edition OR t.edition < p.tariff_edition)))
  AND NOT EXISTS (SELECT 1 FROM decisions AS d
                  WHERE d.source_file = p.source_file AND d.source_row = p.source_row
                    AND (d.text_digest IS NOT DISTINCT FROM p.text_digest) AND d.tariff_edition = p.tariff_edition)
  AND NOT EXISTS (SELECT 1 FROM decisions AS d WHERE d.source_file IS NULL AND d.text_digest = p.text_digest
                    AND d.tariff_edition = p.tariff_edition)
ORDER BY p.confidence DESC NULLS LAST, p.source_file, p.source_row
