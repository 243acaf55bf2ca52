/*
 * The way in: is there anything to translate at all; whole statements; where they end.
 *
 *   text → needs_translation() → tokens → { show, ddl, insert, update, delete, range } → text
 */
#include "sql/mysql/dialect.h"

#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "sql/mysql/rewrite.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- the fast path ---- */

/* Words that may have to be translated wherever they stand. */
static const char *const anywhere[] = {"IGNORE",
                                       "DUPLICATE",
                                       "HAVING",
                                       "INTERVAL",
                                       "BINARY",
                                       "DIV",
                                       "MOD",
                                       "RLIKE",
                                       "REGEXP",
                                       "STRAIGHT_JOIN",
                                       "SQL_NO_CACHE",
                                       "SQL_CACHE",
                                       "SQL_CALC_FOUND_ROWS",
                                       "SQL_SMALL_RESULT",
                                       "SQL_BIG_RESULT",
                                       "SQL_BUFFER_RESULT",
                                       "HIGH_PRIORITY",
                                       "LOW_PRIORITY",
                                       "DELAYED",
                                       "QUICK",
                                       "FOR",
                                       "LOCK",
                                       "DUAL",
                                       "INFORMATION_SCHEMA",
                                       "DISTINCTROW",
                                       "USE",
                                       "FORCE",
                                       "COLLATE",
                                       "DEFAULT",
                                       "LOCALTIME",
                                       "LOCALTIMESTAMP",
                                       "UTC_TIMESTAMP",
                                       "UTC_DATE",
                                       "UTC_TIME",
                                       "CURRENT_USER",
                                       "ROLLUP",
                                       "VALUE",
                                       "LIKE"};

static const char *const ddl[] = {"CREATE",  "ALTER",    "DROP",     "TRUNCATE", "RENAME",
                                  "SHOW",    "DESC",     "DESCRIBE", "EXPLAIN",  "CHECK",
                                  "ANALYZE", "OPTIMIZE", "REPAIR",   "CHECKSUM"};

static bool is_plain_string(const struct mysql_token *t)
{
    return *t->text == '\'' && !memchr(t->text, '\\', t->len) && json_is_text(t->text, t->len);
}

/* LIKE 'a%' is the same for both; a parameter may hold a backslash. */
static bool is_plain_like(const struct mysql_rewrite *r, size_t i)
{
    const struct mysql_token *next = mysql_at(r, i + 1);

    return next->type != MYSQL_TOKEN_PARAM && !mysql_lex_is(next, "BINARY") &&
           (next->type != MYSQL_TOKEN_STRING || is_plain_string(next));
}

static bool token_needs(const struct mysql_rewrite *r, size_t i)
{
    const struct mysql_token *t = &r->in[i];

    if (t->differs)
        return true;
    switch (t->type) {
    case MYSQL_TOKEN_STRING:
        return !is_plain_string(t) || mysql_at(r, i + 1)->type == MYSQL_TOKEN_STRING;
    case MYSQL_TOKEN_BITS:
        return t->text[1] != '\'' || *t->text == 'b' || *t->text == 'B';
    case MYSQL_TOKEN_SYSTEM:
    case MYSQL_TOKEN_USER:
        return true;
    case MYSQL_TOKEN_NUMBER:
        return t->len >= 19;
    case MYSQL_TOKEN_OP:
        return mysql_lex_is_op(t, "/") || mysql_lex_is_op(t, "&&") || mysql_lex_is_op(t, "<=>") ||
               mysql_lex_is_op(t, "!") || mysql_lex_is_op(t, "^") || mysql_lex_is_op(t, ":=") ||
               (mysql_lex_is_op(t, "-") && mysql_op(r, i + 1, "-"));
    case MYSQL_TOKEN_WORD:
        if (*t->text == '_' && (mysql_at(r, i + 1)->type == MYSQL_TOKEN_STRING ||
                                mysql_at(r, i + 1)->type == MYSQL_TOKEN_BITS))
            return true;
        if (mysql_lex_is(t, "LIKE"))
            return !is_plain_like(r, i);
        if (mysql_one_of(t, anywhere, COUNT(anywhere)) || mysql_is_call(r, i))
            return true;
        if ((mysql_lex_is(t, "DATE") || mysql_lex_is(t, "TIME") || mysql_lex_is(t, "TIMESTAMP")) &&
            mysql_at(r, i + 1)->type == MYSQL_TOKEN_STRING)
            return true;
        /* fall through */
    case MYSQL_TOKEN_QUOTED: /* db.t */
        if (mysql_op(r, i + 1, ".") && memmem(t->text, t->len, "_", 1) && t->len == 20)
            return true; /* `information_schema` */
        return mysql_op(r, i + 1, ".") && t->len >= strlen(r->context->schema) &&
               memmem(t->text, t->len, r->context->schema, strlen(r->context->schema));
    default:
        return false;
    }
}

