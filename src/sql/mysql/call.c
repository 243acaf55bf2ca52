/*
 * Calls of functions that MySQL has and SQLite has not, or has another one of that name.
 *
 * A template says what becomes of them: $1 … are the arguments, $* all of them with commas between,
 * $| all of them with || between, each in parentheses. Wherever SQLite's own functions will do they
 * are taken: such a call may land in the schema. The others are mysql/function.h's.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/mysql/rewrite.h"

#define ARGS_MAX 100
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct call {
    const char *name;
    int least, most; /* arguments; most -1 = any number */
    const char *text;
};

static const struct call calls[] = {
    /* conditions */
    {"IF", 3, 3, "iif($1, $2, $3)"},
    {"ISNULL", 1, 1, "(($1) IS NULL)"},
    {"GREATEST", 2, -1, "max($*)"},
    {"LEAST", 2, -1, "min($*)"},
    {"ANY_VALUE", 1, 1, "($1)"},
    /* texts */
    {"CONCAT", 1, -1, "($|)"},
    {"LENGTH", 1, 1, "octet_length($1)"},
    {"CHAR_LENGTH", 1, 1, "length($1)"},
    {"CHARACTER_LENGTH", 1, 1, "length($1)"},
    {"LCASE", 1, 1, "lower($1)"},
    {"UCASE", 1, 1, "upper($1)"},
    {"MID", 3, 3, "substr($1, $2, $3)"},
    {"LEFT", 2, 2, "substr($1, 1, max($2, 0))"},
    {"RIGHT", 2, 2, "mysql_right($1, $2)"},
    {"LOCATE", 2, 2, "instr($2, $1)"},
    {"LOCATE", 3, 3, "mysql_locate($1, $2, $3)"},
    {"SUBSTRING_INDEX", 3, 3, "mysql_substring_index($1, $2, $3)"},
    {"FIND_IN_SET", 2, 2, "mysql_find_in_set($1, $2)"},
    {"FIELD", 2, -1, "mysql_field($*)"},
    {"ELT", 2, -1, "mysql_elt($*)"},
    {"SPACE", 1, 1, "mysql_space($1)"},
    {"STRCMP", 2, 2, "CASE WHEN $1 < $2 THEN -1 WHEN $1 = $2 THEN 0 WHEN $1 > $2 THEN 1 END"},
    {"ORD", 1, 1, "unicode($1)"},
    {"ASCII", 1, 1, "coalesce(unicode($1), 0)"},
    {"HEX", 1, 1, "mysql_hex($1)"},
    {"BIN", 1, 1, "mysql_bin($1)"},
    {"SHA1", 1, 1, "mysql_sha1($1)"},
    {"SHA", 1, 1, "mysql_sha1($1)"},
    {"SHA2", 2, 2, "mysql_sha2($1, $2)"},
    {"CRC32", 1, 1, "mysql_crc32($1)"},
    {"UUID", 0, 0, "mysql_uuid()"},
    {"FORMAT", 2, 2, "mysql_format($1, $2)"},
    {"INET_ATON", 1, 1, "mysql_inet_aton($1)"},
    {"INET_NTOA", 1, 1, "mysql_inet_ntoa($1)"},
    {"REGEXP_LIKE", 2, 2, "($1 REGEXP '(?i)' || $2)"},
    {"REGEXP_LIKE", 3, 3, "($1 REGEXP CASE WHEN instr($3, 'c') THEN '' ELSE '(?i)' END || $2)"},
    /* numbers */
    {"RAND", 0, 1, "((random() & 9007199254740991) / 9007199254740992.0)"},
    {"TRUNCATE", 2, 2, "mysql_truncate($1, $2)"},
    {"MOD", 2, 2, "mysql_mod($1, $2)"},
    {"POWER", 2, 2, "pow($1, $2)"},
    /* moments */
    {"NOW", 0, 0, "datetime('now')"},
    {"NOW", 1, 1, "strftime('%Y-%m-%d %H:%M:%f', 'now')"},
    {"SYSDATE", 0, 1, "datetime('now')"},
    {"LOCALTIME", 0, 1, "datetime('now')"},
    {"LOCALTIMESTAMP", 0, 1, "datetime('now')"},
    {"CURRENT_TIMESTAMP", 0, 0, "datetime('now')"},
    {"CURRENT_TIMESTAMP", 1, 1, "strftime('%Y-%m-%d %H:%M:%f', 'now')"},
    {"UTC_TIMESTAMP", 0, 0, "datetime('now')"},
    {"UTC_TIMESTAMP", 1, 1, "strftime('%Y-%m-%d %H:%M:%f', 'now')"},
    {"CURDATE", 0, 0, "date('now')"},
    {"CURRENT_DATE", 0, 0, "date('now')"},
    {"UTC_DATE", 0, 0, "date('now')"},
    {"CURTIME", 0, 1, "time('now')"},
    {"CURRENT_TIME", 0, 1, "time('now')"},
    {"UTC_TIME", 0, 1, "time('now')"},
    {"UNIX_TIMESTAMP", 0, 0, "unixepoch()"},
    {"UNIX_TIMESTAMP", 1, 1, "unixepoch($1)"},
    {"FROM_UNIXTIME", 1, 1, "datetime($1, 'unixepoch')"},
    {"FROM_UNIXTIME", 2, 2, "mysql_date_format(datetime($1, 'unixepoch'), $2)"},
    {"YEAR", 1, 1, "CAST(strftime('%Y', $1) AS INTEGER)"},
    {"MONTH", 1, 1, "CAST(strftime('%m', $1) AS INTEGER)"},
    {"DAY", 1, 1, "CAST(strftime('%d', $1) AS INTEGER)"},
    {"DAYOFMONTH", 1, 1, "CAST(strftime('%d', $1) AS INTEGER)"},
    {"HOUR", 1, 1, "CAST(strftime('%H', $1) AS INTEGER)"},
    {"MINUTE", 1, 1, "CAST(strftime('%M', $1) AS INTEGER)"},
    {"SECOND", 1, 1, "CAST(strftime('%S', $1) AS INTEGER)"},
    {"DAYOFWEEK", 1, 1, "(strftime('%w', $1) + 1)"},
    {"WEEKDAY", 1, 1, "((strftime('%w', $1) + 6) % 7)"},
    {"DAYOFYEAR", 1, 1, "CAST(strftime('%j', $1) AS INTEGER)"},
    {"QUARTER", 1, 1, "((strftime('%m', $1) + 2) / 3)"},
    {"WEEK", 1, 1, "CAST(strftime('%U', $1) AS INTEGER)"},
    {"WEEKOFYEAR", 1, 1, "CAST(strftime('%V', $1) AS INTEGER)"},
    {"LAST_DAY", 1, 1, "date($1, 'start of month', '+1 month', '-1 day')"},
    {"DATEDIFF", 2, 2, "CAST(julianday(date($1)) - julianday(date($2)) AS INTEGER)"},
    {"TO_DAYS", 1, 1, "CAST(julianday(date($1)) - 1721059.5 AS INTEGER)"},
    {"TIMESTAMP", 1, 1, "datetime($1)"},
    {"DATE_FORMAT", 2, 2, "mysql_date_format($1, $2)"},
    {"TIME_FORMAT", 2, 2, "mysql_date_format($1, $2)"},
    {"STR_TO_DATE", 2, 2, "mysql_str_to_date($1, $2)"},
    {"DAYNAME", 1, 1, "mysql_date_format($1, '%W')"},
    {"MONTHNAME", 1, 1, "mysql_date_format($1, '%M')"},
    {"TIMESTAMPDIFF", 3, 3, "mysql_timestampdiff($U, $2, $3)"},
    {"TIMESTAMPADD", 3, 3, "mysql_add($3, $2, $U)"},
    {"ADDDATE", 2, 2, "mysql_add($1, $2, 'DAY')"},
    {"SUBDATE", 2, 2, "mysql_add($1, -($2), 'DAY')"},
    {"CONVERT_TZ", 3, 3, "mysql_convert_tz($1, $2, $3)"},
    {"TIME_TO_SEC", 1, 1, "mysql_time_to_sec($1)"},
    {"SEC_TO_TIME", 1, 1, "mysql_sec_to_time($1)"},
    {"SLEEP", 1, 1,
     "(WITH RECURSIVE mysql_sleep(t) AS (SELECT 0.0 UNION ALL SELECT t + mysql_nap(($1) - t) FROM "
     "mysql_sleep WHERE t < ($1)) SELECT 0 FROM mysql_sleep ORDER BY t DESC LIMIT 1)"},
    /* named locks, which only a query's own thread can take */
    {"GET_LOCK", 2, 2,
     "(WITH RECURSIVE mysql_lock(got, t) AS (SELECT mysql_try_lock($1), 0.0 UNION ALL SELECT "
     "mysql_try_lock($1), t + mysql_nap(1) FROM mysql_lock WHERE got = 0 AND (t < ($2) OR ($2) < "
     "0)) SELECT max(got) FROM mysql_lock)"},
    {"RELEASE_LOCK", 1, 1, "mysql_release_lock($1)"},
    {"IS_FREE_LOCK", 1, 1, "mysql_is_free_lock($1)"},
    {"IS_USED_LOCK", 1, 1, "mysql_is_used_lock($1)"},
    {"RELEASE_ALL_LOCKS", 0, 0, "mysql_release_all_locks()"},
    /* JSON */
    {"JSON_EXTRACT", 2, 2, "(($1) -> ($2))"},
    {"JSON_UNQUOTE", 1, 1, "mysql_json_unquote($1)"},
    {"JSON_LENGTH", 1, 2, "mysql_json_length($*)"},
    {"JSON_ARRAYAGG", 1, 1, "json_group_array($1)"},
    {"JSON_OBJECTAGG", 2, 2, "json_group_object($1, $2)"},
    /* the session */
    {"LAST_INSERT_ID", 1, 1, "($1)"},
};

