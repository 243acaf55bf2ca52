/*
 * The roster: how far each node is with each database, as GET /replications shows it. Every node
 * writes its own lines into a stream, <stream>_NODES, which keeps the last one of each node and
 * database.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/json_tree.h"
#include "base/log.h"
#include "base/name.h"
#include "core/impl.h"
#include "nats/stream.h"

#define ROSTER_NAME_SIZE    128
#define ROSTER_SUBJECT_SIZE (ROSTER_NAME_SIZE + 2 * NAME_TOKEN_SIZE)
#define ROSTER_PUBLISH_NS   CLOCK_S
#define ROSTER_FIRST_MS     1000
#define ROSTER_MAX_LINES    10000

static void stream_name(const struct node *n, char name[ROSTER_NAME_SIZE])
{
    snprintf(name, ROSTER_NAME_SIZE, "%s_NODES", n->opt.stream);
}

/* "<stream>_NODES.<database>.<node>"; NULL stands for all of them. */
static void subject_of(const struct node *n, const char *db, const char *node,
                       char out[ROSTER_SUBJECT_SIZE])
{
    char db_token[NAME_TOKEN_SIZE] = "*";
    char node_token[NAME_TOKEN_SIZE] = "*";
    if (db)
        name_encode(db, db_token);
    if (node)
        name_encode(node, node_token);
    snprintf(out, ROSTER_SUBJECT_SIZE, "%s_NODES.%s.%s", n->opt.stream, db_token, node_token);
}

/* ---- lines ---- */

/* False where it is no line of ours. */
static bool parse(const struct stream_message *m, struct roster_line *out)
{
    yajl_val tree = json_tree_parse(m->data, m->len);
    const char *name = json_tree_text(tree, "name"), *db = json_tree_text(tree, "database");
    int64_t seq = json_tree_integer(tree, "seq", -1);
    bool ok = name[0] && db[0] && seq >= 0;
    if (ok) {
        snprintf(out->name, sizeof out->name, "%s", name);
        snprintf(out->database, sizeof out->database, "%s", db);
        snprintf(out->version, sizeof out->version, "%s", json_tree_text(tree, "version"));
        out->seq = (uint64_t)seq;
        out->log_created = json_tree_integer(tree, "log_created", 0);
        out->time_ns = m->time_ns;
    }
    yajl_tree_free(tree);
    return ok;
}

static void write_line(struct node *n, struct database *d, uint64_t seq)
{
    char stream[ROSTER_NAME_SIZE], subject[ROSTER_SUBJECT_SIZE];
    struct buf json = BUF_INIT;
    struct err e = ERR_INIT;
    uint64_t ignored;
    stream_name(n, stream);
    subject_of(n, database_id(d), n->opt.name, subject);
    buf_puts(&json, "{\"name\":");
    json_put_cstr(&json, n->opt.name);
    buf_puts(&json, ",\"database\":");
    json_put_cstr(&json, database_id(d));
    buf_puts(&json, ",\"seq\":");
    buf_u64(&json, seq);
    buf_puts(&json, ",\"log_created\":");
    buf_i64(&json, replica_log_created(database_replica(d)));
    buf_puts(&json, ",\"version\":");
    json_put_cstr(&json, n->opt.version);
    buf_putc(&json, '}');
    struct publish p = {.stream = stream,
                        .subject = subject,
                        .data = json.data,
                        .len = json.len,
                        .expect_seq = PUBLISH_ANY_SEQ};
    if (buf_ok(&json) && stream_publish(n->client, &p, clock_deadline(ROSTER_PUBLISH_NS), &ignored,
                                        &e) == PUBLISH_ACKED)
        database_set_told(d, seq);
    buf_free(&json);
}

static bool ensure(struct node *n)
{
    char stream[ROSTER_NAME_SIZE], subject[ROSTER_SUBJECT_SIZE];
    struct stream_state st;
    struct err e = ERR_INIT;
    stream_name(n, stream);
    subject_of(n, NULL, NULL, subject);
    struct stream_config cfg = {
        .name = stream, .subject = subject, .replicas = n->opt.replicas, .max_per_subject = 1};
    return stream_ensure(n->client, &cfg, &st, &e) == ERR_OK;
}

/* The node comes back with a file that is older than what it has told the others: SQLite has no way
 * to notice that, for a WAL that was cut off, or was not on disk yet when the power failed, is a
 * sound and shorter one. */
static void look_back(struct node *n, struct database *d)
{
    char stream[ROSTER_NAME_SIZE], subject[ROSTER_SUBJECT_SIZE];
    struct replica *r = database_replica(d);
    struct stream_message m;
    struct roster_line line;
    struct err e = ERR_INIT;
    bool found = false;
    if (n->opt.memory || replica_opened(r) == 0)
        return;
    stream_name(n, stream);
    subject_of(n, database_id(d), n->opt.name, subject);
    if (stream_last(n->client, stream, subject, &m, &found, &e) != ERR_OK || !found)
        return;
    if (parse(&m, &line) && line.log_created == replica_log_created(r) &&
        line.seq > replica_opened(r))
        LOG_WARN(
            "the file had lost its end (a WAL that was cut off, a power loss, an older copy in "
            "its place); the log brings back what is missing",
            LOG_STR("db", database_id(d)), LOG_UINT("seq", replica_opened(r)),
            LOG_UINT("was", line.seq));
    stream_message_free(&m);
}

