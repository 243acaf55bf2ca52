/*
 * A nats-server for the whole program (set_up, tear_down), and replicas without a node around them:
 * each has a directory and a connection to NATS of its own, and follows the log "<stream>-t=2Edb"
 * with the others. To be included after nats_fixture.h.
 *
 *     struct peer p = {.mode = REPLICA_SERIALIZABLE};
 *     peer_make(&p, "p");          a directory; the file is not there yet
 *     peer_open(&p, &server, "s1");
 *     peer_write(&p, "INSERT …");  through the write group
 *     peer_close(&p);              the file stays: peer_open() again
 *     peer_remove(&p);
 *
 *     struct peer *p = new_peer("p", "s1", REPLICA_SERIALIZABLE);     the first three; free_peer(p)
 */
#ifndef HA_TEST_REPL_FIXTURE_H
#define HA_TEST_REPL_FIXTURE_H

#include <inttypes.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "repl/impl.h"
#include "repl/replica.h"
#include "sql/stmt.h"

#ifndef NATS_MAX_PAYLOAD
#define NATS_MAX_PAYLOAD 0 /* the server's own */
#endif

/* Of the whole test program. */
static struct nats_fixture server;

UNUSED_OK static int set_up(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(conn_library_init(&e), ERR_OK);
    nats_up(&server, NATS_MAX_PAYLOAD);
    return 0;
}

UNUSED_OK static int tear_down(void **state)
{
    (void)state;
    nats_down(&server);
    return 0;
}

struct peer {
    /* to be chosen before peer_open() */
    enum replica_mode mode;
    enum replica_start start;
    uint64_t start_seq;
    int64_t timeout_ns; /* 0 = 20 s */
    int64_t tx_idle_ns;
    bool log_wins;
    bool read_only;
    /* the fixture's */
    char name[32];
    char dir[64];
    char path[96];
    char stream[64];
    struct nats_client *client;
    _Atomic(struct replica *) replica;
    atomic_bool connected;
};

static void peer_changed(void *arg, bool connected)
{
    struct peer *p = arg;
    struct replica *r = atomic_load(&p->replica);

    atomic_store(&p->connected, connected);
    if (r)
        replica_connection_changed(r, connected);
}

