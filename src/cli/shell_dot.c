/* Commands with a dot, which are the client's own. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/shell.h"
#include "cli/text.h"

#define DOT_WORDS 8

/* What a node keeps for itself is no table of the user's. */
#define USERS_OWN "name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'ha\\_%' ESCAPE '\\'"

typedef void dot_fn(struct shell *sh, const struct shell_source *src, char **words, int n);

struct dot {
    const char *name, *usage, *help;
    int least, most; /* words behind it */
    dot_fn *run;
};

static void wrong(struct shell *sh, const struct shell_source *src, const char *what)
{
    struct err e = ERR_INIT;
    err_set(&e, ERR_CONFIG, "%s", what);
    shell_error(sh, src, NULL, 0, &e);
}

/* ---- one by one ---- */

static bool print_line(void *arg, const char *text, size_t len)
{
    const struct shell *sh = arg;
    struct buf b = BUF_INIT;
    text_put_plain(&b, text, len, true);
    (void)fprintf(sh->show.out, "%s\n", buf_cstr(&b));
    buf_free(&b);
    return show_ok(&sh->show);
}

static void print_each(struct shell *sh, const struct shell_source *src, const char *sql,
                       const char *param)
{
    struct err e = ERR_INIT;
    if (shell_each(sh, sql, param, print_line, sh, &e) != ERR_OK)
        shell_error(sh, src, NULL, 0, &e);
    (void)fflush(sh->show.out);
}

static void dot_tables(struct shell *sh, const struct shell_source *src, char **words, int n)
{
    print_each(sh, src,
               "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND " USERS_OWN
               " AND name LIKE ? ORDER BY name",
               n > 0 ? words[0] : "%");
}

static void dot_schema(struct shell *sh, const struct shell_source *src, char **words, int n)
{
    print_each(sh, src,
               "SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL AND " USERS_OWN
               " AND tbl_name NOT LIKE 'ha\\_%' ESCAPE '\\'"
               " AND (tbl_name LIKE ?1 OR name LIKE ?1)"
               " ORDER BY tbl_name, CASE type WHEN 'table' THEN 0 WHEN 'view' THEN 0 ELSE 1 END,"
               " name",
               n > 0 ? words[0] : "%");
}

static void dot_databases(struct shell *sh, const struct shell_source *src, char **words, int n)
{
    (void)words;
    (void)n;
    shell_databases(sh, src);
}

static void dot_dump(struct shell *sh, const struct shell_source *src, char **words, int n)
{
    struct err e = ERR_INIT;
    if (shell_dump(sh, n > 0 ? words[0] : NULL, &e) != ERR_OK)
        shell_error(sh, src, NULL, 0, &e);
    (void)fflush(sh->show.out);
    if (!show_ok(&sh->show)) /* nobody reads on, or the disk is full */
        sh->failed = sh->ended = true;
}

static void dot_read(struct shell *sh, const struct shell_source *src, char **words, int n)
{
    struct err e = ERR_INIT;
    (void)n;
    if (sh->depth == SHELL_DEPTH) {
        wrong(sh, src, ".read: files that read files, too many of them");
        return;
    }
    bool bail = sh->bail;
    sh->depth++;
    sh->bail = bail || sh->interactive; /* nobody wants the rest of a file at a terminal */
    if (shell_file(sh, words[0], &e) != ERR_OK)
        shell_error(sh, src, NULL, 0, &e);
    sh->bail = bail;
    sh->depth--;
}

static void dot_mode(struct shell *sh, const struct shell_source *src, char **words, int n)
{
    if (n == 0)
        (void)fprintf(sh->show.out, "%s\n", show_mode_name(sh->show.mode));
    else if (!show_mode_parse(words[0], &sh->show.mode))
        wrong(sh, src, ".mode: the modes are " SHOW_MODES);
}

static void set_switch(struct shell *sh, const struct shell_source *src, bool *what, char **words,
                       int n)
{
    if (n == 0)
        (void)fprintf(sh->show.out, "%s\n", *what ? "on" : "off");
    else if (strcasecmp(words[0], "on") == 0 || strcasecmp(words[0], "off") == 0)
        *what = strcasecmp(words[0], "on") == 0;
    else
        wrong(sh, src, "on or off?");
}

static void dot_headers(struct shell *sh, const struct shell_source *src, char **words, int n)
{
    set_switch(sh, src, &sh->show.headers, words, n);
}

