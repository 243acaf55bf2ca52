/* Values and changes out of tokens; see changeset_reader.h. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/base64.h"
#include "base/json.h"
#include "proto/changeset_reader.h"

/* ---- values ---- */

struct value *build_value(struct changeset_reader *r)
{
    struct image *im = r->image;
    struct value *v;

    if (im->n >= CHANGESET_MAX_COLUMNS) {
        (void)reader_fail(r, "too many values");
        return NULL;
    }
    v = array_room(im->values, im->n, &im->cap, sizeof *v);
    if (!v) {
        (void)reader_no_memory(r);
        return NULL;
    }
    im->values = v;
    return v + im->n++;
}

/* Bytes of `text` from `start` to its end are the value. */
static void set_bytes(struct changeset_reader *r, struct value *v, enum value_type type,
                      size_t start)
{
    v->type = type;
    v->u.s.data = (const char *)(uintptr_t)start;
    v->u.s.len = r->text.len - start;
}

int build_text(struct changeset_reader *r, const char *s, size_t len)
{
    struct value *v = build_value(r);
    size_t start = r->text.len;

    if (!v)
        return 0;
    buf_put(&r->text, s, len);
    if (!buf_ok(&r->text))
        return reader_no_memory(r);
    set_bytes(r, v, VALUE_TEXT, start);
    return 1;
}

/* {"$real": …}, {"$text": …}, {"$blob": …} */
int build_tagged(struct changeset_reader *r, const char *s, size_t len)
{
    struct value *v = build_value(r);
    size_t start = r->text.len;

    if (!v)
        return 0;
    if (r->field == F_REAL) {
        bool negative = len == 4 && memcmp(s, "-inf", 4) == 0;

        if (!negative && !(len == 3 && memcmp(s, "inf", 3) == 0))
            return reader_fail(r, "$real is neither inf nor -inf");
        *v = value_real(negative ? -__builtin_inf() : __builtin_inf());
        return 1;
    }
    if (!base64_decode(&r->text, s, len))
        return buf_ok(&r->text) ? reader_fail(r, "invalid base64") : reader_no_memory(r);
    set_bytes(r, v, r->field == F_BLOB ? VALUE_BLOB : VALUE_TEXT, start);
    return 1;
}

static void settle_image(struct changeset_reader *r, struct image *im)
{
    const char *base = r->text.data ? r->text.data : "";

    for (unsigned i = 0; i < im->n; i++) {
        struct value *v = &im->values[i];

        if (v->type == VALUE_TEXT || v->type == VALUE_BLOB)
            v->u.s.data = base + (uintptr_t)v->u.s.data;
    }
}

/* ---- changes ---- */

void build_start(struct changeset_reader *r)
{
    memset(&r->change, 0, sizeof r->change);
    r->has_operation = r->has_command = false;
    r->seen_change = 0;
    buf_reset(&r->names.table);
    buf_reset(&r->names.columns);
    buf_reset(&r->names.pk_columns);
    r->names.n_columns = r->names.n_pk = 0;
    buf_reset(&r->database);
    buf_reset(&r->command);
    buf_reset(&r->text);
    r->old_image.n = r->new_image.n = 0;
    r->old_image.present = r->new_image.present = false;
}

static int check_image(struct changeset_reader *r, const struct image *im, bool wanted)
{
    if (!wanted)
        return 1;
    if (!im->present)
        return reader_fail(r, "a row image is missing");
    if (im->n != r->names.n_columns)
        return reader_fail(r, "as many values as columns are wanted");
    return 1;
}

