-- purpose: what each person decided in a period
-- reads:   decisions
-- yields:  reviewer, decisions, for_texts, confirmed, corrected, unclassifiable, binding, texts, days, first_day, last_day
-- param: since date = null — first day; null is the first there is
-- param: until date = null — last day; null is the last there is
-- for_texts are decisions for every line of a text; the others are for one line.
SELECT reviewer, count(*) AS decisions, count(*) FILTER (WHERE source_file IS NULL) AS for_texts,
       count(*) FILTER (WHERE verdict = 'confirm') AS confirmed, count(*) FILTER (WHERE verdict = 'correct') AS corrected,
       count(*) FILTER (WHERE verdict = 'unclassifiable') AS unclassifiable, count(*) FILTER (WHERE binding) AS binding,
       count(DISTINCT text_digest) AS texts, count(DISTINCT CAST(decided_at AS DATE)) AS days,
       min(CAST(decided_at AS DATE)) AS first_day, max(CAST(decided_at AS DATE)) AS last_day
FROM decisions
WHERE (CAST($since AS DATE) IS NULL OR CAST(decided_at AS DATE) >= CAST($since AS DATE))
  AND (CAST($until AS DATE) IS NULL OR CAST(decided_at AS DATE) <= CAST($until AS DATE))
GROUP BY reviewer
ORDER BY decisions DESC, reviewer
