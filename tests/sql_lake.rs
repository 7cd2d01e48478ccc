//! The session over a lake: what a query sees, which model answers, and the tables that are functions.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::StringArray;
use chrono::{DateTime, Utc};
use datafusion::common::{ParamValues, ScalarValue};
use harmonize::lake::Place;
use harmonize::registry::Registry;
use harmonize::sql::{LakeOptions, LakeSession};
use serde_json::{Value, json};

use crate::support::lab::{classify_args, folder, ok, path, write_lines};
use crate::support::lake::{array, batches, classify, options, refusal, register, rows, session, values, with_tariff};
use crate::support::models::Models;
use crate::support::servers::python;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

async fn with_models(lake: &str, models: &Models, model: Option<&str>) -> LakeSession {
    let registry = Some(Registry::new(Place::open(&models.url).unwrap()));
    LakeSession::open(LakeOptions { registry, ..options(lake, model) }).await.unwrap()
}

#[test]
fn a_query_sees_one_version_of_an_alias_and_a_refresh_moves_it_on() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 2);
    models.promote(1);
    block_on(async {
        let session = with_models(&path(dir.path(), "lake"), &models, Some("hs@champion")).await;
        let answers = "SELECT hs_predict('steel bolts')['model'] AS v";
        assert_eq!(values(&session, answers).await, [json!("hs@1")]);
        session.context().sql("CREATE TABLE t AS SELECT 'steel bolts' AS d").await.unwrap().collect().await.unwrap();
        let plan = session.plan("CREATE VIEW coded AS SELECT hs_predict(d)['model'] AS m FROM t").await.unwrap();
        session.execute(plan).await.unwrap();
        let planned = session.plan("SELECT hs_predict(d)['model'] AS v FROM t").await.unwrap();

        models.promote(2);
        // Not before the refresh, in a session beside it neither.
        assert_eq!(values(&session, answers).await, [json!("hs@1")]);
        let other = session.beside().unwrap();
        assert_eq!(values(&other, answers).await, [json!("hs@1")]);
        session.refresh().await.unwrap();
        assert_eq!(values(&other, answers).await, [json!("hs@2")]);
        // The view asks what the query asks; a reference as of a time and a number stay.
        let query =
            "SELECT m || ',' || hs_predict(d)['model'] || ',' || hs_predict(d, 'hs@1')['model'] AS v FROM coded, t";
        assert_eq!(values(&session, query).await, [json!("hs@2,hs@2,hs@1")]);
        // What was planned keeps its version.
        let found = session.execute(planned).await.unwrap().collect().await.unwrap();
        assert_eq!(found[0].column(0).as_ref(), &StringArray::from(vec!["hs@1"]) as &dyn arrow::array::Array);
        // The same version was not compiled again.
        let [one, two] = [session.model(None).await.unwrap(), other.model(None).await.unwrap()];
        session.refresh().await.unwrap();
        let three = session.model(Some(&"hs@2".parse().unwrap())).await.unwrap();
        assert!(Arc::ptr_eq(one.classifier(), two.classifier()) && Arc::ptr_eq(one.classifier(), three.classifier()));
    });
}

#[test]
fn explain_names_the_model_and_columns_do_not() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    block_on(async {
        let session = session(&lake).await;
        register(&session, "t", vec![("d", array(StringArray::from(vec!["steel bolts"])))]);
        let plan = session.plan("SELECT hs_code(d), hs_code(d, 'hs') FROM t").await.unwrap();
        let names: Vec<&str> = plan.schema().fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["hs_code(t.d)", "hs_code(t.d,Utf8(\"hs\"))"]);
        let answer = session.execute(plan).await.unwrap();
        assert_eq!(answer.schema().field(1).name(), "hs_code(t.d,Utf8(\"hs\"))");
        assert_eq!(answer.collect().await.unwrap()[0].num_columns(), 2);
        let shown = rows(&session, "EXPLAIN SELECT hs_code(d), hs_code(d, 'hs') FROM t").await;
        let shown = shown.iter().map(ToString::to_string).collect::<String>();
        assert!(shown.contains("hs_predict[hs@1](t.d)") && shown.contains("hs_predict[hs@1](d@0)"), "{shown}");
    });
}

