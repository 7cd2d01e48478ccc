-- purpose: the lines that a challenger would code differently, the most valuable first, as the newest run has them in which both answered
-- reads:   challenger_differences, predictions
-- yields:  line_id, source_file, source_row, description, text_digest, value, champion, champion_hs6, champion_confidence, champion_decision, challenger, challenger_hs6, challenger_confidence, challenger_decision, run_id
-- param: since date = null — first day of runs that count; null is the first there is
-- param: until date = null — last day of runs that count; null is the last there is
-- param: limit count = 100 — most lines
WITH pairs AS (
  SELECT c.*, p.value, row_number() OVER (PARTITION BY c.source_file, c.source_row ORDER BY c.run_date DESC, c.run_id DESC) AS newest
  FROM challenger_differences AS c
  JOIN predictions AS p ON p.run_id = c.run_id AND p.run_date = c.run_date AND p.source_file = c.source_file
    AND p.source_row = c.source_row AND p.role = 'champion'
  WHERE (c.champion_hs6 IS DISTINCT FROM c.challenger_hs6)
    AND (CAST($since AS DATE) IS NULL OR c.run_date >= CAST($since AS DATE))
    AND (CAST($until AS DATE) IS NULL OR c.run_date <= CAST($until AS DATE))
)
SELECT line_id, source_file, source_row, description, text_digest, value,
       champion_name || '@' || CAST(champion_version AS VARCHAR) AS champion, champion_hs6, champion_confidence, champion_decision,
       challenger_name || '@' || CAST(challenger_version AS VARCHAR) AS challenger, challenger_hs6, challenger_confidence,
       challenger_decision, run_id
FROM pairs
WHERE newest = 1
ORDER BY value DESC NULLS LAST, source_file, source_row
LIMIT CAST($limit AS BIGINT)
