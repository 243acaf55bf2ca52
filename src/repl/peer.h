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

/*
 * Takes a copy of database `id` from the node that is furthest, this one excepted, into the file
 * `path`, which must not exist. It is complete, checked (digest, PRAGMA integrity_check) and
 * synced, its position, *pos, is inside. Where one node fails the next one is asked. `stream` is
 * --replication-stream, `extensions` are what the check of the file needs (NULL = none), *cancel
 * (may be NULL) ends it with ERR_INTERRUPTED. ERR_NOT_FOUND: no other node has the database.
 */
enum err_code peer_copy(struct nats_client *c, const char *stream, const char *id, const char *path,
                        const char *const *extensions, struct position *pos,
                        const atomic_bool *cancel, struct err *e);

struct peer_position {
    char name[PEER_NAME_SIZE];
    uint64_t seq;
    char stopped[ERR_MSG_SIZE]; /* why it has no position; "" = it has one */
};
/* False: an answer that says nothing about a position, or cannot be understood. */
bool peer_read_position(const struct rpc_answer *a, struct peer_position *out);

/* The other side. `file` is the database's, `tmp_dir` where its copy is made. */
enum err_code peer_serve_position(struct rpc_call *call, struct replica *r, const char *node,
                                  struct err *e);
enum err_code peer_serve_copy(struct rpc_call *call, struct replica *r, const char *node,
                              const char *file, const char *tmp_dir, struct err *e);

#endif
