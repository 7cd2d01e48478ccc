-- purpose: what another threshold would accept and no longer accept, by chapter, in lines and in value
-- reads:   current_predictions
-- yields:  chapter, lines, accepted_lines, gained_lines, lost_lines, accepted_then_lines, gained_texts, gained_value, lost_value
-- param: threshold ratio — the threshold to try, for all headings
-- Gained is what waits for its confidence alone; of it the policy would send a share to the audit sample. Lines of the audit sample
-- stay with people. Lines of a reclassification have a threshold of their own and are left out.
WITH lines AS (
  SELECT substr(hs6, 1, 2) AS chapter, text_digest, value, decision = 'accept' AS accepted,
         decision = 'review' AND confidence >= CAST(CAST($threshold AS DOUBLE) AS REAL)
           AND array_has_all(['below_threshold', 'heading_sure', 'chapter_sure'], reasons) AS gained,
         decision = 'accept' AND confidence < CAST(CAST($threshold AS DOUBLE) AS REAL) AS lost
  FROM current_predictions
  WHERE hs6 IS NOT NULL AND previous_hs6 IS NULL AND decision IN ('accept', 'review')
)
SELECT chapter, count(*) AS lines, count(*) FILTER (WHERE accepted) AS accepted_lines, count(*) FILTER (WHERE gained) AS gained_lines,
       count(*) FILTER (WHERE lost) AS lost_lines, count(*) FILTER (WHERE (accepted AND NOT lost) OR gained) AS accepted_then_lines,
       count(DISTINCT text_digest) FILTER (WHERE gained) AS gained_texts, sum(value) FILTER (WHERE gained) AS gained_value,
       sum(value) FILTER (WHERE lost) AS lost_value
FROM lines
GROUP BY chapter
ORDER BY gained_lines DESC, lost_lines DESC, chapter
