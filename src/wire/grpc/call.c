/*
 * A call, as whoever runs it sees it.
 *
 *   grpc_call_new_locked, grpc_call_free_locked     with its stream
 *   grpc_call_feed_locked, grpc_call_leave_locked   what its client does
 *   grpc_call_run                                   a thread of the pool
 *   grpc_call_read, grpc_call_write, …              what the method that it runs uses
 *
 * It lives until its stream is closed and no thread has it any more. A stream's window is opened
 * again for bytes of a message that is not whole yet, and for nothing behind a whole one that was
 * not read: so a client that sends faster than its requests run waits, and a message may be larger
 * than the window.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "proto/grpcframe.h"
#include "proto/grpcgzip.h"
#include "proto/grpcsql.h"
#include "wire/grpc/conn.h"

#define KEEP_BYTES   ((size_t)64 << 10) /* of a buffer that is empty */
#define CONN_IN_MORE ((size_t)16 << 20) /* in all queues of a connection, beside two messages */

/* ---- its life ---- */

struct grpc_call *grpc_call_new_locked(struct grpc_conn *c, int32_t stream)
{
    struct grpc_call *call = calloc(1, sizeof *call);

    if (!call)
        return NULL;
    call->arena = arena_new();
    if (!call->arena) {
        free(call);
        return NULL;
    }
    call->conn = c;
    call->stream = stream;
    call->deadline_ns = CLOCK_EVER;
    clock_cond_init(&call->changed);
    call->next = c->calls;
    if (call->next)
        call->next->prev = call;
    c->calls = call;
    c->n_calls++;
    return call;
}

void grpc_call_free_locked(struct grpc_call *call)
{
    struct grpc_conn *c = call->conn;

    if (call->prev)
        call->prev->next = call->next;
    else
        c->calls = call->next;
    if (call->next)
        call->next->prev = call->prev;
    c->n_calls--;
    if (call->unproven)
        atomic_fetch_sub(&c->server->n_unproven, 1);
    c->in_bytes -= call->in.len - call->in_at;
    buf_free(&call->in);
    buf_free(&call->out);
    buf_free(&call->message);
    buf_free(&call->inflated);
    buf_free(&call->reply);
    buf_free(&call->status_text);
    arena_free(call->request);
    arena_free(call->arena);
    pthread_cond_destroy(&call->changed);
    free(call);
}

void grpc_call_leave_locked(struct grpc_call *call)
{
    atomic_store(&call->gone, true);
    if (call->session)
        session_cancel(call->session);
    pthread_cond_broadcast(&call->changed);
}

bool grpc_call_gone(void *arg)
{
    struct grpc_call *call = arg;

    return atomic_load(&call->gone);
}

void grpc_call_session(struct grpc_call *call, struct session *s)
{
    pthread_mutex_lock(&call->conn->mu);
    call->session = s;
    pthread_mutex_unlock(&call->conn->mu);
}

/* ---- bytes from the client ---- */

static void consume_locked(struct grpc_call *call, size_t n)
{
    if (n > 0 && !call->closed)
        (void)nghttp2_session_consume_stream(call->conn->session, call->stream, n);
}

/* Nothing of it is read any more. */
static void stop_in_locked(struct grpc_call *call, enum err_code why)
{
    call->conn->in_bytes -= call->in.len - call->in_at;
    buf_free(&call->in);
    call->in_at = 0;
    call->in_rest = true;
    call->in_err = why;
    consume_locked(call, call->held);
    call->held = 0;
}

static enum grpcframe_verdict look_locked(const struct grpc_call *call, struct grpcframe *f)
{
    return grpcframe_look(call->in.data + call->in_at, call->in.len - call->in_at, f);
}

/* Is what has come more than is taken? And may more come? */
static void judge_locked(struct grpc_call *call)
{
    const struct grpc_server *s = call->conn->server;
    struct grpcframe f;
    enum grpcframe_verdict v;

    if (call->in_rest)
        return;
    v = look_locked(call, &f);
    if (v == GRPCFRAME_BAD)
        stop_in_locked(call, ERR_PROTOCOL);
    else if (v != GRPCFRAME_MORE && f.compressed && !call->head.gzip)
        stop_in_locked(call, ERR_UNSUPPORTED);
    else if (v != GRPCFRAME_MORE && f.len > s->max_message_bytes)
        stop_in_locked(call, ERR_TOO_BIG);
    else if (call->conn->in_bytes > 2 * s->max_message_bytes + CONN_IN_MORE)
        stop_in_locked(call, ERR_TOO_MANY);
    if (v == GRPCFRAME_WHOLE)
        return;
    consume_locked(call, call->held);
    call->held = 0;
}

