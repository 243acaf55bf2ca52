/* The log as history, and undo, under paths of their own. As statements they are the executor's. */
#include <string.h>

#include "base/digits.h"
#include "wire/http/exchange.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     100000

#define TYPE_JSON "application/json"

static bool gone(void *arg)
{
    const struct exchange *x = arg;

    return http_client_gone(x->fd);
}

static enum err_code read_limit(struct exchange *x, uint64_t *limit, struct err *e)
{
    const char *text = NULL;

    *limit = LIMIT_DEFAULT;
    if (http_arg_text(x, "limit", &text, e) != ERR_OK || !text)
        return e->code;
    if (!digits_read(&text, limit) || *text != '\0' || *limit == 0 || *limit > LIMIT_MAX)
        return err_set(e, ERR_PARAM, "?limit is a number from 1 to %d", LIMIT_MAX);
    return ERR_OK;
}

bool http_history(struct exchange *x)
{
    struct err e = ERR_INIT;
    uint64_t limit;

    if (read_limit(x, &limit, &e) != ERR_OK ||
        node_history(x->server->node, x->id, x->name, limit, gone, x, &x->out, &e) != ERR_OK) {
        buf_reset(&x->out);
        return http_reply_error(x, &e);
    }
    return http_reply(x, 200, TYPE_JSON, 0);
}

static bool undo(struct exchange *x, const char *statement)
{
    struct err e = ERR_INIT;

    if (node_undo(x->server->node, x->id, statement, x->name, gone, x, &x->seq, &x->out, &e) !=
        ERR_OK)
        return http_reply_error(x, &e);
    return http_reply(x, 200, TYPE_JSON, 0);
}

bool http_undo(struct exchange *x)
{
    return undo(x, "UNDO");
}

bool http_undoe(struct exchange *x)
{
    return undo(x, "UNDOE");
}

bool http_undot(struct exchange *x)
{
    return undo(x, "UNDOT");
}
