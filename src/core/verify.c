/*
 * Do all nodes hold the same? One node asks, all answer, itself included:
 *
 *     position   who is there, and how far
 *     content    "<seq> <wait, ms> <database id>": the digests of the first state at or behind seq,
 *                as {"node", "interceptor", "seq", "outbox", "tables": [{"name", "rows", "hash"}]}
 *
 * The seq lies a little ahead of where everyone is when writes go on, so that it is ahead of every
 * node when the question arrives there; how far is measured, and doubled where it was not enough.
 * Only answers of the same seq are compared. What each node does for that is in repl/freeze.h.
 *
 * A node that does not answer cannot be told from one that is not there. So somebody has to say who
 * should: the caller, by number or by names, or else the roster, which knows every node that ever
 * held the database and was not removed from it.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/json_tree.h"
#include "core/impl.h"
#include "repl/freeze.h"
#include "repl/peer.h"

#define VERIFY_ASK_NS       CLOCK_S
#define VERIFY_TRIES        5
#define VERIFY_AHEAD_MS     300u /* of writing, at the first try */
#define VERIFY_WAIT_MS      2000 /* for a seq that nobody may ever write */
#define VERIFY_NODES        32
#define VERIFY_EXPECTED     256 /* names */
#define VERIFY_ROSTER_TRIES 3

/* ---- answering ------------------------------------------------------------------------------ */

static void put_table(void *arg, const struct content_table *t)
{
    struct buf *json = arg;
    char hash[SHA256_TEXT_SIZE];
    sha256_text(t->digest, hash);
    if (json->len > 0 && json->data[json->len - 1] == '}')
        buf_putc(json, ',');
    buf_puts(json, "{\"name\":");
    json_put_cstr(json, t->name);
    buf_printf(json, ",\"rows\":%" PRIu64 ",\"hash\":\"%s\"}", t->rows, hash);
}

static enum err_code describe(struct node *n, struct database *d, uint64_t seq, int64_t wait_ns,
                              const atomic_bool *cancel, struct buf *json, struct err *e)
{
    struct freeze f;
    enum err_code code = freeze_at(database_replica(d), seq, wait_ns, &f, e);
    if (code != ERR_OK)
        return code;
    buf_puts(json, "{\"node\":");
    json_put_cstr(json, n->opt.name);
    buf_puts(json, ",\"interceptor\":");
    json_put_cstr(json, scripts_own(n));
    buf_printf(json, ",\"seq\":%" PRIu64 ",\"outbox\":%" PRIu64 ",\"tables\":[", f.seq, f.outbox);
    code = content_digest(f.view, cancel, put_table, json, e);
    buf_puts(json, "]}");
    content_close(f.view);
    return code;
}

enum err_code verify_answer(struct node *n, struct rpc_call *call, struct err *e)
{
    struct database *d = NULL;
    size_t len;
    char *end = NULL;
    const char *body = rpc_call_body(call, &len);
    uint64_t seq = strtoull(body, &end, 10);
    int64_t wait_ms = *end == ' ' ? strtoll(end + 1, &end, 10) : -1;
    if (*end != ' ' || wait_ms < 0 || wait_ms > 60000)
        return err_set(e, ERR_PROTOCOL, "a question that cannot be understood");
    enum err_code code = node_find(n, end + 1, &d, e);
    if (code == ERR_OK && !database_replica(d))
        code = err_set(e, ERR_STOPPED, "the database is not open yet");
    if (code == ERR_OK)
        code = describe(n, d, seq, wait_ms * CLOCK_MS, rpc_call_cancel(call), rpc_call_answer(call),
                        e);
    database_unref(d);
    return code;
}

/* ---- asking --------------------------------------------------------------------------------- */

struct party {
    /* by the survey */
    char id[ID_SIZE];
    struct peer_position is;
    /* by its thread */
    struct inquiry *inquiry;
    pthread_t thread;
    bool running;
    struct buf answer;
    enum err_code code;
    struct err err;
    /* parsed */
    yajl_val tree;
    uint64_t at, outbox;
};

/* A node that should answer, and what the roster knows of it. */
struct expected {
    char name[PEER_NAME_SIZE];
    uint64_t seq;
    int64_t time_ns; /* 0 = it is not on the roster */
};

