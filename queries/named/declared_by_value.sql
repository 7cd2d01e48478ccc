-- purpose: declared against decided or predicted: between which headings lines were declared otherwise, the most valuable first
-- reads:   declared_otherwise
-- yields:  declared_heading, heading, same_chapter, lines, texts, lines_with_value, value, mean_confidence
-- param: confidence ratio = 0.9 — least confidence of a prediction; what a person decided counts without
-- param: limit count = 100 — most pairs of headings
-- Inside one heading the subheadings differ.
SELECT substr(declared_hs6, 1, 4) AS declared_heading, substr(hs6, 1, 4) AS heading,
       bool_and(same_chapter) AS same_chapter, count(*) AS lines, count(DISTINCT text_digest) AS texts,
       count(value) AS lines_with_value, sum(value) AS value, avg(CAST(confidence AS DOUBLE)) AS mean_confidence
FROM declared_otherwise
WHERE by_person OR confidence >= CAST(CAST($confidence AS DOUBLE) AS REAL)
GROUP BY 1, 2
ORDER BY value DESC NULLS LAST, lines DESC, declared_heading, heading
LIMIT CAST($limit AS BIGINT)
