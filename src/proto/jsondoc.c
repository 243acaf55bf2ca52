/* yajl's events put together. */
#include "proto/jsondoc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "base/json.h"

struct building {
    struct arena *arena;
    struct jsondoc *root;
    struct jsondoc *open[JSONDOC_MAX_DEPTH];  /* the containers that have not ended */
    struct jsondoc **tail[JSONDOC_MAX_DEPTH]; /* where the next one of each goes */
    unsigned depth;
    size_t nodes;
    const char *name; /* of the member that comes next */
    enum err_code problem;
    const char *what;
};

static int fail(struct building *b, enum err_code code, const char *what)
{
    b->problem = code;
    b->what = what;
    return 0;
}

static struct jsondoc *add(struct building *b, enum jsondoc_type type)
{
    struct jsondoc *d;

    if (++b->nodes > JSONDOC_MAX_NODES) {
        fail(b, ERR_TOO_BIG, "too many values");
        return NULL;
    }
    d = arena_alloc(b->arena, sizeof *d);
    if (!d) {
        fail(b, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    d->type = type;
    d->name = b->name;
    d->text = "";
    b->name = NULL;
    if (b->depth == 0) {
        b->root = d;
        return d;
    }
    *b->tail[b->depth - 1] = d;
    b->tail[b->depth - 1] = &d->next;
    b->open[b->depth - 1]->len++;
    return d;
}

static int add_text(struct building *b, enum jsondoc_type type, const char *text, size_t len)
{
    struct jsondoc *d = add(b, type);

    if (!d)
        return 0;
    d->text = arena_strndup(b->arena, text, len);
    d->len = len;
    return d->text ? 1 : fail(b, ERR_NO_MEMORY, "out of memory");
}

static int add_container(struct building *b, enum jsondoc_type type)
{
    struct jsondoc *d;

    if (b->depth == JSONDOC_MAX_DEPTH)
        return fail(b, ERR_TOO_BIG, "nested too deep");
    d = add(b, type);
    if (!d)
        return 0;
    b->open[b->depth] = d;
    b->tail[b->depth] = &d->first;
    b->depth++;
    return 1;
}

static int on_null(void *arg)
{
    return add(arg, JSONDOC_NULL) != NULL;
}

static int on_boolean(void *arg, int v)
{
    return add(arg, v ? JSONDOC_TRUE : JSONDOC_FALSE) != NULL;
}

static int on_number(void *arg, const char *s, size_t len)
{
    return add_text(arg, JSONDOC_NUMBER, s, len);
}

static int on_string(void *arg, const unsigned char *s, size_t len)
{
    return add_text(arg, JSONDOC_STRING, (const char *)s, len);
}

static int on_key(void *arg, const unsigned char *s, size_t len)
{
    struct building *b = arg;

    if (memchr(s, '\0', len))
        return fail(b, ERR_FORMAT, "a name that holds a NUL");
    b->name = arena_strndup(b->arena, (const char *)s, len);
    return b->name ? 1 : fail(b, ERR_NO_MEMORY, "out of memory");
}

static int on_start_map(void *arg)
{
    return add_container(arg, JSONDOC_OBJECT);
}

static int on_start_array(void *arg)
{
    return add_container(arg, JSONDOC_ARRAY);
}

static int on_end(void *arg)
{
    struct building *b = arg;

    b->depth--;
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_key,
    .yajl_end_map = on_end,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end,
};

static enum err_code syntax_error(yajl_handle h, const char *text, size_t len, struct err *e)
{
    unsigned char *why = yajl_get_error(h, 0, (const unsigned char *)text, len);

    (void)err_set(e, ERR_FORMAT, "byte %zu: %.*s", yajl_get_bytes_consumed(h),
                  why ? (int)strcspn((char *)why, "\n") : 0, why ? (char *)why : "");
    if (why)
        yajl_free_error(h, why);
    return e->code;
}

enum err_code jsondoc_parse(struct arena *a, const char *text, size_t len,
                            const struct jsondoc **out, struct err *e)
{
    struct building b = {.arena = a};
    yajl_handle h = yajl_alloc(&callbacks, NULL, &b);
    yajl_status status;

    *out = NULL;
    if (!h)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    status = yajl_parse(h, (const unsigned char *)text, len);
    if (status == yajl_status_ok)
        status = yajl_complete_parse(h);
    if (b.problem)
        (void)err_set(e, b.problem, "byte %zu: %s", yajl_get_bytes_consumed(h), b.what);
    else if (status != yajl_status_ok)
        (void)syntax_error(h, text, len, e);
    else
        *out = b.root;
    yajl_free(h);
    return *out ? ERR_OK : e->code;
}

const struct jsondoc *jsondoc_member(const struct jsondoc *d, const char *name)
{
    if (!jsondoc_is(d, JSONDOC_OBJECT))
        return NULL;
    for (const struct jsondoc *m = d->first; m; m = m->next)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

const char *jsondoc_string(const struct jsondoc *d, const char *name)
{
    const struct jsondoc *m = jsondoc_member(d, name);

    return jsondoc_is(m, JSONDOC_STRING) ? m->text : NULL;
}

bool jsondoc_integer(const struct jsondoc *d, int64_t *out)
{
    char *end;
    long long v;

    if (!jsondoc_is(d, JSONDOC_NUMBER))
        return false;
    errno = 0;
    v = strtoll(d->text, &end, 10);
    if (errno != 0 || *end != '\0')
        return false;
    *out = v;
    return true;
}

void jsondoc_put(struct buf *b, const struct jsondoc *d)
{
    switch (d->type) {
    case JSONDOC_NULL:
        buf_puts(b, "null");
        return;
    case JSONDOC_FALSE:
        buf_puts(b, "false");
        return;
    case JSONDOC_TRUE:
        buf_puts(b, "true");
        return;
    case JSONDOC_NUMBER:
        buf_put(b, d->text, d->len);
        return;
    case JSONDOC_STRING:
        json_put_string(b, d->text, d->len);
        return;
    case JSONDOC_ARRAY:
    case JSONDOC_OBJECT:
        break;
    }
    buf_putc(b, d->type == JSONDOC_ARRAY ? '[' : '{');
    for (const struct jsondoc *m = d->first; m; m = m->next) {
        if (m != d->first)
            buf_putc(b, ',');
        if (m->name) {
            json_put_cstr(b, m->name);
            buf_putc(b, ':');
        }
        jsondoc_put(b, m); /* no deeper than JSONDOC_MAX_DEPTH */
    }
    buf_putc(b, d->type == JSONDOC_ARRAY ? ']' : '}');
}
