/*
 * A consumer of Kafka topics, of all their partitions, from offsets that the caller knows; the only
 * caller of librdkafka.
 *
 *   kafka_open ─ { kafka_discover now and then ─ kafka_next… ─ kafka_commit }… ─ kafka_close
 *
 * It takes all partitions by itself (librdkafka's assign) instead of sharing them out as a member
 * of its consumer group: who consumes is decided elsewhere (the lease of source.h), so there is
 * nobody to share with, and nothing waits for a dead member's session to end. Where it goes on is
 * the caller's position, never the group's offsets; those are committed only for tools that show a
 * group's lag.
 *
 * One thread at a time. Waits end after the time that is given.
 */
#ifndef HA_PROXY_KAFKA_H
#define HA_PROXY_KAFKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/kafka_position.h"

struct kafka;

/* Strings are borrowed, and outlive it. */
struct kafka_options {
    /* host:port, with commas between; behind a "?" librdkafka's settings, name=value with &
     * between, %XX for bytes that would end them. */
    const char *brokers;
    const char *group;
    /* With commas between; what begins with ^ is a POSIX extended regular expression for names. */
    const char *topics;
};

/* Borrowed until the next call for the same consumer. */
struct kafka_message {
    const char *topic;
    int32_t partition;
    int64_t offset;
    const char *key, *value; /* NULL for null; not terminated */
    size_t key_len, value_len;
};

/* Can it be what it says? Connects to nothing. ERR_CONFIG. */
enum err_code kafka_check(const struct kafka_options *o, struct err *e);

/* Reads nothing yet. */
enum err_code kafka_open(struct kafka **out, const struct kafka_options *o, struct err *e);
void kafka_close(struct kafka *k); /* NULL is fine */

/* Asks which of the topics there are, and takes partitions that are new, from their place in
 * `position`, or else from the beginning. Appends the names of topics that are missing to
 * `missing`, with commas between. ERR_IO, ERR_AUTH: the brokers cannot be asked, and why. */
enum err_code kafka_discover(struct kafka *k, const struct kafka_position *position,
                             struct buf *missing, struct err *e);
/* What was read beyond `position` comes again: it is where to go on from. */
enum err_code kafka_rewind(struct kafka *k, const struct kafka_position *position, struct err *e);

/* Waits up to `timeout_ms`. *got is false where nothing came. An error ends the use of this
 * consumer: ERR_TOO_OLD where the place to go on from is no longer, or not yet, in Kafka. */
enum err_code kafka_next(struct kafka *k, int timeout_ms, struct kafka_message *out, bool *got,
                         struct err *e);

/* Tells the group that the position was reached; returns at once, and a failure is only logged.
 * While an answer is awaited the rest is left to kafka_commit_rest(), which is to be called now and
 * then. */
void kafka_commit(struct kafka *k, const struct kafka_position *position);
void kafka_commit_rest(struct kafka *k, const struct kafka_position *position);

/* How many messages lie behind the position, as far as the brokers have told by now; false where
 * one of the partitions has not been heard of yet. */
bool kafka_behind(struct kafka *k, const struct kafka_position *position, uint64_t *messages);

#endif
