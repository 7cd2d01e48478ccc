//! A physical rule: operators that make many rows of few give way to other tasks between batches.
//!
//! DataFusion lets the leaves of a plan give way. A join that multiplies works on one batch of a leaf for minutes, and what waits to
//! cancel it, or to show how far it is, waits as long. Never changes what a plan yields.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;

/// Operators whose output may be larger than their input.
const MULTIPLY: [&str; 6] = [
    "CrossJoinExec",
    "NestedLoopJoinExec",
    "HashJoinExec",
    "SortMergeJoinExec",
    "PiecewiseMergeJoinExec",
    "UnnestExec",
];

/// See the module.
#[derive(Debug)]
pub(super) struct GivingWay;

impl PhysicalOptimizerRule for GivingWay {
    fn name(&self) -> &str {
        "giving_way"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let given = plan.transform_up(|node| {
            Ok(match MULTIPLY.contains(&node.name()) {
                true => Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>),
                false => Transformed::no(node),
            })
        });
        given.map(|transformed| transformed.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::{Limits, session};
    use std::time::Duration;

    #[tokio::test]
    async fn a_join_of_all_with_all_can_be_given_up() {
        let context = session(Limits { memory_bytes: 256 << 20, threads: 1 }).unwrap();
        let all = "SELECT count(*) FROM generate_series(1, 3000000) AS a(x), generate_series(1, 3000000) AS b(y) \
                   WHERE (a.x * b.y) % 7 = 3";
        let frame = context.sql(all).await.unwrap();
        // The timer runs on the same thread: it is only asked when the query gives way.
        tokio::time::timeout(Duration::from_millis(300), frame.collect()).await.unwrap_err();
        let frame =
            context.sql("SELECT count(*) AS n FROM generate_series(1, 300) a, generate_series(1, 7) b").await.unwrap();
        assert_eq!(frame.collect().await.unwrap()[0].num_rows(), 1);
    }
}
