#include "nats/client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "nats/inbox.h"
#include "nats/internal.h"
#include "nats/stall.h"
#include "nats/url.h"

#define CLIENT_DEFAULT_PAYLOAD     ((size_t)1024 * 1024)
#define CLIENT_RECONNECT_WAIT_MS   50
#define CLIENT_RECONNECT_JITTER_MS 50
#define CLIENT_PING_INTERVAL_MS    10000
#define CLIENT_CONNECT_TIMEOUT_MS  2000
#define CLIENT_SINGLE_TIMEOUT_MS   1000
#define CLIENT_WRITE_MS            2000             /* for one message to go into the socket */
#define CLIENT_FIRST_RETRY_NS      (100 * CLOCK_MS) /* between attempts of the connector */
#define CLIENT_RETIRE_MS           1000
#define CLIENT_LEAVE_MS            250 /* for a sign of life */
#define CLIENT_CLOSED_WAIT_NS      (5 * CLOCK_S)
#define CLIENT_FAREWELL_MS         100 /* for the end of a feed's consumer, which ends anyway */
#define CLIENT_WAITS               3 /* attempts of a request, each longer than the one before: … */
#define CLIENT_WAIT_SHARES         6 /* … 1 + 2 + 3 of so many parts of the timeout */

/*
 * The first connection is made by nats_client_open() or, where that fails, by a thread of our own
 * that tries until it succeeds; only then do `nc` and `js` exist. (The library's own "retry on
 * failed connect" gives up for ever if the very first server accepts and then closes the
 * connection, as one does that is just being killed or started: observed with 3.4.1.) Later losses
 * are the library's, but for one: it closes a connection for good when a server has refused the
 * credentials twice. Then the same thread makes another one. Whoever has the old one gets
 * NATS_CONNECTION_CLOSED from it; it is freed with the client.
 */
struct connection {
    natsConnection *nc;
    jsCtx *js, *js_feeds;
};

struct nats_client {
    /* immutable after open */
    char self[ID_SIZE];
    char *list, *user, *pass, *name, *token; /* owned; `list` is what the URLs point into */
    char *ca_file, *cert_file, *key_file;
    bool insecure;
    struct nats_urls urls;
    natsOptions *options;
    int64_t timeout_ms;
    void (*changed)(void *arg, bool connected);
    void *arg;
    /* guarded by mu; `news` is signalled when any of these changes */
    pthread_mutex_t mu;
    pthread_cond_t news;
    pthread_t connector;
    bool has_connector;
    bool stop;              /* the connector shall end */
    natsConnection *closed; /* the library has made its last callback for it */
    char why[256];          /* the last failure of a connector's attempt; no news, either */
    struct connection *old; /* closed ones; no news */
    size_t n_old, cap_old;
    natsSubscription **retired; /* to be freed; not announced by `news` */
    size_t n_retired;
    struct feed_list feeds;
    struct inbox_pool inboxes; /* have locks of their own */
    struct stall_list stalls;
    /* atomic; set by nats_client_open() or the connector. NULL before the first connection */
    _Atomic(natsConnection *) nc;
    _Atomic(jsCtx *) js, js_feeds;
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
    return atomic_load(&c->js);
}

jsCtx *nats_client_js_feeds(const struct nats_client *c)
{
    return atomic_load(&c->js_feeds);
}

natsConnection *nats_client_connection(const struct nats_client *c)
{
    return atomic_load(&c->nc);
}

const char *nats_client_self(const struct nats_client *c)
{
    return c->self;
}

struct feed_list *nats_client_feeds(struct nats_client *c)
{
    return &c->feeds;
}

bool nats_client_wait(const struct nats_client *c, unsigned attempt, int64_t *wait_ms)
{
    *wait_ms = (attempt + 1) * c->timeout_ms / CLIENT_WAIT_SHARES;
    return attempt < CLIENT_WAITS;
}

struct inbox_pool *nats_client_inboxes(struct nats_client *c)
{
    return &c->inboxes;
}

struct stall_list *nats_client_stalls(struct nats_client *c)
{
    return &c->stalls;
}

uint64_t nats_client_stepdowns(struct nats_client *c)
{
    return atomic_load(&c->stalls.stepdowns);
}

