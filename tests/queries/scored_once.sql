-- Queries that ask a model, and how many lines each may score.
--
-- The tables, made by tests/scored_once.rs:
--   lines    1,200 rows in Parquet files by month: id 0 to 1,199; d a description; x = id % 10; value = id * 1.5;
--            declared '850110', null where id % 3 = 1 (400 rows); tags a list of id % 3 texts; month = id % 4 + 1
--   small    the first 210 lines in memory: id, kind = one of 7 texts by id % 7, as a dictionary
--   flagged  line_id: 0, 20, 40, ... 1,180 (60 rows)
--   days     month and name: (1, 'Jan') to (4, 'Apr')
--   codes    code: some that the model gives
-- The session's model is hs@1; hs@2 gives the same answers.
--
-- A case is a header and statements. `name` says what it is, `scored` how many lines hs@1 may answer (exactly, or
-- `at most N`), `other` how many hs@2 may (0 unless said), `texts` how many texts may go through the network of hs@1 where it is
-- asked for choices within codes alone, `why` how the number comes about where it is not plain.
-- The last statement's rows are compared with those of a session without the rule, in their order where `rows: ordered`, and not
-- at all where `rows: some`, because the query leaves open which; there is one, but where `rows: none`. {dir} is a folder.

-- name: two fields
-- scored: 1200
SELECT id, hs_predict(d)['hs6'], hs_predict(d)['confidence'] FROM lines

-- name: four fields in brackets, and the whole
-- scored: 1200
SELECT id, hs_predict(d)['hs6'], hs_predict(d)['margin'], hs_predict(d)['decision'], hs_predict(d)['reasons'], hs_predict(d) AS p
FROM lines

-- name: one field in SELECT, another in WHERE
-- scored: 1200
SELECT id, hs_predict(d)['hs6'] FROM lines WHERE hs_predict(d)['confidence'] > 0.5

-- name: a condition on another column comes first, written first
-- scored: 360
SELECT id, hs_predict(d)['hs6'] FROM lines WHERE x < 3 AND hs_predict(d)['confidence'] > 0.5

-- name: a condition on another column comes first, written last
-- scored: 360
SELECT id, hs_predict(d)['hs6'] FROM lines WHERE hs_predict(d)['confidence'] > 0.5 AND x < 3

-- name: three conditions on answers
-- scored: 360
SELECT id FROM lines
WHERE hs_predict(d)['confidence'] > 0.2 AND hs_predict(d)['hs6'] IN ('850110', '847130', '392690', '732690') AND x < 3
  AND hs_predict(d)['decision'] <> 'refuse'

-- name: a range and a list of codes
-- scored: 1200
SELECT id FROM lines WHERE hs_predict(d)['hs6'] BETWEEN '84' AND '86' OR hs_predict(d)['hs6'] IN ('392690', '732690', '940360', '610910')

-- name: order by an answer
-- scored: 1200
-- rows: ordered
SELECT id, hs_predict(d)['hs6'] FROM lines ORDER BY hs_predict(d)['confidence'] DESC, id LIMIT 5

-- name: order by another column and a limit
-- scored: 7
-- rows: ordered
SELECT id, hs_predict(d)['hs6'], hs_predict(d)['confidence'] FROM lines ORDER BY value DESC LIMIT 7

-- name: order by another column, with an offset
-- scored: 5
-- rows: ordered
SELECT id, hs_predict(d)['hs6'] FROM lines ORDER BY value DESC LIMIT 5 OFFSET 10

-- name: a limit alone
-- scored: 3
-- rows: some
SELECT id, hs_predict(d)['hs6'] FROM lines LIMIT 3

-- name: a limit and an offset alone
-- scored: at most 7
-- why: a scan may pass over the first lines by itself
-- rows: some
SELECT id, hs_predict(d)['hs6'] FROM lines LIMIT 3 OFFSET 4

-- name: a limit over a condition on an answer stops after some batches
-- scored: at most 384
-- why: batches of 64, each of two partitions asks for the next before it is told to stop
-- rows: some
SET datafusion.execution.batch_size = 64;
SELECT id, hs_predict(d)['hs6'] FROM lines WHERE hs_predict(d)['decision'] IS NOT NULL LIMIT 3

