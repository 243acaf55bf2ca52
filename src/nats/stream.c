/*
 * Streams as state: create, describe, change, read single messages. Publishing is in publish.c and
 * following in feed.c.
 */
#include "nats/stream.h"

#include <stdio.h>
#include <string.h>

#include "nats/internal.h"
#include "nats/message.h"

#define STREAM_DUPLICATE_WINDOW_NS INT64_C(120000000000)
#define STREAM_SUBJECT_SIZE        256

static void describe(const jsStreamInfo *si, struct stream_state *state)
{
    *state = (struct stream_state){
        .first_seq = si->State.FirstSeq,
        .last_seq = si->State.LastSeq,
        .created_ns = si->Created,
        .replicas = (int)si->Config->Replicas,
        .max_age_ns = si->Config->MaxAge,
        .bytes = si->State.Bytes,
        .messages = si->State.Msgs,
    };
}

static natsStatus get_info(struct nats_client *c, const char *name, jsStreamInfo **si,
                           jsErrCode *jerr)
{
    natsStatus s = NATS_TIMEOUT;
    jsOptions o;
    jsOptions_Init(&o);
    for (unsigned i = 0; nats_client_wait(c, i, &o.Wait) && s == NATS_TIMEOUT; i++)
        s = js_GetStreamInfo(si, nats_client_js(c), name, &o, jerr);
    return s;
}

enum err_code stream_info(struct nats_client *c, const char *name, struct stream_state *state,
                          bool *found, struct err *e)
{
    jsStreamInfo *si = NULL;
    jsErrCode jerr = 0;
    *found = false;
    natsStatus s = get_info(c, name, &si, &jerr);
    if (s == NATS_NOT_FOUND || jerr == JSStreamNotFoundErr)
        return ERR_OK;
    if (s != NATS_OK)
        return nats_failure(s, jerr, "stream information", e);
    *found = true;
    describe(si, state);
    jsStreamInfo_Destroy(si);
    return ERR_OK;
}

enum err_code stream_ensure(struct nats_client *c, const struct stream_config *cfg,
                            struct stream_state *state, struct err *e)
{
    bool found = false;
    enum err_code code = stream_info(c, cfg->name, state, &found, e);
    if (code != ERR_OK || found)
        return code;

    /* A comma stands between two subjects. */
    char first[STREAM_SUBJECT_SIZE];
    const char *comma = strchr(cfg->subject, ',');
    const char *subjects[2] = {cfg->subject, comma ? comma + 1 : NULL};
    if (comma) {
        snprintf(first, sizeof first, "%.*s", (int)(comma - cfg->subject), cfg->subject);
        subjects[0] = first;
    }
    jsStreamConfig jc;
    jsStreamConfig_Init(&jc);
    jc.Name = cfg->name;
    jc.Subjects = subjects;
    jc.SubjectsLen = comma ? 2 : 1;
    jc.Storage = js_FileStorage;
    jc.Replicas = cfg->replicas;
    jc.MaxAge = cfg->max_age_ns;
    jc.MaxMsgsPerSubject = cfg->max_per_subject > 0 ? cfg->max_per_subject : -1;
    /* The server wants the window no longer than the messages live. */
    jc.Duplicates = STREAM_DUPLICATE_WINDOW_NS;
    if (cfg->max_age_ns > 0 && cfg->max_age_ns < jc.Duplicates)
        jc.Duplicates = cfg->max_age_ns;
    if (cfg->objects) {
        jc.Discard = js_DiscardNew;
        jc.AllowRollup = true;
        jc.AllowDirect = true;
    }
    jsStreamInfo *si = NULL;
    jsErrCode jerr = 0;
    natsStatus s = js_AddStream(&si, nats_client_js(c), &jc, NULL, &jerr);
    if (s == NATS_OK) {
        describe(si, state);
        jsStreamInfo_Destroy(si);
        return ERR_OK;
    }
    enum err_code failure = nats_failure(s, jerr, "creating the stream", e);
    if (jerr == JSStreamNameExistErr) { /* another node was faster, with other settings */
        code = stream_info(c, cfg->name, state, &found, e);
        if (code != ERR_OK || found)
            return code;
    }
    return failure;
}

enum err_code stream_change(struct nats_client *c, const char *name, int replicas,
                            int64_t max_age_ns, struct err *e)
{
    jsStreamInfo *si = NULL;
    jsErrCode jerr = 0;
    natsStatus s = get_info(c, name, &si, &jerr);
    if (s != NATS_OK)
        return nats_failure(s, jerr, "stream information", e);
    bool change = false;
    if (replicas > 0 && si->Config->Replicas != replicas) {
        si->Config->Replicas = replicas;
        change = true;
    }
    if (max_age_ns >= 0 && si->Config->MaxAge != max_age_ns) {
        si->Config->MaxAge = max_age_ns;
        if (max_age_ns > 0 && max_age_ns < si->Config->Duplicates)
            si->Config->Duplicates = max_age_ns;
        change = true;
    }
    if (change)
        s = js_UpdateStream(NULL, nats_client_js(c), si->Config, NULL, &jerr);
    enum err_code code = s == NATS_OK ? ERR_OK : nats_failure(s, jerr, "changing the stream", e);
    jsStreamInfo_Destroy(si);
    return code;
}

