/*
 * Inside the HTTP server: the server, a connection with the exchange (one request and its answer)
 * that is on it, and what the files of this folder call of each other.
 *
 *     server.c    listening, accepting, threads, stopping
 *     first.c     what a connection begins with: TLS, HTTP/1, HTTP/2
 *     conn.c      a connection's bytes in and out
 *     access.c    an exchange from its first header to its last byte: body, token, route, clean-up
 *     routes.c    the table of paths
 *     args.c      query string and headers as values
 *     reply.c     answers and errors
 *     query.c     SQL in, results out, streamed or whole      rows.c: results as JSON, NDJSON, CSV
 *     tx.c        transactions that span requests
 *     download.c  a database as a file
 *     history.c   the log's transactions, undo
 *     admin.c     databases, replications, health, metrics
 *
 * A connection's exchange is used by that connection's thread only, except where a field says so.
 */
#ifndef HA_WIRE_HTTP_EXCHANGE_H
#define HA_WIRE_HTTP_EXCHANGE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/token.h"
#include "core/node.h"
#include "core/session.h"
#include "os/acceptor.h"
#include "os/spin.h"
#include "proto/httpchunk.h"
#include "proto/httphead.h"
#include "proto/httpreq.h"
#include "wire/channel.h"
#include "wire/http/http.h"
#include "wire/http/rows.h"

#define HTTP_DRAIN_BYTES      ((size_t)1 << 20) /* of an unwanted body, read for keep-alive's sake */
#define HTTP_SMALL_BODY_BYTES ((size_t)64 << 10) /* bodies that are not SQL */
#define HTTP_KEEP_BYTES       ((size_t)64 << 10) /* of answer buffer an idle connection keeps */
#define HTTP_MAX_TRANSACTIONS 256u               /* open over HTTP at a time */
#define HTTP_TOKEN_SIZE       33u                /* of a transaction's name: hex digits and NUL */
#define HTTP_DATE_SIZE        30u                /* "Sun, 06 Nov 1994 08:49:37 GMT" and NUL */

struct exchange;
struct http_tx;

/* ---- routes.c ---- */

enum http_method {
    HTTP_GET = 1,
    HTTP_POST = 2,
    HTTP_DELETE = 4,
    HTTP_OPTIONS = 8,
    HTTP_OTHER = 16
};

enum http_body { HTTP_BODY_NONE, HTTP_BODY_SQL, HTTP_BODY_SMALL };

struct http_route {
    enum http_method method;
    const char *pattern; /* "/databases/{id}" */
    bool (*handle)(struct exchange *x);
    const char *operation; /* operationId in openapi.yaml */
    enum http_body body;
    bool open; /* no token needed */
};

/* Ends with a route without a pattern. */
extern const struct http_route http_routes[];

/* Captured parts of the path, still percent-encoded, borrowed from it. */
struct http_captures {
    const char *id, *name;
    size_t id_len, name_len;
};

/* NULL where no route has this path and method; *allowed has the methods that the path knows. */
const struct http_route *http_route_find(enum http_method m, const char *path,
                                         struct http_captures *c, unsigned *allowed);
enum http_method http_method_parse(const char *name); /* HEAD counts as GET */
void http_allow_put(struct buf *b, unsigned allowed); /* "GET, HEAD, POST, OPTIONS" */

/* ---- the server and its connections ---- */

struct http_server {
    /* immutable after http_start() */
    struct node *node;
    struct buf common; /* header fields that every answer has */
    struct token token;
    size_t max_body_bytes;
    unsigned max_connections;
    unsigned idle_timeout_s;
    SSL_CTX *tls;                                   /* NULL = none */
    void (*h2)(void *arg, struct channel *channel); /* NULL = nobody speaks HTTP/2 */
    void *h2_arg;
    struct acceptor acceptor;
    struct lingerers *lingerers; /* the accept thread's, server.c */

    atomic_bool stopping; /* no new exchanges; set before `connections` is waited for */

    pthread_mutex_t mu;
    pthread_cond_t changed; /* `connections` fell */
    struct exchange *first; /* guarded by mu: all connections */
    unsigned connections;   /* guarded by mu: accepted and not yet closed */
    struct http_tx *txs;    /* guarded by mu: a list */
    unsigned n_txs;         /* guarded by mu */
};