-- name: group by an answer
-- scored: 1200
SELECT hs_predict(d)['hs6'] AS code, count(*) AS n, avg(hs_predict(d)['confidence']) AS mean FROM lines GROUP BY 1

-- name: group by an answer, with a condition on the groups
-- scored: 600
SELECT hs_predict(d)['hs6'], count(*), max(hs_predict(d)['confidence']) FROM lines WHERE x < 5
GROUP BY hs_predict(d)['hs6'] HAVING hs_predict(d)['hs6'] > '5' AND min(hs_predict(d)['confidence']) < 0.9

-- name: groups of several levels
-- scored: 1200
SELECT substr(hs_predict(d)['hs6'], 1, 2) AS chapter, month, count(*) AS n FROM lines GROUP BY ROLLUP (substr(hs_predict(d)['hs6'], 1, 2), month)

-- name: groups of several levels by two fields
-- scored: 120
SELECT hs_predict(d)['decision'], hs_predict(d)['hs6'], count(*), grouping(hs_predict(d)['hs6']) FROM lines WHERE x = 2
GROUP BY GROUPING SETS ((hs_predict(d)['decision']), (hs_predict(d)['decision'], hs_predict(d)['hs6']), ())

-- name: distinct answers counted
-- scored: 1200
SELECT count(DISTINCT hs_predict(d)['hs6']), count(DISTINCT hs_predict(d)['decision']), count(*) FROM lines

-- name: an aggregate of some lines
-- scored: 300
SELECT count(hs_predict(d)['hs6']) FILTER (WHERE month = 2) AS n, count(*) AS lines FROM lines

-- name: aggregates of lines by other conditions
-- scored: 600
SELECT count(hs_predict(d)['hs6']) FILTER (WHERE month = 2) AS feb, max(hs_predict(d)['confidence']) FILTER (WHERE month = 3) AS mar FROM lines

-- name: the whole answer as a group
-- scored: 120
-- why: the groups have their texts with them, and a group's text is one that was scored
SELECT hs_predict(d)['hs6'], n FROM (SELECT hs_predict(d) AS p, d, count(*) AS n FROM lines WHERE x = 1 GROUP BY hs_predict(d), d) WHERE n > 0

-- name: CASE by an answer
-- scored: 1200
SELECT id, CASE WHEN hs_predict(d)['confidence'] > 0.9 THEN hs_predict(d)['hs6'] WHEN hs_predict(d)['confidence'] > 0.5 THEN substr(hs_predict(d)['hs6'], 1, 4)
       ELSE 'none' END AS code FROM lines

-- name: CASE by another column asks for its lines
-- scored: 300
SELECT id, CASE WHEN month = 2 THEN hs_predict(d)['hs6'] END AS code FROM lines

-- name: two fields under one condition
-- scored: 300
SELECT id, CASE WHEN month = 2 THEN hs_predict(d)['hs6'] END AS code, CASE WHEN month = 2 THEN hs_predict(d)['confidence'] END AS sure FROM lines

-- name: fields under two conditions
-- scored: 360
-- why: of x = 1 and x = 2 are 120 each, of x = 4 another 120
SELECT id, CASE WHEN x = 1 THEN hs_code(d) WHEN x = 2 THEN hs_predict(d)['decision'] END AS a, CASE WHEN x = 2 THEN hs_code(d) WHEN x = 4 THEN 'four ' || hs_code(d) END AS b
FROM lines

-- name: a call in a later condition
-- scored: 600
SELECT id, CASE WHEN x < 5 THEN 'low' WHEN hs_confidence(d) > 0.5 THEN hs_code(d) ELSE 'high' END AS code FROM lines

-- name: a number of codes that only some lines may ask for
-- scored: 600
-- why: for x = 0 and x > 5 hs_topk fails
SELECT id, CASE WHEN x BETWEEN 1 AND 5 THEN hs_topk(d, x) END AS choices FROM lines

-- name: a number of codes under two conditions
-- scored: 360
SELECT id, CASE WHEN x = 1 THEN hs_topk(d, x) END AS a, CASE WHEN x = 2 OR x = 3 THEN hs_topk(d, x) END AS b FROM lines

