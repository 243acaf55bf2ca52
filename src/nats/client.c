#include "nats/client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "nats/internal.h"

#define CLIENT_MAX_URLS 32
#define CLIENT_DEFAULT_PAYLOAD ((size_t)1024 * 1024)
#define CLIENT_RECONNECT_WAIT_MS 50
#define CLIENT_RECONNECT_JITTER_MS 50
#define CLIENT_PING_INTERVAL_MS 10000
#define CLIENT_CONNECT_TIMEOUT_MS 2000

struct nats_client {
    /* immutable after open */
    natsConnection *nc;
    jsCtx *js;
    void (*changed)(void *arg, bool connected);
    void *arg;
    /* atomic */
    atomic_bool closing;
    _Atomic int64_t max_payload;
};

enum err_code nats_failure(natsStatus s, jsErrCode jerr, const char *doing, struct err *e)
{
    natsStatus last = NATS_OK;
    const char *text = nats_GetLastError(&last);
    if (s == NATS_NO_MEMORY)
        return err_set(e, ERR_NO_MEMORY, "%s: out of memory", doing);
    if (jerr != 0)
        return err_set(e, ERR_LOG_UNAVAILABLE, "%s: %s (JetStream error %d)", doing,
                       last == s && text ? text : "refused", (int)jerr);
    if (s == NATS_NO_RESPONDERS)
        return err_set(e, ERR_LOG_UNAVAILABLE, "%s: JetStream does not answer", doing);
    return err_set(e, ERR_LOG_UNAVAILABLE, "%s: %s", doing, natsStatus_GetText(s));
}

jsCtx *nats_client_js(const struct nats_client *c)
{
    return c->js;
}

static void announce(struct nats_client *c, bool connected)
{
    if (atomic_load(&c->closing))
        return;
    if (connected && c->nc)
        atomic_store(&c->max_payload, natsConnection_GetMaxPayload(c->nc));
    if (c->changed)
        c->changed(c->arg, connected);
}

static void on_connected(natsConnection *nc, void *arg)
{
    struct nats_client *c = arg;
    atomic_store(&c->max_payload, natsConnection_GetMaxPayload(nc));
    LOG_INFO("connected to NATS", LOG_INT("max_payload", atomic_load(&c->max_payload)));
    announce(c, true);
}

static void on_disconnected(natsConnection *nc, void *arg)
{
    (void)nc;
    struct nats_client *c = arg;
    if (!atomic_load(&c->closing))
        LOG_WARN("connection to NATS lost, reconnecting");
    announce(c, false);
}

/* Without a handler of its own the library prints to standard error. */
static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus s, void *arg)
{
    (void)nc;
    (void)sub;
    (void)arg;
    LOG_DEBUG("NATS client reports", LOG_STR("status", natsStatus_GetText(s)));
}

/* The comma-separated list as the array that the library wants; `copy` is cut up. */
static int split_urls(char *copy, const char **urls)
{
    int n = 0;
    char *save = NULL;
    for (char *u = strtok_r(copy, ", ", &save); u; u = strtok_r(NULL, ", ", &save)) {
        if (n == CLIENT_MAX_URLS)
            return -1;
        urls[n++] = u;
    }
    return n;
}

static natsStatus fill_options(natsOptions *o, struct nats_client *c,
                               const struct nats_client_options *opt, const char **urls, int n)
{
    bool tls = false;
    for (int i = 0; i < n; i++)
        tls = tls || strncmp(urls[i], "tls://", 6) == 0;
    natsStatus s = natsOptions_SetServers(o, urls, n);
    if (s == NATS_OK && opt->user && *opt->user)
        s = natsOptions_SetUserInfo(o, opt->user, opt->pass ? opt->pass : "");
    if (s == NATS_OK && tls)
        s = natsOptions_SetSecure(o, true);
    if (s == NATS_OK)
        s = natsOptions_SetName(o, opt->name);
    if (s == NATS_OK)
        s = natsOptions_SetTimeout(o, CLIENT_CONNECT_TIMEOUT_MS);
    if (s == NATS_OK)
        s = natsOptions_SetMaxReconnect(o, -1);
    if (s == NATS_OK)
        s = natsOptions_SetReconnectWait(o, CLIENT_RECONNECT_WAIT_MS);
    if (s == NATS_OK)
        s = natsOptions_SetReconnectJitter(o, CLIENT_RECONNECT_JITTER_MS,
                                           CLIENT_RECONNECT_JITTER_MS);
    if (s == NATS_OK)
        s = natsOptions_SetPingInterval(o, CLIENT_PING_INTERVAL_MS);
    if (s == NATS_OK)
        s = natsOptions_SetSendAsap(o, true);
    if (s == NATS_OK)
        s = natsOptions_SetRetryOnFailedConnect(o, true, on_connected, c);
    if (s == NATS_OK)
        s = natsOptions_SetReconnectedCB(o, on_connected, c);
    if (s == NATS_OK)
        s = natsOptions_SetDisconnectedCB(o, on_disconnected, c);
    if (s == NATS_OK)
        s = natsOptions_SetErrorHandler(o, on_error, c);
    return s;
}

enum err_code nats_client_open(struct nats_client **out, const struct nats_client_options *opt,
                               struct err *e)
{
    *out = NULL;
    struct nats_client *c = calloc(1, sizeof *c);
    char *copy = strdup(opt->url);
    natsOptions *o = NULL;
    if (!c || !copy) {
        free(c);
        free(copy);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    c->changed = opt->changed;
    c->arg = opt->arg;
    atomic_init(&c->max_payload, (int64_t)CLIENT_DEFAULT_PAYLOAD);

    const char *urls[CLIENT_MAX_URLS];
    int n = split_urls(copy, urls);
    natsStatus s = n > 0 ? natsOptions_Create(&o) : NATS_INVALID_ARG;
    if (s == NATS_OK)
        s = fill_options(o, c, opt, urls, n);
    if (s == NATS_OK)
        s = natsConnection_Connect(&c->nc, o);
    bool connected = s == NATS_OK;
    if (s == NATS_NOT_YET_CONNECTED)
        s = NATS_OK;
    jsOptions jo;
    jsOptions_Init(&jo);
    jo.Wait = opt->timeout_ms;
    if (s == NATS_OK)
        s = natsConnection_JetStream(&c->js, c->nc, &jo);
    natsOptions_Destroy(o);
    free(copy);
    if (s != NATS_OK) {
        char blank[256];
        enum err_code code =
            err_set(e, ERR_CONFIG, "NATS URL \"%s\": %s", log_url(opt->url, blank, sizeof blank),
                    natsStatus_GetText(s));
        nats_client_close(c);
        return code;
    }
    *out = c;
    if (connected)
        announce(c, true);
    return ERR_OK;
}

void nats_client_close(struct nats_client *c)
{
    if (!c)
        return;
    atomic_store(&c->closing, true);
    jsCtx_Destroy(c->js);
    if (c->nc) {
        natsConnection_Close(c->nc);
        natsConnection_Destroy(c->nc);
    }
    free(c);
}

bool nats_client_connected(const struct nats_client *c)
{
    return natsConnection_Status(c->nc) == NATS_CONN_STATUS_CONNECTED;
}

size_t nats_client_max_payload(const struct nats_client *c)
{
    int64_t n = atomic_load(&c->max_payload);
    return n > 0 ? (size_t)n : CLIENT_DEFAULT_PAYLOAD;
}