/* The others have arguments of their own kind. */
static const char *const special[] = {
    "CAST",         "CONVERT",       "DATE_ADD",       "DATE_SUB",  "ADDDATE",      "SUBDATE",
    "EXTRACT",      "TRIM",          "POSITION",       "SUBSTRING", "SUBSTR",       "GROUP_CONCAT",
    "DATABASE",     "SCHEMA",        "VERSION",        "USER",      "SESSION_USER", "SYSTEM_USER",
    "CURRENT_USER", "CONNECTION_ID", "LAST_INSERT_ID", "ROW_COUNT", "FOUND_ROWS",   "CURRENT_ROLE"};

bool mysql_is_call(const struct mysql_rewrite *r, size_t i)
{
    const struct mysql_token *t = mysql_at(r, i);

    if (t->type != MYSQL_TOKEN_WORD || !mysql_op(r, i + 1, "("))
        return false;
    for (size_t k = 0; k < COUNT(calls); k++)
        if (mysql_lex_is(t, calls[k].name))
            return true;
    return mysql_one_of(t, special, COUNT(special));
}

/* ---- templates ---- */

static void arg(struct mysql_rewrite *r, const struct mysql_arg *a)
{
    mysql_range(r, a->from, a->to);
}

static void put_all(struct mysql_rewrite *r, const struct mysql_arg *args, size_t n, bool pipes)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_puts(r->out, pipes ? " || " : ", ");
        if (pipes)
            buf_puts(r->out, "(");
        arg(r, &args[i]);
        if (pipes)
            buf_puts(r->out, ")");
    }
}

