/* Commands in SQL's clothes, which no SQLite knows. */
#include <stdlib.h>
#include <string.h>

#include "base/json_tree.h"
#include "cli/shell.h"
#include "cli/text.h"

enum word { WORD_NONE, WORD_SHOW, WORD_CREATE, WORD_DROP, WORD_SET, WORD_UNSET, WORD_EXIT };

static const struct {
    const char *first, *second; /* second NULL: it stands alone */
    enum word word;
} words[] = {
    {"SHOW", "DATABASES", WORD_SHOW},  {"CREATE", "DATABASE", WORD_CREATE},
    {"DROP", "DATABASE", WORD_DROP},   {"SET", "DATABASE", WORD_SET},
    {"UNSET", "DATABASE", WORD_UNSET}, {"EXIT", NULL, WORD_EXIT},
    {"QUIT", NULL, WORD_EXIT},
};

/* *at stands behind the command's words. */
static enum word find_word(const char **at, const char *end)
{
    struct lex_token first, second;
    if (!lex_next(at, end, &first))
        return WORD_NONE;
    const char *behind = *at;
    bool more = lex_next(&behind, end, &second);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!lex_is(&first, words[i].first))
            continue;
        if (!words[i].second)
            return !more || second.type == LEX_TOKEN_SEMI ? words[i].word : WORD_NONE;
        if (more && lex_is(&second, words[i].second)) {
            *at = behind;
            return words[i].word;
        }
    }
    return WORD_NONE;
}

/* What is left without blanks and the semicolon; where it is in quotes, what is inside. Owned;
 * NULL = no memory. */
static char *argument(const char *at, const char *end)
{
    struct lex_token t;
    while (at < end && strchr(" \t\r\n", *at))
        at++;
    while (end > at && strchr(" \t\r\n;", end[-1]))
        end--;
    char *out = malloc((size_t)(end - at) + 1);
    if (!out)
        return NULL;
    const char *behind = at;
    if (lex_next(&behind, end, &t) && behind == end && t.text == at &&
        (t.type == LEX_TOKEN_QUOTED || t.type == LEX_TOKEN_STRING)) {
        (void)lex_unquote(&t, out);
    } else {
        memcpy(out, at, (size_t)(end - at));
        out[end - at] = '\0';
    }
    return out;
}

/* SET DATABASE TO id, or = id */
static void skip_to(const char **at, const char *end)
{
    struct lex_token t;
    const char *behind = *at;
    if (lex_next(&behind, end, &t) &&
        (lex_is(&t, "TO") || (t.type == LEX_TOKEN_PUNCT && *t.text == '=')))
        *at = behind;
}

static void show_ids(struct shell *sh, yajl_val ids)
{
    struct sink *sink = &sh->show.sink;
    struct sink_column column = {"database", "TEXT"};
    struct sink_done d = {.has_rows = true};
    show_reset(&sh->show);
    sink->ops->columns(sink, &column, 1);
    for (size_t i = 0; i < json_tree_length(ids); i++) {
        if (!YAJL_IS_STRING(ids->u.array.values[i]))
            continue;
        const char *id = ids->u.array.values[i]->u.string;
        struct value v = value_text(id, strlen(id));
        (void)sink->ops->row(sink, &v, 1);
    }
    sink->ops->done(sink, &d);
    (void)fflush(sh->show.out);
}

void shell_databases(struct shell *sh, const struct shell_source *src)
{
    struct err e = ERR_INIT;
    yajl_val tree = NULL;
    if (remote_get(sh->remote, "/databases", &tree, &e) == ERR_OK)
        show_ids(sh, json_tree_member(tree, "databases", yajl_t_array));
    else
        shell_error(sh, src, NULL, 0, &e);
    yajl_tree_free(tree);
}

static enum err_code run(struct shell *sh, enum word word, const char *id, struct err *e)
{
    if (word != WORD_UNSET && !*id)
        return err_set(e, ERR_SYNTAX,
                       word == WORD_CREATE ? "the new database's file name is missing"
                                           : "the database's id is missing");
    switch (word) {
    case WORD_CREATE:
        return remote_create_database(sh->remote, id, e);
    case WORD_DROP:
        return remote_drop_database(sh->remote, id, e);
    default:
        return remote_use(sh->remote, word == WORD_SET ? id : NULL, e);
    }
}

bool shell_word(struct shell *sh, const struct shell_source *src, const char *sql, size_t len)
{
    struct err e = ERR_INIT;
    const char *at = sql, *end = sql + len;
    enum word word = find_word(&at, end);
    if (word == WORD_NONE)
        return false;
    if (word == WORD_EXIT) {
        sh->ended = true;
        return true;
    }
    if (word == WORD_SHOW) {
        shell_databases(sh, src);
        return true;
    }
    if (word == WORD_SET)
        skip_to(&at, end);
    char *id = argument(at, end);
    enum err_code code = id ? run(sh, word, id, &e) : err_set(&e, ERR_NO_MEMORY, "out of memory");
    free(id);
    free(sh->names);
    sh->names = NULL;
    if (code == ERR_OK)
        shell_say(sh, "ok\n");
    else
        shell_error(sh, src, NULL, 0, &e);
    return true;
}
