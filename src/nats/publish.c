#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fault.h"
#include "nats/internal.h"
#include "nats/message.h"

#define PUBLISH_ATTEMPT_MS 5000 /* longest wait for one answer before the same id is sent again */
#define PUBLISH_PAUSE_MS   20   /* between attempts that were answered "not now" */

/* Codes that the table of libnats 3.4 does not name yet. */
#define JS_WRONG_LAST_SEQUENCE_CONSTANT 10164
#define JS_STORE_FAILED                 10077

static natsStatus build(const struct publish *p, natsMsg **msg)
{
    char text[32];
    natsStatus s = natsMsg_Create(msg, p->subject, NULL, p->data, (int)p->len);
    if (s == NATS_OK && p->id)
        s = natsMsgHeader_Set(*msg, MESSAGE_HEADER_ID, p->id);
    if (s == NATS_OK && p->expect_seq != PUBLISH_ANY_SEQ) {
        /* jsPubOptions cannot say "the stream is empty": 0 means unset there. */
        snprintf(text, sizeof text, "%" PRIu64, p->expect_seq);
        s = natsMsgHeader_Set(*msg, "Nats-Expected-Last-Sequence", text);
    }
    if (s == NATS_OK && p->expect_id)
        s = natsMsgHeader_Set(*msg, "Nats-Expected-Last-Msg-Id", p->expect_id);
    if (s == NATS_OK)
        s = natsMsgHeader_Set(*msg, "Nats-Expected-Stream", p->stream);
    if (s == NATS_OK && p->parts > 0) {
        snprintf(text, sizeof text, "%" PRIu32 "/%" PRIu32, p->part, p->parts);
        s = natsMsgHeader_Set(*msg, MESSAGE_HEADER_PART, text);
    }
    return s;
}

/* What one answer says. `asked_before`: an earlier attempt went unanswered, so a refusal that does
 * not speak of the stream's end proves nothing about it. */
static enum publish_result judge(natsStatus s, jsErrCode jerr, bool asked_before, bool *again)
{
    *again = false;
    if (s == NATS_OK)
        return PUBLISH_ACKED;
    switch ((int)jerr) {
    case JSStreamWrongLastSequenceErr:
    case JS_WRONG_LAST_SEQUENCE_CONSTANT:
    case JSStreamWrongLastMsgIDErr:
        return PUBLISH_CONFLICT;
    case JSClusterNotAvailErr:
    case JSClusterNotLeaderErr:
    case JSInsufficientResourcesErr:
        *again = true;
        return asked_before ? PUBLISH_UNKNOWN : PUBLISH_REFUSED;
    case 0:
        break;
    default:
        return asked_before ? PUBLISH_UNKNOWN : PUBLISH_REFUSED;
    }
    *again = s != NATS_MAX_PAYLOAD && s != NATS_NO_MEMORY && s != NATS_INVALID_ARG &&
             s != NATS_CONNECTION_CLOSED && s != NATS_NOT_PERMITTED;
    if (s == NATS_NO_RESPONDERS || !*again)
        return asked_before ? PUBLISH_UNKNOWN : PUBLISH_REFUSED;
    return PUBLISH_UNKNOWN;
}

static void pause_ms(long ms)
{
    struct timespec ts = {ms / 1000, (ms % 1000) * 1000000};
    nanosleep(&ts, NULL);
}

enum publish_result stream_publish(struct nats_client *c, const struct publish *p,
                                   int64_t deadline_ns, uint64_t *seq, struct err *e)
{
    natsMsg *msg = NULL;
    natsStatus s = build(p, &msg);
    if (s != NATS_OK) {
        natsMsg_Destroy(msg);
        nats_failure(s, 0, "publishing", e);
        return PUBLISH_REFUSED;
    }
    bool asked = false;
    enum publish_result result = PUBLISH_REFUSED;
    for (;;) {
        int64_t left_ms = (deadline_ns - clock_mono_ns()) / CLOCK_MS;
        if (left_ms <= 0) {
            if (result == PUBLISH_REFUSED && e->code == ERR_OK)
                err_set(e, ERR_LOG_UNAVAILABLE, "publishing: NATS is not connected");
            break;
        }
        if (!nats_client_connected(c)) { /* the library would keep it and send it who knows when */
            pause_ms(PUBLISH_PAUSE_MS);
            continue;
        }
        jsPubAck *ack = NULL;
        jsErrCode jerr = 0;
        jsPubOptions o;
        jsPubOptions_Init(&o);
        o.MaxWait = left_ms < PUBLISH_ATTEMPT_MS ? left_ms : PUBLISH_ATTEMPT_MS;
        s = js_PublishMsg(&ack, nats_client_js(c), msg, &o, &jerr);
        if (s == NATS_OK && ack && FAULT_FAILS("publish.ack")) {
            jsPubAck_Destroy(ack);
            ack = NULL;
            s = NATS_TIMEOUT;
        }
        bool again = false;
        result = judge(s, jerr, asked, &again);
        if (result == PUBLISH_ACKED) {
            *seq = ack->Sequence;
            jsPubAck_Destroy(ack);
            break;
        }
        nats_failure(s, jerr, "publishing", e);
        if (!again)
            break;
        asked = asked || result == PUBLISH_UNKNOWN;
        if (s != NATS_TIMEOUT)
            pause_ms(PUBLISH_PAUSE_MS);
    }
    if (result == PUBLISH_UNKNOWN)
        err_set(e, ERR_UNKNOWN_OUTCOME,
                "the log did not answer in time; whether the transaction is in it will be seen "
                "when it answers again");
    natsMsg_Destroy(msg);
    return result;
}
