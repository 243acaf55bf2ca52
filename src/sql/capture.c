/*
 * The preupdate hook. A change begins with bytes that are the same for all changes of its table
 * (`prefix` of its description):
 *
 *   {"database":"main","table":T,"columns":[…],"pk_columns":[…],"operation": |
 * "UPDATE","old_rowid":1,…}
 */
#include "sql/capture.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "proto/changeset.h"
#include "sql/quote.h"
#include "sql/value.h"

#define BLOBS_MAX 16 /* rows in which a statement writes in place; FTS5 has one for each table */

/* A row that was written in place. */
struct blob_row {
    char *table;
    int64_t rowid;
};

struct capture {
    struct conn *conn;
    sqlite3 *db;
    struct schema *schema;
    struct spool *spool;
    struct buf *tail;
    bool on;
    bool ddl;
    const char *dropped;
    uint64_t sequence_writes;
    uint64_t changes;
    uint64_t epoch; /* for schema_note_insert() */
    struct err err; /* first failure */

    /* rows that were shipped as deleted and have to be inserted again, as they are now */
    struct blob_row blobs[BLOBS_MAX];
    unsigned n_blobs;

    /* the table of the last event: nearly always that of the next */
    const struct table *last;
    uint64_t last_generation;

    /* What SQLite hands out for a column that a copied row lacks, see new_value(). */
    sqlite3_value *missing;
};

static void on_preupdate(void *arg, sqlite3 *db, int op, const char *database, const char *table,
                         sqlite3_int64 old_rowid, sqlite3_int64 new_rowid);

static void blob_forget(struct capture *c, unsigned i)
{
    free(c->blobs[i].table);
    c->blobs[i] = c->blobs[--c->n_blobs];
}

static void blobs_forget(struct capture *c)
{
    while (c->n_blobs > 0)
        blob_forget(c, 0);
}

/* The value of a column that no row has: a constant of SQLite's, of which the address matters. */
static enum err_code find_missing(struct capture *c, struct err *e)
{
    sqlite3_stmt *st = NULL;
    int rc;

    conn_trust(c->conn, true);
    rc = sqlite3_prepare_v2(c->db, "SELECT 1", -1, &st, NULL);
    conn_trust(c->conn, false);
    if (rc != SQLITE_OK)
        return conn_error(c->conn, rc, e);
    c->missing = sqlite3_column_value(st, 1);
    sqlite3_finalize(st);
    return ERR_OK;
}

enum err_code capture_open(struct capture **out, struct conn *conn, struct schema *schema,
                           struct spool *spool, struct err *e)
{
    struct capture *c = calloc(1, sizeof *c);
    enum err_code code;

    *out = NULL;
    if (!c)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    c->conn = conn;
    c->db = conn_handle(conn);
    c->schema = schema;
    c->spool = spool;
    c->tail = spool_tail(spool);
    err_clear(&c->err);
    code = find_missing(c, e);
    if (code) {
        free(c);
        return code;
    }
    (void)sqlite3_preupdate_hook(c->db, on_preupdate, c);
    *out = c;
    return ERR_OK;
}

void capture_close(struct capture *c)
{
    if (!c)
        return;
    (void)sqlite3_preupdate_hook(c->db, NULL, NULL);
    blobs_forget(c);
    free(c);
}

void capture_on(struct capture *c, bool on)
{
    c->on = on;
    c->epoch++;
    blobs_forget(c);
    c->sequence_writes = 0;
}

void capture_ddl(struct capture *c, bool running, const char *dropped)
{
    c->ddl = running;
    c->dropped = running ? dropped : NULL;
}

enum err_code capture_check(const struct capture *c, struct err *e)
{
    if (c->err.code) {
        *e = c->err;
        return e->code;
    }
    return spool_error(c->spool, e);
}

struct capture_mark capture_mark(const struct capture *c)
{
    return (struct capture_mark){spool_len(c->spool), c->changes};
}

