/* Small bodies: one object of strings, of which some are picked. */
#include <stdint.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "proto/httpreq.h"
#include "proto/httpreq_escape.h"

struct fields {
    struct arena *arena;
    const char *const *names;
    const char **values;
    size_t n, wanted; /* n = not one of them */
    unsigned depth;
    const char *problem;
};

static int fields_begin(void *arg)
{
    struct fields *f = arg;

    if (f->depth == 1 && f->wanted < f->n)
        f->problem = f->names[f->wanted];
    return ++f->depth <= HTTPREQ_MAX_DEPTH && !f->problem;
}

static int fields_array(void *arg)
{
    struct fields *f = arg;

    return f->depth > 0 && fields_begin(f);
}

static int fields_end(void *arg)
{
    struct fields *f = arg;

    f->depth--;
    return 1;
}

static int fields_key(void *arg, const unsigned char *key, size_t len)
{
    struct fields *f = arg;

    if (f->depth != 1)
        return 1;
    for (f->wanted = 0; f->wanted < f->n; f->wanted++)
        if (strlen(f->names[f->wanted]) == len && memcmp(f->names[f->wanted], key, len) == 0)
            break;
    return 1;
}

static int fields_string(void *arg, const unsigned char *s, size_t len)
{
    struct fields *f = arg;

    if (f->depth != 1 || f->wanted == f->n)
        return f->depth > 0;
    f->values[f->wanted] = arena_strndup(f->arena, (const char *)s, len);
    if (!f->values[f->wanted] || memchr(s, '\0', len))
        f->problem = f->names[f->wanted];
    return f->problem == NULL;
}

static int fields_other(struct fields *f)
{
    if (f->depth == 1 && f->wanted < f->n)
        f->problem = f->names[f->wanted];
    return f->depth > 0 && !f->problem;
}

static int fields_boolean(void *arg, int truth)
{
    (void)truth;
    return fields_other(arg);
}
static int fields_number(void *arg, const char *s, size_t len)
{
    (void)s;
    (void)len;
    return fields_other(arg);
}
static int fields_null(void *arg)
{
    struct fields *f = arg;

    return f->depth > 0;
}

enum err_code httpreq_fields(struct arena *a, const char *bytes, size_t n, const char *const *names,
                             const char **values, size_t n_names, struct err *e)
{
    static const yajl_callbacks cb = {
        .yajl_null = fields_null,
        .yajl_boolean = fields_boolean,
        .yajl_number = fields_number,
        .yajl_string = fields_string,
        .yajl_start_map = fields_begin,
        .yajl_map_key = fields_key,
        .yajl_end_map = fields_end,
        .yajl_start_array = fields_array,
        .yajl_end_array = fields_end,
    };
    struct fields f = {a, names, values, n_names, n_names, 0, NULL};
    struct httpreq_escapes x = {0};
    yajl_handle y;
    yajl_status status;

    for (size_t i = 0; i < n_names; i++)
        values[i] = NULL;
    if (httpreq_escapes_check(&x, bytes, n) < n)
        return err_set(e, ERR_PROTOCOL, "the body has half of a surrogate pair");
    y = yajl_alloc(&cb, NULL, &f);
    if (!y)
        return err_set(e, ERR_NO_MEMORY, "no memory for the request's body");
    status = yajl_parse(y, (const unsigned char *)bytes, n);
    if (status == yajl_status_ok)
        status = yajl_complete_parse(y);
    yajl_free(y);
    if (f.problem)
        return err_set(e, ERR_PROTOCOL, "\"%s\" is not a usable string", f.problem);
    if (status != yajl_status_ok)
        return err_set(e, ERR_PROTOCOL, "the body is not a JSON object");
    return ERR_OK;
}