static void dot_timer(struct shell *sh, const struct shell_source *src, char **words, int n)
{
    set_switch(sh, src, &sh->timer, words, n);
}

static void dot_bail(struct shell *sh, const struct shell_source *src, char **words, int n)
{
    set_switch(sh, src, &sh->bail, words, n);
}

static void dot_null(struct shell *sh, const struct shell_source *src, char **words, int n)
{
    static char text[64];
    (void)src;
    (void)snprintf(text, sizeof text, "%s", n > 0 ? words[0] : "");
    sh->show.null_text = n > 0 ? text : NULL;
}

static void dot_exit(struct shell *sh, const struct shell_source *src, char **words, int n)
{
    (void)src;
    (void)words;
    (void)n;
    sh->ended = true;
}

static dot_fn dot_help;

static const struct dot dots[] = {
    {"bail", "on|off", "end at the first error (on, but at a terminal)", 0, 1, dot_bail},
    {"databases", "", "ids of all databases, as SHOW DATABASES", 0, 0, dot_databases},
    {"dump", "NAME", "all that is in the database, as SQL (tables LIKE)", 0, 1, dot_dump},
    {"exit", "", "end, as EXIT and Ctrl-D", 0, 0, dot_exit},
    {"headers", "on|off", "names of the columns above the rows", 0, 1, dot_headers},
    {"help", "", "this", 0, 0, dot_help},
    {"mode", "MODE", "how rows are shown: " SHOW_MODES, 0, 1, dot_mode},
    {"nullvalue", "TEXT", "what stands for NULL; without TEXT as the mode has it", 0, 1, dot_null},
    {"quit", "", "end", 0, 0, dot_exit},
    {"read", "FILE", "run what is in the file", 1, 1, dot_read},
    {"schema", "NAME", "how tables and what belongs to them were created (LIKE)", 0, 1, dot_schema},
    {"tables", "NAME", "names of tables and views (LIKE)", 0, 1, dot_tables},
    {"timer", "on|off", "how long a statement has taken", 0, 1, dot_timer},
};

#define N_DOTS (sizeof dots / sizeof *dots)

static void dot_help(struct shell *sh, const struct shell_source *src, char **words, int n)
{
    (void)src;
    (void)words;
    (void)n;
    (void)fputs("SQL ends with a semicolon and may take several lines. Commands beside it:\n"
                "  SHOW DATABASES;           ids of all databases\n"
                "  CREATE DATABASE dsn;      a new database on every node: a file name, perhaps\n"
                "                            with parameters behind a question mark\n"
                "  DROP DATABASE id;         drops it on every node\n"
                "  SET DATABASE TO id;       the statements from now on are for that database\n"
                "  UNSET DATABASE;           for the default one\n"
                "  EXIT;                     ends, as Ctrl-D does\n"
                "BEGIN … COMMIT works as usual. Ctrl-C cancels what is running or being written.\n"
                "Tab completes names. Commands with a dot stand on a line of their own:\n",
                sh->show.out);
    for (size_t i = 0; i < N_DOTS; i++)
        (void)fprintf(sh->show.out, "  .%-9s %-7s %s\n", dots[i].name, dots[i].usage, dots[i].help);
    (void)fflush(sh->show.out);
}

/* ---- the line ---- */

/* Words between blanks; '…' and "…" keep blanks. In place; -1 where a quote does not end or there
 * are too many. */
static int split(char *line, char **words)
{
    int n = 0;
    for (char *at = line; *(at += strspn(at, " \t"));) {
        char quote = *at;
        if (n == DOT_WORDS)
            return -1;
        if (quote == '\'' || quote == '"') {
            words[n++] = ++at;
            at = strchr(at, quote);
            if (!at)
                return -1;
        } else {
            words[n++] = at;
            at += strcspn(at, " \t");
        }
        if (*at)
            *at++ = '\0';
    }
    return n;
}

