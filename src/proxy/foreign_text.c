#include "proxy/foreign_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "sql/lex.h"

#define PARAMS_MAX 65535 /* that PostgreSQL and MySQL take */

/* What stands for a parameter in the text, by the number that SQLite would give it. */
struct seen {
    const char *name; /* borrowed from the text; NULL = a bare ? */
    size_t len;
    size_t number;
};

struct scan {
    const struct query *q;
    struct seen *seen;
    size_t n_seen, cap_seen;
    size_t highest;
};

static enum err_code out_of_memory(struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* The digits of $3 or ?3; 0 where it is none. */
static size_t digits_of(const struct lex_token *t)
{
    size_t n = 0;

    for (size_t i = 1; i < t->len; i++) {
        if (t->text[i] < '0' || t->text[i] > '9' || n > PARAMS_MAX)
            return 0;
        n = n * 10 + (size_t)(t->text[i] - '0');
    }
    return n;
}

/* As SQLite numbers them: ?3 is 3, a name what it was before, everything else one more than the
 * highest. */
static enum err_code number_of(struct scan *s, const struct lex_token *t, size_t *number,
                               struct err *e)
{
    bool bare = t->len == 1;
    size_t digits = digits_of(t);

    for (size_t i = 0; i < s->n_seen && !bare; i++)
        if (s->seen[i].len == t->len && memcmp(s->seen[i].name, t->text, t->len) == 0) {
            *number = s->seen[i].number;
            return ERR_OK;
        }
    bool by_number = digits > 0 && (t->text[0] == '?' || (s->q->numbered && t->text[0] == '$'));
    *number = by_number ? digits : s->highest + 1;
    if (*number > s->highest)
        s->highest = *number;
    if (bare)
        return ERR_OK;
    struct seen *room = array_room(s->seen, s->n_seen, &s->cap_seen, sizeof *room);
    if (!room)
        return out_of_memory(e);
    s->seen = room;
    s->seen[s->n_seen++] = (struct seen){t->text, t->len, *number};
    return ERR_OK;
}

/* With or without its prefix. */
static bool is_name(const char *name, const struct lex_token *t)
{
    size_t len = strlen(name);

    return (len == t->len && memcmp(name, t->text, len) == 0) ||
           (len == t->len - 1 && memcmp(name, t->text + 1, len) == 0);
}

static const struct value *value_of(const struct scan *s, const struct lex_token *t, size_t number)
{
    const struct query *q = s->q;

    for (unsigned i = 0; i < q->n_params && t->len > 1; i++)
        if (q->params[i].name && is_name(q->params[i].name, t))
            return &q->params[i].value;
    if (number > q->n_params || q->params[number - 1].name)
        return NULL;
    return &q->params[number - 1].value;
}

enum err_code foreign_params_add(struct foreign_params *p, const struct value *v, struct err *e)
{
    if (p->n == PARAMS_MAX)
        return err_set(e, ERR_TOO_BIG, "a statement takes at most %d parameters", PARAMS_MAX);
    const struct value **room = array_room(p->all, p->n, &p->cap, sizeof(void *));
    if (!room)
        return out_of_memory(e);
    p->all = room;
    p->all[p->n++] = v;
    return ERR_OK;
}

/* The place of the value among those that go along; one that is there already is used again. */
static enum err_code place_of(struct foreign_params *p, const struct value *v, bool again,
                              size_t *place, struct err *e)
{
    for (*place = 0; again && *place < p->n; (*place)++)
        if (p->all[*place] == v)
            return ERR_OK;
    *place = p->n;
    return foreign_params_add(p, v, e);
}

static enum err_code put_param(struct scan *s, const struct lex_token *t, bool dollars,
                               struct buf *out, struct foreign_params *params, struct err *e)
{
    size_t number = 0, place = 0;
    enum err_code code = number_of(s, t, &number, e);

    if (code != ERR_OK)
        return code;
    const struct value *v = value_of(s, t, number);
    if (!v)
        return err_set(e, ERR_PARAM, "no value is given for the parameter %.*s",
                       (int)(t->len < 100 ? t->len : 100), t->text);
    code = place_of(params, v, dollars, &place, e);
    if (code == ERR_OK && dollars)
        buf_printf(out, "$%zu", place + 1);
    else if (code == ERR_OK)
        buf_putc(out, '?');
    return code;
}

/* SQLite takes all of $1::int for a name; to PostgreSQL a cast begins in it. */
static void cut_cast(struct lex_token *t, const char **at)
{
    for (size_t i = 1; i + 1 < t->len; i++)
        if (t->text[i] == ':' && t->text[i + 1] == ':') {
            t->len = i;
            *at = t->text + i;
            return;
        }
}

enum err_code foreign_text(const struct query *q, const char *sql, size_t len, bool dollars,
                           struct buf *out, struct foreign_params *params, struct err *e)
{
    struct scan s = {.q = q};
    const char *at = sql, *end = sql + len, *copied = sql;
    struct lex_token t;
    enum err_code code = ERR_OK;

    while (code == ERR_OK && lex_next(&at, end, &t)) {
        if (t.type != LEX_TOKEN_VARIABLE)
            continue;
        /* 'x'::text is a cast, not a colon and a name. */
        if (t.text[0] == ':' && t.text > sql && t.text[-1] == ':')
            continue;
        if (dollars)
            cut_cast(&t, &at);
        buf_put(out, copied, (size_t)(t.text - copied));
        copied = t.text + t.len;
        code = put_param(&s, &t, dollars, out, params, e);
    }
    buf_put(out, copied, (size_t)(end - copied));
    free(s.seen);
    return code == ERR_OK && !buf_ok(out) ? out_of_memory(e) : code;
}

void foreign_params_free(struct foreign_params *p)
{
    free(p->all);
    *p = (struct foreign_params){0};
}
