// What pgJDBC sends.
import java.sql.*;

public class Session {
    static void quietly(Statement s, String sql) {
        try {
            s.execute(sql);
        } catch (SQLException e) {
            // The answer is in the transcript.
        }
    }

    public static void main(String[] args) throws Exception {
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        try (Connection c = DriverManager.getConnection(url, System.getenv("PGUSER"), System.getenv("PGPASSWORD"));
             Statement s = c.createStatement()) {
            s.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, v TEXT, f DOUBLE PRECISION, b BYTEA, ok BOOLEAN, at TIMESTAMP)");
            try (PreparedStatement p = c.prepareStatement("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)")) {
                for (int i = 0; i < 8; i++) {
                    p.setLong(1, i);
                    p.setString(2, "v" + i);
                    p.setDouble(3, i / 2.0);
                    p.setBytes(4, new byte[] {(byte) i});
                    p.setBoolean(5, i % 2 == 0);
                    p.setTimestamp(6, Timestamp.valueOf("2024-02-29 12:34:56"));
                    p.executeUpdate();
                }
            }
            try (PreparedStatement p = c.prepareStatement("SELECT * FROM t WHERE id = ?")) {
                for (int i = 0; i < 8; i++) {
                    p.setLong(1, i);
                    try (ResultSet r = p.executeQuery()) {
                        while (r.next()) r.getObject(6);
                    }
                }
            }
            quietly(s, "INSERT INTO t (id) VALUES (1)");
            quietly(s, "SELECT * FROM missing");
            c.setAutoCommit(false);
            s.executeUpdate("UPDATE t SET v = 'x' WHERE id > 3");
            Savepoint point = c.setSavepoint();
            quietly(s, "SELECT missing FROM t");
            c.rollback(point);
            c.commit();
            try (PreparedStatement p = c.prepareStatement("SELECT id FROM t ORDER BY id")) {
                p.setFetchSize(3);
                try (ResultSet r = p.executeQuery()) {
                    while (r.next()) r.getLong(1);
                }
            }
            c.commit();
            c.setAutoCommit(true);
            c.isValid(5);
            try (PreparedStatement p = c.prepareStatement("INSERT INTO t (id) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
                p.setLong(1, 100);
                p.executeUpdate();
            }
        }
    }
}
