/*
 * What nodes ask each other about a database: how far are you, and give me your copy. The questions
 * travel as nats/rpc.h says, under the prefix <stream>_RPC.
 *
 *     position   body: database id      answer: "<seq> <stream created, ns> <node name>"
 *                                       or, where it does not follow its log:
 *                                       "! <node name>\n<why>"
 *     copy       body: database id      a stream: the file
 *
 * Only a replica that follows its log has a position and gives a copy: what it holds is a prefix of
 * that log. Any thread; blocks.
 */
#ifndef HA_REPL_PEER_H
#define HA_REPL_PEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "nats/client.h"
#include "nats/rpc.h"
#include "repl/replica.h"
#include "sql/position.h"

#define PEER_PREFIX_SIZE 160
#define PEER_NAME_SIZE   256
#define PEER_POSITION    "position"
#define PEER_COPY        "copy"

void peer_prefix(const char *stream, char out[PEER_PREFIX_SIZE]);

/* What is to be copied, and where to; everything is borrowed. */
struct peer_wanted {
    const char *stream;            /* --replication-stream */
    const char *id;                /* of the database */
    const char *path;              /* must not exist */
    const char *const *extensions; /* that the check of the file needs; NULL = none */
    const atomic_bool *cancel;     /* ends it with ERR_INTERRUPTED; NULL = never */
    uint64_t least;                /* nodes that are not as far are not asked */
    /* Is a copy at this position of any use? ERR_NOT_FOUND: no, and the next node is asked. NULL:
     * every copy is. */
    enum err_code (*fits)(void *arg, const struct position *pos, struct err *e);
    void *arg;
};

/*
 * Takes a copy from the node that is furthest, this one excepted; where it fails, or what it has
 * does not fit, from the next one. It is complete, checked (digest, PRAGMA integrity_check) and
 * synced, its position, *pos, is inside. ERR_NOT_FOUND: no other node has the database, or none
 * that fits; other errors are those of the last node that was asked, and worth another try.
 */
enum err_code peer_copy(struct nats_client *c, const struct peer_wanted *w, struct position *pos,
                        struct err *e);

struct peer_position {
    char name[PEER_NAME_SIZE];
    uint64_t seq;
    char stopped[ERR_MSG_SIZE]; /* why it has no position; "" = it has one */
};
/* False: an answer that says nothing about a position, or cannot be understood. */
bool peer_read_position(const struct rpc_answer *a, struct peer_position *out);

/* The other side. `file` is the database's, `tmp_dir` where its copy is made. With asynchronous
 * replication local writes pause until what is in the outbox has reached the log and the copy has
 * begun; ERR_BUSY where that takes too long. */
enum err_code peer_serve_position(struct rpc_call *call, struct replica *r, const char *node,
                                  struct err *e);
enum err_code peer_serve_copy(struct rpc_call *call, struct replica *r, const char *node,
                              const char *file, const char *tmp_dir, struct err *e);

#endif
