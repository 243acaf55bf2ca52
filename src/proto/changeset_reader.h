/*
 * The changeset reader from inside: changeset_read.c feeds it, changeset_token.c gets yajl's tokens
 * and knows where in a message they stand, changeset_build.c puts values and changes together.
 *
 * Functions that yajl waits for answer 1 to go on and 0 to stop, r->failed and *r->err being set.
 */
#ifndef HA_PROTO_CHANGESET_READER_H
#define HA_PROTO_CHANGESET_READER_H

#include <yajl/yajl_parse.h>

#include "proto/changeset.h"
#include "proto/changeset_fast.h"
#include "proto/changeset_shape.h"

enum at {
    AT_START,
    AT_MESSAGE,
    AT_CHANGES,
    AT_CHANGE,
    AT_COLUMNS,
    AT_PK,
    AT_VALUES,
    AT_TAGGED,
    AT_TXS,
    AT_TX,
    AT_HANDED,
    AT_END
};

enum field {
    F_UNKNOWN,
    /* of a message */
    F_NODE,
    F_CHANGES,
    F_TIMESTAMP,
    F_ID,
    F_PREV,
    F_FILENAME,
    F_TXS,
    F_HANDED,
    F_CONTENT,
    F_FORMAT,
    /* of a change */
    F_DATABASE,
    F_TABLE,
    F_COLUMNS,
    F_PK_COLUMNS,
    F_OPERATION,
    F_OLD_ROWID,
    F_NEW_ROWID,
    F_OLD_VALUES,
    F_NEW_VALUES,
    F_COMMAND,
    /* of a value that is an object */
    F_REAL,
    F_TEXT,
    F_BLOB
};

/* Who reads what comes next, see above. */
enum feeding { FEEDING_HEAD, FEEDING_BETWEEN, FEEDING_WITHIN, FEEDING_TAIL };

/* A row image being read. Text and blobs are offsets into the reader's `text` until the change is
 * complete, because that buffer moves while it grows. */
struct image {
    struct value *values;
    unsigned n;
    size_t cap;
    bool present;
};

struct changeset_reader {
    changeset_fn *fn;
    void *arg;
    yajl_handle yajl;
    bool dirty; /* yajl's state is not that of a fresh handle */
    bool open;  /* fed, and not yet finished */

    /* the call that is running */
    struct err *err;
    enum err_code failed; /* sticky until reset */
    uint64_t consumed;    /* bytes of earlier calls */

    enum feeding feeding;
    bool any;            /* of the changes there has been one, */
    bool comma;          /* and a comma behind it, which yajl has not seen, */
    bool yajl_has_value; /* though it has seen a change */
    struct fast_scan scan;
    struct fast fast;

    enum at at;
    enum field field; /* the key read last, at the level of `at` */
    size_t next_key;  /* index of the key expected next */
    unsigned depth, skip;
    uint32_t seen_message, seen_change, seen_tx; /* bit = enum field */

    struct changeset_info info;
    struct changeset_tx *txs;
    size_t txs_cap;
    char (*handed)[CHANGESET_ID_SIZE];
    size_t handed_cap;

    /* the change being read */
    struct change change;
    bool has_operation, has_command;
    struct shape_names names;
    struct buf database, command, text;
    struct image old_image, new_image, *image;
    struct shape_set *shapes;
};

int reader_fail(struct changeset_reader *r, const char *what);
int reader_no_memory(struct changeset_reader *r);

/* changeset_token.c */
extern const yajl_callbacks token_callbacks;
void token_reset(struct changeset_reader *r);

/* changeset_build.c */
void build_start(struct changeset_reader *r);
struct value *build_value(struct changeset_reader *r); /* room for one; NULL: failed */
int build_text(struct changeset_reader *r, const char *s, size_t len);
int build_tagged(struct changeset_reader *r, const char *s, size_t len);
int build_string(struct changeset_reader *r, const char *s, size_t len);
int build_column(struct changeset_reader *r, struct buf *list, unsigned *n, const char *s,
                 size_t len);
int build_finish(struct changeset_reader *r);
int build_hand_over(struct changeset_reader *r, const struct change *c);

#endif
