/*
 * ha.v1.Leader/Run: what another node's client writes is run here, because this node leads. What is
 * in the messages says core/order.h; any message that comes while one is run cancels it.
 */
#include "core/errand.h"
#include "proto/pbwire.h"
#include "wire/grpc/conn.h"

/* Does nobody wait for it any more, or has the follower something to say meanwhile? */
static bool is_unwanted(void *arg)
{
    struct grpc_call *call = arg;

    if (atomic_load(&call->gone))
        return true;
    pthread_mutex_lock(&call->conn->mu);
    bool more = call->in.len > call->in_at;
    pthread_mutex_unlock(&call->conn->mu);
    return more;
}

static enum err_code converse(struct grpc_call *call, struct errand *x, struct err *e)
{
    const char *bytes = NULL;
    size_t len = 0;
    bool over = false, more = true;

    struct buf answer = BUF_INIT;
    while (more && grpc_call_read(call, true, &bytes, &len, &over, e) == ERR_OK && !over) {
        buf_reset(&answer);
        if (!pb_content(&bytes, &len))
            err_set(e, ERR_PROTOCOL, "this is no Order");
        else
            (void)errand_run(x, bytes, len, &answer, &more, e);
        grpc_call_forget(call);
        if (e->code != ERR_OK)
            break;
        if (answer.len == 0)
            continue;
        pb_bytes(&call->reply, 1, answer.data, answer.len);
        if (grpc_call_reply(call, e) != ERR_OK)
            break;
    }
    buf_free(&answer);
    return e->code;
}

enum err_code grpc_leader(struct grpc_call *call, struct err *e)
{
    struct errand *x = NULL;

    call->deadline_ns = CLOCK_EVER; /* orders bring their own, and may wait for the next one */
    if (errand_open(&x, call->conn->server->node, is_unwanted, call, e) != ERR_OK)
        return e->code;
    grpc_call_session(call, errand_session(x));
    (void)converse(call, x, e);
    grpc_call_session(call, NULL);
    errand_close(x);
    return e->code;
}
