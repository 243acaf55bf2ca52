/*
 * Inside the gRPC server: the server, its connections, and the calls on them.
 *
 *     server.c      the server, its connections' list, stopping
 *     pool.c        threads that run calls
 *     conn.c        a connection: its socket, nghttp2's session, keep-alive
 *     streams.c     nghttp2's callbacks: a stream's headers and data in and out
 *     head.c        what a request's headers say, and the headers of answers
 *     call.c        a call, as whoever runs it sees it: messages in, messages out, its end
 *     routes.c      the table of methods
 *     query.c       SQL: sessions and single calls             rows.c: results as messages
 *     batch.c       SQL: several statements as one transaction
 *     leader.c      another node's writes, where this one leads
 *     files.c       databases and snapshots as files, and their names
 *     health.c      grpc.health.v1                  reflection.c: grpc.reflection.v1
 *
 *                 socket                                    a call's thread
 *                   │                                              ▲ │
 *     conn thread ──┤ recv ─► nghttp2 ─► call.in  ── wait ─────────┘ │
 *      (poll)       │                                                │
 *     whoever has ──┤ send ◄─ nghttp2 ◄─ call.out ◄─ wait for room ──┘
 *     just added    │
 *
 * One mutex a connection guards nghttp2's session and all calls' queues. It is never held while a
 * thread waits, runs SQL or blocks in a socket: sends do not block. Whoever has put something into
 * a queue sends it at once; where the socket takes no more, the connection's thread goes on when it
 * does.
 */
#ifndef HA_WIRE_GRPC_CONN_H
#define HA_WIRE_GRPC_CONN_H

#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/token.h"
#include "core/node.h"
#include "core/session.h"
#include "wire/channel.h"
#include "wire/grpc/grpc.h"

#define GRPC_PROTOCOL "grpc"

#define GRPC_STREAMS_MAX   256u                /* open at a time on a connection */
#define GRPC_CALLS_MAX     320u                /* … with those whose client has left already */
#define GRPC_ALL_CALLS_MAX 4096u               /* that run at a time, on all connections */
#define GRPC_UNPROVEN_MAX  64u                 /* … of clients that have not shown the token */
#define GRPC_HEADERS_BYTES ((size_t)16 << 10)  /* names and values of a request's headers */
#define GRPC_WINDOW_BYTES  ((size_t)256 << 10) /* of a stream, that was not read yet */
#define GRPC_OUT_BYTES     ((size_t)256 << 10) /* of a call, that was not sent yet */
#define GRPC_STALL_NS      (120 * CLOCK_S)     /* a client takes, or sends, nothing of a message */
#define GRPC_REPLY_FIELDS  8u                  /* headers or trailers that a call adds */

/* How long to be patient; a test that arms the fault point is in a hurry. */
static inline int64_t grpc_patience(int64_t ns)
{
    return FAULT_FAILS("grpc.hurry") ? ns / 60 : ns;
}

struct grpc_call;

/* ---- pool.c ---- */

struct grpc_pool {
    pthread_mutex_t mu;
    pthread_cond_t work, left;
    struct grpc_call *first, **last; /* guarded by mu: to be run */
    unsigned waiting;                /* guarded by mu: calls in that list */
    unsigned idle, threads;          /* guarded by mu */
    bool stopping;                   /* guarded by mu */
};

void grpc_pool_init(struct grpc_pool *p);
/* Hands the call to a thread that runs grpc_call_run(). False: there are too many, or there is no
 * thread to be had. */
bool grpc_pool_run(struct grpc_pool *p, struct grpc_call *c);
void grpc_pool_fini(struct grpc_pool *p); /* nothing runs any more; waits for idle threads */

/* ---- server.c ---- */

struct grpc_conn;

struct grpc_server {
    /* immutable after grpc_new() */
    struct node *node;
    struct token token;
    int64_t timeout_ns; /* 0 = none */
    size_t max_message_bytes;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *options;

    atomic_bool stopping;
    atomic_uint n_unproven; /* calls of those who have not shown the token that is wanted */
    struct grpc_pool pool;

    pthread_mutex_t mu;      /* never taken with a connection's held */
    struct grpc_conn *first; /* guarded by mu */
};

struct grpc_conn {
    struct grpc_server *server;
    int fd, wake;                  /* wake: an eventfd for the connection's thread */
    struct channel *channel;       /* borrowed; where there is TLS, guarded by mu */
    struct grpc_conn *next, *prev; /* guarded by server->mu */

