/* What query.c and batch.c share: the session of a call that runs SQL. The call's thread only. */
#ifndef HA_WIRE_GRPC_SQL_H
#define HA_WIRE_GRPC_SQL_H

#include "proto/grpcsql.h"
#include "wire/grpc/conn.h"
#include "wire/grpc/rows.h"

struct grpc_sql {
    struct grpc_call *call;
    struct session *session;
    struct grpc_rows rows;
    uint64_t seq, position; /* of the request that ran last */
    size_t failed;          /* which of its queries failed, or ran last */
};

enum err_code grpc_sql_begin(struct grpc_sql *q, struct grpc_call *call, struct err *e);
void grpc_sql_end(struct grpc_sql *q);
const struct node_options *grpc_sql_node(const struct grpc_sql *q);
/* The database that a request names, else the one that its call does, else the default one. */
enum err_code grpc_sql_use(struct grpc_sql *q, const char *database, struct err *e);
struct request_options grpc_sql_options(const struct grpc_sql *q, uint64_t min_seq);
/* The codec's struct as the session's, in `a`. ERR_NO_MEMORY is in `e`. */
struct query grpc_sql_query(struct arena *a, const struct grpcsql_request *r, struct err *e);
/* Runs them into `sink`; what is in q->rows.ready leaves whenever it pauses. */
enum err_code grpc_sql_run(struct grpc_sql *q, const struct query *queries, size_t n,
                           const struct request_options *o, struct sink *sink, struct err *e);

#endif
