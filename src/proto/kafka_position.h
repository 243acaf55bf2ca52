/*
 * How far a consumer of Kafka is: for each partition of each topic the offset of the message that
 * comes next. As text it is JSON, {"topic":{"0":17,"1":4},…}, topics and partitions in order.
 *
 * Pure; one thread at a time.
 */
#ifndef HA_PROTO_KAFKA_POSITION_H
#define HA_PROTO_KAFKA_POSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct kafka_position;

struct kafka_place {
    char *topic;
    int32_t partition;
    int64_t offset;
};

struct kafka_position *kafka_position_new(void); /* of nothing; NULL: no memory */
void kafka_position_free(struct kafka_position *p);

/* Instead of what it holds; the empty text is that of nothing. ERR_FORMAT, and it holds nothing,
 * where that is no such JSON. */
enum err_code kafka_position_read(struct kafka_position *p, const char *text, size_t len,
                                  struct err *e);
void kafka_position_put(struct buf *b, const struct kafka_position *p);

/* False: it does not have that partition. */
bool kafka_position_get(const struct kafka_position *p, const char *topic, int32_t partition,
                        int64_t *offset);
/* False: no memory. */
bool kafka_position_set(struct kafka_position *p, const char *topic, int32_t partition,
                        int64_t offset);
/* Makes `to` the same as `from`. False: no memory, and `to` is of no use. */
bool kafka_position_copy(struct kafka_position *to, const struct kafka_position *from);

/* All of them in order; borrowed until the next change. */
const struct kafka_place *kafka_position_all(const struct kafka_position *p, size_t *n);

#endif
