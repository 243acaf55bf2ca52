/*
 * The question is $JS.API.INFO: of the account's JetStream, answered by the leader of the cluster's
 * metadata, and by a server that knows no such leader with error 10008. It needs no stream.
 *
 * libnats 3.4 can neither be told to reconnect nor tells the descriptor of its socket, and a client
 * that is opened anew would take the contexts, subscriptions and requests of all its databases with
 * it. So the socket is looked for by its address and shut down: to the library the server has gone.
 */
#include "nats/look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "nats/internal.h"
#include "nats/url.h"
#include "os/socket.h"

#define LOOK_ANSWER_MS 1500
#define LOOK_ALL_NS    (8 * CLOCK_S) /* for all others together */
#define LOOK_URL_SIZE  512

static bool answers(natsConnection *nc)
{
    natsMsg *msg = NULL;
    natsStatus s = natsConnection_RequestString(&msg, nc, "$JS.API.INFO", "", LOOK_ANSWER_MS);
    const char *text = s == NATS_OK ? natsMsg_GetData(msg) : NULL;
    /* An answer is {"type":"io.nats.jetstream.api.v1.account_info_response", …}, and has an "error"
     * where JetStream cannot be used. libnats terminates what it delivers. */
    bool ok = text && strstr(text, "account_info_response") && !strstr(text, "\"error\":");
    natsMsg_Destroy(msg);
    return ok;
}

enum look nats_look(struct nats_client *c, char id[NATS_SERVER_ID_SIZE])
{
    natsConnection *nc = nats_client_connection(c);
    id[0] = '\0';
    if (!nats_client_connected(c) ||
        natsConnection_GetConnectedServerId(nc, id, NATS_SERVER_ID_SIZE) != NATS_OK || !id[0]) {
        id[0] = '\0';
        return LOOK_NOBODY;
    }
    if (answers(nc))
        return LOOK_OK;
    char after[NATS_SERVER_ID_SIZE] = "";
    (void)natsConnection_GetConnectedServerId(nc, after, sizeof after);
    return strcmp(id, after) == 0 ? LOOK_USELESS : LOOK_NOBODY;
}

/* `id`: the server at `url`, "" = nobody is there. */
static enum look ask_one(struct nats_client *c, const char *url, char id[NATS_SERVER_ID_SIZE],
                         const char *but)
{
    natsOptions *o = NULL;
    natsConnection *nc = NULL;
    enum look seen = LOOK_NOBODY;
    id[0] = '\0';
    natsStatus s = nats_client_single(c, url, &o);
    if (s == NATS_OK)
        s = natsConnection_Connect(&nc, o);
    if (s == NATS_OK)
        s = natsConnection_GetConnectedServerId(nc, id, NATS_SERVER_ID_SIZE);
    if (s == NATS_OK)
        seen = but && strcmp(id, but) == 0 ? LOOK_USELESS : answers(nc) ? LOOK_OK : LOOK_USELESS;
    natsConnection_Destroy(nc);
    natsOptions_Destroy(o);
    return seen;
}

void nats_look_url(struct nats_client *c, char *url, size_t size)
{
    natsConnection *nc = nats_client_connection(c);
    if (!nc || natsConnection_GetConnectedUrl(nc, url, size) != NATS_OK)
        url[0] = '\0';
}

enum look nats_look_at(struct nats_client *c, const char *url, const char *id)
{
    char there[NATS_SERVER_ID_SIZE];
    enum look seen = ask_one(c, url, there, NULL);
    return seen == LOOK_USELESS && strcmp(there, id) != 0 ? LOOK_OK : seen;
}

bool nats_look_elsewhere(struct nats_client *c, const char *but, const atomic_bool *cancel,
                         char *url, size_t size, unsigned *asked)
{
    int64_t until = clock_deadline(LOOK_ALL_NS);
    char here[LOOK_URL_SIZE] = "";
    char **servers = NULL;
    int n = 0;
    bool found = false;
    natsConnection *nc = nats_client_connection(c);
    *asked = 0;
    nats_look_url(c, here, sizeof here);
    if (!nc || natsConnection_GetServers(nc, &servers, &n) != NATS_OK)
        return false;
    /* The list begins where the library would begin. */
    for (int i = 0; i < n && !found && !atomic_load(cancel) && clock_mono_ns() < until; i++) {
        char id[NATS_SERVER_ID_SIZE];
        if (strcmp(servers[i], here) == 0)
            continue;
        found = ask_one(c, servers[i], id, but) == LOOK_OK;
        *asked += strcmp(id, but) != 0 ? 1 : 0;
        if (found)
            (void)snprintf(url, size, "%s", servers[i]);
    }
    for (int i = 0; i < n; i++)
        free(servers[i]);
    free(servers);
    return found;
}

void nats_leave(struct nats_client *c)
{
    natsConnection *nc = nats_client_connection(c);
    char url[LOOK_URL_SIZE] = "", *ip = NULL;
    int port = 0;
    if (nc && natsConnection_GetConnectedUrl(nc, url, sizeof url) == NATS_OK &&
        natsConnection_GetLocalIPAndPort(nc, &ip, &port) == NATS_OK && ip &&
        socket_cut(ip, port, nats_url_port(url)) == 0)
        LOG_WARN("the connection to a nats-server cannot be ended", LOG_STR("url", url));
    free(ip);
}
