/*
 *                 BEGIN                         error that ends it for the node
 *   no transaction ───▶ in transaction ──────────────────────────────▶ failed
 *        ▲                  │ COMMIT, ROLLBACK, its node has gone          │ ROLLBACK
 *        └──────────────────┴──────────────────────────────────────────────┘
 */
#include "cli/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/json_tree.h"
#include "base/value_text.h"
#include "cli/answer.h"
#include "cli/call.h"
#include "cli/cli.h"
#include "sql/lex.h"

#define REMOTE_URLS       64
#define REMOTE_ANSWER_MAX ((size_t)64 * 1024 * 1024)
#define REMOTE_LET_GO_NS  (10 * CLOCK_S) /* for the node to notice that a statement is canceled */
#define REMOTE_LOOK_NS    (20 * CLOCK_MS)
#define REMOTE_NAME_SIZE  64

struct remote {
    char *list;                    /* owned; the URLs point into it */
    const char *urls[REMOTE_URLS]; /* n_urls of them */
    size_t n_urls, at;
    char *token, *cacert; /* owned, or NULL */
    const volatile sig_atomic_t *stopping;
    CURL *curl;
    char node[CALL_NODE_SIZE];
    size_t answered; /* whose URL answered last */
    bool moved;
    char *database; /* owned; NULL = the default one */
    uint64_t seq;   /* of the last write to it */
    enum remote_tx tx;
    char tx_name[REMOTE_NAME_SIZE];
    bool canceled; /* a statement of the transaction, which the node may not have noticed yet */
};

/* ---- the nodes ---- */

static enum err_code split_urls(struct remote *r, struct err *e)
{
    for (char *at = r->list, *next; at; at = next) {
        next = strchr(at, ',');
        if (next)
            *next++ = '\0';
        at += strspn(at, " ");
        at[strcspn(at, " ")] = '\0';
        if (r->n_urls == REMOTE_URLS)
            return err_set(e, ERR_CONFIG, "at most %d URLs", REMOTE_URLS);
        if (call_check_url(at, e) != ERR_OK)
            return e->code;
        r->urls[r->n_urls++] = at;
    }
    return ERR_OK;
}

enum err_code remote_open(struct remote **out, const char *urls, const char *token,
                          const char *cacert, const volatile sig_atomic_t *stopping, struct err *e)
{
    struct remote *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r || !(r->list = strdup(urls)) || (token && !(r->token = strdup(token))) ||
        (cacert && !(r->cacert = strdup(cacert)))) {
        remote_free(r);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    r->stopping = stopping;
    enum err_code code = split_urls(r, e);
    if (code == ERR_OK)
        code = libcurl_load(e);
    if (code == ERR_OK && !(r->curl = libcurl.easy_init()))
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    if (code != ERR_OK) {
        remote_free(r);
        return code;
    }
    *out = r;
    return ERR_OK;
}

const char *remote_url(const struct remote *r)
{
    return r->urls[r->at];
}

const char *remote_node(const struct remote *r)
{
    return r->node;
}

const char *remote_database(const struct remote *r)
{
    return r->database;
}

bool remote_has_moved(struct remote *r)
{
    bool moved = r->moved;
    r->moved = false;
    return moved;
}

enum remote_tx remote_transaction(const struct remote *r)
{
    return r->tx;
}

static bool is_stopping(const struct remote *r)
{
    return r->stopping && *r->stopping;
}

static enum err_code ask_node(struct remote *r, struct call *c, struct err *e)
{
    c->base = r->urls[r->at];
    c->token = r->token;
    c->cacert = r->cacert;
    c->stopping = r->stopping;
    err_clear(e);
    enum err_code code = call_run(c, r->curl, e);
    if (c->status == 0)
        return code;
    r->moved = r->moved || (r->node[0] && r->answered != r->at);
    r->answered = r->at;
    memcpy(r->node, c->node, sizeof r->node);
    return code;
}

/* Has the node certainly done nothing, and may another one? */
static bool is_for_next(const struct remote *r, const struct call *c, enum err_code code)
{
    if (r->tx != REMOTE_NO_TX || is_stopping(r))
        return false;
    return (code == ERR_IO && !c->sent) || (code == ERR_SHUTDOWN && c->status != 0);
}

/* Of a node that can be reached. */
static enum err_code ask(struct remote *r, struct call *c, struct err *e)
{
    int64_t patience = clock_deadline(REMOTE_LET_GO_NS);
    enum err_code code = ask_node(r, c, e);
    for (size_t i = 1; i < r->n_urls && is_for_next(r, c, code); i++) {
        r->at = (r->at + 1) % r->n_urls;
        code = ask_node(r, c, e);
    }
    while (code == ERR_BUSY && r->canceled && !is_stopping(r) && clock_mono_ns() < patience) {
        clock_nap(REMOTE_LOOK_NS);
        code = ask_node(r, c, e);
    }
    r->canceled = r->canceled && code == ERR_BUSY;
    return code;
}

static bool collect(void *arg, const void *bytes, size_t len)
{
    buf_put(arg, bytes, len);
    return buf_ok(arg);
}

