/*
 * The position row: which prefix of the log a file contains (I1), and how to recognise that log
 * (I8).
 *
 * Table ha_position, one row; never captured, refused to users' writes:
 *   id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER, msg_id TEXT, stream TEXT, stream_created
 * INTEGER
 */
#ifndef HA_SQL_POSITION_H
#define HA_SQL_POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/changeset.h"
#include "sql/conn.h"

struct position {
    uint64_t seq;                   /* of the last message contained; 0 = none */
    char msg_id[CHANGESET_ID_SIZE]; /* its id, "" = none */
    char stream[256];               /* name of the stream, "" = not yet tied to one */
    /* ns since 1970, as JetStream reports it; 0 = not yet known. In a file that is not tied to a
     * log: when the log was created that is to make room for one that begins with this file. */
    int64_t stream_created;
};

/* Creates the ha_ tables if they are missing. CONN_WRITER or CONN_APPLIER, no transaction open. */
enum err_code position_init(struct conn *c, struct err *e);

/* found = false (and *p zeroed) when the file has no position row yet. */
enum err_code position_load(struct conn *c, struct position *p, bool *found, struct err *e);

/* Inside the transaction whose data it stands for. */
enum err_code position_store(struct conn *c, const struct position *p, struct err *e);

/* Does the file hold anything of a user's in `main` (any schema object beside the ha_ tables)? */
enum err_code position_has_content(struct conn *c, bool *content, struct err *e);

#endif
