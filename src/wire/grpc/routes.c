/* The table of methods. */
#include <string.h>

#include "wire/grpc/conn.h"

static const struct grpc_route routes[] = {
    {"/sql.v1.DatabaseService/Query", grpc_query, false, false},
    {"/sql.v1.DatabaseService/DataSourceNames", grpc_names, false, true},
    {"/sql.v1.DatabaseService/Download", grpc_download, false, false},
    {"/sql.v1.DatabaseService/LatestSnapshot", grpc_snapshot, false, false},
    {"/sql.v1.DatabaseService/ReplicationIDs", grpc_names, false, true},
    {"/ha.v1.Database/Execute", grpc_execute, false, true},
    {"/ha.v1.Database/Stream", grpc_stream, false, false},
    {"/ha.v1.Database/Batch", grpc_batch, false, true},
    {"/ha.v1.Leader/Run", grpc_leader, false, false},
    {"/grpc.health.v1.Health/Check", grpc_health_check, true, true},
    {"/grpc.health.v1.Health/Watch", grpc_health_watch, true, false},
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", grpc_reflection, false, false},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", grpc_reflection, false,
     false},
};

/* ha.v1.Leader is for nodes alone, and not shown. */
const char *const grpc_services[] = {
    "sql.v1.DatabaseService",
    "ha.v1.Database",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
};
const size_t grpc_n_services = sizeof grpc_services / sizeof *grpc_services;

const struct grpc_route *grpc_route_find(const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}
