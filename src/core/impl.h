/* What the files of src/core share: the node's fields, grouped by guard. See node.h. */
#ifndef HA_CORE_IMPL_H
#define HA_CORE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/name.h"
#include "base/sha256.h"
#include "core/database.h"
#include "core/lease.h"
#include "core/link.h"
#include "core/node.h"
#include "core/upstream.h"
#include "nats/client.h"
#include "nats/stream.h"
#include "os/file.h"

#define NODE_MAX_DATABASES 10000
#define NODE_MAX_PROTOCOLS 8
#define NODE_SCRIPTS       64 /* other nodes whose interceptors are known */

struct session;

/* The interceptor of another node: its name as a token, the script's digest or SCRIPTS_NONE. */
struct script_of {
    char node[NAME_TOKEN_SIZE];
    char digest[SHA256_TEXT_SIZE];
};

struct node {
    /* immutable after node_start */
    struct node_options opt;
    struct nats_client *client; /* links[0].client; NULL = no replication */
    char memory_dir[FILE_TEMP_SIZE];
    int memory_lock;
    bool memory_real;
    pthread_t ticker, catalog, snapshots, watch;
    bool has_ticker, has_catalog, has_snapshots, has_watch;
    int64_t started_wall_ns;
    struct lease *leader_lease;          /* NULL: no leader is elected; stopped by node_stop() */
    const struct upstream_ops *upstream; /* NULL: clients write here */
    void *upstream_arg;

    /* the ticker's thread; after it has ended node_stop()'s */
    struct rpc_service *peers;
    struct database *checking; /* by the thread `checker`; NULL = there is none */
    pthread_t checker;

    /* held while a database is opened and listed; taken before mu */
    pthread_mutex_t opening;
    unsigned next_link; /* guarded by `opening`, but for node_start() */

    /* atomic; set once */
    const struct node_source *_Atomic source; /* NULL = none */

    /* guard themselves; see link.h */
    struct link links[NODE_LINKS];

    /* guarded by mu */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    struct database **dbs; /* the first one is the default */
    size_t n_dbs;
    bool started, stopping;
    bool snapshotting;        /* a snapshot is being taken */
    size_t running;           /* requests under way */
    struct session *sessions; /* all open ones */
    char leader_name[256];    /* what the static leader calls itself; "" = it has not said */
    struct script_of scripts[NODE_SCRIPTS];
    size_t n_scripts;
    struct stream_feed *catalog_feed; /* the catalog thread's; here so that stopping can wake it */

    /* atomic */
    atomic_bool leader_is_self; /* this node is the static leader */
    atomic_bool checked;        /* the checker is done */
    atomic_bool leave;          /* stopping: what can be done again another time ends */
    atomic_bool interrupt;      /* stopping, and the deadline has passed */
    struct {
        const char *_Atomic name;
        atomic_llong open, total;
    } protocols[NODE_MAX_PROTOCOLS];
    atomic_llong requests, request_errors;
    atomic_llong upstream_calls; /* writes, and transactions, that went upstream */
    atomic_llong nats_moves;     /* connections that left a server which was of no use */
};

/* Is the node's own connection to NATS there? */
static inline bool node_connected(const struct node *n)
{
    return atomic_load(&n->links[0].connected);
}

/* The same by the subject of its log; NULL = there is none. */
struct database *node_find_log(struct node *n, const char *subject);
/* Opens `d` and lists it; takes the reference over in every case. ERR_DATABASE_EXISTS. */
enum err_code node_adopt(struct node *n, struct database *d, struct err *e);
/* Takes it off the list, closes it when the last session leaves it, and deletes its files. */
void node_discard(struct node *n, struct database *d);

/* A request begins and ends: ERR_SHUTDOWN while the node stops. */
enum err_code node_enter(struct node *n, struct err *e);
void node_leave(struct node *n);

/* ---- session.c ---- */
void session_list_add(struct session *s);
void session_list_remove(struct session *s);
struct session *session_list_next(struct session *s); /* n->mu is held */
/* Ends explicit transactions that read and idle too long; n->mu is held. */
void session_tick_locked(struct node *n, int64_t now_ns);