-- name: a condition within a condition
-- scored: 60
-- why: month 2 is id % 4 = 1, of which x is 1 where id % 20 = 1
SELECT id, CASE WHEN month = 2 THEN CASE WHEN x < 3 THEN hs_predict(d)['hs6'] ELSE 'no' END ELSE 'none' END AS code FROM lines

-- name: a condition that would fail on the other lines
-- scored: 120
-- why: 60 / x is 60 where x is 1 alone
SELECT id, CASE WHEN x = 0 THEN 'none' WHEN 60 / x > 59 THEN hs_predict(d)['hs6'] END AS code FROM lines

-- name: some lines first and the rest when they are needed
-- scored: 1200
-- rows: ordered
SELECT id, code FROM (SELECT id, d, CASE WHEN month = 2 THEN hs_predict(d)['hs6'] END AS code FROM lines)
WHERE coalesce(code, 'x') > '3' ORDER BY hs_predict(d)['confidence'], id

-- name: some lines first, and no others are left
-- scored: 300
-- rows: ordered
SELECT id, code FROM (SELECT id, d, CASE WHEN month = 2 THEN hs_predict(d)['decision'] END AS code FROM lines)
WHERE code IS NOT NULL ORDER BY hs_predict(d)['confidence'], id

-- name: COALESCE asks for what is null
-- scored: 400
SELECT id, coalesce(declared, hs_predict(d)['hs6']) AS code FROM lines

-- name: COALESCE in a condition
-- scored: 400
SELECT id FROM lines WHERE coalesce(declared, hs_predict(d)['hs6']) = '850110'

-- name: COALESCE of answers
-- scored: 1200
SELECT id, coalesce(hs_predict(d)['hs6'], hs_predict(d)['decision'], 'x') AS code FROM lines

-- name: OR asks for the lines that are left
-- scored: 600
SELECT id FROM lines WHERE x < 5 OR hs_predict(d)['confidence'] > 0.5

-- name: NOT over AND
-- scored: 840
-- why: x < 3 settles it for 360
SELECT id FROM lines WHERE NOT (x >= 3 AND hs_predict(d)['confidence'] > 0.5)

-- name: a join with a dimension that is filtered
-- scored: 300
SELECT l.id, n.name, hs_predict(l.d)['hs6'] FROM lines AS l JOIN days AS n ON l.month = n.month WHERE n.name = 'Feb'

-- name: a selective join, with a condition on an answer
-- scored: 60
SELECT l.id, hs_predict(l.d)['hs6'] FROM lines AS l JOIN flagged AS f ON l.id = f.line_id WHERE hs_predict(l.d)['confidence'] > 0.1

-- name: a selective join over a view that scores
-- scored: 60
WITH p AS (SELECT id, x, hs_predict(d) AS p FROM lines)
SELECT p.id, p.p['hs6'], p.p['confidence'] FROM p JOIN flagged AS f ON p.id = f.line_id WHERE p.p['confidence'] > 0.1

-- name: join on an answer
-- scored: 1200
SELECT l.id, c.code, hs_predict(l.d)['confidence'] FROM lines AS l JOIN codes AS c ON hs_predict(l.d)['hs6'] = c.code

-- name: join on an answer and another column
-- scored: 300
SELECT l.id, n.name, hs_predict(l.d)['hs6'] FROM lines AS l JOIN days AS n ON l.month = n.month AND hs_predict(l.d)['confidence'] > 0.3
WHERE n.name = 'Feb'

-- name: join on an answer and on a key
-- scored: at most 1200
-- why: what the hash join learns of the other side may drop lines before
SELECT l.id, hs_predict(l.d)['confidence'] FROM lines AS l
JOIN (SELECT line_id, '850110' AS code FROM flagged) AS f ON l.id = f.line_id AND hs_predict(l.d)['hs6'] >= f.code

-- name: two sides, each scored
-- scored: 240
SELECT a.id AS a, b.id AS b, hs_predict(a.d)['confidence'], hs_predict(b.d)['confidence']
FROM lines AS a JOIN lines AS b ON hs_predict(a.d)['hs6'] = hs_predict(b.d)['hs6'] WHERE a.x = 1 AND b.x = 2

