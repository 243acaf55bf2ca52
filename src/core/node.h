/*
 * The node: its databases, its sessions' shared state and what it tells about itself. Protocol
 * servers get a `struct node *` and nothing else. Every function may be called by any thread.
 */
#ifndef HA_CORE_NODE_H
#define HA_CORE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "repl/start.h"
#include "script/script.h"
#include "sql/apply.h"
#include "sql/conn.h"

struct node;

enum consistency { CONSISTENCY_SERIALIZABLE, CONSISTENCY_LWW };

/* Everything the core needs to know; filled by src/server from flags. Strings are borrowed and must
 * outlive the node. Durations in ns. */
struct node_options {
    const char *name;
    const char *version;
    const char *token; /* "" = no authentication */

    enum consistency consistency;
    bool async_replication;
    bool disable_ddl_sync;
    enum row_identify row_identify;

    const char *leader_addr;   /* NULL or "" = no election; else what the others reach it by */
    const char *leader_static; /* NULL or "" = none */

    const char *nats_url; /* comma-separated; "" = no replication at all (--nats-port 0, no URL) */
    const char *nats_user, *nats_pass; /* "" = none beyond what the URL says */
    const char *stream;                /* --replication-stream */
    int replicas;
    bool replicas_explicit; /* the flag was given: an existing stream is changed to it */
    int64_t max_age_ns;
    bool max_age_explicit;
    int64_t replication_timeout_ns;
    enum replica_start policy;
    uint64_t policy_seq;
    int64_t policy_time_ns;

    bool memory;                   /* -m: files live on tmpfs */
    const char *create_db_dir;     /* "" = creating databases is off unless memory */
    const char *data_dir;          /* where the default database and temporary spools live */
    const char *db_params;         /* --db-params */
    const char *const *extensions; /* NULL-terminated */
    int concurrent_queries;        /* read connections per node */
    int64_t query_timeout_ns;      /* 0 = none */
    int64_t tx_idle_timeout_ns;
    int64_t snapshot_interval_ns;     /* 0 = none by the clock */
    bool from_latest_snapshot;        /* a new database begins with the newest snapshot */
    bool adopt;                       /* a file whose log is gone begins a new one */
    size_t max_result_bytes;          /* buffered result of one write request */
    const struct script *interceptor; /* NULL = none; CONSISTENCY_LWW only, not asynchronous */

    /* Called about once a second while no database can follow its log, with how long that has
     * lasted since NATS was connected last, and whether it still is. By the ticker, so it blocks
     * for a second or two at most; NULL = nobody wants to know. */
    void (*log_quiet)(void *arg, int64_t quiet_ns, bool connected);
    void *log_quiet_arg;
    /* The server that calls itself `server_id` has answered nothing useful about JetStream for the
     * better part of a minute, and another one does. Again and again until it answers, or is
     * another one. Called by a thread of the node, may block; NULL = nobody wants to know. */
    void (*server_useless)(void *arg, const char *server_id);
    void *server_useless_arg;
    /* Called every few seconds while the node is not connected to `nats_url`: is the embedded
     * server to blame? By the same thread, with the same argument; NULL = nobody wants to know. */
    void (*server_left)(void *arg);
};

/* A source that a database mirrors (src/proxy), as people are told about it. Strings are static. */
struct node_source_status {
    const char *kind;              /* "postgresql" */
    const char *state;             /* "following", "stopped" … */
    const char *unit;              /* of `lag` */
    bool copied;                   /* the database holds a whole state of the source */
    char reason[ERR_MSG_SIZE];     /* why it stopped, or whom it waits for; "" = nothing to say */
    char last_error[ERR_MSG_SIZE]; /* the last failure, over or not */
    char position[1024];           /* in the source's words; "" = none yet */
    int64_t source_time_ns; /* wall clock: when the source committed what came last, 0 = unknown */
    uint64_t lag;           /* what the source has and the database not */
    uint64_t transactions, changes; /* taken over by this node */
    uint64_t copied_rows, failures;
};
struct node_source {
    const char *database;                                    /* id */
    void (*look)(void *arg, struct node_source_status *out); /* any thread; must not block */
    void *arg;
};

/* Opens nothing yet. */
enum err_code node_new(struct node **out, const struct node_options *opt, struct err *e);

/* Opens a database given on the command line: "file:a.db?x=y", "a.db", with its own parameters.
 * The first one opened is the default. Call before node_start(). */
enum err_code node_add_file(struct node *n, const char *dsn, struct err *e);

/* Connects to NATS and starts the databases' appliers. Returns at once: node_ready() tells. */
enum err_code node_start(struct node *n, struct err *e);

/* The node gives up its lead, if it has it, and does not stand for it again: the first thing to do
 * where it is about to stop. Returns at once. */
