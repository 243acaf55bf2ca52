/*
 * A connection to another node's gRPC server, for many calls at a time: HTTP/2 with prior
 * knowledge, or TLS. A call here is a talk: messages both ways, until one side ends it.
 *
 *                    a talk's thread                       │ the client's thread
 *     grpc_talk_send ──► talk.out ─► nghttp2 ─► send ──────┼──────────► socket
 *     grpc_talk_wait ◄── talk.in  ◄─ nghttp2 ◄─ recv ──────┼─ (poll) ◄─ socket
 *
 * One mutex guards nghttp2's session and all talks, as in the server (conn.h); sends do not block.
 * What keeps the two sides apart is what has become of a request:
 *
 *   GRPC_WORD_REFUSED   the other side has not begun with it: it may go to somebody else
 *   GRPC_WORD_LOST      nobody knows
 *
 * A talk belongs to one thread at a time; a client may be used by any.
 */
#ifndef HA_WIRE_GRPC_CLIENT_H
#define HA_WIRE_GRPC_CLIENT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

#define GRPC_CLIENT_TALKS     200u          /* of a client; the server takes 256 */
#define GRPC_CLIENT_SILENCE   (4 * CLOCK_S) /* with talks open: then a ping, … */
#define GRPC_CLIENT_PING_NS   (5 * CLOCK_S) /* … and so long for any answer */
#define GRPC_CLIENT_GREETING  (3 * CLOCK_S) /* to connect, and for the server's first word */
#define GRPC_CLIENT_NAME_SIZE 256

struct grpc_client;
struct grpc_talk;

/* Connects in the background to "host:port". `token` "" = none; `tls` NULL = none, else borrowed;
 * a message of more than `max_bytes` ends its talk. Strings are copied. ERR_CONFIG, ERR_NO_MEMORY.
 */
enum err_code grpc_client_open(struct grpc_client **out, const char *address, const char *token,
                               SSL_CTX *tls, size_t max_bytes, struct err *e);
struct grpc_client *grpc_client_ref(struct grpc_client *c);
/* The last one ends the connection. Every talk has a reference of its own. NULL is fine. */
void grpc_client_unref(struct grpc_client *c);

/* Would another talk be taken? A client that is of no use any more never takes one again. */
bool grpc_client_is_alive(struct grpc_client *c);
bool grpc_client_has_room(struct grpc_client *c);
/* What the server calls itself, "" until it has answered once; terminated, cut to `size`. */
void grpc_client_node(struct grpc_client *c, char *out, size_t size);

/* Begins a talk, once the connection stands. ERR_LOG_UNAVAILABLE: it does not, or not by the
 * deadline, and nothing was sent. */
enum err_code grpc_talk_open(struct grpc_talk **out, struct grpc_client *c, const char *path,
                             int64_t deadline_ns, struct err *e);
/* Puts a message on its way; copied. Where the talk is over nothing happens. */
void grpc_talk_send(struct grpc_talk *t, const void *bytes, size_t len);

enum grpc_word {
    GRPC_WORD_NONE,    /* nothing came by then */
    GRPC_WORD_MESSAGE, /* borrowed until the next call */
    GRPC_WORD_END,     /* the server has ended the talk, and `e` is its status, perhaps ERR_OK */
    GRPC_WORD_REFUSED,
    GRPC_WORD_LOST /* `e` says why, as with REFUSED */
};
enum grpc_word grpc_talk_wait(struct grpc_talk *t, int64_t until_ns, const char **bytes,
                              size_t *len, struct err *e);
/* Ends it: the server sees no more messages, or, with `cancel`, that nobody waits. NULL is fine. */
void grpc_talk_close(struct grpc_talk *t, bool cancel);

#endif
