import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.Date;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;

/** What PostgreSQL's JDBC driver gets from the server at a port: a name, a tab and a value in each line. */
public class ServeJdbc {
    static Connection connect(String port) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", "ana");
        properties.setProperty("password", "ana-secret word");
        return DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + port + "/lake", properties);
    }

    static void tell(String name, Object value) {
        System.out.println(name + "\t" + value);
    }

    static Object one(PreparedStatement statement) throws SQLException {
        try (ResultSet rows = statement.executeQuery()) {
            rows.next();
            return rows.getObject(1);
        }
    }

    static String state(Connection c, String sql) {
        try (Statement s = c.createStatement()) {
            s.execute(sql);
            return "none";
        } catch (SQLException e) {
            return e.getSQLState();
        }
    }

    public static void main(String[] args) throws Exception {
        try (Connection c = connect(args[0])) {
            values(c);
            parameters(c);
            prepared(c);
            cursor(c);
            catalog(c);
            errors(c);
            cancel(c);
        }
    }

    static void values(Connection c) throws SQLException {
        String sql = "SELECT 2::int AS i, 3::bigint AS l, 1.5::real AS r, 2.25::double precision AS d, 'über' AS t, true AS b,"
            + " NULL::int AS n, DATE '2026-03-01' AS day, TIMESTAMP '2026-03-01 10:00:00' AS at, CAST(12.34 AS DECIMAL(10,2)) AS dec,"
            + " ARRAY['a','b'] AS list";
        try (Statement s = c.createStatement(); ResultSet rows = s.executeQuery(sql)) {
            ResultSetMetaData meta = rows.getMetaData();
            List<String> types = new ArrayList<>();
            for (int i = 1; i <= meta.getColumnCount(); i++) types.add(meta.getColumnLabel(i) + ":" + meta.getColumnTypeName(i));
            tell("types", types);
            rows.next();
            tell("values", Arrays.asList(rows.getInt(1), rows.getLong(2), rows.getFloat(3), rows.getDouble(4), rows.getString(5),
                rows.getBoolean(6), rows.getObject(7), rows.getDate(8), rows.getTimestamp(9), rows.getBigDecimal(10),
                Arrays.toString((Object[]) rows.getArray(11).getArray())));
        }
    }

    static void parameters(Connection c) throws SQLException {
        try (PreparedStatement s = c.prepareStatement("SELECT hs_code(?)")) {
            s.setString(1, "cotton shirts");
            tell("predicted", one(s));
        }
        try (PreparedStatement s = c.prepareStatement("SELECT ?::int + 1")) {
            s.setInt(1, 41);
            tell("int", one(s));
        }
        try (PreparedStatement s = c.prepareStatement("SELECT ? * 2.0")) {
            s.setDouble(1, 1.25);
            tell("double", one(s));
        }
        try (PreparedStatement s = c.prepareStatement("SELECT ?::numeric + 0.5")) {
            s.setBigDecimal(1, new BigDecimal("1.25"));
            tell("decimal", one(s));
        }
        try (PreparedStatement s = c.prepareStatement("SELECT ?::date")) {
            s.setDate(1, Date.valueOf("2026-03-01"));
            tell("date", one(s));
        }
        try (PreparedStatement s = c.prepareStatement("SELECT ?::timestamp")) {
            s.setTimestamp(1, Timestamp.valueOf("2026-03-01 10:20:30.5"));
            tell("timestamp", one(s));
        }
        try (PreparedStatement s = c.prepareStatement("SELECT count(*) FROM runs WHERE started_at > ? AND started_at < ?")) {
            s.setTimestamp(1, Timestamp.valueOf("2020-01-01 00:00:00"));
            s.setTimestamp(2, Timestamp.valueOf("2199-01-01 00:00:00"));
            tell("between", one(s));
        }
        try (PreparedStatement s = c.prepareStatement("SELECT ?::text IS NULL")) {
            s.setNull(1, Types.VARCHAR);
            tell("null", one(s));
        }
        try (PreparedStatement s = c.prepareStatement("SELECT count(*) FROM predictions WHERE decision = ? AND confidence >= ? LIMIT ?")) {
            s.setString(1, "no such decision");
            s.setFloat(2, 0.5f);
            s.setInt(3, 5);
            tell("where", one(s));
        }
    }

    /** From the fifth time on the driver keeps the statement on the server and asks for binary values. */
    static void prepared(Connection c) throws SQLException {
        List<Object> got = new ArrayList<>();
        String sql = "SELECT ?::int * 2, ?::bigint, 1.5::double precision, DATE '2026-03-01', 'x'";
        try (PreparedStatement s = c.prepareStatement(sql)) {
            for (int i = 0; i < 12; i++) {
                s.setInt(1, i);
                s.setLong(2, 1L << 40);
                try (ResultSet rows = s.executeQuery()) {
                    rows.next();
                    got.add(rows.getInt(1) + "/" + rows.getLong(2) + "/" + rows.getDouble(3) + "/" + rows.getDate(4) + "/" + rows.getString(5));
                }
            }
        }
        tell("prepared", got);
    }

    /** In a transaction with a fetch size the rows come a portion at a time. */
    static void cursor(Connection c) throws SQLException {
        c.setAutoCommit(false);
        int rows = 0;
        try (Statement s = c.createStatement()) {
            s.setFetchSize(700);
            try (ResultSet found = s.executeQuery("SELECT line_id, hs6 FROM predictions")) {
                while (found.next()) rows++;
            }
        }
        c.commit();
        c.setAutoCommit(true);
        tell("cursor", rows);
    }

    static void catalog(Connection c) throws SQLException {
        DatabaseMetaData meta = c.getMetaData();
        tell("product", meta.getDatabaseProductName());
        List<String> schemas = new ArrayList<>();
        try (ResultSet rows = meta.getSchemas()) {
            while (rows.next()) schemas.add(rows.getString("TABLE_SCHEM"));
        }
        tell("schemas", schemas);
        List<String> tables = new ArrayList<>();
        try (ResultSet rows = meta.getTables(null, "public", "%", new String[] {"TABLE", "VIEW"})) {
            while (rows.next()) tables.add(rows.getString("TABLE_NAME") + ":" + rows.getString("TABLE_TYPE"));
        }
        tell("tables", tables);
        List<String> columns = new ArrayList<>();
        try (ResultSet rows = meta.getColumns(null, "public", "predictions", "%")) {
            while (rows.next()) columns.add(rows.getString("COLUMN_NAME") + ":" + rows.getString("TYPE_NAME"));
        }
        tell("columns", columns);
        int keys = 0;
        try (ResultSet rows = meta.getPrimaryKeys(null, "public", "predictions")) {
            while (rows.next()) keys++;
        }
        try (ResultSet rows = meta.getImportedKeys(null, "public", "predictions")) {
            while (rows.next()) keys++;
        }
        try (ResultSet rows = meta.getIndexInfo(null, "public", "predictions", false, true)) {
            while (rows.next()) keys++;
        }
        tell("keys", keys);
        try (ResultSet rows = meta.getFunctions(null, null, "%")) {
            tell("functions", rows.getMetaData().getColumnCount());
        }
    }

    static void errors(Connection c) throws SQLException {
        tell("table", state(c, "SELECT * FROM nothing_here"));
        tell("column", state(c, "SELECT nocolumn FROM predictions"));
        tell("write", state(c, "DELETE FROM predictions"));
        tell("value", state(c, "SELECT 1/0"));
    }

    static void cancel(Connection c) throws Exception {
        String heavy = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b WHERE (a.value * b.value) % 7 = 3";
        try (Statement s = c.createStatement()) {
            Thread other = new Thread(() -> {
                try {
                    Thread.sleep(700);
                    s.cancel();
                } catch (InterruptedException | SQLException e) {
                    tell("cancel failed", e);
                }
            });
            other.start();
            try {
                s.executeQuery(heavy);
                tell("cancel", "answered");
            } catch (SQLException e) {
                tell("cancel", e.getSQLState());
            }
            other.join();
        }
        try (Statement s = c.createStatement()) {
            s.setQueryTimeout(1);
            s.executeQuery(heavy);
            tell("timeout", "answered");
        } catch (SQLException e) {
            tell("timeout", e.getSQLState());
        }
        try (Statement s = c.createStatement(); ResultSet rows = s.executeQuery("SELECT 1")) {
            rows.next();
            tell("after", rows.getInt(1));
        }
    }
}
