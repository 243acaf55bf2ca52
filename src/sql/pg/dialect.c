/*
 * The way in: is there anything to translate at all; whole statements; where they end.
 *
 *   text → needs_translation() → tokens → { pg_utility, pg_ddl, pg_range } → pieces → text
 */
#include "sql/pg/dialect.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "sql/lex.h"
#include "sql/pg/rewrite.h"

/* ---- the fast path ---- */

/* Words that may have to be translated wherever they stand. */
static const char *const anywhere[] = {
    "ILIKE",
    "LIKE",
    "SIMILAR",
    "ANY",
    "SOME",
    "LATERAL",
    "FETCH",
    "FOR",
    "INTERVAL",
    "ARRAY",
    "OPERATOR",
    "CURRENT_USER",
    "PUBLIC",
    "PG_CATALOG",
    "ONLY",
    "OVERRIDING",
    "UNKNOWN",
    "OFFSET",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "SESSION_USER",
    "CURRENT_ROLE",
    "CURRENT_CATALOG",
    "CURRENT_SCHEMA",
    "INFORMATION_SCHEMA",
    "CONSTRAINT",
    "EXTRACT",
    "DEFAULT",
    "UNNEST",
    "STRING_TO_ARRAY",
    "GENERATE_SERIES",
    "GENERATE_SUBSCRIPTS",
};

/* Words that matter at the beginning of a statement. */
static const char *const at_first[] = {
    "CREATE",     "DROP",    "ALTER",   "TRUNCATE", "VACUUM",   "ANALYZE",  "ANALYSE",
    "START",      "BEGIN",   "COMMIT",  "END",      "ROLLBACK", "ABORT",    "EXPLAIN",
    "REINDEX",    "TABLE",   "COMMENT", "GRANT",    "REVOKE",   "SECURITY", "LOCK",
    "CHECKPOINT", "CLUSTER", "LOAD",    "REFRESH",  "DO",       "CALL",     "REASSIGN",
};

/* Functions that are more than a name. */
static const char *const functions[] = {
    "NOW",
    "SUBSTRING",
    "POSITION",
    "TRIM",
    "OVERLAY",
    "CAST",
    "MOD",
    "LEFT",
    "RIGHT",
    "NEXTVAL",
    "CURRVAL",
    "LASTVAL",
    "ROW",
    "SUM",
    "STRPOS",
    "BTRIM",
    "CHR",
    "ASCII",
    "CHAR_LENGTH",
    "CHARACTER_LENGTH",
    "BOOL_AND",
    "BOOL_OR",
    "EVERY",
    "JSON_AGG",
    "JSONB_AGG",
    "JSON_OBJECT_AGG",
    "JSONB_OBJECT_AGG",
    "JSON_BUILD_OBJECT",
    "JSONB_BUILD_OBJECT",
    "JSON_BUILD_ARRAY",
    "JSONB_BUILD_ARRAY",
    "JSONB_ARRAY_LENGTH",
    "JSONB_ARRAY_ELEMENTS",
    "JSON_ARRAY_ELEMENTS",
    "JSONB_ARRAY_ELEMENTS_TEXT",
    "JSON_ARRAY_ELEMENTS_TEXT",
    "TIMEZONE",
    "TRANSACTION_TIMESTAMP",
    "STATEMENT_TIMESTAMP",
    "CLOCK_TIMESTAMP",
    "UUID_GENERATE_V4",
    "CURRENT_TIMESTAMP",
    "STRING_TO_TABLE",
    "REGEXP_SPLIT_TO_TABLE",
    "_PG_EXPANDARRAY",
};

static bool listed(const struct pg_token *t, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pg_lex_is(t, words[i]))
            return true;
    return false;
}

#define LISTED(t, words) listed(t, words, sizeof(words) / sizeof((words)[0]))

