// The drivers of Go against the target in the environment: pgx, natively and in its other query modes, and lib/pq through
// database/sql, as Grafana has it.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/lib/pq"
)

const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

var passed int

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func check(ok bool, format string, args ...any) {
	if !ok {
		panic(fmt.Sprintf(format, args...))
	}
	passed++
}

func sqlstate(err error) string {
	var e *pgconn.PgError
	var l *pq.Error
	if errors.As(err, &e) {
		return e.Code
	}
	if errors.As(err, &l) {
		return string(l.Code)
	}
	return fmt.Sprint(err)
}

// ---- pgx ----

func pgxTypes(ctx context.Context, c *pgx.Conn, table string) {
	_, err := c.Exec(ctx, "CREATE TABLE "+table+" (id BIGINT PRIMARY KEY, s TEXT, f DOUBLE PRECISION, b BYTEA, o BOOLEAN,"+
		" d DATE, ts TIMESTAMP, tz TIMESTAMPTZ, n NUMERIC(10,2), j JSONB, u UUID, i4 INT4, i2 SMALLINT)")
	must(err)
	at := time.Date(2024, 2, 29, 12, 34, 56, 789012000, time.UTC)
	uuid := pgtype.UUID{Bytes: [16]byte{1, 2, 3}, Valid: true}
	var number pgtype.Numeric
	must(number.Scan("12.34"))
	_, err = c.Exec(ctx, "INSERT INTO "+table+" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)", int64(1), "ä☃", 0.1,
		[]byte{0, 255, 1}, true, at, at, at, number, `{"a": [1, "x"]}`, uuid, int32(-7), int16(3))
	must(err)
	var id int64
	var s string
	var f float64
	var b []byte
	var o bool
	var d, ts, tz time.Time
	var n pgtype.Numeric
	var j map[string]any
	var u pgtype.UUID
	var i4 int32
	var i2 int16
	must(c.QueryRow(ctx, "SELECT * FROM "+table+" WHERE id = $1", 1).Scan(&id, &s, &f, &b, &o, &d, &ts, &tz, &n, &j, &u, &i4, &i2))
	check(id == 1 && s == "ä☃" && f == 0.1 && string(b) == "\x00\xff\x01" && o, "plain types")
	check(d.Equal(at.Truncate(24*time.Hour)) && ts.Equal(at) && tz.Equal(at), "times: %v %v %v", d, ts, tz)
	v, err := n.Float64Value()
	check(err == nil && v.Float64 == 12.34 && u == uuid && i4 == -7 && i2 == 3 && len(j["a"].([]any)) == 2, "others")
	_, err = c.Exec(ctx, "INSERT INTO "+table+" (id, s, f, b, d) VALUES ($1, $2, $3, $4, $5)", 2, nil, nil, nil, nil)
	must(err)
	var none *string
	must(c.QueryRow(ctx, "SELECT s FROM "+table+" WHERE id = 2").Scan(&none))
	check(none == nil, "NULL")
}

func pgxModes(ctx context.Context) {
	for i, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe,
		pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		config, err := pgx.ParseConfig("")
		must(err)
		config.DefaultQueryExecMode = mode
		c, err := pgx.ConnectConfig(ctx, config)
		must(err)
		pgxTypes(ctx, c, fmt.Sprintf("t%d", i))
		must(c.Close(ctx))
	}
}