struct inquiry {
    struct node *n;
    const char *id;           /* of the database */
    bool by_number, by_names; /* neither: those on the roster are expected */
    size_t number;
    size_t n_expected;
    struct expected *expected; /* VERIFY_EXPECTED of them */
    char prefix[PEER_PREFIX_SIZE];
    char body[512];
    size_t n_parties;
    struct party party[VERIFY_NODES];
    struct buf problems; /* JSON strings, separated by commas */
};

static void problem(struct inquiry *q, const char *text)
{
    if (q->problems.len > 0)
        buf_putc(&q->problems, ',');
    json_put_cstr(&q->problems, text);
}

static bool take_party(void *arg, const struct rpc_answer *a)
{
    struct inquiry *q = arg;
    if (a->err.code == ERR_NO_DATABASE) /* not every node has every database */
        return true;
    if (a->err.code != ERR_OK) {
        problem(q, a->err.msg);
        return true;
    }
    if (q->n_parties == VERIFY_NODES) {
        problem(q, "more nodes answer than can be compared");
        return false;
    }
    struct party *p = &q->party[q->n_parties];
    *p = (struct party){.inquiry = q, .err = ERR_INIT};
    if (!peer_read_position(a, &p->is))
        return true;
    memcpy(p->id, a->node, sizeof p->id);
    q->n_parties++;
    return true;
}

static bool ignore_bytes(void *arg, const void *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    (void)len;
    return true;
}

static void *ask_party(void *arg)
{
    struct party *p = arg;
    struct inquiry *q = p->inquiry;
    const struct rpc_reader reader = {.write = ignore_bytes, .cancel = &q->n->leave};
    const struct rpc_question ask = {.prefix = q->prefix,
                                     .method = VERIFY_CONTENT,
                                     .target = p->id,
                                     .body = q->body,
                                     .len = strlen(q->body)};
    p->code = rpc_fetch(q->n->client, &ask, &reader, &p->answer, &p->err);
    return NULL;
}

static uint64_t number_of(yajl_val v, const char *name)
{
    return (uint64_t)json_tree_integer(v, name, 0);
}

static void parse(struct party *p)
{
    if (p->code != ERR_OK)
        return;
    p->tree = yajl_tree_parse(buf_cstr(&p->answer), NULL, 0);
    if (!p->tree || !json_tree_member(p->tree, "tables", yajl_t_array)) {
        p->code = err_set(&p->err, ERR_PROTOCOL, "its answer cannot be understood");
        return;
    }
    p->at = number_of(p->tree, "seq");
    p->outbox = number_of(p->tree, "outbox");
}

static void forget_answers(struct inquiry *q)
{
    for (size_t i = 0; i < q->n_parties; i++) {
        yajl_tree_free(q->party[i].tree);
        buf_free(&q->party[i].answer);
        q->party[i].tree = NULL;
        err_clear(&q->party[i].err);
    }
}

/* Everyone at once. True if all answers are of one seq. */
static bool ask_all(struct inquiry *q, uint64_t seq)
{
    bool same = true;
    snprintf(q->body, sizeof q->body, "%" PRIu64 " %d %s", seq, VERIFY_WAIT_MS, q->id);
    for (size_t i = 0; i < q->n_parties; i++) {
        struct party *p = &q->party[i];
        if (p->is.stopped[0]) {
            p->code =
                err_set(&p->err, ERR_STOPPED, "it does not follow the log: %s", p->is.stopped);
            continue;
        }
        p->running = pthread_create(&p->thread, NULL, ask_party, p) == 0;
        if (!p->running)
            p->code = err_set(&p->err, ERR_NO_MEMORY, "cannot start a thread");
    }
    const struct party *first = NULL;
    for (size_t i = 0; i < q->n_parties; i++) {
        struct party *p = &q->party[i];
        if (p->running)
            pthread_join(p->thread, NULL);
        parse(p);
        if (p->code != ERR_OK)
            continue;
        first = first ? first : p;
        same = same && p->at == first->at && p->outbox == 0;
    }
    return same;
}

static enum err_code survey(struct inquiry *q, struct err *e)
{
    const struct rpc_question ask = {
        .prefix = q->prefix, .method = PEER_POSITION, .body = q->id, .len = strlen(q->id)};
    q->n_parties = 0;
    buf_reset(&q->problems);
    return rpc_ask(q->n->client, &ask, clock_deadline(VERIFY_ASK_NS), take_party, q, e);
}

