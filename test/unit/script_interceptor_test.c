/* A script at work on messages: what it is given, what becomes of what it answers, its limits. */
#include "sql_pair.h"

#include "base/log.h"
#include "script/interceptor.h"

struct world {
    struct pair p;
    struct script *script;
    struct interceptor *i;
    atomic_bool cancel;
};

static void load(struct world *w, const char *text, size_t memory)
{
    char path[96];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/s.lua", w->p.dir);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
    PAIR_OK(&w->p, script_load(&w->script, path, memory, &w->p.e));
    (void)unlink(path);
    PAIR_OK(&w->p, interceptor_open(&w->i, w->script, "copy.db", &w->cancel, &w->p.e));
}

static void open_world(struct world *w, const char *schema, const char *text)
{
    sqlite3 *db;

    atomic_init(&w->cancel, false);
    w->script = NULL;
    w->i = NULL;
    pair_open(&w->p, APPLY_LWW);
    db = pair_look(w->p.copy);
    if (sqlite3_exec(db, schema, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", schema, sqlite3_errmsg(db));
    sqlite3_close(db);
    load(w, text, 4 << 20);
}

static void close_world(struct world *w)
{
    interceptor_close(w->i);
    script_free(w->script);
    pair_close(&w->p);
}

static enum err_code run(struct world *w, const char *message)
{
    const struct changeset_info *info = NULL;
    const struct interceptor_message m = {.bytes = message, .len = strlen(message), .seq = 7};
    struct position pos = {.seq = 7};
    struct pair *p = &w->p;
    enum err_code code;

    err_clear(&p->e);
    code = apply_begin(p->a, &p->e);
    if (!code)
        code = interceptor_apply(w->i, p->a, &m, &info, &p->e);
    if (!code)
        code = apply_commit(p->a, &pos, &p->e);
    if (code)
        apply_rollback(p->a);
    return code;
}

#define RUN(w, message)                                                                            \
    do {                                                                                           \
        if (run(w, message) != ERR_OK)                                                             \
            fail_msg("%s: %s", err_name((w)->p.e.code), (w)->p.e.msg);                             \
    } while (0)

#define FAILS(w, message, expected, text)                                                          \
    do {                                                                                           \
        assert_int_equal(run(w, message), expected);                                               \
        if (!strstr((w)->p.e.msg, text))                                                           \
            fail_msg("%s", (w)->p.e.msg);                                                          \
    } while (0)

static void assert_rows(struct world *w, const char *sql, const char *expected)
{
    struct buf b = BUF_INIT;
    sqlite3 *db = pair_look(w->p.copy);

    pair_query(db, sql, &b);
    assert_string_equal(buf_cstr(&b), expected);
    sqlite3_close(db);
    buf_free(&b);
}

#define INSERT(id, v)                                                                              \
    "{\"operation\":\"INSERT\",\"table\":\"t\",\"columns\":[\"id\",\"v\"],\"pk_columns\":"         \
    "[\"id\"],\"new_rowid\":" #id ",\"new_values\":[" #id "," #v "]}"
#define MESSAGE(changes, rest) "{\"node\":\"n\",\"changes\":[" changes "],\"id\":\"i\"" rest "}"

static const char schema[] =
    "CREATE TABLE t(id INTEGER PRIMARY KEY, v UNIQUE); CREATE TABLE log(tx, n, ts, node, db)";

/* Transactions are told apart by what stands at the message's end. */
static void transactions_are_told_apart(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, schema,
               "function before(cs, db)\n"
               "  db:exec('INSERT INTO log VALUES (?,?,?,?,?)', cs.tx, #cs.changes, "
               "cs.timestamp_ns, cs.node, cs.database)\n"
               "  assert(cs.seq == 7)\n"
               "  return cs.tx == 3\n"
               "end");
    RUN(&w, MESSAGE(INSERT(1, 1) "," INSERT(2, 2) "," INSERT(3, 3) "," INSERT(4, 4),
                    ",\"txs\":[{\"changes\":1,\"timestamp_ns\":10},{\"changes\":0},"
                    "{\"changes\":2,\"timestamp_ns\":20},{\"changes\":1,\"timestamp_ns\":30}]"));
    assert_rows(&w, "SELECT id FROM t", "int:1|\nint:4|\n");
    assert_rows(&w, "SELECT * FROM log",
                "int:1|int:1|int:10|text:n|text:copy.db|\n"
                "int:3|int:2|int:20|text:n|text:copy.db|\n"
                "int:4|int:1|int:30|text:n|text:copy.db|\n");
    /* The seed's own program names none: all is one. */
    RUN(&w, MESSAGE(INSERT(5, 5) "," INSERT(6, 6), ",\"timestamp_ns\":40"));
    assert_rows(&w, "SELECT n, ts FROM log WHERE tx = 1 AND ts = 40", "int:2|int:40|\n");
    /* Nothing at all is nothing to decide. */
    RUN(&w, MESSAGE("", ",\"txs\":[]"));
    assert_rows(&w, "SELECT count(*) FROM log", "int:4|\n");
    close_world(&w);
}

static void what_a_file_held_passes(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, schema, "function before(cs, db) return true end");
    RUN(&w, MESSAGE(INSERT(1, 1), ",\"content\":1"));
    RUN(&w, MESSAGE(INSERT(2, 2), ""));
    assert_rows(&w, "SELECT id FROM t", "int:1|\n");
    close_world(&w);
}

