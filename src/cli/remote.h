/*
 * A conversation with a cluster over HTTP: the nodes that may be spoken to, the current database,
 * the transaction that is open, the last write's place in the log.
 *
 * Where a node cannot be reached the next one is asked, in the order of the list, but never twice
 * for the same statement if the first may have got it: then its outcome is unknown, and the error
 * says so. A transaction is its node's: it does not move. What is read after a write on another
 * node waits until that has the write (HA-Min-Seq).
 *
 * One thread. `stopping` ends what is under way: the node notices and cancels the statement.
 */
#ifndef HA_CLI_REMOTE_H
#define HA_CLI_REMOTE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <yajl/yajl_tree.h>

#include "base/err.h"
#include "base/value.h"
#include "core/sink.h"

struct remote;

/* `urls` with commas between them; speaks to nobody yet. Strings are copied; `token` may be NULL,
 * and `cacert` (call.h).
 * ERR_CONFIG for what is no URL. */
enum err_code remote_open(struct remote **out, const char *urls, const char *token,
                          const char *cacert, const volatile sig_atomic_t *stopping, struct err *e);
/* Rolls back what is open. NULL is fine. */
void remote_free(struct remote *r);

const char *remote_url(const struct remote *r);      /* of the node that is asked next */
const char *remote_node(const struct remote *r);     /* name of the one that answered last, or "" */
const char *remote_database(const struct remote *r); /* NULL = each node's default one */
/* Has another node answered than before? Says so once. */
bool remote_has_moved(struct remote *r);

enum remote_tx { REMOTE_NO_TX, REMOTE_IN_TX, REMOTE_TX_FAILED };
enum remote_tx remote_transaction(const struct remote *r);

/* Runs one statement; results go to the sink as they come. BEGIN, COMMIT and ROLLBACK are a
 * transaction's. ERR_UNKNOWN_OUTCOME: it may have taken effect or not. After an error some rows may
 * have gone to the sink. */
enum err_code remote_sql(struct remote *r, const char *sql, size_t len, const struct value *params,
                         unsigned n_params, struct sink *sink, struct err *e);

/* The node's answer to GET `path`, as a tree that the caller frees. */
enum err_code remote_get(struct remote *r, const char *path, yajl_val *tree, struct err *e);

/* For the statements from now on; NULL = the default one. ERR_TX_ACTIVE inside a transaction,
 * ERR_NO_DATABASE where the node has none of that id. */
enum err_code remote_use(struct remote *r, const char *id, struct err *e);
enum err_code remote_create_database(struct remote *r, const char *dsn, struct err *e);
enum err_code remote_drop_database(struct remote *r, const char *id, struct err *e);

#endif