/* ---- who should answer ---------------------------------------------------------------------- */

static struct expected *find_expected(struct inquiry *q, const char *name)
{
    for (size_t i = 0; i < q->n_expected; i++)
        if (strcmp(q->expected[i].name, name) == 0)
            return &q->expected[i];
    return NULL;
}

static struct expected *add_expected(struct inquiry *q, const char *name, size_t len)
{
    if (q->n_expected == VERIFY_EXPECTED)
        return NULL;
    struct expected *x = &q->expected[q->n_expected++];
    *x = (struct expected){0};
    snprintf(x->name, sizeof x->name, "%.*s", (int)len, name);
    return x;
}

static void take_line(void *arg, const struct roster_line *line)
{
    struct inquiry *q = arg;
    struct expected *x = find_expected(q, line->name);
    if (!x && !q->by_names)
        x = add_expected(q, line->name, strlen(line->name));
    if (x) {
        x->seq = line->seq;
        x->time_ns = line->time_ns;
    }
}

/* "3", "node1,node2", or NULL. */
static enum err_code read_expectation(struct inquiry *q, const char *text, struct err *e)
{
    char *end = NULL;
    if (!text)
        return ERR_OK;
    q->by_number = *text && text[strspn(text, "0123456789")] == '\0';
    q->by_names = !q->by_number;
    if (q->by_number) {
        q->number = strtoull(text, &end, 10);
        return ERR_OK;
    }
    for (const char *from = text;; from += strcspn(from, ",") + 1) {
        size_t len = strcspn(from, ",");
        if (len == 0 || len >= PEER_NAME_SIZE || !add_expected(q, from, len))
            return err_set(e, ERR_PARAM,
                           "\"%.100s\" is neither a number of nodes nor their names with commas "
                           "between them",
                           text);
        if (from[len] == '\0')
            return ERR_OK;
    }
}

static enum err_code expect(struct inquiry *q, const char *text, struct err *e)
{
    q->expected = calloc(VERIFY_EXPECTED, sizeof *q->expected);
    if (!q->expected)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    if (read_expectation(q, text, e) != ERR_OK || !q->n->client)
        return e->code;
    /* Where the caller has said who is expected, the roster only adds when they were seen. A stream
     * that was created a moment ago, or has no leader just now, answers soon. */
    unsigned tries = VERIFY_ROSTER_TRIES;
    while (roster_each(q->n, q->id, take_line, q, e) != ERR_OK) {
        if (!text && (--tries == 0 || atomic_load(&q->n->leave)))
            return err_wrap(e, "which nodes there are is not known");
        err_clear(e);
        if (text)
            break;
    }
    return ERR_OK;
}

static bool has_answered(const struct inquiry *q, const struct expected *x)
{
    for (size_t i = 0; i < q->n_parties; i++)
        if (strcmp(q->party[i].is.name, x->name) == 0)
            return true;
    return false;
}

static void put_silent(const struct expected *x, struct buf *out)
{
    char when[CLOCK_TEXT_SIZE];
    buf_puts(out, out->len > 0 ? ",{\"name\":" : "{\"name\":");
    json_put_cstr(out, x->name);
    if (x->time_ns != 0) {
        clock_format(x->time_ns, when);
        buf_printf(out, ",\"seq\":%" PRIu64 ",\"last_seen\":\"%s\"}", x->seq, when);
    } else {
        buf_puts(out, ",\"seq\":null,\"last_seen\":null}");
    }
}

/* `compared`: how many nodes have been. */
static void put_attendance(const struct inquiry *q, size_t compared, struct buf *json)
{
    struct buf silent = BUF_INIT;
    for (size_t i = 0; i < q->n_expected; i++)
        if (!has_answered(q, &q->expected[i]))
            put_silent(&q->expected[i], &silent);
    bool complete = q->by_number ? compared >= q->number : silent.len == 0;
    buf_printf(json, ",\"expected\":%zu,\"complete\":%s,\"silent\":[",
               q->by_number ? q->number : q->n_expected, complete ? "true" : "false");
    buf_put(json, silent.data, silent.len);
    buf_putc(json, ']');
    buf_free(&silent);
}