/* A unit as a text: DAY, SQL_TSI_DAY. */
static void put_unit(struct mysql_rewrite *r, const struct mysql_arg *a)
{
    const char *name = mysql_name(r, a->from);

    if (strncasecmp(name, "SQL_TSI_", 8) == 0)
        name += 8;
    mysql_put_string(r, name, strlen(name));
}

static void put_template(struct mysql_rewrite *r, const char *text, const struct mysql_arg *args,
                         size_t n)
{
    mysql_put(r, "");
    if (r->out->len > 0 && buf_ok(r->out) && !strchr(" (,", r->out->data[r->out->len - 1]))
        buf_putc(r->out, ' ');
    for (const char *p = text; *p; p++) {
        if (*p != '$') {
            buf_putc(r->out, *p);
            continue;
        }
        p++;
        if (*p == '*' || *p == '|')
            put_all(r, args, n, *p == '|');
        else if (*p == 'U')
            put_unit(r, &args[0]);
        else
            arg(r, &args[*p - '1']);
    }
}

/* ---- those with arguments of their own kind ---- */

static void put_cast(struct mysql_rewrite *r, const struct mysql_arg *a, size_t type, size_t to)
{
    static const struct {
        const char *mysql, *before, *behind;
    } types[] = {{"SIGNED", "CAST(", " AS INTEGER)"},
                 {"UNSIGNED", "CAST(", " AS INTEGER)"},
                 {"CHAR", "CAST(", " AS TEXT)"},
                 {"NCHAR", "CAST(", " AS TEXT)"},
                 {"BINARY", "CAST(", " AS BLOB)"},
                 {"DATE", "date(", ")"},
                 {"DATETIME", "datetime(", ")"},
                 {"TIMESTAMP", "datetime(", ")"},
                 {"TIME", "time(", ")"},
                 {"JSON", "json(", ")"},
                 {"DOUBLE", "CAST(", " AS REAL)"},
                 {"FLOAT", "CAST(", " AS REAL)"},
                 {"REAL", "CAST(", " AS REAL)"},
                 {"YEAR", "CAST(", " AS INTEGER)"}};

    mysql_put(r, "");
    if (mysql_word(r, type, "DECIMAL")) {
        struct mysql_arg scale[2];
        size_t n = mysql_op(r, type + 1, "(") ? mysql_args(r, type + 1, scale, 2) : 0;
        buf_puts(r->out, "round(CAST(");
        arg(r, a);
        buf_puts(r->out, " AS REAL), ");
        if (n == 2)
            arg(r, &scale[1]);
        else
            buf_puts(r->out, "0");
        buf_puts(r->out, ")");
        return;
    }
    for (size_t i = 0; i < COUNT(types); i++)
        if (mysql_word(r, type, types[i].mysql)) {
            buf_puts(r->out, types[i].before);
            arg(r, a);
            buf_puts(r->out, types[i].behind);
            return;
        }
    buf_puts(r->out, "CAST(");
    arg(r, a);
    buf_puts(r->out, " AS");
    for (size_t k = type; k < to; k++)
        mysql_copy(r, k);
    buf_puts(r->out, ")");
}

