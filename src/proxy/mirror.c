/*
 * What is put aside, one record a change, behind each other in a spool; numbers big-endian:
 *
 *   u32 bytes of the record behind this word
 *   u8  'S': an SQL text follows, terminated
 *       'L': a layout follows, then the values
 *       'V': the values follow; their layout is the last one that came
 *
 *   layout: u8 op, table, u32 columns, u32 keys, their names; all texts terminated
 *   values: of the columns, then of the keys, as value_pack.h has them
 *
 * Rows of one table mostly come one behind the other, so names are not written, nor statements
 * looked up, for each of them.
 */
#include "proxy/mirror.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/reader.h"
#include "base/spool.h"
#include "base/value_pack.h"
#include "core/database.h"
#include "core/node.h"
#include "core/upstream.h"
#include "repl/replica.h"
#include "sql/ingest.h"
#include "sql/pg/session.h"
#include "sql/quote.h"
#include "sql/stmt.h"

#define MIRROR_MEMORY_BYTES ((size_t)4 * 1024 * 1024) /* put aside in memory, more on disk */
#define MIRROR_LOOK_NS      (5 * CLOCK_MS)            /* between two looks at the tracker */
#define MIRROR_WINDOW_BYTES ((size_t)256 * 1024)      /* read back at once */

struct mirror {
    struct node *node;
    struct database *db; /* owned reference */
    const atomic_bool *stop;
    struct spool *spool;
    struct buf layout; /* the last one written */
    struct buf names;  /* the one that is being made */
    uint64_t changes;
    bool open;
    bool known; /* position is what mirror_position() or a commit has found */
    struct buf position;
    /* the commit */
    const char *next_position;
    const char *next_time; /* NULL = not known */
};

/* ---- life ---- */

enum err_code mirror_open(struct mirror **out, struct node *n, const char *database,
                          const atomic_bool *stop, struct err *e)
{
    struct mirror *m = calloc(1, sizeof *m);

    *out = NULL;
    if (!m)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    m->node = n;
    m->stop = stop;
    m->spool = spool_new(node_options(n)->data_dir, MIRROR_MEMORY_BYTES);
    enum err_code code =
        m->spool ? node_find(n, database, &m->db, e) : err_set(e, ERR_NO_MEMORY, "out of memory");
    if (code != ERR_OK) {
        mirror_close(m);
        return code;
    }
    *out = m;
    return ERR_OK;
}

void mirror_close(struct mirror *m)
{
    if (!m)
        return;
    database_unref(m->db);
    spool_free(m->spool);
    buf_free(&m->layout);
    buf_free(&m->names);
    buf_free(&m->position);
    free(m);
}

static int64_t patience(const struct mirror *m)
{
    return clock_deadline(node_options(m->node)->replication_timeout_ns);
}

static enum err_code check_stop(const struct mirror *m, struct err *e)
{
    return m->stop && atomic_load_explicit(m->stop, memory_order_relaxed)
               ? err_set(e, ERR_INTERRUPTED, "the source is being stopped")
               : ERR_OK;
}

/* ---- what the file says ---- */

int64_t mirror_log_created(const struct mirror *m)
{
    return replica_log_created(database_replica(m->db));
}

enum err_code mirror_look(struct mirror *m, struct buf *position, struct err *e)
{
    struct conn *c = NULL;

    buf_reset(position);
    enum err_code code = database_reader(m->db, patience(m), &c, e);
    if (code != ERR_OK)
        return code;
    code = ingest_read_position(c, position, e);
    database_give(m->db, c);
    return code;
}

enum err_code mirror_peek(struct node *n, const char *database, struct buf *position, struct err *e)
{
    struct mirror m = {.node = n};

    enum err_code code = node_find(n, database, &m.db, e);
    if (code == ERR_OK)
        code = mirror_look(&m, position, e);
    database_unref(m.db);
    return code;
}

enum err_code mirror_await(struct node *n, const struct upstream_call *c,
                           bool (*reached)(const void *wanted, const char *position, size_t len),
                           const void *wanted, int64_t deadline_ns, struct err *e)
{
    struct buf here = BUF_INIT;
    enum err_code code = ERR_OK;

    while (code == ERR_OK) {
        code = mirror_peek(n, c->database, &here, e);
        if (code == ERR_OK && reached(wanted, buf_cstr(&here), here.len))
            break;
        if (code == ERR_OK && clock_mono_ns() >= deadline_ns)
            code = err_set(e, ERR_LAGGING, "the database has not come to its source's %.*s in time",
                           (int)c->position.len, c->position.data);
        if (code == ERR_OK)
            code = upstream_check(c, e);
        if (code == ERR_OK)
            clock_nap(MIRROR_LOOK_NS);
    }
    buf_free(&here);
    return code;
}

