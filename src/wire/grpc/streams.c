/*
 * nghttp2's callbacks. All of them run inside nghttp2_session_mem_recv() or …_mem_send(), with the
 * connection's mutex held.
 *
 * What a client may cost without being a good client is limited here and by nghttp2: streams that
 * are opened and reset at once (a bucket of resets, and calls whose client has left count until
 * their thread is done), settings and pings whose answers are not read (outbound acknowledgements),
 * long header blocks, continuations.
 */
#include <string.h>

#include "wire/grpc/conn.h"

#define RESETS_BURST 1000u
#define RESETS_PER_S 100u
#define ACKS_MAX     1000u /* not yet sent */
#define SETTINGS_MAX 32u   /* entries in a frame */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
    struct grpc_conn *c = arg;
    struct grpc_call *call;

    if (f->hd.type != NGHTTP2_HEADERS || f->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (c->n_calls >= GRPC_CALLS_MAX || c->told) {
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, f->hd.stream_id,
                                        NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    call = grpc_call_new_locked(c, f->hd.stream_id);
    if (!call)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    (void)nghttp2_session_set_stream_user_data(session, f->hd.stream_id, call);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    struct grpc_call *call = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);

    (void)flags;
    (void)arg;
    if (!call || f->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    return grpc_head_take(call, name, name_len, value, value_len)
               ? 0
               : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* All headers are there: it runs, or is answered at once. */
static void begin(struct grpc_call *call)
{
    struct grpc_conn *c = call->conn;
    struct err e = ERR_INIT;

    if (!grpc_head_accept_locked(call))
        return;
    call->running = true;
    c->n_running++;
    if (grpc_pool_run(&c->server->pool, call))
        return;
    call->running = false;
    c->n_running--;
    err_set(&e, ERR_TOO_MANY, "the node runs as many calls as it can");
    grpc_call_status(call, &e);
    grpc_head_refuse_locked(call);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
    struct grpc_conn *c = arg;
    struct grpc_call *call;

    if (f->hd.type == NGHTTP2_SETTINGS)
        c->greeted = true;
    if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA)
        return 0;
    call = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);
    if (!call)
        return 0;
    if (f->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        call->in_end = true;
        pthread_cond_broadcast(&call->changed);
    }
    if (f->hd.type == NGHTTP2_HEADERS && f->headers.cat == NGHTTP2_HCAT_REQUEST)
        begin(call);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                   size_t n, void *arg)
{
    struct grpc_call *call = nghttp2_session_get_stream_user_data(session, stream);

    (void)flags;
    (void)arg;
    (void)nghttp2_session_consume_connection(session, n);
    if (call)
        grpc_call_feed_locked(call, bytes, n);
    else
        (void)nghttp2_session_consume_stream(session, stream, n);
    return 0;
}

/* An answer that is whole before its request is: the client need not send the rest. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
    struct grpc_call *call;

    (void)arg;
    if (f->hd.type != NGHTTP2_HEADERS || !(f->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    call = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);
    if (call && !call->in_end)
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, f->hd.stream_id,
                                        NGHTTP2_NO_ERROR);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *arg)
{
    struct grpc_call *call = nghttp2_session_get_stream_user_data(session, stream);

    (void)error;
    (void)arg;
    if (!call)
        return 0;
    call->closed = true;
    (void)nghttp2_session_set_stream_user_data(session, stream, NULL);
    if (call->running)
        grpc_call_leave_locked(call);
    else
        grpc_call_free_locked(call);
    return 0;
}

/* ---- out ---- */

static ssize_t give(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                    uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct grpc_call *call = source->ptr;
    size_t n = call->out.len - call->out_at;

    (void)session;
    (void)stream;
    (void)arg;
    n = n < room ? n : room;
    if (n > 0)
        memcpy(to, call->out.data + call->out_at, n);
    call->out_at += n;
    if (call->out_at == call->out.len) {
        buf_reset(&call->out);
        call->out_at = 0;
    }
    if (n > 0 && call->out.len - call->out_at <= GRPC_OUT_BYTES / 2)
        pthread_cond_broadcast(&call->changed);
    if (call->out.len == 0 && call->out_end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (grpc_head_trailers_locked(call) != 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        return (ssize_t)n;
    }
    return n > 0 ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
}

void grpc_streams_resume_locked(struct grpc_call *call)
{
    struct grpc_conn *c = call->conn;
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = give};

    if (call->closed || c->dead)
        return;
    if (call->answered) {
        (void)nghttp2_session_resume_data(c->session, call->stream);
        return;
    }
    call->answered = true;
    if (grpc_head_answer_locked(call, &body) != 0)
        c->dead = true;
}

/* ---- set up ---- */

enum err_code grpc_streams_setup(struct grpc_server *s, struct err *e)
{
    if (nghttp2_session_callbacks_new(&s->callbacks) != 0 || nghttp2_option_new(&s->options) != 0)
        return err_set(e, ERR_NO_MEMORY, "no memory for the gRPC server");
    nghttp2_session_callbacks_set_on_begin_headers_callback(s->callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(s->callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(s->callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(s->callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(s->callbacks, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(s->callbacks, on_close);
    nghttp2_option_set_no_auto_window_update(s->options, 1);
    nghttp2_option_set_no_closed_streams(s->options, 1);
    nghttp2_option_set_max_outbound_ack(s->options, ACKS_MAX);
    nghttp2_option_set_max_settings(s->options, SETTINGS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(s->options, RESETS_BURST, RESETS_PER_S);
    return ERR_OK;
}
