/*
 * What a token stands in, whichever clause or parenthesis that is. Whoever asks would have to walk
 * back to the beginning, and to do so for each token; so all answers are found in one pass, when
 * the first one is asked for.
 */
#include "sql/pg/rewrite.h"

static struct pg_place behind(const struct pg_rewrite *r, size_t i, struct pg_place at)
{
    if (pg_punct(r, i, "(")) {
        at.paren = at.open = i;
        at.in_from = false;
    } else if (pg_word(r, i, "CASE")) {
        at.open = i;
    } else if (pg_word(r, i, "FROM")) {
        at.in_from = true;
    } else if (pg_word(r, i, "SELECT") || pg_word(r, i, "WHERE") || pg_word(r, i, "BY") ||
               pg_word(r, i, "VALUES")) {
        at.in_from = false;
    } else if (pg_words(r, i, "INSERT", "INTO") ||
               (pg_word(r, i, "UPDATE") && !pg_word(r, i + 1, "SET"))) {
        at.change = i;
    }
    return at;
}

const struct pg_place *pg_place(struct pg_rewrite *r, size_t i)
{
    static const struct pg_place nowhere = {PG_NONE, PG_NONE, PG_NONE, false};
    struct pg_place at = nowhere;

    if (!r->places) {
        struct pg_place *places = arena_alloc(r->arena, (r->n + 1) * sizeof *places);
        if (!places) {
            pg_fail(r, PG_NONE, ERR_NO_MEMORY, "out of memory");
            return &nowhere;
        }
        for (size_t k = 0; k <= r->n; k++) {
            bool closes = r->match[k] != PG_NONE && r->match[k] < k;
            places[k] = at;
            at = closes ? places[r->match[k]] : behind(r, k, at);
        }
        r->places = places;
    }
    return i <= r->n ? &r->places[i] : &nowhere;
}
