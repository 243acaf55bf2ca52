/*
 * After a restore: does the database hold what the other nodes hold? The ticker notices that one
 * was restored and has caught up, and has a thread ask all nodes (verify.c), one database at a
 * time.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/json_tree.h"
#include "base/log.h"
#include "core/impl.h"

#define CHECK_TRIES   5
#define CHECK_REST_NS (5 * CLOCK_S) /* after a try that failed */

static bool is_due(struct database *d)
{
    const struct check_record *rec = database_checks(d);
    struct replica_status rs;
    if (!database_replica(d))
        return false;
    replica_status(database_replica(d), &rs);
    return rs.restores > rec->restores && rs.state == REPLICA_FOLLOWING && rs.caught_up &&
           clock_mono_ns() >= rec->next_ns;
}

static size_t length(yajl_val v, const char *name)
{
    return json_tree_length(json_tree_member(v, name, yajl_t_array));
}

/* False where the report says nothing: the node is stopping. */
static bool note(struct database *d, struct buf *json)
{
    struct check_record *rec = database_checks(d);
    yajl_val tree = yajl_tree_parse(buf_cstr(json), NULL, 0);
    int64_t seq = json_tree_integer(tree, "seq", -1);
    size_t nodes = length(tree, "nodes"), differences = length(tree, "differences");
    bool ok = seq >= 0 && nodes > 0;
    if (ok) {
        atomic_store(&rec->seq, (uint64_t)seq);
        atomic_store(&rec->equal, differences == 0);
        atomic_store(&rec->time_ns, clock_wall_ns());
    }
    if (ok && differences == 0)
        LOG_INFO("the restored database was compared with the other nodes: equal",
                 LOG_STR("db", database_id(d)), LOG_UINT("seq", atomic_load(&rec->seq)),
                 LOG_UINT("nodes", nodes),
                 LOG_UINT("not_compared", length(tree, "silent") + length(tree, "problems")));
    else if (ok)
        LOG_ERROR("the restored database is not what other nodes hold: ha verify says where",
                  LOG_STR("db", database_id(d)), LOG_UINT("seq", atomic_load(&rec->seq)),
                  LOG_UINT("differences", differences));
    yajl_tree_free(tree);
    return ok;
}

static void *check_main(void *node)
{
    struct node *n = node;
    struct database *d = n->checking;
    struct check_record *rec = database_checks(d);
    struct replica_status rs;
    struct buf json = BUF_INIT;
    struct err e = ERR_INIT;
    replica_status(database_replica(d), &rs);
    bool told = node_verify(n, database_id(d), NULL, &json, &e) == ERR_OK && note(d, &json);
    rec->tries = told ? 0 : rec->tries + 1;
    rec->next_ns = clock_deadline(CHECK_REST_NS);
    if (told || rec->tries == CHECK_TRIES)
        rec->restores = rs.restores;
    if (!told && rec->tries == CHECK_TRIES) {
        rec->tries = 0;
        LOG_WARN("the restored database could not be compared with the other nodes",
                 LOG_STR("db", database_id(d)), LOG_STR("reason", e.msg));
    }
    buf_free(&json);
    atomic_store(&n->checked, true);
    return NULL;
}

void check_end(struct node *n)
{
    if (!n->checking)
        return;
    pthread_join(n->checker, NULL);
    database_unref(n->checking);
    n->checking = NULL;
}

void check_look(struct node *n)
{
    if (n->checking && !atomic_load(&n->checked))
        return;
    check_end(n);
    pthread_mutex_lock(&n->mu);
    for (size_t i = 0; i < n->n_dbs && !n->checking; i++)
        if (is_due(n->dbs[i]))
            n->checking = database_ref(n->dbs[i]);
    pthread_mutex_unlock(&n->mu);
    if (!n->checking)
        return;
    atomic_store(&n->checked, false);
    if (pthread_create(&n->checker, NULL, check_main, n) != 0) { /* another time */
        database_unref(n->checking);
        n->checking = NULL;
    }
}

void check_put_status(struct database *d, struct buf *json)
{
    struct check_record *rec = database_checks(d);
    char when[CLOCK_TEXT_SIZE];
    int64_t time_ns = atomic_load(&rec->time_ns);
    if (time_ns == 0) {
        buf_puts(json, ",\"verified\":null");
        return;
    }
    clock_format(time_ns, when);
    buf_printf(json, ",\"verified\":{\"seq\":%" PRIu64 ",\"equal\":%s,\"time\":\"%s\"}",
               atomic_load(&rec->seq), atomic_load(&rec->equal) ? "true" : "false", when);
}