#[test]
fn a_call_is_bound_wherever_it_stands() {
    let dir = folder();
    let lake = with_tariff(dir.path());
    block_on(async {
        let session = session(&lake).await;
        let lines = StringArray::from(vec!["cotton t-shirts", "frozen shrimps", "cotton t-shirts"]);
        register(&session, "t", vec![("d", array(lines))]);
        let copied = path(dir.path(), "codes.parquet");
        for sql in [
            "CREATE VIEW coded AS SELECT d, hs_code(d) AS c FROM t".to_string(),
            "CREATE TABLE kept AS SELECT d, hs_code(d, 'hs@1') AS c FROM t".to_string(),
            format!("COPY (SELECT hs_code(d) AS c FROM t) TO '{copied}'"),
        ] {
            let plan = session.plan(&sql).await.unwrap();
            session.execute(plan).await.unwrap().collect().await.unwrap();
        }
        // Three lines, of which two have the first one's code.
        for (sql, expected) in [
            ("SELECT count(*) AS v FROM t WHERE hs_code(d) = hs_code('cotton t-shirts')", 2),
            ("SELECT count(*) AS v FROM t WHERE hs_code(d) IN (SELECT hs_code(d) FROM t)", 3),
            (
                "SELECT count(*) AS v FROM t AS a WHERE EXISTS (SELECT 1 FROM t AS b WHERE hs_code(b.d) <> hs_code(a.d))",
                3,
            ),
            ("WITH c AS (SELECT hs_code(d) AS c FROM t) SELECT count(DISTINCT c) AS v FROM c", 2),
            ("SELECT count(*) AS v FROM t AS a JOIN t AS b ON hs_code(a.d) = hs_code(b.d)", 5),
            (
                "SELECT n AS v FROM (SELECT hs_code(d) AS c, count(*) AS n FROM t GROUP BY hs_code(d)) ORDER BY n DESC LIMIT 1",
                2,
            ),
            ("SELECT max(n) AS v FROM (SELECT count(*) OVER (PARTITION BY hs_code(d)) AS n FROM t)", 2),
            ("SELECT count(*) AS v FROM (SELECT d FROM t ORDER BY hs_confidence(d) DESC LIMIT 2)", 2),
            ("SELECT sum(CASE WHEN hs_level(hs_code(d)) = 6 THEN 1 ELSE 0 END) AS v FROM t", 3),
            ("SELECT count(*) AS v FROM (SELECT hs_code(d) FROM t UNION SELECT hs_code('cotton t-shirts'))", 2),
            (
                "SELECT count(hs_code(d)) FILTER (WHERE hs_is_valid(hs_code(d), '2022')) AS v FROM t HAVING min(hs_code(d)) < '99'",
                0,
            ),
            ("SELECT count(*) AS v FROM coded WHERE c = (SELECT min(c) FROM kept)", 1),
        ] {
            assert_eq!(values(&session, sql).await, [json!(expected)], "{sql}");
        }
        let analysed = rows(&session, "EXPLAIN ANALYZE SELECT hs_code(d) FROM t").await;
        assert!(analysed.iter().any(|row| row.to_string().contains("[hs@1]")), "{analysed:?}");
        let copied = read_parquet(&copied);
        assert_eq!(copied, 3);
    });
}

fn read_parquet(file: &str) -> usize {
    let file = std::fs::File::open(file).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(|batch| batch.unwrap().num_rows()).sum()
}

