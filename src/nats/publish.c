/*
 * Publishing: one message, sent as often as it takes until the stream's word on it is known.
 *
 * An answer may never come: the server that took the message has gone, or does not lead any more.
 * So none is waited for long. The same message, with the same id and the same expectation, goes out
 * again, and what becomes of the new copy tells what has become of the earlier ones:
 *
 *   it is stored                    none of them was
 *   "duplicate", at seq             one of them was, there
 *   "duplicate", at no seq yet      one of them is under way: not yet committed, and perhaps never
 *   the stream ends elsewhere       what stands right behind the expected end decides: it is this
 *                                   message, or one after which none of the copies can be stored
 *
 * A refusal alone proves nothing, not even of the one copy that was sent: after a partition a
 * server that does not know yet that it leads no more refuses what the one that leads has stored,
 * and both answer (seen with 2.15.2).
 *
 * Only one copy is ever stored. Where an end is expected the others do not meet it (I4); where any
 * will do they are recognised by the id, in the two minutes of the duplicate window.
 *
 * A server may remember the id of a message that was dropped in a change of leaders, and call every
 * copy a duplicate of nothing (2.10.27 by its source). Where an end is expected the id is not what
 * keeps a second copy out. So a copy then goes under another id of the server's, and says which
 * message it is in a header of ours; readers see no difference.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/id.h"
#include "base/log.h"
#include "nats/inbox.h"
#include "nats/internal.h"
#include "nats/message.h"
#include "nats/stall.h"

/*
 * Of what a server that leads the log has to answer in (0.4 ms, 28 ms in a hundred for 512 KB,
 * three servers on two cores) the first limit is ten times the worst; an election after a server
 * was told to stop takes 20 to 60 ms. A log that is slow for long is not asked more and more.
 */
#define PUBLISH_ANSWER_MIN_MS 250  /* for the first answer, then twice as long each time … */
#define PUBLISH_ANSWER_MAX_MS 1000 /* … up to this */
#define PUBLISH_PAUSE_MIN_MS  20   /* between copies that were answered "not now", growing too */
#define PUBLISH_PAUSE_MAX_MS  160
#define PUBLISH_LOOK_MS       1000    /* for a look into the stream */
#define PUBLISH_DUPLICATE_NS  CLOCK_S /* that a copy may be under way before another id is tried */
#define ACK_MAX               1024    /* bytes of an answer that are looked at */

/* Codes that the table of libnats 3.4 does not name yet. */
#define JS_WRONG_LAST_SEQUENCE_CONSTANT 10164
#define JS_STORE_FAILED                 10077
#define JS_DUPLICATE_IN_PROCESS         10158