enum err_code stream_delete(struct nats_client *c, const char *name, struct err *e)
{
    jsErrCode jerr = 0;
    natsStatus s = js_DeleteStream(nats_client_js(c), name, NULL, &jerr);
    if (s == NATS_OK || s == NATS_NOT_FOUND || jerr == JSStreamNotFoundErr)
        return ERR_OK;
    return nats_failure(s, jerr, "deleting the stream", e);
}

enum err_code stream_purge(struct nats_client *c, const char *name, const char *subject,
                           struct err *e)
{
    jsErrCode jerr = 0;
    jsOptions o;
    jsOptions_Init(&o);
    o.Stream.Purge.Subject = subject;
    natsStatus s = js_PurgeStream(nats_client_js(c), name, &o, &jerr);
    if (s == NATS_OK || s == NATS_NOT_FOUND || jerr == JSStreamNotFoundErr)
        return ERR_OK;
    return nats_failure(s, jerr, "purging the stream", e);
}

enum err_code stream_erase(struct nats_client *c, const char *name, uint64_t seq, bool *erased,
                           struct err *e)
{
    jsErrCode jerr = 0;
    natsStatus s = js_DeleteMsg(nats_client_js(c), name, seq, NULL, &jerr);
    *erased = s == NATS_OK;
    if (s == NATS_OK || s == NATS_NOT_FOUND || jerr == JSStreamNotFoundErr ||
        jerr == JSNoMessageFoundErr || jerr == JSSequenceNotFoundErr)
        return ERR_OK;
    return nats_failure(s, jerr, "deleting a message", e);
}

/* The shared end of both look-ups: absent is an answer, not a failure. */
static enum err_code take(natsStatus s, jsErrCode jerr, natsMsg *msg, struct stream_message *m,
                          bool *found, struct err *e)
{
    *found = false;
    *m = (struct stream_message){0};
    if (s == NATS_NOT_FOUND || jerr == JSNoMessageFoundErr || jerr == JSStreamNotFoundErr)
        return ERR_OK;
    if (s != NATS_OK)
        return nats_failure(s, jerr, "reading a message", e);
    message_view(msg, m);
    m->seq = natsMsg_GetSequence(msg);
    m->time_ns = natsMsg_GetTime(msg);
    *found = true;
    return ERR_OK;
}

enum err_code stream_get_within(struct nats_client *c, const char *stream, uint64_t seq,
                                int64_t timeout_ms, struct stream_message *m, bool *found,
                                struct err *e)
{
    natsMsg *msg = NULL;
    jsErrCode jerr = 0;
    jsOptions o;
    jsOptions_Init(&o);
    o.Wait = timeout_ms;
    natsStatus s = js_GetMsg(&msg, nats_client_js(c), stream, seq, &o, &jerr);
    return take(s, jerr, msg, m, found, e);
}

enum err_code stream_get(struct nats_client *c, const char *stream, uint64_t seq,
                         struct stream_message *m, bool *found, struct err *e)
{
    natsMsg *msg = NULL;
    natsStatus s = NATS_TIMEOUT;
    jsErrCode jerr = 0;
    jsOptions o;
    jsOptions_Init(&o);
    for (unsigned i = 0; nats_client_wait(c, i, &o.Wait) && s == NATS_TIMEOUT; i++)
        s = js_GetMsg(&msg, nats_client_js(c), stream, seq, &o, &jerr);
    return take(s, jerr, msg, m, found, e);
}

enum err_code stream_last(struct nats_client *c, const char *stream, const char *subject,
                          struct stream_message *m, bool *found, struct err *e)
{
    natsMsg *msg = NULL;
    jsErrCode jerr = 0;
    natsStatus s = js_GetLastMsg(&msg, nats_client_js(c), stream, subject, NULL, &jerr);
    return take(s, jerr, msg, m, found, e);
}

/* The first message at or behind `from`, and before `end`, that the stream still has. */
static enum err_code next_there(struct nats_client *c, const char *stream, uint64_t from,
                                uint64_t end, struct stream_message *m, bool *found, struct err *e)
{
    enum err_code code = ERR_OK;
    *found = false;
    for (; code == ERR_OK && !*found && from < end; from++)
        code = stream_get(c, stream, from, m, found, e);
    return code;
}

/*
 * Looked for by halves, message by message. A consumer that begins at a time would say it, too, but
 * the library (3.4.1) writes the nanoseconds of that time without leading zeros: 0.05 s behind the
 * full second becomes 0.5 s, and what lies between the two is left out.
 */
enum err_code stream_seq_at(struct nats_client *c, const char *stream, int64_t time_ns,
                            uint64_t *seq, struct err *e)
{
    struct stream_state state;
    bool found = false;
    enum err_code code = stream_info(c, stream, &state, &found, e);
    if (code != ERR_OK)
        return code;
    *seq = found ? state.last_seq + 1 : 1;
    uint64_t low = found && state.first_seq > 0 ? state.first_seq : 1; /* it is in low … */
    uint64_t high = *seq;                                              /* … high */
    while (low < high) {
        struct stream_message m;
        uint64_t middle = low + (high - low) / 2;
        code = next_there(c, stream, middle, high, &m, &found, e);
        if (code != ERR_OK)
            return code;
        if (found && m.time_ns < time_ns) {
            low = m.seq + 1;
        } else {
            if (found)
                *seq = m.seq;
            high = middle;
        }
        if (found)
            stream_message_free(&m);
    }
    return ERR_OK;
}
