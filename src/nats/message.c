#include "nats/message.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define DISCARD_MSGS  64
#define DISCARD_BYTES ((size_t)256 * 1024) /* of all of them */

static struct {
    pthread_mutex_t mu;
    natsMsg *msgs[DISCARD_MSGS];
    size_t n, bytes;
} discarded = {.mu = PTHREAD_MUTEX_INITIALIZER};

void message_discard(natsMsg *msg)
{
    natsMsg *full[DISCARD_MSGS];
    size_t n = 0;
    if (!msg)
        return;
    pthread_mutex_lock(&discarded.mu);
    discarded.msgs[discarded.n++] = msg;
    discarded.bytes += (size_t)natsMsg_GetDataLength(msg);
    if (discarded.n == DISCARD_MSGS || discarded.bytes > DISCARD_BYTES) {
        n = discarded.n;
        memcpy(full, discarded.msgs, sizeof full);
        discarded.n = discarded.bytes = 0;
    }
    pthread_mutex_unlock(&discarded.mu);
    for (size_t i = 0; i < n; i++)
        natsMsg_Destroy(full[i]);
}

/* "3/200" → 3 and 200; anything else is a whole message. */
static void parse_part(const char *text, struct stream_message *m)
{
    char *end = NULL;
    unsigned long part = strtoul(text, &end, 10);
    if (*end != '/')
        return;
    unsigned long parts = strtoul(end + 1, &end, 10);
    if (*end != '\0' || part == 0 || part > parts || parts > UINT32_MAX)
        return;
    m->part = (uint32_t)part;
    m->parts = (uint32_t)parts;
}

void message_view(natsMsg *msg, struct stream_message *m)
{
    const char *value = NULL;
    m->handle = msg;
    m->subject = natsMsg_GetSubject(msg);
    m->data = natsMsg_GetData(msg);
    m->len = (size_t)natsMsg_GetDataLength(msg);
    m->id = natsMsgHeader_Get(msg, MESSAGE_HEADER_ID, &value) == NATS_OK && value ? value : "";
    if (natsMsgHeader_Get(msg, MESSAGE_HEADER_NAME, &value) == NATS_OK && value)
        m->id = value;
    if (natsMsgHeader_Get(msg, MESSAGE_HEADER_PART, &value) == NATS_OK && value)
        parse_part(value, m);
}

void stream_message_free(struct stream_message *m)
{
    message_discard(m->handle);
    *m = (struct stream_message){0};
}
