#include "proto/changeset_fast.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "proto/changeset_number.h"

void fast_free(struct fast *f)
{
    free(f->values);
    free(f->decoded);
    buf_free(&f->bytes);
}

/* ---- pieces of text ---- */

/* What is still to be read. */
struct input {
    const char *p, *end;
};

static bool take(struct input *in, const char *text, size_t n)
{
    if ((size_t)(in->end - in->p) < n || memcmp(in->p, text, n) != 0)
        return false;
    in->p += n;
    return true;
}

#define TAKE(in, literal) take((in), (literal), sizeof(literal) - 1)

static bool is_digit(const struct input *in)
{
    return in->p < in->end && *in->p >= '0' && *in->p <= '9';
}

static bool take_digits(struct input *in)
{
    if (!is_digit(in))
        return false;
    while (is_digit(in))
        in->p++;
    return true;
}

static bool peek(const struct input *in, char c)
{
    return in->p < in->end && *in->p == c;
}

/* JSON's grammar of numbers; what follows must be in sight, or it might be more digits. */
static bool take_number(struct input *in, struct value *v)
{
    const char *start = in->p;

    in->p += peek(in, '-');
    if (peek(in, '0'))
        in->p++;
    else if (!take_digits(in))
        return false;
    if (peek(in, '.')) {
        in->p++;
        if (!take_digits(in))
            return false;
    }
    if (peek(in, 'e') || peek(in, 'E')) {
        in->p++;
        in->p += peek(in, '+') || peek(in, '-');
        if (!take_digits(in))
            return false;
    }
    return in->p < in->end && number_parse(start, (size_t)(in->p - start), v);
}

/* Plain bytes up to a quote; nothing escaped. */
static bool take_plain(struct input *in, const char **s, size_t *len)
{
    const char *p = in->p;
    bool ascii = true;

    while (p < in->end && *p != '"') {
        unsigned char c = (unsigned char)*p++;
        if (c < 0x20 || c == '\\')
            return false;
        ascii = ascii && c < 0x80;
    }
    if (p == in->end)
        return false;
    *s = in->p;
    *len = (size_t)(p - in->p);
    in->p = p + 1;
    return ascii || json_is_text(*s, *len);
}

/* ---- values ---- */

static bool take_decoded(struct fast *f, struct input *in, struct value *v, enum value_type type)
{
    const char *s;
    size_t len, start = f->bytes.len;

    if (!take_plain(in, &s, &len) || !peek(in, '}'))
        return false;
    in->p++;
    if (!base64_decode(&f->bytes, s, len))
        return false;
    v->type = type;
    v->u.s.data = (const char *)(uintptr_t)start;
    v->u.s.len = f->bytes.len - start;
    f->decoded[f->n_decoded++] = f->n;
    return true;
}

static bool take_tagged(struct fast *f, struct input *in, struct value *v)
{
    if (TAKE(in, "{\"$blob\":\""))
        return take_decoded(f, in, v, VALUE_BLOB);
    if (TAKE(in, "{\"$text\":\""))
        return take_decoded(f, in, v, VALUE_TEXT);
    if (TAKE(in, "{\"$real\":\"inf\"}")) {
        *v = value_real(__builtin_inf());
        return true;
    }
    *v = value_real(-__builtin_inf());
    return TAKE(in, "{\"$real\":\"-inf\"}");
}

static bool take_value(struct fast *f, struct input *in)
{
    struct value *v = &f->values[f->n];
    bool ok;

    if (in->p == in->end)
        return false;
    switch (*in->p) {
    case '"':
        in->p++;
        v->type = VALUE_TEXT;
        ok = take_plain(in, &v->u.s.data, &v->u.s.len);
        break;
    case 'n':
        v->type = VALUE_NULL;
        ok = TAKE(in, "null");
        break;
    case '{':
        ok = take_tagged(f, in, v);
        break;
    default:
        ok = take_number(in, v);
    }
    f->n++;
    return ok;
}