void capture_cut(struct capture *c, struct capture_mark m)
{
    spool_cut(c->spool, m.len);
    c->changes = m.changes;
    c->epoch++;
    blobs_forget(c);
    err_clear(&c->err);
}

bool capture_inserted(const struct capture *c, const struct table *t, int64_t rowid)
{
    int64_t greatest;

    return schema_inserted(t, c->epoch, &greatest) && greatest == rowid;
}

uint64_t capture_sequence_writes(const struct capture *c)
{
    return c->sequence_writes;
}

void capture_restart(struct capture *c)
{
    c->changes = 0;
    err_clear(&c->err);
}

/* ---- writing ---- */

struct buf *capture_begin(struct capture *c)
{
    if (c->changes > 0)
        buf_putc(c->tail, ',');
    return c->tail;
}

void capture_end(struct capture *c)
{
    c->changes++;
    spool_flush(c->spool);
}

void capture_sql(struct capture *c, const char *sql, size_t len)
{
    changeset_put_sql(capture_begin(c), "main", sql, len);
    capture_end(c);
}

static bool has_rowid(const struct table *t)
{
    return !t->without_rowid && t->kind != TABLE_STAT;
}

#define OLD_VALUES ",\"old_values\":["
#define NEW_VALUES ",\"new_values\":["

void capture_row(struct capture *c, const struct table *t, bool inserted, const int64_t *rowid,
                 const struct value *values)
{
    struct buf *b = capture_begin(c);

    buf_put(b, t->prefix.data, t->prefix.len);
    buf_puts(b, inserted ? "\"INSERT\"" : "\"DELETE\"");
    if (rowid && has_rowid(t)) {
        buf_puts(b, inserted ? ",\"new_rowid\":" : ",\"old_rowid\":");
        buf_i64(b, *rowid);
    }
    buf_puts(b, inserted ? NEW_VALUES : OLD_VALUES);
    for (unsigned i = 0; i < t->n_sent; i++) {
        if (i > 0)
            buf_putc(b, ',');
        changeset_put_value(b, &values[i]);
    }
    buf_puts(b, "]}");
    capture_end(c);
}

/* ---- the hook ---- */

static void fail_rc(struct capture *c, int rc)
{
    if (!c->err.code)
        (void)conn_error(c->conn, rc, &c->err);
}

/* Integral numbers of a REAL column are stored as integers, and sometimes shown so: NEW by older
 * SQLites, OLD where the value is the DEFAULT of a column that the row lacks (seen up to 3.54.1).
 */
static void make_real(const struct table *t, unsigned column, struct value *v)
{
    if (v->type == VALUE_INTEGER && t->columns[column].real)
        *v = value_real((double)v->u.i);
}

static bool old_value(struct capture *c, const struct table *t, unsigned column, struct value *out)
{
    sqlite3_value *v = NULL;
    int rc = sqlite3_preupdate_old(c->db, (int)column, &v);

    if (rc != SQLITE_OK) {
        fail_rc(c, rc);
        return false;
    }
    *out = value_view(v);
    make_real(t, column, out);
    return true;
}

/*
 * INSERT INTO t SELECT * FROM s copies records as they are, and one that is older than a column of
 * s lacks it. SQLite then hands out its constant for columns that are not there, not the default
 * that a reader gets (seen up to 3.54.1).
 */
static bool new_value(struct capture *c, const struct table *t, unsigned column, struct value *out)
{
    sqlite3_value *v = NULL;
    int rc = sqlite3_preupdate_new(c->db, (int)column, &v);

    if (rc != SQLITE_OK) {
        fail_rc(c, rc);
        return false;
    }
    if (v == c->missing && t->columns[column].default_sql) {
        if (schema_default(t, column, out))
            return true;
        if (!c->err.code)
            (void)err_set(&c->err, ERR_INTERNAL, "the default of %s.%s cannot be computed", t->name,
                          t->columns[column].name);
        return false;
    }
    *out = value_view(v);
    make_real(t, column, out);
    return true;
}