-- name: a text of both sides
-- scored: 60
SELECT l.id, hs_predict(l.d || f.note)['hs6'], hs_predict(l.d || f.note)['confidence']
FROM lines AS l JOIN (SELECT line_id, 'of steel' AS note FROM flagged) AS f ON l.id = f.line_id AND hs_predict(l.d || f.note)['confidence'] > 0.1

-- name: a join without keys
-- scored: 360
SELECT l.id, hs_predict(l.d)['hs6'] FROM lines AS l, (SELECT max(x) - 7 AS lo FROM lines WHERE x > 8) AS p
WHERE l.x <= p.lo AND hs_predict(l.d)['confidence'] > 0.1

-- name: a left join for what is missing
-- scored: 1140
SELECT l.id, hs_predict(l.d)['hs6'] FROM lines AS l LEFT JOIN flagged AS f ON l.id = f.line_id WHERE f.line_id IS NULL

-- name: a left join with a condition on an answer
-- scored: 1200
SELECT l.id, f.line_id, hs_predict(l.d)['hs6'] FROM lines AS l LEFT JOIN flagged AS f ON l.id = f.line_id AND hs_predict(l.d)['confidence'] > 0.5

-- name: a left join whose right side is scored
-- scored: at most 120
-- why: what the join learns of the other side may drop lines before
SELECT f.line_id, s.p['hs6'] AS hs6, s.p['confidence'] AS sure, s.p IS NULL AS nothing
FROM flagged AS f LEFT JOIN (SELECT id, hs_predict(d) AS p FROM lines WHERE x = 0) AS s ON f.line_id = s.id + 20

-- name: a right join on an answer
-- scored: 120
SELECT l.id, c.code, l.sure FROM (SELECT id, d, hs_predict(d)['confidence'] AS sure FROM lines WHERE x = 5) AS l
RIGHT JOIN codes AS c ON hs_predict(l.d)['hs6'] = c.code

-- name: a full join of scored sides
-- scored: 240
SELECT a.id AS a, b.id AS b, a.hs6, b.hs6 AS other FROM (SELECT id, hs_predict(d)['hs6'] AS hs6 FROM lines WHERE x = 1) AS a
FULL JOIN (SELECT id, hs_predict(d)['hs6'] AS hs6 FROM lines WHERE x = 2) AS b ON a.id + 1 = b.id AND a.hs6 = b.hs6

-- name: joined by a common column
-- scored: 60
SELECT id, hs_predict(d)['hs6'], hs_predict(d)['decision'] FROM lines JOIN (SELECT line_id AS id FROM flagged) AS f USING (id)

-- name: a semi-join comes first
-- scored: 60
SELECT id, hs_predict(d)['hs6'] FROM lines WHERE id IN (SELECT line_id FROM flagged) AND hs_predict(d)['confidence'] > 0.1

-- name: an anti-join comes first
-- scored: 1140
SELECT id, hs_predict(d)['hs6'] FROM lines AS l
WHERE NOT EXISTS (SELECT 1 FROM flagged AS f WHERE f.line_id = l.id) AND hs_predict(d)['confidence'] > 0.1

-- name: NOT IN
-- scored: 1140
SELECT id, hs_predict(d)['hs6'] FROM lines WHERE id NOT IN (SELECT line_id FROM flagged WHERE line_id IS NOT NULL)

-- name: an answer in a list from a table
-- scored: 120
SELECT id, hs_predict(d)['hs6'] FROM lines WHERE x = 1 AND hs_predict(d)['hs6'] IN (SELECT code FROM codes)

-- name: an answer for which a row exists
-- scored: 120
SELECT l.id, hs_predict(l.d)['confidence'] FROM lines AS l
WHERE l.x = 1 AND EXISTS (SELECT 1 FROM codes AS c WHERE c.code = hs_predict(l.d)['hs6'])

-- name: an answer for which a row exists, or something else
-- scored: 1200
SELECT l.id, hs_predict(l.d)['confidence'] FROM lines AS l
WHERE l.x = 7 OR EXISTS (SELECT 1 FROM codes AS c WHERE c.code = hs_predict(l.d)['hs6'])

