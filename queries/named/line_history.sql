-- purpose: every answer that a line got, oldest first: which run, model, tariff and policy, what was decided and why, and which answer counts
-- reads:   predictions, runs
-- yields:  run_date, run_id, command, role, served, counts, model_name, model_version, model_digest, tariff_edition, policy_digest, hs6, confidence, decision, reasons, previous_hs6, declared_code, value, description, text_digest
-- param: file text — URL of the line's file
-- param: row count — position of the line in it, from 0
WITH answers AS (
  SELECT *, coalesce(served, true) AS is_served,
         row_number() OVER (ORDER BY coalesce(served, true) DESC, run_date DESC, run_id DESC) AS place
  FROM predictions
  WHERE source_file = CAST($file AS VARCHAR) AND source_row = CAST($row AS BIGINT)
)
SELECT a.run_date, a.run_id, r.command, coalesce(a.role, 'champion') AS role, a.is_served AS served,
       (a.place = 1 AND a.is_served) AS counts, a.model_name, a.model_version, a.model_digest, a.tariff_edition, a.policy_digest,
       a.hs6, a.confidence, a.decision, a.reasons, a.previous_hs6, a.declared_code, a.value, a.description, a.text_digest
FROM answers AS a
LEFT JOIN runs AS r ON r.run_id = a.run_id
ORDER BY a.run_date, a.run_id, served DESC
