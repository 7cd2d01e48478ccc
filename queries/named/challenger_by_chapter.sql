-- purpose: champion against challenger by chapter of the champion's code: on how many lines they differ, who accepts them, and who is right where people decided
-- reads:   challenger_differences, decisions, runs
-- yields:  champion, challenger, chapter, lines, other_code, other_heading, other_chapter, champion_alone_accepts, challenger_alone_accepts, decided_texts, champion_right, challenger_right
-- param: since date = null — first day of runs that count; null is the first there is
-- param: until date = null — last day of runs that count; null is the last there is
-- Rows of runs in which both answered and differ in code or decision. The last three count texts with different codes, by the
-- newest decision of the text in the edition of the run.
WITH decided AS (
  SELECT text_digest, tariff_edition, hs6,
         row_number() OVER (PARTITION BY text_digest, tariff_edition ORDER BY binding DESC, decided_at DESC, decision_id) AS newest
  FROM decisions
  WHERE text_digest IS NOT NULL AND hs6 IS NOT NULL
),
pairs AS (
  SELECT c.*, (c.champion_hs6 IS DISTINCT FROM c.challenger_hs6) AS other, d.hs6 AS decided_hs6
  FROM challenger_differences AS c
  LEFT JOIN runs AS r ON r.run_id = c.run_id
  LEFT JOIN decided AS d ON d.text_digest = c.text_digest AND d.tariff_edition = r.tariff_edition AND d.newest = 1
  WHERE (CAST($since AS DATE) IS NULL OR c.run_date >= CAST($since AS DATE))
    AND (CAST($until AS DATE) IS NULL OR c.run_date <= CAST($until AS DATE))
)
SELECT champion_name || '@' || CAST(champion_version AS VARCHAR) AS champion,
       challenger_name || '@' || CAST(challenger_version AS VARCHAR) AS challenger,
       substr(champion_hs6, 1, 2) AS chapter, count(*) AS lines, count(*) FILTER (WHERE other) AS other_code,
       count(*) FILTER (WHERE substr(champion_hs6, 1, 4) IS DISTINCT FROM substr(challenger_hs6, 1, 4)) AS other_heading,
       count(*) FILTER (WHERE substr(champion_hs6, 1, 2) IS DISTINCT FROM substr(challenger_hs6, 1, 2)) AS other_chapter,
       count(*) FILTER (WHERE champion_decision = 'accept' AND challenger_decision <> 'accept') AS champion_alone_accepts,
       count(*) FILTER (WHERE challenger_decision = 'accept' AND champion_decision <> 'accept') AS challenger_alone_accepts,
       count(DISTINCT text_digest) FILTER (WHERE other AND decided_hs6 IS NOT NULL) AS decided_texts,
       count(DISTINCT text_digest) FILTER (WHERE other AND decided_hs6 = champion_hs6) AS champion_right,
       count(DISTINCT text_digest) FILTER (WHERE other AND decided_hs6 = challenger_hs6) AS challenger_right
FROM pairs
GROUP BY 1, 2, 3
ORDER BY champion, challenger, lines DESC, chapter