void node_abdicate(struct node *n);

/* Refuses new requests with ERR_SHUTDOWN, waits for running ones until the deadline, then
 * interrupts them; checkpoints and closes the databases and the NATS connection. */
void node_stop(struct node *n, int64_t deadline_ns);
void node_free(struct node *n);

const struct node_options *node_options(const struct node *n);

/* Every database of the node holds all that the log had when the node connected, and none is
 * stopped. With `sync`: holds everything the log has now (asks the server, up to the deadline).
 * Otherwise false, and `why` says in one line what is missing. */
bool node_ready(struct node *n, bool sync, int64_t deadline_ns, struct buf *why);

/* In one line for people: how many databases, and how far the one is that is furthest behind. */
void node_summary(struct node *n, struct buf *text);

/* The address of the leader, cut to `size`; false, and "", where there is none. */
bool node_leader(struct node *n, char *address, size_t size);

/* ---- databases ---- */

/* JSON out: {"databases": ["a.db", …]} */
void node_list_databases(struct node *n, struct buf *json);
/* ids one by one: false at the end. `id` is copied out. */
bool node_database_at(struct node *n, size_t index, char *id, size_t size);

/* On every node of the cluster. `dsn`: a file name, with DSN parameters behind "?". */
enum err_code node_create_database(struct node *n, const char *dsn, struct err *e);
enum err_code node_drop_database(struct node *n, const char *id, struct err *e);

/* A consistent copy of database `id` (NULL: default) in pieces; `write` returns false to end early.
 */
enum err_code node_download(struct node *n, const char *id,
                            bool (*write)(void *arg, const void *bytes, size_t len), void *arg,
                            struct err *e);

/* Takes a snapshot of database `id` (NULL: default) into the object store, unless there is one of
 * this position already: *seq is its position, `json` tells the rest. Blocks until it is there. */
enum err_code node_snapshot(struct node *n, const char *id, uint64_t *seq, struct buf *json,
                            struct err *e);
/* The newest sound snapshot in the store, as a file; `begin` is called once before the first piece.
 * ERR_NOT_FOUND. */
enum err_code node_snapshot_download(struct node *n, const char *id,
                                     void (*begin)(void *arg, uint64_t seq),
                                     bool (*write)(void *arg, const void *bytes, size_t len),
                                     void *arg, struct err *e);

/* Compares what all nodes hold of a database (NULL: default) at one and the same seq, while writes
 * go on: {"database", "seq", "equal", "nodes", "expected", "complete", "silent", "tables",
 * "differences", "problems"}, see openapi.yaml. `expected` says who should answer: a number of
 * nodes, names with commas between them, or NULL: all that the roster knows. ERR_BUSY where the
 * nodes could not be made to stand at the same seq, ERR_PARAM where `expected` says nothing. */
enum err_code node_verify(struct node *n, const char *id, const char *expected, struct buf *json,
                          struct err *e);

/* ---- the log as history ---- */

/*
 * The transactions of a database's (NULL: default) log as {"history": […], "next"}, see
 * openapi.yaml: from `from` on, which is what stands behind HISTORY, at most `limit` of them, and
 * where it goes on; with `from` NULL the last ones. `gone` as in session_open(), may be NULL.
 */
enum err_code node_history(struct node *n, const char *id, const char *from, uint64_t limit,
                           bool (*gone)(void *arg), void *arg, struct buf *json, struct err *e);
/* `statement` is UNDO, UNDOE or UNDOT, and `from` stands behind it. *seq is that of the new
 * transaction's message, 0 = there is none, or not yet; `json` tells what was done. */
enum err_code node_undo(struct node *n, const char *id, const char *statement, const char *from,
                        bool (*gone)(void *arg), void *arg, uint64_t *seq, struct buf *json,
                        struct err *e);

/* ---- what it tells ---- */

/* One of its databases mirrors a source: /status, /metrics and node_ready() tell about it. Once at
 * most; borrowed until node_stop() has returned. */
void node_set_source(struct node *n, const struct node_source *s);

/* {"replications": [{"name", "database", "seq", "lag", "last_seen", …}, …]} of one database
 * (NULL: default); with `name`, of that node only (ERR_NOT_FOUND). */
enum err_code node_replications(struct node *n, const char *id, const char *name, struct buf *json,
                                struct err *e);
enum err_code node_remove_replication(struct node *n, const char *id, const char *name,
                                      struct err *e);

void node_status(struct node *n, struct buf *json);  /* /status */
void node_metrics(struct node *n, struct buf *text); /* Prometheus text format 0.0.4 */

/* Connection accounting for metrics; `protocol` is a static string known to the node. */
void node_connection_opened(struct node *n, const char *protocol);
void node_connection_closed(struct node *n, const char *protocol);

#endif