-- name: a list of answers of other lines
-- scored: 120
SELECT id FROM lines WHERE substr(declared, 1, 1) IN (SELECT substr(hs_predict(d)['hs6'], 1, 1) FROM lines WHERE x = 3)

-- name: a list of answers of other lines, or something else
-- scored: 120
SELECT id FROM lines WHERE x = 2 OR declared IN (SELECT hs_predict(d)['hs6'] FROM lines WHERE x = 3)

-- name: lines for which a scored one exists, or something else
-- scored: 120
SELECT n.month FROM days AS n WHERE n.name = 'Apr' OR EXISTS
  (SELECT 1 FROM lines AS l WHERE l.x = 3 AND l.month = n.month AND hs_predict(l.d)['confidence'] > 0.5 AND hs_predict(l.d)['hs6'] > '3')

-- name: more than the mean of other lines
-- scored: 240
SELECT id, hs_predict(d)['confidence'] FROM lines
WHERE x = 1 AND hs_predict(d)['confidence'] > (SELECT avg(hs_predict(d)['confidence']) FROM lines WHERE x = 2)

-- name: the most of each month
-- scored: 240
SELECT n.month, (SELECT max(hs_predict(l.d)['confidence']) FROM lines AS l WHERE l.month = n.month AND l.x < 2) AS most FROM days AS n

-- name: how many of each month, with none
-- scored: 60
-- why: x = 1 is odd, so months 2 and 4 have 60 each, of which month 2 passes the condition
SELECT n.month, (SELECT count(hs_predict(l.d)['hs6']) FROM lines AS l WHERE l.month = n.month AND l.month < 3 AND l.x = 1) AS n FROM days AS n

-- name: a common table expression
-- scored: 360
WITH p AS (SELECT id, x, hs_predict(d) AS p FROM lines) SELECT id, p['hs6'], p['confidence'] FROM p WHERE x < 3 AND p['confidence'] > 0.5

-- name: a common table expression for two lists of lines
-- scored: 240
WITH p AS (SELECT id, x, hs_predict(d) AS p FROM lines)
SELECT id, p['hs6'] AS hs6 FROM p WHERE x = 1 AND p['confidence'] > 0.1 UNION ALL SELECT id, p['decision'] FROM p WHERE x = 2

-- name: a common table expression joined with itself
-- scored: 240
-- why: two relations of 120 rows each; their texts are the same, and go through the network once
WITH p AS (SELECT id, x, hs_predict(d) AS p FROM lines WHERE x = 6)
SELECT a.id, b.p['confidence'] FROM p AS a JOIN p AS b ON a.id = b.id WHERE a.p['hs6'] = b.p['hs6']

-- name: views over views
-- scored: 360
CREATE VIEW scored AS SELECT id, x, month, d, hs_predict(d) AS p FROM lines;
CREATE VIEW sure AS SELECT id, x, month, p['hs6'] AS hs6, p['confidence'] AS sure, p FROM scored WHERE p['confidence'] > 0.2;
CREATE VIEW named AS SELECT s.*, n.name FROM sure AS s JOIN days AS n ON s.month = n.month;
SELECT id, name, hs6, sure, p['decision'] AS decision FROM named WHERE x < 3 AND hs6 > '3' ORDER BY sure DESC

-- name: a view of which no answer is read
-- scored: 0
CREATE VIEW scored AS SELECT id, x, hs_predict(d) AS p, hs_predict(d)['hs6'] AS hs6 FROM lines;
SELECT count(*), sum(x) FROM scored WHERE x > 2

-- name: a count of rows
-- scored: 0
SELECT count(*) FROM (SELECT hs_predict(d) AS p FROM lines)

-- name: a view under another name for the text
-- scored: 1200
SELECT hs_predict(t)['hs6'], t FROM (SELECT d AS t, id FROM lines WHERE hs_predict(d)['confidence'] > 0.5) WHERE hs_predict(t)['margin'] > 0.1

-- name: the text under two names
-- scored: 1200
SELECT hs_predict(t)['hs6'], hs_predict(d)['confidence'] FROM (SELECT d AS t, d, id FROM lines) AS both WHERE hs_predict(both.d)['decision'] = 'review'

