#include "cli/answer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json_tree.h"
#include "cli/call.h"

#define ANSWER_LINE_MAX ((size_t)1 << 30) /* no row of SQLite's is larger */

void answer_init(struct answer *a, struct sink *sink)
{
    *a = (struct answer){.sink = sink};
    buf_init(&a->line, ANSWER_LINE_MAX);
    err_clear(&a->err);
}

void answer_free(struct answer *a)
{
    buf_free(&a->line);
    buf_free(&a->bytes);
    free(a->values);
    yajl_tree_free(a->held);
    yajl_tree_free(a->columns);
}

static bool fail(struct answer *a, const char *what)
{
    a->failed = true;
    if (a->err.code == ERR_OK)
        err_set(&a->err, ERR_PROTOCOL, "the node's answer cannot be understood: %s", what);
    return false;
}

/* ---- values ---- */

/* {"type": "blob", "base64": "…"} and the like. Offsets into a->bytes become pointers later. */
static bool typed_value(struct answer *a, yajl_val v, struct value *out)
{
    const char *type = json_tree_text(v, "type"), *text = json_tree_text(v, "base64");
    size_t at = a->bytes.len;
    if (strcmp(type, "real") == 0) {
        const char *number = json_tree_text(v, "value");
        *out = value_real(*number == '-' ? -INFINITY : INFINITY);
        return strcmp(number + (*number == '-'), "inf") == 0;
    }
    if (!base64_decode(&a->bytes, text, strlen(text)))
        return false;
    *out = value_blob(NULL, a->bytes.len - at);
    if (strcmp(type, "text") == 0)
        out->type = VALUE_TEXT;
    return out->type == VALUE_TEXT || strcmp(type, "blob") == 0;
}

static bool number_value(const char *text, struct value *out)
{
    char *end = NULL;
    bool real = text[strcspn(text, ".eE")] != '\0';
    if (real)
        *out = value_real(strtod(text, &end));
    else
        *out = value_int(strtoll(text, &end, 10));
    return end && *end == '\0';
}

static bool one_value(struct answer *a, yajl_val v, struct value *out)
{
    if (YAJL_IS_NULL(v)) {
        *out = value_null();
        return true;
    }
    if (YAJL_IS_STRING(v)) {
        const char *text = YAJL_GET_STRING(v);
        *out = value_text(text, strlen(text));
        return true;
    }
    if (YAJL_IS_NUMBER(v))
        return number_value(YAJL_GET_NUMBER(v), out);
    return YAJL_IS_OBJECT(v) && typed_value(a, v, out);
}

static bool show_row(struct answer *a, yajl_val row)
{
    size_t n = row->u.array.len, at = 0;
    if (n > a->cap) {
        struct value *grown = realloc(a->values, n * sizeof *grown);
        if (!grown)
            return fail(a, "out of memory");
        a->values = grown;
        a->cap = (unsigned)n;
    }
    buf_reset(&a->bytes);
    for (size_t i = 0; i < n; i++)
        if (!one_value(a, row->u.array.values[i], &a->values[i]))
            return fail(a, "a value");
    if (!buf_ok(&a->bytes))
        return fail(a, "out of memory");
    for (size_t i = 0; i < n; i++) { /* the buffer does not move any more */
        struct value *v = &a->values[i];
        if (!YAJL_IS_OBJECT(row->u.array.values[i]) || v->type == VALUE_REAL)
            continue;
        v->u.s.data = a->bytes.data ? a->bytes.data + at : "";
        at += v->u.s.len;
    }
    a->failed = a->sink->ops->row(a->sink, a->values, (unsigned)n) == SINK_STOP;
    return !a->failed;
}

/* ---- lines ---- */

static bool show_columns(struct answer *a, yajl_val line)
{
    yajl_val names = json_tree_member(line, "columns", yajl_t_array);
    yajl_val types = json_tree_member(line, "types", yajl_t_array);
    size_t n = json_tree_length(names);
    struct sink_column *cols = calloc(n > 0 ? n : 1, sizeof *cols);
    bool well = cols && json_tree_length(types) == n;
    for (size_t i = 0; well && i < n; i++) {
        well = YAJL_IS_STRING(names->u.array.values[i]);
        cols[i].name = well ? names->u.array.values[i]->u.string : "";
        cols[i].decltype = YAJL_GET_STRING(types->u.array.values[i]);
    }
    if (well)
        a->sink->ops->columns(a->sink, cols, (unsigned)n);
    free(cols);
    return well || fail(a, "the columns");
}

