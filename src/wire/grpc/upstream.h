/*
 * Writes at a follower go to the leader: core/upstream.h over ha.v1.Leader/Run (core/order.h says
 * what is sent). All sessions of a node share a connection to the leader, or a few.
 *
 *     grpc_upstream_new ──► node_set_upstream(n, &grpc_upstream_ops, u) ──► … ──►
 * grpc_upstream_free
 */
#ifndef HA_WIRE_GRPC_UPSTREAM_H
#define HA_WIRE_GRPC_UPSTREAM_H

#include <stdbool.h>

#include "base/err.h"
#include "core/upstream.h"

struct grpc_upstream;

/* `token` (NULL or "" = none) is what the leader wants; copied. `insecure`: without TLS. The node
 * is borrowed, and every session of it ends before grpc_upstream_free(). ERR_NO_MEMORY. */
enum err_code grpc_upstream_new(struct grpc_upstream **out, struct node *n, const char *token,
                                bool insecure, struct err *e);
void grpc_upstream_free(struct grpc_upstream *u); /* NULL is fine */

extern const struct upstream_ops grpc_upstream_ops; /* its argument is the struct grpc_upstream */

#endif
