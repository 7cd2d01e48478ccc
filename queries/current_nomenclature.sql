-- purpose: the codes of every schedule and edition, as its newest import has them
-- reads:   nomenclature
-- yields:  schedule, edition, code, level, parent, description, language, section, valid_from, valid_to, source, import_id
SELECT n.schedule, n.edition, n.code, n.level, n.parent, n.description, n.language, n.section, n.valid_from, n.valid_to,
       n.source, n.import_id
FROM nomenclature AS n
JOIN (SELECT schedule AS s, edition AS e, max(import_id) AS newest FROM nomenclature GROUP BY schedule, edition) AS i
  ON n.schedule = i.s AND n.edition = i.e AND n.import_id = i.newest
