/*
 * A message that came in parts, put together again. See message.h: parts stand together, and count
 * only when the last one is there. One thread at a time.
 */
#ifndef HA_REPL_CHAIN_H
#define HA_REPL_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/spool.h"
#include "nats/stream.h"
#include "proto/changeset.h"

struct chain {
    struct spool *spool; /* owned; what has come of it */
    char id[CHANGESET_ID_SIZE];
    uint32_t part, parts; /* the last one that came; 0 = none is open */
};

enum err_code chain_init(struct chain *c, const char *spool_dir, size_t memory, struct err *e);
void chain_fini(struct chain *c); /* a zeroed one is fine */
void chain_drop(struct chain *c); /* nothing is open any more */
/* Takes one part. *complete: the whole message now stands in c->spool. A part that does not
 * continue the open chain begins a new one, or belongs to one whose beginning was cut off: it is
 * dead. */
enum err_code chain_add(struct chain *c, const struct stream_message *m, bool *complete,
                        struct err *e);

#endif