/* INSERT, UPDATE and DELETE in forms that SQLite does not have. */
static bool change_needs(const struct mysql_rewrite *r)
{
    if (mysql_word(r, 0, "INSERT") || mysql_word(r, 0, "REPLACE"))
        return !(mysql_word(r, 1, "INTO") || mysql_word(r, 1, "OR")) ||
               mysql_word(r, mysql_skip_name(r, 2), "SET") ||
               (mysql_op(r, mysql_skip_name(r, 2), "(") &&
                mysql_op(r, mysql_skip_name(r, 2) + 1, ")"));
    if (mysql_word(r, 0, "UPDATE")) {
        size_t set = mysql_find(r, 1, r->n, "SET");
        if (mysql_word(r, 1, "OR"))
            return false;
        return mysql_find(r, 1, set, "JOIN") < set || mysql_find_op(r, 1, set, ",") < set ||
               mysql_find(r, set, r->n, "LIMIT") < r->n || mysql_op(r, set + 2, ".") ||
               mysql_find_op(r, set, mysql_find(r, set, r->n, "WHERE"), ".") <
                   mysql_find(r, set, r->n, "WHERE");
    }
    if (mysql_word(r, 0, "DELETE"))
        return !mysql_word(r, 1, "FROM") || mysql_find(r, 1, r->n, "LIMIT") < r->n ||
               mysql_find(r, 1, r->n, "USING") < r->n;
    return false;
}

static bool needs_translation(const struct mysql_rewrite *r)
{
    if (r->n == 0)
        return false;
    if (mysql_one_of(&r->in[0], ddl, COUNT(ddl)) || change_needs(r) || r->in[r->n].differs)
        return true;
    for (size_t i = 0; i < r->n; i++)
        if (token_needs(r, i))
            return true;
    return false;
}

/* ---- translation ---- */

/* EXPLAIN of a query: SQLite's plan. */
static bool explain(struct mysql_rewrite *r)
{
    size_t i = 1;

    if (!mysql_word(r, 0, "EXPLAIN") && !mysql_word(r, 0, "DESC") && !mysql_word(r, 0, "DESCRIBE"))
        return false;
    if (mysql_word(r, i, "QUERY"))
        i += 2;
    else if (mysql_word(r, i, "FORMAT"))
        i += 3;
    else if (mysql_word(r, i, "EXTENDED") || mysql_word(r, i, "ANALYZE") ||
             mysql_word(r, i, "PARTITIONS"))
        i++;
    mysql_put(r, "EXPLAIN QUERY PLAN ");
    mysql_range(r, i, r->n);
    r->touched++;
    return true;
}

static void translate(struct mysql_rewrite *r)
{
    if (mysql_show(r) || explain(r) || mysql_ddl(r) || mysql_insert(r) || mysql_update(r) ||
        mysql_delete(r))
        return;
    mysql_range(r, 0, r->n);
}

static bool calculates(const struct mysql_rewrite *r)
{
    return mysql_word(r, 0, "SELECT") && mysql_find(r, 0, r->n, "SQL_CALC_FOUND_ROWS") < r->n &&
           mysql_find(r, 0, r->n, "LIMIT") < r->n;
}

enum err_code mysql_dialect(const struct mysql_context *x, const char *sql, size_t len,
                            struct buf *out, struct mysql_translation *t, struct err *e)
{
    struct mysql_rewrite r;
    size_t start = out->len;

    *t = (struct mysql_translation){.changed = false};
    err_clear(e);
    if (mysql_rewrite_init(&r, x, sql, len, out, e)) {
        t->n_params = r.n_params;
        t->changed = needs_translation(&r);
        if (t->changed)
            translate(&r);
        t->calculates = calculates(&r);
        t->several = r.several;
        t->is_session = r.is_session;
        if (!r.failed && !buf_ok(out))
            mysql_fail(&r, MYSQL_NONE, ERR_NO_MEMORY, "out of memory");
    }
    if (r.failed && buf_ok(out))
        buf_cut(out, start);
    mysql_rewrite_fini(&r);
    return e->code;
}

enum err_code mysql_dialect_count(const struct mysql_context *x, const char *sql, size_t len,
                                  struct buf *out, struct err *e)
{
    struct mysql_rewrite r;
    size_t start = out->len;

    err_clear(e);
    if (mysql_rewrite_init(&r, x, sql, len, out, e)) {
        mysql_put(&r, "SELECT count(*) FROM (");
        mysql_range(&r, 0, mysql_find(&r, 0, r.n, "LIMIT"));
        mysql_put(&r, ")");
        if (!r.failed && !buf_ok(out))
            mysql_fail(&r, MYSQL_NONE, ERR_NO_MEMORY, "out of memory");
    }
    if (r.failed && buf_ok(out))
        buf_cut(out, start);
    mysql_rewrite_fini(&r);
    return e->code;
}