/* Without after() a failure stops the applier; with it that decides, and what was half done is
 * undone, what before() has written with it. */
static void after_decides_about_failures(void **state)
{
    static const char bad[] =
        MESSAGE(INSERT(2, 2) ",{\"operation\":\"SQL\",\"command\":\"CREATE TABLE u(a)\"},"
                             "{\"operation\":\"SQL\",\"command\":\"CREATE VIEW x AS SELECT\"}",
                ",\"txs\":[{\"changes\":3}]");
    struct world w;

    (void)state;
    open_world(&w, schema,
               "function before(cs, db) db:exec('INSERT INTO log(tx) VALUES (1)') end\n"
               "function after(cs, db, err)\n"
               "  if not err then return end\n"
               "  assert(#db:query('SELECT * FROM t') == 0 and #db:query('SELECT * FROM log') == "
               "0)\n"
               "  assert(not pcall(db.query, db, 'SELECT * FROM u'))\n"
               "  assert(err:find('CREATE VIEW', 1, true))\n"
               "  db:exec('INSERT INTO log(node) VALUES (?)', 'failed')\n"
               "end");
    RUN(&w, bad);
    assert_rows(&w, "SELECT count(*) FROM t", "int:0|\n");
    assert_rows(&w, "SELECT node FROM log", "text:failed|\n");
    RUN(&w, MESSAGE(INSERT(3, 3), ""));
    assert_rows(&w, "SELECT count(*), count(tx) FROM log", "int:2|int:1|\n");
    interceptor_close(w.i);
    script_free(w.script);
    load(&w, "function after(cs, db, err) return err and 'not so: ' .. err end", 4 << 20);
    FAILS(&w, bad, ERR_SCRIPT, "not so: CREATE VIEW x");
    interceptor_close(w.i);
    script_free(w.script);
    load(&w, "function before(cs, db) end", 4 << 20);
    FAILS(&w, bad, ERR_DIVERGED, "CREATE VIEW x");
    assert_rows(&w, "SELECT id FROM t", "int:3|\n");
    close_world(&w);
}

static void values_and_lists_may_change(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)",
               "function before(cs, db)\n"
               "  local c = cs.changes\n"
               "  c[1].new_values.V = nil\n"
               "  c[2].new_values[2] = blob('a\\0b')\n"
               "  c[3].new_values.v = 0/0\n"
               "  c[4].new_values.v = true\n"
               "  c[5].new_values.v = -0.0\n"
               "  c[6].new_values.v = ('x'):rep(3)\n"
               "  assert(#blob('ab') == 2 and blob('a') == blob('a') and blob('a') ~= blob('b'))\n"
               "  assert(blob('a') ~= 'a' and tostring(blob('q')) == 'q')\n"
               "  assert(c[1].old_values == nil and c[1].command == nil and c[1].old_rowid == "
               "nil)\n"
               "  assert(not pcall(function() c[1].table = 'x' end))\n"
               "  assert(not pcall(function() return c[1].tabel end))\n"
               "  assert(not pcall(function() c[1].new_values[3] = 1 end))\n"
               "  assert(c[1].new_values[3] == nil and c[1].new_values[0] == nil)\n"
               "  cs.changes = {c[6], c[5], c[4], c[3], c[2], c[1]}\n"
               "end");
    RUN(&w, MESSAGE(INSERT(1, 1) "," INSERT(2, 1) "," INSERT(3, 1) "," INSERT(4, 1) "," INSERT(
                        5, 1) "," INSERT(6, 1) "," INSERT(7, 1),
                    ""));
    assert_rows(&w, "SELECT v FROM t",
                "null:|\nblob:a\\x00b|\nnull:|\nint:1|\nreal:-0x0p+0|\ntext:xxx|\n");
    close_world(&w);
}

