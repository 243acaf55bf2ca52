// pgJDBC as applications and pools use it: its own prepared statements, binary transfer, cursors, metadata, COPY.
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.*;
import java.util.*;

import org.postgresql.PGConnection;

public class Jdbc {
    static int passed;

    static void check(boolean condition, String what) {
        if (!condition) throw new AssertionError(what);
    }

    static void same(Object want, Object got, String what) {
        check(Objects.equals(want, got), what + ": wanted " + want + ", got " + got);
    }

    static String state(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute(sql);
        } catch (SQLException e) {
            return e.getSQLState();
        }
        throw new AssertionError("it did not fail: " + sql);
    }

    static void types(Connection c) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute("CREATE TABLE types (id INTEGER PRIMARY KEY, i INTEGER, l BIGINT, d DOUBLE PRECISION, t TEXT, v VARCHAR(20),"
                + " b BYTEA, f BOOLEAN, ts TIMESTAMP, n NUMERIC(10,2))");
        }
        try (PreparedStatement p = c.prepareStatement("INSERT INTO types VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")) {
            for (int id = 1; id <= 10; id++) {  // the fifth is a named statement, and then binary
                p.setInt(1, id);
                p.setInt(2, -id);
                p.setLong(3, Long.MAX_VALUE - id);
                p.setDouble(4, id / 8.0);
                p.setString(5, "text ☃ " + id);
                p.setString(6, "v" + id);
                p.setBytes(7, new byte[] {0, (byte) 255, (byte) id});
                p.setBoolean(8, id % 2 == 0);
                p.setTimestamp(9, Timestamp.valueOf("2024-02-29 12:34:56.789"));
                p.setBigDecimal(10, new BigDecimal("12.50"));
                same(1, p.executeUpdate(), "inserted");
            }
            p.setInt(1, 11);
            for (int i = 2; i <= 10; i++) p.setNull(i, Types.NULL);
            p.executeUpdate();
        }
        try (PreparedStatement p = c.prepareStatement("SELECT * FROM types WHERE id = ?")) {
            for (int id = 1; id <= 10; id++) {
                p.setInt(1, id);
                try (ResultSet r = p.executeQuery()) {
                    check(r.next(), "a row");
                    same(-id, r.getInt("i"), "int");
                    same(Long.MAX_VALUE - id, r.getLong("l"), "long");
                    same(id / 8.0, r.getDouble("d"), "double");
                    same("text ☃ " + id, r.getString("t"), "text");
                    check(Arrays.equals(new byte[] {0, (byte) 255, (byte) id}, r.getBytes("b")), "bytes");
                    same(id % 2 == 0, r.getBoolean("f"), "boolean");
                    same(Timestamp.valueOf("2024-02-29 12:34:56.789"), r.getTimestamp("ts"), "timestamp");
                    same(0, new BigDecimal("12.5").compareTo(r.getBigDecimal("n")), "numeric");
                    check(!r.next(), "one row");
                }
            }
            p.setInt(1, 11);
            try (ResultSet r = p.executeQuery()) {
                r.next();
                for (int i = 2; i <= 10; i++) check(r.getObject(i) == null, "null");
            }
        }
        passed++;
    }

    static void transactions(Connection c) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute("CREATE TABLE tx (id INTEGER PRIMARY KEY, v TEXT NOT NULL)");
            c.setAutoCommit(false);
            s.executeUpdate("INSERT INTO tx VALUES (1, 'a')");
            Savepoint point = c.setSavepoint();
            s.executeUpdate("INSERT INTO tx VALUES (2, 'b')");
            same("23505", state(c, "INSERT INTO tx VALUES (2, 'c')"), "unique");
            same("25P02", state(c, "SELECT 1"), "aborted");
            c.rollback(point);
            s.executeUpdate("INSERT INTO tx VALUES (3, 'd')");
            c.commit();
            same("23502", state(c, "INSERT INTO tx VALUES (4, NULL)"), "not null");
            c.rollback();
            c.setAutoCommit(true);
            try (ResultSet r = s.executeQuery("SELECT count(*), sum(id) FROM tx")) {
                r.next();
                same(2, r.getInt(1), "rows");
                same(4, r.getInt(2), "sum");
            }
            same("42P01", state(c, "SELECT * FROM missing"), "no table");
            same("42601", state(c, "SELEC 1"), "syntax");
        }
        passed++;
    }

    static void batchesAndKeys(Connection c) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute("CREATE TABLE batch (id INTEGER PRIMARY KEY, v TEXT)");
        }
        c.setAutoCommit(false);
        try (PreparedStatement p = c.prepareStatement("INSERT INTO batch VALUES (?, ?)")) {
            for (int i = 0; i < 1000; i++) {
                p.setInt(1, i);
                p.setString(2, "row " + i);
                p.addBatch();
            }
            same(1000, p.executeBatch().length, "batch");
        }
        c.commit();
        try (PreparedStatement p = c.prepareStatement("INSERT INTO batch VALUES (?, ?)", Statement.RETURN_GENERATED_KEYS)) {
            p.setInt(1, 5000);
            p.setString(2, "keyed");
            p.executeUpdate();
            try (ResultSet r = p.getGeneratedKeys()) {
                check(r.next(), "a key");
                same(5000, r.getInt(1), "key");
            }
        }
        c.commit();
        try (PreparedStatement p = c.prepareStatement("SELECT id FROM batch ORDER BY id")) {
            p.setFetchSize(50);
            int rows = 0;
            try (ResultSet r = p.executeQuery()) {
                while (r.next()) rows++;
            }
            same(1001, rows, "fetched in pieces");
        }
        c.commit();
        c.setAutoCommit(true);
        passed++;
    }

    static void metadata(Connection c) throws SQLException {
        DatabaseMetaData m = c.getMetaData();
        same("PostgreSQL", m.getDatabaseProductName(), "product");
        same(15, m.getDatabaseMajorVersion(), "version");
        List<String> found = new ArrayList<>();
        try (ResultSet r = m.getTables(null, null, "%", new String[] {"TABLE"})) {
            while (r.next()) found.add(r.getString("TABLE_NAME"));
        }
        check(found.contains("tx") && found.contains("types"), "tables: " + found);
        found.clear();
        try (ResultSet r = m.getColumns(null, null, "tx", "%")) {
            while (r.next()) found.add(r.getString("COLUMN_NAME"));
        }
        same(List.of("id", "v"), found, "columns");
        found.clear();
        try (ResultSet r = m.getPrimaryKeys(null, null, "tx")) {
            while (r.next()) found.add(r.getString("COLUMN_NAME"));
        }
        same(List.of("id"), found, "primary key");
        check(c.isValid(5), "valid");
        passed++;
    }

    static void copy(Connection c) throws Exception {
        try (Statement s = c.createStatement()) {
            s.execute("CREATE TABLE copied (id INTEGER PRIMARY KEY, v TEXT)");
        }
        StringBuilder in = new StringBuilder();
        for (int i = 0; i < 20000; i++) in.append(i).append(",\"value ").append(i).append("\"\n");
        long rows = c.unwrap(PGConnection.class).getCopyAPI()
            .copyIn("COPY copied FROM STDIN WITH (FORMAT csv)", new StringReader(in.toString()));
        same(20000L, rows, "copied in");
        StringWriter out = new StringWriter();
        rows = c.unwrap(PGConnection.class).getCopyAPI()
            .copyOut("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT WITH (FORMAT csv)", out);
        same(20000L, rows, "copied out");
        same(in.toString().replace("\"", ""), out.toString(), "the same");
        passed++;
    }

    public static void main(String[] args) throws Exception {
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        try (Connection c = DriverManager.getConnection(url, System.getenv("PGUSER"), System.getenv("PGPASSWORD"))) {
            types(c);
            transactions(c);
            batchesAndKeys(c);
            metadata(c);
            copy(c);
        }
        System.out.println("passed " + passed);
    }
}
