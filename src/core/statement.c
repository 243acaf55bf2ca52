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

enum err_code statement_bind(struct stmt *st, const struct query *q, struct err *e)
{
    unsigned count = stmt_param_count(st);
    unsigned positional = 0;

    if (q->numbered)
        return bind_numbered(st, q, e);
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
    }
    return ERR_OK;
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
