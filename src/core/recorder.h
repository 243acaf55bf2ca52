/*
 * Keeps the results of a transaction until it is committed, then hands them to the real sink.
 * Values are copied. May be reset and filled again (a group that runs its transactions again), or
 * with what another node has recorded. One thread at a time.
 *
 * The recording (numbers big-endian, strings with their NUL, values as in base/value_pack.h):
 *   'C' u32 n { name, u8 has decltype, [decltype] }…
 *   'R' u32 n { value }…
 *   'D' u8 has rows, u64 rows, u64 rows affected, u64 last insert id, u64 elapsed ns
 */
#ifndef HA_CORE_RECORDER_H
#define HA_CORE_RECORDER_H

#include "base/buf.h"
#include "core/sink.h"

struct recorder {
    struct sink sink; /* what is put in here … */
    struct buf bytes;
};

void recorder_init(struct recorder *r, size_t limit_bytes);
void recorder_free(struct recorder *r);
void recorder_reset(struct recorder *r);
/* Takes the bytes of another recorder instead. False: they are no recording, or too many. */
bool recorder_load(struct recorder *r, const void *bytes, size_t len);
/* … comes out here. False if the sink said SINK_STOP. */
bool recorder_replay(const struct recorder *r, struct sink *to);

#endif
