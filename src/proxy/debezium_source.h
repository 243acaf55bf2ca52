/*
 * Debezium's change events, in topics of Kafka, as a source.
 *
 *   connect ─ the tracker's position ─ events ─ commit, events ─ commit, …
 *
 * The position (kafka_position.h) is committed with what the events did, in one local transaction,
 * and reading goes on from there: not from the offsets of the consumer group, which are only told
 * for tools that show its lag. So every event counts once, whatever dies when.
 *
 * As many events as have come already go into one local transaction. Where events say which
 * transaction of the source they belong to, it does not end between two of one that came one behind
 * the other. More cannot be promised: the events of one transaction in several topics come in no
 * order.
 *
 * An event that cannot be read or applied stops the source: what came before it is committed, and
 * it is tried again and again. Nothing is skipped.
 */
#ifndef HA_PROXY_DEBEZIUM_SOURCE_H
#define HA_PROXY_DEBEZIUM_SOURCE_H

#include "base/err.h"
#include "proxy/kafka.h"
#include "proxy/source.h"

struct debezium_source;

/* Brokers, group and topics. Connects to nothing. ERR_CONFIG. */
enum err_code debezium_source_check(const struct kafka_options *o, struct err *e);

/* The strings of `o` are borrowed, and outlive it. */
enum err_code debezium_source_new(struct debezium_source **out, const struct kafka_options *o,
                                  struct err *e);
void debezium_source_free(struct debezium_source *d); /* after source_free(); NULL is fine */

/* Its argument is a struct debezium_source. */
extern const struct source_driver debezium_source_driver;

#endif