typedef bool value_fn(struct capture *c, const struct table *t, unsigned column, struct value *out);

/* One at a time: a value's bytes may be the row's only copy, and the next call may move them. */
static void put_image(struct capture *c, const struct table *t, const char *field, size_t n_field,
                      value_fn *get)
{
    struct buf *b = c->tail;
    struct value v;

    buf_put(b, field, n_field);
    for (unsigned i = 0; i < t->n_sent; i++) {
        if (i > 0)
            buf_putc(b, ',');
        if (!get(c, t, t->sent[i], &v))
            return;
        changeset_put_value(b, &v);
    }
    buf_putc(b, ']');
}

/*
 * FTS5 writes into the middle of a row (sqlite3_blob_write). The hook is then called before that,
 * as for a deletion, and nobody tells what the row becomes. So it is shipped as deleted, and
 * inserted again as soon as its content is known: when the next event about it shows what it was
 * until then, or when the statement has ended.
 */
static void blob_note(struct capture *c, const char *table, int64_t rowid)
{
    char *name = c->n_blobs < BLOBS_MAX ? strdup(table) : NULL;

    if (name)
        c->blobs[c->n_blobs++] = (struct blob_row){name, rowid};
    else if (!c->err.code)
        (void)err_set(&c->err, ERR_NO_MEMORY, "too many rows are written in place");
}

/* Its index, n_blobs = none. */
static unsigned blob_find(const struct capture *c, const char *table, int64_t rowid)
{
    unsigned i = 0;

    while (i < c->n_blobs && (c->blobs[i].rowid != rowid || strcmp(c->blobs[i].table, table) != 0))
        i++;
    return i;
}

/* From inside the hook: the row is about to change once more. */
static void blob_insert_old(struct capture *c, const struct table *t, int64_t rowid)
{
    struct buf *b = capture_begin(c);

    buf_put(b, t->prefix.data, t->prefix.len);
    buf_puts(b, "\"INSERT\",\"new_rowid\":");
    buf_i64(b, rowid);
    put_image(c, t, NEW_VALUES, sizeof NEW_VALUES - 1, old_value);
    buf_putc(b, '}');
    capture_end(c);
}

static sqlite3_stmt *blob_reader(struct capture *c, const struct table *t, int64_t rowid)
{
    struct buf sql = BUF_INIT;
    sqlite3_stmt *st = NULL;
    int rc;

    buf_puts(&sql, "SELECT ");
    for (unsigned i = 0; i < t->n_sent; i++) {
        buf_puts(&sql, i > 0 ? "," : "");
        quote_put_name(&sql, t->columns[t->sent[i]].name);
    }
    buf_puts(&sql, " FROM main.");
    quote_put_name(&sql, t->name);
    buf_puts(&sql, " WHERE ");
    quote_put_name(&sql, t->rowid_name);
    buf_printf(&sql, "=%" PRId64, rowid);
    conn_trust(c->conn, true);
    rc = sqlite3_prepare_v2(c->db, buf_cstr(&sql), -1, &st, NULL);
    conn_trust(c->conn, false);
    buf_free(&sql);
    if (rc != SQLITE_OK)
        fail_rc(c, rc);
    return st;
}

/* The row as it is now. */
static void blob_insert(struct capture *c, const struct table *t, int64_t rowid)
{
    sqlite3_stmt *st = blob_reader(c, t, rowid);
    struct value *values = calloc(t->n_sent, sizeof *values);
    int rc = st ? sqlite3_step(st) : SQLITE_DONE;

    if (rc == SQLITE_ROW && values) {
        for (unsigned i = 0; i < t->n_sent; i++) {
            values[i] = value_view(sqlite3_column_value(st, (int)i));
            make_real(t, t->sent[i], &values[i]);
        }
        capture_row(c, t, true, &rowid, values);
    } else if (rc != SQLITE_DONE) {
        fail_rc(c, values ? rc : SQLITE_NOMEM);
    }
    sqlite3_finalize(st);
    free(values);
}

