/*
 * Debezium's change events: the key and the value of a Kafka message, as Kafka Connect's
 * JsonConverter writes them, to one change of one row. Pure: bytes to structs, no I/O.
 *
 * Sources of the format: Debezium's documentation ("Data change events" of each connector, "New
 * Record State Extraction"), Kafka Connect's JsonConverter (KIP-26), and what Debezium 3.6 really
 * sends. Taken are
 *
 *   {"schema": SCHEMA, "payload": P} and P alone, of the key as of the value, each by itself
 *   P = envelope  {"before": ROW, "after": ROW, "source": {…}, "op": c|r|u|d|t|m, "transaction",
 *                  "ts_ms"}
 *     | ROW       of ExtractNewRecordState; its fields that begin with "__" are no columns:
 *                 "__op", "__deleted" and "__table" say what their names do
 *     | null      a tombstone: the row with that key is gone
 *
 * The schema decides what a value is (debezium_value.h); without one it is what JSON has. Columns
 * with Debezium's "__debezium_unavailable_value" are left out: they have not changed.
 *
 * Not rows, and so nothing to do: heartbeats, transaction borders, schema changes, logical messages
 * (op m). Refused: events of connectors whose rows are none (MongoDB, Cassandra).
 *
 * This is a fuzz surface: any input ends in ERR_OK, ERR_FORMAT, ERR_TOO_BIG, ERR_UNSUPPORTED or
 * ERR_NO_MEMORY, in memory bounded by jsondoc.h and a small multiple of the input. One thread at a
 * time for one decoder.
 */
#ifndef HA_PROTO_DEBEZIUM_H
#define HA_PROTO_DEBEZIUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/value.h"

#define DEBEZIUM_MAX_BYTES   ((size_t)256 << 20) /* of a key or a value */
#define DEBEZIUM_MAX_COLUMNS 2000u               /* of a row: SQLite's default limit */

/* What arrived. A part that is null in Kafka is NULL here; everything is borrowed. */
struct debezium_message {
    const char *topic;
    const char *key, *value;
    size_t key_len, value_len;
};

enum debezium_kind {
    DEBEZIUM_NOTHING, /* `why` says what it is instead */
    DEBEZIUM_INSERT,
    DEBEZIUM_UPDATE, /* where there is no such row yet, the same as INSERT */
    DEBEZIUM_DELETE,
    DEBEZIUM_TRUNCATE,
    DEBEZIUM_TOMBSTONE /* DELETE by the message's key; the table is only known by the topic's name
                        */
};

struct debezium_field {
    const char *name;
    struct value value;
};

/* A column as the schema describes it. */
struct debezium_column {
    const char *name;
    const char *type;     /* as it may stand in CREATE TABLE */
    bool key;             /* the message's key has it */
    struct value initial; /* what rows have in it that are older than the column; NULL = nothing */
};

struct debezium_event {
    enum debezium_kind kind;
    const char *why;                  /* NOTHING: "heartbeat" …; else NULL */
    const char *table;                /* never NULL or empty, but for NOTHING */
    const char *database, *schema;    /* where the source has the table; "" = it does not say */
    const char *connector;            /* "postgresql" …, "" = it does not say */
    const char *transaction;          /* its id; "" = it does not say */
    int64_t time_ms;                  /* of the source's commit, since 1970; 0 = not known */
    const struct debezium_field *row; /* INSERT, UPDATE: as far as it is known */
    size_t n_row;
    /* UPDATE, DELETE, TOMBSTONE: what finds the row, never none of it. The columns of the message's
     * key, else all of the row as it was. */
    const struct debezium_field *keys;
    size_t n_keys;
    /* All columns, if the event brings a schema; else none. */
    const struct debezium_column *columns;
    size_t n_columns;
};

struct debezium;

struct debezium *debezium_new(void); /* NULL: no memory */
void debezium_free(struct debezium *d);

/* What `out` points at is valid until the next call. The error says what is wrong with the message,
 * not where it stood. */
enum err_code debezium_decode(struct debezium *d, const struct debezium_message *m,
                              struct debezium_event *out, struct err *e);

#endif
