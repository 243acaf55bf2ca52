/*
 * JetStream streams: create, look at, publish into, follow.
 *
 * A publish ends in one of four ways, and the difference is what the whole design rests on:
 *
 *   PUBLISH_ACKED     it is in the stream, at *seq
 *   PUBLISH_CONFLICT  it is not, and will not be: the stream has gone on without it
 *   PUBLISH_REFUSED   it is not, and will not be, for another reason, told in `e`
 *   PUBLISH_UNKNOWN   nobody knows: no answer until the deadline that proves anything
 *
 * Until the deadline the same message is sent again and again where no answer comes (publish.c).
 *
 * Every function may be called by any thread; a feed is used by one thread at a time.
 */
#ifndef HA_NATS_STREAM_H
#define HA_NATS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "nats/client.h"

struct stream_config {
    const char *name;
    const char *subject; /* the one subject, or a wildcard; or two, with a comma between */
    int replicas;
    int64_t max_age_ns;      /* 0 = for ever */
    int64_t max_per_subject; /* 0 = no limit */
    bool objects;            /* as an object store's: nothing is dropped, subjects roll up */
};

struct stream_state {
    uint64_t first_seq, last_seq;
    int64_t created_ns; /* since 1970 */
    int replicas;
    int64_t max_age_ns;
    uint64_t bytes, messages;
};

/* *found = false where there is no such stream; ERR_LOG_UNAVAILABLE where nobody answers. */
enum err_code stream_info(struct nats_client *c, const char *name, struct stream_state *state,
                          bool *found, struct err *e);
/* An existing stream is left as it is and described. */
enum err_code stream_ensure(struct nats_client *c, const struct stream_config *cfg,
                            struct stream_state *state, struct err *e);
/* Changes replicas and/or max_age of an existing stream; a negative value leaves it. */
enum err_code stream_change(struct nats_client *c, const char *name, int replicas,
                            int64_t max_age_ns, struct err *e);
enum err_code stream_delete(struct nats_client *c, const char *name, struct err *e);
/* Drops every message of one subject. */
enum err_code stream_purge(struct nats_client *c, const char *name, const char *subject,
                           struct err *e);
/* Takes one message out. *erased = false where there was none. */
enum err_code stream_erase(struct nats_client *c, const char *name, uint64_t seq, bool *erased,
                           struct err *e);

enum publish_result { PUBLISH_ACKED, PUBLISH_CONFLICT, PUBLISH_REFUSED, PUBLISH_UNKNOWN };

#define PUBLISH_ANY_SEQ UINT64_MAX

struct publish {
    const char *stream; /* must be the one that takes the subject */
    const char *subject;
    const char *id; /* NULL = none: without an expected end it may stand there more than once */
    const void *data;
    size_t len;
    uint64_t expect_seq;   /* last sequence of the stream, 0 = empty; PUBLISH_ANY_SEQ = any (I4) */
    const char *expect_id; /* id of the stream's last message; NULL = any */
    uint32_t part, parts;  /* 1-based; parts = 0: a whole message */
    bool rollup;           /* replaces all earlier messages of its subject */
};

/* Blocks. *seq means something with PUBLISH_ACKED only; `e` is set for REFUSED and UNKNOWN. */
enum publish_result stream_publish(struct nats_client *c, const struct publish *p,
                                   int64_t deadline_ns, uint64_t *seq, struct err *e);

/* A message as it was stored. Everything is borrowed from it; stream_message_free() ends it. */
struct stream_message {
    uint64_t seq;
    uint64_t pending; /* messages that the server still had to deliver after this one; feeds only */
    int64_t time_ns;
    const char *subject;
    const char *id; /* as it was published; "" = none */
    uint32_t part, parts;
    const char *data;
    size_t len;
    void *handle;
};

void stream_message_free(struct stream_message *m); /* a zeroed one is fine */

/* Reads one message from the stream's leader. *found = false where there is none at `seq`. */
enum err_code stream_get(struct nats_client *c, const char *stream, uint64_t seq,
                         struct stream_message *m, bool *found, struct err *e);
/* The last message of a subject. */
enum err_code stream_last(struct nats_client *c, const char *stream, const char *subject,
                          struct stream_message *m, bool *found, struct err *e);

/* A feed delivers a stream's messages in order, from a sequence on. A lost message shows as a jump
 * of the sequence: then, and after an error, the feed is to be closed and opened anew. */
struct stream_feed;

enum err_code stream_feed_open(struct stream_feed **out, struct nats_client *c, const char *stream,
                               const char *subject, uint64_t start_seq, struct err *e);
/* The same without the messages' data: len is 0. */
enum err_code stream_feed_open_headers(struct stream_feed **out, struct nats_client *c,
                                       const char *stream, const char *subject, uint64_t start_seq,
                                       struct err *e);
/* Sequence of the first message stored at or after a time; last + 1 where there is none. */
enum err_code stream_seq_at(struct nats_client *c, const char *stream, int64_t time_ns,
                            uint64_t *seq, struct err *e);

/* *got = false when nothing came within timeout_ms (0 = do not wait). ERR_LOG_UNAVAILABLE when the
 * feed has ended and must be opened again. */
enum err_code stream_feed_next(struct stream_feed *f, int64_t timeout_ms, struct stream_message *m,
                               bool *got, struct err *e);
/* Lets a waiting stream_feed_next() return early with nothing, as soon as the server has passed the
 * word on. The one function here that any thread may call, as long as the feed is open. */
void stream_feed_wake(struct stream_feed *f);
void stream_feed_close(struct stream_feed *f); /* NULL is fine */

#endif
