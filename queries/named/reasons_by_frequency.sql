-- purpose: why lines are not simply accepted, the most frequent reason first
-- reads:   current_predictions
-- yields:  reason, lines, line_ratio, texts, value, mean_confidence
-- param: edition text = null — edition of the tariff; null is all
-- A line with two reasons counts under both; line_ratio is of all lines, accepted ones too.
WITH lines AS (
  SELECT reasons, text_digest, value, confidence
  FROM current_predictions
  WHERE CAST($edition AS VARCHAR) IS NULL OR tariff_edition = CAST($edition AS VARCHAR)
),
reasons AS (
  SELECT unnest(reasons) AS reason, text_digest, value, confidence FROM lines
)
SELECT reason, count(*) AS lines, CAST(count(*) AS DOUBLE) / (SELECT count(*) FROM lines) AS line_ratio,
       count(DISTINCT text_digest) AS texts, sum(value) AS value, avg(CAST(confidence AS DOUBLE)) AS mean_confidence
FROM reasons
GROUP BY reason
ORDER BY lines DESC, reason