UNUSED_OK static void peer_make(struct peer *p, const char *name)
{
    (void)snprintf(p->name, sizeof p->name, "%s", name);
    (void)snprintf(p->dir, sizeof p->dir, "/tmp/ha-peer-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    (void)snprintf(p->path, sizeof p->path, "%s/t.db", p->dir);
}

/* What a file looks like that SQLite's own shell has made. */
UNUSED_OK static void peer_prepare_file(const struct peer *p, const char *sql)
{
    struct conn_config cfg = {.path = p->path, .create = true};
    struct conn *c = NULL;
    struct err e = ERR_INIT;

    if (conn_open(&c, &cfg, CONN_APPLIER, &e) != ERR_OK || conn_exec(c, sql, &e) != ERR_OK)
        fail_msg("%s: %s", sql, e.msg);
    conn_close(c);
}

UNUSED_OK static void peer_open(struct peer *p, const struct nats_fixture *nats, const char *stream)
{
    struct replica *r = NULL;
    struct err e = ERR_INIT;

    (void)snprintf(p->stream, sizeof p->stream, "%s", stream);
    p->client = nats_connect(nats, peer_changed, p);
    struct replica_options o = {
        .id = "t.db",
        .node = p->name,
        .conn = {.path = p->path, .create = true, .foreign_keys = true},
        .spool_dir = p->dir,
        .mode = p->mode,
        .replicate_ddl = true,
        .log_wins = p->log_wins,
        .read_only = p->read_only,
        .client = p->client,
        .stream = p->stream,
        .replicas = 1,
        .timeout_ns = p->timeout_ns ? p->timeout_ns : 20 * CLOCK_S,
        .start = p->start,
        .start_seq = p->start_seq,
        .tx_idle_ns = p->tx_idle_ns,
    };
    if (replica_open(&r, &o, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    atomic_store(&p->replica, r);
    replica_connection_changed(r, nats_client_connected(p->client));
}

UNUSED_OK static void peer_close(struct peer *p)
{
    struct replica *r = atomic_load(&p->replica);

    if (!r)
        return;
    replica_stop(r, clock_deadline(CLOCK_S));
    /* After this no callback comes any more; the replica uses the client until it is closed. */
    struct replica *gone = atomic_exchange(&p->replica, NULL);
    replica_close(gone);
    nats_client_close(p->client);
    p->client = NULL;
}

UNUSED_OK static void peer_remove(struct peer *p)
{
    peer_close(p);
    assert_true(file_remove_tree(p->dir));
}

UNUSED_OK static struct replica_status peer_status(const struct peer *p)
{
    struct replica_status st;

    replica_status(atomic_load(&p->replica), &st);
    return st;
}

UNUSED_OK static bool peer_follows(const struct peer *p)
{
    struct replica_status st = peer_status(p);

    return st.state == REPLICA_FOLLOWING && st.caught_up;
}

/* One that follows the log already, on the heap: it is large for a stack. */
UNUSED_OK static struct peer *new_peer(const char *name, const char *stream, enum replica_mode mode)
{
    struct peer *p = calloc(1, sizeof *p);

    p->mode = mode;
    peer_make(p, name);
    peer_open(p, &server, stream);
    WAIT_FOR(peer_follows(p));
    return p;
}

UNUSED_OK static void free_peer(struct peer *p)
{
    peer_remove(p);
    free(p);
}

/* Stopped, for a reason that speaks of `text`. */
UNUSED_OK static bool peer_stopped(const struct peer *p, const char *text)
{
    struct replica_status st = peer_status(p);

    return st.state == REPLICA_STOPPED && strstr(st.reason, text) != NULL;
}

/* ---- statements ------------------------------------------------------------------------------ */

/* Runs all statements of a text on the write connection, inside a transaction of the writer. */
static enum err_code run_sql(struct writer *w, const char *sql, bool savepoint, struct err *e)
{
    const char *end = sql + strlen(sql);
    enum err_code code = ERR_OK;

    while (code == ERR_OK && sql < end) {
        struct stmt *st = NULL;
        struct err second = ERR_INIT;
        bool row = true;
        code = stmt_prepare(writer_conn(w), sql, (size_t)(end - sql), &sql, &st, e);
        if (code != ERR_OK || !st)
            continue;
        code = writer_stmt_begin(w, st, savepoint, e);
        if (code == ERR_OK) {
            while (code == ERR_OK && row)
                code = stmt_step(st, &row, e);
            stmt_reset(st);
            enum err_code ended = writer_stmt_end(w, st, code == ERR_OK, &second);
            if (code == ERR_OK && ended != ERR_OK) {
                *e = second;
                code = ended;
            }
        }
        stmt_release(st);
    }
    return code;
}

struct text_txn {
    const char *sql;
    atomic_int runs;
};

static enum err_code run_text(void *arg, struct writer *w, struct err *e)
{
    struct text_txn *t = arg;

    atomic_fetch_add(&t->runs, 1);
    return run_sql(w, t->sql, false, e);
}

/* One transaction through the write group. */
UNUSED_OK static enum err_code peer_try(struct peer *p, const char *sql, uint64_t *seq,
                                        unsigned *index, struct err *e)
{
    struct text_txn text = {.sql = sql};
    struct txn t = {.run = run_text, .arg = &text, .deadline_ns = clock_deadline(PATIENCE_NS)};

    err_clear(e);
    enum err_code code = replica_write(atomic_load(&p->replica), &t, e);
    if (seq)
        *seq = t.seq;
    if (index)
        *index = t.index;
    return code;
}

UNUSED_OK static uint64_t peer_write_at(struct peer *p, const char *sql, int line)
{
    struct err e;
    uint64_t seq = 0;

    if (peer_try(p, sql, &seq, NULL, &e) != ERR_OK)
        fail_msg("line %d: %.200s: %s: %s", line, sql, err_name(e.code), e.msg);
    return seq;
}

#define peer_write(p, sql) peer_write_at(p, sql, __LINE__)

/* ---- looking --------------------------------------------------------------------------------- */

/* All rows of a query as text: values separated by '|', rows by ';'. */
UNUSED_OK static char *peer_rows(const struct peer *p, const char *sql)
{
    struct conn_config cfg = {.path = p->path, .busy_ms = 5000};
    struct conn *c = NULL;
    struct stmt *st = NULL;
    struct err e = ERR_INIT;
    struct buf out = BUF_INIT;
    const char *tail;
    bool row = true;

    if (conn_open(&c, &cfg, CONN_READER, &e) != ERR_OK ||
        stmt_prepare(c, sql, strlen(sql), &tail, &st, &e) != ERR_OK)
        fail_msg("%s: %s", sql, e.msg);
    for (;;) {
        if (stmt_step(st, &row, &e) != ERR_OK)
            fail_msg("%s: %s", sql, e.msg);
        if (!row)
            break;
        for (unsigned i = 0; i < stmt_column_count(st); i++) {
            struct value v = stmt_column(st, i);
            if (i > 0)
                buf_putc(&out, '|');
            if (v.type == VALUE_INTEGER)
                buf_i64(&out, v.u.i);
            else if (v.type == VALUE_REAL)
                buf_printf(&out, "%.17g", v.u.r);
            else if (v.type == VALUE_NULL)
                buf_puts(&out, "NULL");
            else
                buf_put(&out, v.u.s.data, v.u.s.len);
        }
        buf_putc(&out, ';');
    }
    stmt_release(st);
    conn_close(c);
    (void)buf_cstr(&out);
    return out.data ? out.data : strdup("");
}

UNUSED_OK static bool rows_are(const struct peer *p, const char *sql, const char *expected)
{
    char *got = peer_rows(p, sql);
    bool same = strcmp(got, expected) == 0;

    free(got);
    return same;
}

#define assert_rows(p, sql, expected)                                                              \
    do {                                                                                           \
        char *rows_got = peer_rows(p, sql);                                                        \
        assert_string_equal(rows_got, expected);                                                   \
        free(rows_got);                                                                            \
    } while (0)

/* The file of `p` holds everything up to `seq`. */
UNUSED_OK static void peer_wait(const struct peer *p, uint64_t seq)
{
    struct err e = ERR_INIT;

    if (replica_wait(atomic_load(&p->replica), seq, clock_deadline(PATIENCE_NS), &e) != ERR_OK)
        fail_msg("%s: %s", p->name, e.msg);
}

/* ---- the log itself -------------------------------------------------------------------------- */

/* A message of somebody else, as it stands. */
UNUSED_OK static uint64_t log_put(const struct peer *via, const char *id, const char *bytes,
                                  size_t len)
{
    struct publish p = {.stream = replica_stream(atomic_load(&via->replica)),
                        .subject = replica_subject(atomic_load(&via->replica)),
                        .id = id,
                        .data = bytes,
                        .len = len,
                        .expect_seq = PUBLISH_ANY_SEQ};
    struct err e = ERR_INIT;
    uint64_t seq = 0;

    if (stream_publish(via->client, &p, clock_deadline(PATIENCE_NS), &seq, &e) != PUBLISH_ACKED)
        fail_msg("%s", e.msg);
    return seq;
}

/* All zero where there is none yet. */
UNUSED_OK static struct stream_state log_state(const struct peer *via)
{
    struct stream_state st = {0};
    struct err e = ERR_INIT;
    bool found = false;

    if (stream_info(via->client, replica_stream(atomic_load(&via->replica)), &st, &found, &e) !=
        ERR_OK)
        fail_msg("%s", e.msg);
    return st;
}

#endif