/* What a statement without rows shows, and very seldom one with rows. */
static bool may_be_counts(yajl_val line)
{
    static const char *const names[] = {"rows_affected", "last_insert_id"};
    yajl_val columns = json_tree_member(line, "columns", yajl_t_array);
    for (size_t i = 0; i < 2; i++)
        if (json_tree_length(columns) != 2 || !YAJL_IS_STRING(columns->u.array.values[i]) ||
            strcmp(columns->u.array.values[i]->u.string, names[i]) != 0)
            return false;
    return true;
}

/* They were held back, and are rows. */
static bool let_go(struct answer *a)
{
    yajl_val columns = a->columns, held = a->held;
    a->columns = a->held = NULL;
    bool well = (!columns || show_columns(a, columns)) && (!held || show_row(a, held));
    yajl_tree_free(columns);
    yajl_tree_free(held);
    return well;
}

static bool begin_statement(struct answer *a, yajl_val *line)
{
    if (a->open)
        return fail(a, "a statement without an end");
    a->open = true;
    if (!may_be_counts(*line))
        return show_columns(a, *line);
    a->columns = *line;
    *line = NULL;
    return true;
}

static bool take_row(struct answer *a, yajl_val *line)
{
    if (!a->open)
        return fail(a, "a row without columns");
    if (a->columns && !a->held) {
        a->held = *line;
        *line = NULL;
        return true;
    }
    return let_go(a) && show_row(a, *line);
}

static bool end_statement(struct answer *a, yajl_val line)
{
    struct sink_done d = {.has_rows = json_tree_is_true(line, "returns_rows"),
                          .rows_affected = json_tree_integer(line, "rows_affected", 0),
                          .last_insert_id = json_tree_integer(line, "last_insert_id", 0)};
    yajl_val time = json_tree_member(line, "time", yajl_t_number);
    if (time)
        d.elapsed_ns = (int64_t)(strtod(YAJL_GET_NUMBER(time), NULL) * 1e9);
    if (!a->open)
        return fail(a, "an end without a beginning");
    a->open = false;
    if (d.has_rows && !let_go(a))
        return false;
    yajl_tree_free(a->columns);
    yajl_tree_free(a->held);
    a->columns = a->held = NULL;
    a->sink->ops->done(a->sink, &d);
    return true;
}

static bool take_problem(struct answer *a, const char *text, size_t len)
{
    /* {"error":…}: what is inside is what another status would have had as its body. */
    static const char head[] = "{\"error\":";
    size_t n = sizeof head - 1;
    a->failed = true;
    if (len > n + 1 && memcmp(text, head, n) == 0)
        call_problem(text + n, len - n - 1, 0, &a->err);
    return a->err.code != ERR_OK ? false : fail(a, "an error");
}

static bool take_line(struct answer *a, const char *text, size_t len)
{
    bool well = true;
    yajl_val line = json_tree_parse(text, len);
    if (YAJL_IS_ARRAY(line))
        well = take_row(a, &line);
    else if (json_tree_member(line, "columns", yajl_t_array))
        well = begin_statement(a, &line);
    else if (json_tree_member(line, "rows_affected", yajl_t_number))
        well = end_statement(a, line);
    else if (json_tree_member(line, "error", yajl_t_object))
        well = take_problem(a, text, len);
    else
        well = fail(a, "a line of another form");
    yajl_tree_free(line);
    return well;
}

bool answer_take(void *arg, const void *bytes, size_t len)
{
    struct answer *a = arg;
    const char *at = bytes, *end = at + len;
    while (!a->failed && at < end) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        bool whole = nl && a->line.len == 0;
        buf_put(&a->line, at, whole ? 0 : (size_t)((nl ? nl : end) - at));
        if (!buf_ok(&a->line))
            return fail(a, "a line that is too long");
        if (!nl)
            break;
        if (whole)
            take_line(a, at, (size_t)(nl - at));
        else
            take_line(a, a->line.data, a->line.len);
        buf_reset(&a->line);
        at = nl + 1;
    }
    return !a->failed;
}

enum err_code answer_end(struct answer *a, struct err *e)
{
    if (!a->failed && (a->open || a->line.len > 0))
        fail(a, "it ends too early");
    if (a->err.code != ERR_OK)
        *e = a->err;
    return a->err.code;
}
