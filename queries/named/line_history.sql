-- purpose: every answer that a line got, oldest first: which run, model, tariff and policy, what was decided and why, and which answer counts
-- reads:   predictions, current_predictions, runs
-- yields:  run_date, run_id, command, role, served, counts, model_name, model_version, model_digest, tariff_edition, policy_digest, hs6, confidence, decision, reasons, previous_hs6, declared_code, value, description, text_digest
-- param: file text — URL of the line's file
-- param: row count — position of the line in it, from 0
SELECT p.run_date, p.run_id, r.command, coalesce(p.role, 'champion') AS role, coalesce(p.served, true) AS served,
       (coalesce(p.served, true) AND c.run_id IS NOT NULL) AS counts, p.model_name, p.model_version, p.model_digest, p.tariff_edition,
       p.policy_digest, p.hs6, p.confidence, p.decision, p.reasons, p.previous_hs6, p.declared_code, p.value, p.description,
       p.text_digest
FROM predictions AS p
LEFT JOIN runs AS r ON r.run_id = p.run_id
LEFT JOIN current_predictions AS c ON c.source_file = p.source_file AND c.source_row = p.source_row AND c.run_id = p.run_id
WHERE p.source_file = CAST($file AS VARCHAR) AND p.source_row = CAST($row AS BIGINT)
ORDER BY p.run_date, p.run_id, served DESC
