/*
 * Every allocation of SQLite fails once, in a run through open, prepare, bind, step, position and
 * close: each failure must come out as ERR_NO_MEMORY, and nothing may be left allocated.
 */
#include <malloc.h>
#include <sqlite3.h>

#include "sql/position.h"
#include "sql/stmt.h"
#include "sql_temp.h"

static int countdown; /* 1 = the next allocation fails; 0 = none does */
static bool failed;
static size_t living;

static bool fails_now(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    failed = true;
    return true;
}

static void *mem_malloc(int n)
{
    void *p = fails_now() ? NULL : malloc((size_t)n);

    living += p != NULL;
    return p;
}

static void mem_free(void *p)
{
    living -= p != NULL;
    free(p);
}

static void *mem_realloc(void *p, int n)
{
    return fails_now() ? NULL : realloc(p, (size_t)n);
}

static int mem_size(void *p)
{
    return (int)malloc_usable_size(p);
}

static int mem_roundup(int n)
{
    return (n + 7) & ~7;
}

static int mem_init(void *arg)
{
    (void)arg;
    return SQLITE_OK;
}

static void mem_shutdown(void *arg)
{
    (void)arg;
}

static const sqlite3_mem_methods methods = {mem_malloc,  mem_free, mem_realloc,  mem_size,
                                            mem_roundup, mem_init, mem_shutdown, NULL};

static enum err_code use(struct conn *c, struct err *e)
{
    struct position p = {.seq = 3, .msg_id = "m", .stream = "s"};
    struct value v = value_text("some text that is copied", 24);
    struct stmt *s = NULL;
    bool row = true;
    enum err_code code = position_init(c, e);

    if (code == ERR_OK)
        code = position_store(c, &p, e);
    if (code == ERR_OK)
        code = conn_exec(
            c, "DROP TABLE IF EXISTS w; CREATE TABLE IF NOT EXISTS u(a INTEGER PRIMARY KEY, b)", e);
    if (code == ERR_OK)
        code = temp_prepare(c, "INSERT INTO u(b) VALUES(?1) RETURNING a, b", &s, e);
    if (code == ERR_OK)
        code = stmt_bind(s, 1, &v, e);
    while (code == ERR_OK && row)
        code = stmt_step(s, &row, e);
    stmt_release(s);
    if (code == ERR_OK)
        code = temp_run(c, "ALTER TABLE u RENAME TO w", e);
    if (code == ERR_OK)
        code = temp_run(c, "ALTER TABLE w RENAME TO u", e);
    if (code == ERR_OK)
        code = temp_run(c, "SELECT b, count(*) FROM u GROUP BY b ORDER BY 2", e);
    return code;
}

static enum err_code scenario(struct temp *t, struct err *e)
{
    struct conn *c = NULL;
    enum err_code code = conn_open(&c, &t->cfg, CONN_WRITER, e);

    if (code == ERR_OK) {
        /* Thousands of checkpoints, with a sync each, would only take time. */
        sqlite3_db_config(conn_handle(c), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        code = use(c, e);
    }
    conn_close(c);
    return code;
}

static void test_every_allocation(void **state)
{
    struct temp t;
    int n = 0;
    size_t before;

    (void)state;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
    OK(conn_library_init(e));
    temp_init(&t);
    OK(scenario(&t, e));
    before = living;
    do {
        struct err e = ERR_INIT;
        enum err_code code;

        failed = false;
        countdown = ++n;
        code = scenario(&t, &e);
        countdown = 0;
        /* Some allocations SQLite can do without. */
        if (code != ERR_OK && (code != ERR_NO_MEMORY || !failed))
            fail_msg("allocation %d: %s '%s' %d", n, err_name(code), e.msg, e.sqlite_code);
        if (living != before)
            fail_msg("allocation %d: %zu left, not %zu", n, living, before);
    } while (failed);
    assert_true(n > 100);
    OK(scenario(&t, e));
    temp_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
