#include "wire/pg/words.h"

#include <stdio.h>
#include <string.h>

static void take_text(struct pg_words *w)
{
    size_t n = w->t.len < sizeof w->text ? pg_lex_value(&w->t, w->text) : SIZE_MAX;

    if (n == SIZE_MAX) { /* too long, or an escape in it is wrong: as it is written */
        n = w->t.len < sizeof w->text ? w->t.len : sizeof w->text - 1;
        memcpy(w->text, w->t.text, n);
    }
    w->text[n] = '\0';
}

void pg_words_next(struct pg_words *w)
{
    w->has = pg_lex_next(&w->lex, &w->t) && w->t.type != PG_TOKEN_SEMI;
    w->text[0] = '\0';
    if (w->has)
        take_text(w);
}

void pg_words_begin(struct pg_words *w, const struct pg_text *t)
{
    pg_lex_init(&w->lex, t->sql, t->len);
    pg_words_next(w);
}

bool pg_words_is(const struct pg_words *w, const char *keyword)
{
    return w->has && w->t.type == PG_TOKEN_WORD && pg_lex_is(&w->t, keyword);
}

bool pg_words_skip(struct pg_words *w, const char *keyword)
{
    bool is = pg_words_is(w, keyword);

    if (is)
        pg_words_next(w);
    return is;
}

bool pg_words_is_op(const struct pg_words *w, const char *op)
{
    return w->has && pg_lex_is_op(&w->t, op);
}

bool pg_words_is_quoted(const struct pg_words *w)
{
    return w->has && (w->t.type == PG_TOKEN_QUOTED || w->t.type == PG_TOKEN_STRING ||
                      w->t.type == PG_TOKEN_ESCAPED || w->t.type == PG_TOKEN_DOLLAR);
}

bool pg_words_name(struct pg_words *w, char *out, size_t size)
{
    bool bare = w->t.type == PG_TOKEN_WORD;
    size_t n = strlen(w->text);

    if (!w->has || (!bare && w->t.type != PG_TOKEN_QUOTED) || w->t.len >= sizeof w->text ||
        n >= size)
        return false;
    memcpy(out, w->text, n + 1);
    for (char *p = out; bare && *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + 32);
    pg_words_next(w);
    return true;
}

void pg_words_rest(const struct pg_words *w, char *out, size_t size)
{
    const char *p = w->has ? w->t.text : w->lex.end, *end = w->lex.end;

    while (end > p && strchr("; \t\r\n", end[-1]))
        end--;
    (void)snprintf(out, size, "%.*s", (int)(end - p), p);
}

bool pg_words_syntax(struct pg_conn *c, const struct pg_words *w)
{
    if (w->has)
        pg_error(c, "42601", "syntax error at or near \"%.*s\"", (int)w->t.len, w->t.text);
    else
        pg_error(c, "42601", "syntax error at end of input");
    return false;
}