static int finish_row_change(struct changeset_reader *r)
{
    struct change *c = &r->change;
    const struct shape *shape;

    if (r->names.table.len == 0) /* an empty name is one, too: SQLite allows it */
        return reader_fail(r, "no table");
    if (r->names.n_columns == 0)
        return reader_fail(r, "no columns");
    if (!check_image(r, &r->old_image, c->op != CHANGE_INSERT) ||
        !check_image(r, &r->new_image, c->op != CHANGE_DELETE))
        return 0;
    shape = shape_set_find(r->shapes, &r->names);
    if (!shape)
        return reader_no_memory(r);
    c->table = shape->table;
    c->columns = shape->columns;
    c->n_columns = shape->n_columns;
    c->pk_columns = shape->pk_columns;
    c->n_pk = shape->n_pk;
    c->shape = shape->id;
    if (c->op != CHANGE_INSERT) {
        settle_image(r, &r->old_image);
        c->old_values = r->old_image.values;
    }
    if (c->op != CHANGE_DELETE) {
        settle_image(r, &r->new_image);
        c->new_values = r->new_image.values;
    }
    return 1;
}

int build_hand_over(struct changeset_reader *r, const struct change *c)
{
    enum err_code code = r->fn(r->arg, c, r->err);

    if (code) {
        r->failed = code;
        return 0;
    }
    r->info.changes++;
    return 1;
}

int build_finish(struct changeset_reader *r)
{
    struct change *c = &r->change;

    if (!r->has_operation)
        return reader_fail(r, "no operation");
    c->database = r->database.len > 0 ? buf_cstr(&r->database) : "main";
    if (c->op == CHANGE_SQL) {
        if (!r->has_command)
            return reader_fail(r, "SQL without a command");
        c->command = buf_cstr(&r->command);
        c->command_len = r->command.len;
        c->shape = UINT64_MAX;
    } else if (!finish_row_change(r)) {
        return 0;
    }
    if (!buf_ok(&r->database) || !buf_ok(&r->command))
        return reader_no_memory(r);
    if (!build_hand_over(r, c))
        return 0;
    /* One change of hundreds of megabytes must not keep its memory for ever. */
    if (r->text.cap > (16 << 20))
        buf_free(&r->text);
    return 1;
}

static int set_operation(struct changeset_reader *r, const char *s, size_t len)
{
    static const struct {
        const char *name;
        size_t len;
        enum change_op op;
    } ops[] = {{"INSERT", 6, CHANGE_INSERT},
               {"UPDATE", 6, CHANGE_UPDATE},
               {"DELETE", 6, CHANGE_DELETE},
               {"SQL", 3, CHANGE_SQL}};

    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (len == ops[i].len && memcmp(s, ops[i].name, len) == 0) {
            r->change.op = ops[i].op;
            r->has_operation = true;
            return 1;
        }
    }
    return reader_fail(r, "unknown operation");
}

/* A name goes into a list of terminated strings, so it holds no NUL; no name in SQLite does. */
static int put_name(struct changeset_reader *r, struct buf *list, const char *s, size_t len)
{
    if (memchr(s, '\0', len))
        return reader_fail(r, "NUL in a name");
    buf_put(list, s, len);
    buf_putc(list, '\0');
    return buf_ok(list) ? 1 : reader_no_memory(r);
}

int build_column(struct changeset_reader *r, struct buf *list, unsigned *n, const char *s,
                 size_t len)
{
    if (*n >= CHANGESET_MAX_COLUMNS)
        return reader_fail(r, "too many columns");
    (*n)++;
    return put_name(r, list, s, len);
}

int build_string(struct changeset_reader *r, const char *s, size_t len)
{
    switch (r->field) {
    case F_DATABASE:
        if (memchr(s, '\0', len))
            return reader_fail(r, "NUL in a name");
        buf_put(&r->database, s, len);
        return 1;
    case F_TABLE:
        return put_name(r, &r->names.table, s, len);
    case F_OPERATION:
        return set_operation(r, s, len);
    case F_COMMAND:
        if (memchr(s, '\0', len))
            return reader_fail(r, "NUL in a command");
        buf_put(&r->command, s, len);
        r->has_command = true;
        return 1;
    case F_UNKNOWN:
        return 1;
    default:
        return reader_fail(r, "a field has the wrong type");
    }
}
