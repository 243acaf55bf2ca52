/* Two nodes on one NATS, through the interface that the protocols use. */
#include "core/node.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "core/database.h"
#include "core/impl.h"
#include "core/session.h"
#include "sql/conn.h"
#include "support/nats_fixture.h"

#define CREATED_MAX 32
#define READERS     24 /* more than are kept open for long */

struct member {
    char dir[64];
    char file[96];
    struct node *node;
};

static struct nats_fixture server;
static struct member a, b;

static struct node_options options(const struct member *m, const char *name)
{
    struct node_options o = {.name = name,
                             .version = "test",
                             .token = "",
                             .nats_url = server.url,
                             .nats_user = "",
                             .nats_pass = "",
                             .stream = "s",
                             .replicas = 1,
                             .replication_timeout_ns = 20 * CLOCK_S,
                             .create_db_dir = m->dir,
                             .data_dir = m->dir,
                             .db_params = "",
                             .concurrent_queries = READERS,
                             .tx_idle_timeout_ns = 30 * CLOCK_S,
                             .max_result_bytes = 1 << 20};
    return o;
}

static void start(struct member *m, const char *name)
{
    struct err e = ERR_INIT;
    struct node_options o = options(m, name);

    if (node_new(&m->node, &o, &e) != ERR_OK || node_add_file(m->node, m->file, &e) != ERR_OK ||
        node_start(m->node, &e) != ERR_OK)
        fail_msg("%s", e.msg);
}

static bool ready(const struct member *m)
{
    struct buf why = BUF_INIT;
    bool is = node_ready(m->node, true, clock_deadline(CLOCK_S), &why);

    buf_free(&why);
    return is;
}

static void stop(struct member *m)
{
    node_stop(m->node, clock_deadline(CLOCK_S));
    node_free(m->node);
    m->node = NULL;
}

static void make(struct member *m, const char *name)
{
    (void)snprintf(m->dir, sizeof m->dir, "/tmp/ha-node-XXXXXX");
    assert_non_null(mkdtemp(m->dir));
    (void)snprintf(m->file, sizeof m->file, "%s/t.db", m->dir);
    start(m, name);
    WAIT_FOR(ready(m));
}

static int set_up(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(conn_library_init(&e), ERR_OK);
    nats_up(&server, 0);
    make(&a, "node-a");
    make(&b, "node-b");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stop(&a);
    stop(&b);
    nats_down(&server);
    return file_remove_tree(a.dir) && file_remove_tree(b.dir) ? 0 : -1;
}

/* ---- statements ------------------------------------------------------------------------------ */

struct one_number {
    struct sink sink;
    int64_t n;
};

static void no_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    (void)s;
    (void)cols;
    (void)n;
}

static enum sink_verdict take_number(struct sink *s, const struct value *v, unsigned n)
{
    if (n > 0 && v[0].type == VALUE_INTEGER)
        ((struct one_number *)s)->n = v[0].u.i;
    return SINK_MORE;
}

static void no_done(struct sink *s, const struct sink_done *d)
{
    (void)s;
    (void)d;
}

static const struct sink_ops number_ops = {no_columns, take_number, no_done};

/* The last number of the last row into *n, the sequence into *seq. */
static enum err_code try_run(struct session *s, const char *const *sql, size_t count, bool atomic,
                             uint64_t min_seq, int64_t *n, uint64_t *seq)
{
    struct one_number sink = {.sink.ops = &number_ops, .n = INT64_MIN};
    struct request_options o = {.atomic = atomic, .min_seq = min_seq};
    struct query q[4] = {0};
    struct request *r = NULL;
    struct err e = ERR_INIT;

    for (size_t i = 0; i < count; i++)
        q[i] = (struct query){.sql = sql[i], .len = strlen(sql[i])};
    assert_int_equal(request_new(&r, s, q, count, &o, &e), ERR_OK);
    request_run(r, &sink.sink, &e);
    if (seq)
        *seq = request_seq(r);
    if (n)
        *n = sink.n;
    request_free(r);
    return e.code;
}

static struct session *open_session(const struct member *m, const char *id)
{
    struct session *s = NULL;
    struct err e = ERR_INIT;

