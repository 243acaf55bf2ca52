/*
 * The message of the log: JSON, the seed's fields first, ours added.
 *
 *   {"node": text, "changes": [CHANGE, …], "timestamp_ns": int, "id": text, "prev": text,
 *    "filename": text, "txs": [{"changes": n, "timestamp_ns": int}, …], "handed": [text…],
 *    "content": 1, "format": 1}
 *
 *   CHANGE = {"database", "table", "columns": [text…], "pk_columns": [text…],
 *             "operation": "INSERT"|"UPDATE"|"DELETE"|"SQL", "old_rowid", "new_rowid",
 *             "old_values": [VALUE…], "new_values": [VALUE…], "command": text}
 *   VALUE  = null | integer | real (always with point or exponent) | "text" |
 * {"$real":"inf"|"-inf"} | {"$text":"base64"} (not valid UTF-8, or holds NUL) | {"$blob":"base64"}
 *
 * "content" stands in the message that an existing file's content came with, and nowhere else.
 * A field that does not apply to an operation is left out. Unknown fields are skipped by the
 * reader, wherever they stand; "format" greater than 1 is refused (ERR_FORMAT). A message written
 * by the seed's own program (no id, no pk_columns, no txs) is readable.
 *
 * Pure: bytes to structs and back, no I/O. This is a fuzz surface: any input ends in ERR_OK or
 * ERR_FORMAT, in time linear in its length and in memory bounded by its largest change.
 */
#ifndef HA_PROTO_CHANGESET_H
#define HA_PROTO_CHANGESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/spool.h"
#include "base/value.h"

#define CHANGESET_FORMAT      1
#define CHANGESET_MAX_COLUMNS 2000 /* SQLite's default limit */
#define CHANGESET_MAX_DEPTH   8
#define CHANGESET_ID_SIZE     64 /* bytes of a message id, terminator included */

/* ---- writing: a message is put together from pieces, in this order ---- */

struct changeset_tx {
    uint32_t changes;
    int64_t timestamp_ns;
};

/* The transactions of a message; everything borrowed. */
struct changeset_txs {
    const struct changeset_tx *txs;
    size_t n;
    /* Ids of what other nodes have handed over to this one, which some of them come from. */
    const char *const *handed;
    size_t n_handed;
    bool content; /* what an existing file held, no transaction of anybody's */
};

void changeset_put_head(struct buf *b, const char *node); /* up to and including "changes":[ */
void changeset_put_value(struct buf *b, const struct value *v);
void changeset_put_sql(struct buf *b, const char *database, const char *command, size_t len);
void changeset_put_tail(struct buf *b, const char *id, const char *prev, const char *filename,
                        int64_t timestamp_ns, const struct changeset_txs *txs);
/* Row changes are written by sql/capture.c with a prefix cached per table; changes are separated by
 * commas, which the writer of the change puts before every change but the message's first. */

/* ---- reading: push parser, fed in pieces of any size ---- */

enum change_op { CHANGE_INSERT, CHANGE_UPDATE, CHANGE_DELETE, CHANGE_SQL };

struct change {
    enum change_op op;
    const char *database; /* "main" where the message has none */
    const char *table;
    const char *const *columns; /* n_columns names */
    const char *const *pk_columns;
    unsigned n_columns, n_pk;
    bool has_old_rowid, has_new_rowid;
    int64_t old_rowid, new_rowid;
    const struct value *old_values; /* n_columns each, NULL where absent */
    const struct value *new_values;
    const char *command; /* CHANGE_SQL: terminated, command_len bytes */
    size_t command_len;
    /* A number for (table, columns, pk_columns): two changes of one reader, of whichever message,
     * that have the same number are the same there, so it is a key for statement caches. Equal ones
     * may have different numbers. Never 0. */
    uint64_t shape;
};

struct changeset_info {
    char node[256];
    char id[CHANGESET_ID_SIZE];
    char prev[CHANGESET_ID_SIZE];
    char filename[256];
    int64_t timestamp_ns;
    const struct changeset_tx *txs; /* borrowed from the reader; NULL when the message has none */
    size_t n_txs;
    const char (*handed)[CHANGESET_ID_SIZE]; /* borrowed from the reader */
    size_t n_handed;
    bool content;
    uint64_t changes; /* changes seen */
    int format;       /* 0 when absent */
};

/* Called once a change, in order; everything in `c` is borrowed until it returns. Another result
 * than ERR_OK stops the parse and is returned by changeset_feed(). */
typedef enum err_code changeset_fn(void *arg, const struct change *c, struct err *e);

struct changeset_reader;

struct changeset_reader *changeset_reader_new(changeset_fn *fn, void *arg); /* NULL: no memory */
void changeset_reader_free(struct changeset_reader *r);
void changeset_reader_reset(struct changeset_reader *r); /* ready for the next message */
enum err_code changeset_feed(struct changeset_reader *r, const void *bytes, size_t n,
                             struct err *e);
/* The same with all that a spool holds. */
enum err_code changeset_feed_spool(struct changeset_reader *r, struct spool *s, struct err *e);
/* The input is complete; ERR_FORMAT if the message is not. *info is borrowed until reset or free.
 */
enum err_code changeset_finish(struct changeset_reader *r, const struct changeset_info **info,
                               struct err *e);

#endif
