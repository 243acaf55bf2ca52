/*
 * Regular expressions by PCRE2: REGEXP (that is ~), SIMILAR TO, regexp_replace and friends. What
 * PostgreSQL's have beyond Perl's (\m \M \y) is put into its terms; a match is limited, so that no
 * pattern can hold a node up.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "sql/pg/function.h"

#define REGEXP_MATCH_LIMIT 1000000 /* steps of one match */
#define REGEXP_HEAP_KIB    16384

static void free_code(void *p)
{
    pcre2_code_free(p);
}

/* \m \M \y of PostgreSQL as \b, everything else as it is; an (?i) in front stays. */
static void to_pcre(const char *s, size_t n, struct buf *b)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\\' && i + 1 < n) {
            char c = s[++i];
            if (c == 'm')
                buf_puts(b, "\\b(?=\\w)");
            else if (c == 'M')
                buf_puts(b, "\\b(?<=\\w)");
            else if (c == 'y')
                buf_puts(b, "\\b");
            else {
                buf_putc(b, '\\');
                buf_putc(b, c);
            }
        } else {
            buf_putc(b, s[i]);
        }
    }
}

static pcre2_code *compile(sqlite3_context *ctx, const char *s, size_t n, uint32_t options)
{
    struct buf b = BUF_INIT;
    int error = 0;
    PCRE2_SIZE offset;
    pcre2_code *code;
    PCRE2_UCHAR why[120];

    to_pcre(s, n, &b);
    if (!buf_ok(&b)) {
        sqlite3_result_error_nomem(ctx);
        return NULL;
    }
    code = pcre2_compile((PCRE2_SPTR)(b.data ? b.data : ""), b.len,
                         options | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF, &error, &offset, NULL);
    if (!code) {
        pcre2_get_error_message(error, why, sizeof why);
        pg_result_error(ctx, "invalid regular expression: %s", (const char *)why);
    }
    buf_free(&b);
    return code;
}

/* i, g, n, s, x: PostgreSQL's letters. */
static uint32_t read_flags(const char *flags, bool *all)
{
    uint32_t options = PCRE2_DOTALL;

    *all = false;
    for (; flags && *flags; flags++) {
        if (*flags == 'i')
            options |= PCRE2_CASELESS;
        else if (*flags == 'g')
            *all = true;
        else if (*flags == 'x')
            options |= PCRE2_EXTENDED;
        else if (*flags == 'n' || *flags == 'm')
            options = (options & ~(uint32_t)PCRE2_DOTALL) | PCRE2_MULTILINE;
    }
    return options;
}

/* The pattern of argument i, kept as long as the statement's pattern stays. The caller frees it
 * only where *owned says so. */
static pcre2_code *pattern(sqlite3_context *ctx, int i, sqlite3_value *v, uint32_t options,
                           bool *owned)
{
    pcre2_code *code = sqlite3_get_auxdata(ctx, i);
    size_t n;
    const char *s;

    *owned = false;
    if (code)
        return code;
    s = pg_arg(v, &n);
    if (!s)
        return NULL;
    code = compile(ctx, s, n, options);
    if (!code)
        return NULL;
    sqlite3_set_auxdata(ctx, i, code, free_code);
    code = sqlite3_get_auxdata(ctx, i);
    if (!code) { /* SQLite did not keep it, and has freed it */
        code = compile(ctx, s, n, options);
        *owned = true;
    }
    return code;
}

/* Matches at or after `from`; the number of groups, 0 = no match, -1 = an error was set. */
static int match(sqlite3_context *ctx, const pcre2_code *code, const char *s, size_t n, size_t from,
                 pcre2_match_data *data)
{
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    int rc;

    if (!limits) {
        sqlite3_result_error_nomem(ctx);
        return -1;
    }
    pcre2_set_match_limit(limits, REGEXP_MATCH_LIMIT);
    pcre2_set_heap_limit(limits, REGEXP_HEAP_KIB);
    rc = pcre2_match(code, (PCRE2_SPTR)s, n, from, 0, data, limits);
    pcre2_match_context_free(limits);
    if (rc == PCRE2_ERROR_NOMATCH)
        return 0;
    if (rc < 0) {
        sqlite3_result_error(ctx, "the regular expression takes too long", -1);
        return -1;
    }
    return rc == 0 ? 1 : rc; /* 0: it matched, and has more groups than are asked for */
}

/* regexp(pattern, text): what SQLite calls for text REGEXP pattern. */
static void regexp(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = pg_arg(v[1], &len);
    bool owned;
    pcre2_code *code;
    pcre2_match_data *data;
    int rc;

    (void)n;
    if (!s || sqlite3_value_type(v[0]) == SQLITE_NULL)
        return;
    code = pattern(ctx, 0, v[0], PCRE2_DOTALL, &owned);
    if (!code)
        return;
    data = pcre2_match_data_create(1, NULL);
    if (data) {
        rc = match(ctx, code, s, len, 0, data);
        if (rc >= 0)
            sqlite3_result_int(ctx, rc > 0);
    } else {
        sqlite3_result_error_nomem(ctx);
    }
    pcre2_match_data_free(data);
    if (owned)
        pcre2_code_free(code);
}

/* A group's bytes; false where it took no part in the match. `rc` is what the match answered. */
static bool group_of(const PCRE2_SIZE *ovector, int rc, int group, size_t *from, size_t *len)
{
    const PCRE2_SIZE *o = ovector + 2 * (size_t)group;
    if (group >= rc || o[0] == PCRE2_UNSET)
        return false;
    *from = o[0];
    *len = o[1] - o[0];
    return true;
}

