-- purpose: the codes of every schedule and edition, as its newest import has them; an import whose correlations are not there yet does not count
-- reads:   nomenclature, correlations
-- yields:  schedule, edition, code, level, parent, description, language, section, valid_from, valid_to, source, import_id
WITH complete AS (
  SELECT DISTINCT completes FROM correlations WHERE completes IS NOT NULL
),
whole AS (
  SELECT n.* FROM nomenclature AS n LEFT JOIN complete AS c ON c.completes = n.awaits
  WHERE n.awaits IS NULL OR c.completes IS NOT NULL
)
SELECT n.schedule, n.edition, n.code, n.level, n.parent, n.description, n.language, n.section, n.valid_from, n.valid_to,
       n.source, n.import_id
FROM whole AS n
JOIN (SELECT schedule AS s, edition AS e, max(import_id) AS newest FROM whole GROUP BY schedule, edition) AS i
  ON n.schedule = i.s AND n.edition = i.e AND n.import_id = i.newest