/* ---- what a statement is ---- */

static struct mysql_lexer lexer_of(const struct mysql_context *x, const char *sql, size_t len)
{
    struct mysql_lexer lex;

    mysql_lex_init(&lex, sql, len);
    lex.ansi_quotes = x->ansi_quotes;
    lex.no_backslash = x->no_backslash;
    return lex;
}

static const struct {
    const char *word;
    enum mysql_command command;
} first_words[] = {
    {"SELECT", MYSQL_COMMAND_READ},
    {"WITH", MYSQL_COMMAND_READ},
    {"VALUES", MYSQL_COMMAND_READ},
    {"EXPLAIN", MYSQL_COMMAND_SHOW},
    {"SHOW", MYSQL_COMMAND_SHOW},
    {"DESCRIBE", MYSQL_COMMAND_SHOW},
    {"DESC", MYSQL_COMMAND_SHOW},
    {"CHECK", MYSQL_COMMAND_SHOW},
    {"OPTIMIZE", MYSQL_COMMAND_SHOW},
    {"REPAIR", MYSQL_COMMAND_SHOW},
    {"CHECKSUM", MYSQL_COMMAND_SHOW},
    {"INSERT", MYSQL_COMMAND_INSERT},
    {"REPLACE", MYSQL_COMMAND_INSERT},
    {"TRUNCATE", MYSQL_COMMAND_DDL},
    {"RENAME", MYSQL_COMMAND_DDL},
    {"REINDEX", MYSQL_COMMAND_DDL},
    {"VACUUM", MYSQL_COMMAND_DDL},
    {"BEGIN", MYSQL_COMMAND_BEGIN},
    {"COMMIT", MYSQL_COMMAND_COMMIT},
    {"END", MYSQL_COMMAND_COMMIT},
    {"SAVEPOINT", MYSQL_COMMAND_SAVEPOINT},
    {"SET", MYSQL_COMMAND_SET},
    {"USE", MYSQL_COMMAND_USE},
    {"KILL", MYSQL_COMMAND_KILL},
    {"DO", MYSQL_COMMAND_DO},
    {"FLUSH", MYSQL_COMMAND_IGNORED},
    {"RESET", MYSQL_COMMAND_IGNORED},
    {"PURGE", MYSQL_COMMAND_IGNORED},
    {"CALL", MYSQL_COMMAND_UNSUPPORTED},
    {"LOAD", MYSQL_COMMAND_UNSUPPORTED},
    {"GRANT", MYSQL_COMMAND_UNSUPPORTED},
    {"REVOKE", MYSQL_COMMAND_UNSUPPORTED},
    {"PREPARE", MYSQL_COMMAND_UNSUPPORTED},
    {"EXECUTE", MYSQL_COMMAND_UNSUPPORTED},
    {"DEALLOCATE", MYSQL_COMMAND_UNSUPPORTED},
    {"HANDLER", MYSQL_COMMAND_UNSUPPORTED},
    {"XA", MYSQL_COMMAND_UNSUPPORTED},
    {"INSTALL", MYSQL_COMMAND_UNSUPPORTED},
    {"UNINSTALL", MYSQL_COMMAND_UNSUPPORTED},
    {"CHANGE", MYSQL_COMMAND_UNSUPPORTED},
    {"SHUTDOWN", MYSQL_COMMAND_UNSUPPORTED},
    {"SIGNAL", MYSQL_COMMAND_UNSUPPORTED},
};

/* CREATE, DROP and ALTER: what of? */
static enum mysql_command schema_command(struct mysql_lexer *x, const struct mysql_token *verb)
{
    static const char *const unsupported[] = {
        "USER",   "ROLE",       "PROCEDURE", "FUNCTION", "EVENT",
        "SERVER", "TABLESPACE", "LOGFILE",   "RESOURCE", "SPATIAL_REFERENCE"};
    struct mysql_token t;
    bool create = mysql_lex_is(verb, "CREATE"), temp = false;

    while (mysql_lex_next(x, &t) && t.type != MYSQL_TOKEN_SEMI) {
        if (mysql_lex_is(&t, "DATABASE") || mysql_lex_is(&t, "SCHEMA"))
            return create                       ? MYSQL_COMMAND_CREATE_DATABASE
                   : mysql_lex_is(verb, "DROP") ? MYSQL_COMMAND_DROP_DATABASE
                                                : MYSQL_COMMAND_IGNORED;
        if (mysql_one_of(&t, unsupported, COUNT(unsupported)))
            return MYSQL_COMMAND_UNSUPPORTED;
        temp = temp || mysql_lex_is(&t, "TEMPORARY") || mysql_lex_is(&t, "TEMP");
        if (mysql_lex_is(&t, "TABLE") || mysql_lex_is(&t, "VIEW") || mysql_lex_is(&t, "INDEX") ||
            mysql_lex_is(&t, "TRIGGER"))
            break;
    }
    return temp ? MYSQL_COMMAND_TEMP : MYSQL_COMMAND_DDL;
}