/* mu is not held. */
static void put_retired(struct nats_client *c, natsSubscription *sub)
{
    pthread_mutex_lock(&c->mu);
    natsSubscription **grown = realloc(c->retired, (c->n_retired + 1) * sizeof(natsSubscription *));
    if (grown) { /* else it is never freed */
        c->retired = grown;
        c->retired[c->n_retired++] = sub;
    }
    pthread_mutex_unlock(&c->mu);
}

/* mu is not held. All of them; the caller frees the array. */
static natsSubscription **take_retired(struct nats_client *c, size_t *n)
{
    pthread_mutex_lock(&c->mu);
    natsSubscription **subs = c->retired;
    *n = c->n_retired;
    c->retired = NULL;
    c->n_retired = 0;
    pthread_mutex_unlock(&c->mu);
    return subs;
}

static void free_retired(natsSubscription **subs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        natsSubscription_Destroy(subs[i]);
    free(subs);
}

void nats_client_retire(struct nats_client *c, natsSubscription *sub)
{
    size_t n;
    if (!sub)
        return;
    (void)natsSubscription_Unsubscribe(sub);
    put_retired(c, sub);
    natsSubscription **subs = take_retired(c, &n);
    if (nats_client_connected(c) &&
        natsConnection_FlushTimeout(nats_client_connection(c), CLIENT_RETIRE_MS) == NATS_OK) {
        free_retired(subs, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        put_retired(c, subs[i]);
    free(subs);
}

static void announce(struct nats_client *c, bool connected)
{
    if (!atomic_load(&c->closing) && c->changed)
        c->changed(c->arg, connected);
}

static void on_connected(natsConnection *nc, void *arg)
{
    struct nats_client *c = arg;
    atomic_store(&c->max_payload, natsConnection_GetMaxPayload(nc));
    LOG_INFO("connected to NATS", LOG_INT("max_payload", atomic_load(&c->max_payload)));
    announce(c, true);
}

static void *connector_main(void *arg);

/* The last callback of a connection. */
static void on_closed(natsConnection *nc, void *arg)
{
    struct nats_client *c = arg;
    bool wanted = !atomic_load(&c->closing) && nc == atomic_load(&c->nc);
    if (wanted)
        LOG_WARN("the connection to NATS was given up, as the server refuses it; trying anew");
    pthread_mutex_lock(&c->mu);
    c->closed = nc;
    if (wanted && !c->has_connector && !c->stop)
        c->has_connector = pthread_create(&c->connector, NULL, connector_main, c) == 0;
    pthread_cond_broadcast(&c->news);
    pthread_mutex_unlock(&c->mu);
}

static void on_disconnected(natsConnection *nc, void *arg)
{
    (void)nc;
    struct nats_client *c = arg;
    if (!atomic_load(&c->closing))
        LOG_WARN("connection to NATS lost, reconnecting");
    inbox_pool_lost(&c->inboxes); /* a publish finds out at once that its answer will not come */
    announce(c, false);
}

/* Without a handler of its own the library prints to standard error. */
static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus s, void *arg)
{
    (void)nc;
    struct nats_client *c = arg;
    if (s == NATS_MISSED_HEARTBEAT)
        feed_list_missed(&c->feeds, sub);
    LOG_DEBUG("NATS client reports", LOG_STR("status", natsStatus_GetText(s)));
}

/* What every connection of this client needs, whatever server it is to.
 *
 * The write deadline: the library writes with the connection's mutex held, so where a server reads
 * no more (it is stopped, or its machine is) whoever calls the library stands still behind the
 * first one, for ever. A message of which a part has gone out by then is no trouble: the library
 * shuts the socket down and connects anew. */
static natsStatus fill_tls(natsOptions *o, const struct nats_client *c)
{
    bool tls = *c->ca_file || *c->cert_file || c->insecure;
    for (int i = 0; i < c->urls.n; i++)
        tls = tls || strncmp(c->urls.url[i], "tls://", 6) == 0;
    natsStatus s = tls ? natsOptions_SetSecure(o, true) : NATS_OK;
    if (s == NATS_OK && *c->ca_file)
        s = natsOptions_LoadCATrustedCertificates(o, c->ca_file);
    if (s == NATS_OK && *c->cert_file)
        s = natsOptions_LoadCertificatesChain(o, c->cert_file, c->key_file);
    if (s == NATS_OK && c->insecure)
        s = natsOptions_SkipServerVerification(o, true);
    return s;
}

static natsStatus fill_common(natsOptions *o, const struct nats_client *c)
{
    natsStatus s = NATS_OK;
    if (*c->token)
        s = natsOptions_SetToken(o, c->token);
    else if (*c->user)
        s = natsOptions_SetUserInfo(o, c->user, c->pass);
    else if (c->urls.user[0])
        s = natsOptions_SetUserInfo(o, c->urls.user, c->urls.pass);
    if (s == NATS_OK)
        s = fill_tls(o, c);
    if (s == NATS_OK)
        s = natsOptions_SetName(o, c->name);
    if (s == NATS_OK)
        s = natsOptions_SetWriteDeadline(o, CLIENT_WRITE_MS);
    return s;
}

static natsStatus fill_options(natsOptions *o, struct nats_client *c)
{
    natsStatus s = natsOptions_SetServers(o, c->urls.url, c->urls.n);
    if (s == NATS_OK)
        s = fill_common(o, c);
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
        s = natsOptions_SetFailRequestsOnDisconnect(o, true);
    if (s == NATS_OK)
        s = natsOptions_SetReconnectedCB(o, on_connected, c);
    if (s == NATS_OK)
        s = natsOptions_SetDisconnectedCB(o, on_disconnected, c);
    if (s == NATS_OK)
        s = natsOptions_SetClosedCB(o, on_closed, c);
    if (s == NATS_OK)
        s = natsOptions_SetErrorHandler(o, on_error, c);
    return s;
}

static void on_single_error(natsConnection *nc, natsSubscription *sub, natsStatus s, void *arg)
{
    (void)nc;
    (void)sub;
    (void)arg;
    LOG_DEBUG("NATS client reports", LOG_STR("status", natsStatus_GetText(s)));
}

natsStatus nats_client_single(const struct nats_client *c, const char *url, natsOptions **out)
{
    natsOptions *o = NULL;
    natsStatus s = natsOptions_Create(&o);
    if (s == NATS_OK)
        s = natsOptions_SetServers(o, &url, 1);
    if (s == NATS_OK)
        s = fill_common(o, c);
    if (s == NATS_OK)
        s = natsOptions_SetTimeout(o, CLIENT_SINGLE_TIMEOUT_MS);
    if (s == NATS_OK)
        s = natsOptions_SetAllowReconnect(o, false);
    if (s == NATS_OK)
        s = natsOptions_SetIgnoreDiscoveredServers(o, true);
    if (s == NATS_OK)
        s = natsOptions_SetErrorHandler(o, on_single_error, NULL);
    if (s == NATS_OK)
        *out = o;
    else
        natsOptions_Destroy(o);
    return s;
}

static void connection_free(struct connection *x)
{
    jsCtx_Destroy(x->js);
    jsCtx_Destroy(x->js_feeds);
    natsConnection_Destroy(x->nc);
}

static natsStatus connection_open(struct connection *x, const struct nats_client *c)
{
    jsOptions jo;
    natsStatus s = natsConnection_Connect(&x->nc, c->options);
    if (s != NATS_OK)
        return s;
    jsOptions_Init(&jo);
    jo.Wait = c->timeout_ms;
    s = natsConnection_JetStream(&x->js, x->nc, &jo);
    jo.Wait = CLIENT_FAREWELL_MS;
    return s == NATS_OK ? natsConnection_JetStream(&x->js_feeds, x->nc, &jo) : s;
}

/* The one that the client has had is closed, and stays for those who use it still. */
static bool keep_old(struct nats_client *c)
{
    struct connection old = {atomic_load(&c->nc), atomic_load(&c->js), atomic_load(&c->js_feeds)};
    if (!old.nc)
        return true;
    pthread_mutex_lock(&c->mu);
    struct connection *room = array_room(c->old, c->n_old, &c->cap_old, sizeof *room);
    if (room) {
        c->old = room;
        room[c->n_old++] = old;
    }
    pthread_mutex_unlock(&c->mu);
    return room != NULL;
}

/* One attempt. */
static natsStatus connect_now(struct nats_client *c)
{
    struct connection x = {NULL};
    natsStatus s = connection_open(&x, c);
    if (s == NATS_OK && !keep_old(c))
        s = NATS_NO_MEMORY;
    if (s != NATS_OK) {
        connection_free(&x);
        return s;
    }
    atomic_store(&c->js_feeds, x.js_feeds);
    atomic_store(&c->js, x.js);
    atomic_store(&c->nc, x.nc);
    return s;
}

static natsStatus connect_once(struct nats_client *c)
{
    natsStatus s = connect_now(c);
    const char *text = s == NATS_OK ? NULL : nats_GetLastError(NULL);
    pthread_mutex_lock(&c->mu);
    (void)snprintf(c->why, sizeof c->why, "%s%s%s", s == NATS_OK ? "" : natsStatus_GetText(s),
                   text ? ": " : "", text ? text : "");
    pthread_mutex_unlock(&c->mu);
    return s;
}

/* There is none, or the library has closed it. mu is held. */
static bool is_wanting_locked(const struct nats_client *c)
{
    natsConnection *nc = atomic_load(&c->nc);
    return !nc || nc == c->closed;
}

/* False: the client is being closed. */
static bool connector_waits(struct nats_client *c)
{
    pthread_mutex_lock(&c->mu);
    while (!c->stop && !is_wanting_locked(c))
        clock_cond_wait(&c->news, &c->mu, CLOCK_EVER);
    bool go = !c->stop;
    pthread_mutex_unlock(&c->mu);
    return go;
}

static bool connector_rests(struct nats_client *c)
{
    int64_t until = clock_deadline(CLIENT_FIRST_RETRY_NS);
    pthread_mutex_lock(&c->mu);
    while (!c->stop && clock_cond_wait(&c->news, &c->mu, until))
        ;
    bool go = !c->stop;
    pthread_mutex_unlock(&c->mu);
    return go;
}

/* Tried ten times a second; told when the reason is another one. */
static void tell_failure(natsStatus s, natsStatus *told)
{
    if (s != *told) {
        const char *text = nats_GetLastError(NULL);
        LOG_WARN("no connection to NATS yet", LOG_STR("reason", natsStatus_GetText(s)),
                 LOG_STR("detail", text ? text : ""));
    }
    *told = s;
}

static void *connector_main(void *arg)
{
    struct nats_client *c = arg;
    natsStatus told = NATS_OK;
    while (connector_waits(c) && connector_rests(c)) {
        natsStatus s = connect_once(c);
        if (s == NATS_OK)
            on_connected(atomic_load(&c->nc), c);
        else
            tell_failure(s, &told);
        if (s == NATS_OK)
            told = NATS_OK;
    }
    return NULL;
}

static enum err_code start_connector(struct nats_client *c, struct err *e)
{
    int rc = pthread_create(&c->connector, NULL, connector_main, c);
    c->has_connector = rc == 0;
    return rc == 0 ? ERR_OK : err_set(e, ERR_NO_MEMORY, "cannot start a thread: %s", strerror(rc));
}

/* Will another attempt with the same options fail in the same way? */
static bool is_hopeless(natsStatus s)
{
    return s == NATS_INVALID_ARG || s == NATS_ADDRESS_MISSING || s == NATS_NO_MEMORY;
}

static void free_texts(struct nats_client *c)
{
    if (!c)
        return;
    free(c->list);
    free(c->user);
    free(c->pass);
    free(c->name);
    free(c->token);
    free(c->ca_file);
    free(c->cert_file);
    free(c->key_file);
}

static bool copy_texts(struct nats_client *c, const struct nats_client_options *opt)
{
    const struct {
        char **to;
        const char *from;
    } texts[] = {
        {&c->list, opt->url},
        {&c->name, opt->name},
        {&c->user, opt->user},
        {&c->pass, opt->pass},
        {&c->token, opt->token},
        {&c->ca_file, opt->ca_file},
        {&c->cert_file, opt->cert_file},
        {&c->key_file, opt->key_file},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!(*texts[i].to = strdup(texts[i].from ? texts[i].from : "")))
            return false;
    c->insecure = opt->insecure;
    return true;
}

enum err_code nats_client_open(struct nats_client **out, const struct nats_client_options *opt,
                               struct err *e)
{
    *out = NULL;
    struct nats_client *c = calloc(1, sizeof *c);
    if (!c || !copy_texts(c, opt)) {
        free_texts(c);
        free(c);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    c->changed = opt->changed;
    c->arg = opt->arg;
    c->timeout_ms = opt->timeout_ms;
    id_next(c->self);
    atomic_init(&c->max_payload, (int64_t)CLIENT_DEFAULT_PAYLOAD);
    pthread_mutex_init(&c->mu, NULL);
    pthread_mutex_init(&c->feeds.mu, NULL);
    c->feeds.expected = opt->feeds;
    inbox_pool_init(&c->inboxes, c);
    stall_list_init(&c->stalls);
    clock_cond_init(&c->news);

    (void)nats_Open(0); /* no spinning on the library's locks; fails where it is open already */
    natsStatus s = nats_urls_parse(c->list, &c->urls) == 0 ? natsOptions_Create(&c->options)
                                                           : NATS_INVALID_ARG;
    if (s == NATS_OK)
        s = fill_options(c->options, c);
    bool filled = s == NATS_OK; /* else a certificate could not be read, say */
    if (filled)
        s = connect_once(c);
    if (s != NATS_OK && (is_hopeless(s) || atomic_load(&c->nc) || !filled)) {
        char blank[256];
        const char *detail = filled || !c->options ? NULL : nats_GetLastError(NULL);
        enum err_code code = err_set(e, ERR_CONFIG, "NATS URL \"%s\": %s%s%s",
                                     log_url(opt->url, blank, sizeof blank), natsStatus_GetText(s),
                                     detail ? ": " : "", detail ? detail : "");
        nats_client_close(c);
        return code;
    }
    if (s != NATS_OK && start_connector(c, e) != ERR_OK) {
        nats_client_close(c);
        return e->code;
    }
    *out = c;
    if (s == NATS_OK) {
        atomic_store(&c->max_payload, natsConnection_GetMaxPayload(c->nc));
        announce(c, true);
    }
    return ERR_OK;
}

static void stop_connector(struct nats_client *c)
{
    pthread_mutex_lock(&c->mu);
    c->stop = true;
    bool has_connector = c->has_connector;
    pthread_cond_broadcast(&c->news);
    pthread_mutex_unlock(&c->mu);
    if (has_connector)
        pthread_join(c->connector, NULL);
}

/* Callbacks come from a thread of the library, the last one some time after the connection's end.
 */
static void wait_closed(struct nats_client *c)
{
    int64_t until = clock_deadline(CLIENT_CLOSED_WAIT_NS);
    pthread_mutex_lock(&c->mu);
    while (!is_wanting_locked(c) && clock_cond_wait(&c->news, &c->mu, until))
        ;
    bool closed = is_wanting_locked(c);
    pthread_mutex_unlock(&c->mu);
    if (!closed)
        LOG_WARN("the connection to NATS does not close");
}

void nats_client_leave(struct nats_client *c)
{
    natsConnection *nc = atomic_load(&c->nc);
    if (!nc ||
        (nats_client_connected(c) && natsConnection_FlushTimeout(nc, CLIENT_LEAVE_MS) == NATS_OK))
        return;
    atomic_store(&c->closing, true); /* nobody is told */
    natsConnection_Close(nc);
}

void nats_client_close(struct nats_client *c)
{
    if (!c)
        return;
    atomic_store(&c->closing, true);
    stop_connector(c);
    struct connection last = {atomic_load(&c->nc), atomic_load(&c->js), atomic_load(&c->js_feeds)};
    jsCtx_Destroy(last.js);
    jsCtx_Destroy(last.js_feeds);
    if (last.nc) {
        natsConnection_Close(last.nc);
        wait_closed(c);
        free_retired(c->retired, c->n_retired);
    }
    inbox_pool_fini(&c->inboxes);
    stall_list_fini(&c->stalls);
    natsConnection_Destroy(last.nc);
    while (c->n_old > 0)
        connection_free(&c->old[--c->n_old]);
    free(c->old);
    natsOptions_Destroy(c->options);
    pthread_cond_destroy(&c->news);
    pthread_mutex_destroy(&c->mu);
    pthread_mutex_destroy(&c->feeds.mu);
    free_texts(c);
    free(c);
}

bool nats_client_connected(const struct nats_client *c)
{
    natsConnection *nc = atomic_load(&c->nc);
    return nc && natsConnection_Status(nc) == NATS_CONN_STATUS_CONNECTED;
}

void nats_client_reason(struct nats_client *c, char *out, size_t size)
{
    pthread_mutex_lock(&c->mu);
    (void)snprintf(out, size, "%s", c->why);
    pthread_mutex_unlock(&c->mu);
}

size_t nats_client_max_payload(const struct nats_client *c)
{
    int64_t n = atomic_load(&c->max_payload);
    return n > 0 ? (size_t)n : CLIENT_DEFAULT_PAYLOAD;
}
