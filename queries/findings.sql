-- purpose: all findings in one form, a row for every line that one concerns; of what changed from one run to another a row for every change, with one of its lines
-- reads:   declared_otherwise, declared_lines, same_text_declared_otherwise, predictions, same_text_in_run, same_text_across_runs, effective_codes, same_text_other_code
-- yields:  kind, finding, finding_lines, finding_value, explained_by, text_digest, description, code, edition, other_codes, other_edition, declared_code, confidence, confidence_heading, confidence_chapter, value, decision, by_person, decided_by, decided_at, model_digest, run_id, run_date, other_decided_by, other_decided_at, other_run_id, other_run_date, line_id, source_file, source_row
SELECT 'declared_otherwise' AS kind, source_file || '#' || CAST(source_row AS VARCHAR) AS finding,
       CAST(1 AS BIGINT) AS finding_lines, value AS finding_value,
       CASE WHEN by_person THEN 'person' ELSE 'model' END AS explained_by, text_digest, description, hs6 AS code,
       tariff_edition AS edition, declared_hs6 AS other_codes, CAST(NULL AS VARCHAR) AS other_edition, declared_code,
       confidence, confidence_heading, confidence_chapter, value, decision, by_person, decided_by, decided_at,
       model_digest, run_id, run_date, CAST(NULL AS VARCHAR) AS other_decided_by,
       arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))') AS other_decided_at,
       CAST(NULL AS VARCHAR) AS other_run_id, CAST(NULL AS DATE) AS other_run_date, line_id, source_file, source_row
FROM declared_otherwise
UNION ALL
SELECT 'same_text_declared_otherwise' AS kind, s.text_digest AS finding, s.lines AS finding_lines,
       s.value AS finding_value, 'declaration' AS explained_by, d.text_digest AS text_digest,
       d.description AS description, d.hs6 AS code, d.tariff_edition AS edition,
       array_to_string(s.declared_codes, ' ') AS other_codes, NULL AS other_edition, d.declared_code AS declared_code,
       d.confidence AS confidence, d.confidence_heading AS confidence_heading,
       d.confidence_chapter AS confidence_chapter, d.value AS value, d.decision AS decision, d.by_person AS by_person,
       d.decided_by AS decided_by, d.decided_at AS decided_at, d.model_digest AS model_digest, d.run_id AS run_id,
       d.run_date AS run_date, NULL AS other_decided_by, NULL AS other_decided_at, NULL AS other_run_id,
       NULL AS other_run_date, d.line_id AS line_id, d.source_file AS source_file, d.source_row AS source_row
FROM declared_lines AS d
JOIN same_text_declared_otherwise AS s ON s.text_digest = d.text_digest
WHERE length(d.declared_hs6) = 6
UNION ALL
SELECT 'same_text_in_run' AS kind, s.run_id || ' ' || s.text_digest AS finding, s.lines AS finding_lines,
       s.value AS finding_value, s.explained_by AS explained_by, p.text_digest AS text_digest,
       p.description AS description, p.hs6 AS code, p.tariff_edition AS edition,
       array_to_string(array_remove_all(s.codes, p.hs6), ' ') AS other_codes, p.tariff_edition AS other_edition,
       p.declared_code AS declared_code, p.confidence AS confidence, p.confidence_heading AS confidence_heading,
       p.confidence_chapter AS confidence_chapter, p.value AS value, p.decision AS decision, false AS by_person,
       p.model_name || '@' || CAST(p.model_version AS VARCHAR) AS decided_by, NULL AS decided_at,
       p.model_digest AS model_digest, p.run_id AS run_id, p.run_date AS run_date, NULL AS other_decided_by,
       NULL AS other_decided_at, p.run_id AS other_run_id, p.run_date AS other_run_date, p.line_id AS line_id,
       p.source_file AS source_file, p.source_row AS source_row
FROM predictions AS p
JOIN same_text_in_run AS s ON s.text_digest = p.text_digest AND s.run_id = p.run_id
WHERE coalesce(p.served, true) AND p.hs6 IS NOT NULL AND p.decision IN ('accept', 'carried', 'mapped')
UNION ALL
SELECT 'same_text_across_runs' AS kind, text_digest || ' ' || event AS finding, lines AS finding_lines,
       value AS finding_value, explained_by, text_digest, description, codes AS code, edition,
       earlier_codes AS other_codes, earlier_edition AS other_edition, declared_code, confidence,
       NULL AS confidence_heading, NULL AS confidence_chapter, value, NULL AS decision, by_person, decided_by,
       CASE WHEN by_person THEN coded_at END AS decided_at, model_digest, run_id, run_date,
       earlier_decided_by AS other_decided_by,
       CASE WHEN earlier_by_person THEN earlier_coded_at END AS other_decided_at, earlier_run_id AS other_run_id,
       earlier_run_date AS other_run_date, line_id, source_file, source_row
FROM same_text_across_runs
UNION ALL
SELECT 'same_text_other_code' AS kind, s.text_digest AS finding, s.lines AS finding_lines, s.value AS finding_value,
       s.explained_by AS explained_by, e.text_digest AS text_digest, e.description AS description, e.hs6 AS code,
       e.tariff_edition AS edition, array_to_string(array_sort(array_remove_all(s.codes, e.hs6)), ' ') AS other_codes,
       NULL AS other_edition, e.declared_code AS declared_code, e.confidence AS confidence,
       e.confidence_heading AS confidence_heading, e.confidence_chapter AS confidence_chapter, e.value AS value,
       e.decision AS decision, e.by_person AS by_person, e.decided_by AS decided_by, e.decided_at AS decided_at,
       e.model_digest AS model_digest, e.run_id AS run_id, e.run_date AS run_date, NULL AS other_decided_by,
       NULL AS other_decided_at, NULL AS other_run_id, NULL AS other_run_date, e.line_id AS line_id,
       e.source_file AS source_file, e.source_row AS source_row
FROM effective_codes AS e
JOIN same_text_other_code AS s ON s.text_digest = e.text_digest
WHERE e.hs6 IS NOT NULL
