/*
 * The messages of PostgreSQL's protocol 3.x, frontend to backend as structs and back to front as
 * bytes. Pure: no I/O, no state; any thread.
 *
 *   first packet      length(4) code(4) body
 *   message           type(1) length(4, itself included) body
 *
 * A decoder gets a body of known length and answers false for anything that does not fill it
 * exactly; what it hands out is borrowed from the body. An encoder appends to a buf, whose failure
 * is sticky. Protocol: "Frontend/Backend Protocol" of PostgreSQL's manual.
 */
#ifndef HA_PROTO_PGWIRE_H
#define HA_PROTO_PGWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/reader.h"

#define PGWIRE_VERSION(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor))
#define PGWIRE_3_0                   PGWIRE_VERSION(3, 0)
#define PGWIRE_3_2                   PGWIRE_VERSION(3, 2) /* the newest that is spoken here */
#define PGWIRE_CANCEL                UINT32_C(80877102)
#define PGWIRE_SSL                   UINT32_C(80877103)
#define PGWIRE_GSSENC                UINT32_C(80877104)

#define PGWIRE_STARTUP_BYTES  10000u /* longest first packet, as PostgreSQL's */
#define PGWIRE_HEADER_BYTES   5u
#define PGWIRE_KEY_BYTES      32u /* longest cancel key of 3.2; 3.0 has 4 bytes */
#define PGWIRE_MAX_PARAMETERS 65535u

/* ---- reading ---- */

/* The most bytes that a message of this type may have (its length word included); 0 = no frontend
 * sends such a type. To be asked before the length is believed. */
uint32_t pgwire_limit(char type);

/* Startup parameters one by one: false at the end; *bad is set if there was none. */
bool pgwire_startup_next(struct reader *r, const char **key, const char **value);

struct pgwire_parse {
    const char *name, *sql;
    size_t sql_len;
    unsigned n_types;
    const char *types; /* n_types big-endian OIDs */
};
bool pgwire_read_parse(const char *body, size_t len, struct pgwire_parse *out);
uint32_t pgwire_parse_type(const struct pgwire_parse *p, unsigned i);

struct pgwire_bind {
    const char *portal, *statement;
    unsigned n_formats, n_params, n_results;
    const char *formats, *results; /* big-endian 16-bit codes, all of them 0 or 1 */
    struct reader params;          /* for pgwire_next_param() */
};
bool pgwire_read_bind(const char *body, size_t len, struct pgwire_bind *out);
/* Format of parameter or result column i, by the rule of 0, 1 or n codes. */
bool pgwire_param_is_binary(const struct pgwire_bind *b, unsigned i);
bool pgwire_result_is_binary(const char *codes, unsigned n, unsigned i);
/* The parameters in order; *data is NULL for NULL. */
void pgwire_next_param(struct pgwire_bind *b, const char **data, size_t *len);

/* Describe and Close: what is 'S' or 'P'. */
bool pgwire_read_target(const char *body, size_t len, char *what, const char **name);
bool pgwire_read_execute(const char *body, size_t len, const char **portal, uint32_t *max_rows);
/* Query, CopyFail: one string. */
bool pgwire_read_string(const char *body, size_t len, const char **s);

/* ---- writing ---- */

/* Begins a message; pgwire_end() puts the length where `start` says. */
size_t pgwire_begin(struct buf *b, char type);
void pgwire_end(struct buf *b, size_t start);
void pgwire_put_cstr(struct buf *b, const char *s); /* with its NUL */

void pgwire_write_empty(struct buf *b, char type); /* '1' '2' '3' 'n' 's' 'I' 'c' */
void pgwire_write_ready(struct buf *b, char status);
void pgwire_write_complete(struct buf *b, const char *tag);
void pgwire_write_parameter(struct buf *b, const char *name, const char *value);
void pgwire_write_auth(struct buf *b, uint32_t code, const void *data, size_t len);
void pgwire_write_key(struct buf *b, uint32_t pid, const void *key, size_t len);
void pgwire_write_negotiate(struct buf *b, uint32_t version, const char *const *unknown,
                            unsigned n);

struct pgwire_field {
    const char *name;
    uint32_t table, type;
    uint16_t attribute;
    int16_t size;
    int32_t modifier;
    bool binary;
};
void pgwire_write_field(struct buf *b, const struct pgwire_field *f); /* inside a 'T' */
void pgwire_write_copy(struct buf *b, char type, bool binary, unsigned n_columns);

/* Notices and errors; NULL fields are left out, position 0 too. */
struct pgwire_error {
    const char *severity; /* ERROR, FATAL, NOTICE, WARNING */
    const char *sqlstate, *message;
    const char *detail, *hint;
    size_t position; /* characters, from 1 */
    const char *schema, *table, *column, *constraint;
    const char *where; /* what was being done: a line of COPY */
};
void pgwire_write_error(struct buf *b, char type, const struct pgwire_error *e); /* 'E' or 'N' */

#endif
