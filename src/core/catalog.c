/*
 * The catalog: which databases the cluster has been told to create and to drop. A stream of its
 * own, <stream>_CATALOG, keeps the last word on each database, without age limit:
 *
 *   {"op": "create", "id": "b.db", "dsn": "b.db?…", "dropped": [ns, …]}
 *   {"op": "drop",   "id": "b.db", "dropped": [ns, …]}
 *
 * `dropped` says when the logs of the databases of this name that were dropped had been created,
 * the newest last: so that a file of a node that was away, or one that somebody put in its place,
 * is taken for a dropped one only if it belongs to that very log.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/id.h"
#include "base/json.h"
#include "base/json_tree.h"
#include "base/log.h"
#include "base/name.h"
#include "core/impl.h"
#include "nats/stream.h"
#include "sql/position.h"

#define CATALOG_WAIT_MS      1000
#define CATALOG_RETRY_NS     CLOCK_S
#define CATALOG_TIE_NS       (5 * CLOCK_S)   /* that a new database may take to meet its log */
#define CATALOG_LOOK_NS      (20 * CLOCK_MS) /* between two looks */
#define CATALOG_NAME_SIZE    128
#define CATALOG_DSN_SIZE     4096
#define CATALOG_MAX_NAME     240 /* bytes of a file name; with SQLite's suffixes it stays below 255 */
#define CATALOG_SUBJECT_SIZE (CATALOG_NAME_SIZE + NAME_TOKEN_SIZE)
#define CATALOG_MAX_DROPPED  64 /* earlier databases of one name that are remembered */

enum err_code catalog_database(struct node *n, const char *dsn, struct database **out,
                               struct err *e)
{
    char full[CATALOG_DSN_SIZE * 2];
    if (strncmp(dsn, "file:", 5) == 0)
        dsn += 5;
    size_t name = strcspn(dsn, "?");
    if (name == 0 || memchr(dsn, '/', name) || dsn[0] == '.' || strlen(dsn) >= CATALOG_DSN_SIZE)
        return err_set(e, ERR_PARAM,
                       "\"%.100s\" is not a name for a new database: a file name without a folder "
                       "is wanted",
                       dsn);
    if (name > CATALOG_MAX_NAME)
        return err_set(e, ERR_PARAM, "the name of a database has at most %d bytes",
                       CATALOG_MAX_NAME);
    const char *dir = n->opt.create_db_dir;
    snprintf(full, sizeof full, "%s%s%s", dir, *dir && !n->opt.memory ? "/" : "", dsn);
    return database_new(out, &n->opt, n->opt.memory ? dsn : full,
                        n->opt.memory ? n->memory_dir : NULL, e);
}

static void names(const struct node *n, char stream[CATALOG_NAME_SIZE],
                  char subject[CATALOG_NAME_SIZE])
{
    snprintf(stream, CATALOG_NAME_SIZE, "%s_CATALOG", n->opt.stream);
    snprintf(subject, CATALOG_NAME_SIZE, "%s_CATALOG.>", n->opt.stream);
}

static enum err_code ensure(struct node *n, struct err *e)
{
    char stream[CATALOG_NAME_SIZE], subject[CATALOG_NAME_SIZE];
    struct stream_state st;
    names(n, stream, subject);
    struct stream_config cfg = {
        .name = stream, .subject = subject, .replicas = n->opt.replicas, .max_per_subject = 1};
    return stream_ensure(n->client, &cfg, &st, e);
}

static enum err_code announce(struct node *n, const char *id, const struct buf *json, struct err *e)
{
    char stream[CATALOG_NAME_SIZE], unused[CATALOG_NAME_SIZE];
    char token[NAME_TOKEN_SIZE], subject[CATALOG_SUBJECT_SIZE];
    char msg_id[ID_SIZE];
    uint64_t seq;
    names(n, stream, unused);
    name_encode(id, token);
    id_next(msg_id);
    snprintf(subject, sizeof subject, "%s.%s", stream, token);
    enum err_code code = ensure(n, e);
    if (code != ERR_OK)
        return code;
    if (!buf_ok(json))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    struct publish p = {.stream = stream,
                        .subject = subject,
                        .id = msg_id,
                        .data = json->data,
                        .len = json->len,
                        .expect_seq = PUBLISH_ANY_SEQ};
    enum publish_result result =
        stream_publish(n->client, &p, clock_deadline(n->opt.replication_timeout_ns), &seq, e);
    return result == PUBLISH_ACKED ? ERR_OK : e->code;
}

/* ---- reading ---- */

struct entry {
    bool drop;
    char id[256];
    char dsn[CATALOG_DSN_SIZE];
    int64_t dropped[CATALOG_MAX_DROPPED];
    size_t n_dropped;
};

static void add_dropped(struct entry *entry, int64_t created)
{
    if (entry->n_dropped == CATALOG_MAX_DROPPED)
        memmove(entry->dropped, entry->dropped + 1, --entry->n_dropped * sizeof *entry->dropped);
    entry->dropped[entry->n_dropped++] = created;
}

