#include "nats/api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/clock.h"
#include "nats/inbox.h"
#include "nats/message.h"

#define API_WAIT_MS      1000 /* for somebody who knows */
#define API_REQUEST_SIZE 512
#define API_TEXT_SIZE    512

/* ---- reading an answer ----
 * Within a JSON string a quotation mark always has a backslash before it, so nothing there looks
 * like a name. */

static const char *behind(const natsMsg *answer, const char *name)
{
    const char *data = natsMsg_GetData(answer);
    const char *p =
        data ? memmem(data, (size_t)natsMsg_GetDataLength(answer), name, strlen(name)) : NULL;
    return p ? p + strlen(name) : NULL;
}

static uint64_t number(const natsMsg *answer, const char *name)
{
    const char *p = behind(answer, name); /* the library puts a NUL behind the data */
    return p ? strtoull(p, NULL, 10) : 0;
}

/* A string without escapes; NULL where there is none. */
static const char *text(const natsMsg *answer, const char *name, size_t *len)
{
    const char *p = behind(answer, name);
    const char *end = natsMsg_GetData(answer) + natsMsg_GetDataLength(answer);
    const char *quote = p ? memchr(p, '"', (size_t)(end - p)) : NULL;
    *len = quote ? (size_t)(quote - p) : 0;
    return quote ? p : NULL;
}

/* "2026-11-25T17:42:22.323579Z" as nanoseconds since 1970; 0 if it is none. */
static int64_t moment(const natsMsg *answer, const char *name)
{
    char copy[64];
    struct tm tm = {0};
    size_t len;
    const char *p = text(answer, name, &len);
    if (!p || len >= sizeof copy)
        return 0;
    snprintf(copy, sizeof copy, "%.*s", (int)len, p);
    const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest)
        return 0;
    int64_t ns = 0, unit = CLOCK_S / 10;
    if (*rest == '.')
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
            ns += (*rest - '0') * unit;
    return strcmp(rest, "Z") == 0 ? (int64_t)timegm(&tm) * CLOCK_S + ns : 0;
}

static jsErrCode error_of(const natsMsg *answer)
{
    if (!behind(answer, "\"error\":{"))
        return 0;
    jsErrCode code = (jsErrCode)number(answer, "\"err_code\":");
    return code != 0 ? code : JSNotEnabledErr;
}

/* ---- asking ---- */

natsStatus api_ask(struct nats_client *c, const char *request, const char *body, natsMsg **answer,
                   jsErrCode *jerr)
{
    char subject[API_REQUEST_SIZE];
    natsConnection *nc = nats_client_connection(c);
    struct inbox *in = NULL;
    natsMsg *question = NULL;
    *answer = NULL;
    *jerr = 0;
    snprintf(subject, sizeof subject, "$JS.API.%s", request);
    natsStatus s = inbox_take(nats_client_inboxes(c), nc, &in);
    if (s != NATS_OK)
        return s;
    s = natsMsg_Create(&question, subject, inbox_subject(in), body, (int)strlen(body));
    int64_t until = clock_deadline(API_WAIT_MS * CLOCK_MS);
    natsMsg *send = question; /* NULL: it is asked, another answer is waited for */
    while (s == NATS_OK && !*answer) {
        int64_t left_ms = (until - clock_mono_ns()) / CLOCK_MS;
        s = left_ms > 0 ? inbox_ask(in, nc, send, left_ms, answer) : NATS_TIMEOUT;
        send = NULL;
        if (s != NATS_OK)
            break;
        *jerr = error_of(*answer);
        if (*jerr == 0)
            break;
        message_discard(*answer);
        *answer = NULL;
        if (*jerr != JSClusterNotAvailErr)
            s = NATS_ERR;
    }
    message_discard(question);
    inbox_give(nats_client_inboxes(c), in);
    return s == NATS_OK || *jerr == 0 ? s : NATS_ERR;
}

