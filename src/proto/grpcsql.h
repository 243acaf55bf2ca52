/*
 * The messages of proto/sql/v1/sql.proto and proto/ha/v1/database.proto: requests in, answers out.
 *
 * Requests are read by protobuf-c into an arena, with a budget: a field of two bytes becomes a
 * hundred in memory, and a request of nothing but such fields is refused (ERR_TOO_BIG) instead of
 * taking what there is. Answers are written field by field (pbwire.h), because rows leave while
 * others are still to come.
 *
 * Values: NULL an Empty · INTEGER Int64Value · REAL DoubleValue · TEXT StringValue · BLOB
 * BytesValue. TEXT that is not valid UTF-8 leaves as BytesValue, for a string of protocol buffers
 * cannot hold it. On the way in the other wrappers are taken, too, and a Timestamp, which becomes
 * the TEXT that SQLite's date functions read.
 *
 * One thread at a time for each arena and buffer.
 */
#ifndef HA_PROTO_GRPCSQL_H
#define HA_PROTO_GRPCSQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/value.h"

enum grpcsql_type { GRPCSQL_ANY, GRPCSQL_UPDATE, GRPCSQL_QUERY, GRPCSQL_PING };

struct grpcsql_param {
    const char *name; /* NULL: by its place */
    struct value value;
};

/* Everything lives in the arena. */
struct grpcsql_request {
    enum grpcsql_type type;
    const char *sql;
    size_t sql_len;
    const struct grpcsql_param *params; /* those without name in their order */
    unsigned n_params;
    const char *database; /* NULL: none was named */
    uint32_t max_rows;    /* 0: all in one answer */
    uint64_t min_seq;
};

/* ERR_PROTOCOL where the bytes are no such message, ERR_PARAM, ERR_TOO_BIG, ERR_NO_MEMORY. */
enum err_code grpcsql_read(struct arena *a, const void *bytes, size_t len,
                           struct grpcsql_request *out, struct err *e);
enum err_code grpcsql_read_batch(struct arena *a, const void *bytes, size_t len,
                                 struct grpcsql_request **out, size_t *n, struct err *e);
/* The one field of DownloadRequest and LatestSnapshotRequest; NULL where it is empty. */
enum err_code grpcsql_read_database(struct arena *a, const void *bytes, size_t len,
                                    const char **out, struct err *e);

/* ---- answers ---- */

/* A Data message: its columns first, `types` may hold NULL. */
void grpcsql_put_column(struct buf *b, const char *name);
void grpcsql_put_column_type(struct buf *b, const char *decltype);
/* `scratch` is emptied. */
void grpcsql_put_row(struct buf *b, struct buf *scratch, const struct value *values, unsigned n);

/* The rest of a QueryResponse; zeros are not written. */
struct grpcsql_tail {
    int64_t rows_affected, last_insert_id;
    uint64_t txseq;
    bool more;
};
/* The head of result_set, whose `data_len` bytes follow. */
void grpcsql_put_data_head(struct buf *b, uint64_t data_len);
void grpcsql_put_tail(struct buf *b, const struct grpcsql_tail *t);
/* `statement`: which request of a batch. */
void grpcsql_put_error(struct buf *b, const struct err *e, size_t statement);

/* google.rpc.Status with a google.rpc.ErrorInfo, which is what grpc-status-details-bin holds: the
 * reason is the error's name, the domain "ha", sqlstate, sqlite_code and offset are metadata. */
void grpcsql_put_status(struct buf *b, const struct err *e);

/* One QueryResponse of a BatchResponse, and the rest of that. */
void grpcsql_put_batch_item(struct buf *b, const void *response, size_t len);
void grpcsql_put_batch_tail(struct buf *b, uint64_t txseq);

/* DownloadResponse, LatestSnapshotResponse: the head of their bytes. */
void grpcsql_put_piece_head(struct buf *b, uint64_t len);
/* DataSourceNamesResponse, ReplicationIDsResponse: one of their names. */
void grpcsql_put_name(struct buf *b, const char *name);

/* Valid UTF-8, NULs included? */
bool grpcsql_is_text(const char *s, size_t len);

#endif