    pthread_mutex_t mu;
    pthread_cond_t left; /* n_running fell */
    /* guarded by mu */
    nghttp2_session *session;
    struct buf out; /* what nghttp2 wants to send, from `sent` on */
    size_t sent;
    bool blocked;            /* the socket takes no more for now */
    bool dead;               /* it is of no more use */
    bool told;               /* the client was told to go */
    bool greeted;            /* the client's settings have come */
    struct grpc_call *calls; /* all there are */
    unsigned n_calls, n_running;
    size_t in_bytes; /* in all calls' queues */

    /* the connection's thread */
    int64_t heard_ns;  /* when the last byte came */
    int64_t looked_ns; /* for calls that have stalled */
    int64_t asked_ns;  /* when a ping went out that nothing has answered; 0 = none */
};

/* ---- calls ---- */

struct grpc_field {
    const char *name, *value; /* lower case; of the call's arena, or static */
};

/* What the headers said; strings of the arena, NULL where absent. */
struct grpc_head {
    const char *method, *path, *content_type, *timeout, *encoding, *authorization;
    const char *database, *min_seq_text;
    uint64_t min_seq;
    bool gzip;    /* messages may be compressed */
    size_t bytes; /* names and values so far */
};

struct grpc_route;

struct grpc_call {
    /* immutable once it runs */
    struct grpc_conn *conn;
    int32_t stream;
    const struct grpc_route *route;
    struct grpc_head head;
    int64_t deadline_ns; /* CLOCK_EVER = none */
    bool unproven;       /* counted in server->n_unproven */

    struct grpc_call *next, *prev; /* guarded by conn->mu: conn->calls */
    struct grpc_call *next_work;   /* guarded by the pool's mu */

    /* atomic */
    atomic_bool gone; /* nobody waits for it any more */

    /* guarded by conn->mu */
    pthread_cond_t changed; /* more in, more room out, gone, the server stops */
    bool running;           /* a thread has it, or will */
    bool closed;            /* its stream is */
    struct buf in;          /* from in_at on: what has come and was not read */
    size_t in_at;
    size_t held;          /* bytes of `in` for which the client got no new leave to send */
    bool in_end;          /* the client has ended its half */
    bool in_rest;         /* what comes is thrown away */
    enum err_code in_err; /* why; ERR_OK = it is only late */
    struct buf out;       /* from out_at on: to be sent */
    size_t out_at;
    bool answered;           /* the answer's headers are nghttp2's */
    int64_t ended_ns;        /* since when nobody runs it any more */
    bool out_end;            /* trailers follow what is in `out` */
    struct session *session; /* for grpc_call_leave_locked() */

    /* whoever runs it; trailers are read under conn->mu once out_end is true */
    struct arena *arena;   /* the call's */
    struct arena *request; /* one message's */
    struct buf message;    /* the message that was read last, with its head */
    struct buf inflated;   /* the same where it was compressed, without */
    struct buf reply;      /* room for one to send */
    bool broken;           /* not all of a message went out: nothing may follow */
    struct grpc_field headers[GRPC_REPLY_FIELDS], trailers[GRPC_REPLY_FIELDS];
    size_t n_headers, n_trailers;
    struct buf status_text; /* grpc-message, as it is sent */
    char status[8];         /* grpc-status */
};

/* ---- conn.c ---- */

bool grpc_conn_init(struct grpc_conn *c, struct grpc_server *s,
                    struct channel *channel); /* false: no memory */
void grpc_conn_run(struct grpc_conn *c);      /* until its end; then no call of it runs any more */
void grpc_conn_fini(struct grpc_conn *c);
void grpc_conn_quit(struct grpc_conn *c); /* any thread, while it runs */
void grpc_conn_flush_locked(struct grpc_conn *c);
void grpc_conn_wake(struct grpc_conn *c);
/* The client is to open no more streams. */
void grpc_conn_say_goodbye_locked(struct grpc_conn *c);

/* ---- streams.c ---- */

enum err_code grpc_streams_setup(struct grpc_server *s, struct err *e);
/* nghttp2 may send what is in c->out, or the trailers. */
void grpc_streams_resume_locked(struct grpc_call *c);

/* ---- head.c ---- */

/* One header field of the request. False: there is no memory. */
bool grpc_head_take(struct grpc_call *c, const uint8_t *name, size_t name_len, const uint8_t *value,
                    size_t value_len);