void shell_dot(struct shell *sh, const struct shell_source *src, const char *line)
{
    char *copy = strdup(line), *words[DOT_WORDS], text[128];
    int n = copy ? split(copy, words) : -1;
    const struct dot *found = NULL;
    size_t len = n > 0 ? strlen(words[0] + 1) : 0;
    for (size_t i = 0; i < N_DOTS && len > 0; i++) /* the beginning of a name will do */
        if (strncasecmp(dots[i].name, words[0] + 1, len) == 0 && !found)
            found = &dots[i];
    if (n < 0) {
        wrong(sh, src, "the command cannot be understood: a quote is not closed?");
    } else if (!found) {
        (void)snprintf(text, sizeof text, "there is no command %.60s, see .help",
                       n > 0 ? words[0] : "");
        wrong(sh, src, text);
    } else if (n - 1 < found->least || n - 1 > found->most) {
        (void)snprintf(text, sizeof text, "it is .%s %s", found->name, found->usage);
        wrong(sh, src, text);
    } else {
        found->run(sh, src, words + 1, n - 1);
    }
    free(copy);
}

/* ---- completion ---- */

#define NAMES_MAX ((size_t)1 << 20) /* bytes of names that are kept */

static bool keep_name(void *arg, const char *text, size_t len)
{
    struct buf *names = arg;
    bool plain = len > 0;
    for (size_t i = 0; i < len && plain; i++)
        plain = text[i] == '_' || (unsigned char)text[i] >= 0x80 ||
                (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
                (i > 0 && text[i] >= '0' && text[i] <= '9');
    if (plain) {
        buf_put(names, text, len);
        buf_putc(names, '\n');
    }
    return buf_ok(names);
}

/* Tables, views and their columns; asked for once, until the schema may have changed. */
static const char *names_of(struct shell *sh)
{
    struct buf names;
    struct err ignored = ERR_INIT;
    if (sh->names)
        return sh->names;
    buf_init(&names, NAMES_MAX);
    (void)shell_each(sh,
                     "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND " USERS_OWN
                     " UNION SELECT c.name FROM sqlite_schema AS s, pragma_table_info(s.name) AS c"
                     " WHERE s.type IN ('table', 'view')"
                     " AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
                     " AND s.name NOT LIKE 'ha\\_%' ESCAPE '\\' ORDER BY 1",
                     NULL, keep_name, &names, &ignored);
    sh->names = strdup(buf_cstr(&names));
    buf_free(&names);
    return sh->names ? sh->names : "";
}

static const char *const keywords[] = {
    "ALTER",    "ANALYZE",   "BEGIN",   "COMMIT",  "CREATE", "DATABASE", "DATABASES",
    "DELETE",   "DISTINCT",  "DROP",    "EXPLAIN", "EXIT",   "FROM",     "GROUP",
    "HAVING",   "INDEX",     "HISTORY", "UNDO",    "UNDOE",  "UNDOT",    "INSERT",
    "INTO",     "JOIN",      "LIMIT",   "ORDER",   "PRAGMA", "RELEASE",  "RETURNING",
    "ROLLBACK", "SAVEPOINT", "SELECT",  "SET",     "SHOW",   "TABLE",    "TRIGGER",
    "UNSET",    "UPDATE",    "VALUES",  "VIEW",    "WHERE",  "WITH",
};

void shell_complete(void *arg, const char *word, size_t len, bool first,
                    void (*add)(void *list, const char *text), void *list)
{
    struct shell *sh = arg;
    char name[256];
    if (first && len > 0 && *word == '.') {
        for (size_t i = 0; i < N_DOTS; i++)
            if (strncasecmp(dots[i].name, word + 1, len - 1) == 0) {
                (void)snprintf(name, sizeof name, ".%s", dots[i].name);
                add(list, name);
            }
        return;
    }
    for (const char *at = names_of(sh), *nl; *at; at = nl + 1) {
        nl = strchrnul(at, '\n');
        if ((size_t)(nl - at) >= len && (size_t)(nl - at) < sizeof name &&
            strncasecmp(at, word, len) == 0) {
            /* What was typed stays as it is. */
            (void)snprintf(name, sizeof name, "%.*s%.*s", (int)len, word,
                           (int)((size_t)(nl - at) - len), at + len);
            add(list, name);
        }
        if (!*nl)
            break;
    }
    for (size_t i = 0; len > 0 && i < sizeof keywords / sizeof *keywords; i++)
        if (strncasecmp(keywords[i], word, len) == 0) {
            bool lower = *word >= 'a' && *word <= 'z';
            (void)snprintf(name, sizeof name, "%.*s%s", (int)len, word, keywords[i] + len);
            for (char *p = name + len; lower && *p; p++)
                *p = (char)(*p | 0x20);
            add(list, name);
        }
}