void roster_publish(struct node *n)
{
    bool ensured = false;
    for (size_t i = 0;; i++) {
        pthread_mutex_lock(&n->mu);
        struct database *d = i < n->n_dbs ? database_ref(n->dbs[i]) : NULL;
        pthread_mutex_unlock(&n->mu);
        if (!d)
            return;
        struct replica *r = database_replica(d); /* NULL: it could not be opened, the node ends */
        uint64_t seq = r ? replica_position(r) : 0;
        if (r && replica_log_created(r) != 0 && seq != database_told(d)) {
            if (!ensured && !ensure(n)) {
                database_unref(d);
                return;
            }
            ensured = true;
            if (database_told(d) == UINT64_MAX)
                look_back(n, d);
            write_line(n, d, seq);
        }
        database_unref(d);
    }
}

/* ---- reading ---- */

/* Lines of one database, and of one node where `name` is given. */
static enum err_code read_lines(struct node *n, const char *id, const char *name,
                                roster_line_fn *each, void *arg, struct err *e)
{
    char stream[ROSTER_NAME_SIZE], subject[ROSTER_SUBJECT_SIZE];
    struct stream_feed *feed = NULL;
    struct stream_message m;
    struct roster_line line;
    bool found = false;
    stream_name(n, stream);
    subject_of(n, id, name, subject);
    enum err_code code = stream_last(n->client, stream, subject, &m, &found, e);
    if (code != ERR_OK || !found)
        return code;
    uint64_t last = m.seq;
    stream_message_free(&m);
    code = stream_feed_open(&feed, n->client, stream, subject, 1, e);
    for (unsigned i = 0; code == ERR_OK && i < ROSTER_MAX_LINES; i++) {
        bool got = false;
        code = stream_feed_next(feed, ROSTER_FIRST_MS, &m, &got, e);
        if (code == ERR_OK && !got)
            code = err_set(e, ERR_LOG_UNAVAILABLE, "the roster does not answer");
        if (code != ERR_OK)
            break;
        if (parse(&m, &line))
            each(arg, &line);
        bool more = m.pending > 0 && m.seq < last;
        stream_message_free(&m);
        if (!more)
            break;
    }
    stream_feed_close(feed);
    return code;
}

enum err_code roster_each(struct node *n, const char *id, roster_line_fn *each, void *arg,
                          struct err *e)
{
    if (!ensure(n))
        return err_set(e, ERR_LOG_UNAVAILABLE, "the roster does not answer");
    return read_lines(n, id, NULL, each, arg, e);
}

struct other {
    const char *self;
    bool any;
};

static void note_other(void *arg, const struct roster_line *line)
{
    struct other *o = arg;
    o->any = o->any || strcmp(line->name, o->self) != 0;
}

enum err_code roster_others(void *node, const char *id, bool *any, struct err *e)
{
    struct node *n = node;
    struct other o = {.self = n->opt.name};
    enum err_code code = read_lines(n, id, NULL, note_other, &o, e);
    *any = o.any;
    return code;
}

struct listing {
    struct buf json;
    uint64_t last_seq;
};

static void put_line(void *arg, const struct roster_line *line)
{
    struct listing *l = arg;
    struct buf *json = &l->json;
    char when[CLOCK_TEXT_SIZE];
    buf_puts(json, json->len > 0 ? ",{\"name\":" : "{\"name\":");
    json_put_cstr(json, line->name);
    buf_puts(json, ",\"database\":");
    json_put_cstr(json, line->database);
    buf_puts(json, ",\"seq\":");
    buf_u64(json, line->seq);
    buf_puts(json, ",\"lag\":");
    buf_u64(json, l->last_seq > line->seq ? l->last_seq - line->seq : 0);
    buf_puts(json, ",\"version\":");
    json_put_cstr(json, line->version);
    clock_format(line->time_ns, when);
    buf_puts(json, ",\"last_seen\":");
    json_put_cstr(json, when);
    buf_putc(json, '}');
}

enum err_code node_replications(struct node *n, const char *id, const char *name, struct buf *json,
                                struct err *e)
{
    struct database *d = NULL;
    struct listing lines = {.json = BUF_INIT};
    enum err_code code = node_find(n, id, &d, e);
    if (code != ERR_OK)
        return code;
    if (n->client && ensure(n)) {
        struct replica_status rs;
        write_line(n, d, replica_position(database_replica(d))); /* our own line is never stale */
        replica_status(database_replica(d), &rs);
        lines.last_seq = rs.last_seq;
        code = read_lines(n, database_id(d), name, put_line, &lines, e);
    }
    if (code == ERR_OK && name && lines.json.len == 0)
        code = err_set(e, ERR_NOT_FOUND, "no node \"%s\" replicates database \"%s\"", name,
                       database_id(d));
    if (code == ERR_OK) {
        buf_puts(json, "{\"replications\":[");
        buf_put(json, lines.json.data, lines.json.len);
        buf_puts(json, "]}");
    }
    buf_free(&lines.json);
    database_unref(d);
    return code;
}

enum err_code node_remove_replication(struct node *n, const char *id, const char *name,
                                      struct err *e)
{
    struct database *d = NULL;
    struct stream_message m;
    char stream[ROSTER_NAME_SIZE], subject[ROSTER_SUBJECT_SIZE];
    bool found = false;
    enum err_code code = node_find(n, id, &d, e);
    if (code != ERR_OK)
        return code;
    stream_name(n, stream);
    subject_of(n, database_id(d), name, subject);
    if (n->client)
        code = stream_last(n->client, stream, subject, &m, &found, e);
    if (code == ERR_OK && !found)
        code = err_set(e, ERR_NOT_FOUND, "no node \"%s\" replicates database \"%s\"", name,
                       database_id(d));
    if (code == ERR_OK) {
        stream_message_free(&m);
        code = stream_purge(n->client, stream, subject, e);
    }
    database_unref(d);
    return code;
}
