/*
 * A message on its way into the log: bytes of known length that can be read piece by piece,
 * wherever they lie, and published whole or in parts.
 *
 * A message over the server's max_payload goes as parts that stand together in the stream: part 1
 * expects what a whole message would expect, each other one its predecessor, by sequence and by id.
 * They count only when the last part, which alone carries the message's own id, is there. Parts
 * without their last one are dead as soon as anything else follows them.
 *
 * One thread at a time.
 */
#ifndef HA_REPL_MESSAGE_H
#define HA_REPL_MESSAGE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/spool.h"
#include "nats/stream.h"
#include "proto/changeset.h"

struct message_source {
    uint64_t len;
    /* Puts bytes [from, from + n) into `out`, which is empty. */
    enum err_code (*read)(void *arg, uint64_t from, uint64_t n, struct buf *out, struct err *e);
    void *arg;
};

/* A message put together from a group's changes: head, what is in the spool (borrowed), tail. */
struct message {
    struct message_source source; /* source.arg is the message itself: do not copy it */
    struct spool *changes;
    struct buf head, tail;
};

enum err_code message_make(struct message *m, struct spool *changes, const char *node,
                           const char *id, const char *prev, const char *path,
                           const struct changeset_txs *txs, struct err *e);
void message_free(struct message *m);

struct message_target {
    struct nats_client *client;
    const char *stream, *subject;
    int64_t timeout_ns;  /* for each part */
    uint64_t expect_seq; /* PUBLISH_ANY_SEQ: wherever the log ends */
    struct buf *scratch; /* borrowed, for one part at a time */
};

/* After PUBLISH_ACKED the message stands at *first … *last. Where any place will do, parts that
 * others have cut off are sent again, all of them. */
enum publish_result message_publish(const struct message_source *src, const char *id,
                                    const struct message_target *to, uint64_t *first,
                                    uint64_t *last, struct err *e);

#endif