/* CAST(a AS type), CONVERT(a, type), CONVERT(a USING utf8mb4) */
static bool cast(struct mysql_rewrite *r, size_t i, size_t close)
{
    bool convert = mysql_word(r, i, "CONVERT");
    size_t from = i + 2,
           mid = convert ? mysql_find_op(r, from, close, ",") : mysql_find(r, from, close, "AS");
    struct mysql_arg a = {from, mid};

    if (convert && mid == close) {
        a.to = mysql_find(r, from, close, "USING");
        if (a.to == close)
            return false;
        mysql_put(r, "(");
        arg(r, &a);
        buf_puts(r->out, ")");
        return true;
    }
    if (mid == close)
        return false;
    put_cast(r, &a, mid + 1, close);
    return true;
}

/* DATE_ADD(a, INTERVAL n unit) */
static bool date_add(struct mysql_rewrite *r, size_t i, size_t close)
{
    bool subtract = mysql_word(r, i, "DATE_SUB") || mysql_word(r, i, "SUBDATE");
    size_t comma = mysql_find_op(r, i + 2, close, ",");
    struct mysql_arg a = {i + 2, comma}, n = {comma + 2, close - 1};

    if (comma == close || !mysql_word(r, comma + 1, "INTERVAL") || close < comma + 4)
        return false;
    mysql_put(r, "mysql_add(");
    arg(r, &a);
    buf_puts(r->out, subtract ? ", -(" : ", (");
    arg(r, &n);
    buf_puts(r->out, "), '");
    buf_put(r->out, mysql_at(r, close - 1)->text, mysql_at(r, close - 1)->len);
    buf_puts(r->out, "')");
    return true;
}