/* All are there: answers at once what is no call, or may not be run; otherwise true. */
bool grpc_head_accept_locked(struct grpc_call *c);
/* Headers of an answer with messages; a negative number is nghttp2's failure. */
int grpc_head_answer_locked(struct grpc_call *c, nghttp2_data_provider *body);
int grpc_head_trailers_locked(struct grpc_call *c);
/* An answer that is nothing but its status. */
void grpc_head_refuse_locked(struct grpc_call *c);

/* ---- call.c ---- */

struct grpc_call *grpc_call_new_locked(struct grpc_conn *c, int32_t stream);
void grpc_call_free_locked(struct grpc_call *c);
/* Its client has left, or the connection has: whoever runs it is to end. */
void grpc_call_leave_locked(struct grpc_call *c);
/* Bytes from the client. */
void grpc_call_feed_locked(struct grpc_call *c, const uint8_t *bytes, size_t n);
/* By a thread of the pool: runs it, and ends it. */
void grpc_call_run(struct grpc_call *c);
/* Its status; ERR_OK is one, too. Not more than once. */
void grpc_call_status(struct grpc_call *c, const struct err *e);

/* ---- for whoever runs a call: these block, and fail with ERR_INTERRUPTED where nobody waits for
 * the answer any more, or ERR_TIMEOUT once its deadline is over ---- */

/* The next message, borrowed until the next call of this. *end: there is none, and none will come.
 * ERR_TOO_BIG, ERR_PROTOCOL, ERR_UNSUPPORTED (compression), ERR_SHUTDOWN; ERR_TIMEOUT also where
 * `patient` is false and nothing comes for GRPC_STALL_NS. */
enum err_code grpc_call_read(struct grpc_call *c, bool patient, const char **bytes, size_t *len,
                             bool *end, struct err *e);
/* The only message of a call that takes one. ERR_PROTOCOL where there is none. */
enum err_code grpc_call_read_one(struct grpc_call *c, const char **bytes, size_t *len,
                                 struct err *e);
/* What was read is not needed any more: gives back the memory of a large message. */
void grpc_call_forget(struct grpc_call *c);
/* Bytes of messages; `n` may be any number. Waits for room. They leave at once, or together with
 * those that follow: where there are more to come, or the call has but one answer. */
enum err_code grpc_call_write(struct grpc_call *c, const void *bytes, size_t n, bool more,
                              struct err *e);
/* c->reply as one message, and empties it. */
enum err_code grpc_call_reply(struct grpc_call *c, struct err *e);
/* Does the call still have time, and somebody who waits for it? */
enum err_code grpc_call_check(struct grpc_call *c, struct err *e);
/* Waits until then, or until grpc_call_check() fails, or the server stops. */
void grpc_call_wait(struct grpc_call *c, int64_t until_ns);
/* Header fields of the answer, before its first byte; of its trailers. Static names. */
void grpc_call_header(struct grpc_call *c, const char *name, uint64_t value);
void grpc_call_trailer(struct grpc_call *c, const char *name, uint64_t value);
/* What grpc_call_leave_locked() is to cancel; NULL takes it away. */
void grpc_call_session(struct grpc_call *c, struct session *s);
bool grpc_call_gone(void *call); /* for session_open() */

/* ---- routes.c and what it names ---- */

struct grpc_route {
    const char *path; /* "/sql.v1.DatabaseService/Query" */
    enum err_code (*run)(struct grpc_call *c, struct err *e);
    bool open;   /* no token needed */
    bool single; /* one answer, then the end */
};

const struct grpc_route *grpc_route_find(const char *path);
/* Names of all services, for reflection and health checks. */
extern const char *const grpc_services[];
extern const size_t grpc_n_services;

enum err_code grpc_query(struct grpc_call *c, struct err *e);
enum err_code grpc_execute(struct grpc_call *c, struct err *e);
enum err_code grpc_stream(struct grpc_call *c, struct err *e);
enum err_code grpc_batch(struct grpc_call *c, struct err *e);
enum err_code grpc_leader(struct grpc_call *c, struct err *e);
enum err_code grpc_names(struct grpc_call *c, struct err *e);
enum err_code grpc_download(struct grpc_call *c, struct err *e);
enum err_code grpc_snapshot(struct grpc_call *c, struct err *e);
enum err_code grpc_health_check(struct grpc_call *c, struct err *e);
enum err_code grpc_health_watch(struct grpc_call *c, struct err *e);
enum err_code grpc_reflection(struct grpc_call *c, struct err *e);

#endif
