// Go's driver through database/sql against the target in the environment: literal and prepared, types, transactions.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-sql-driver/mysql"
)

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

func number(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	panic(fmt.Sprint("no error of the server's: ", err))
}

func types(db *sql.DB, table string) {
	_, err := db.Exec("CREATE TABLE " + table + " (id BIGINT PRIMARY KEY AUTO_INCREMENT, s VARCHAR(50), f DOUBLE, b BLOB, o BOOLEAN," +
		" d DATE, t DATETIME(6), n DECIMAL(10,2), u BIGINT)")
	must(err)
	at := time.Date(2024, 2, 29, 12, 34, 56, 789012000, time.UTC)
	r, err := db.Exec("INSERT INTO "+table+" (s, f, b, o, d, t, n, u) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", "ä'\\☃", 0.1, []byte{0, 1, 255}, true,
		time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), at, "12.30", int64(9223372036854775807))
	must(err)
	id, err := r.LastInsertId()
	must(err)
	n, err := r.RowsAffected()
	must(err)
	check(id == 1 && n == 1, "id %d, rows %d", id, n)
	var s, dec string
	var f float64
	var b []byte
	var o bool
	var d, t time.Time
	var u int64
	for _, where := range []string{"id = ?", "id = ? AND u > 5"} {
		must(db.QueryRow("SELECT s, f, b, o, d, t, n, u FROM "+table+" WHERE "+where, 1).Scan(&s, &f, &b, &o, &d, &t, &dec, &u))
		check(s == "ä'\\☃" && f == 0.1 && string(b) == "\x00\x01\xff" && o && dec == "12.30" && u == 9223372036854775807,
			"%q %v %v %v %q %d", s, f, b, o, dec, u)
		check(d.Equal(time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)) && t.Equal(at), "%v %v", d, t)
	}
	var null sql.NullString
	must(db.QueryRow("SELECT s FROM "+table+" WHERE id = ? UNION ALL SELECT NULL LIMIT 1 OFFSET 1", 1).Scan(&null))
	check(!null.Valid, "%v", null)
}

func transactions(db *sql.DB) {
	_, err := db.Exec("CREATE TABLE tx (id INT PRIMARY KEY, v TEXT)")
	must(err)
	tx, err := db.Begin()
	must(err)
	_, err = tx.Exec("INSERT INTO tx VALUES (1, ?)", "one")
	must(err)
	_, err = tx.Exec("INSERT INTO tx VALUES (1, ?)", "again")
	check(number(err) == 1062, "%v", err)
	must(tx.Commit())
	tx, err = db.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
	must(err)
	_, err = tx.Exec("INSERT INTO tx VALUES (2, 'two')")
	check(number(err) == 1290, "%v", err)
	must(tx.Rollback())
	var n int
	must(db.QueryRow("SELECT COUNT(*) FROM tx").Scan(&n))
	check(n == 1, "%d rows", n)
	_, err = db.Exec("SELECT * FROM missing")
	check(number(err) == 1146, "%v", err)
}

func cancel(db *sql.DB) {
	ctx, stop := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer stop()
	_, err := db.ExecContext(ctx, "SELECT SLEEP(60)")
	check(errors.Is(err, context.DeadlineExceeded), "%v", err)
	var one int
	must(db.QueryRow("SELECT 1").Scan(&one))
	check(one == 1, "%d", one)
}

func main() {
	dsn := os.Getenv("MYSQL_DSN")
	for i, more := range []string{"?parseTime=true", "?parseTime=true&interpolateParams=true"} {
		db, err := sql.Open("mysql", dsn+more)
		must(err)
		types(db, fmt.Sprint("types", i))
		if i == 0 {
			transactions(db)
			cancel(db)
		}
		must(db.Close())
	}
	fmt.Printf("passed %d\n", passed)
}
