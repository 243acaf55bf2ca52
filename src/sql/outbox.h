/*
 * The outbox of asynchronous replication: messages that are committed in the file but not yet seen
 * in the log. Table ha_outbox, never captured:
 *
 *   id INTEGER PRIMARY KEY   ascending in commit order, never used again while the process lives
 *   msg_id TEXT              of the message
 *   base INTEGER             position of the file when the message was committed
 *   part INTEGER             0-based; a message is cut into bodies of OUTBOX_PART_BYTES
 *   body BLOB
 *
 * Every function uses the connection given to it, on that connection's thread.
 */
#ifndef HA_SQL_OUTBOX_H
#define HA_SQL_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/changeset.h"
#include "sql/conn.h"

#define OUTBOX_PART_BYTES ((uint64_t)256 * 1024)

enum err_code outbox_create(struct conn *c, struct err *e);
/* Largest id in use, 0 = none; number of messages. */
enum err_code outbox_extent(struct conn *c, uint64_t *last_id, uint64_t *messages, struct err *e);

/* Where a part of a message goes. */
struct outbox_place {
    uint64_t id;        /* its own, in the order of the outbox */
    const char *msg_id; /* its message's */
    uint64_t base;      /* the position that the message was made on */
    uint64_t part;      /* from 0 */
};
enum err_code outbox_insert(struct conn *c, const struct outbox_place *at, const void *body,
                            size_t len, struct err *e);

/* The first message behind `after`: its id, message id, the id of its last part, its length and its
 * base. */
struct outbox_entry {
    uint64_t id, last_id, len, base;
    char msg_id[CHANGESET_ID_SIZE];
};
enum err_code outbox_next(struct conn *c, uint64_t after, struct outbox_entry *entry, bool *found,
                          struct err *e);
/* Appends bytes [from, from + n) of the message to `out`. */
enum err_code outbox_read(struct conn *c, const struct outbox_entry *entry, uint64_t from,
                          uint64_t n, struct buf *out, struct err *e);

/* *found = false if the message is not there, else *id is the id of its first part. */
enum err_code outbox_find(struct conn *c, const char *msg_id, uint64_t *id, bool *found,
                          struct err *e);
/* The least id of all; *found = false if there is none. */
enum err_code outbox_first(struct conn *c, uint64_t *id, bool *found, struct err *e);
/* The least base of all, which takes a look at each. */
enum err_code outbox_least_base(struct conn *c, uint64_t *base, bool *found, struct err *e);

/* Deletes a message. */
enum err_code outbox_take(struct conn *c, const char *msg_id, struct err *e);
/* It keeps its place, and is another message from now on. */
enum err_code outbox_rename(struct conn *c, const char *msg_id, const char *as, uint64_t base,
                            struct err *e);

#endif