static enum err_code ask_tree(struct remote *r, struct call *c, yajl_val *tree, struct err *e)
{
    struct buf body;
    buf_init(&body, REMOTE_ANSWER_MAX);
    c->write = collect;
    c->arg = &body;
    enum err_code code = ask(r, c, e);
    *tree = code == ERR_OK ? json_tree_parse(body.data, body.len) : NULL;
    if (code == ERR_OK && !*tree)
        code = err_set(e, ERR_PROTOCOL, "the node's answer cannot be understood");
    buf_free(&body);
    return code;
}

enum err_code remote_get(struct remote *r, const char *path, yajl_val *tree, struct err *e)
{
    struct call c = {.method = "GET", .path = path};
    return ask_tree(r, &c, tree, e);
}

/* ---- transactions ---- */

static enum err_code begin(struct remote *r, const char *mode, struct err *e)
{
    struct buf body = BUF_INIT;
    yajl_val tree = NULL;
    buf_printf(&body, "{\"mode\":\"%s\"", mode);
    if (r->database) {
        buf_puts(&body, ",\"database\":");
        json_put_cstr(&body, r->database);
    }
    buf_putc(&body, '}');
    struct call c = {
        .method = "POST", .path = "/transactions", .body = buf_cstr(&body), .body_len = body.len};
    enum err_code code = ask_tree(r, &c, &tree, e);
    if (code == ERR_OK) {
        (void)snprintf(r->tx_name, sizeof r->tx_name, "%s", json_tree_text(tree, "transaction"));
        r->tx = REMOTE_IN_TX;
    }
    yajl_tree_free(tree);
    buf_free(&body);
    return code;
}

/* ---- statements ---- */

static void put_request(struct buf *b, const char *sql, size_t len, const struct value *params,
                        unsigned n)
{
    buf_puts(b, "{\"sql\":");
    json_put_string(b, sql, len);
    for (unsigned i = 0; i < n; i++) {
        buf_puts(b, i == 0 ? ",\"params\":[" : ",");
        value_put_json(b, &params[i]);
    }
    buf_puts(b, n > 0 ? "]}" : "}");
}

/* So that it may be run again whatever became of it. WITH may stand before both. */
static bool only_reads(enum lex_kind kind, const char *sql, size_t len)
{
    static const char *const writes[] = {"INSERT", "UPDATE", "DELETE", "REPLACE"};
    const char *end = sql + len;
    struct lex_token t;
    if (kind != LEX_OTHER)
        return kind == LEX_READ || kind == LEX_EMPTY || kind == LEX_ROLLBACK || kind == LEX_HISTORY;
    if (!lex_next(&sql, end, &t) || !lex_is(&t, "WITH"))
        return false;
    while (lex_next(&sql, end, &t))
        for (size_t i = 0; i < sizeof writes / sizeof *writes; i++)
            if (lex_is(&t, writes[i]))
                return false;
    return true;
}

/* The answer did not come, or not to its end. */
static enum err_code lost(const struct remote *r, const struct call *c, bool reads, struct err *e)
{
    bool canceled = e->code == ERR_INTERRUPTED && c->status == 0;
    if (!c->sent || reads || (!canceled && e->code != ERR_IO))
        return e->code;
    if (canceled)
        return err_set(e, ERR_INTERRUPTED,
                       "canceled; it may have taken effect all the same: look before you run it "
                       "again");
    return err_set(e, ERR_UNKNOWN_OUTCOME,
                   "the connection to %.200s was lost before the answer came: whether the "
                   "statement took effect is not known, look before you run it again",
                   r->urls[r->at]);
}

static enum err_code run(struct remote *r, struct call *c, bool reads, struct sink *sink,
                         struct err *e)
{
    struct answer a;
    answer_init(&a, sink);
    c->write = answer_take;
    c->arg = &a;
    enum err_code code = ask(r, c, e);
    if (code == ERR_OK || a.err.code != ERR_OK) /* what the answer itself says comes first */
        code = answer_end(&a, e);
    else
        code = lost(r, c, reads, e);
    if (c->seq > r->seq)
        r->seq = c->seq;
    answer_free(&a);
    return code;
}

/* What an error means for the transaction in which it happened. */
static void judge(struct remote *r, enum lex_kind kind, const struct call *c, bool reads,
                  struct err *e)
{
    enum err_code code = e->code;
    if (code == ERR_NOT_FOUND || (code == ERR_IO && !c->sent)) {
        r->tx = REMOTE_NO_TX; /* the node does not know it any more, or is gone with it */
        err_wrap(e, "the transaction is lost");
    } else if (kind == LEX_COMMIT && code != ERR_FOREIGN_KEY && code != ERR_BUSY) {
        r->tx = REMOTE_NO_TX;
    } else if (code == ERR_CONFLICT || code == ERR_TX_ABORTED || code == ERR_TX_IDLE ||
               code == ERR_LOG_UNAVAILABLE || code == ERR_NO_LEADER || code == ERR_STOPPED) {
        r->tx = REMOTE_TX_FAILED;
    } else if (code == ERR_INTERRUPTED) {
        r->canceled = true;
        if (!reads) { /* as SQLite has it */
            r->tx = REMOTE_TX_FAILED;
            err_set(e, code, "canceled; a canceled write takes its transaction with it");
        }
    }
}

