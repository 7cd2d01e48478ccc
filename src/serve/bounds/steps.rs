//! Two things that the engine's operators do not do by themselves: to give way after a short time, so that a statement that was
//! stopped ends soon, and to account for rows that window functions over a whole table keep.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::windows::WindowAggExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{Stream, StreamExt};

/// How long a task works before it gives way.
const STEP: Duration = Duration::from_millis(20);

/// Operators of which many batches come for one of their inputs.
const MULTIPLY: [&str; 6] = [
    "CrossJoinExec",
    "NestedLoopJoinExec",
    "HashJoinExec",
    "SortMergeJoinExec",
    "PiecewiseMergeJoinExec",
    "UnnestExec",
];

/// Puts both where they belong; the last rule of all, for others look for the nodes that it wraps.
#[derive(Debug, Default)]
pub(in crate::serve) struct Steps;

impl PhysicalOptimizerRule for Steps {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let stepped = plan.transform_up(|node| {
            let node = match node.is::<WindowAggExec>() {
                true => counted(node)?,
                false => node,
            };
            let many = node.children().is_empty() || MULTIPLY.contains(&node.name());
            match many {
                true => Ok(Transformed::yes(Through::put(node, Does::GiveWay))),
                false => Ok(Transformed::yes(node)),
            }
        });
        Ok(stepped?.data)
    }

    fn name(&self) -> &str {
        "steps"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn counted(node: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let children = node.children().into_iter().map(|child| Through::put(Arc::clone(child), Does::Count)).collect();
    #[expect(deprecated, reason = "the one form that every node has")]
    node.with_new_children(children)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Ends a step when it has taken its time.
    GiveWay,
    /// Holds the size of all batches in the statement's pool until the stream ends.
    Count,
}

/// Its input as it is.
#[derive(Debug)]
struct Through {
    input: Arc<dyn ExecutionPlan>,
    does: Does,
}

impl Through {
    fn put(input: Arc<dyn ExecutionPlan>, does: Does) -> Arc<dyn ExecutionPlan> {
        Arc::new(Through { input, does })
    }
}

impl DisplayAs for Through {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "ThroughExec: {:?}", self.does)
    }
}

impl ExecutionPlan for Through {
    fn name(&self) -> &str {
        "ThroughExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) => Ok(Through::put(input, self.does)),
            None => Ok(self),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        Ok(match self.does {
            Does::GiveWay => Box::pin(GivingWay { input, since: None }),
            Does::Count => {
                let held = MemoryConsumer::new("window").register(context.memory_pool());
                Box::pin(Counting { input, held })
            }
        })
    }
}

struct GivingWay {
    input: SendableRecordBatchStream,
    /// When the task began to work, as far as it is seen from here.
    since: Option<Instant>,
}

impl Stream for GivingWay {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.since.get_or_insert_with(Instant::now).elapsed() > STEP {
            self.since = None;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = self.input.poll_next_unpin(context);
        if polled.is_pending() {
            self.since = None;
        }
        polled
    }
}

impl RecordBatchStream for GivingWay {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

struct Counting {
    input: SendableRecordBatchStream,
    held: MemoryReservation,
}

impl Stream for Counting {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.input.poll_next_unpin(context);
        if let Poll::Ready(Some(Ok(batch))) = &polled
            && let Err(e) = self.held.try_grow(batch.get_array_memory_size())
        {
            return Poll::Ready(Some(Err(e)));
        }
        polled
    }
}

impl RecordBatchStream for Counting {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}