static void tables_have_an_order(void **state)
{
    struct world w;

    (void)state;
    open_world(
        &w, schema,
        "function before(cs, db)\n"
        "  local t, seen = {b = 1, a = 2, ['a\\0'] = 3, [true] = 4, [false] = 5, [-1.5] = 6}, "
        "{}\n"
        "  for i = 5, 1, -1 do t[i] = i end\n"
        "  t[1 << 62] = 7\n"
        "  t[(1 << 62) + 1] = 8\n"
        "  for k, v in pairs(t) do\n"
        "    seen[#seen + 1] = v\n"
        "    if k == 4 then t.a = nil end\n"
        "  end\n"
        "  local text = table.concat(seen, ' ')\n"
        "  assert(text == '6 1 2 3 4 5 7 8 3 1 5 4', text)\n"
        "  assert(next == nil and not pcall(pairs, {[{}] = 1}) and not pcall(pairs, 5))\n"
        "  for _ in pairs({}) do error('none') end\n"
        "  local names = {}\n"
        "  for name, value in pairs(cs.changes[1].new_values) do\n"
        "    names[#names + 1] = name .. '=' .. tostring(value)\n"
        "  end\n"
        "  assert(table.concat(names, ' ') == 'id=1 v=nil')\n"
        "end");
    RUN(&w, MESSAGE(INSERT(1, null), ""));
    close_world(&w);
}

/* The same state serves on after each of these, and keeps nothing of them. */
static void limits(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, schema,
               "function before(cs, db)\n"
               "  local id = cs.changes[1].new_values.id\n"
               "  if id == 1 then while true do pcall(function() while true do end end) end end\n"
               "  if id == 2 then pcall(string.rep, 'x', 1 << 30) end\n"
               "  if id == 3 then local t = {} for i = 1, 1e8 do t[i] = {} end end\n"
               "  if id == 4 then local function f() return 1 + f() end f() end\n"
               "  if id == 5 then error({}) end\n"
               "end");
    for (int round = 0; round < 3; round++) {
        FAILS(&w, MESSAGE(INSERT(1, 1), ""), ERR_SCRIPT, "s.lua:3: too many steps");
        FAILS(&w, MESSAGE(INSERT(2, 1), ""), ERR_SCRIPT, "--interceptor-memory, 4 MiB");
        FAILS(&w, MESSAGE(INSERT(3, 1), ""), ERR_SCRIPT, "--interceptor-memory, 4 MiB");
        FAILS(&w, MESSAGE(INSERT(4, 1), ""), ERR_SCRIPT, "--interceptor-memory, 4 MiB");
        FAILS(&w, MESSAGE(INSERT(5, 1), ""), ERR_SCRIPT, "raised an error that is no text");
        RUN(&w, MESSAGE(INSERT(6, 1), ""));
    }
    atomic_store(&w.cancel, true);
    FAILS(&w, MESSAGE(INSERT(1, 1), ""), ERR_SHUTDOWN, "shutting down");
    close_world(&w);
}

/* Each message leaves garbage behind; many of them fit, though one is a good part of the limit. */
static void garbage_is_collected(void **state)
{
    struct world w;
    struct buf b = BUF_INIT;

    (void)state;
    open_world(&w, schema,
               "function before(cs, db) local s = cs.changes[1].new_values.v .. 'x' return true "
               "end");
    buf_puts(&b, "{\"changes\":[{\"operation\":\"INSERT\",\"table\":\"t\",\"columns\":[\"id\","
                 "\"v\"],\"new_rowid\":1,\"new_values\":[1,\"");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%01000d", 0);
    buf_puts(&b, "\"]}]}");
    for (int i = 0; i < 20; i++)
        RUN(&w, buf_cstr(&b));
    buf_free(&b);
    close_world(&w);
}

/* A failure that is this node's own is not shown to the script. */
static void own_failures_are_not_shown(void **state)
{
    struct world w;
    sqlite3 *db;

    (void)state;
    open_world(&w, schema, "function after(cs, db, err) return nil end");
    db = pair_look(w.p.copy);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(run(&w, MESSAGE(INSERT(1, 1), "")), ERR_BUSY);
    sqlite3_close(db);
    assert_true(apply_is_local(ERR_DISK_FULL) && apply_is_local(ERR_IO) &&
                apply_is_local(ERR_NO_MEMORY) && !apply_is_local(ERR_DIVERGED));
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transactions_are_told_apart),
        cmocka_unit_test(what_a_file_held_passes),
        cmocka_unit_test(after_decides_about_failures),
        cmocka_unit_test(values_and_lists_may_change),
        cmocka_unit_test(tables_have_an_order),
        cmocka_unit_test(limits),
        cmocka_unit_test(garbage_is_collected),
        cmocka_unit_test(own_failures_are_not_shown),
    };

    log_to(-1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