/* Which first letters and lengths words of the lists have, so that most words cost one look. */
static bool may_be_listed(const struct pg_token *t)
{
    static const uint32_t lengths[26] = {
#define L(n) (1u << (n))
        ['a' - 'a'] = L(3) | L(5), /* ANY ARRAY ASCII */
        ['b' - 'a'] = L(5) | L(7) | L(8),
        ['c' - 'a'] = L(3) | L(4) | L(7) | L(10) | L(11) | L(12) | L(14) | L(15) | L(16) | L(17),
        ['d' - 'a'] = L(7),
        ['e' - 'a'] = L(5) | L(7),
        ['f' - 'a'] = L(3) | L(5),
        ['g' - 'a'] = L(15) | L(19),
        ['i' - 'a'] = L(5) | L(8) | L(18),
        ['j' - 'a'] = 0xFFFFFFFFu,
        ['l' - 'a'] = L(4) | L(7) | L(9) | L(14),
        ['m' - 'a'] = L(3),
        ['n' - 'a'] = L(3) | L(7),
        ['o' - 'a'] = L(4) | L(6) | L(7) | L(8) | L(10),
        ['p' - 'a'] = L(6) | L(8) | L(10),
        ['r' - 'a'] = L(3) | L(5) | L(21),
        ['s' - 'a'] = L(3) | L(4) | L(6) | L(7) | L(9) | L(12) | L(15) | L(19),
        ['t' - 'a'] = L(4) | L(8) | L(21),
        ['u' - 'a'] = L(6) | L(7) | L(16),
#undef L
    };
    unsigned char c = (unsigned char)(t->text[0] | 0x20);

    if (c < 'a' || c > 'z')
        return t->text[0] == '_';
    return t->len < 32 && (lengths[c - 'a'] >> t->len & 1);
}

static bool is_type_word(const struct pg_token *t)
{
    return t->type == PG_TOKEN_WORD && t->len >= 3 && pg_type_by_name(t->text, t->len) != NULL;
}

/* What one token, with the one before it, tells. */
static bool calls_for_translation(const struct pg_token *t, const struct pg_token *before,
                                  bool *function)
{
    bool was_function = *function, boolean;

    *function = false;
    if (t->comment)
        return true;
    switch (t->type) {
    case PG_TOKEN_ESCAPED:
    case PG_TOKEN_DOLLAR:
    case PG_TOKEN_CAST:
    case PG_TOKEN_ILLEGAL:
        return true;
    case PG_TOKEN_STRING: /* date '…' */
        return is_type_word(before) || pg_is_hex(t) || pg_is_boolean_text(t, &boolean) ||
               pg_is_odd_uuid(t);
    case PG_TOKEN_BITS:
        return (t->text[0] | 0x20) == 'b';
    case PG_TOKEN_OP:
        return strchr("~!@#^&?|*", t->text[0]) && !pg_lex_is_op(t, "||") && !pg_lex_is_op(t, "*") &&
               !pg_lex_is_op(t, "!=");
    case PG_TOKEN_PUNCT:
        return t->text[0] == '[' || (t->text[0] == '(' && was_function);
    case PG_TOKEN_QUOTED: /* "public"."t" */
        return (t->len == 8 && memcmp(t->text, "\"public\"", 8) == 0) ||
               (t->len == 12 && memcmp(t->text, "\"pg_catalog\"", 12) == 0) ||
               (t->len == 20 && memcmp(t->text, "\"information_schema\"", 20) == 0);
    case PG_TOKEN_WORD:
        if (pg_lex_is(t, "ON") && pg_lex_is(before, "DISTINCT"))
            return true;
        if (pg_lex_is(before, "AS") && pg_needs_quotes(t))
            return true;
        if (t->len > 3 && strncasecmp(t->text, "pg_", 3) == 0)
            return true;
        if (pg_lex_is(t, "ALL"))
            return pg_lex_is(before, "LIMIT") || before->type == PG_TOKEN_OP ||
                   pg_lex_is(before, "EXCEPT") || pg_lex_is(before, "INTERSECT");
        if (pg_lex_is(t, "TIME"))
            return pg_lex_is(before, "AT");
        if (pg_lex_is(t, "USING"))
            return false;
        *function = pg_lex_is(before, "FROM"); /* FROM current_schema() */
        if (!may_be_listed(t) || pg_lex_is_op(before, "."))
            return false;
        *function = *function || LISTED(t, functions);
        return LISTED(t, anywhere);
    default:
        return false;
    }
}

