/* What other nodes ask this one. The questions are described in repl/peer.h. */
#include "repl/peer.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/impl.h"
#include "repl/handover.h"

/* Finds the database that the question is about; NULL and `e` where it cannot be asked. */
static struct database *asked_about(struct node *n, const struct rpc_call *call, struct err *e)
{
    size_t len;
    struct database *d = NULL;
    if (node_find(n, rpc_call_body(call, &len), &d, e) != ERR_OK)
        return NULL;
    if (!database_replica(d)) {
        err_set(e, ERR_STOPPED, "the database is not open yet");
        database_unref(d);
        return NULL;
    }
    return d;
}

static enum err_code position(void *node, struct rpc_call *call, struct err *e)
{
    struct node *n = node;
    struct database *d = asked_about(n, call, e);
    if (!d)
        return e->code;
    enum err_code code = peer_serve_position(call, database_replica(d), n->opt.name, e);
    database_unref(d);
    return code;
}

static enum err_code copy(void *node, struct rpc_call *call, struct err *e)
{
    struct node *n = node;
    struct database *d = asked_about(n, call, e);
    if (!d)
        return e->code;
    enum err_code code = peer_serve_copy(call, database_replica(d), n->opt.name, database_path(d),
                                         n->opt.data_dir, e);
    database_unref(d);
    return code;
}

static enum err_code content(void *node, struct rpc_call *call, struct err *e)
{
    return verify_answer(node, call, e);
}

static enum err_code sums(void *node, struct rpc_call *call, struct err *e)
{
    return agreement_hear(node, call, e);
}

static enum err_code run(void *node, struct rpc_call *call, struct err *e)
{
    return travel_serve(node, call, e);
}

static const struct rpc_method methods[] = {
    {PEER_POSITION, 0, position}, {PEER_COPY, 4, copy},
    {VERIFY_CONTENT, 4, content}, {HANDOVER_METHOD, HANDOVER_AT_ONCE, run},
    {AGREEMENT_SUMS, 0, sums},
};

void peers_serve(struct node *n)
{
    char prefix[PEER_PREFIX_SIZE];
    struct err e = ERR_INIT;
    if (n->peers && rpc_service_is_lost(n->peers)) {
        rpc_service_close(n->peers);
        n->peers = NULL;
    }
    if (n->peers || !node_connected(n))
        return;
    peer_prefix(n->opt.stream, prefix);
    if (rpc_service_open(&n->peers, n->client, prefix, methods, sizeof methods / sizeof *methods, n,
                         &e) != ERR_OK)
        LOG_WARN("other nodes cannot ask this one", LOG_STR("reason", e.msg));
}