void grpc_call_feed_locked(struct grpc_call *call, const uint8_t *bytes, size_t n)
{
    if (call->in_rest) {
        consume_locked(call, n);
        return;
    }
    buf_put(&call->in, bytes, n);
    if (!buf_ok(&call->in)) {
        consume_locked(call, n);
        stop_in_locked(call, ERR_NO_MEMORY);
    } else {
        call->conn->in_bytes += n;
        call->held += n;
        judge_locked(call);
    }
    pthread_cond_broadcast(&call->changed);
}

/* Moves what is left to the front, where that is little. */
static void compact(struct buf *b, size_t *at)
{
    size_t left = b->len - *at;

    if (left > *at)
        return;
    if (left > 0)
        memmove(b->data, b->data + *at, left);
    buf_cut(b, left);
    *at = 0;
}

/* The message that stands first becomes call->message. */
static bool take_locked(struct grpc_call *call, const struct grpcframe *f)
{
    size_t all = GRPCFRAME_HEAD + f->len;
    size_t left = call->in.len - call->in_at - all;

    buf_reset(&call->message);
    if (call->message.cap > KEEP_BYTES)
        buf_free(&call->message);
    call->conn->in_bytes -= all;
    if (left == 0 && call->in_at == 0) {
        struct buf whole = call->in;
        call->in = call->message;
        call->message = whole;
    } else {
        buf_put(&call->message, call->in.data + call->in_at, all);
        call->in_at += all;
        compact(&call->in, &call->in_at);
    }
    judge_locked(call);
    return buf_ok(&call->message);
}

static enum err_code why_locked(const struct grpc_call *call, struct err *e)
{
    switch (call->in_err) {
    case ERR_PROTOCOL:
        return err_set(e, ERR_PROTOCOL, "what has come is no gRPC message");
    case ERR_UNSUPPORTED:
        return err_set(e, ERR_UNSUPPORTED,
                       "messages may be compressed with gzip, and with nothing else");
    case ERR_NO_MEMORY:
        return err_set(e, ERR_NO_MEMORY, "no memory for the message");
    case ERR_TOO_MANY:
        return err_set(e, ERR_TOO_MANY, "too many messages are on their way on this connection");
    default:
        return err_set(e, ERR_TOO_BIG, "a message is larger than %zu bytes",
                       call->conn->server->max_message_bytes);
    }
}

/* ---- waiting ---- */

enum err_code grpc_call_check(struct grpc_call *call, struct err *e)
{
    if (atomic_load(&call->gone))
        return err_set(e, ERR_INTERRUPTED, "the client has canceled the call");
    if (clock_mono_ns() >= call->deadline_ns)
        return err_set(e, ERR_TIMEOUT, "the call's deadline is over");
    return ERR_OK;
}

static bool stops(const struct grpc_call *call)
{
    return atomic_load(&call->conn->server->stopping);
}

void grpc_call_wait(struct grpc_call *call, int64_t until_ns)
{
    int64_t until = until_ns < call->deadline_ns ? until_ns : call->deadline_ns;

    pthread_mutex_lock(&call->conn->mu);
    while (!atomic_load(&call->gone) && !stops(call) &&
           clock_cond_wait(&call->changed, &call->conn->mu, until))
        ;
    pthread_mutex_unlock(&call->conn->mu);
}

/* For a change of its queues, until then or the call's deadline. */
static void wait_locked(struct grpc_call *call, int64_t until_ns)
{
    int64_t until = until_ns < call->deadline_ns ? until_ns : call->deadline_ns;

    (void)clock_cond_wait(&call->changed, &call->conn->mu, until);
}

static enum err_code stalled(struct err *e)
{
    return err_set(e, ERR_TIMEOUT, "the client has sent or taken nothing for too long");
}

/* ---- messages in ---- */

static enum err_code read_locked(struct grpc_call *call, bool patient, bool *end, struct err *e)
{
    int64_t until = patient ? CLOCK_EVER : clock_deadline(grpc_patience(GRPC_STALL_NS));
    size_t seen = call->in.len - call->in_at;
    struct grpcframe f;

