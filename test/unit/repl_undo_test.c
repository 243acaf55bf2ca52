/* What undo remembers of a range: rows, and tables that have become other ones. */
#include "sql_temp.h"

#include "repl/undo_rows.h"
#include "repl/undo_tables.h"

static const char *const columns[] = {"a", "b"};
static const char *const key_a[] = {"a"};
static const char *const key_ba[] = {"b", "a"};

static struct change change_of(const char *table, const struct value *old_values,
                               const struct value *new_values)
{
    return (struct change){.op = !old_values   ? CHANGE_INSERT
                                 : !new_values ? CHANGE_DELETE
                                               : CHANGE_UPDATE,
                           .table = table,
                           .columns = columns,
                           .n_columns = 2,
                           .pk_columns = key_a,
                           .n_pk = 1,
                           .old_values = old_values,
                           .new_values = new_values};
}

static void rows_by_key(void **state)
{
    const struct value one[] = {value_int(1), value_int(5)}, two[] = {value_int(2), value_int(5)},
                       text[] = {value_text("1", 1), value_int(5)};
    struct row_set s = {0};
    struct err e = ERR_INIT;
    struct change c = change_of("t", NULL, one), d;

    (void)state;
    assert_false(row_set_touches(&s, &c));
    assert_int_equal(row_set_add(&s, &c, 10, &e), ERR_OK);
    assert_int_equal(row_set_add(&s, &c, 1, &e), ERR_OK); /* it is there */
    assert_int_equal(s.n, 1);
    d = change_of("T", one, NULL); /* names have no case */
    assert_true(row_set_touches(&s, &d));
    d = change_of("t2", one, NULL);
    assert_false(row_set_touches(&s, &d));
    d = change_of("t", two, NULL);
    assert_false(row_set_touches(&s, &d));
    d = change_of("t", NULL, text); /* another storage class */
    assert_false(row_set_touches(&s, &d));
    d = change_of("t", two, one);
    assert_true(row_set_touches(&s, &d));
    assert_int_equal(row_set_add(&s, &d, 1, &e), ERR_TOO_BIG);
    assert_int_equal(row_set_add(&s, &d, 2, &e), ERR_OK);
    d = change_of("t", two, NULL);
    assert_true(row_set_touches(&s, &d));
    row_set_fini(&s);
}

static void rows_without_a_key(void **state)
{
    const struct value null[] = {value_null(), value_int(5)}, same[] = {value_null(), value_int(5)};
    struct row_set s = {0};
    struct err e = ERR_INIT;
    struct change c = change_of("t", null, NULL), d = change_of("t", NULL, same);

    (void)state;
    c.has_old_rowid = true;
    c.old_rowid = 7;
    assert_int_equal(row_set_add(&s, &c, 10, &e), ERR_OK);
    d.has_new_rowid = true;
    d.new_rowid = 8;
    assert_false(row_set_touches(&s, &d));
    d.new_rowid = 7;
    assert_true(row_set_touches(&s, &d));
    d.has_new_rowid = false; /* by all of its values */
    assert_false(row_set_touches(&s, &d));
    assert_int_equal(row_set_add(&s, &d, 10, &e), ERR_OK);
    assert_true(row_set_touches(&s, &d));
    d.pk_columns = key_ba;
    d.n_pk = 2;
    assert_true(row_set_touches(&s, &d));
    row_set_fini(&s);
}

static void many_rows(void **state)
{
    struct row_set s = {0};
    struct err e = ERR_INIT;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        const struct value row[] = {value_int(i), value_null()};
        struct change c = change_of("t", NULL, row);
        assert_int_equal(row_set_add(&s, &c, 20000, &e), ERR_OK);
    }
    assert_int_equal(s.n, 20000);
    for (int i = -20000; i < 40000; i++) {
        const struct value row[] = {value_int(i), value_null()};
        struct change c = change_of("t", row, NULL);
        assert_int_equal(row_set_touches(&s, &c), i >= 0 && i < 20000);
    }
    row_set_fini(&s);
}