    assert_int_equal(session_open(&s, m->node, "test", NULL, NULL, &e), ERR_OK);
    if (session_use(s, id, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    return s;
}

static uint64_t run_at(struct session *s, const char *sql, int line)
{
    uint64_t seq = 0;
    enum err_code code = try_run(s, &sql, 1, false, 0, NULL, &seq);

    if (code != ERR_OK)
        fail_msg("line %d: %s: %s", line, sql, err_name(code));
    return seq;
}

#define RUN(s, sql) run_at(s, sql, __LINE__)

static int64_t number(struct session *s, const char *sql, uint64_t min_seq)
{
    int64_t n = 0;

    assert_int_equal(try_run(s, &sql, 1, false, min_seq, &n, NULL), ERR_OK);
    return n;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_write_is_read_elsewhere(void **state)
{
    struct session *sa = open_session(&a, NULL), *sb = open_session(&b, "t.db");
    uint64_t seq;

    (void)state;
    RUN(sa, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
    seq = RUN(sa, "INSERT INTO t (v) VALUES (1), (2)");
    assert_true(seq > 0);
    assert_int_equal(number(sb, "SELECT count(*) FROM t", seq), 2);
    session_close(sa);
    session_close(sb);
}

/* An array that reads and writes is run again as a whole; what it returns is of the run that
 * counts. */
static void *increment(void *arg)
{
    static const char *const sql[] = {"UPDATE n SET v = v + 1", "SELECT v FROM n"};
    struct session *s = open_session(arg, NULL);
    int64_t before = 0, n = 0;

    for (int i = 0; i < 50; i++) {
        assert_int_equal(try_run(s, sql, 2, true, 0, &n, NULL), ERR_OK);
        assert_true(n > before);
        before = n;
    }
    session_close(s);
    return NULL;
}

static void arrays_are_run_again(void **state)
{
    struct session *s = open_session(&a, NULL), *sb = open_session(&b, NULL);
    pthread_t threads[4];
    uint64_t seq;

    (void)state;
    RUN(s, "CREATE TABLE n (v)");
    seq = RUN(s, "INSERT INTO n VALUES (0)");
    assert_int_equal(number(sb, "SELECT v FROM n", seq), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, increment, i % 2 ? &a : &b), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    WAIT_FOR(ready(&a) && ready(&b));
    assert_int_equal(number(s, "SELECT v FROM n", 0), 200);
    assert_int_equal(number(sb, "SELECT v FROM n", 0), 200);
    session_close(s);
    session_close(sb);
}

/* What a transaction has read was changed on another node before it wrote. */
static void upgrades_conflict_across_nodes(void **state)
{
    struct session *sa = open_session(&a, NULL), *sb = open_session(&b, NULL);
    struct session *look = open_session(&b, NULL);
    const char *write = "UPDATE up SET v = v + 1";
    uint64_t seq;

    (void)state;
    RUN(sa, "CREATE TABLE up (v)");
    seq = RUN(sa, "INSERT INTO up VALUES (1)");
    assert_int_equal(number(look, "SELECT v FROM up", seq), 1);
    RUN(sb, "BEGIN");
    assert_int_equal(number(sb, "SELECT v FROM up", 0), 1);
    seq = RUN(sa, "UPDATE up SET v = 10");
    assert_int_equal(number(look, "SELECT v FROM up", seq), 10);
    assert_int_equal(number(sb, "SELECT v FROM up", 0), 1); /* its snapshot */
    assert_int_equal(try_run(sb, &write, 1, false, 0, NULL, NULL), ERR_CONFLICT);
    assert_int_equal(session_state(sb), SESSION_TX_FAILED);
    RUN(sb, "ROLLBACK");
    seq = RUN(sb, write);
    assert_int_equal(number(sa, "SELECT v FROM up", seq), 11);
    session_close(sa);
    session_close(sb);
    session_close(look);
}

static bool has_database(const struct member *m, const char *id)
{
    char name[CREATED_MAX];

    for (size_t i = 0; node_database_at(m->node, i, name, sizeof name); i++)
        if (strcmp(name, id) == 0)
            return true;
    return false;
}

static void databases_come_and_go_everywhere(void **state)
{
    struct err e = ERR_INIT;
    struct session *sa, *sb;
    struct stat st;
    char path[128];

    (void)state;
    assert_int_equal(node_create_database(a.node, "new.db", &e), ERR_OK);
    assert_int_equal(node_create_database(a.node, "new.db", &e), ERR_DATABASE_EXISTS);
    assert_int_equal(node_create_database(a.node, "../evil.db", &e), ERR_PARAM);
    WAIT_FOR(has_database(&b, "new.db"));
    WAIT_FOR(ready(&a) && ready(&b));
    sa = open_session(&a, "new.db");
    sb = open_session(&b, "new.db");
    RUN(sa, "CREATE TABLE x (v)");
    assert_int_equal(number(sb, "SELECT count(*) FROM x", RUN(sa, "INSERT INTO x VALUES (1)")), 1);
    session_close(sa);
    session_close(sb);
    err_clear(&e);
    if (node_drop_database(b.node, "new.db", &e) != ERR_OK)
        fail_msg("%s", e.msg);
    WAIT_FOR(!has_database(&a, "new.db") && !has_database(&b, "new.db"));
    (void)snprintf(path, sizeof path, "%s/new.db", a.dir);
    WAIT_FOR(stat(path, &st) != 0);
    assert_int_equal(node_drop_database(b.node, "new.db", &e), ERR_NO_DATABASE);
    /* Again under the same name: a log of its own, nothing of the old one. */
    err_clear(&e);
    if (node_create_database(b.node, "new.db", &e) != ERR_OK)
        fail_msg("%s", e.msg);
    WAIT_FOR(has_database(&a, "new.db"));
    WAIT_FOR(ready(&a) && ready(&b));
    sa = open_session(&a, "new.db");
    assert_int_equal(number(sa, "SELECT count(*) FROM sqlite_schema WHERE name = 'x'", 0), 0);
    RUN(sa, "CREATE TABLE y (v)");
    session_close(sa);
    assert_int_equal(node_drop_database(a.node, "new.db", &e), ERR_OK);
    WAIT_FOR(!has_database(&b, "new.db"));
}

static void nodes_know_each_other(void **state)
{
    struct buf json = BUF_INIT;
    struct err e = ERR_INIT;

    (void)state;
    WAIT_FOR((buf_reset(&json), node_replications(a.node, NULL, NULL, &json, &e) == ERR_OK) &&
             strstr(buf_cstr(&json), "node-a") && strstr(buf_cstr(&json), "node-b"));
    buf_reset(&json);
    assert_int_equal(node_replications(a.node, NULL, "node-b", &json, &e), ERR_OK);
    assert_null(strstr(buf_cstr(&json), "node-a"));
    buf_reset(&json);
    assert_int_equal(node_replications(a.node, NULL, "node-z", &json, &e), ERR_NOT_FOUND);
    assert_int_equal(node_replications(a.node, "no.db", NULL, &json, &e), ERR_NO_DATABASE);
    assert_int_equal(node_remove_replication(a.node, NULL, "node-z", &e), ERR_NOT_FOUND);
    buf_reset(&json);
    node_status(a.node, &json);
    assert_non_null(strstr(buf_cstr(&json), "\"following\""));
    buf_reset(&json);
    node_metrics(a.node, &json);
    assert_non_null(strstr(buf_cstr(&json), "# TYPE"));
    buf_reset(&json);
    node_list_databases(a.node, &json);
    assert_string_equal(buf_cstr(&json), "{\"databases\":[\"t.db\"]}");
    buf_free(&json);
}

static bool collect(void *arg, const void *bytes, size_t len)
{
    buf_put(arg, bytes, len);
    return true;
}

static void downloads_are_databases(void **state)
{
    struct buf bytes = BUF_INIT;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(node_download(a.node, "t.db", collect, &bytes, &e), ERR_OK);
    assert_true(bytes.len >= 4096);
    assert_memory_equal(bytes.data, "SQLite format 3", 16);
    assert_int_equal(node_download(a.node, "no.db", collect, &bytes, &e), ERR_NO_DATABASE);
    buf_free(&bytes);
}

/* A node that was away catches up, and is not ready before it has. */
static void a_node_comes_back(void **state)
{
    struct session *sa = open_session(&a, NULL), *sb;
    uint64_t seq = 0;

    (void)state;
    RUN(sa, "CREATE TABLE away (v)");
    stop(&b);
    for (int i = 0; i < 50; i++)
        seq = RUN(sa, "INSERT INTO away VALUES (1)");
    start(&b, "node-b");
    WAIT_FOR(ready(&b));
    sb = open_session(&b, NULL);
    assert_int_equal(number(sb, "SELECT count(*) FROM away", 0), 50);
    assert_int_equal(
        number(sa, "SELECT count(*) FROM away", RUN(sb, "INSERT INTO away VALUES (2)")), 51);
    assert_true(seq > 0);
    session_close(sa);
    session_close(sb);
}

static void without_nats_reads_go_on(void **state)
{
    struct session *s = open_session(&a, NULL);

    (void)state;
    RUN(s, "CREATE TABLE reads (v)");
    nats_kill(&server);
    WAIT_FOR(!ready(&a) && !ready(&b));
    assert_int_equal(number(s, "SELECT count(*) FROM reads", 0), 0);
    nats_start(&server);
    RUN(s, "INSERT INTO reads VALUES (1)"); /* waits for it */
    WAIT_FOR(ready(&a) && ready(&b));
    session_close(s);
}

static void *start_node(void *arg)
{
    struct err e = ERR_INIT;

    (void)node_start(arg, &e);
    return NULL;
}

/* What the library's thread says of the connection meets databases that are just being opened: for
 * ThreadSanitizer. */
static void databases_open_while_the_connection_goes(void **state)
{
    struct member c = {.node = NULL};
    struct node_options o = options(&c, "node-c");
    struct err e = ERR_INIT;
    pthread_t thread;

    (void)state;
    (void)snprintf(c.dir, sizeof c.dir, "/tmp/ha-node-XXXXXX");
    assert_non_null(mkdtemp(c.dir));
    assert_int_equal(node_new(&c.node, &o, &e), ERR_OK);
    for (int i = 0; i < 12; i++) {
        (void)snprintf(c.file, sizeof c.file, "%s/c%d.db", c.dir, i);
        assert_int_equal(node_add_file(c.node, c.file, &e), ERR_OK);
    }
    assert_int_equal(pthread_create(&thread, NULL, start_node, c.node), 0);
    for (int i = 0; i < 3; i++) {
        nats_kill(&server);
        nats_start(&server);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    WAIT_FOR(ready(&c));
    stop(&c);
    assert_true(file_remove_tree(c.dir));
}

/* Connections to the file, each of which has its WAL open. */
static int count_connections(const struct database *d)
{
    char wal[256], link[64], target[256];
    struct dirent *entry;
    DIR *fds = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(fds);
    (void)snprintf(wal, sizeof wal, "%s-wal", database_path(d));
    while ((entry = readdir(fds))) {
        (void)snprintf(link, sizeof link, "/proc/self/fd/%.20s", entry->d_name);
        ssize_t len = readlink(link, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        n += strcmp(target, wal) == 0;
    }
    (void)closedir(fds);
    return n;
}

/* Those that many clients have needed at once stay until nobody needs them. */
static void read_connections_are_closed_later(void **state)
{
    struct database *d = a.node->dbs[0];
    struct conn *c[READERS], *again;
    struct err e = ERR_INIT;
    int open;

    (void)state;
    for (int i = 0; i < READERS; i++)
        assert_int_equal(database_reader(d, clock_deadline(CLOCK_S), &c[i], &e), ERR_OK);
    open = count_connections(d);
    assert_true(open >= READERS);
    for (int i = 0; i < READERS; i++)
        database_give(d, c[i]);
    assert_int_equal(count_connections(d), open);
    assert_int_equal(database_reader(d, clock_deadline(CLOCK_S), &again, &e), ERR_OK);
    assert_ptr_equal(again, c[READERS - 1]);
    database_give(d, again);
    WAIT_FOR(count_connections(d) == open - READERS + 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_is_read_elsewhere),
        cmocka_unit_test(arrays_are_run_again),
        cmocka_unit_test(upgrades_conflict_across_nodes),
        cmocka_unit_test(databases_come_and_go_everywhere),
        cmocka_unit_test(nodes_know_each_other),
        cmocka_unit_test(downloads_are_databases),
        cmocka_unit_test(read_connections_are_closed_later),
        cmocka_unit_test(a_node_comes_back),
        cmocka_unit_test(without_nats_reads_go_on),
        cmocka_unit_test(databases_open_while_the_connection_goes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
