/*
 * What PostgreSQL's logical replication sends (output plugin pgoutput, protocol version 1), and
 * what it is answered. Pure; one thread for each decoder.
 *
 * https://www.postgresql.org/docs/15/protocol-replication.html (XLogData, Primary keepalive,
 * Standby status update) and protocol-logicalrep-message-formats.html. Streams of transactions that
 * are not committed yet and two-phase commit are not asked for, and so not known here.
 */
#ifndef HA_PROTO_PGOUTPUT_H
#define HA_PROTO_PGOUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* ---- the stream around it ---- */

enum pgoutput_kind {
    PGOUTPUT_DATA,     /* `data` is a message for pgoutput_read() */
    PGOUTPUT_KEEPALIVE /* nothing new; the server says how far it is */
};

struct pgoutput_frame {
    enum pgoutput_kind kind;
    uint64_t start;   /* DATA: where in the WAL it begins; 0 = it says nothing */
    uint64_t end;     /* the WAL's end, as the server knows it */
    int64_t time_ns;  /* when it was sent, ns since 1970 by the server's clock */
    bool reply;       /* KEEPALIVE: it wants a status soon, or ends the connection */
    const char *data; /* DATA: borrowed */
    size_t len;
};

/* One CopyData message; false: it is none of these. */
bool pgoutput_frame(const void *bytes, size_t len, struct pgoutput_frame *out);

/* Appends a status: everything before these places is received, safe here, and visible. */
void pgoutput_put_status(struct buf *b, uint64_t received, uint64_t flushed, uint64_t applied,
                         int64_t time_ns);

/* ---- messages ---- */

enum pgoutput_type {
    PGOUTPUT_BEGIN,
    PGOUTPUT_COMMIT,
    PGOUTPUT_RELATION,
    PGOUTPUT_INSERT,
    PGOUTPUT_UPDATE,
    PGOUTPUT_DELETE,
    PGOUTPUT_TRUNCATE,
    PGOUTPUT_OTHER /* an origin, a type, a message of a program's: nothing to do */
};

/* 'n' NULL, 'u' not sent because it is stored apart and has not changed, 't' text, 'b' binary */
struct pgoutput_value {
    char kind;
    const char *data; /* 't', 'b': borrowed from the message */
    size_t len;
};

struct pgoutput_column {
    bool key; /* part of the replica identity */
    const char *name;
    uint32_t type; /* OID */
    int32_t modifier;
};

struct pgoutput_tuple {
    const struct pgoutput_value *values; /* NULL = there is none; until the next message */
    size_t n;
};

struct pgoutput_message {
    enum pgoutput_type type;
    uint64_t
        lsn; /* BEGIN: of the commit to come; COMMIT: behind it, where the next one may begin */
    int64_t time_ns;   /* BEGIN, COMMIT: of the commit, ns since 1970 */
    uint32_t relation; /* INSERT, UPDATE, DELETE, RELATION */
    /* RELATION; strings are borrowed from the message */
    const char *schema, *table;
    char identity; /* 'd' primary key, 'i' an index, 'f' all columns, 'n' nothing */
    const struct pgoutput_column *columns; /* until the next message */
    size_t n_columns;
    /* rows */
    struct pgoutput_tuple old_row; /* UPDATE, DELETE: all columns, or with old_key the identity's,
                                      the others 'n' */
    bool old_key;
    struct pgoutput_tuple new_row;
    /* TRUNCATE */
    const uint32_t *relations; /* until the next message */
    size_t n_relations;
};

struct pgoutput; /* keeps the memory of the arrays */

struct pgoutput *pgoutput_new(void); /* NULL: no memory */
void pgoutput_free(struct pgoutput *p);

/* False: it is malformed, of a kind that is not known, or memory is short. */
bool pgoutput_read(struct pgoutput *p, const void *bytes, size_t len, struct pgoutput_message *out);

/* ---- places in the WAL, as PostgreSQL writes them: "16/B374D848" ---- */

#define PGOUTPUT_LSN_SIZE 24
void pgoutput_print_lsn(uint64_t lsn, char out[PGOUTPUT_LSN_SIZE]);
bool pgoutput_parse_lsn(const char *text, uint64_t *lsn);

#endif