/* n values and the bracket behind them. */
static bool take_image(struct fast *f, struct input *in, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (i > 0 && !TAKE(in, ","))
            return false;
        if (!take_value(f, in))
            return false;
    }
    return TAKE(in, "]");
}

static bool make_room(struct fast *f, unsigned n)
{
    unsigned cap = f->cap ? f->cap : 64;
    struct value *values;
    unsigned *decoded;

    if (n <= f->cap)
        return true;
    while (cap < n)
        cap *= 2;
    values = realloc(f->values, cap * sizeof *values);
    if (values)
        f->values = values;
    decoded = realloc(f->decoded, cap * sizeof *decoded);
    if (decoded)
        f->decoded = decoded;
    if (!values || !decoded)
        return false;
    f->cap = cap;
    return true;
}

/* ---- changes ---- */

static bool take_operation(struct input *in, enum change_op *op)
{
    if (TAKE(in, "\"INSERT\""))
        *op = CHANGE_INSERT;
    else if (TAKE(in, "\"UPDATE\""))
        *op = CHANGE_UPDATE;
    else if (TAKE(in, "\"DELETE\""))
        *op = CHANGE_DELETE;
    else
        return false;
    return true;
}

static bool take_rowid(struct input *in, bool *has, int64_t *rowid)
{
    struct value v;

    if (!take_number(in, &v) || v.type != VALUE_INTEGER)
        return false;
    *has = true;
    *rowid = v.u.i;
    return true;
}

static bool take_change(struct fast *f, struct input *in, struct change *c)
{
    bool old = false, new = false;

    if (!take_operation(in, &c->op))
        return false;
    if (TAKE(in, ",\"old_rowid\":") && !take_rowid(in, &c->has_old_rowid, &c->old_rowid))
        return false;
    if (TAKE(in, ",\"new_rowid\":") && !take_rowid(in, &c->has_new_rowid, &c->new_rowid))
        return false;
    if (c->op != CHANGE_INSERT) {
        old = TAKE(in, ",\"old_values\":[") && take_image(f, in, c->n_columns);
        if (!old)
            return false;
    }
    if (c->op != CHANGE_DELETE) {
        new = TAKE(in, ",\"new_values\":[") && take_image(f, in, c->n_columns);
        if (!new)
            return false;
    }
    for (unsigned i = 0; i < f->n_decoded; i++) {
        struct value *v = &f->values[f->decoded[i]];
        v->u.s.data = (f->bytes.data ? f->bytes.data : "") + (uintptr_t)v->u.s.data;
    }
    c->old_values = old ? f->values : NULL;
    c->new_values = new ? f->values + (old ? c->n_columns : 0) : NULL;
    return TAKE(in, "}");
}

bool fast_change(struct fast *f, struct shape_set *shapes, const char *p, const char *end,
                 struct change *c, const char **next)
{
    const struct shape *shape = shape_set_at(shapes, p, (size_t)(end - p));
    struct input in;

    if (!shape || !make_room(f, 2 * shape->n_columns))
        return false;
    in = (struct input){p + shape->prefix_len, end};
    *c = (struct change){
        .database = "main",
        .table = shape->table,
        .columns = shape->columns,
        .pk_columns = shape->pk_columns,
        .n_columns = shape->n_columns,
        .n_pk = shape->n_pk,
        .shape = shape->id,
    };
    f->n = f->n_decoded = 0;
    buf_reset(&f->bytes);
    if (!take_change(f, &in, c))
        return false;
    *next = in.p;
    return true;
}

const char *fast_scan(struct fast_scan *s, const char *p, const char *end)
{
    for (; p < end; p++) {
        if (s->in_string) {
            if (s->escaped)
                s->escaped = false;
            else if (*p == '\\')
                s->escaped = true;
            else if (*p == '"')
                s->in_string = false;
        } else if (*p == '"') {
            s->in_string = true;
        } else if (*p == '{') {
            s->depth++;
        } else if (*p == '}' && --s->depth == 0) {
            return p + 1;
        }
    }
    return NULL;
}
