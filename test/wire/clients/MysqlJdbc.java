// A JDBC driver, MySQL's or MariaDB's, as applications use it: types, generated keys, batches, errors, metadata.
import java.math.BigDecimal;
import java.sql.*;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

public class MysqlJdbc {
    static int passed;

    static void check(boolean ok, String what) {
        if (!ok) throw new AssertionError(what);
        passed++;
    }

    static Connection connect(String more) throws SQLException {
        return DriverManager.getConnection(System.getenv("MYSQL_JDBC") + more, System.getenv("MYSQL_TEST_USER"), System.getenv("MYSQL_PWD"));
    }

    static int code(Statement s, String sql) {
        try {
            s.execute(sql);
        } catch (SQLException e) {
            return e.getErrorCode();
        }
        return 0;
    }

    static void types(Connection c, String table) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute("CREATE TABLE " + table + " (id BIGINT NOT NULL AUTO_INCREMENT, v VARCHAR(20), f DOUBLE, b BLOB, ok BOOLEAN, "
                    + "at DATETIME(6), d DATE, n DECIMAL(12,3), PRIMARY KEY (id))");
        }
        Timestamp at = Timestamp.valueOf("2024-02-29 12:34:56.789012");
        try (PreparedStatement p = c.prepareStatement("INSERT INTO " + table + " (v, f, b, ok, at, d, n) VALUES (?, ?, ?, ?, ?, ?, ?)",
                Statement.RETURN_GENERATED_KEYS)) {
            for (int i = 1; i <= 3; i++) {
                p.setString(1, "ä'\\" + i);
                p.setDouble(2, i / 4.0);
                p.setBytes(3, new byte[] {0, (byte) 255, (byte) i});
                p.setBoolean(4, i % 2 == 0);
                p.setTimestamp(5, at);
                p.setDate(6, Date.valueOf("2024-02-29"));
                p.setBigDecimal(7, new BigDecimal("12.345"));
                check(p.executeUpdate() == 1, "inserted");
                try (ResultSet r = p.getGeneratedKeys()) {
                    check(r.next() && r.getLong(1) == i, "key " + i);
                }
            }
        }
        try (PreparedStatement p = c.prepareStatement("SELECT * FROM " + table + " WHERE id = ?")) {
            for (int i = 1; i <= 3; i++) {
                p.setLong(1, i);
                try (ResultSet r = p.executeQuery()) {
                    check(r.next() && r.getString("v").equals("ä'\\" + i) && r.getDouble("f") == i / 4.0
                            && Arrays.equals(r.getBytes("b"), new byte[] {0, (byte) 255, (byte) i})
                            && r.getBoolean("ok") == (i % 2 == 0), "row " + i);
                    check(r.getTimestamp("at").equals(at) && r.getDate("d").equals(Date.valueOf("2024-02-29"))
                            && r.getBigDecimal("n").equals(new BigDecimal("12.345")), "moments " + i);
                }
            }
        }
    }

    static void batches(Connection c) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute("CREATE TABLE batch (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20) UNIQUE)");
        }
        try (PreparedStatement p = c.prepareStatement("INSERT INTO batch (v) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
            for (int i = 0; i < 100; i++) {
                p.setString(1, "v" + i);
                p.addBatch();
            }
            check(p.executeBatch().length == 100, "batch");
            int keys = 0;
            try (ResultSet r = p.getGeneratedKeys()) {
                while (r.next()) keys += r.getInt(1) == keys + 1 ? 1 : 1000;
            }
            check(keys == 100, "keys of the batch " + keys);
            p.setString(1, "v5");
            p.addBatch();
            try {
                p.executeBatch();
                check(false, "a duplicate in a batch");
            } catch (BatchUpdateException e) {
                check(e.getErrorCode() == 1062, "duplicate in a batch");
            }
        }
        try (Statement s = c.createStatement()) {
            s.setFetchSize(Integer.MIN_VALUE); // row by row
            int n = 0;
            try (ResultSet r = s.executeQuery("SELECT id FROM batch ORDER BY id")) {
                while (r.next()) n++;
            }
            check(n == 100, "rows one by one");
            s.execute("DROP TABLE batch");
        }
    }

    public static void main(String[] args) throws Exception {
        try (Connection c = connect("")) {
            types(c, "a");
        }
        try (Connection c = connect("&useServerPrepStmts=true")) {
            types(c, "b");
        }
        try (Connection c = connect(""); Statement s = c.createStatement()) {
            check(code(s, "INSERT INTO a (id) VALUES (1)") == 1062, "duplicate");
            check(code(s, "SELECT * FROM missing") == 1146, "no table");
            c.setAutoCommit(false);
            s.executeUpdate("UPDATE a SET v = 'x'");
            Savepoint point = c.setSavepoint("p");
            s.executeUpdate("DELETE FROM a");
            c.rollback(point);
            c.commit();
            c.setAutoCommit(true);
            try (ResultSet r = s.executeQuery("SELECT COUNT(*) FROM a WHERE v = 'x'")) {
                check(r.next() && r.getInt(1) == 3, "rows");
            }
            DatabaseMetaData m = c.getMetaData();
            List<String> tables = new ArrayList<>();
            try (ResultSet r = m.getTables(null, null, "%", new String[] {"TABLE"})) {
                while (r.next()) tables.add(r.getString("TABLE_NAME"));
            }
            check(tables.equals(Arrays.asList("a", "b")), "tables " + tables);
            List<String> columns = new ArrayList<>();
            try (ResultSet r = m.getColumns(null, null, "a", "%")) {
                while (r.next()) columns.add(r.getString("COLUMN_NAME") + ":" + r.getString("TYPE_NAME"));
            }
            check(columns.get(0).equals("id:BIGINT") && columns.size() == 8, "columns " + columns);
            try (ResultSet r = m.getPrimaryKeys(null, null, "a")) {
                check(r.next() && r.getString("COLUMN_NAME").equals("id"), "primary key");
            }
            s.execute("CREATE TABLE child (id INT PRIMARY KEY, a BIGINT, KEY by_a (a), FOREIGN KEY (a) REFERENCES a (id))");
            try (ResultSet r = m.getImportedKeys(c.getCatalog(), null, "child")) {
                check(r.next() && r.getString("PKTABLE_NAME").equals("a") && r.getString("FKCOLUMN_NAME").equals("a"), "imported key");
            }
            try (ResultSet r = m.getExportedKeys(c.getCatalog(), null, "a")) {
                check(r.next() && r.getString("FKTABLE_NAME").equals("child"), "exported key");
            }
            List<String> indexes = new ArrayList<>();
            try (ResultSet r = m.getIndexInfo(c.getCatalog(), null, "child", false, true)) {
                while (r.next()) indexes.add(r.getString("INDEX_NAME") + ":" + r.getString("COLUMN_NAME"));
            }
            check(indexes.contains("PRIMARY:id") && indexes.contains("by_a:a"), "indexes " + indexes);
            check(m.getDatabaseProductVersion().startsWith("8."), "version " + m.getDatabaseProductVersion());
            s.execute("DROP TABLE child");
            batches(c);
            check(code(s, "SELECT 1 FROM a WHERE") == 1064, "syntax");
            check(c.isValid(5), "valid");
        }
        System.out.println("passed " + passed);
    }
}
