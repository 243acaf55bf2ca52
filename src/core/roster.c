/*
 * The roster: how far each node is with each database, as GET /replications shows it. Every node
 * writes its own lines into a stream, <stream>_NODES, which keeps the last one of each node and
 * database.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_tree.h>

#include "base/clock.h"
#include "base/json.h"
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

void roster_publish(struct node *n)
{
    bool ensured = false;
    for (size_t i = 0;; i++) {
        pthread_mutex_lock(&n->mu);
        struct database *d = i < n->n_dbs ? database_ref(n->dbs[i]) : NULL;
        pthread_mutex_unlock(&n->mu);
        if (!d)
            return;
        uint64_t seq = replica_position(database_replica(d));
        if (replica_log_created(database_replica(d)) != 0 && seq != database_told(d)) {
            if (!ensured && !ensure(n)) {
                database_unref(d);
                return;
            }
            ensured = true;
            write_line(n, d, seq);
        }
        database_unref(d);
    }
}

/* ---- reading ---- */

static void put_entry(const struct stream_message *m, uint64_t last_seq, struct buf *json)
{
    char problem[64], when[CLOCK_TEXT_SIZE];
    char *text = strndup(m->data ? m->data : "", m->len);
    yajl_val tree = text ? yajl_tree_parse(text, problem, sizeof problem) : NULL;
    free(text);
    const char *name_path[] = {"name", NULL}, *db_path[] = {"database", NULL};
    const char *seq_path[] = {"seq", NULL}, *version_path[] = {"version", NULL};
    yajl_val name = tree ? yajl_tree_get(tree, name_path, yajl_t_string) : NULL;
    yajl_val db = tree ? yajl_tree_get(tree, db_path, yajl_t_string) : NULL;
    yajl_val seq = tree ? yajl_tree_get(tree, seq_path, yajl_t_number) : NULL;
    yajl_val version = tree ? yajl_tree_get(tree, version_path, yajl_t_string) : NULL;
    if (name && db && seq && YAJL_IS_INTEGER(seq)) {
        uint64_t at = (uint64_t)YAJL_GET_INTEGER(seq);
        if (json->len > 0)
            buf_putc(json, ',');
        buf_puts(json, "{\"name\":");
        json_put_cstr(json, YAJL_GET_STRING(name));
        buf_puts(json, ",\"database\":");
        json_put_cstr(json, YAJL_GET_STRING(db));
        buf_puts(json, ",\"seq\":");
        buf_u64(json, at);
        buf_puts(json, ",\"lag\":");
        buf_u64(json, last_seq > at ? last_seq - at : 0);
        buf_puts(json, ",\"version\":");
        json_put_cstr(json, version ? YAJL_GET_STRING(version) : "");
        clock_format(m->time_ns, when);
        buf_puts(json, ",\"last_seen\":");
        json_put_cstr(json, when);
        buf_putc(json, '}');
    }
    yajl_tree_free(tree);
}

/* Entries of one database, and of one node where `name` is given, separated by commas. */
static enum err_code read_lines(struct node *n, struct database *d, const char *name,
                                struct buf *json, struct err *e)
{
    char stream[ROSTER_NAME_SIZE], subject[ROSTER_SUBJECT_SIZE];
    struct replica_status rs;
    struct stream_feed *feed = NULL;
    struct stream_message m;
    bool found = false;
    stream_name(n, stream);
    subject_of(n, database_id(d), name, subject);
    replica_status(database_replica(d), &rs);
    enum err_code code = stream_last(n->client, stream, subject, &m, &found, e);
    if (code != ERR_OK || !found)
        return code;
    uint64_t last = m.seq;
    stream_message_free(&m);
    code = stream_feed_open(&feed, n->client, stream, subject, 1, e);
    for (unsigned i = 0; code == ERR_OK && i < ROSTER_MAX_LINES; i++) {
        bool got = false;
        code = stream_feed_next(feed, ROSTER_FIRST_MS, &m, &got, e);
        if (code != ERR_OK || !got)
            break;
        put_entry(&m, rs.last_seq, json);
        bool more = m.pending > 0 && m.seq < last;
        stream_message_free(&m);
        if (!more)
            break;
    }
    stream_feed_close(feed);
    return code;
}

enum err_code roster_others(void *node, const char *id, bool *any, struct err *e)
{
    struct node *n = node;
    char stream[ROSTER_NAME_SIZE], all[ROSTER_SUBJECT_SIZE], own[ROSTER_SUBJECT_SIZE];
    struct stream_feed *feed = NULL;
    struct stream_message m;
    bool more = false;
    *any = false;
    stream_name(n, stream);
    subject_of(n, id, NULL, all);
    subject_of(n, id, n->opt.name, own);
    enum err_code code = stream_last(n->client, stream, all, &m, &more, e);
    if (code != ERR_OK || !more)
        return code;
    stream_message_free(&m);
    code = stream_feed_open(&feed, n->client, stream, all, 1, e);
    while (code == ERR_OK && more && !*any) {
        bool got = false;
        code = stream_feed_next(feed, ROSTER_FIRST_MS, &m, &got, e);
        if (code == ERR_OK && !got)
            code = err_set(e, ERR_LOG_UNAVAILABLE, "the roster does not answer");
        if (code != ERR_OK)
            break;
        *any = strcmp(m.subject, own) != 0;
        more = m.pending > 0;
        stream_message_free(&m);
    }
    stream_feed_close(feed);
    return code;
}

enum err_code node_replications(struct node *n, const char *id, const char *name, struct buf *json,
                                struct err *e)
{
    struct database *d = NULL;
    struct buf lines = BUF_INIT;
    enum err_code code = node_find(n, id, &d, e);
    if (code != ERR_OK)
        return code;
    if (n->client && ensure(n)) {
        write_line(n, d, replica_position(database_replica(d))); /* our own line is never stale */
        code = read_lines(n, d, name, &lines, e);
    }
    if (code == ERR_OK && name && lines.len == 0)
        code = err_set(e, ERR_NOT_FOUND, "no node \"%s\" replicates database \"%s\"", name,
                       database_id(d));
    if (code == ERR_OK) {
        buf_puts(json, "{\"replications\":[");
        buf_put(json, lines.data, lines.len);
        buf_puts(json, "]}");
    }
    buf_free(&lines);
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
