#include "core/link.h"

#include "core/impl.h"

#define LINK_JS_TIMEOUT_MS 3000

/* Called by a thread of the NATS library. */
static void changed(void *arg, bool connected)
{
    struct link *l = arg;
    struct node *n = l->node;
    atomic_store(&l->connected, connected);
    pthread_mutex_lock(&n->mu);
    l->losses += connected ? 0 : 1;
    for (size_t i = 0; i < n->n_dbs; i++)
        if (database_link(n->dbs[i]) == l && database_replica(n->dbs[i]))
            replica_connection_changed(database_replica(n->dbs[i]), connected);
    pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->mu);
}

enum err_code link_open(struct link *l, struct node *n, struct err *e)
{
    struct nats_client_options co = {.url = n->opt.nats_url,
                                     .user = n->opt.nats_user,
                                     .pass = n->opt.nats_pass,
                                     .name = n->opt.name,
                                     .timeout_ms = LINK_JS_TIMEOUT_MS,
                                     .feeds = (unsigned)n->n_dbs,
                                     .changed = changed,
                                     .arg = l};
    struct nats_client *c = NULL;
    l->node = n;
    enum err_code code = nats_client_open(&c, &co, e);
    pthread_mutex_lock(&n->mu);
    l->client = c;
    pthread_mutex_unlock(&n->mu);
    return code;
}

void link_leave(struct link *l)
{
    if (l->client)
        nats_client_leave(l->client);
}

void link_close(struct link *l)
{
    nats_client_close(l->client);
    l->client = NULL;
}

enum err_code link_choose(struct node *n, struct link **out, struct err *e)
{
    struct link *l = &n->links[n->next_link % NODE_LINKS];
    *out = l;
    if (!n->links[0].client) /* no replication */
        return ERR_OK;
    n->next_link++;
    return l->client ? ERR_OK : link_open(l, n, e);
}

void link_catch_up_locked(const struct link *l, struct database *d, uint64_t losses)
{
    if (l->losses != losses)
        replica_connection_changed(database_replica(d), false);
    if (atomic_load(&l->connected))
        replica_connection_changed(database_replica(d), true);
}

uint64_t link_stepdowns(struct node *n)
{
    uint64_t sum = 0;
    pthread_mutex_lock(&n->mu);
    for (size_t i = 0; i < NODE_LINKS; i++)
        sum += n->links[i].client ? nats_client_stepdowns(n->links[i].client) : 0;
    pthread_mutex_unlock(&n->mu);
    return sum;
}
