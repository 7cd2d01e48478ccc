-- purpose: what waits for a person, by chapter of the proposed code: lines, texts, value, and the value that is likely to be under a wrong code
-- reads:   review_queue, current_predictions
-- yields:  chapter, lines, texts, lines_with_value, value, value_at_risk, mean_confidence
-- param: edition text = null — edition of the tariff; null is all
-- value_at_risk weighs each value with the probability that its proposed code is wrong; without a code that is 1.
SELECT substr(q.hs6, 1, 2) AS chapter, count(*) AS lines, count(DISTINCT q.text_digest) AS texts,
       count(p.value) AS lines_with_value, sum(p.value) AS value,
       sum(p.value * (1 - coalesce(CAST(q.confidence AS DOUBLE), 0))) AS value_at_risk,
       avg(CAST(q.confidence AS DOUBLE)) AS mean_confidence
FROM review_queue AS q
JOIN current_predictions AS p ON p.source_file = q.source_file AND p.source_row = q.source_row
WHERE CAST($edition AS VARCHAR) IS NULL OR q.tariff_edition = CAST($edition AS VARCHAR)
GROUP BY 1
ORDER BY value_at_risk DESC NULLS LAST, lines DESC, chapter
