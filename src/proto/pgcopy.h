/*
 * The data of PostgreSQL's COPY: rows of fields out of bytes, and bytes out of rows, in the formats
 * text, csv and binary as PostgreSQL 15 reads and writes them. No I/O, and no knowledge of types: a
 * field of text and csv is VALUE_TEXT, a field of binary is VALUE_BLOB (the type's send format,
 * which the caller knows), an absent one VALUE_NULL.
 *
 * A reader takes the bytes in whatever pieces they arrive and holds no more than one row of at most
 * `max_row_bytes` and the last piece:
 *
 *     copy_reader_feed(r, bytes, n)  →  copy_reader_row(r) until it answers COPY_MORE, and again
 *     copy_reader_finish(r)          →  copy_reader_row(r) until it answers COPY_END
 *
 * A writer has no state but its options; rows are appended to a buf.
 *
 * Bytes are not checked for their encoding, and NUL bytes (text: \000) pass: whoever stores the
 * values decides. One thread at a time. Errors are ERR_COPY (the bytes are not of the format),
 * ERR_TOO_BIG and ERR_NO_MEMORY; after one, every further call answers the same.
 */
#ifndef HA_PROTO_PGCOPY_H
#define HA_PROTO_PGCOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/value.h"

enum copy_format { COPY_TEXT, COPY_CSV, COPY_BINARY };
enum copy_header { COPY_HEADER_NONE, COPY_HEADER_YES, COPY_HEADER_MATCH };

#define COPY_MAX_NULL 63u /* bytes of a NULL marker */

struct copy_options {
    enum copy_format format;
    enum copy_header header; /* not in binary; MATCH only when reading */
    char delimiter;
    char quote, escape; /* csv only */
    char null[COPY_MAX_NULL + 1];
    size_t null_len;
    bool force_quote_all;
    /* One entry a column, borrowed; NULL = none of them. */
    const bool *force_quote;    /* csv, writing */
    const bool *force_not_null; /* csv, reading */
    const bool *force_null;     /* csv, reading */
};

/* What the format has where the statement names no option. */
void copy_options_init(struct copy_options *o, enum copy_format format);
/* Refuses what PostgreSQL refuses: ERR_PARAM or ERR_UNSUPPORTED. */
enum err_code copy_options_check(const struct copy_options *o, bool reading, struct err *e);

/* ---- reading ---- */

enum copy_step {
    COPY_ROW,  /* `fields` holds one */
    COPY_MORE, /* feed, or finish */
    COPY_END,  /* the end of the data; what may still be fed is ignored */
    COPY_FAILED
};

struct copy_reader;

/* The names (borrowed while the reader lives) are for HEADER MATCH and messages. NULL when out of
 * memory. `o` is copied, its arrays are borrowed. */
struct copy_reader *copy_reader_new(const struct copy_options *o, const char *const *names,
                                    unsigned n_columns, size_t max_row_bytes);
void copy_reader_free(struct copy_reader *r); /* NULL is fine */

/* The next bytes, copied. Rows that were handed out before are gone. */
void copy_reader_feed(struct copy_reader *r, const void *bytes, size_t n);
/* All bytes were fed: a last line may do without its end. */
void copy_reader_finish(struct copy_reader *r);

/* The next row: n_columns values at *fields, valid until the next call of any function. */
enum copy_step copy_reader_row(struct copy_reader *r, const struct value **fields, struct err *e);

/* 1-based number of the line (in binary: row) that was read last, as PostgreSQL counts: lines
 * within quotes and the header count. 0 before the first. */
uint64_t copy_reader_line(const struct copy_reader *r);

/* ---- writing ---- */

/* Binary: the signature. Text and csv: the header line, if the options ask for one. */
void copy_write_begin(struct buf *out, const struct copy_options *o, const char *const *names,
                      unsigned n);
/* Values are VALUE_NULL, VALUE_TEXT or VALUE_BLOB, already in the format of their type. */
void copy_write_row(struct buf *out, const struct copy_options *o, const struct value *fields,
                    unsigned n);
/* Binary: the trailer. Nothing else ends with a mark. */
void copy_write_end(struct buf *out, const struct copy_options *o);

#endif
