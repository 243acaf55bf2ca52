/*
 * A database, or its newest snapshot, as a file. The core pushes pieces, an answer pulls them, so a
 * thread of its own pushes into a socket pair and the connection's thread pulls out of it; the
 * pair's buffer is nearly all the memory that is needed, and closing an end is how each side tells
 * the other to stop.
 *
 * The answer begins when the first piece is there: until then an error is an ordinary answer. Later
 * the connection breaks off, and the client sees that the file is not whole.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stack.h"
#include "wire/http/exchange.h"

#define PIECE_BYTES ((size_t)64 << 10)
#define NAME_BYTES  128u /* of a file name in Content-Disposition */
#define PUSHER      0
#define PULLER      1
#define TYPE_SQLITE "application/vnd.sqlite3"

struct download {
    struct http_server *server;
    const char *id;       /* NULL = default; the exchange's arena */
    bool snapshot;        /* the newest in the store, not the file as it is now */
    _Atomic uint64_t seq; /* of the snapshot, before its first piece */
    int ends[2];          /* PUSHER is closed by the thread, PULLER by the exchange */
    pthread_t thread;
    enum err_code code; /* the thread's; read after it was joined */
    struct err err;
    bool joined;
};

/* ---- the pushing thread ---- */

static bool push(void *arg, const void *bytes, size_t len)
{
    struct download *d = arg;
    const char *p = bytes;

    while (len > 0) {
        ssize_t n = send(d->ends[PUSHER], p, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

static void begin(void *arg, uint64_t seq)
{
    struct download *d = arg;

    atomic_store(&d->seq, seq);
}

static void *run(void *arg)
{
    struct download *d = arg;

    struct node *n = d->server->node;

    d->code = d->snapshot ? node_snapshot_download(n, d->id, begin, push, d, &d->err)
                          : node_download(n, d->id, push, d, &d->err);
    close(d->ends[PUSHER]);
    return NULL;
}

/* ---- start and end ---- */

static enum err_code start(struct exchange *x, bool snapshot, struct download **out, struct err *e)
{
    struct download *d = calloc(1, sizeof *d);
    int rc;

    if (!d)
        return err_set(e, ERR_NO_MEMORY, "no memory for a download");
    d->server = x->server;
    d->id = x->id;
    d->snapshot = snapshot;
    d->err.offset = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, d->ends) != 0) {
        free(d);
        return err_set(e, ERR_IO, "socketpair: %s", strerror(errno));
    }
    rc = stack_start(&d->thread, run, d);
    if (rc != 0) {
        close(d->ends[0]);
        close(d->ends[1]);
        free(d);
        return err_set(e, ERR_NO_MEMORY, "no thread for a download: %s", strerror(rc));
    }
    *out = d;
    http_exchange_download(x, d);
    return ERR_OK;
}

void http_download_cancel(struct download *d)
{
    (void)shutdown(d->ends[PULLER], SHUT_RDWR);
}

static void join(struct download *d)
{
    if (!d->joined)
        pthread_join(d->thread, NULL);
    d->joined = true;
}

void http_download_end(struct exchange *x)
{
    struct download *d = x->download;

    if (!d)
        return;
    http_exchange_download(x, NULL);
    http_download_cancel(d);
    join(d);
    close(d->ends[PULLER]);
    free(d);
}

/* ---- the answer ---- */

static bool pull(struct exchange *x, const char **bytes, size_t *n)
{
    struct download *d = x->download;
    char *to = buf_reserve(&x->out, PIECE_BYTES);
    ssize_t got;

    if (!to)
        return false;
    do
        got = recv(d->ends[PULLER], to, PIECE_BYTES, 0);
    while (got < 0 && errno == EINTR);
    *bytes = to;
    *n = got > 0 ? (size_t)got : 0;
    if (got > 0)
        return true;
    join(d);
    return got == 0 && d->code == ERR_OK;
}

/* Waits for the first piece. */
static bool has_begun(struct download *d)
{
    char byte;
    ssize_t n;

    do
        n = recv(d->ends[PULLER], &byte, 1, MSG_PEEK);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

/* attachment; filename="a-20260131T123456Z.db": the time, because it is a backup; a snapshot's has
 * its position, "a-snapshot-42.db". */
static const char *disposition(struct exchange *x, const char *id, const struct download *d)
{
    char name[NAME_BYTES];
    char stamp[32];
    struct tm tm;
    time_t now = time(NULL);
    const char *dot = strrchr(id, '.');
    size_t stem = dot && dot != id ? (size_t)(dot - id) : strlen(id);
    size_t n = 0;
    char *text;

    for (size_t i = 0; i < stem && n < sizeof name - 1; i++) {
        char c = id[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '.' || c == '-' || c == '_';
        name[n++] = plain ? c : '_';
    }
    name[n] = '\0';
    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
    if (d->snapshot)
        (void)snprintf(stamp, sizeof stamp, "snapshot-%llu",
                       (unsigned long long)atomic_load(&d->seq));
    text = arena_alloc(x->arena, sizeof name + sizeof stamp + 64);
    if (text)
        (void)snprintf(text, sizeof name + sizeof stamp + 64, "attachment; filename=\"%s-%s.db\"",
                       name, stamp);
    return text;
}

/* The id, or the default database's; says whether there is such a database. */
static enum err_code database_id(struct exchange *x, const char **id, struct err *e)
{
    struct session *s = NULL;
    enum err_code code = session_open(&s, x->server->node, "http", NULL, NULL, e);

    if (code == ERR_OK)
        code = session_use(s, x->id, e);
    if (code == ERR_OK) {
        *id = arena_strdup(x->arena, session_database(s));
        if (!*id)
            code = err_set(e, ERR_NO_MEMORY, "no memory for a download");
    }
    session_close(s);
    return code;
}

static bool send_file(struct exchange *x, bool snapshot)
{
    struct download *d = NULL; /* set by start() */
    const char *id = NULL;
    struct err e = ERR_INIT;

    if (database_id(x, &id, &e) != ERR_OK)
        return http_reply_error(x, &e);
    if (x->head && !snapshot)
        return http_reply(x, 200, TYPE_SQLITE, 0);
    if (start(x, snapshot, &d, &e) != ERR_OK || !d)
        return http_reply_error(x, &e);
    if (!has_begun(d)) {
        join(d);
        e = d->err;
        if (d->code == ERR_OK)
            err_set(&e, ERR_INTERNAL, "the database has no bytes");
        return http_reply_error(x, &e);
    }
    x->snapshot_seq = atomic_load(&d->seq);
    return http_reply_stream(x, TYPE_SQLITE, disposition(x, id, d), pull);
}

bool http_download(struct exchange *x)
{
    return send_file(x, false);
}

bool http_snapshot_download(struct exchange *x)
{
    return send_file(x, true);
}
