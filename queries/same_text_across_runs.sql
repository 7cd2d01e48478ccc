-- purpose: equal goods that had one code and then another, by run or by person, and what explains it: the edition, a person, the model, or nothing that is written down; lines and value are those of the text as it stands now
-- reads:   predictions, decisions, runs, current_predictions
-- yields:  text_digest, description, codes, edition, by_person, decided_by, coded_at, confidence, model_digest, run_id, run_date, event, earlier_codes, earlier_edition, earlier_by_person, earlier_decided_by, earlier_coded_at, earlier_run_id, earlier_run_date, explained_by, lines, value, line_id, source_file, source_row, declared_code
WITH stood AS (
  SELECT * FROM predictions
  WHERE coalesce(served, true) AND hs6 IS NOT NULL AND text_digest IS NOT NULL AND decision IN ('accept', 'carried', 'mapped')
),
decided AS (SELECT * FROM decisions WHERE hs6 IS NOT NULL AND text_digest IS NOT NULL),
-- The distinct values of every text would not fit into memory.
several AS (
  SELECT text_digest FROM (SELECT text_digest, hs6 FROM stood UNION ALL SELECT text_digest, hs6 FROM decided) AS codes
  GROUP BY text_digest HAVING min(hs6) <> max(hs6)
),
answers AS (
  SELECT p.text_digest, p.source_file, p.source_row, p.hs6, p.tariff_edition, p.confidence, p.model_digest, p.run_id, p.run_date,
         p.model_name || '@' || CAST(p.model_version AS VARCHAR) AS model,
         coalesce(r.started_at, arrow_cast(p.run_date, 'Timestamp(Microsecond, Some("UTC"))')) AS coded_at
  FROM stood AS p
  LEFT JOIN runs AS r ON r.run_id = p.run_id
  WHERE p.text_digest IN (SELECT text_digest FROM several)
),
events AS (
  SELECT a.text_digest, a.coded_at, a.run_id AS event, false AS by_person,
         array_to_string(array_sort(array_agg(DISTINCT a.hs6)), ' ') AS codes, min(a.tariff_edition) AS edition,
         min(a.model) AS decided_by, min(a.model_digest) AS model_digest, min(a.confidence) AS confidence, a.run_id, a.run_date
  FROM answers AS a
  -- What a person had decided by then stood, whatever the model said.
  WHERE NOT EXISTS (SELECT 1 FROM decisions AS d
                    WHERE d.text_digest = a.text_digest AND d.tariff_edition = a.tariff_edition AND d.decided_at <= a.coded_at
                      AND (d.source_file IS NULL OR (d.source_file = a.source_file AND d.source_row = a.source_row)))
  GROUP BY a.text_digest, a.coded_at, a.run_id, a.run_date
  UNION ALL
  SELECT text_digest, decided_at, decision_id, true, hs6, tariff_edition, reviewer, CAST(NULL AS VARCHAR), CAST(NULL AS REAL),
         CAST(NULL AS VARCHAR), CAST(decided_at AS DATE)
  FROM decided
),
steps AS (
  SELECT *, lag(codes) OVER w AS earlier_codes, lag(edition) OVER w AS earlier_edition, lag(by_person) OVER w AS earlier_by_person,
         lag(decided_by) OVER w AS earlier_decided_by, lag(model_digest) OVER w AS earlier_model_digest,
         lag(coded_at) OVER w AS earlier_coded_at, lag(run_id) OVER w AS earlier_run_id, lag(run_date) OVER w AS earlier_run_date
  FROM events
  WINDOW w AS (PARTITION BY text_digest ORDER BY coded_at, event)
),
changed AS (SELECT * FROM steps WHERE codes <> earlier_codes),
now AS (
  SELECT text_digest, min(description) AS description, count(*) AS lines, sum(value) AS value,
         first_value(line_id ORDER BY source_file, source_row) AS line_id,
         first_value(source_file ORDER BY source_file, source_row) AS source_file,
         first_value(source_row ORDER BY source_file, source_row) AS source_row,
         first_value(declared_code ORDER BY source_file, source_row) AS declared_code
  FROM current_predictions
  WHERE text_digest IN (SELECT text_digest FROM changed)
  GROUP BY text_digest
)
SELECT c.text_digest, n.description, c.codes, c.edition, c.by_person, c.decided_by, c.coded_at, c.confidence, c.model_digest, c.run_id,
       c.run_date, c.event, c.earlier_codes, c.earlier_edition, c.earlier_by_person, c.earlier_decided_by, c.earlier_coded_at,
       c.earlier_run_id, c.earlier_run_date,
       CASE WHEN c.edition <> c.earlier_edition THEN 'edition'
            WHEN c.by_person OR c.earlier_by_person THEN 'person'
            WHEN c.model_digest <> c.earlier_model_digest THEN 'model' ELSE 'unexplained' END AS explained_by,
       coalesce(n.lines, 0) AS lines, n.value, n.line_id, n.source_file, n.source_row, n.declared_code
FROM changed AS c
LEFT JOIN now AS n ON n.text_digest = c.text_digest