func pgxRest(ctx context.Context) {
	c, err := pgx.Connect(ctx, "")
	must(err)
	defer c.Close(ctx)
	_, err = c.Exec(ctx, "CREATE TABLE k (id INTEGER PRIMARY KEY, v TEXT UNIQUE)")
	must(err)
	rows := [][]any{}
	for i := 0; i < 5000; i++ {
		rows = append(rows, []any{int64(i), fmt.Sprint("row ", i)})
	}
	n, err := c.CopyFrom(ctx, pgx.Identifier{"k"}, []string{"id", "v"}, pgx.CopyFromRows(rows))
	check(err == nil && n == 5000, "CopyFrom: %v", err)

	batch := &pgx.Batch{}
	for i := 0; i < 100; i++ {
		batch.Queue("UPDATE k SET v = $2 WHERE id = $1", i, fmt.Sprint("new ", i))
	}
	batch.Queue("SELECT count(*) FROM k WHERE v LIKE 'new %'")
	results := c.SendBatch(ctx, batch)
	for i := 0; i < 100; i++ {
		tag, err := results.Exec()
		must(err)
		if tag.RowsAffected() != 1 {
			panic(tag)
		}
	}
	var count int
	must(results.QueryRow().Scan(&count))
	must(results.Close())
	check(count == 100, "batch: %d", count)

	tx, err := c.Begin(ctx)
	must(err)
	inner, err := tx.Begin(ctx) // a savepoint
	must(err)
	_, err = inner.Exec(ctx, "INSERT INTO k VALUES (1, 'x')")
	check(sqlstate(err) == pq23505, "unique: %v", err)
	must(inner.Rollback(ctx))
	_, err = tx.Exec(ctx, "INSERT INTO k VALUES (10000, 'after')")
	must(err)
	must(tx.Commit(ctx))
	must(c.QueryRow(ctx, "SELECT count(*) FROM k").Scan(&count))
	check(count == 5001, "savepoint: %d", count)

	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	_, err = c.Exec(short, endless)
	cancel()
	check(err != nil, "a context that ends ends the statement")

	ids := []int64{1, 2, 3}
	found, err := pgxpoolQuery(ctx, "SELECT id FROM k WHERE id = ANY($1) ORDER BY id", ids)
	must(err)
	check(len(found) == 3 && found[2] == 3, "ANY($1): %v", found)
}

const pq23505 = "23505"

func pgxpoolQuery(ctx context.Context, query string, args ...any) ([]int64, error) {
	pool, err := pgxpool.New(ctx, "")
	must(err)
	defer pool.Close()
	rows, err := pool.Query(ctx, query, args...)
	must(err)
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// ---- lib/pq ----

func libpq() {
	db, err := sql.Open("postgres", "sslmode=disable")
	must(err)
	defer db.Close()
	_, err = db.Exec("CREATE TABLE p (id BIGINT PRIMARY KEY, s TEXT, ts TIMESTAMPTZ, b BYTEA, f DOUBLE PRECISION)")
	must(err)
	at := time.Date(2024, 2, 29, 12, 34, 56, 0, time.UTC)
	_, err = db.Exec("INSERT INTO p VALUES ($1, $2, $3, $4, $5)", 1, "ä", at, []byte{0, 255}, 1.5)
	must(err)
	var s string
	var ts time.Time
	var b []byte
	var f float64
	must(db.QueryRow("SELECT s, ts, b, f FROM p WHERE id = $1", 1).Scan(&s, &ts, &b, &f))
	check(s == "ä" && ts.Equal(at) && string(b) == "\x00\xff" && f == 1.5, "lib/pq: %v %v %v %v", s, ts, b, f)

	tx, err := db.Begin()
	must(err)
	copying, err := tx.Prepare(pq.CopyIn("p", "id", "s"))
	must(err)
	for i := 2; i < 1000; i++ {
		_, err = copying.Exec(i, fmt.Sprint("row\t", i))
		must(err)
	}
	_, err = copying.Exec()
	must(err)
	must(copying.Close())
	must(tx.Commit())
	var count int
	must(db.QueryRow("SELECT count(*) FROM p WHERE s LIKE 'row%'").Scan(&count))
	check(count == 998, "CopyIn: %d", count)

	_, err = db.Exec("INSERT INTO p (id) VALUES (1)")
	check(sqlstate(err) == pq23505, "unique: %v", err)
	must(db.QueryRow("SELECT count(*) FROM p WHERE id = ANY($1)", pq.Array([]int64{1, 2, 5000})).Scan(&count))
	check(count == 2, "pq.Array: %d", count)
	statement, err := db.Prepare("SELECT s FROM p WHERE id = $1")
	must(err)
	must(statement.QueryRow(1).Scan(&s))
	must(statement.Close())
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	_, err = db.ExecContext(ctx, endless)
	cancel()
	check(err != nil && strings.Contains(err.Error(), "cancel"), "cancel: %v", err)
}

func main() {
	ctx := context.Background()
	os.Setenv("PGSSLMODE", "disable")
	pgxModes(ctx)
	pgxRest(ctx)
	libpq()
	fmt.Println("passed", passed)
}
