//! What makes a session look like PostgreSQL to its clients: `pg_catalog`, and the functions by which they ask who and where
//! they are.

use std::sync::Arc;

use arrow::array::StructArray;
use arrow::datatypes::{DataType, Field};
use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::prelude::{SessionContext, create_udf};
use datafusion::scalar::ScalarValue;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::{
    self as pg, PgCatalogSchemaProvider, PgCatalogStaticTables,
};
use pg::array_bounds_udf::{create_array_lower_udf, create_array_upper_udf};
use pg::context::{PgCatalogContextProvider, Role as PgRole};
use pg::format_type::create_format_type_udf;
use pg::generate_series_arg_coercion::CoerceIntArgsToBigInt;
use pg::has_privilege_udf::create_has_privilege_udf;
use pg::oid_type_planner::PgOidTypePlanner;
use pg::pg_get_expr_udf::create_pg_get_expr_udf;
use pg::quote_ident_udf::{create_parse_ident_udf, create_quote_ident_udf};

use super::fault::Answer;
use super::settings::{SERVER_VERSION, Settings};
use super::vectors::type_names;

/// The tables of the catalog that never change; read once for all sessions.
#[derive(Clone)]
pub(super) struct Catalog {
    tables: Arc<PgCatalogStaticTables>,
}

/// Roles as `pg_roles` shows them: a session sees its own user alone.
#[derive(Debug, Clone)]
struct OwnRole {
    user: String,
}

#[async_trait]
impl PgCatalogContextProvider for OwnRole {
    async fn roles(&self) -> Vec<String> {
        vec![self.user.clone()]
    }

    async fn role(&self, name: &str) -> Option<PgRole> {
        Some(PgRole {
            name: name.to_owned(),
            is_superuser: false,
            can_login: true,
            can_create_db: false,
            can_create_role: false,
            can_create_user: false,
            can_replication: false,
            grants: Vec::new(),
            inherited_roles: Vec::new(),
        })
    }
}

impl Catalog {
    /// Reads the tables.
    ///
    /// # Errors
    /// A defect of the library.
    pub fn new() -> Result<Catalog, DataFusionError> {
        Ok(Catalog { tables: Arc::new(PgCatalogStaticTables::try_new()?) })
    }

    /// Puts everything into the session of one connection.
    pub fn install(&self, context: &SessionContext, user: &str, session: i32) -> Answer<()> {
        let state = context.state();
        let database = state.config_options().catalog.default_catalog.clone();
        let role = OwnRole { user: user.to_owned() };
        let all = Arc::clone(state.catalog_list());
        let schema = PgCatalogSchemaProvider::try_new(all, Arc::clone(&self.tables), role)?;
        let catalog = context.catalog(&database);
        let catalog = catalog.ok_or_else(|| DataFusionError::Internal(format!("there is no catalog {database}")))?;
        catalog.register_schema("pg_catalog", Arc::new(schema))?;
        for function in catalog_functions(&database).into_iter().chain(own_functions(user, session)) {
            context.register_udf(function);
        }
        context.register_udtf("pg_get_keywords", Arc::clone(&self.tables.pg_get_keywords) as _);
        let state = context.state_ref();
        let with_types = SessionStateBuilder::new_from_existing(context.state())
            .with_type_planner(Arc::new(PgOidTypePlanner))
            .build();
        *state.write() = with_types;
        CoerceIntArgsToBigInt::widen(context);
        Ok(())
    }
}

/// Functions of the library.
fn catalog_functions(database: &str) -> Vec<ScalarUDF> {
    let privileges =
        ["has_table_privilege", "has_schema_privilege", "has_database_privilege", "has_any_column_privilege"];
    let mut functions = vec![
        pg::create_current_database_udf(database),
        pg::create_current_schema_udf(),
        pg::create_current_schemas_udf(),
        pg::create_pg_table_is_visible(),
        pg::create_pg_get_partkeydef_udf(),
        pg::create_pg_relation_is_publishable_udf(),
        pg::create_pg_get_statisticsobjdef_columns_udf(),
        pg::create_pg_encoding_to_char_udf(),
        pg::create_pg_relation_size_udf(),
        pg::create_pg_total_relation_size_udf(),
        pg::create_pg_stat_get_numscans(),
        pg::create_pg_get_constraintdef(),
        pg::create_pg_get_partition_ancestors_udf(),
        create_format_type_udf(),
        create_pg_get_expr_udf(),
        create_quote_ident_udf(),
        create_parse_ident_udf(),
        create_array_upper_udf(),
        create_array_lower_udf(),
        type_names(),
    ];
    functions.extend(privileges.map(create_has_privilege_udf));
    functions
}