#[test]
fn a_statement_is_planned_once_and_bound_as_often_as_needed() {
    let dir = folder();
    let lake = with_tariff(dir.path());
    block_on(async {
        let session = session(&lake).await;
        let sql = "SELECT hs_code($1) AS code, hs_level($2) AS level, hs_topk($1, $3) AS top, hs_describe($2, '2022') AS text \
                   WHERE hs_is_valid($2, '2022')";
        let plan = session.plan(sql).await.unwrap();
        let kinds = plan.get_parameter_types().unwrap();
        let kind = |name: &str| kinds[name].clone().unwrap().to_string();
        assert_eq!([kind("$1"), kind("$2"), kind("$3")], ["Utf8", "Utf8", "Int64"]);
        for (text, code, count) in [("steel bolts", "7318", 1), ("cotton shirts", "85", 2), ("steel bolts", "9999", 1)]
        {
            let text = ScalarValue::from(text);
            let values = vec![text, ScalarValue::from(code), ScalarValue::Int64(Some(count))];
            let bound = plan.clone().with_param_values(ParamValues::from(values)).unwrap();
            let found = session.execute(bound).await.unwrap().collect().await.unwrap();
            let found: usize = found.iter().map(|batch| batch.num_rows()).sum();
            assert_eq!(found, usize::from(code != "9999"));
        }
        let statements = ["PREPARE p AS SELECT hs_code($1) = hs_code('steel bolts') AS v", "EXECUTE p('steel  BOLTS')"];
        for statement in &statements[..1] {
            session.execute(session.plan(statement).await.unwrap()).await.unwrap();
        }
        assert_eq!(values(&session, statements[1]).await, [json!(true)]);
        let (code, said) = refusal(&session, "SELECT * FROM hs_nomenclature($1)").await;
        assert!(code == 2 && said.contains("takes literals"), "{said}");
    });
}

#[test]
fn what_cannot_be_asked_is_said_before_the_query_runs() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    block_on(async {
        let without = LakeSession::open(options(&lake, None)).await.unwrap();
        assert_eq!(values(&without, "SELECT hs_predict('x', 'hs@1')['model'] AS v").await, [json!("hs@1")]);
        let error = async |sql: &str| without.plan(sql).await.map_err(|e| (e.exit_code(), e.to_string())).unwrap_err();
        let (code, said) =
            error("SELECT count(*) FROM (SELECT hs_code('x') AS c) WHERE c IN (SELECT hs_code('y'))").await;
        assert!(code == 2 && said.contains("hs_code needs a model: give --model, such as --model hs@1"), "{said}");
        let (code, said) = error("SELECT hs_code('x', 'hs@9')").await;
        assert!(code == 21 && said.contains("hs@9 is not in"), "{said}");
        let (code, said) = error("SELECT hs_code('x', 'other')").await;
        assert!(code == 21 && said.contains("there is no version of other"), "{said}");
        let many: Vec<String> = (1..=9).map(|n| format!("hs_code('x', 'hs@{n}')")).collect();
        let (code, said) = error(&format!("SELECT {}", many.join(", "))).await;
        assert!(code == 2 && said.contains("at most 8 models"), "{said}");
        let nowhere = LakeSession::open(LakeOptions { registry: None, ..options(&lake, None) }).await.unwrap();
        let (code, said) = refusal(&nowhere, "SELECT hs_code('x', 'hs@1')").await;
        assert!(code == 2 && said.contains("--registry"), "{said}");
        let (code, said) = refusal(&nowhere, "SELECT * FROM models()").await;
        assert!(code == 2 && said.contains("--registry"), "{said}");
        // A plan that was made past the session does not answer wrongly: it does not answer.
        let past = without.context().sql("SELECT hs_code('x', 'hs@1')").await.unwrap().collect().await.unwrap_err();
        assert!(past.to_string().contains("LakeSession::plan"), "{past}");
        // The names of the lake are the lake's, for views of the session too.
        for sql in ["CREATE VIEW runs AS SELECT 1", "CREATE TABLE predictions AS SELECT 1", "DROP VIEW review_queue"] {
            let (_, said) = refusal(&without, sql).await;
            let says = ["belongs to the lake", "already exists", "doesn't exist"];
            assert!(says.iter().any(|says| said.contains(says)), "{sql}: {said}");
        }
        assert_eq!(values(&without, "SELECT count(*) AS v FROM review_queue").await, [json!(0)]);
        assert_eq!(values(&without, "SELECT count(*) AS v FROM predictions").await, [json!(0)]);
    });
}

