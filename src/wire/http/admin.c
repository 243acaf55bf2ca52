/* Databases, replications, and what a node tells about itself. */
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "wire/http/exchange.h"

#define SYNC_WAIT_NS (5 * CLOCK_S) /* how long /readyz?sync asks the log */

#define EXPECT_DIGITS 9 /* of a number of nodes */

#define TYPE_JSON "application/json"

bool http_databases_list(struct exchange *x)
{
    node_list_databases(x->server->node, &x->out);
    return http_reply(x, 200, TYPE_JSON, 0);
}

bool http_database_create(struct exchange *x)
{
    static const char *const names[] = {"dsn"};
    const char *dsn = NULL;
    struct err e = ERR_INIT;

    if (httpreq_fields(x->arena, x->raw.data, x->raw.len, names, &dsn, 1, &e) != ERR_OK)
        return http_reply_error(x, &e);
    if (!dsn || *dsn == '\0') {
        err_set(&e, ERR_PARAM, "\"dsn\" is missing: the new database's file name");
        return http_reply_error(x, &e);
    }
    if (node_create_database(x->server->node, dsn, &e) != ERR_OK)
        return http_reply_error(x, &e);
    return http_reply_empty(x, 201);
}

bool http_database_drop(struct exchange *x)
{
    struct err e = ERR_INIT;

    if (node_drop_database(x->server->node, x->id, &e) != ERR_OK)
        return http_reply_error(x, &e);
    return http_reply_empty(x, 200);
}

bool http_snapshot_take(struct exchange *x)
{
    struct err e = ERR_INIT;

    if (node_snapshot(x->server->node, x->id, &x->snapshot_seq, &x->out, &e) != ERR_OK)
        return http_reply_error(x, &e);
    return http_reply(x, 200, TYPE_JSON, 0);
}

/* A number of nodes is one that an answer can hold; what else it may be, the node knows. */
static enum err_code expectation(struct exchange *x, const char **out, struct err *e)
{
    if (http_arg_text(x, "expect", out, e) != ERR_OK)
        return e->code;
    if (*out && strlen(*out) > EXPECT_DIGITS && (*out)[strspn(*out, "0123456789")] == '\0')
        return err_set(e, ERR_PARAM, "?expect is no number of nodes that there can be");
    return ERR_OK;
}

bool http_verify(struct exchange *x)
{
    const char *expected = NULL;
    struct err e = ERR_INIT;

    if (expectation(x, &expected, &e) != ERR_OK ||
        node_verify(x->server->node, x->id, expected, &x->out, &e) != ERR_OK)
        return http_reply_error(x, &e);
    return http_reply(x, 200, TYPE_JSON, 0);
}

bool http_replications_list(struct exchange *x)
{
    struct err e = ERR_INIT;

    if (node_replications(x->server->node, x->id, x->name, &x->out, &e) != ERR_OK)
        return http_reply_error(x, &e);
    return http_reply(x, 200, TYPE_JSON, 0);
}

bool http_replication_remove(struct exchange *x)
{
    struct err e = ERR_INIT;

    if (node_remove_replication(x->server->node, x->id, x->name, &e) != ERR_OK)
        return http_reply_error(x, &e);
    return http_reply_empty(x, 204);
}

bool http_healthz(struct exchange *x)
{
    return http_reply_text(x, 200, "ok\n");
}

bool http_readyz(struct exchange *x)
{
    struct buf why = BUF_INIT;
    struct err e = ERR_INIT;
    bool sync, ready;
    bool result;

    if (http_arg_bool(x, "sync", &sync, &e) != ERR_OK)
        return http_reply_error(x, &e);
    ready = node_ready(x->server->node, sync, clock_deadline(SYNC_WAIT_NS), &why);
    if (ready)
        buf_reset(&why), buf_puts(&why, "ok");
    buf_putc(&why, '\n');
    result = http_reply_text(x, ready ? 200 : 503, buf_cstr(&why));
    buf_free(&why);
    return result;
}

bool http_status(struct exchange *x)
{
    node_status(x->server->node, &x->out);
    return http_reply(x, 200, TYPE_JSON, 0);
}

bool http_metrics(struct exchange *x)
{
    node_metrics(x->server->node, &x->out);
    return http_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", 0);
}

bool http_version(struct exchange *x)
{
    const struct node_options *o = node_options(x->server->node);

    buf_puts(&x->out, "{\"version\":");
    json_put_cstr(&x->out, o->version);
    buf_puts(&x->out, ",\"node\":");
    json_put_cstr(&x->out, o->name);
    buf_puts(&x->out, "}\n");
    return http_reply(x, 200, TYPE_JSON, 0);
}

bool http_openapi(struct exchange *x)
{
    buf_put(&x->out, http_openapi_text, http_openapi_len());
    return http_reply(x, 200, "application/yaml", 0);
}
