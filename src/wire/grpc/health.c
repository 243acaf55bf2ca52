/*
 * grpc.health.v1: the whole server, or one of its services, serves as soon as the node holds all
 * that its logs had when it connected, as /readyz says; a database's id may be asked for, too. No
 * token is needed, as for /healthz: the probes of most orchestrators cannot send one.
 */
#include <string.h>

#include "base/clock.h"
#include "proto/grpcinfo.h"
#include "wire/grpc/conn.h"

#define LOOK_NS CLOCK_S /* between two looks for somebody who watches */
#define ID_SIZE 512u

static bool is_known(struct grpc_call *call, const char *service)
{
    char id[ID_SIZE];

    if (*service == '\0')
        return true;
    for (size_t i = 0; i < grpc_n_services; i++)
        if (strcmp(service, grpc_services[i]) == 0)
            return true;
    for (size_t i = 0; node_database_at(call->conn->server->node, i, id, sizeof id); i++)
        if (strcmp(service, id) == 0)
            return true;
    return false;
}

static enum grpcinfo_health health(struct grpc_call *call, const char *service)
{
    struct grpc_server *s = call->conn->server;
    struct buf why = BUF_INIT;
    bool ready;

    if (!is_known(call, service))
        return GRPCINFO_SERVICE_UNKNOWN;
    ready = !atomic_load(&s->stopping) && node_ready(s->node, false, 0, &why);
    buf_free(&why);
    return ready ? GRPCINFO_SERVING : GRPCINFO_NOT_SERVING;
}

static enum err_code question(struct grpc_call *call, const char **service, struct err *e)
{
    const char *bytes = NULL;
    size_t len = 0;

    if (grpc_call_read_one(call, &bytes, &len, e) != ERR_OK)
        return e->code;
    return grpcinfo_read_health(call->request, bytes, len, service, e);
}

enum err_code grpc_health_check(struct grpc_call *call, struct err *e)
{
    const char *service = "";
    enum grpcinfo_health now;

    if (question(call, &service, e) != ERR_OK)
        return e->code;
    now = health(call, service);
    if (now == GRPCINFO_SERVICE_UNKNOWN)
        return err_set(e, ERR_NOT_FOUND, "there is no service %.200s", service);
    grpcinfo_put_health(&call->reply, now);
    return grpc_call_reply(call, e);
}

enum err_code grpc_health_watch(struct grpc_call *call, struct err *e)
{
    const char *service = "";
    enum grpcinfo_health told = GRPCINFO_UNKNOWN;

    if (question(call, &service, e) != ERR_OK)
        return e->code;
    for (;;) {
        enum grpcinfo_health now = health(call, service);
        if (now != told) {
            grpcinfo_put_health(&call->reply, now);
            if (grpc_call_reply(call, e) != ERR_OK)
                return e->code;
        }
        told = now;
        if (grpc_call_check(call, e) != ERR_OK)
            return e->code;
        if (atomic_load(&call->conn->server->stopping))
            return err_set(e, ERR_SHUTDOWN, "the node is shutting down");
        grpc_call_wait(call, clock_deadline(LOOK_NS));
    }
}