#[test]
fn a_refresh_shows_new_rows_and_new_tables_and_nothing_when_there_is_nothing_new() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    block_on(async {
        let session = session(&lake).await;
        let (count, of_tables) = ("SELECT count(*) AS v FROM current_predictions", session.tables());
        assert_eq!((values(&session, count).await, of_tables), (vec![json!(0)], 0));
        let planned = session.plan(count).await.unwrap();
        classify(dir.path(), &lake, "in/a.parquet", &[Some("steel bolts"), Some("cotton shirts")]);
        assert_eq!(values(&session, count).await, [json!(0)]);
        assert!(session.refresh().await.unwrap());
        assert_eq!((values(&session, count).await, session.tables()), (vec![json!(2)], 2));
        assert!(!session.refresh().await.unwrap());
        classify(dir.path(), &lake, "in/b.parquet", &[Some("leather shoes")]);
        // Of many at once each sees the newest after its refresh.
        let many = (0..8).map(|_| {
            let session = session.beside().unwrap();
            async move {
                session.refresh().await.unwrap();
                values(&session, count).await
            }
        });
        assert!(futures::future::join_all(many).await.iter().all(|found| *found == [json!(3)]));
        let found = session.execute(planned).await.unwrap().collect().await.unwrap();
        assert_eq!(found[0].column(0).as_ref(), &arrow::array::Int64Array::from(vec![0]) as &dyn arrow::array::Array);
        // A view of one session is not seen by another.
        session.execute(session.plan("CREATE VIEW mine AS SELECT 1 AS one").await.unwrap()).await.unwrap();
        assert_eq!(values(&session, "SELECT one AS v FROM mine").await, [json!(1)]);
        assert!(session.beside().unwrap().plan("SELECT * FROM mine").await.is_err());
        let listed =
            values(&session, "SELECT table_name AS v FROM information_schema.tables WHERE table_schema = 'public'")
                .await;
        assert!(listed.contains(&json!("mine")) && listed.contains(&json!("review_queue")), "{listed:?}");
    });
}

#[test]
fn the_tariff_is_read_again_when_the_lake_has_another_one() {
    let dir = folder();
    let lake = with_tariff(dir.path());
    block_on(async {
        let session = session(&lake).await;
        let query = "SELECT hs_describe('7318', '2022') AS v";
        assert_eq!(values(&session, query).await, [json!("Screws and what goes with them")]);
        let file = path(dir.path(), "hs2022.csv");
        let text = std::fs::read_to_string(&file).unwrap().replace("Screws and what goes with them", "Fasteners");
        std::fs::write(&file, text).unwrap();
        ok(&["tariff", "import", &format!("2022={file}"), "--lake", &lake]);
        assert_eq!(values(&session, query).await, [json!("Screws and what goes with them")]);
        assert!(session.refresh().await.unwrap());
        assert_eq!(values(&session, query).await, [json!("Fasteners")]);
        // In force today is the newest edition that has begun; 2028 is not in the lake.
        let today = Utc::now().date_naive();
        if today < "2028-01-01".parse().unwrap() {
            assert_eq!(values(&session, "SELECT hs_describe('8549') AS v").await, [json!("Electrical waste")]);
        }
    });
}

#[test]
fn nomenclatures_and_correlations_are_tables() {
    let dir = folder();
    let lake = with_tariff(dir.path());
    block_on(async {
        let session = session(&lake).await;
        for (call, filter) in [
            ("hs_nomenclature('2022')", "schedule = 'HS' AND edition = '2022'"),
            ("hs_nomenclature(2017)", "schedule = 'HS' AND edition = '2017'"),
            ("hs_nomenclature('CN 2025')", "schedule = 'CN' AND edition = '2025'"),
        ] {
            let found = rows(&session, &format!("SELECT * FROM {call} ORDER BY code, language")).await;
            let query = format!("SELECT * FROM current_nomenclature WHERE {filter} ORDER BY code, language");
            assert_eq!(found, rows(&session, &query).await, "{call}");
            assert!(found.len() > 5);
        }
        let found = rows(&session, "SELECT * FROM hs_correlation('2017', '2022') ORDER BY from_code, to_code").await;
        assert_eq!(found, rows(&session, "SELECT * FROM current_correlations ORDER BY from_code, to_code").await);
        assert_eq!(found.len(), 5);
        let successors = "SELECT count(*) AS v FROM hs_correlation('2017', '2022') AS c JOIN hs_nomenclature('2022') AS n \
                          ON c.to_code = n.code WHERE array_has(hs_successors(c.from_code, '2017', '2022'), n.code)";
        assert_eq!(values(&session, successors).await, [json!(5)]);
        for (call, code, says) in [
            ("hs_nomenclature('2012')", 20, "the lake has no nomenclature HS 2012; import it"),
            ("hs_nomenclature('nonsense')", 2, "names no edition"),
            ("hs_nomenclature()", 2, "hs_nomenclature(edition) takes 1 argument, not 0"),
            ("hs_nomenclature(1.5)", 2, "an edition is named by its year"),
            ("hs_correlation('2022', '2017')", 2, "does not go forward"),
            ("hs_correlation('2012', '2017')", 20, "HS 2012"),
            ("hs_correlation('2017')", 2, "takes 2 arguments, not 1"),
            ("runs(1)", 2, "runs() takes 0 arguments, not 1"),
        ] {
            let (found, said) = refusal(&session, &format!("SELECT * FROM {call}")).await;
            assert!(found == code && said.contains(says), "{call}: {found} {said}");
        }
    });
}