/* ROLLBACK [WORK] TO … */
static enum mysql_command rollback_command(struct mysql_lexer *x)
{
    struct mysql_token t;

    while (mysql_lex_next(x, &t) && t.type != MYSQL_TOKEN_SEMI)
        if (mysql_lex_is(&t, "TO"))
            return MYSQL_COMMAND_ROLLBACK_TO;
    return MYSQL_COMMAND_ROLLBACK;
}

enum mysql_command mysql_command(const struct mysql_context *x, const char *sql, size_t len)
{
    struct mysql_lexer lex = lexer_of(x, sql, len), after;
    struct mysql_token t, next;

    if (!mysql_lex_next(&lex, &t) || t.type == MYSQL_TOKEN_SEMI)
        return MYSQL_COMMAND_EMPTY;
    if (mysql_lex_is_op(&t, "("))
        return MYSQL_COMMAND_READ;
    if (mysql_lex_is(&t, "CREATE") || mysql_lex_is(&t, "DROP") || mysql_lex_is(&t, "ALTER"))
        return schema_command(&lex, &t);
    if (mysql_lex_is(&t, "ROLLBACK"))
        return rollback_command(&lex);
    after = lex;
    bool more = mysql_lex_next(&after, &next);
    if (mysql_lex_is(&t, "START"))
        return more && mysql_lex_is(&next, "TRANSACTION") ? MYSQL_COMMAND_BEGIN
                                                          : MYSQL_COMMAND_UNSUPPORTED;
    if (mysql_lex_is(&t, "RELEASE"))
        return MYSQL_COMMAND_RELEASE;
    if (mysql_lex_is(&t, "LOCK"))
        return MYSQL_COMMAND_LOCK;
    if (mysql_lex_is(&t, "UNLOCK"))
        return MYSQL_COMMAND_UNLOCK;
    if (mysql_lex_is(&t, "ANALYZE"))
        return more && mysql_lex_is(&next, "TABLE") ? MYSQL_COMMAND_SHOW : MYSQL_COMMAND_DDL;
    for (size_t i = 0; i < COUNT(first_words); i++)
        if (mysql_lex_is(&t, first_words[i].word))
            return first_words[i].command;
    return MYSQL_COMMAND_WRITE;
}

bool mysql_command_has_table(const struct mysql_context *x, const char *sql, size_t len)
{
    static const char *const words[] = {"FROM",    "INTO",   "UPDATE", "INSERT",
                                        "REPLACE", "DELETE", "TABLE",  "JOIN"};
    struct mysql_lexer lex = lexer_of(x, sql, len);
    struct mysql_token t;

    while (mysql_lex_next(&lex, &t))
        if (mysql_one_of(&t, words, COUNT(words)))
            return true;
    return false;
}

/* ---- where it ends ---- */

/* CREATE [OR REPLACE] [DEFINER = …] [TEMP] TRIGGER … BEGIN …; …; END */
static size_t trigger_length(const struct mysql_context *x, const char *sql, size_t len)
{
    struct mysql_lexer lex = lexer_of(x, sql, len);
    struct mysql_token t;
    bool trigger = false, body = false;
    size_t depth = 0;

    if (!mysql_lex_next(&lex, &t) || !mysql_lex_is(&t, "CREATE"))
        return 0;
    while (mysql_lex_next(&lex, &t)) {
        if (!trigger) {
            if (t.type == MYSQL_TOKEN_SEMI || mysql_lex_is(&t, "TABLE") ||
                mysql_lex_is(&t, "VIEW") || mysql_lex_is(&t, "INDEX") || mysql_lex_is_op(&t, "("))
                return 0;
            trigger = mysql_lex_is(&t, "TRIGGER");
        } else if (mysql_lex_is(&t, "BEGIN")) {
            body = true;
        } else if (mysql_lex_is(&t, "CASE")) {
            depth++;
        } else if (mysql_lex_is(&t, "END")) {
            if (depth > 0)
                depth--;
            else
                body = false;
        } else if (t.type == MYSQL_TOKEN_SEMI && !body) {
            return (size_t)(lex.at - sql);
        }
    }
    return len;
}

size_t mysql_dialect_split(const struct mysql_context *x, const char *sql, size_t len)
{
    struct mysql_lexer lex = lexer_of(x, sql, len);
    struct mysql_token t;
    size_t trigger = trigger_length(x, sql, len);

    if (trigger)
        return trigger;
    while (mysql_lex_next(&lex, &t))
        if (t.type == MYSQL_TOKEN_SEMI)
            return (size_t)(lex.at - sql);
    return len;
}