/* … ) AS name ( begins a list of columns that SQLite does not take. `state` runs through it. */
static bool begins_columns(const struct pg_token *t, unsigned *state)
{
    bool name = t->type == PG_TOKEN_WORD || t->type == PG_TOKEN_QUOTED;

    if (pg_lex_is_op(t, ")") || (*state == 1 && pg_lex_is(t, "AS")))
        *state = 1;
    else if (*state == 1 && name && !pg_reserved(t))
        *state = 2;
    else if (*state == 2 && pg_lex_is_op(t, "("))
        return true;
    else
        *state = 0;
    return false;
}

static bool needs_translation(const char *sql, size_t len)
{
    struct pg_lexer x;
    struct pg_token t, before = {.type = PG_TOKEN_END};
    bool function = false, deletes = false;
    unsigned columns = 0;

    pg_lex_init(&x, sql, len);
    for (bool first = true; pg_lex_next(&x, &t); first = false) {
        if (first && LISTED(&t, at_first))
            return true;
        if (first)
            deletes = pg_lex_is(&t, "DELETE");
        if (calls_for_translation(&t, &before, &function) || (deletes && pg_lex_is(&t, "USING")) ||
            begins_columns(&t, &columns))
            return true;
        before = t;
    }
    return t.comment;
}

/* ---- one statement stays one ---- */

/* Where core, whose tokenizer is SQLite's, would find the end of the statement, if another one
 * comes behind that; 0 where it finds just one. */
static size_t second_statement(const char *sql, size_t len)
{
    const char *semi = memchr(sql, ';', len), *at, *end = sql + len;
    struct lex_token t;

    if (!semi || semi + 1 == end)
        return 0;
    at = sql + lex_length(sql, len);
    for (const char *behind = at; lex_next(&at, end, &t);)
        if (t.type != LEX_TOKEN_SEMI)
            return (size_t)(behind - sql);
    return 0;
}

/* Core runs whatever stands in the text. What is one statement to us must not become two there, of
 * which the second might be a COMMIT: comments are not the only thing both may read differently. */
static enum err_code check_single(const char *sql, size_t len, struct err *e)
{
    size_t second = second_statement(sql, len);

    if (!second)
        return ERR_OK;
    err_set(e, ERR_SYNTAX, "syntax error at or near \";\"");
    e->offset = (int)second - 1;
    return e->code;
}

/* TRUNCATE a, b and the like are several statements on purpose. */
static bool is_compound(const struct pg_rewrite *r)
{
    for (size_t i = 0; i < r->n_out; i++) {
        const struct pg_piece *p = &r->out[i];
        if (p->len > 0 && (p->text[0] == ';' || p->text[p->len - 1] == ';'))
            return true;
    }
    return false;
}

/* Statements whose text SQLite takes better than anyone: their bodies are its own language. */
static bool is_sqlites_own(const struct pg_rewrite *r)
{
    size_t i = 1;

    if (pg_word(r, 0, "PRAGMA"))
        return true;
    if (!pg_word(r, 0, "CREATE"))
        return false;
    while (pg_word(r, i, "TEMP") || pg_word(r, i, "TEMPORARY"))
        i++;
    if (pg_words(r, 1, "VIRTUAL", "TABLE"))
        return true;
    return pg_word(r, i, "TRIGGER") && pg_find(r, i, r->n, "EXECUTE") == r->n;
}

/* … but for comments that SQLite ends elsewhere, which are left out. */
static bool translate_sqlites_own(struct pg_rewrite *r, size_t len)
{
    struct pg_lexer x;
    struct pg_token t;
    bool differs = false;

    pg_lex_init(&x, r->sql, len);
    while (pg_lex_next(&x, &t))
        differs = differs || t.comment;
    if (!differs && !t.comment) /* that of the END, too */
        return false;
    pg_lex_init(&x, r->sql, len);
    for (size_t i = 0; pg_lex_next(&x, &t);) {
        if (t.type == PG_TOKEN_SEMI) /* between the statements of a trigger; not among r->in */
            pg_put(r, ";");
        else
            pg_copy(r, i++);
    }
    return true;
}