-- name: a text that is computed
-- scored: 1200
SELECT id, hs_predict(upper(d))['hs6'], hs_predict(upper(d))['confidence'] FROM lines WHERE hs_predict(upper(d))['margin'] > 0.1

-- name: a text that is computed and named
-- scored: 1200
SELECT id, hs_predict(u)['hs6'], u FROM (SELECT id, upper(d) AS u FROM lines WHERE hs_predict(upper(d))['margin'] > 0.1) WHERE hs_predict(u)['decision'] <> 'refuse'

-- name: UNION ALL
-- scored: 240
SELECT id, hs_predict(d)['hs6'], hs_predict(d)['confidence'] FROM lines WHERE x = 1
UNION ALL SELECT id, hs_predict(d)['hs6'], hs_predict(d)['margin'] FROM lines WHERE x = 2

-- name: a condition over UNION ALL
-- scored: 60
-- why: of month 2, x = 1 are 60 and x = 2 none
SELECT * FROM (SELECT id, month, hs_predict(d)['hs6'] AS hs6, hs_predict(d)['confidence'] AS sure FROM lines WHERE x = 1
UNION ALL SELECT id, month, hs_predict(d)['hs6'], hs_predict(d)['margin'] FROM lines WHERE x = 2) AS u WHERE month = 2 AND hs6 > '3'

-- name: UNION
-- scored: 240
SELECT hs_predict(d)['hs6'], hs_predict(d)['decision'] FROM lines WHERE x = 1 UNION SELECT hs_predict(d)['hs6'], hs_predict(d)['decision'] FROM lines WHERE x = 2

-- name: INTERSECT
-- scored: 240
SELECT hs_predict(d)['hs6'] FROM lines WHERE x = 1 INTERSECT SELECT hs_predict(d)['hs6'] FROM lines WHERE x = 2

-- name: EXCEPT
-- scored: 240
SELECT hs_predict(d)['hs6'] FROM lines WHERE x = 1 EXCEPT SELECT hs_predict(d)['hs6'] FROM lines WHERE x = 2

-- name: DISTINCT
-- scored: 360
SELECT DISTINCT hs_predict(d)['hs6'], hs_predict(d)['decision'] FROM lines WHERE x < 3

-- name: DISTINCT ON
-- scored: 360
SELECT DISTINCT ON (hs_predict(d)['hs6']) hs_predict(d)['hs6'], id, hs_predict(d)['confidence'] FROM lines WHERE x < 3
ORDER BY hs_predict(d)['hs6'], hs_predict(d)['confidence'] DESC, id

-- name: a window over answers
-- scored: 600
SELECT id, hs_predict(d)['hs6'], row_number() OVER (PARTITION BY hs_predict(d)['hs6'] ORDER BY hs_predict(d)['confidence'] DESC, id) AS place,
       avg(hs_predict(d)['confidence']) OVER (PARTITION BY substr(hs_predict(d)['hs6'], 1, 2)) AS mean
FROM lines WHERE x < 5

-- name: the first of each month
-- scored: 4
SELECT id, month, hs_predict(d)['hs6'] FROM lines QUALIFY row_number() OVER (PARTITION BY month ORDER BY value DESC) = 1

-- name: the surest of each month
-- scored: 1200
SELECT id, month, hs_predict(d)['hs6'] FROM lines QUALIFY row_number() OVER (PARTITION BY month ORDER BY hs_predict(d)['confidence'] DESC, id) = 1

-- name: the first of each month, from a view that scores
-- scored: 4
WITH p AS (SELECT id, month, hs_predict(d) AS p, row_number() OVER (PARTITION BY month ORDER BY value DESC) AS place FROM lines)
SELECT id, month, p['hs6'], p['confidence'] FROM p WHERE place = 1

-- name: alternatives as rows
-- scored: 120
SELECT id, unnest(hs_predict(d)['alternatives']) AS choice FROM lines WHERE x = 4

-- name: alternatives as rows beside the code
-- scored: 120
SELECT id, hs_predict(d)['hs6'] AS hs6, unnest(hs_predict(d)['alternatives']) AS choice, d FROM lines WHERE x = 4

