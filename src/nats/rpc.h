/*
 * Questions from node to node over core NATS: no stream, nothing stored, whoever is there answers.
 *
 *     <prefix>.<method>.all          every node that serves the method answers
 *     <prefix>.<method>.<node>       that node does; <node> is rpc_self() of its client
 *
 * An answer is a small text, with or without a stream of bytes of any size before it. The stream's
 * pieces are numbered and acknowledged by the reader, so that at most RPC_WINDOW of them are on the
 * way; its end carries number of bytes and SHA-256. Core NATS may lose a message: then the stream
 * fails, it is never shortened or patched.
 *
 *     1 byte   type: 'P' still at work, 'S' how many bytes will come, 'D' a piece, 'E' end,
 *              'X' failed
 *     22 bytes who answers
 *     8 bytes  P: 0   S: bytes   D: number of the piece, from 0   E: bytes   X: 0   (big-endian)
 *     rest     D: the bytes   E: 32 bytes SHA-256 of the stream, then the small text
 *              X: the error's name, a blank, and its message
 *
 * A reader's acknowledgement of pieces is 8 bytes, how many it has consumed, to the reply subject
 * of the piece. Every function may be called by any thread.
 */
#ifndef HA_NATS_RPC_H
#define HA_NATS_RPC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "nats/client.h"

#define RPC_BODY_MAX    ((size_t)256 * 1024) /* of a question */
#define RPC_ANSWER_MAX  ((size_t)512 * 1024) /* of a small text */
#define RPC_PIECE_BYTES ((size_t)128 * 1024)
#define RPC_WINDOW      16u /* pieces on the way */
#define RPC_METHODS_MAX 8u  /* of a service */
#define RPC_RUNNING_MAX 64u /* calls of a service at once, quick ones aside; more are ERR_BUSY */

/* The name of this process among those that answer; unique. */
const char *rpc_self(const struct nats_client *c);

/* ---- answering ---- */

struct rpc_call;
struct rpc_service;

/* Its error is the answer's. */
typedef enum err_code rpc_fn(void *arg, struct rpc_call *call, struct err *e);

struct rpc_method {
    const char *name; /* a NATS token */
    /* How many calls may run at once, in threads of their own; more are ERR_BUSY. 0: it is quick,
     * runs in a thread of the library, must not block, and writes no stream. */
    unsigned at_once;
    rpc_fn *run;
};

/* `methods` (n of them, RPC_METHODS_MAX at most) and `arg` are borrowed until rpc_service_close(),
 * `prefix` is copied. The client must have been connected once: ERR_LOG_UNAVAILABLE. */
enum err_code rpc_service_open(struct rpc_service **out, struct nats_client *c, const char *prefix,
                               const struct rpc_method *methods, size_t n, void *arg,
                               struct err *e);
/* Its connection was closed for good, and the client has another one: nobody can ask any more. */
bool rpc_service_is_lost(const struct rpc_service *s);
/* No new calls; running ones are canceled and waited for. NULL is fine. Before the client closes.
 */
void rpc_service_close(struct rpc_service *s);

const char *rpc_call_body(const struct rpc_call *call, size_t *len);
const atomic_bool *rpc_call_cancel(const struct rpc_call *call);
struct buf *rpc_call_answer(struct rpc_call *call); /* the small text; filled by the method */
void rpc_call_size(struct rpc_call *call, uint64_t bytes);
/* False: nobody reads any more, or the service closes. */
bool rpc_call_write(struct rpc_call *call, const void *bytes, size_t len);

/* ---- asking ---- */

struct rpc_question {
    const char *prefix, *method;
    const char *target; /* NULL = all */
    const void *body;
    size_t len;
};

struct rpc_answer {
    char node[ID_SIZE];
    struct err err; /* ERR_OK, or what the answerer says */
    const char *data;
    size_t len;
};

/* Small texts of everyone who answers until the deadline, or until answer() says false. A question
 * to one node ends with its answer. Nobody there is no error. */
enum err_code rpc_ask(struct nats_client *c, const struct rpc_question *q, int64_t deadline_ns,
                      bool (*answer)(void *arg, const struct rpc_answer *a), void *arg,
                      struct err *e);

/* Tells it, and nobody answers: for quick methods. It may get lost. */
enum err_code rpc_tell(struct nats_client *c, const struct rpc_question *q, struct err *e);

/* One question to one node, whose small text is waited for now and then. One thread at a time. */
struct rpc_pending;

/* Asks. The question is borrowed no longer than this takes. */
enum err_code rpc_send(struct rpc_pending **out, struct nats_client *c,
                       const struct rpc_question *q, struct err *e);
/* Waits for the answer. *got = false: not yet. ERR_NOT_FOUND: nobody has got the question;
 * ERR_LOG_UNAVAILABLE: the connection is lost, whether it has been heard is not known; other errors
 * are the node's. Once an answer or an error was got there is nothing more to wait for. */
enum err_code rpc_receive(struct rpc_pending *p, int64_t deadline_ns, struct buf *answer, bool *got,
                          struct err *e);
void rpc_forget(struct rpc_pending *p); /* NULL is fine */

struct rpc_reader {
    void (*size)(void *arg, uint64_t bytes);                 /* may be NULL */
    bool (*write)(void *arg, const void *bytes, size_t len); /* false ends it: ERR_INTERRUPTED */
    void *arg;
    const atomic_bool *cancel; /* NULL = never */
};

/* A stream from one node; `answer` (may be NULL) gets the small text. ERR_LOG_UNAVAILABLE: the node
 * is not there, has become silent, or something was lost; ERR_CORRUPT: the digest differs. */
enum err_code rpc_fetch(struct nats_client *c, const struct rpc_question *q,
                        const struct rpc_reader *reader, struct buf *answer, struct err *e);

#endif
