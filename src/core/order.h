/*
 * Orders and answers: what a follower sends to the leader so that it runs its clients' writes, and
 * what comes back (errand.h tells the conversation).
 *
 *     order    u8 1 · u8 what · database · u64 base · u64 least position, 0 = any
 *              u64 ns left, 0 = no limit
 *              u64 last insert rowid · u32 bytes that the recording may have · u8 atomic
 *              u16 n · n × { setting's name, u8 has a value, [value] }
 *              front, queries (parcel.h)
 *     answer   u8 is the transaction open? · u64 seq · u8 empty · u8 reads · u32 parameters
 *              u8 lacks a setting · [its name] · result (parcel.h)
 *
 * The settings of a PostgreSQL session stay with its own node. A statement that asks for one that
 * the order does not have is undone; the answer names it, and the follower sends the order again,
 * with it.
 *
 * Pure: bytes to structs and back. One thread at a time for each buffer and arena.
 */
#ifndef HA_CORE_ORDER_H
#define HA_CORE_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "core/parcel.h"
#include "core/upstream.h"

enum order_what {
    ORDER_WRITE = 'W',
    ORDER_BEGIN = 'B',
    ORDER_RUN = 'R',
    ORDER_DESCRIBE = 'D',
    ORDER_COMMIT = 'C',
    ORDER_CANCEL = 'X'
};

struct order_setting {
    const char *name, *value; /* NULL: the session knows none of that name */
};

/* As it was read: borrows from the bytes and the arena. */
struct order {
    enum order_what what;
    const char *database;
    uint64_t base; /* UPSTREAM_ANY */
    uint64_t min_seq;
    int64_t left_ns;
    int64_t last_rowid;
    size_t limit_bytes;
    bool atomic, has_front;
    const struct order_setting *settings;
    size_t n_settings;
    struct pg_session front; /* without functions */
    const struct query *queries;
    size_t n;
};

/* Names of settings that answers have asked for, in the caller's storage. */
#define ORDER_SETTINGS_MAX 24u
#define ORDER_SETTING_SIZE 64u

struct order_wanted {
    unsigned n;
    char names[ORDER_SETTINGS_MAX][ORDER_SETTING_SIZE];
};

/* Adds the name; false: there are too many, or it is there already, and was of no use. */
bool order_want(struct order_wanted *w, const char *name);

/* Appends an order. `wanted` may be NULL. */
void order_put(struct buf *b, enum order_what what, const struct upstream_call *c, uint64_t base,
               size_t limit_bytes, const struct order_wanted *wanted);
/* False: the bytes are none. */
bool order_get(struct order *out, struct arena *a, const void *bytes, size_t len);

struct order_answer {
    bool open; /* the transaction stands */
    uint64_t seq;
    struct session_shape shape;  /* of DESCRIBE */
    const char *lacks;           /* NULL = nothing; else the result is void */
    struct parcel_result result; /* order_put_answer() takes the recording from elsewhere */
};

/* `recording` may be NULL where there is none. */
void order_put_answer(struct buf *b, const struct order_answer *a, const struct buf *recording);
/* False: the bytes are none. Borrows from them. */
bool order_get_answer(struct order_answer *out, const void *bytes, size_t len);

#endif