    *end = false;
    for (;;) {
        size_t here = call->in.len - call->in_at;
        if (call->in_err != ERR_OK)
            return why_locked(call, e);
        if (look_locked(call, &f) == GRPCFRAME_WHOLE)
            return take_locked(call, &f) ? ERR_OK
                                         : err_set(e, ERR_NO_MEMORY, "no memory for the message");
        if (call->in_end && here == 0) {
            *end = true;
            return ERR_OK;
        }
        if (call->in_end)
            return err_set(e, ERR_PROTOCOL, "the last message is not whole");
        if (stops(call))
            return err_set(e, ERR_SHUTDOWN, "the node is shutting down");
        if (grpc_call_check(call, e) != ERR_OK)
            return e->code;
        /* Who has begun a message has to go on with it. */
        if (here != seen || (here > 0 && until == CLOCK_EVER))
            until = clock_deadline(grpc_patience(GRPC_STALL_NS));
        seen = here;
        if (clock_mono_ns() >= until)
            return stalled(e);
        wait_locked(call, until);
    }
}

/* What stands in call->message. */
static enum err_code opened(struct grpc_call *call, const char **bytes, size_t *len, struct err *e)
{
    *bytes = call->message.data + GRPCFRAME_HEAD;
    *len = call->message.len - GRPCFRAME_HEAD;
    if (call->message.data[0] == 0)
        return ERR_OK;
    buf_reset(&call->inflated);
    if (grpcgzip_inflate(*bytes, *len, call->conn->server->max_message_bytes, &call->inflated, e) !=
        ERR_OK)
        return e->code;
    *bytes = call->inflated.data;
    *len = call->inflated.len;
    return ERR_OK;
}

enum err_code grpc_call_read(struct grpc_call *call, bool patient, const char **bytes, size_t *len,
                             bool *end, struct err *e)
{
    struct grpc_conn *c = call->conn;

    pthread_mutex_lock(&c->mu);
    enum err_code code = read_locked(call, patient, end, e);
    grpc_conn_flush_locked(c); /* the window that was opened */
    pthread_mutex_unlock(&c->mu);
    if (code != ERR_OK || *end)
        return code;
    return opened(call, bytes, len, e);
}

enum err_code grpc_call_read_one(struct grpc_call *call, const char **bytes, size_t *len,
                                 struct err *e)
{
    bool end = false;

    if (grpc_call_read(call, false, bytes, len, &end, e) != ERR_OK)
        return e->code;
    return end ? err_set(e, ERR_PROTOCOL, "the call has no message") : ERR_OK;
}

void grpc_call_forget(struct grpc_call *call)
{
    if (call->message.cap > KEEP_BYTES)
        buf_free(&call->message);
    if (call->inflated.cap > KEEP_BYTES)
        buf_free(&call->inflated);
}

/* ---- messages out ---- */

static size_t unsent(const struct grpc_call *call)
{
    return call->out.len - call->out_at;
}

/* Once the queue is full, until half of it has been sent. */
static enum err_code room_locked(struct grpc_call *call, struct err *e)
{
    int64_t until = clock_deadline(grpc_patience(GRPC_STALL_NS));
    size_t seen = unsent(call);

    while (unsent(call) > GRPC_OUT_BYTES / 2) {
        if (grpc_call_check(call, e) != ERR_OK)
            return e->code;
        if (clock_mono_ns() >= until) {
            if (unsent(call) >= seen)
                return stalled(e);
            seen = unsent(call);
            until = clock_deadline(grpc_patience(GRPC_STALL_NS));
        }
        wait_locked(call, until);
    }
    return ERR_OK;
}

static void send_locked(struct grpc_call *call)
{
    grpc_streams_resume_locked(call);
    grpc_conn_flush_locked(call->conn);
}

static enum err_code put_locked(struct grpc_call *call, const char *bytes, size_t n, struct err *e)
{
    while (n > 0) {
        if (grpc_call_check(call, e) != ERR_OK)
            return e->code;
        if (unsent(call) >= GRPC_OUT_BYTES) {
            send_locked(call);
            if (room_locked(call, e) != ERR_OK)
                return e->code;
        }
        size_t room = GRPC_OUT_BYTES - unsent(call);
        size_t piece = n < room ? n : room;
        compact(&call->out, &call->out_at);
        buf_put(&call->out, bytes, piece);
        if (!buf_ok(&call->out))
            return err_set(e, ERR_NO_MEMORY, "no memory for an answer");
        bytes += piece;
        n -= piece;
    }
    return ERR_OK;
}