enum err_code mirror_position(struct mirror *m, struct buf *position, struct err *e)
{
    m->known = false;
    enum err_code code = replica_sync(database_replica(m->db), patience(m), e);
    if (code == ERR_OK)
        code = mirror_look(m, &m->position, e);
    if (code != ERR_OK)
        return code;
    buf_reset(position);
    buf_put(position, m->position.data, m->position.len);
    if (!buf_ok(position))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    m->known = true;
    return ERR_OK;
}

enum err_code mirror_table_add(struct mirror_table *t, const char *column, struct err *e)
{
    char **columns = realloc(t->columns, (t->n_columns + 1) * sizeof *columns);

    if (columns)
        t->columns = columns;
    char *copy = columns ? strdup(column) : NULL;
    if (!copy)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    t->columns[t->n_columns++] = copy;
    return ERR_OK;
}

enum err_code mirror_describe(struct mirror *m, const char *table, struct mirror_table *out,
                              struct err *e)
{
    static const char sql[] = "SELECT x.name FROM main.sqlite_schema s, pragma_table_xinfo(s.name,"
                              " 'main') x WHERE s.type = 'table' AND s.name = ? COLLATE NOCASE"
                              " ORDER BY x.cid";
    struct value name = value_text(table, strlen(table));
    struct stmt *st = NULL;
    struct conn *c = NULL;
    const char *tail;
    bool row = true;

    *out = (struct mirror_table){0};
    enum err_code code = database_reader(m->db, patience(m), &c, e);
    if (code != ERR_OK)
        return code;
    code = stmt_prepare(c, sql, sizeof sql - 1, &tail, &st, e);
    if (code == ERR_OK)
        code = stmt_bind(st, 1, &name, e);
    while (code == ERR_OK && (code = stmt_step(st, &row, e)) == ERR_OK && row) {
        struct value column = stmt_column(st, 0);
        char *text = strndup(column.u.s.data, column.u.s.len);
        code = text ? mirror_table_add(out, text, e) : err_set(e, ERR_NO_MEMORY, "out of memory");
        free(text);
    }
    stmt_release(st);
    database_give(m->db, c);
    if (code != ERR_OK)
        mirror_table_free(out);
    return code;
}

bool mirror_table_has(const struct mirror_table *t, const char *column)
{
    for (size_t i = 0; i < t->n_columns; i++)
        if (strcasecmp(t->columns[i], column) == 0)
            return true;
    return false;
}

void mirror_table_free(struct mirror_table *t)
{
    while (t->n_columns > 0)
        free(t->columns[--t->n_columns]);
    free(t->columns);
    t->columns = NULL;
}

enum err_code mirror_has_table(struct mirror *m, const char *table, bool *has, struct err *e)
{
    struct mirror_table t;
    enum err_code code = mirror_describe(m, table, &t, e);

    *has = t.n_columns > 0;
    mirror_table_free(&t);
    return code;
}

/* ---- putting aside ---- */

enum err_code mirror_begin(struct mirror *m, struct err *e)
{
    if (m->open)
        return err_set(e, ERR_INTERNAL, "the mirror is in a transaction already");
    spool_reset(m->spool);
    buf_reset(&m->layout);
    m->changes = 0;
    m->open = true;
    return ERR_OK;
}

void mirror_rollback(struct mirror *m)
{
    m->open = false;
    m->changes = 0;
    spool_reset(m->spool);
}

uint64_t mirror_pending_changes(const struct mirror *m)
{
    return m->changes;
}

uint64_t mirror_pending_bytes(const struct mirror *m)
{
    return spool_len(m->spool);
}

static void put_text(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s) + 1);
}

static void put_layout(struct buf *b, const struct mirror_change *c)
{
    buf_reset(b);
    buf_u8(b, (uint8_t)c->op);
    put_text(b, c->table);
    buf_be32(b, (uint32_t)c->n_columns);
    buf_be32(b, (uint32_t)c->n_keys);
    for (size_t i = 0; i < c->n_columns; i++)
        put_text(b, c->columns[i].name);
    for (size_t i = 0; i < c->n_keys; i++)
        put_text(b, c->keys[i].name);
}

