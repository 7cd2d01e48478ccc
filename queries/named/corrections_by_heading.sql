-- purpose: from which heading to which people move what the model showed, the most frequent first
-- reads:   decisions
-- yields:  from_heading, to_heading, decisions, texts, reviewers, mean_shown_confidence, from_heading_decisions, moved_ratio
-- param: since date = null — first day of decisions that count; null is the first there is
-- param: until date = null — last day of decisions that count; null is the last there is
-- param: limit count = 100 — most rows
-- Inside one heading the subheading was corrected; to_heading is null where the text is unclassifiable. moved_ratio is of all
-- decisions that were shown a code of from_heading.
WITH shown AS (
  SELECT substr(shown_hs6, 1, 4) AS from_heading, substr(hs6, 1, 4) AS to_heading, (hs6 IS DISTINCT FROM shown_hs6) AS moved,
         text_digest, reviewer, shown_confidence
  FROM decisions
  WHERE shown_hs6 IS NOT NULL
    AND (CAST($since AS DATE) IS NULL OR CAST(decided_at AS DATE) >= CAST($since AS DATE))
    AND (CAST($until AS DATE) IS NULL OR CAST(decided_at AS DATE) <= CAST($until AS DATE))
),
moved AS (
  SELECT from_heading, to_heading, count(*) AS decisions, count(DISTINCT text_digest) AS texts,
         count(DISTINCT reviewer) AS reviewers, avg(CAST(shown_confidence AS DOUBLE)) AS mean_shown_confidence
  FROM shown
  WHERE moved
  GROUP BY 1, 2
),
headings AS (
  SELECT from_heading, count(*) AS decisions FROM shown GROUP BY 1
)
SELECT m.from_heading, m.to_heading, m.decisions, m.texts, m.reviewers, m.mean_shown_confidence,
       h.decisions AS from_heading_decisions, CAST(m.decisions AS DOUBLE) / h.decisions AS moved_ratio
FROM moved AS m
JOIN headings AS h ON h.from_heading = m.from_heading
ORDER BY m.decisions DESC, m.from_heading, m.to_heading
LIMIT CAST($limit AS BIGINT)
