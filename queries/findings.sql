-- purpose: all findings in one form, a row for every line that one concerns; of what changed from one run to another a row for every change, with one of its lines
-- reads:   declared_otherwise, declared_lines, same_text_declared_otherwise, predictions, same_text_in_run, same_text_across_runs, effective_codes, same_text_other_code
-- yields:  kind, finding, finding_lines, finding_value, explained_by, text_digest, description, code, edition, other_codes, other_edition, declared_code, confidence, confidence_heading, confidence_chapter, value, decision, by_person, decided_by, decided_at, model_digest, run_id, run_date, other_decided_by, other_decided_at, other_run_id, other_run_date, line_id, source_file, source_row
SELECT 'declared_otherwise' AS kind, source_file || '#' || CAST(source_row AS VARCHAR) AS finding,
       CAST(1 AS BIGINT) AS finding_lines, value AS finding_value,
       CASE WHEN by_person THEN 'person' ELSE 'model' END AS explained_by, text_digest, description, hs6 AS code,
       tariff_edition AS edition, declared_hs6 AS other_codes, CAST(NULL AS VARCHAR) AS other_edition, declared_code, confidence,
       confidence_heading, confidence_chapter, value, decision, by_person, decided_by, decided_at, model_digest, run_id, run_date,
       CAST(NULL AS VARCHAR) AS other_decided_by, arrow_cast(NULL, 'Timestamp(Microsecond, Some("UTC"))') AS other_decided_at,
       CAST(NULL AS VARCHAR) AS other_run_id, CAST(NULL AS DATE) AS other_run_date, line_id, source_file, source_row
FROM declared_otherwise
UNION ALL
SELECT 'same_text_declared_otherwise', s.text_digest, s.lines, s.value, 'declaration', d.text_digest, d.description, d.hs6,
       d.tariff_edition, array_to_string(s.declared_codes, ' '), NULL, d.declared_code, d.confidence, d.confidence_heading,
       d.confidence_chapter, d.value, d.decision, d.by_person, d.decided_by, d.decided_at, d.model_digest, d.run_id, d.run_date,
       NULL, NULL, NULL, NULL, d.line_id, d.source_file, d.source_row
FROM declared_lines AS d
JOIN same_text_declared_otherwise AS s ON s.text_digest = d.text_digest
WHERE length(d.declared_hs6) = 6
UNION ALL
SELECT 'same_text_in_run', s.run_id || ' ' || s.text_digest, s.lines, s.value, s.explained_by, p.text_digest, p.description, p.hs6,
       p.tariff_edition, array_to_string(array_remove_all(s.codes, p.hs6), ' '), p.tariff_edition, p.declared_code, p.confidence,
       p.confidence_heading, p.confidence_chapter, p.value, p.decision, false,
       p.model_name || '@' || CAST(p.model_version AS VARCHAR), NULL, p.model_digest, p.run_id, p.run_date,
       NULL, NULL, p.run_id, p.run_date, p.line_id, p.source_file, p.source_row
FROM predictions AS p
JOIN same_text_in_run AS s ON s.text_digest = p.text_digest AND s.run_id = p.run_id
WHERE coalesce(p.served, true) AND p.hs6 IS NOT NULL AND p.decision IN ('accept', 'carried', 'mapped')
UNION ALL
SELECT 'same_text_across_runs', text_digest || ' ' || event, lines, value, explained_by, text_digest, description, codes, edition,
       earlier_codes, earlier_edition, declared_code, confidence, NULL, NULL, value, NULL, by_person, decided_by,
       CASE WHEN by_person THEN coded_at END, model_digest, run_id, run_date, earlier_decided_by,
       CASE WHEN earlier_by_person THEN earlier_coded_at END, earlier_run_id, earlier_run_date, line_id, source_file, source_row
FROM same_text_across_runs
UNION ALL
SELECT 'same_text_other_code', s.text_digest, s.lines, s.value, s.explained_by, e.text_digest, e.description, e.hs6, e.tariff_edition,
       array_to_string(array_sort(array_remove_all(s.codes, e.hs6)), ' '), NULL, e.declared_code, e.confidence,
       e.confidence_heading, e.confidence_chapter, e.value, e.decision, e.by_person, e.decided_by, e.decided_at, e.model_digest,
       e.run_id, e.run_date, NULL, NULL, NULL, NULL, e.line_id, e.source_file, e.source_row
FROM effective_codes AS e
JOIN same_text_other_code AS s ON s.text_digest = e.text_digest
WHERE e.hs6 IS NOT NULL
