#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fault.h"
#include "nats/inbox.h"
#include "nats/internal.h"
#include "nats/message.h"

#define PUBLISH_ATTEMPT_MS 5000 /* longest wait for one answer before the same id is sent again */
#define PUBLISH_PAUSE_MS   20   /* between attempts that were answered "not now" */
#define ACK_MAX            1024 /* bytes of an answer that are looked at */

/* Codes that the table of libnats 3.4 does not name yet. */
#define JS_WRONG_LAST_SEQUENCE_CONSTANT 10164
#define JS_STORE_FAILED                 10077

static natsStatus build(const struct publish *p, const char *reply, natsMsg **msg)
{
    char text[32];
    natsStatus s = natsMsg_Create(msg, p->subject, reply, p->data, (int)p->len);
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
    if (s == NATS_OK && p->rollup)
        s = natsMsgHeader_Set(*msg, "Nats-Rollup", "sub");
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
        *again = true;
        return asked_before ? PUBLISH_UNKNOWN : PUBLISH_REFUSED;
    case JS_STORE_FAILED:
    case JSInsufficientResourcesErr:
        /* The leader alone speaks, of its own disk. Where there are other replicas, they may have
         * stored what it could not (seen with 2.10.27), and one of them answers next. */
        *again = true;
        return PUBLISH_UNKNOWN;
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

/* The number behind `"name":` in an acknowledgement; 0 where there is none. Within a JSON string a
 * quotation mark always has a backslash before it, so nothing there looks like a name. */
static uint64_t ack_number(const char *json, const char *name)
{
    const char *p = strstr(json, name);
    return p ? strtoull(p + strlen(name), NULL, 10) : 0;
}

/* JetStream's refusal as an error; `json` is cut up. */
static void refusal(char *json, jsErrCode jerr, struct err *e)
{
    char *why = strstr(json, "\"description\":\"");
    if (why) {
        why += strlen("\"description\":\"");
        why[strcspn(why, "\"")] = '\0';
    }
    err_set(e, ERR_LOG_UNAVAILABLE, "publishing: %s (JetStream error %d)", why ? why : "refused",
            (int)jerr);
}

/* What an answer says: {"stream", "seq", …} or {"error": {"err_code", "description", …}, …}. */
static natsStatus read_answer(natsMsg *answer, uint64_t *seq, jsErrCode *jerr, struct err *e)
{
    char text[ACK_MAX];
    snprintf(text, sizeof text, "%.*s", natsMsg_GetDataLength(answer), natsMsg_GetData(answer));
    if (strstr(text, "\"error\":")) {
        *jerr = (jsErrCode)ack_number(text, "\"err_code\":");
        refusal(text, *jerr, e);
        return NATS_ERR;
    }
    *seq = ack_number(text, "\"seq\":");
    if (*seq > 0)
        return NATS_OK;
    err_set(e, ERR_LOG_UNAVAILABLE, "publishing: an answer that is none");
    return NATS_ERR;
}

/* The stream's end is another one than expected. Where an earlier attempt went unanswered, the
 * message that stands right behind the expected one may be ours: nowhere else can it be. */
static enum publish_result look(struct nats_client *c, const struct publish *p, uint64_t *seq,
                                struct err *e)
{
    struct stream_message m;
    bool found = false;
    if (!p->id || p->expect_seq == PUBLISH_ANY_SEQ)
        return PUBLISH_CONFLICT;
    if (stream_get(c, p->stream, p->expect_seq + 1, &m, &found, e) != ERR_OK)
        return PUBLISH_UNKNOWN;
    if (!found)
        return PUBLISH_CONFLICT;
    enum publish_result result = strcmp(m.id, p->id) == 0 ? PUBLISH_ACKED : PUBLISH_CONFLICT;
    if (result == PUBLISH_ACKED)
        *seq = p->expect_seq + 1;
    stream_message_free(&m);
    return result;
}

/* The message of one publish, and where its answer comes; both survive from attempt to attempt
 * unless the connection is lost. */
struct attempt {
    struct inbox *inbox;
    natsMsg *msg;
};

static void drop(struct nats_client *c, struct attempt *a)
{
    inbox_give(nats_client_inboxes(c), a->inbox);
    message_discard(a->msg);
    *a = (struct attempt){NULL, NULL};
}

static natsStatus make(struct nats_client *c, const struct publish *p, struct attempt *a)
{
    if (a->msg)
        return NATS_OK;
    natsStatus s = inbox_take(nats_client_inboxes(c), nats_client_connection(c), &a->inbox);
    return s == NATS_OK ? build(p, inbox_subject(a->inbox), &a->msg) : s;
}

/* Sends the message and waits for JetStream's word on it. */
static natsStatus ask(struct nats_client *c, struct attempt *a, int64_t timeout_ms, uint64_t *seq,
                      jsErrCode *jerr, struct err *e)
{
    natsMsg *answer = NULL;
    *jerr = 0;
    natsStatus s = inbox_ask(a->inbox, nats_client_connection(c), a->msg, timeout_ms, &answer);
    if (s == NATS_OK && FAULT_FAILS("publish.ack"))
        s = NATS_TIMEOUT;
    if (s == NATS_OK)
        s = read_answer(answer, seq, jerr, e);
    else
        nats_failure(s, 0, "publishing", e);
    message_discard(answer);
    if (s == NATS_CONNECTION_DISCONNECTED)
        drop(c, a);
    return s;
}

static void pause_ms(long ms)
{
    struct timespec ts = {ms / 1000, (ms % 1000) * 1000000};
    nanosleep(&ts, NULL);
}

enum publish_result stream_publish(struct nats_client *c, const struct publish *p,
                                   int64_t deadline_ns, uint64_t *seq, struct err *e)
{
    struct attempt a = {NULL, NULL};
    natsStatus s;
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
        s = make(c, p, &a);
        if (s != NATS_OK) {
            nats_failure(s, 0, "publishing", e);
            result = asked ? PUBLISH_UNKNOWN : PUBLISH_REFUSED;
            break;
        }
        jsErrCode jerr = 0;
        bool again = false;
        s = ask(c, &a, left_ms < PUBLISH_ATTEMPT_MS ? left_ms : PUBLISH_ATTEMPT_MS, seq, &jerr, e);
        result = judge(s, jerr, asked, &again);
        if (result == PUBLISH_ACKED || !again)
            break;
        asked = asked || result == PUBLISH_UNKNOWN;
        if (s != NATS_TIMEOUT)
            pause_ms(PUBLISH_PAUSE_MS);
    }
    if (result == PUBLISH_CONFLICT && asked)
        result = look(c, p, seq, e);
    if (result == PUBLISH_UNKNOWN)
        err_set(e, ERR_UNKNOWN_OUTCOME,
                "the log did not answer in time; whether the transaction is in it will be seen "
                "when it answers again");
    drop(c, &a);
    return result;
}