static bool is_dropped(const struct entry *entry, int64_t created)
{
    for (size_t i = 0; i < entry->n_dropped; i++)
        if (entry->dropped[i] == created)
            return true;
    return false;
}

static void read_dropped(yajl_val tree, struct entry *out)
{
    yajl_val v = json_tree_member(tree, "dropped", yajl_t_array);
    for (size_t i = 0; i < json_tree_length(v); i++)
        if (YAJL_IS_INTEGER(v->u.array.values[i]))
            add_dropped(out, (int64_t)YAJL_GET_INTEGER(v->u.array.values[i]));
}

static bool parse(const struct stream_message *m, struct entry *out)
{
    yajl_val tree = json_tree_parse(m->data, m->len);
    if (!tree)
        return false;
    const char *op = json_tree_text(tree, "op");
    out->drop = strcmp(op, "drop") == 0;
    snprintf(out->id, sizeof out->id, "%s", json_tree_text(tree, "id"));
    snprintf(out->dsn, sizeof out->dsn, "%s", json_tree_text(tree, "dsn"));
    out->n_dropped = 0;
    read_dropped(tree, out);
    bool known = out->drop || strcmp(op, "create") == 0;
    yajl_tree_free(tree);
    return known && out->id[0] != '\0';
}

/* What the catalog says of a database so far; nothing is fine. */
static enum err_code last_word(struct node *n, const char *id, struct entry *out, struct err *e)
{
    char stream[CATALOG_NAME_SIZE], unused[CATALOG_NAME_SIZE];
    char token[NAME_TOKEN_SIZE], subject[CATALOG_SUBJECT_SIZE];
    struct stream_message m;
    bool found = false;
    names(n, stream, unused);
    name_encode(id, token);
    snprintf(subject, sizeof subject, "%s.%s", stream, token);
    enum err_code code = stream_last(n->client, stream, subject, &m, &found, e);
    if (code != ERR_OK)
        return code;
    if (!found || !parse(&m, out))
        out->n_dropped = 0;
    stream_message_free(&m);
    return ERR_OK;
}

static enum err_code announce_entry(struct node *n, const char *op, const char *id, const char *dsn,
                                    const struct entry *entry, struct err *e)
{
    struct buf json = BUF_INIT;
    buf_puts(&json, "{\"op\":");
    json_put_cstr(&json, op);
    buf_puts(&json, ",\"id\":");
    json_put_cstr(&json, id);
    if (dsn) {
        buf_puts(&json, ",\"dsn\":");
        json_put_cstr(&json, dsn);
    }
    buf_puts(&json, ",\"dropped\":[");
    for (size_t i = 0; i < entry->n_dropped; i++) {
        if (i > 0)
            buf_putc(&json, ',');
        buf_i64(&json, entry->dropped[i]);
    }
    buf_puts(&json, "]}");
    enum err_code code = announce(n, id, &json, e);
    buf_free(&json);
    return code;
}

enum err_code catalog_announce_create(struct node *n, const char *dsn, const char *id,
                                      struct err *e)
{
    struct entry entry = {.n_dropped = 0};
    enum err_code code = last_word(n, id, &entry, e);
    return code == ERR_OK ? announce_entry(n, "create", id, dsn, &entry, e) : code;
}

/* When the database's log was created. One that was created a moment ago may not have met its log
 * yet on this node, but on others: a drop that did not name it would mean nothing to them. 0 where
 * there is no log. */
static enum err_code which_log(struct node *n, struct replica *r, int64_t *created, struct err *e)
{
    int64_t deadline = clock_deadline(CATALOG_TIE_NS);
    struct stream_state st;
    bool found = false;
    enum err_code code = ERR_OK;
    while ((*created = replica_log_created(r)) == 0 && code == ERR_OK) {
        code = stream_info(n->client, replica_stream(r), &st, &found, e);
        if (code == ERR_OK && found)
            *created = st.created_ns;
        if (*created != 0 || clock_mono_ns() >= deadline)
            break;
        clock_nap(CATALOG_LOOK_NS);
    }
    return code;
}

enum err_code catalog_announce_drop(struct node *n, struct database *d, struct err *e)
{
    struct replica *r = database_replica(d);
    struct entry entry = {.n_dropped = 0};
    int64_t created = 0;
    enum err_code code = last_word(n, database_id(d), &entry, e);
    if (code == ERR_OK)
        code = which_log(n, r, &created, e);
    if (code != ERR_OK)
        return code;
    if (created != 0)
        add_dropped(&entry, created);
    code = announce_entry(n, "drop", database_id(d), NULL, &entry, e);
    if (code == ERR_OK)
        code = stream_delete(n->client, replica_stream(r), e);
    FAULT_POINT("drop.log");
    return code == ERR_OK ? snapshots_forget(n, d, e) : code;
}