static bool translate(struct pg_rewrite *r, size_t len)
{
    if (is_sqlites_own(r))
        return translate_sqlites_own(r, len);
    if (pg_word(r, 0, "CREATE") && pg_find(r, 1, r->n, "TRIGGER") < r->n &&
        pg_find(r, 1, r->n, "EXECUTE") < r->n)
        pg_fail(r, 0, ERR_UNSUPPORTED,
                "triggers have SQLite's syntax here: CREATE TRIGGER … BEGIN … END");
    pg_find_renames(r);
    if (!pg_utility(r) && !r->failed && !pg_ddl(r)) {
        if (r->n_out || r->failed)
            return true;
        pg_range(r, 0, r->n);
        if (r->insert[r->n])
            pg_put(r, r->insert[r->n]);
    }
    return true;
}

static enum err_code run(const char *sql, size_t len, struct pg_rewrite *r, bool *changed,
                         struct err *e)
{
    char tag[PG_TAG_SIZE];

    *changed = false;
    if (!needs_translation(sql, len) || pg_command_is_server(pg_command(sql, len, tag)))
        return ERR_OK;
    if (!pg_rewrite_init(r, sql, len, e))
        return e->code;
    *changed = translate(r, len);
    return r->failed ? e->code : ERR_OK;
}

enum err_code pg_dialect(const char *sql, size_t len, struct buf *out, bool *changed, struct err *e)
{
    struct pg_rewrite r = {.in = NULL};
    enum err_code code = run(sql, len, &r, changed, e);

    if (code == ERR_OK && *changed) {
        size_t start = out->len;
        pg_rewrite_emit(&r, out, 0);
        if (!buf_ok(out))
            code = err_set(e, ERR_NO_MEMORY, "out of memory");
        else if (out->len > start && (is_sqlites_own(&r) || !is_compound(&r)) &&
                 (code = check_single(out->data + start, out->len - start, e)) != ERR_OK)
            e->offset = -1;
    } else if (code == ERR_OK) {
        code = check_single(sql, len, e);
    }
    pg_rewrite_fini(&r);
    return code;
}

size_t pg_dialect_position(const char *sql, size_t len, size_t offset)
{
    struct pg_rewrite r = {.in = NULL};
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT;
    size_t found = offset;
    bool changed;

    if (run(sql, len, &r, &changed, &e) == ERR_OK && changed && r.n_out)
        found = r.out[pg_rewrite_emit(&r, &b, offset)].source;
    buf_free(&b);
    pg_rewrite_fini(&r);
    return found < len ? found : len;
}

/* ---- where a statement ends ---- */

/* CREATE [TEMP] TRIGGER … BEGIN …; …; END. Answers 0 where the text is none of that. */
static size_t trigger_length(const char *sql, size_t len)
{
    struct pg_lexer x;
    struct pg_token t;
    unsigned cases = 0;
    bool trigger = false, body = false;

    pg_lex_init(&x, sql, len);
    if (!pg_lex_next(&x, &t) || !pg_lex_is(&t, "CREATE"))
        return 0;
    while (pg_lex_next(&x, &t)) {
        if (!trigger) {
            if (!pg_lex_is(&t, "TEMP") && !pg_lex_is(&t, "TEMPORARY") && !pg_lex_is(&t, "TRIGGER"))
                return 0;
            trigger = pg_lex_is(&t, "TRIGGER");
        } else if (pg_lex_is(&t, "BEGIN")) {
            body = true;
        } else if (pg_lex_is(&t, "CASE")) {
            cases++;
        } else if (pg_lex_is(&t, "END")) {
            if (cases > 0)
                cases--;
            else
                body = false;
        } else if (t.type == PG_TOKEN_SEMI && !body) {
            return (size_t)(x.at - sql);
        }
    }
    return len;
}

size_t pg_dialect_split(const char *sql, size_t len)
{
    struct pg_lexer x;
    struct pg_token t;
    size_t depth = 0, trigger = trigger_length(sql, len);

    if (trigger)
        return trigger;
    pg_lex_init(&x, sql, len);
    while (pg_lex_next(&x, &t)) {
        if (pg_lex_is_op(&t, "("))
            depth++;
        else if (pg_lex_is_op(&t, ")") && depth > 0)
            depth--;
        else if (t.type == PG_TOKEN_SEMI && depth == 0)
            return (size_t)(x.at - sql);
    }
    return len;
}