natsStatus api_stream_info(struct nats_client *c, const char *stream, struct stream_state *state,
                           jsErrCode *jerr)
{
    char request[API_REQUEST_SIZE];
    natsMsg *answer;
    snprintf(request, sizeof request, "STREAM.INFO.%s", stream);
    natsStatus s = api_ask(c, request, "", &answer, jerr);
    if (s != NATS_OK)
        return s;
    *state = (struct stream_state){
        .first_seq = number(answer, "\"first_seq\":"),
        .last_seq = number(answer, "\"last_seq\":"),
        .created_ns = moment(answer, "\"created\":\""),
        .replicas = (int)number(answer, "\"num_replicas\":"),
        .max_age_ns = (int64_t)number(answer, "\"max_age\":"),
        .bytes = number(answer, "\"bytes\":"),
        .messages = number(answer, "\"messages\":"),
    };
    message_discard(answer);
    return state->created_ns != 0 && state->replicas > 0 ? NATS_OK : NATS_PROTOCOL_ERROR;
}

/* "NATS/1.0\r\nNats-Msg-Id: x\r\n…" */
static natsStatus put_headers(natsMsg *msg, char *headers)
{
    natsStatus s = NATS_OK;
    char *save = NULL;
    for (char *line = strtok_r(headers, "\r\n", &save); line && s == NATS_OK;
         line = strtok_r(NULL, "\r\n", &save)) {
        char *value = strchr(line, ':');
        if (!value)
            continue;
        *value++ = '\0';
        s = natsMsgHeader_Set(msg, line, value + strspn(value, " "));
    }
    return s;
}

/* The stored message out of {"message": {"subject", "seq", "hdrs", "data", "time"}}. */
static natsStatus unpack(const natsMsg *answer, natsMsg **msg)
{
    char subject[API_TEXT_SIZE];
    size_t name_len, headers_len, data_len, got = 0;
    const char *name = text(answer, "\"subject\":\"", &name_len);
    const char *headers = text(answer, "\"hdrs\":\"", &headers_len);
    const char *data = text(answer, "\"data\":\"", &data_len);
    if (!name || name_len >= sizeof subject)
        return NATS_PROTOCOL_ERROR;
    snprintf(subject, sizeof subject, "%.*s", (int)name_len, name);
    size_t room = (headers_len > data_len ? headers_len : data_len) + 1;
    char *bytes = malloc(room);
    if (!bytes)
        return NATS_NO_MEMORY;
    natsStatus s = NATS_OK;
    if (data && !base64_decode(data, data_len, bytes, room - 1, &got))
        s = NATS_PROTOCOL_ERROR;
    if (s == NATS_OK)
        s = natsMsg_Create(msg, subject, NULL, bytes, (int)got);
    if (s == NATS_OK && headers && !base64_decode(headers, headers_len, bytes, room - 1, &got))
        s = NATS_PROTOCOL_ERROR;
    if (s == NATS_OK && headers) {
        bytes[got] = '\0';
        s = put_headers(*msg, bytes);
    }
    free(bytes);
    if (s != NATS_OK) {
        message_discard(*msg);
        *msg = NULL;
    }
    return s;
}

natsStatus api_get(struct nats_client *c, const char *stream, uint64_t seq, const char *subject,
                   natsMsg **msg, uint64_t *at, int64_t *time_ns, jsErrCode *jerr)
{
    char request[API_REQUEST_SIZE], body[API_REQUEST_SIZE];
    natsMsg *answer;
    *msg = NULL;
    snprintf(request, sizeof request, "STREAM.MSG.GET.%s", stream);
    if (subject)
        snprintf(body, sizeof body, "{\"last_by_subj\":\"%s\"}", subject);
    else
        snprintf(body, sizeof body, "{\"seq\":%" PRIu64 "}", seq);
    natsStatus s = api_ask(c, request, body, &answer, jerr);
    if (s != NATS_OK)
        return s;
    *at = number(answer, "\"seq\":");
    *time_ns = moment(answer, "\"time\":\"");
    s = unpack(answer, msg);
    message_discard(answer);
    return s;
}
