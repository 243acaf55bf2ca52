#include "core/statement.h"

#include <stdlib.h>
#include <string.h>

unsigned statement_param_number(const struct stmt *st, unsigned i)
{
    const char *name = stmt_param_name(st, i);
    unsigned number = 0;

    if (!name || (name[0] != '$' && name[0] != '?'))
        return i;
    for (const char *p = name + 1; *p; p++) {
        if (*p < '0' || *p > '9' || number > 1000000)
            return i;
        number = number * 10 + (unsigned)(*p - '0');
    }
    return number > 0 ? number : i;
}

/* SQLite numbers $2, $1 by their appearance, and counts a name once. */
static enum err_code bind_numbered(struct stmt *st, const struct query *q, struct err *e)
{
    unsigned count = stmt_param_count(st);

    for (unsigned i = 1; i <= count; i++) {
        unsigned number = statement_param_number(st, i);
        if (number > q->n_params)
            return err_set(e, ERR_PARAM, "there is no parameter $%u", number);
        enum err_code code = stmt_bind(st, i, &q->params[number - 1].value, e);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

#define PARAMS_MAX 32766u /* SQLite's own limit */

/* Which of a statement's parameters have a value: a bit each. */
struct given {
    uint64_t bits[PARAMS_MAX / 64 + 1];
};

static void given_clear(struct given *g, unsigned count)
{
    memset(g->bits, 0, (count / 64 + 1) * sizeof g->bits[0]);
}

/* SQLite would take NULL for what nobody has given, and a name with a slip of the pen in it would
 * go unseen. Behind ?5 there need be no ?1, and nothing tells that gap from a bare ?: where a
 * statement numbers its parameters, only those that it names are looked for. */
static enum err_code check_given(const struct stmt *st, const struct given *g, struct err *e)
{
    unsigned count = stmt_param_count(st), first_bare = 0;
    bool numbers = false;

    for (unsigned i = 1; i <= count; i++) {
        const char *name = stmt_param_name(st, i);
        bool has_value = g->bits[i / 64] >> (i % 64) & 1;
        numbers = numbers || (name && *name == '?');
        if (name && !has_value)
            return err_set(e, ERR_PARAM, "no value is given for the parameter %.200s", name);
        if (!has_value && first_bare == 0)
            first_bare = i;
    }
    if (first_bare > 0 && !numbers)
        return err_set(e, ERR_PARAM, "no value is given for parameter %u of %u", first_bare, count);
    return ERR_OK;
}

enum err_code statement_bind(struct stmt *st, const struct query *q, struct err *e)
{
    unsigned count = stmt_param_count(st);
    unsigned positional = 0;
    struct given given;

    if (q->numbered)
        return bind_numbered(st, q, e);
    given_clear(&given, count);
    for (unsigned i = 0; i < q->n_params; i++) {
        const struct param *p = &q->params[i];
        unsigned index = ++positional;
        if (p->name) {
            index = stmt_param_index(st, p->name, strlen(p->name));
            if (index == 0) /* another statement of the same text may want it */
                continue;
        } else if (index > count) {
            return err_set(e, ERR_PARAM, "%u parameters for a statement that takes %u", q->n_params,
                           count);
        }
        enum err_code code = stmt_bind(st, index, &p->value, e);
        if (code != ERR_OK)
            return code;
        given.bits[index / 64] |= UINT64_C(1) << (index % 64);
    }
    return check_given(st, &given, e);
}

const struct value *statement_value(const struct stmt *st, const struct query *q, unsigned i)
{
    const struct value *found = NULL;
    if (q->numbered) {
        unsigned number = statement_param_number(st, i);
        return number >= 1 && number <= q->n_params ? &q->params[number - 1].value : NULL;
    }
    for (unsigned k = 0; k < q->n_params; k++) {
        const char *name = q->params[k].name;
        if (name ? stmt_param_index(st, name, strlen(name)) == i : k + 1 == i)
            found = &q->params[k].value; /* the last one holds */
    }
    return found;
}

void statement_columns(struct stmt *st, struct sink *sink)
{
    struct sink_column fixed[32];
    unsigned n = stmt_column_count(st);
    struct sink_column *cols = n <= 32 ? fixed : calloc(n, sizeof *cols);
    if (!cols)
        return;
    for (unsigned i = 0; i < n; i++)
        cols[i] = (struct sink_column){stmt_column_name(st, i), stmt_column_decltype(st, i)};
    sink->ops->columns(sink, cols, n);
    if (cols != fixed)
        free(cols);
}

enum sink_verdict statement_row(struct stmt *st, struct sink *sink)
{
    struct value fixed[64];
    unsigned n = stmt_column_count(st);
    struct value *values = n <= 64 ? fixed : calloc(n, sizeof *values);
    if (!values)
        return SINK_STOP;
    for (unsigned i = 0; i < n; i++)
        values[i] = stmt_column(st, i);
    enum sink_verdict verdict = sink->ops->row(sink, values, n);
    if (values != fixed)
        free(values);
    return verdict;
}
