/*
 * Databases and snapshots as files, and the databases' names. The core pushes pieces; they leave
 * as messages of 64 KiB at most, as go-ha's do, and the core waits where the client does not keep
 * up.
 */
#include "core/session.h"
#include "proto/grpcframe.h"
#include "proto/grpcsql.h"
#include "wire/grpc/conn.h"

#define PIECE_BYTES ((size_t)64 << 10)
#define ID_SIZE     512u

struct file {
    struct grpc_call *call;
    struct err err; /* why a piece did not leave */
};

static bool push(void *arg, const void *bytes, size_t len)
{
    struct file *f = arg;
    const char *at = bytes;

    while (len > 0 && f->err.code == ERR_OK) {
        size_t n = len < PIECE_BYTES ? len : PIECE_BYTES;
        grpcsql_put_piece_head(&f->call->reply, n);
        buf_put(&f->call->reply, at, n);
        (void)grpc_call_reply(f->call, &f->err);
        at += n;
        len -= n;
    }
    return f->err.code == ERR_OK;
}

static void begin(void *arg, uint64_t seq)
{
    struct file *f = arg;

    grpc_call_header(f->call, "ha-seq", seq);
}

static enum err_code send_file(struct grpc_call *call, bool snapshot, struct err *e)
{
    struct node *n = call->conn->server->node;
    struct file f = {.call = call, .err = ERR_INIT};
    const char *bytes = NULL, *id = NULL;
    size_t len = 0;
    enum err_code code;

    if (grpc_call_read_one(call, &bytes, &len, e) != ERR_OK ||
        grpcsql_read_database(call->request, bytes, len, &id, e) != ERR_OK)
        return e->code;
    if (!id)
        id = call->head.database;
    code = snapshot ? node_snapshot_download(n, id, begin, push, &f, e)
                    : node_download(n, id, push, &f, e);
    if (f.err.code != ERR_OK) { /* what it has led to does not matter */
        *e = f.err;
        code = e->code;
    }
    return code;
}

enum err_code grpc_download(struct grpc_call *call, struct err *e)
{
    return send_file(call, false, e);
}

enum err_code grpc_snapshot(struct grpc_call *call, struct err *e)
{
    return send_file(call, true, e);
}

/* Both methods that ask for names: what a database is called is its id. The request is empty, and
 * some clients do not even send it. */
enum err_code grpc_names(struct grpc_call *call, struct err *e)
{
    const char *bytes = NULL;
    size_t len = 0;
    bool end = false;
    char id[ID_SIZE];

    if (grpc_call_read(call, false, &bytes, &len, &end, e) != ERR_OK)
        return e->code;
    for (size_t i = 0; node_database_at(call->conn->server->node, i, id, sizeof id); i++)
        grpcsql_put_name(&call->reply, id);
    return grpc_call_reply(call, e);
}