-- name: alternatives as rows, and the code of the line above them
-- scored: 120
SELECT id, choice['hs6'], hs_predict(d)['hs6'] FROM (SELECT id, d, unnest(hs_predict(d)['alternatives']) AS choice FROM lines WHERE x = 4)
WHERE choice['confidence'] > 0.05 AND hs_predict(d)['decision'] <> 'refuse'

-- name: a table beside each line
-- scored: at most 18000
-- why: rows of a join without keys are pairs, of 120 lines and at most 150 codes
SELECT l.id, m.code, hs_predict(l.d)['confidence'] FROM lines AS l
CROSS JOIN LATERAL (SELECT c.code FROM codes AS c WHERE c.code >= hs_predict(l.d)['hs6']) AS m WHERE l.x = 4

-- name: the answer as columns
-- scored: 120
SELECT unnest(hs_predict(d)), id FROM lines WHERE x = 4

-- name: tags as rows beside the code
-- scored: 1200
SELECT id, hs_predict(d)['hs6'] AS hs6, unnest(tags) AS tag FROM lines

-- name: functions over lists of an answer
-- scored: 120
SELECT id, array_length(hs_predict(d)['reasons']), hs_predict(d)['alternatives'][1]['hs6'], cardinality(hs_predict(d)['alternatives']) FROM lines WHERE x = 8

-- name: a dictionary
-- scored: 8
-- why: seven values and the place of nulls
SELECT id, hs_predict(kind)['hs6'], hs_predict(kind)['confidence'] FROM small WHERE hs_predict(kind)['decision'] <> 'refuse'

-- name: rows that are written out
-- scored: 2
SELECT hs_predict(column1)['hs6'], hs_predict(column1)['confidence'] FROM (VALUES ('steel bolts'), ('wooden chair')) WHERE hs_predict(column1)['margin'] > -1

-- name: a constant
-- scored: at most 2
-- why: constants are evaluated while the query is planned, each mention by itself
SELECT hs_predict('steel bolts')['hs6'], hs_predict('steel bolts')['confidence']

-- name: two models
-- scored: 1200
-- other: 1200
SELECT id, hs_predict(d)['decision'], hs_predict(d, 'hs@2')['decision'] FROM lines WHERE hs_predict(d)['decision'] = hs_predict(d, 'hs@2')['decision']

-- name: the second model for what the first leaves
-- rows: none
-- scored: 360
-- other: 0
SELECT id FROM lines WHERE hs_predict(d)['confidence'] > 2 AND hs_predict(d, 'hs@2')['confidence'] > 0.5 AND x < 3

-- name: the second model for what the first chooses
-- scored: 1200
-- other: 0
SELECT id, CASE WHEN hs_predict(d)['confidence'] > 2 THEN hs_predict(d, 'hs@2')['hs6'] ELSE hs_predict(d)['hs6'] END AS hs6 FROM lines

-- name: words of the lines that are chosen
-- scored: 120
SELECT id, CASE WHEN hs_predict(d)['decision'] = 'review' THEN hs_explain(d) END AS words FROM lines WHERE x = 9

-- name: a prepared statement
-- scored: 240
PREPARE surest(BIGINT, DOUBLE) AS SELECT id, hs_predict(d)['hs6'], hs_predict(d)['confidence'] FROM lines WHERE x < $1 AND hs_predict(d)['confidence'] > $2;
EXECUTE surest(2, 0.3)

-- name: a table of answers
-- scored: 120
CREATE TABLE kept AS SELECT id, hs_predict(d)['hs6'] AS hs6, hs_predict(d)['confidence'] AS sure FROM lines WHERE x = 1 AND hs_predict(d)['margin'] > 0;
SELECT * FROM kept

-- name: answers added to a table
-- scored: 240
CREATE TABLE kept AS SELECT id, hs_predict(d)['hs6'] AS hs6 FROM lines WHERE x = 1;
INSERT INTO kept SELECT id, hs_predict(d)['hs6'] FROM lines WHERE x = 2 AND hs_predict(d)['confidence'] > 0.1;
SELECT * FROM kept