static void put_group(struct buf *b, const char *s, const PCRE2_SIZE *ovector, int rc, int group)
{
    size_t from, len;
    if (group_of(ovector, rc, group, &from, &len))
        buf_put(b, s + from, len);
}

/* What replaces a match: \1 to \9 and \0 are groups, \& is all of it. */
static void put_replacement(struct buf *b, const char *with, size_t n, const char *s,
                            const PCRE2_SIZE *ovector, int rc)
{
    for (size_t i = 0; i < n; i++) {
        bool escaped = with[i] == '\\' && i + 1 < n;
        char c = with[i += escaped];
        if (escaped && c >= '0' && c <= '9')
            put_group(b, s, ovector, rc, c - '0');
        else if (escaped && c == '&')
            put_group(b, s, ovector, rc, 0);
        else
            buf_putc(b, c);
    }
}

static void replace(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, with_len, at = 0, flags_len;
    const char *s = pg_arg(v[0], &len), *with = pg_arg(v[2], &with_len);
    const char *flags = n > 3 ? pg_arg(v[3], &flags_len) : NULL;
    bool all, owned;
    pcre2_code *code;
    pcre2_match_data *data;
    struct buf b = BUF_INIT;
    int rc = 0;

    if (!s || !with || sqlite3_value_type(v[1]) == SQLITE_NULL)
        return;
    code = pattern(ctx, 1, v[1], read_flags(flags, &all), &owned);
    if (!code)
        return;
    data = pcre2_match_data_create_from_pattern(code, NULL);
    while (data && at <= len && (rc = match(ctx, code, s, len, at, data)) > 0) {
        const PCRE2_SIZE *o = pcre2_get_ovector_pointer(data);
        size_t end = o[1];
        buf_put(&b, s + at, o[0] - at);
        put_replacement(&b, with, with_len, s, o, rc);
        if (end == o[0] && end < len) /* an empty match moves on by one */
            buf_putc(&b, s[end]);
        at = end == o[0] ? end + 1 : end;
        if (!all)
            break;
    }
    if (!data)
        sqlite3_result_error_nomem(ctx);
    if (at < len)
        buf_put(&b, s + at, len - at);
    if (rc >= 0 && data)
        pg_result_buf(ctx, &b);
    else
        buf_free(&b);
    pcre2_match_data_free(data);
    if (owned)
        pcre2_code_free(code);
}

/* The first match: its groups as an array, or (substring) the first group or all of it. */
static void first_match(sqlite3_context *ctx, int n, sqlite3_value **v, bool array)
{
    size_t len, flags_len;
    const char *s = pg_arg(v[0], &len), *flags = n > 2 ? pg_arg(v[2], &flags_len) : NULL;
    bool all, owned;
    pcre2_code *code;
    pcre2_match_data *data;
    struct buf b = BUF_INIT;
    int rc;

    if (!s || sqlite3_value_type(v[1]) == SQLITE_NULL)
        return;
    code = pattern(ctx, 1, v[1], read_flags(flags, &all), &owned);
    data = code ? pcre2_match_data_create_from_pattern(code, NULL) : NULL;
    if (data && (rc = match(ctx, code, s, len, 0, data)) > 0) {
        const PCRE2_SIZE *o = pcre2_get_ovector_pointer(data);
        if (!array) {
            put_group(&b, s, o, rc, rc > 1 ? 1 : 0);
        } else {
            int groups = (int)pcre2_get_ovector_count(data);
            for (int i = groups > 1 ? 1 : 0; i < groups; i++) {
                size_t from, bytes;
                bool took_part = group_of(o, rc, i, &from, &bytes);
                pg_array_add(&b, took_part ? s + from : NULL, took_part ? bytes : 0);
            }
            buf_putc(&b, '}');
        }
        pg_result_buf(ctx, &b);
    }
    pcre2_match_data_free(data);
    if (owned)
        pcre2_code_free(code);
}

static void regexp_match(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    first_match(ctx, n, v, true);
}

static void substring(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    first_match(ctx, n, v, false);
}

/* SIMILAR TO's pattern as a regular expression: % and _ are its wildcards, the rest is shared. */
static void similar(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = pg_arg(v[0], &len);
    struct buf b = BUF_INIT;

    (void)n;
    if (!s)
        return;
    buf_puts(&b, "^(?:");
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '%')
            buf_puts(&b, ".*");
        else if (s[i] == '_')
            buf_putc(&b, '.');
        else if (strchr(".^$", s[i]) && s[i])
            buf_printf(&b, "\\%c", s[i]);
        else
            buf_putc(&b, s[i]);
    }
    buf_puts(&b, ")$");
    pg_result_buf(ctx, &b);
}

int pg_function_regexp_open(sqlite3 *db, int flags)
{
    enum { D = SQLITE_DETERMINISTIC };
    static const struct pg_function functions[] = {
        {"regexp", 2, regexp, NULL, D},
        {"regexp_replace", 3, replace, NULL, D},
        {"regexp_replace", 4, replace, NULL, D},
        {"regexp_match", 2, regexp_match, NULL, D},
        {"regexp_match", 3, regexp_match, NULL, D},
        {"pg_substring", 2, substring, NULL, D},
        {"regexp_substr", 2, substring, NULL, D},
        {"pg_similar", 1, similar, NULL, D},
    };

    return pg_functions_register(db, functions, sizeof functions / sizeof functions[0], NULL,
                                 flags);
}
