-- purpose: the pairs of codes that share goods between two editions, as the newest import has them
-- reads:   correlations
-- yields:  from_edition, to_edition, from_code, to_code, relationship, partial, source, import_id
SELECT c.from_edition, c.to_edition, c.from_code, c.to_code, c.relationship, c.partial, c.source, c.import_id
FROM correlations AS c
JOIN (SELECT from_edition AS f, to_edition AS t, max(import_id) AS newest FROM correlations
      GROUP BY from_edition, to_edition) AS i
  ON c.from_edition = i.f AND c.to_edition = i.t AND c.import_id = i.newest