static void put_row(struct mirror *m, struct buf *b, const struct mirror_change *c)
{
    put_layout(&m->names, c);
    bool same =
        m->layout.len == m->names.len && memcmp(m->layout.data, m->names.data, m->names.len) == 0;
    buf_putc(b, same ? 'V' : 'L');
    if (!same) {
        struct buf last = m->layout;
        buf_put(b, m->names.data, m->names.len);
        m->layout = m->names;
        m->names = last;
    }
    for (size_t i = 0; i < c->n_columns; i++)
        value_pack(b, &c->columns[i].value);
    for (size_t i = 0; i < c->n_keys; i++)
        value_pack(b, &c->keys[i].value);
}

enum err_code mirror_change(struct mirror *m, const struct mirror_change *c, struct err *e)
{
    struct buf *b = spool_tail(m->spool);
    size_t begin = b->len;

    if (!m->open)
        return err_set(e, ERR_INTERNAL, "a change outside a transaction of the mirror");
    buf_be32(b, 0);
    if (c->op == MIRROR_SQL) {
        buf_putc(b, 'S');
        put_text(b, c->sql);
    } else {
        put_row(m, b, c);
    }
    if (!buf_ok(b) || !buf_ok(&m->names) || !buf_ok(&m->layout))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    size_t bytes = b->len - begin - sizeof(uint32_t);
    if (bytes > UINT32_MAX)
        return err_set(e, ERR_TOO_BIG, "a change of the source is larger than 4 GiB");
    uint32_t word = htobe32((uint32_t)bytes);
    memcpy(b->data + begin, &word, sizeof word);
    spool_flush(m->spool);
    m->changes++;
    return spool_error(m->spool, e);
}

/* ---- running ---- */

/* What the run of a commit reads the spool through. */
struct replay {
    struct mirror *m;
    struct ingest *g;
    uint64_t offset;   /* of what comes next */
    struct buf window; /* bytes of the spool … */
    size_t at;         /* … from here on not yet read */
    struct buf layout; /* a copy: the window moves */
    const char **names;
    struct value *values;
    size_t n_columns, n_keys;
};

/* The next `n` bytes of the spool, borrowed until the next call. */
static enum err_code next_bytes(struct replay *r, size_t n, const char **bytes, struct err *e)
{
    struct buf *w = &r->window;
    size_t rest = w->data ? w->len - r->at : 0;

    if (rest < n || !w->data) {
        size_t want = n > MIRROR_WINDOW_BYTES ? n : MIRROR_WINDOW_BYTES;
        size_t got = 0;
        if (rest > 0)
            memmove(w->data, w->data + r->at, rest);
        buf_cut(w, rest);
        r->at = 0;
        char *room = buf_reserve(w, want - rest);
        enum err_code code = room ? spool_read(r->m->spool, r->offset, room, want - rest, &got, e)
                                  : err_set(e, ERR_NO_MEMORY, "out of memory");
        if (code != ERR_OK)
            return code;
        w->len += got;
        r->offset += got;
        if (w->len < n)
            return err_set(e, ERR_INTERNAL, "what the mirror has put aside ends too early");
    }
    *bytes = w->data + r->at;
    r->at += n;
    return ERR_OK;
}

static enum err_code malformed(struct err *e)
{
    return err_set(e, ERR_INTERNAL, "what the mirror has put aside cannot be read");
}

/* Keeps a layout and makes ready for its rows. `in` stands behind it then. */
static enum err_code take_layout(struct replay *r, struct reader *in, struct err *e)
{
    static const enum ingest_op ops[] = {[MIRROR_INSERT] = INGEST_INSERT,
                                         [MIRROR_UPDATE] = INGEST_UPDATE,
                                         [MIRROR_DELETE] = INGEST_DELETE,
                                         [MIRROR_TRUNCATE] = INGEST_CLEAR};
    const char *begin = in->at;

    (void)reader_u8(in);
    (void)reader_cstr(in);
    size_t n_columns = reader_u32(in), n_keys = reader_u32(in);
    for (size_t i = 0; i < n_columns + n_keys && !in->bad; i++)
        (void)reader_cstr(in);
    if (in->bad)
        return malformed(e);
    buf_reset(&r->layout);
    buf_put(&r->layout, begin, (size_t)(in->at - begin));
    free(r->names);
    free(r->values);
    r->names = calloc(n_columns + n_keys + 1, sizeof *r->names);
    r->values = calloc(n_columns + n_keys + 1, sizeof *r->values);
    if (!buf_ok(&r->layout) || !r->names || !r->values)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    r->n_columns = n_columns;
    r->n_keys = n_keys;
    struct reader kept = reader_of(r->layout.data, r->layout.len);
    uint8_t op = reader_u8(&kept);
    const char *table = reader_cstr(&kept);
    (void)reader_u32(&kept);
    (void)reader_u32(&kept);
    for (size_t i = 0; i < n_columns + n_keys; i++)
        r->names[i] = reader_cstr(&kept);
    if (op >= sizeof ops / sizeof ops[0])
        return malformed(e);
    return ingest_shape(r->g,
                        &(struct ingest_shape){.op = ops[op],
                                               .table = table,
                                               .columns = r->names,
                                               .n_columns = n_columns,
                                               .keys = r->names + n_columns,
                                               .n_keys = n_keys},
                        e);
}

