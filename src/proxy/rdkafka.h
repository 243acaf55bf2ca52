/*
 * librdkafka, loaded when it is first needed: it and the libraries behind it (SASL, curl …) take
 * megabytes of a process, and only a node with a Debezium source needs them.
 */
#ifndef HA_PROXY_RDKAFKA_H
#define HA_PROXY_RDKAFKA_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"

/* What is used of it, by the names of its interface without "rd_kafka_". */
#define RDKAFKA_FUNCTIONS(X)                                                                       \
    X(AdminOptions_destroy)                                                                        \
    X(AdminOptions_new)                                                                            \
    X(AdminOptions_set_request_timeout)                                                            \
    X(AlterConsumerGroupOffsets)                                                                   \
    X(AlterConsumerGroupOffsets_destroy)                                                           \
    X(AlterConsumerGroupOffsets_new)                                                               \
    X(assign)                                                                                      \
    X(conf_destroy)                                                                                \
    X(conf_new)                                                                                    \
    X(conf_set)                                                                                    \
    X(conf_set_error_cb)                                                                           \
    X(conf_set_log_cb)                                                                             \
    X(conf_set_opaque)                                                                             \
    X(consumer_poll)                                                                               \
    X(destroy_flags)                                                                               \
    X(err2str)                                                                                     \
    X(event_destroy)                                                                               \
    X(event_error)                                                                                 \
    X(event_error_string)                                                                          \
    X(get_watermark_offsets)                                                                       \
    X(message_destroy)                                                                             \
    X(metadata)                                                                                    \
    X(metadata_destroy)                                                                            \
    X(new)                                                                                         \
    X(poll_set_consumer)                                                                           \
    X(queue_destroy)                                                                               \
    X(queue_new)                                                                                   \
    X(queue_poll)                                                                                  \
    X(topic_name)                                                                                  \
    X(topic_partition_list_add)                                                                    \
    X(topic_partition_list_destroy)                                                                \
    X(topic_partition_list_new)

struct rdkafka {
#define X(name) __typeof__(rd_kafka_##name) *name; /* NOLINT(bugprone-macro-parentheses) */
    RDKAFKA_FUNCTIONS(X)
#undef X
};

/* Immutable after rdkafka_load(), which must have succeeded before any of them is called. */
extern struct rdkafka rdkafka;

/* Before the first use; more do no harm. One thread. ERR_CONFIG where the machine does not have it.
 */
enum err_code rdkafka_load(struct err *e);

#endif