static void note(struct table_marks *t, const char *sql, uint64_t place)
{
    const struct change c = {.op = CHANGE_SQL, .command = sql, .command_len = strlen(sql)};
    struct err e = ERR_INIT;

    table_marks_again(t);
    assert_int_equal(table_marks_note(t, &c, place, &(struct address){place, 2}, &e), ERR_OK);
}

static enum err_code check(struct table_marks *t, struct conn *c, const char *table, uint64_t place,
                           char text[ERR_MSG_SIZE])
{
    const struct inverse x = {.change = {.table = table}, .seq = 3, .index = 1, .place = place};
    struct err e = ERR_INIT;
    enum err_code code = table_marks_check(t, c, &x, &e);

    (void)snprintf(text, ERR_MSG_SIZE, "%s", e.msg);
    return code;
}

static void tables(void **state)
{
    struct temp t;
    struct table_marks m = {0};
    char text[ERR_MSG_SIZE];

    (void)state;
    temp_init(&t);
    struct conn *c = temp_open(&t, CONN_WRITER);
    OK(temp_run(c, "CREATE VIRTUAL TABLE f USING fts5(x)", e));
    OK(temp_run(c, "CREATE TABLE g_data(x)", e));
    assert_int_equal(check(&m, c, "t", 0, text), ERR_OK);
    note(&m, "CREATE INDEX i ON t(a)", 10);
    note(&m, "CREATE VIEW v AS SELECT * FROM t", 10);
    note(&m, "ANALYZE", 10);
    note(&m, "REINDEX", 10);
    note(&m, "PRAGMA user_version = 1", 10);
    note(&m, "DROP TRIGGER t", 10);
    note(&m, "ALTER TABLE t ALTER COLUMN a SET DEFAULT 5", 10);
    note(&m, "ALTER TABLE t RENAME CONSTRAINT a TO b", 10);
    note(&m, "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u(a)", 10);
    note(&m, "ALTER INDEX i RENAME TO j", 10);
    assert_int_equal(check(&m, c, "t", 9, text), ERR_OK);
    note(&m, "ALTER TABLE \"T\" ADD COLUMN z", 20);
    assert_int_equal(check(&m, c, "t", 20, text), ERR_OK);
    assert_int_equal(check(&m, c, "t", 19, text), ERR_SCHEMA_CHANGED);
    assert_string_equal(text,
                        "transaction 3 has changed rows of table t, which transaction 20.2 has "
                        "created, altered or dropped since: the rows of that time fit it no more");
    assert_int_equal(check(&m, c, "u", 19, text), ERR_OK);
    note(&m, "ALTER TABLE t RENAME TO u", 30);
    assert_int_equal(check(&m, c, "u", 29, text), ERR_SCHEMA_CHANGED);
    assert_int_equal(check(&m, c, "t", 29, text), ERR_SCHEMA_CHANGED);
    note(&m, "DROP TABLE IF EXISTS main.w", 40);
    assert_int_equal(check(&m, c, "w", 39, text), ERR_SCHEMA_CHANGED);
    /* The tables behind a virtual table go and come with it; others only have such a name. */
    note(&m, "DROP TABLE f", 50);
    note(&m, "CREATE VIRTUAL TABLE f USING fts5(x)", 51);
    note(&m, "DROP TABLE g", 52);
    assert_int_equal(check(&m, c, "f_data", 50, text), ERR_SCHEMA_CHANGED);
    assert_int_equal(check(&m, c, "f_data", 51, text), ERR_OK);
    assert_int_equal(check(&m, c, "g_data", 1, text), ERR_OK);
    /* The list was cut: what comes behind is behind all of them. */
    table_marks_cut(&m, 45);
    table_marks_again(&m);
    assert_int_equal(check(&m, c, "f_data", 45, text), ERR_OK);
    assert_int_equal(check(&m, c, "f_data", 44, text), ERR_SCHEMA_CHANGED);
    assert_int_equal(check(&m, c, "w", 40, text), ERR_OK);
    table_marks_fini(&m);
    conn_close(c);
    temp_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_by_key),
        cmocka_unit_test(rows_without_a_key),
        cmocka_unit_test(many_rows),
        cmocka_unit_test(tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