-- name: a file of answers
-- scored: 120
COPY (SELECT id, hs_predict(d)['hs6'] AS hs6, hs_predict(d)['confidence'] AS sure, hs_predict(d)['alternatives'] AS choices FROM lines WHERE x = 1)
TO '{dir}/answers/' STORED AS PARQUET;
CREATE EXTERNAL TABLE answers STORED AS PARQUET LOCATION '{dir}/answers/';
SELECT * FROM answers

-- name: a query that calls itself
-- scored: 5
-- why: line 0, and one line more in each of four rounds
WITH RECURSIVE walk AS (SELECT id, hs_predict(d)['hs6'] AS hs6, hs_predict(d)['decision'] AS decision FROM lines WHERE id = 0
UNION ALL SELECT l.id, hs_predict(l.d)['hs6'], hs_predict(l.d)['decision'] FROM walk AS w JOIN lines AS l ON l.id = w.id + 1 WHERE w.id < 4)
SELECT * FROM walk

-- name: the first lines of a list, scored after
-- scored: 50
-- rows: ordered
SELECT id, hs_predict(d)['hs6'], hs_predict(d)['confidence'] FROM (SELECT * FROM lines ORDER BY id DESC LIMIT 50) ORDER BY hs_predict(d)['confidence'], id

-- name: a list of lists
-- scored: 600
SELECT a.month, a.n, b.mean FROM (SELECT month, count(hs_predict(d)['hs6']) AS n FROM lines WHERE x < 2 GROUP BY month) AS a
JOIN (SELECT month, avg(hs_predict(d)['confidence']) AS mean FROM lines WHERE x > 6 GROUP BY month) AS b ON a.month = b.month

-- name: the text as a group, scored for each
-- scored: at most 360
SELECT d, hs_predict(d)['hs6'], count(*) AS n FROM lines WHERE x < 3 GROUP BY d

-- name: functions that are fields of one answer
-- scored: 1200
SELECT id, hs_code(d), hs_confidence(d), hs_predict(d)['decision'] FROM lines WHERE hs_code(d) > '3' ORDER BY hs_confidence(d)

-- name: the code alone
-- scored: 1200
SELECT hs_code(d) AS code, count(*) AS n FROM lines GROUP BY 1

-- name: the best codes are those of the answer
-- scored: 120
SELECT id, hs_topk(d, 2), hs_topk(d, 5), hs_code(d), hs_predict(d)['alternatives'] FROM lines WHERE x = 1

-- name: a number of codes that differs by line
-- scored: 240
-- why: it is a call of its own
SELECT id, hs_topk(d, 1 + x % 5), hs_code(d) FROM lines WHERE x = 1

-- name: a function under a model that is named, and the same model unnamed
-- scored: 120
SELECT id, hs_code(d), hs_code(d, 'hs@1'), hs_confidence(d, 'hs@1') FROM lines WHERE x = 1

-- name: codes within a prefix that a column has
-- scored: 120
SELECT id, hs_code(d), hs_within(d, substr(hs_code(d), 1, 2)), hs_within(d, '85') FROM lines WHERE x = 1 AND hs_code(d) IS NOT NULL

-- name: a choice within a chapter, its fields in several places
-- scored: 0
-- texts: 119
-- why: one of them has no text
-- rows: ordered
SELECT id, hs_within(d, '85')['hs6'], hs_within(d, '85')['confidence'] FROM lines
WHERE x = 1 AND hs_within(d, '85')['margin'] >= 0 ORDER BY hs_within(d, '85')['hs6'], id

-- name: a choice within a chapter in a condition and its branch, behind a join
-- scored: 0
-- texts: at most 240
SELECT lines.id, CASE WHEN hs_within(d, '39')['confidence'] > 0.5 THEN hs_within(d, '39')['hs6'] END
FROM lines JOIN small ON lines.id = small.id WHERE x < 2

-- name: a null has null fields and costs an answer
-- scored: 240
SELECT id, hs_code(n), hs_predict(n)['decision'] FROM (SELECT id, CASE WHEN x = 2 THEN d END AS n FROM lines WHERE x IN (1, 2))

-- name: the code carried through a sort
-- scored: 1200
-- rows: ordered
SELECT hs_code(d), id FROM lines ORDER BY hs_code(d), id