struct download;

/* What has come and was not yet read; the head of the request that is being read stays where it is,
 * for its fields are used until the answer is out. */
struct http_input {
    char *bytes;    /* owned, HTTP_INPUT_BYTES */
    size_t at, end; /* of what was not yet read */
    size_t body_at; /* behind the head, where pieces of the body go */
    size_t left;    /* of the body, where it does not come in chunks */
    struct httpchunk chunk;
    struct spin spin; /* for the next request */
};

/* A connection. What stands below "this exchange" is reset between requests. */
struct exchange {
    struct http_server *server;
    int fd;                       /* closed under server->mu, when it is not listed any more */
    struct channel channel;       /* the way to it */
    struct exchange *next, *prev; /* guarded by server->mu */
    atomic_bool busy;             /* an exchange is under way */
    struct http_input in;

    pthread_mutex_t mu;
    struct session *session;   /* guarded by mu for http_stop(), which cancels it */
    struct download *download; /* guarded by mu likewise */

    struct arena *arena; /* this exchange's memory; reset before the next */
    struct buf out;      /* the answer's body, sent from here without a copy */
    struct buf header;   /* the answer's */
    time_t dated;        /* when `date` was written */
    char date[HTTP_DATE_SIZE];
    struct buf raw; /* a small body, or the request's own text */

    /* this exchange */
    struct httphead request_head;
    const struct http_route *route;
    unsigned allowed;
    bool head;
    const char *id, *name; /* captured and decoded, NULL where the path has none */
    struct httpreq *body;
    size_t received;
    bool early;     /* answered before the body was read */
    bool last;      /* the connection ends with this answer */
    struct err err; /* why it will not be handled */
    uint64_t seq, position;
    uint64_t snapshot_seq; /* X-Sequence; 0 = none */
    long statement;        /* index of the failed query, -1 = none */

    struct request *request;
    struct http_tx *tx; /* the transaction it runs in, NULL = its own */
    struct http_rows rows;
    size_t sent;  /* of `out`, while streaming */
    bool ended;   /* everything is in `out` */
    bool aborted; /* the stream cannot be finished */
};

/* ---- first.c ---- */

enum http_first {
    HTTP_FIRST_H1,
    HTTP_FIRST_H2,
    HTTP_FIRST_NOTHING /* nobody is there, or says anything that is of use */
};

/* Waits for a connection's first bytes, shakes hands where there is TLS, and says what begins. */
enum http_first http_first(struct exchange *x);
enum err_code http_tls_load(struct http_server *s, const struct http_options *o, struct err *e);

/* ---- conn.c ---- */

enum http_got {
    HTTP_GOT_IT,
    HTTP_GOT_NOTHING, /* the client has gone, or sends nothing for too long */
    HTTP_GOT_NONSENSE /* x->err says what; nobody knows what the next bytes are */
};

bool http_conn_init(struct exchange *x, int fd); /* false: no memory */
void http_conn_fini(struct exchange *x);         /* leaves the socket open */
/* Waits for the next request, and reads x->request_head. */
enum http_got http_conn_head(struct exchange *x);
/* The next piece of its body, borrowed until the next call; *n = 0: that was all. */
enum http_got http_conn_body(struct exchange *x, const char **bytes, size_t *n);
/* All of it, or false: the client has gone, or takes nothing for too long. Changes `parts`. */
bool http_conn_send(struct exchange *x, struct iovec *parts, size_t n);
/* After an answer that came early, until the client has seen it. */
void http_conn_linger(struct exchange *x);

/* ---- access.c ---- */

struct exchange *http_exchange_new(struct http_server *s, int fd);
void http_exchange_free(struct exchange *x);
/* One request and its answer. True: another one may come. */
bool http_exchange_run(struct exchange *x);
/* Stops what it is doing, from another thread. */
void http_exchange_cancel(struct exchange *x);
/* For session_open(): has the client gone? `arg` is the exchange. */
bool http_client_gone(int fd);
/* Gives the session a place where http_stop() finds it; NULL takes it away. */
void http_exchange_session(struct exchange *x, struct session *s);
void http_exchange_download(struct exchange *x, struct download *d);

