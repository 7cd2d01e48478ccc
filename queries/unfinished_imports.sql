-- purpose: nomenclatures of a call that ended before its correlations were visible, and that nothing newer took the place of: they do not count
-- reads:   nomenclature, correlations, current_nomenclature
-- yields:  schedule, edition, source, import_id
SELECT DISTINCT n.schedule, n.edition, n.source, n.import_id
FROM nomenclature AS n
LEFT JOIN (SELECT DISTINCT completes FROM correlations WHERE completes IS NOT NULL) AS c ON c.completes = n.awaits
LEFT JOIN (SELECT schedule AS s, edition AS e, max(import_id) AS newest FROM current_nomenclature
           GROUP BY schedule, edition) AS i ON n.schedule = i.s AND n.edition = i.e
WHERE n.awaits IS NOT NULL AND c.completes IS NULL AND (i.newest IS NULL OR n.import_id > i.newest)
