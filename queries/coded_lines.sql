-- purpose: every line with the prediction that counts and what people decided about it: in a later edition before in an earlier one, then on the line before on its text, then binding before newer
-- reads:   current_predictions, decisions
-- yields:  line_id, source_file, source_row, description, text_digest, hs6, confidence, confidence_heading, confidence_chapter, margin, alternatives, decision, reasons, previous_hs6, model_name, model_version, model_digest, tariff_edition, policy_digest, run_id, declared_code, value, role, run_date, decision_id, decided_hs6, decided_edition, decided_by, decided_at, binding
WITH of_line AS (
  SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY source_file, source_row, text_digest ORDER BY tariff_edition DESC, binding DESC, decided_at DESC, decision_id) AS newest
    FROM decisions WHERE source_file IS NOT NULL
  ) AS ranked WHERE newest = 1
),
of_text AS (
  SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY text_digest ORDER BY tariff_edition DESC, binding DESC, decided_at DESC, decision_id) AS newest
    FROM decisions WHERE source_file IS NULL
  ) AS ranked WHERE newest = 1
)
SELECT p.line_id, p.source_file, p.source_row, p.description, p.text_digest, p.hs6, p.confidence, p.confidence_heading,
       p.confidence_chapter, p.margin, p.alternatives, p.decision, p.reasons, p.previous_hs6, p.model_name, p.model_version,
       p.model_digest, p.tariff_edition, p.policy_digest, p.run_id, p.declared_code, p.value, p.role, p.run_date,
       coalesce(l.decision_id, t.decision_id) AS decision_id,
       CASE WHEN l.decision_id IS NOT NULL THEN l.hs6 ELSE t.hs6 END AS decided_hs6,
       coalesce(l.tariff_edition, t.tariff_edition) AS decided_edition,
       coalesce(l.reviewer, t.reviewer) AS decided_by,
       coalesce(l.decided_at, t.decided_at) AS decided_at,
       coalesce(l.binding, t.binding) AS binding
FROM current_predictions AS p
LEFT JOIN of_text AS t ON t.text_digest = p.text_digest
-- A decision on the text in a later edition comes before one on the line.
LEFT JOIN of_line AS l ON l.source_file = p.source_file AND l.source_row = p.source_row
  AND (l.text_digest IS NOT DISTINCT FROM p.text_digest) AND l.tariff_edition >= coalesce(t.tariff_edition, l.tariff_edition)