/* ---- args.c ---- */

/* Decodes %XX into the arena; NULL (and x->err) for a broken escape, a NUL byte, invalid UTF-8. */
const char *http_decode(struct exchange *x, const char *s, size_t len);
/* ?name, ?name=true or ?name=1; false where absent, ERR_PARAM for other values. */
enum err_code http_arg_bool(struct exchange *x, const char *name, bool *out, struct err *e);
/* ?name=text; NULL where absent, ERR_PARAM for ?name alone. */
enum err_code http_arg_text(struct exchange *x, const char *name, const char **out, struct err *e);
const char *http_header(struct exchange *x, const char *name); /* NULL where absent */
/* "1.5s", "250ms", "1m30s"; a bare number counts seconds. False if it is none of that. */
bool http_duration_parse(const char *s, int64_t *ns);
/* Everything that goes to request_new(), from the query string and the headers. */
enum err_code http_request_options(struct exchange *x, struct request_options *o, struct err *e);

/* ---- reply.c ----
 *
 * An answer is sent before the function returns. False: it did not go out, or not all of it; the
 * connection has to end. */

/* Sends x->out from `skip` on, with Content-Length. */
bool http_reply(struct exchange *x, unsigned status, const char *type, size_t skip);
bool http_reply_text(struct exchange *x, unsigned status, const char *text);
bool http_reply_empty(struct exchange *x, unsigned status);
bool http_reply_error(struct exchange *x, const struct err *e);
/* The next piece of a body, borrowed until the next call; *n = 0: that was all. False: there should
 * be more, but it is not to be had. */
typedef bool (*http_piece)(struct exchange *x, const char **bytes, size_t *n);
/* Sends what `next` gives, in chunks; `disposition` may be NULL. */
bool http_reply_stream(struct exchange *x, const char *type, const char *disposition,
                       http_piece next);
bool http_reply_location(struct exchange *x, const char *type, const char *location);
bool http_reply_options(struct exchange *x);
/* The body of an error, without its end, for NDJSON and problem+json alike. */
void http_problem_put(struct exchange *x, struct buf *b, const struct err *e);

/* ---- handlers ---- */

bool http_query(struct exchange *x);
void http_query_end(struct exchange *x); /* frees request and session, gives the transaction back */
enum err_code http_run_text(struct session *s, const char *sql, uint64_t *seq, struct err *e);

bool http_tx_begin(struct exchange *x);
bool http_tx_commit(struct exchange *x);
bool http_tx_rollback(struct exchange *x);
/* The transaction that the request asks for, marked as in use; *out is NULL where it asks for none.
 */
enum err_code http_tx_take(struct exchange *x, const char *token, struct http_tx **out,
                           struct err *e);
struct session *http_tx_session(struct http_tx *t);
void http_tx_give(struct exchange *x, struct http_tx *t, bool over);
/* Closes what nobody has used for long; all of them with `all`. How many are left. */
unsigned http_tx_sweep(struct http_server *s, bool all);

bool http_download(struct exchange *x);
bool http_snapshot_download(struct exchange *x);
void http_download_cancel(struct download *d);
void http_download_end(struct exchange *x);

bool http_snapshot_take(struct exchange *x);
bool http_databases_list(struct exchange *x);
bool http_database_create(struct exchange *x);
bool http_database_drop(struct exchange *x);
bool http_verify(struct exchange *x);
bool http_history(struct exchange *x);
bool http_undo(struct exchange *x);
bool http_undoe(struct exchange *x);
bool http_undot(struct exchange *x);
bool http_replications_list(struct exchange *x);
bool http_replication_remove(struct exchange *x);
bool http_healthz(struct exchange *x);
bool http_readyz(struct exchange *x);
bool http_status(struct exchange *x);
bool http_metrics(struct exchange *x);
bool http_version(struct exchange *x);
bool http_openapi(struct exchange *x);

/* ---- openapi.c ---- */

extern const char http_openapi_text[];
size_t http_openapi_len(void);

#endif
