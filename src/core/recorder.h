/*
 * Keeps the results of a transaction until it is committed, then hands them to the real sink.
 * Values are copied. May be reset and filled again (a group that runs its transactions again). One
 * thread at a time.
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
/* … comes out here. False if the sink said SINK_STOP. */
bool recorder_replay(struct recorder *r, struct sink *to);

#endif