static enum err_code query(struct remote *r, const char *sql, size_t len,
                           const struct value *params, unsigned n_params, enum lex_kind kind,
                           struct sink *sink, struct err *e)
{
    struct buf body = BUF_INIT, path = BUF_INIT;
    put_request(&body, sql, len, params, n_params);
    if (r->database)
        cli_http_database(&path, r->database, "?details");
    else
        buf_puts(&path, "/query?details");
    struct call c = {.method = "POST",
                     .path = buf_cstr(&path),
                     .accept = "application/x-ndjson",
                     .transaction = r->tx != REMOTE_NO_TX ? r->tx_name : NULL,
                     .min_seq = r->seq,
                     .body = body.data,
                     .body_len = body.len};
    bool reads = only_reads(kind, sql, len);
    enum err_code code = buf_ok(&body) && buf_ok(&path)
                             ? run(r, &c, reads, sink, e)
                             : err_set(e, ERR_NO_MEMORY, "out of memory");
    if (r->tx != REMOTE_NO_TX) {
        if (code != ERR_OK)
            judge(r, kind, &c, reads, e);
        else if (kind == LEX_COMMIT || kind == LEX_ROLLBACK)
            r->tx = REMOTE_NO_TX;
    }
    buf_free(&body);
    buf_free(&path);
    return code;
}

enum err_code remote_sql(struct remote *r, const char *sql, size_t len, const struct value *params,
                         unsigned n_params, struct sink *sink, struct err *e)
{
    struct lex lex = lex_statement(sql, len);
    if (!json_is_text(sql, len))
        return err_set(e, ERR_PROTOCOL, "the statement is not UTF-8 text");
    if ((lex.kind != LEX_BEGIN && lex.kind != LEX_BEGIN_WRITE) || r->tx != REMOTE_NO_TX)
        return query(r, sql, len, params, n_params, lex.kind, sink, e);
    enum err_code code = begin(r, lex.kind == LEX_BEGIN ? "deferred" : "immediate", e);
    if (code == ERR_OK)
        sink->ops->done(sink, &(struct sink_done){0});
    return code;
}

/* ---- databases ---- */

enum err_code remote_use(struct remote *r, const char *id, struct err *e)
{
    yajl_val tree = NULL;
    char *copy = NULL;
    bool there = !id;
    if (r->tx != REMOTE_NO_TX)
        return err_set(e, ERR_TX_ACTIVE, "the database cannot be changed inside a transaction");
    if (id && !(copy = strdup(id)))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    enum err_code code = id ? remote_get(r, "/databases", &tree, e) : ERR_OK;
    yajl_val ids = json_tree_member(tree, "databases", yajl_t_array);
    for (size_t i = 0; i < json_tree_length(ids) && !there; i++)
        there = YAJL_IS_STRING(ids->u.array.values[i]) &&
                strcmp(ids->u.array.values[i]->u.string, id) == 0;
    if (code == ERR_OK && !there)
        code = err_set(e, ERR_NO_DATABASE, "there is no database \"%s\" on this node", id);
    yajl_tree_free(tree);
    if (code != ERR_OK) {
        free(copy);
        return code;
    }
    free(r->database);
    r->database = copy;
    r->seq = 0;
    return ERR_OK;
}

enum err_code remote_create_database(struct remote *r, const char *dsn, struct err *e)
{
    struct buf body = BUF_INIT;
    buf_puts(&body, "{\"dsn\":");
    json_put_cstr(&body, dsn);
    buf_putc(&body, '}');
    struct call c = {
        .method = "POST", .path = "/databases", .body = buf_cstr(&body), .body_len = body.len};
    enum err_code code = ask(r, &c, e);
    if (code != ERR_OK)
        code = lost(r, &c, false, e);
    buf_free(&body);
    return code;
}

enum err_code remote_drop_database(struct remote *r, const char *id, struct err *e)
{
    struct buf path = BUF_INIT;
    cli_http_database(&path, id, "");
    struct call c = {.method = "DELETE", .path = buf_cstr(&path)};
    enum err_code code = ask(r, &c, e);
    if (code != ERR_OK)
        code = lost(r, &c, false, e);
    buf_free(&path);
    if (code == ERR_OK && r->database && strcmp(r->database, id) == 0) {
        free(r->database);
        r->database = NULL;
        r->seq = 0;
    }
    return code;
}

void remote_free(struct remote *r)
{
    static const char rollback[] = "ROLLBACK";
    struct err ignored = ERR_INIT;
    if (!r)
        return;
    r->stopping = NULL;
    if (r->tx != REMOTE_NO_TX && !r->canceled)
        (void)remote_sql(r, rollback, sizeof rollback - 1, NULL, 0, &sink_nowhere, &ignored);
    if (r->curl)
        libcurl.easy_cleanup(r->curl);
    free(r->database);
    free(r->token);
    free(r->cacert);
    free(r->list);
    free(r);
}