/* EXTRACT(YEAR FROM a) */
static bool extract(struct mysql_rewrite *r, size_t i, size_t close)
{
    struct mysql_arg a = {i + 4, close};

    if (!mysql_word(r, i + 3, "FROM"))
        return false;
    mysql_put(r, "mysql_extract('");
    buf_put(r->out, mysql_at(r, i + 2)->text, mysql_at(r, i + 2)->len);
    buf_puts(r->out, "', ");
    arg(r, &a);
    buf_puts(r->out, ")");
    return true;
}

/* TRIM([BOTH | LEADING | TRAILING] [a] FROM b) */
static bool trim(struct mysql_rewrite *r, size_t i, size_t close)
{
    size_t at = i + 2, from = mysql_find(r, at, close, "FROM");
    const char *name = "trim(";

    if (from == close)
        return false;
    if (mysql_word(r, at, "LEADING"))
        name = "ltrim(";
    else if (mysql_word(r, at, "TRAILING"))
        name = "rtrim(";
    if (*name != 't' || mysql_word(r, at, "BOTH"))
        at++;
    struct mysql_arg what = {at, from}, text = {from + 1, close};
    mysql_put(r, name);
    arg(r, &text);
    if (at < from) {
        buf_puts(r->out, ", ");
        arg(r, &what);
    }
    buf_puts(r->out, ")");
    return true;
}

/* SUBSTRING(a FROM b FOR c) */
static bool substring(struct mysql_rewrite *r, size_t i, size_t close)
{
    size_t from = mysql_find(r, i + 2, close, "FROM"), length;

    if (from == close)
        return false;
    length = mysql_find(r, from, close, "FOR");
    struct mysql_arg text = {i + 2, from}, start = {from + 1, length}, n = {length + 1, close};
    mysql_put(r, "substr(");
    arg(r, &text);
    buf_puts(r->out, ", ");
    arg(r, &start);
    if (length < close) {
        buf_puts(r->out, ", ");
        arg(r, &n);
    }
    buf_puts(r->out, ")");
    return true;
}

/* POSITION(a IN b) */
static bool position(struct mysql_rewrite *r, size_t i, size_t close)
{
    size_t in = mysql_find(r, i + 2, close, "IN");
    struct mysql_arg what = {i + 2, in}, text = {in + 1, close};

    if (in == close)
        return false;
    mysql_put(r, "instr(");
    arg(r, &text);
    buf_puts(r->out, ", ");
    arg(r, &what);
    buf_puts(r->out, ")");
    return true;
}

/*
 * GROUP_CONCAT([DISTINCT] a, b ORDER BY c SEPARATOR 'd'). SQLite's takes no separator together with
 * DISTINCT, and one argument: several are concatenated.
 */
