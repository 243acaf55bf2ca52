/*
 * A connection to a nats-server with JetStream, for the measuring programs. To be included by one
 * file of a program.
 */
#ifndef HA_BENCH_JETSTREAM_H
#define HA_BENCH_JETSTREAM_H

#include <nats/nats.h>

#include "measure.h"

struct jetstream {
    natsConnection *nc;
    jsCtx *js;
};

static void jetstream_must(natsStatus s, jsErrCode jerr, const char *doing)
{
    if (s != NATS_OK)
        measure_fail("%s: %s (JetStream error %d)", doing, natsStatus_GetText(s), (int)jerr);
}

/* The same settings as src/nats/client.c where they matter for speed. */
static void jetstream_open(struct jetstream *j, const char *url, int64_t max_pending)
{
    natsOptions *o = NULL;
    jsOptions jo;
    jetstream_must(natsOptions_Create(&o), 0, "options");
    jetstream_must(natsOptions_SetURL(o, url), 0, "the URL");
    jetstream_must(natsOptions_SetSendAsap(o, true), 0, "options");
    jetstream_must(natsConnection_Connect(&j->nc, o), 0, "connecting");
    natsOptions_Destroy(o);
    jsOptions_Init(&jo);
    jo.PublishAsync.MaxPending = max_pending;
    jetstream_must(natsConnection_JetStream(&j->js, j->nc, &jo), 0, "JetStream");
}

static void jetstream_close(struct jetstream *j)
{
    jsCtx_Destroy(j->js);
    natsConnection_Destroy(j->nc);
    nats_Close();
}

#endif