/* ---- comparing ------------------------------------------------------------------------------ */

static yajl_val table_of(const struct party *p, const char *name)
{
    yajl_val tables = json_tree_member(p->tree, "tables", yajl_t_array);
    for (size_t i = 0; i < tables->u.array.len; i++) {
        yajl_val t = tables->u.array.values[i];
        if (strcmp(json_tree_text(t, "name"), name) == 0)
            return t;
    }
    return NULL;
}

static const char *hash_of(yajl_val table)
{
    return json_tree_text(table, "hash");
}

/* What most nodes have of a table; of two opinions that are equally frequent the first. */
static const struct party *most(const struct inquiry *q, const char *name)
{
    const struct party *best = NULL;
    size_t best_count = 0;
    for (size_t i = 0; i < q->n_parties; i++) {
        size_t count = 0;
        if (q->party[i].code != ERR_OK)
            continue;
        for (size_t k = 0; k < q->n_parties; k++)
            if (q->party[k].code == ERR_OK && strcmp(hash_of(table_of(&q->party[i], name)),
                                                     hash_of(table_of(&q->party[k], name))) == 0)
                count++;
        if (count > best_count) {
            best_count = count;
            best = &q->party[i];
        }
    }
    return best;
}

static void put_difference(const struct party *p, const struct party *ref, const char *name,
                           struct buf *out)
{
    yajl_val mine = table_of(p, name), theirs = table_of(ref, name);
    buf_puts(out, out->len > 0 ? ",{\"node\":" : "{\"node\":");
    json_put_cstr(out, p->is.name);
    buf_puts(out, ",\"table\":");
    json_put_cstr(out, name);
    buf_printf(out, ",\"rows\":%" PRIu64 ",\"hash\":\"%s\",\"unlike\":",
               mine ? number_of(mine, "rows") : 0, hash_of(mine));
    json_put_cstr(out, ref->is.name);
    buf_printf(out, ",\"its_rows\":%" PRIu64 ",\"its_hash\":\"%s\"}",
               theirs ? number_of(theirs, "rows") : 0, hash_of(theirs));
}

/* One table: every node that does not have what most have. */
static void compare(const struct inquiry *q, const char *name, struct buf *tables,
                    struct buf *differences)
{
    const struct party *ref = most(q, name);
    yajl_val t = ref ? table_of(ref, name) : NULL;
    for (size_t i = 0; ref && i < q->n_parties; i++)
        if (q->party[i].code == ERR_OK &&
            strcmp(hash_of(table_of(&q->party[i], name)), hash_of(t)) != 0)
            put_difference(&q->party[i], ref, name, differences);
    if (!t)
        return;
    buf_puts(tables, tables->len > 0 ? ",{\"name\":" : "{\"name\":");
    json_put_cstr(tables, name);
    buf_printf(tables, ",\"rows\":%" PRIu64 ",\"hash\":\"%s\"}", number_of(t, "rows"), hash_of(t));
}

/* Has an earlier node named this table already? */
static bool seen_before(const struct inquiry *q, size_t i, const char *name)
{
    for (size_t k = 0; k < i; k++)
        if (q->party[k].code == ERR_OK && table_of(&q->party[k], name))
            return true;
    return false;
}

/* Whether they differ already or not: nodes with different scripts will. */
static void compare_scripts(struct inquiry *q, const struct party *p)
{
    const char *its = json_tree_text(p->tree, "interceptor");
    char text[PEER_NAME_SIZE + 64];
    if (strcmp(*its ? its : SCRIPTS_NONE, scripts_own(q->n)) == 0)
        return;
    snprintf(text, sizeof text, "node \"%s\": it has another interceptor than node \"%s\"",
             p->is.name, q->n->opt.name);
    problem(q, text);
}