void capture_settle(struct capture *c)
{
    while (c->n_blobs > 0 && !c->err.code) {
        const struct table *t = schema_table(c->schema, c->blobs[0].table);
        if (t && t->rowid_name)
            blob_insert(c, t, c->blobs[0].rowid);
        else /* without it the row would be gone on the other nodes */
            (void)err_set(&c->err, ERR_UNSUPPORTED,
                          "table %s was written in place, and the row cannot be read by its rowid",
                          c->blobs[0].table);
        blob_forget(c, 0);
    }
}

/* The description of the table that an event is about, NULL where the event is not to be shipped.
 */
static const struct table *find_table(struct capture *c, const char *name)
{
    const struct table *t = c->last;

    if (!t || c->last_generation != schema_generation(c->schema) || strcmp(t->name, name) != 0) {
        t = schema_table(c->schema, name);
        c->last = t;
        c->last_generation = schema_generation(c->schema);
    }
    if (!t) {
        /* A schema statement that makes tables fills them on the other nodes as well. */
        if (!c->ddl && !c->err.code && !schema_is_ours(name) &&
            sqlite3_strnicmp(name, "sqlite_", 7) != 0)
            (void)err_set(&c->err, ERR_UNSUPPORTED,
                          "table %s was made by a statement that is no schema statement", name);
        return NULL;
    }
    if (t->kind == TABLE_SEQUENCE && !c->ddl)
        c->sequence_writes++; /* by hand: SQLite's own writes are silent */
    if (t->kind == TABLE_OURS || t->kind == TABLE_SEQUENCE)
        return NULL;
    if (c->ddl && (t->kind == TABLE_STAT || (c->dropped && sqlite3_stricmp(c->dropped, name) == 0)))
        return NULL;
    return t;
}

static void on_preupdate(void *arg, sqlite3 *db, int op, const char *database, const char *table,
                         sqlite3_int64 old_rowid, sqlite3_int64 new_rowid)
{
    struct capture *c = arg;
    const struct table *t;
    struct buf *b = c->tail;

    if (!c->on || c->err.code || strcmp(database, "main") != 0)
        return;
    t = find_table(c, table);
    if (!t)
        return;
    if (sqlite3_preupdate_count(db) != (int)t->n_columns) {
        (void)err_set(&c->err, ERR_INTERNAL, "table %s is not as it was described", t->name);
        return;
    }
    if (c->n_blobs > 0 && op != SQLITE_INSERT) {
        unsigned i = blob_find(c, table, old_rowid);
        if (i < c->n_blobs) {
            blob_insert_old(c, t, old_rowid);
            blob_forget(c, i);
        }
    }
    if (sqlite3_preupdate_blobwrite(db) >= 0)
        blob_note(c, table, old_rowid);
    (void)capture_begin(c);
    buf_put(b, t->prefix.data, t->prefix.len);
    buf_put(b,
            op == SQLITE_INSERT   ? "\"INSERT\""
            : op == SQLITE_UPDATE ? "\"UPDATE\""
                                  : "\"DELETE\"",
            8);
    if (has_rowid(t) && op != SQLITE_INSERT) {
        buf_puts(b, ",\"old_rowid\":");
        buf_i64(b, old_rowid);
    }
    if (has_rowid(t) && op != SQLITE_DELETE) {
        buf_puts(b, ",\"new_rowid\":");
        buf_i64(b, new_rowid);
    }
    if (op != SQLITE_INSERT)
        put_image(c, t, OLD_VALUES, sizeof OLD_VALUES - 1, old_value);
    if (op != SQLITE_DELETE)
        put_image(c, t, NEW_VALUES, sizeof NEW_VALUES - 1, new_value);
    buf_putc(b, '}');
    capture_end(c);
    if (op == SQLITE_INSERT && t->autoincrement)
        schema_note_insert(t, c->epoch, new_rowid);
}