/// 2012 to 2022 without a table of its own: the pairs are those that both steps make.
#[test]
fn a_chain_of_correlations_is_a_table_that_names_its_files() {
    let dir = folder();
    let lake = with_tariff(dir.path());
    let put = |name: &str, text: &str| {
        let file = path(dir.path(), name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let old = put(
        "hs2012.csv",
        "hs_code,level,parent,section,description\n85,2,,XVI,E\n8521,4,85,XVI,V\n852190,6,8521,XVI,V\n",
    );
    let links = put("older.csv", "hs2017,hs2012,relationship\n852190,852190,1:n\n852871,852190,1:n\n");
    ok(&["tariff", "import", &format!("2012={old}"), &links, "--lake", &lake]);
    block_on(async {
        let session = session(&lake).await;
        let found = rows(&session, "SELECT * FROM hs_correlation('2012', '2022') ORDER BY to_code").await;
        let row = |to: &str| json!({"from_edition": "2012", "to_edition": "2022", "from_code": "852190", "to_code": to, "source": "older.csv, links.csv"});
        assert_eq!(found, [row("852190"), row("854911")]);
        let query = "SELECT hs_successors('852190', '2012', '2022') AS v";
        assert_eq!(values(&session, query).await, [json!(["852190", "854911"])]);
        let query = "SELECT hs_successors(c, '2017', '2022') AS v FROM (VALUES (1, '852871'), (2, '854911')) AS w(n, c) ORDER BY n";
        assert_eq!(values(&session, query).await, [json!([]), Value::Null]);
    });
}

#[test]
fn models_and_runs_are_tables() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let models = Models::on_disk(dir.path(), 3);
    models.promote_all(&[2, 1]);
    models.ok(&["retire", "hs@3", "--why", "a test"]);
    classify(dir.path(), &lake, "in/a.parquet", &[Some("steel bolts"), None]);
    block_on(async {
        let session = with_models(&lake, &models, None).await;
        let found = rows(&session, "SELECT * FROM models() ORDER BY version DESC").await;
        let listed: Vec<Value> =
            models.ok(&["list", "--format", "json"]).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(found.len(), 3);
        for (row, told) in found.iter().rev().zip(&listed) {
            for name in ["model", "version", "state", "edition", "architecture", "created_by", "digest"] {
                assert_eq!(row[name], told[name], "{name}");
            }
            assert_eq!(
                row["aliases"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect::<Vec<_>>().join(", "),
                told["aliases"]
            );
            assert_eq!(row["created_at"].as_str().unwrap()[..19], told["created_at"].as_str().unwrap()[..19]);
        }
        assert_eq!((&found[2]["aliases"], &found[0]["state"]), (&json!(["champion"]), &json!("retired")));
        let runs = rows(&session, "SELECT * FROM runs()").await;
        assert_eq!(runs, rows(&session, "SELECT * FROM run_history").await);
        assert_eq!(runs[0]["lines_written"], 2);
    });
}

#[test]
fn predictions_are_there_as_another_reader_sees_them_at_each_time() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let url = format!("{lake}/predictions");
    for (n, file) in ["in/a.parquet", "in/b.parquet", "in/c.parquet"].into_iter().enumerate() {
        let lines = vec![Some("steel bolts"); n + 1];
        write_lines(&dir.path().join(file), &lines);
        ok(&classify_args(dir.path().join(file).to_str().unwrap(), &lake));
        std::thread::sleep(Duration::from_millis(30));
    }
    let versions = python("time_travel.py", &[&url], &[])["versions"].clone();
    let millis: Vec<i64> = versions.as_array().unwrap().iter().map(|v| v["millis"].as_i64().unwrap()).collect();
    assert!(millis.len() >= 4 && millis.windows(2).all(|pair| pair[0] < pair[1]), "{millis:?}");
    let shown = |millis: i64| DateTime::<Utc>::from_timestamp_millis(millis).unwrap().to_rfc3339();
    // At each commit, between it and the next, and long after.
    let mut times: Vec<String> = millis.iter().map(|at| shown(*at)).collect();
    times.extend(millis.windows(2).map(|pair| shown((pair[0] + pair[1]) / 2)));
    times.push("2100-01-01T00:00:00+00:00".into());
    let args: Vec<&str> = std::iter::once(url.as_str()).chain(times.iter().map(String::as_str)).collect();
    let told = python("time_travel.py", &args, &[])["rows"].clone();
    block_on(async {
        let session = session(&lake).await;
        for (time, told) in times.iter().zip(told.as_array().unwrap()) {
            let query =
                format!("SELECT count(*) AS rows, count(DISTINCT run_id) AS runs FROM predictions_as_of('{time}')");
            let found = &rows(&session, &query).await[0];
            assert_eq!((&found["rows"], &found["runs"]), (&told["rows"], &told["runs"]), "{time}");
        }
        // Times in other forms; the rows, and not only their number, are those of the table.
        for time in ["now()", "current_date", "now() + INTERVAL '1 day'", "TIMESTAMP '2100-01-01 00:00:00'"] {
            let query = format!(
                "SELECT count(*) AS v FROM (SELECT * FROM predictions_as_of({time}) EXCEPT SELECT * FROM predictions)"
            );
            assert_eq!(values(&session, &query).await, [json!(0)], "{time}");
            let query =
                format!("SELECT count(*) AS v FROM predictions_as_of({time}) WHERE source_row < 1 AND hs6 IS NOT NULL");
            assert_eq!(values(&session, &query).await, [json!(3)], "{time}");
        }
        let between = shown((millis[1] + millis[2]) / 2);
        let query = format!(
            "SELECT count(*) AS v FROM predictions AS p WHERE NOT EXISTS (SELECT 1 FROM predictions_as_of('{between}') AS t \
             WHERE t.source_file = p.source_file AND t.source_row = p.source_row)"
        );
        assert_eq!(values(&session, &query).await, [json!(5)]);
        let limited = format!("SELECT line_id FROM predictions_as_of('{}') ORDER BY 1 LIMIT 2", times.last().unwrap());
        assert_eq!(rows(&session, &limited).await.len(), 2);
        let (code, said) = refusal(&session, "SELECT * FROM predictions_as_of('2001-01-01')").await;
        assert!(code == 2 && said.contains("begins at") && said.contains("nothing of it at 2001-01-01"), "{said}");
        for (time, says) in
            [("5", "takes a time such as"), ("'yesterday'", "is no time"), ("'2026-02-30'", "is no time")]
        {
            let (code, said) = refusal(&session, &format!("SELECT * FROM predictions_as_of({time})")).await;
            assert!(code == 2 && said.contains(says), "{time}: {said}");
        }
        // The plan reads the files of the time alone, and only partitions that are asked for.
        let plan = rows(
            &session,
            &format!("EXPLAIN SELECT hs6 FROM predictions_as_of('{between}') WHERE run_date = '2001-01-01'"),
        )
        .await;
        assert!(!plan.iter().any(|row| row.to_string().contains(".parquet")), "{plan:?}");
    });
    let empty = path(dir.path(), "empty");
    block_on(async {
        let session = LakeSession::open(options(&empty, None)).await.unwrap();
        let found = batches(&session, "SELECT hs6 FROM predictions_as_of('2001-01-01')").await.unwrap();
        assert_eq!(found.iter().map(|batch| batch.num_rows()).sum::<usize>(), 0);
    });
}