/* `alias`: what the server is to know the copy by; "" = the message's own id. */
static natsStatus build(const struct publish *p, const char *alias, const char *reply,
                        natsMsg **msg)
{
    char text[32];
    natsStatus s = natsMsg_Create(msg, p->subject, reply, p->data, (int)p->len);
    if (s == NATS_OK && p->id)
        s = natsMsgHeader_Set(*msg, MESSAGE_HEADER_ID, *alias ? alias : p->id);
    if (s == NATS_OK && p->id && *alias)
        s = natsMsgHeader_Set(*msg, MESSAGE_HEADER_NAME, p->id);
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

/* What an answer says of the copy that it answers, or what follows from there being none. */
enum word {
    WORD_STORED,  /* it is there; or an earlier one is */
    WORD_PENDING, /* an earlier one is under way */
    WORD_MOVED,   /* it will not be stored: the stream ends elsewhere than expected */
    WORD_OTHER,   /* nor here: it ends where expected, but with another message */
    WORD_REFUSED, /* it will not be stored, nor will any other */
    WORD_NOWHERE, /* it has reached nobody */
    WORD_NONE     /* it may be there, or get there yet, or not */
};

static enum word judge_refusal(jsErrCode jerr)
{
    switch ((int)jerr) {
    case JSStreamWrongLastSequenceErr:
    case JS_WRONG_LAST_SEQUENCE_CONSTANT:
        return WORD_MOVED;
    case JSStreamWrongLastMsgIDErr:
        return WORD_OTHER;
    case JS_DUPLICATE_IN_PROCESS:
        return WORD_PENDING;
    case JSClusterNotAvailErr:
    case JSClusterNotLeaderErr:
    case JSStreamSequenceNotMatchErr:
    case JS_STORE_FAILED:
    case JSInsufficientResourcesErr:
    case 0: /* no code of JetStream's: the server could not even propose it */
        /* One server speaks, of itself. Where there are others, they may have stored what it could
         * not (seen with 2.10.27), and one of them answers next. */
        return WORD_NONE;
    default:
        return WORD_REFUSED;
    }
}

static enum word judge_silence(natsStatus s)
{
    switch ((int)s) {
    case NATS_NO_RESPONDERS:
        return WORD_NOWHERE;
    case NATS_MAX_PAYLOAD:
    case NATS_NO_MEMORY:
    case NATS_INVALID_ARG:
    case NATS_NOT_PERMITTED:
    case NATS_CONNECTION_CLOSED:
        return WORD_REFUSED;
    default:
        return WORD_NONE;
    }
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

/* An answer is {"stream", "seq", …} or {"error": {"err_code", "description", …}, …}. */
static enum word read_answer(natsMsg *answer, uint64_t *seq, struct err *e)
{
    char text[ACK_MAX];
    snprintf(text, sizeof text, "%.*s", natsMsg_GetDataLength(answer), natsMsg_GetData(answer));
    if (strstr(text, "\"error\":")) {
        jsErrCode jerr = (jsErrCode)ack_number(text, "\"err_code\":");
        refusal(text, jerr, e);
        return judge_refusal(jerr);
    }
    *seq = ack_number(text, "\"seq\":");
    if (*seq > 0)
        return WORD_STORED;
    if (strstr(text, "\"duplicate\":")) { /* 2.10; 2.11 and later have an error of its own for it */
        err_set(e, ERR_LOG_UNAVAILABLE, "publishing: the message is under way");
        return WORD_PENDING;
    }
    err_set(e, ERR_LOG_UNAVAILABLE, "publishing: an answer that is none");
    return WORD_NONE;
}

/* One message on its way. */
struct sending {
    struct nats_client *c;   /* borrowed */
    const struct publish *p; /* borrowed */
    int64_t deadline_ns;
    /* The message, and where its answers come: those to any of its copies. Both survive from copy
     * to copy unless the connection is lost. */
    struct inbox *inbox;
    natsMsg *msg;
    bool wait_on; /* for the answer to an earlier copy, instead of sending another */
    bool doubt;   /* a copy may be in the stream, or get there yet */
    unsigned silences, pauses;
    int64_t pending_ns; /* since when the server has called the copies duplicates; 0 = it has not */
    char alias[ID_SIZE]; /* see build() */
};

/* `least`, doubled so often, but never above `most`. */
static int64_t grown(int64_t least, int64_t most, unsigned times)
{
    while (times-- > 0 && least < most)
        least *= 2;
    return least < most ? least : most;
}

static int64_t left_ms(const struct sending *w)
{
    return (w->deadline_ns - clock_mono_ns()) / CLOCK_MS;
}

static int64_t within(const struct sending *w, int64_t ms)
{
    int64_t left = left_ms(w);
    return ms < left ? ms : left > 1 ? left : 1;
}

static void pause_ms(int64_t ms)
{
    clock_nap(ms * CLOCK_MS);
}

static void drop(struct sending *w)
{
    inbox_give(nats_client_inboxes(w->c), w->inbox);
    message_discard(w->msg);
    w->inbox = NULL;
    w->msg = NULL;
}

static natsStatus make(struct sending *w)
{
    if (w->msg)
        return NATS_OK;
    w->wait_on = false;
    natsStatus s = NATS_OK;
    if (!w->inbox)
        s = inbox_take(nats_client_inboxes(w->c), nats_client_connection(w->c), &w->inbox);
    return s == NATS_OK ? build(w->p, w->alias, inbox_subject(w->inbox), &w->msg) : s;
}

/* Sends a copy, or waits on for the answer to an earlier one. */
static enum word ask(struct sending *w, uint64_t *seq, struct err *e)
{
    int64_t wait_ms = within(w, grown(PUBLISH_ANSWER_MIN_MS, PUBLISH_ANSWER_MAX_MS, w->silences));
    natsMsg *answer = NULL;
    if (!w->alias[0] && FAULT_FAILS("publish.duplicate")) {
        err_set(e, ERR_LOG_UNAVAILABLE, "publishing: the message is under way (injected)");
        pause_ms(wait_ms);
        return WORD_PENDING;
    }
    natsStatus s = make(w);
    if (s != NATS_OK) {
        nats_failure(s, 0, "publishing", e);
        drop(w);
        w->pauses++;
        return judge_silence(s) == WORD_REFUSED ? WORD_REFUSED : WORD_NOWHERE;
    }
    int64_t start = clock_mono_ns();
    s = inbox_ask(w->inbox, nats_client_connection(w->c), w->wait_on ? NULL : w->msg, wait_ms,
                  &answer);
    w->wait_on = false;
    if (s == NATS_OK && FAULT_FAILS("publish.ack"))
        s = NATS_TIMEOUT;
    if (s == NATS_TIMEOUT)
        stall_silent(w->c, w->p->stream, clock_mono_ns() - start);
    else
        stall_over(w->c, w->p->stream);
    enum word word;
    if (s == NATS_OK) {
        word = read_answer(answer, seq, e);
    } else {
        nats_failure(s, 0, "publishing", e);
        word = judge_silence(s);
    }
    message_discard(answer);
    if (s == NATS_TIMEOUT)
        w->silences++;
    else if (word != WORD_STORED && word != WORD_PENDING)
        w->pauses++;
    if (s == NATS_CONNECTION_DISCONNECTED)
        drop(w);
    return word;
}

enum sight {
    SIGHT_OURS,   /* the message is in the stream */
    SIGHT_OTHER,  /* it is not, and will not be */
    SIGHT_NOTHING /* whoever answered, if anybody, does not know yet */
};

/* What stands right behind the expected end? Nowhere else can a copy be. */
static enum sight look(const struct sending *w, uint64_t *seq, struct err *e)
{
    const struct publish *p = w->p;
    struct stream_message m;
    struct stream_state st;
    bool found = false;
    if (p->expect_seq == PUBLISH_ANY_SEQ)
        return w->doubt ? SIGHT_NOTHING : SIGHT_OTHER;
    if (stream_get_within(w->c, p->stream, p->expect_seq + 1, within(w, PUBLISH_LOOK_MS), &m,
                          &found, e) != ERR_OK)
        return SIGHT_NOTHING;
    if (found) {
        bool ours = strcmp(m.id, p->id) == 0;
        *seq = m.seq;
        stream_message_free(&m);
        return ours ? SIGHT_OURS : SIGHT_OTHER;
    }
    /* Whoever answered may be behind: just elected, or a leader no more. That the stream has grown
     * says nothing then, for it may have grown by this message. Only where the messages up to there
     * have been taken out of it nobody will ever know: it was another one, unless a copy of this
     * one is unaccounted for. */
    if (w->doubt || stream_info(w->c, p->stream, &st, &found, e) != ERR_OK || !found)
        return SIGHT_NOTHING;
    return st.first_seq > p->expect_seq + 1 ? SIGHT_OTHER : SIGHT_NOTHING;
}

/* Does the stream really end with another message than the expected one? */
static enum sight look_at_end(const struct sending *w, uint64_t *seq, struct err *e)
{
    const struct publish *p = w->p;
    struct stream_message m;
    bool found = false;
    enum sight sight = look(w, seq, e);
    if (sight != SIGHT_NOTHING || !p->expect_id)
        return sight;
    if (stream_get_within(w->c, p->stream, p->expect_seq, within(w, PUBLISH_LOOK_MS), &m, &found,
                          e) != ERR_OK ||
        !found)
        return SIGHT_NOTHING;
    sight = strcmp(m.id, p->expect_id) == 0 ? SIGHT_NOTHING : SIGHT_OTHER;
    stream_message_free(&m);
    return sight;
}

/* The server has called the copies duplicates for a while, and nothing stands where they would.
 * Only whole messages: a part is known to the next one by the server's id. */
static void rename_copies(struct sending *w)
{
    int64_t now = clock_mono_ns();
    if (w->pending_ns == 0)
        w->pending_ns = now;
    if (w->p->expect_seq == PUBLISH_ANY_SEQ || w->p->parts > 0 ||
        now - w->pending_ns < PUBLISH_DUPLICATE_NS)
        return;
    id_next(w->alias);
    LOG_INFO("the log calls a message that it does not have a duplicate: sent under another id",
             LOG_STR("stream", w->p->stream), LOG_STR("id", w->p->id), LOG_STR("as", w->alias));
    w->pending_ns = now;
    w->wait_on = false;
    message_discard(w->msg); /* answers to earlier copies still count: the inbox stays */
    w->msg = NULL;
}

/* True when it is known what has become of the message. */
static bool settled(struct sending *w, enum word word, enum publish_result *result, uint64_t *seq,
                    struct err *e)
{
    enum sight sight = SIGHT_NOTHING;
    switch (word) {
    case WORD_STORED:
        *result = PUBLISH_ACKED;
        return true;
    case WORD_REFUSED:
        *result = w->doubt ? PUBLISH_UNKNOWN : PUBLISH_REFUSED;
        return true;
    case WORD_PENDING:
        /* The copy that is under way may have failed already: 2.10 remembers its id all the same.
         */
        w->doubt = w->wait_on = true;
        sight = look(w, seq, e);
        if (sight == SIGHT_NOTHING)
            rename_copies(w);
        *result = PUBLISH_UNKNOWN;
        break;
    case WORD_MOVED:
        sight = look(w, seq, e);
        *result = PUBLISH_UNKNOWN;
        break;
    case WORD_OTHER:
        sight = look_at_end(w, seq, e);
        *result = PUBLISH_UNKNOWN;
        break;
    case WORD_NONE:
        w->doubt = true;
        *result = PUBLISH_UNKNOWN;
        break;
    case WORD_NOWHERE:
        *result = w->doubt ? PUBLISH_UNKNOWN : PUBLISH_REFUSED;
        break;
    }
    if (sight == SIGHT_NOTHING)
        return false;
    *result = sight == SIGHT_OURS ? PUBLISH_ACKED : PUBLISH_CONFLICT;
    return true;
}

enum publish_result stream_publish(struct nats_client *c, const struct publish *p,
                                   int64_t deadline_ns, uint64_t *seq, struct err *e)
{
    char own[ID_SIZE];
    struct publish named = *p;
    struct sending w = {.c = c, .p = &named, .deadline_ns = deadline_ns};
    enum publish_result result = PUBLISH_REFUSED;
    if (!p->id && p->expect_seq != PUBLISH_ANY_SEQ) { /* or it could not be told from another one */
        id_next(own);
        named.id = own;
    }
    while (left_ms(&w) > 0) {
        if (!nats_client_connected(c)) { /* the library would keep it and send it who knows when */
            pause_ms(PUBLISH_PAUSE_MIN_MS);
            continue;
        }
        unsigned silences = w.silences;
        if (settled(&w, ask(&w, seq, e), &result, seq, e))
            break;
        LOG_DEBUG("publishing goes on", LOG_STR("stream", p->stream),
                  LOG_STR("id", named.id ? named.id : ""), LOG_STR("reason", e->msg));
        unsigned earlier = w.pauses > 0 ? w.pauses - 1 : 0; /* 0: another id is tried next */
        if (silences == w.silences && !w.wait_on)
            pause_ms(within(&w, grown(PUBLISH_PAUSE_MIN_MS, PUBLISH_PAUSE_MAX_MS, earlier)));
    }
    drop(&w);
    if (result == PUBLISH_ACKED)
        err_clear(e);
    else if (result == PUBLISH_UNKNOWN)
        err_set(e, ERR_UNKNOWN_OUTCOME,
                "the log did not answer in time; whether the transaction is in it will be seen "
                "when it answers again");
    else if (e->code == ERR_OK)
        err_set(e, ERR_LOG_UNAVAILABLE, "publishing: NATS is not connected");
    return result;
}