enum err_code grpc_call_write(struct grpc_call *call, const void *bytes, size_t n, bool more,
                              struct err *e)
{
    pthread_mutex_lock(&call->conn->mu);
    enum err_code code = put_locked(call, bytes, n, e);
    if (code != ERR_OK)
        call->broken = true;
    else if (!more && !call->route->single)
        send_locked(call);
    pthread_mutex_unlock(&call->conn->mu);
    return code;
}

enum err_code grpc_call_reply(struct grpc_call *call, struct err *e)
{
    unsigned char head[GRPCFRAME_HEAD];
    enum err_code code;

    if (!buf_ok(&call->reply) || call->reply.len > UINT32_MAX)
        return err_set(e, ERR_NO_MEMORY, "no memory for an answer");
    grpcframe_head(head, (uint32_t)call->reply.len);
    code = grpc_call_write(call, head, sizeof head, true, e);
    if (code == ERR_OK)
        code = grpc_call_write(call, call->reply.data, call->reply.len, false, e);
    buf_reset(&call->reply);
    return code;
}

/* ---- headers and trailers ---- */

static void add(struct grpc_call *call, struct grpc_field *list, size_t *n, const char *name,
                const char *value)
{
    if (*n < GRPC_REPLY_FIELDS && value)
        list[(*n)++] = (struct grpc_field){name, arena_strdup(call->arena, value)};
    if (*n > 0 && !list[*n - 1].value)
        --*n;
}

static void add_number(struct grpc_call *call, struct grpc_field *list, size_t *n, const char *name,
                       uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    add(call, list, n, name, text);
}

void grpc_call_header(struct grpc_call *call, const char *name, uint64_t value)
{
    add_number(call, call->headers, &call->n_headers, name, value);
}

void grpc_call_trailer(struct grpc_call *call, const char *name, uint64_t value)
{
    add_number(call, call->trailers, &call->n_trailers, name, value);
}

/* The same in the form that gRPC's libraries know (grpc-status-details-bin, base64). */
static void add_details(struct grpc_call *call, const struct err *e)
{
    struct buf status = BUF_INIT, text = BUF_INIT;

    grpcsql_put_status(&status, e);
    if (buf_ok(&status))
        base64_encode(&text, status.data, status.len);
    if (buf_ok(&text) && text.len > 0)
        add(call, call->trailers, &call->n_trailers, "grpc-status-details-bin", buf_cstr(&text));
    buf_free(&status);
    buf_free(&text);
}

void grpc_call_status(struct grpc_call *call, const struct err *e)
{
    const char *text = *e->msg ? e->msg : err_text(e->code);

    (void)snprintf(call->status, sizeof call->status, "%d", err_grpc(e->code));
    if (e->code == ERR_OK)
        return;
    grpcframe_put_text(&call->status_text, text, strlen(text));
    if (!buf_ok(&call->status_text))
        buf_reset(&call->status_text);
    add(call, call->trailers, &call->n_trailers, "ha-error", err_name(e->code));
    add(call, call->trailers, &call->n_trailers, "ha-sqlstate", err_sqlstate(e->code));
    if (e->sqlite_code > 0)
        grpc_call_trailer(call, "ha-sqlite-code", (uint64_t)e->sqlite_code);
    if (e->offset >= 0)
        grpc_call_trailer(call, "ha-offset", (uint64_t)e->offset);
    add_details(call, e);
}

/* ---- the whole ---- */

static void finish(struct grpc_call *call)
{
    struct grpc_conn *c = call->conn;

    pthread_mutex_lock(&c->mu);
    call->running = false;
    stop_in_locked(call, ERR_OK);
    call->out_end = true;
    call->ended_ns = clock_mono_ns();
    if (call->closed) {
        grpc_call_free_locked(call);
    } else {
        if (call->answered || call->out.len > 0)
            grpc_streams_resume_locked(call);
        else if (!c->dead)
            grpc_head_refuse_locked(call);
        grpc_conn_flush_locked(c); /* may free the call */
    }
    c->n_running--;
    pthread_cond_broadcast(&c->left);
    if (c->told && c->n_calls == 0)
        grpc_conn_wake(c);
    pthread_mutex_unlock(&c->mu); /* the connection may be gone from here on */
}

void grpc_call_run(struct grpc_call *call)
{
    struct err e = ERR_INIT;

    call->request = arena_new();
    if (!call->request)
        err_set(&e, ERR_NO_MEMORY, "no memory for a call");
    else if (call->route->run(call, &e) == ERR_OK)
        err_clear(&e);
    grpc_call_status(call, &e);
    finish(call);
}