/* ---- following ---- */

/* Is this the database that the drop means? One that the catalog has had created here and that has
 * not met its log yet can be no other. */
static bool is_meant(const struct entry *entry, const struct database *d)
{
    int64_t created = replica_log_created(database_replica(d));
    return created != 0 ? is_dropped(entry, created) : entry->drop && database_is_created(d);
}

/* Drops the database if it is one of those that were dropped: an open one, or, on a node that was
 * away, the file that it left where created databases are kept. */
static void discard_dropped(struct node *n, const struct entry *entry)
{
    struct database *d = NULL;
    struct err e = ERR_INIT;
    if (node_find(n, entry->id, &d, &e) == ERR_OK) {
        if (is_meant(entry, d)) {
            LOG_INFO("database dropped by the cluster", LOG_STR("db", entry->id));
            node_discard(n, d);
        }
        database_unref(d);
        return;
    }
    err_clear(&e);
    if (n->opt.memory || !*n->opt.create_db_dir || catalog_database(n, entry->id, &d, &e) != ERR_OK)
        return;
    int64_t created = 0;
    bool there = false;
    if (database_peek(d, &there, &created, &e) == ERR_OK && there && is_dropped(entry, created)) {
        LOG_INFO("file of a dropped database removed", LOG_STR("db", entry->id));
        database_remove_files(d);
    }
    database_unref(d);
}

static void obey(struct node *n, const struct entry *entry)
{
    struct database *d = NULL;
    struct err e = ERR_INIT;
    discard_dropped(n, entry);
    /* Whoever dropped it may have been killed before he came to the snapshots. Those of a log that
     * was only lost stay: the catalog names the ones that were dropped. */
    if (entry->n_dropped > 0)
        snapshots_collect(n, entry->id, entry->dropped, entry->n_dropped);
    if (entry->drop)
        return;
    if (node_find(n, entry->id, &d, &e) == ERR_OK) {
        database_unref(d);
        return;
    }
    err_clear(&e);
    enum err_code code = ERR_OK;
    if (!n->opt.memory && !*n->opt.create_db_dir)
        code = err_set(&e, ERR_DENIED, "this node has no --create-db-dir");
    if (code == ERR_OK)
        code = catalog_database(n, entry->dsn, &d, &e);
    int64_t unused = 0;
    bool there = false;
    if (code == ERR_OK)
        code = database_peek(d, &there, &unused, &e);
    if (code == ERR_OK && !there)
        database_set_created(d);
    if (code == ERR_OK)
        code = node_adopt(n, d, &e);
    if (code == ERR_OK)
        LOG_INFO("database created by the cluster", LOG_STR("db", entry->id));
    else if (code != ERR_DATABASE_EXISTS)
        LOG_WARN("database of the cluster is not kept on this node", LOG_STR("db", entry->id),
                 LOG_STR("reason", e.msg));
}

static bool stopping(struct node *n)
{
    pthread_mutex_lock(&n->mu);
    bool stop = n->stopping;
    pthread_mutex_unlock(&n->mu);
    return stop;
}

static void rest(struct node *n)
{
    int64_t until = clock_deadline(CATALOG_RETRY_NS);
    pthread_mutex_lock(&n->mu);
    while (!n->stopping && clock_cond_wait(&n->changed, &n->mu, until))
        ;
    pthread_mutex_unlock(&n->mu);
}

static void show_feed(struct node *n, struct stream_feed *feed)
{
    pthread_mutex_lock(&n->mu);
    n->catalog_feed = feed;
    pthread_mutex_unlock(&n->mu);
}

/* Reads on from *next until the feed breaks, the connection is lost or the node stops. */
static void follow(struct node *n, uint64_t *next)
{
    char stream[CATALOG_NAME_SIZE], subject[CATALOG_NAME_SIZE];
    struct stream_feed *feed = NULL;
    struct err e = ERR_INIT;
    names(n, stream, subject);
    enum err_code code = ensure(n, &e);
    if (code == ERR_OK)
        code = stream_feed_open(&feed, n->client, stream, subject, *next, &e);
    show_feed(n, feed);
    while (code == ERR_OK && !stopping(n) && node_connected(n)) {
        struct stream_message m;
        struct entry entry;
        bool got = false;
        code = stream_feed_next(feed, CATALOG_WAIT_MS, &m, &got, &e);
        if (code != ERR_OK || !got)
            continue;
        *next = m.seq + 1;
        if (parse(&m, &entry))
            obey(n, &entry);
        else
            LOG_WARN("the catalog has an entry that cannot be read", LOG_UINT("seq", m.seq));
        stream_message_free(&m);
    }
    show_feed(n, NULL);
    stream_feed_close(feed);
}

void *catalog_main(void *node)
{
    struct node *n = node;
    uint64_t next = 1;
    while (!stopping(n)) {
        if (node_connected(n))
            follow(n, &next);
        if (!stopping(n))
            rest(n);
    }
    return NULL;
}