static void put_report(struct inquiry *q, struct buf *json)
{
    struct buf tables = BUF_INIT, differences = BUF_INIT, nodes = BUF_INIT;
    uint64_t seq = 0;
    size_t compared = 0;
    for (size_t i = 0; i < q->n_parties; i++) {
        struct party *p = &q->party[i];
        if (p->code != ERR_OK) {
            char text[ERR_MSG_SIZE + PEER_NAME_SIZE + 16];
            snprintf(text, sizeof text, "node \"%s\": %s", p->is.name, p->err.msg);
            problem(q, text);
            continue;
        }
        seq = p->at;
        compared++;
        compare_scripts(q, p);
        if (nodes.len > 0)
            buf_putc(&nodes, ',');
        json_put_cstr(&nodes, p->is.name);
        yajl_val list = json_tree_member(p->tree, "tables", yajl_t_array);
        for (size_t k = 0; k < list->u.array.len; k++) {
            const char *name = json_tree_text(list->u.array.values[k], "name");
            if (!seen_before(q, i, name))
                compare(q, name, &tables, &differences);
        }
    }
    buf_puts(json, "{\"database\":");
    json_put_cstr(json, q->id);
    buf_printf(json, ",\"seq\":%" PRIu64 ",\"equal\":%s,\"nodes\":[", seq,
               differences.len == 0 && q->problems.len == 0 ? "true" : "false");
    buf_put(json, nodes.data, nodes.len);
    buf_putc(json, ']');
    put_attendance(q, compared, json);
    buf_puts(json, ",\"tables\":[");
    buf_put(json, tables.data, tables.len);
    buf_puts(json, "],\"differences\":[");
    buf_put(json, differences.data, differences.len);
    buf_puts(json, "],\"problems\":[");
    buf_put(json, q->problems.data, q->problems.len);
    buf_puts(json, "]}\n");
    buf_free(&tables);
    buf_free(&differences);
    buf_free(&nodes);
}

static enum err_code verify(struct inquiry *q, struct database *d, struct buf *json, struct err *e)
{
    for (unsigned try = 0; try < VERIFY_TRIES; try++) {
        int64_t begin_ns = clock_mono_ns();
        uint64_t begin = replica_position(database_replica(d));
        enum err_code code = survey(q, e);
        if (code != ERR_OK)
            return code;
        if (q->n_parties == 0)
            return err_set(e, ERR_LOG_UNAVAILABLE, "no node answers for database \"%s\"", q->id);
        uint64_t now = replica_position(database_replica(d));
        uint64_t ms = (uint64_t)((clock_mono_ns() - begin_ns) / CLOCK_MS) + 1;
        uint64_t ahead = (now - begin) * (VERIFY_AHEAD_MS << try) / ms;
        for (size_t i = 0; i < q->n_parties; i++)
            if (q->party[i].is.seq > now)
                now = q->party[i].is.seq;
        bool same = ask_all(q, now + ahead);
        if (same)
            put_report(q, json);
        forget_answers(q);
        if (same || atomic_load(&q->n->leave))
            return ERR_OK;
    }
    return err_set(e, ERR_BUSY,
                   "the nodes did not stand at the same place of the log in %d attempts, or have "
                   "writes that are not in the log yet; try again when less is written",
                   VERIFY_TRIES);
}

/* Without NATS there is nobody to compare with: what this node holds. */
static enum err_code verify_alone(struct node *n, struct database *d, struct inquiry *q,
                                  struct buf *json, struct err *e)
{
    struct party *p = &q->party[0];
    *p = (struct party){.err = ERR_INIT};
    q->n_parties = 1;
    snprintf(p->is.name, sizeof p->is.name, "%s", n->opt.name);
    enum err_code code = describe(n, d, 0, 0, &n->leave, &p->answer, e);
    if (code == ERR_OK) {
        parse(p);
        put_report(q, json);
    }
    forget_answers(q);
    return code;
}

enum err_code node_verify(struct node *n, const char *id, const char *expected, struct buf *json,
                          struct err *e)
{
    struct database *d = NULL;
    struct inquiry *q = NULL;
    enum err_code code = node_enter(n, e);
    if (code != ERR_OK)
        return code;
    code = node_find(n, id, &d, e);
    if (code == ERR_OK && !(q = calloc(1, sizeof *q)))
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    if (q) {
        q->n = n;
        q->id = database_id(d);
        peer_prefix(n->opt.stream, q->prefix);
        code = expect(q, expected, e);
        if (code == ERR_OK)
            code = n->client ? verify(q, d, json, e) : verify_alone(n, d, q, json, e);
        buf_free(&q->problems);
        free(q->expected);
    }
    free(q);
    database_unref(d);
    node_leave(n);
    return code;
}
