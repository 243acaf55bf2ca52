/*
 * A client's socket, buffered both ways, with TLS or without: what every protocol that keeps a
 * connection open reads from and writes to. It blocks, and knows nothing of messages.
 *
 * Input is read as far as it has come, so that a pipeline costs one recv(); what there is to send
 * is appended to `out`, and leaves when somebody flushes and before the thread waits for input.
 *
 * A stream belongs to its connection's thread; only its socket may be shut down by another one,
 * which wakes it. stream_init → … → stream_fini; the descriptor itself is closed by its owner.
 */
#ifndef HA_WIRE_STREAM_H
#define HA_WIRE_STREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "os/spin.h"
#include "wire/tls.h"

struct stream {
    int fd;
    SSL *ssl;                    /* NULL = none */
    struct tls_socket socket;    /* its */
    const atomic_bool *stopping; /* the server ends: it is not the client who has left; borrowed */
    struct buf in;
    size_t in_at; /* bytes of `in` that have been taken */
    struct buf out;
    struct spin spin;    /* for the next message */
    bool dead;           /* nothing can be sent or read any more */
    int64_t deadline_ns; /* of reading, monotonic; CLOCK_EVER: whoever idles may do so */
};

enum stream_status { STREAM_OK, STREAM_CLOSED, STREAM_TIMEOUT };

void stream_init(struct stream *s, int fd, const atomic_bool *stopping);
/* Says goodbye where there is TLS, and waits for nothing. */
void stream_fini(struct stream *s);

/* Until `n` bytes are there; flushes before it waits. What a length promises is not reserved before
 * some of it has come, so `n` may be as large as the protocol allows. */
enum stream_status stream_need(struct stream *s, size_t n);
/* Takes `n` bytes and forgets them, as they come. */
enum stream_status stream_drain(struct stream *s, uint64_t n);

/* Bytes that are there and not taken, and where they stand: until the next stream_need(). */
static inline size_t stream_here(const struct stream *s)
{
    return s->in.len - s->in_at;
}
static inline const char *stream_at(const struct stream *s)
{
    return s->in.data + s->in_at;
}
static inline void stream_take(struct stream *s, size_t n)
{
    s->in_at += n;
}

/* Sends what there is. A client that takes less than 16 KiB in a minute is taken for gone. */
void stream_flush(struct stream *s);

/* Has the client left? `stream` is a struct stream; for session_open(). */
bool stream_gone(void *stream);

/* False when the deadline has passed. Interrupted by shutdown() of the socket, like recv(). */
bool stream_wait(const struct stream *s, short events, int64_t deadline_ns);

/* The server's side of a TLS handshake, until the stream's deadline. What has come and was not
 * taken belongs to it: nothing that was not protected by TLS is read later. False: there is none.
 */
bool stream_accept_tls(struct stream *s, SSL_CTX *tls);

#endif
