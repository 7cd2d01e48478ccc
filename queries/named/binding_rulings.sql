-- purpose: codes that rest on binding rulings: the lines under each, and where the model sees it otherwise
-- reads:   coded_lines
-- yields:  decided_hs6, decided_edition, decided_by, lines, texts, value, model_differs_lines, model_differs_value, held_lines, first_decided_at, last_decided_at
-- param: code text = null — code of the ruling, or its heading or chapter; null is all
SELECT decided_hs6, decided_edition, decided_by, count(*) AS lines, count(DISTINCT text_digest) AS texts, sum(value) AS value,
       count(*) FILTER (WHERE (hs6 IS DISTINCT FROM decided_hs6)) AS model_differs_lines,
       sum(value) FILTER (WHERE (hs6 IS DISTINCT FROM decided_hs6)) AS model_differs_value,
       count(*) FILTER (WHERE decision = 'held') AS held_lines, min(decided_at) AS first_decided_at, max(decided_at) AS last_decided_at
FROM coded_lines
WHERE binding AND (CAST($code AS VARCHAR) IS NULL OR starts_with(decided_hs6, CAST($code AS VARCHAR)))
GROUP BY 1, 2, 3
ORDER BY lines DESC, decided_hs6, decided_edition, decided_by