static bool group_concat(struct mysql_rewrite *r, size_t i, size_t close)
{
    size_t at = i + 2, order, end;
    bool distinct = mysql_word(r, at, "DISTINCT");
    struct mysql_arg args[ARGS_MAX], all;
    size_t n = 0, len;
    const char *separator = ",";

    len = 1;
    if (distinct)
        at++;
    end = mysql_find(r, at, close, "SEPARATOR");
    if (end < close)
        separator = mysql_string(r, end + 1, &len);
    order = mysql_find(r, at, end, "ORDER");
    for (size_t from = at; from < order && n < ARGS_MAX;) {
        size_t to = mysql_find_op(r, from, order, ",");
        args[n++] = (struct mysql_arg){from, to};
        from = to + 1;
    }
    if (end == close && order == close && n > 1)
        return false; /* SQLite's own form: group_concat(a, ';') */
    mysql_put(r, "");
    if (distinct && end < close)
        buf_puts(r->out, "replace(");
    buf_puts(r->out, distinct ? "group_concat(DISTINCT " : "group_concat(");
    put_all(r, args, n, n > 1);
    if (!distinct) {
        buf_puts(r->out, ", ");
        mysql_put_string(r, separator, len);
    }
    if (order < end) {
        all = (struct mysql_arg){order, end};
        buf_putc(r->out, ' ');
        arg(r, &all);
    }
    buf_puts(r->out, ")");
    if (distinct && end < close) {
        buf_puts(r->out, ", ',', ");
        mysql_put_string(r, separator, len);
        buf_puts(r->out, ")");
    }
    return true;
}

/* DATABASE(), LAST_INSERT_ID() … */
static bool session_function(struct mysql_rewrite *r, size_t i, size_t close)
{
    const char *name = mysql_name(r, i);

    if (close != i + 2 || !r->context->session_function)
        return false;
    if (r->schema) {
        mysql_fail(r, i, ERR_UNSUPPORTED, "a session's own value cannot be part of the schema: %s",
                   name);
        return true;
    }
    mysql_put(r, "");
    if (r->out->len > 0 && buf_ok(r->out) && !strchr(" (,", r->out->data[r->out->len - 1]))
        buf_putc(r->out, ' ');
    if (!r->context->session_function(r->context->arg, name, r->out))
        return false;
    r->is_session = true;
    return true;
}

static bool special_call(struct mysql_rewrite *r, size_t i, size_t close)
{
    if (mysql_word(r, i, "CAST") || mysql_word(r, i, "CONVERT"))
        return cast(r, i, close);
    if (mysql_word(r, i, "DATE_ADD") || mysql_word(r, i, "DATE_SUB") ||
        mysql_word(r, i, "ADDDATE") || mysql_word(r, i, "SUBDATE"))
        return date_add(r, i, close);
    if (mysql_word(r, i, "EXTRACT"))
        return extract(r, i, close);
    if (mysql_word(r, i, "TRIM"))
        return trim(r, i, close);
    if (mysql_word(r, i, "POSITION"))
        return position(r, i, close);
    if (mysql_word(r, i, "SUBSTRING") || mysql_word(r, i, "SUBSTR"))
        return substring(r, i, close);
    if (mysql_word(r, i, "GROUP_CONCAT"))
        return group_concat(r, i, close);
    return mysql_one_of(mysql_at(r, i), special, COUNT(special)) && session_function(r, i, close);
}

size_t mysql_call(struct mysql_rewrite *r, size_t i, size_t to)
{
    struct mysql_arg args[ARGS_MAX];
    size_t close, n;

    if (!mysql_op(r, i + 1, "(") || (close = r->match[i + 1]) == MYSQL_NONE || close >= to)
        return i;
    if (mysql_at(r, i)->space && r->out->len > 0 && mysql_is_call(r, i))
        mysql_put(r, "");
    if (special_call(r, i, close)) {
        r->touched++;
        return close + 1;
    }
    n = mysql_args(r, i + 1, args, ARGS_MAX);
    if (n > ARGS_MAX)
        return i;
    for (size_t k = 0; k < COUNT(calls); k++)
        if (mysql_word(r, i, calls[k].name) && (int)n >= calls[k].least &&
            (calls[k].most < 0 || (int)n <= calls[k].most)) {
            if (strstr(calls[k].name, "_LOCK") && !mysql_word(r, 0, "SELECT"))
                mysql_fail(r, i, ERR_UNSUPPORTED, "%s() is supported in queries only",
                           calls[k].name);
            put_template(r, calls[k].text, args, n);
            r->touched++;
            return close + 1;
        }
    return i;
}
