-- purpose: the code that counts for every line: a person's decision before the model's, an accepted prediction else
-- reads:   current_predictions, decisions
-- yields:  line_id, source_file, source_row, text_digest, hs6, tariff_edition, decided_by, decided_at, decision, confidence, model_name, model_version, run_id
WITH of_line AS (
  SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY source_file, source_row, text_digest ORDER BY binding DESC, decided_at DESC, decision_id) AS newest
    FROM decisions WHERE source_file IS NOT NULL
  ) AS ranked WHERE newest = 1
),
of_text AS (
  SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY text_digest ORDER BY binding DESC, decided_at DESC, decision_id) AS newest
    FROM decisions WHERE source_file IS NULL
  ) AS ranked WHERE newest = 1
)
SELECT p.line_id, p.source_file, p.source_row, p.text_digest,
       CASE WHEN l.decision_id IS NOT NULL THEN l.hs6
            WHEN t.decision_id IS NOT NULL THEN t.hs6
            WHEN p.decision IN ('accept', 'carried', 'mapped') THEN p.hs6 END AS hs6,
       coalesce(l.tariff_edition, t.tariff_edition, p.tariff_edition) AS tariff_edition,
       CASE WHEN l.decision_id IS NOT NULL THEN l.reviewer
            WHEN t.decision_id IS NOT NULL THEN t.reviewer
            WHEN p.decision IN ('accept', 'carried', 'mapped')
            THEN p.model_name || '@' || CAST(p.model_version AS VARCHAR) END AS decided_by,
       coalesce(l.decided_at, t.decided_at) AS decided_at,
       p.decision, p.confidence, p.model_name, p.model_version, p.run_id
FROM current_predictions AS p
LEFT JOIN of_line AS l ON l.source_file = p.source_file AND l.source_row = p.source_row
  AND l.text_digest IS NOT DISTINCT FROM p.text_digest
LEFT JOIN of_text AS t ON t.text_digest = p.text_digest
