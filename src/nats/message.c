#include "nats/message.h"

#include <stdlib.h>

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
    if (natsMsgHeader_Get(msg, MESSAGE_HEADER_PART, &value) == NATS_OK && value)
        parse_part(value, m);
}

void stream_message_free(struct stream_message *m)
{
    natsMsg_Destroy(m->handle);
    *m = (struct stream_message){0};
}