static enum err_code run_record(struct replay *r, const char *bytes, size_t len, struct err *e)
{
    struct reader in = reader_of(bytes, len);
    uint8_t kind = reader_u8(&in);

    if (kind == 'S') {
        const char *sql = reader_cstr(&in);
        return in.bad ? malformed(e) : ingest_sql(r->g, sql, e);
    }
    if (kind == 'L' && take_layout(r, &in, e) != ERR_OK)
        return e->code;
    if (!r->names)
        return malformed(e);
    for (size_t i = 0; i < r->n_columns + r->n_keys; i++)
        r->values[i] = value_unpack(&in);
    return reader_done(&in) ? ingest_row(r->g, r->values, r->values + r->n_columns, e)
                            : malformed(e);
}

static enum err_code run_records(struct replay *r, struct err *e)
{
    struct mirror *m = r->m;
    const char *bytes = NULL;
    uint32_t word;
    enum err_code code = ERR_OK;

    for (uint64_t i = 0; i < m->changes && code == ERR_OK; i++) {
        code = check_stop(m, e);
        if (code == ERR_OK)
            code = next_bytes(r, sizeof word, &bytes, e);
        if (code != ERR_OK || !bytes)
            break;
        memcpy(&word, bytes, sizeof word);
        size_t len = be32toh(word);
        code = next_bytes(r, len, &bytes, e);
        if (code == ERR_OK)
            code = run_record(r, bytes, len, e);
    }
    return code;
}

/* Has nobody else moved the tracker? */
static enum err_code compare(struct mirror *m, struct ingest *g, struct err *e)
{
    struct buf now = BUF_INIT;
    enum err_code code = ingest_position(g, &now, e);

    if (code == ERR_OK && strcmp(buf_cstr(&now), buf_cstr(&m->position)) != 0)
        code = err_set(e, ERR_CONFLICT, "another node follows the source: it has come to %.100s",
                       now.len ? buf_cstr(&now) : "nothing");
    buf_free(&now);
    return code;
}

/* A txn_fn: the write group runs it, perhaps several times and in another thread. */
static enum err_code run(void *arg, struct writer *w, struct err *e)
{
    struct mirror *m = arg;
    struct replay r = {.m = m};
    const struct pg_session *before = pg_session_current();
    struct conn_guard guard = {.deadline_ns = CLOCK_EVER, .cancel = m->stop};

    pg_session_enter(NULL);
    conn_guard(writer_conn(w), &guard);
    enum err_code code = ingest_begin(&r.g, w, e);
    if (code == ERR_OK)
        code = compare(m, r.g, e);
    if (code == ERR_OK)
        code = run_records(&r, e);
    if (code == ERR_OK)
        code = ingest_move(r.g, m->next_position, m->next_time, e);
    ingest_end(r.g);
    conn_unguard(writer_conn(w));
    pg_session_enter(before);
    buf_free(&r.window);
    buf_free(&r.layout);
    free(r.names);
    free(r.values);
    return code;
}

enum err_code mirror_commit(struct mirror *m, const char *position, int64_t server_time_ns,
                            struct err *e)
{
    char time[CLOCK_TEXT_SIZE];
    struct txn t = {.run = run, .arg = m, .deadline_ns = patience(m)};

    if (!m->open || !m->known)
        return err_set(e, ERR_INTERNAL, "a commit that no position or transaction came before");
    if (server_time_ns)
        clock_format(server_time_ns, time);
    m->next_position = position;
    m->next_time = server_time_ns ? time : NULL;
    FAULT_POINT("mirror.commit");
    enum err_code code = replica_write(database_replica(m->db), &t, e);
    FAULT_POINT("mirror.committed");
    mirror_rollback(m);
    m->known = false;
    if (code != ERR_OK)
        return code;
    buf_reset(&m->position);
    buf_puts(&m->position, position);
    m->known = buf_ok(&m->position);
    return m->known ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}