/// Functions whose answer depends on the connection, and those that clients ask at the start and the library lacks.
fn own_functions(user: &str, session: i32) -> Vec<ScalarUDF> {
    let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
    let version = format!("PostgreSQL {SERVER_VERSION}");
    let (yes, no, nothing) =
        (ScalarValue::Boolean(Some(true)), ScalarValue::Boolean(Some(false)), ScalarValue::Utf8(None));
    let int = |name: &str| Field::new(name, DataType::Int32, true);
    let expanded = ScalarValue::Struct(Arc::new(StructArray::new_null(vec![int("x"), int("n")].into(), 1)));
    let answers = [
        ("version", text(&version)),
        ("session_user", text(user)),
        ("pg_get_userbyid", text(user)),
        ("pg_backend_pid", ScalarValue::Int32(Some(session))),
        ("pg_my_temp_schema", ScalarValue::Int32(Some(0))),
        ("pg_is_in_recovery", no.clone()),
        ("pg_is_other_temp_schema", no),
        ("pg_function_is_visible", yes.clone()),
        ("pg_type_is_visible", yes),
        ("txid_current", ScalarValue::Int64(Some(1))),
        ("obj_description", nothing.clone()),
        ("col_description", nothing.clone()),
        ("shobj_description", nothing.clone()),
        ("pg_get_viewdef", nothing.clone()),
        ("pg_get_indexdef", nothing.clone()),
        ("pg_get_function_arguments", nothing.clone()),
        ("pg_get_function_identity_arguments", nothing.clone()),
        ("pg_get_function_result", nothing.clone()),
        ("pg_get_serial_sequence", nothing),
        // Asked of the columns of an index, of which there is none.
        ("_pg_expandarray", expanded),
    ];
    answers.into_iter().map(|(name, answer)| ScalarUDF::new_from_impl(Constant::new(name, answer))).collect()
}

/// A function of a session's settings, as they are when a statement is planned. `set_config` says what it was given and
/// changes nothing: a setting is changed by SET.
pub(super) fn setting_functions(settings: &Settings) -> Vec<ScalarUDF> {
    let known: Arc<Vec<(String, String)>> =
        Arc::new(settings.all().map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect());
    let current = move |args: &[ColumnarValue]| {
        let asked = match args.first() {
            Some(ColumnarValue::Scalar(name)) => name.try_as_str().flatten().map(str::to_lowercase),
            _ => return Err(DataFusionError::Plan("current_setting takes the name of a setting as a literal".into())),
        };
        let found = known.iter().find(|(name, _)| Some(name) == asked.as_ref()).map(|(_, value)| value.clone());
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(found)))
    };
    let given = |args: &[ColumnarValue]| match args.get(1) {
        Some(value) => Ok(value.clone()),
        None => Ok(ColumnarValue::Scalar(ScalarValue::Utf8(None))),
    };
    let text = || DataType::Utf8;
    vec![
        create_udf("current_setting", vec![text()], text(), Volatility::Stable, Arc::new(current)),
        create_udf("set_config", vec![text(), text(), DataType::Boolean], text(), Volatility::Stable, Arc::new(given)),
    ]
}

/// A function with one answer, whatever it is given.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Constant {
    name: &'static str,
    signature: Signature,
    answer: ScalarValue,
}

impl Constant {
    fn new(name: &'static str, answer: ScalarValue) -> Constant {
        let any = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
        Constant { name, signature: Signature::one_of(any, Volatility::Stable), answer }
    }
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(self.answer.data_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        Ok(ColumnarValue::Scalar(self.answer.clone()))
    }
}
