//! `ScoreExec`: the operator of `Score`. A projection does its work; what differs is what the optimiser may do with it.
//!
//! What always holds: order, partitioning and statistics of the input are kept; a filter on columns of the input, also one
//! that a join or a sort makes while it runs, passes below; no other projection is merged into it or swapped with it, so a
//! call is evaluated here and nowhere else. `EXPLAIN ANALYZE` has the rows scored (`output_rows`) and the time of each call.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::config::ConfigOptions;
use datafusion::error::DataFusionError;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{
    ChildStats, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, StatisticsArgs,
};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use super::node::{Score, by, models};

/// See the module.
#[derive(Debug)]
struct ScoreExec {
    /// The input's columns, then the calls.
    work: Arc<ProjectionExec>,
    models: Vec<String>,
}

impl ScoreExec {
    fn work(input: Arc<dyn ExecutionPlan>, calls: Vec<(Arc<dyn PhysicalExpr>, String)>) -> Result<ProjectionExec> {
        let schema = input.schema();
        let columns = schema.fields().iter().enumerate();
        let mut exprs: Vec<(Arc<dyn PhysicalExpr>, String)> =
            columns.map(|(i, f)| (Arc::new(Column::new(f.name(), i)) as _, f.name().clone())).collect();
        exprs.extend(calls);
        ProjectionExec::try_new(exprs, input)
    }

    fn calls(&self) -> String {
        let inputs = self.work.input().schema().fields().len();
        let calls = self.work.expr().iter().skip(inputs).map(|call| format!("{} as {}", call.expr, call.alias));
        calls.collect::<Vec<_>>().join(", ")
    }
}

impl DisplayAs for ScoreExec {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        match t {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "ScoreExec: {}{}", self.calls(), by(&self.models))
            }
            DisplayFormatType::TreeRender => writeln!(f, "{}{}", self.calls(), by(&self.models)),
        }
    }
}

impl ExecutionPlan for ScoreExec {
    fn name(&self) -> &str {
        "ScoreExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.work.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.work.children()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.work.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(child), true) = (children.pop(), children.is_empty()) else {
            return Err(DataFusionError::Internal("ScoreExec has one child".into()));
        };
        let inputs = self.work.input().schema().fields().len();
        let calls = self.work.expr().iter().skip(inputs);
        let calls = calls.map(|call| (Arc::clone(&call.expr), call.alias.clone())).collect();
        let work = Arc::new(ScoreExec::work(child, calls)?);
        Ok(Arc::new(ScoreExec { work, models: self.models.clone() }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.work.execute(partition, context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.work.metrics()
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.work.child_stats_requests(partition)
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        self.work.statistics_from_inputs(inputs, args)
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let children = self.children();
        // DataFusion finds a filter's columns in the input by their names alone.
        match distinct_names(&self.work.input().schema()) {
            true => FilterDescription::from_children(filters, &children),
            false => Ok(FilterDescription::all_unsupported(&filters, &children)),
        }
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}

fn distinct_names(schema: &SchemaRef) -> bool {
    let mut names: Vec<&String> = schema.fields().iter().map(|f| f.name()).collect();
    names.sort();
    names.windows(2).all(|pair| pair[0] != pair[1])
}

/// Plans `Score`; knows nothing of other nodes.
#[derive(Debug)]
pub(super) struct ScorePlanner;

#[async_trait]
impl ExtensionPlanner for ScorePlanner {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical: &[&LogicalPlan],
        physical: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(score) = node.as_any().downcast_ref::<Score>() else { return Ok(None) };
        let ([logical], [input]) = (logical, physical) else {
            return Err(DataFusionError::Internal("Score has one input".into()));
        };
        let calls = score.calls().iter().map(|call| {
            let expr = planner.create_physical_expr(&call.expr, logical.schema(), session, context)?;
            Ok((expr, call.name.clone()))
        });
        let work = Arc::new(ScoreExec::work(Arc::clone(input), calls.collect::<Result<Vec<_>>>()?)?);
        let models = models(score.calls().iter().map(|call| &call.expr));
        Ok(Some(Arc::new(ScoreExec { work, models })))
    }
}

/// DataFusion's planner with [`ScorePlanner`].
#[derive(Debug)]
pub(super) struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(ScorePlanner)]);
        planner.create_physical_plan(plan, session).await
    }
}
