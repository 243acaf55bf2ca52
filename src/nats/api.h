/*
 * Requests to JetStream's API that do not take the first answer for the last word.
 *
 * Every server of a cluster hears a request, and the one that leads answers it. But one that knows
 * no leader says that JetStream is unavailable (10008), even while all others go on: after a
 * partition, or while its copy of a stream is made anew, for seconds and sometimes for minutes. A
 * node mostly talks to the server beside it, whose answer comes first. The library takes that one;
 * here it counts only when nobody has a better one.
 *
 * These are slower to write than the library's calls, so they are used where those have failed with
 * that error. Any thread.
 */
#ifndef HA_NATS_API_H
#define HA_NATS_API_H

#include <nats/nats.h>

#include "nats/internal.h"
#include "nats/stream.h"

/* `request` as in "STREAM.INFO.orders", `body` JSON or "". NATS_OK with the answer, the caller's to
 * discard; or a failure, with JetStream's error in *jerr where it has said one. */
natsStatus api_ask(struct nats_client *c, const char *request, const char *body, natsMsg **answer,
                   jsErrCode *jerr);

/* As js_GetStreamInfo(), but for what `state` has no room for. */
natsStatus api_stream_info(struct nats_client *c, const char *stream, struct stream_state *state,
                           jsErrCode *jerr);
/* As js_GetMsg() or, where `subject` is not NULL, js_GetLastMsg(): the message, the caller's to
 * discard, with where it stands and since when. */
natsStatus api_get(struct nats_client *c, const char *stream, uint64_t seq, const char *subject,
                   natsMsg **msg, uint64_t *at, int64_t *time_ns, jsErrCode *jerr);

#endif
