/*
 *   grpc_new, grpc_serve, grpc_quit, grpc_free
 *
 * Stopping: grpc_quit() marks the server and each connection. A connection says GOAWAY, its calls
 * end as soon as they would wait for their client, and when the last one has, it ends. What takes
 * longer is cut by whoever has lent the socket.
 */
#include <stdlib.h>

#include "base/log.h"
#include "wire/grpc/conn.h"

enum err_code grpc_new(struct grpc_server **out, struct node *n, const struct grpc_options *o,
                       struct err *e)
{
    struct grpc_server *s = calloc(1, sizeof *s);

    *out = NULL;
    if (!s)
        return err_set(e, ERR_NO_MEMORY, "no memory for the gRPC server");
    s->node = n;
    token_init(&s->token, o->token && *o->token ? o->token : node_options(n)->token);
    s->timeout_ns = o->timeout_ns;
    s->max_message_bytes =
        o->max_message_bytes ? o->max_message_bytes : GRPC_DEFAULT_MAX_MESSAGE_BYTES;
    pthread_mutex_init(&s->mu, NULL);
    grpc_pool_init(&s->pool);
    if (grpc_streams_setup(s, e) != ERR_OK) {
        grpc_free(s);
        return e->code;
    }
    *out = s;
    return ERR_OK;
}

static void list(struct grpc_conn *c)
{
    struct grpc_server *s = c->server;

    pthread_mutex_lock(&s->mu);
    c->next = s->first;
    if (c->next)
        c->next->prev = c;
    s->first = c;
    pthread_mutex_unlock(&s->mu);
}

static void unlist(struct grpc_conn *c)
{
    struct grpc_server *s = c->server;

    pthread_mutex_lock(&s->mu);
    if (c->prev)
        c->prev->next = c->next;
    else
        s->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    pthread_mutex_unlock(&s->mu);
}

void grpc_serve(void *server, struct channel *channel)
{
    struct grpc_conn c;

    if (!grpc_conn_init(&c, server, channel)) {
        LOG_ERROR("no memory for a gRPC connection");
        return;
    }
    node_connection_opened(c.server->node, GRPC_PROTOCOL);
    list(&c);
    grpc_conn_run(&c);
    unlist(&c);
    node_connection_closed(c.server->node, GRPC_PROTOCOL);
    grpc_conn_fini(&c);
}

void grpc_quit(struct grpc_server *s)
{
    if (!s)
        return;
    atomic_store(&s->stopping, true);
    pthread_mutex_lock(&s->mu);
    for (struct grpc_conn *c = s->first; c; c = c->next)
        grpc_conn_quit(c);
    pthread_mutex_unlock(&s->mu);
}

void grpc_free(struct grpc_server *s)
{
    if (!s)
        return;
    grpc_pool_fini(&s->pool);
    nghttp2_session_callbacks_del(s->callbacks);
    nghttp2_option_del(s->options);
    pthread_mutex_destroy(&s->mu);
    free(s);
}
