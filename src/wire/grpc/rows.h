/*
 * Results as messages: a sink that writes what the executor hands out as QueryResponse.
 *
 *   whole    one message for a request. Its length stands before its bytes, so all rows are there
 *            before the first byte leaves: in memory up to a megabyte, in a file beyond it, and not
 *            more than --max-result-size.
 *   pages    a message as soon as there are so many rows, or bytes: then the executor is asked for
 *            a pause, so that memory stays what one page takes. What does not pause (a write's
 * rows, which are kept until the commit anyway) becomes several pages at once. no rows  they are
 * counted, and that is all
 *
 * A text of several statements: whole answers with the rows of the last one that has any; pages
 * come for each of them, and each begins with its columns.
 *
 * It does no I/O but for the file. One thread at a time.
 */
#ifndef HA_WIRE_GRPC_ROWS_H
#define HA_WIRE_GRPC_ROWS_H

#include "base/buf.h"
#include "base/spool.h"
#include "core/sink.h"

enum grpc_rows_mode { GRPC_ROWS_WHOLE, GRPC_ROWS_PAGES, GRPC_ROWS_NONE };

struct grpc_rows {
    struct sink sink;
    enum grpc_rows_mode mode;
    size_t max_bytes;  /* of one answer, or of one row in pages */
    unsigned max_rows; /* of a page; 0 = as many as its bytes allow */

    struct spool *spool; /* whole: columns and rows */
    struct buf page;     /* pages: columns and rows of the one that is being written */
    struct buf ready;    /* pages: whole messages with their heads */
    struct buf scratch;
    unsigned page_rows;
    bool has_set; /* whole, pages: there are columns */
    bool too_big;
    int64_t rows_affected, last_insert_id;
};

/* `dir`: for the file. Zeroed before its first use; may be begun again and again. ERR_NO_MEMORY. */
enum err_code grpc_rows_begin(struct grpc_rows *r, enum grpc_rows_mode mode, size_t max_bytes,
                              unsigned max_rows, const char *dir, struct err *e);
void grpc_rows_fini(struct grpc_rows *r); /* a zeroed one is fine */

/* After the request has failed: says it better where the sink was the reason. */
enum err_code grpc_rows_failed(const struct grpc_rows *r, struct err *e);

/* Whole: bytes of columns and rows. ERR_IO, ERR_DISK_FULL, ERR_NO_MEMORY where they are lost. */
enum err_code grpc_rows_len(const struct grpc_rows *r, uint64_t *len, struct err *e);

#endif