/* ---- catalog.c: databases created and dropped anywhere in the cluster ---- */

void *catalog_main(void *node);
/* A new database where created ones live on this node; `dsn` is a bare file name with parameters.
 */
enum err_code catalog_database(struct node *n, const char *dsn, struct database **out,
                               struct err *e);
enum err_code catalog_announce_create(struct node *n, const char *dsn, const char *id,
                                      struct err *e);
/* Tells every node, and deletes the log and the snapshots. */
enum err_code catalog_announce_drop(struct node *n, struct database *d, struct err *e);

/* ---- snapshots.c: taken by the clock and when asked ---- */

void *snapshots_main(void *node);
/* Of a database that is dropped. */
enum err_code snapshots_forget(struct node *n, struct database *d, struct err *e);
/* What is left of databases of this name whose logs were created at these times. */
void snapshots_collect(struct node *n, const char *id, const int64_t *dropped, size_t n_dropped);
/* ,"snapshot":{…} of a database in /status. */
void snapshots_put_status(struct database *d, struct buf *json);

/* ---- roster.c: what the nodes say of their positions ---- */
void roster_publish(struct node *n);
struct roster_line {
    char name[256], database[256], version[64];
    uint64_t seq;
    int64_t log_created; /* the stream that it means; 0 = it does not say */
    int64_t time_ns;     /* when the node said so; it speaks when it has moved, and when it stops */
};
typedef void roster_line_fn(void *arg, const struct roster_line *line);
/* What every node that ever held database `id`, and was not removed from the roster, said last. */
enum err_code roster_each(struct node *n, const char *id, roster_line_fn *each, void *arg,
                          struct err *e);
/* Has another node than this one ever said that it holds database `id`? Any thread; `node` is a
 * struct node. */
enum err_code roster_others(void *node, const char *id, bool *any, struct err *e);

/* ---- leader.c: who leads; see leader.h ---- */
enum err_code leader_start(struct node *n, struct err *e);
/* ,"leader":{…} of /status; nothing where there is to be none. */
void leader_put_status(struct node *n, struct buf *json);
/* Likewise, in Prometheus' text format. */
void leader_put_metrics(struct node *n, struct buf *text);

/* ---- watch.c: connections to servers that are of no use ---- */
void *watch_main(void *node);

/* ---- peers.c: what other nodes ask this one ---- */
/* Begins to answer, if NATS is connected; node_start(), then the ticker's thread. */
void peers_serve(struct node *n);

/* ---- agreement.c: do all nodes have the same messages? ---- */
#define AGREEMENT_SUMS "sums"
struct rpc_call;
void agreement_tell(struct node *n); /* the ticker's thread */
/* Another node has told. Any thread; does not block. */
enum err_code agreement_hear(struct node *n, struct rpc_call *call, struct err *e);

/* ---- scripts.c: do all nodes have the same interceptor? ---- */
#define SCRIPTS_NONE "-"
/* The digest of this node's, or SCRIPTS_NONE. */
const char *scripts_own(const struct node *n);
/* Node `node` (a token) has told its own. Any thread. */
void scripts_hear(struct node *n, const char *node, const char *digest);
size_t scripts_unlike(struct node *n);                     /* how many have another one */
void scripts_put_status(struct node *n, struct buf *json); /* ,"interceptor":{…} in /status */

/* ---- travel.c: transactions that this node runs for another one (repl/handover.h) ---- */
enum err_code travel_serve(struct node *n, struct rpc_call *call, struct err *e);

/* ---- check.c: comparing with other nodes after a restore ---- */
void check_look(struct node *n); /* the ticker's thread */
void check_end(struct node *n);  /* waits for what it has begun; node_stop() */
/* ,"verified":{…} of a database in /status. */
void check_put_status(struct database *d, struct buf *json);

/* ---- verify.c: do all nodes hold the same? ---- */
#define VERIFY_CONTENT "content"
/* Another node (or this one) asks what a database holds. */
enum err_code verify_answer(struct node *n, struct rpc_call *call, struct err *e);

#endif
