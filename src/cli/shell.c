#include "cli/shell.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_tree.h"
#include "cli/cli.h"
#include "cli/edit.h"
#include "cli/text.h"

#define EXIT_INTERRUPTED 130
#define PROMPT_SIZE      128

/* ---- a terminal ---- */

/* "ha.db> ", "ha.db*> " in a transaction, "ha.db!> " in one that has failed. */
static void make_prompt(const struct shell *sh, const struct shell_source *src,
                        const char *fallback, char out[PROMPT_SIZE])
{
    static const char *const marks[] = {"", "*", "!"};
    const char *id = remote_database(sh->remote);
    if (shell_source_is_inside(src))
        (void)snprintf(out, PROMPT_SIZE, "   ...> ");
    else
        (void)snprintf(out, PROMPT_SIZE, "%.100s%s> ", id ? id : fallback,
                       marks[remote_transaction(sh->remote)]);
}

/* Who is there, and what is its default database? */
static enum err_code greet(struct shell *sh, char fallback[PROMPT_SIZE], struct err *e)
{
    yajl_val version = NULL, list = NULL;
    enum err_code code = remote_get(sh->remote, "/version", &version, e);
    if (code == ERR_OK)
        code = remote_get(sh->remote, "/databases", &list, e);
    yajl_val ids = json_tree_member(list, "databases", yajl_t_array);
    (void)snprintf(fallback, PROMPT_SIZE, "%s",
                   json_tree_length(ids) > 0 && YAJL_IS_STRING(ids->u.array.values[0])
                       ? ids->u.array.values[0]->u.string
                       : "ha");
    if (code == ERR_OK)
        shell_say(sh,
                  "Connected to node %s (ha %s) at %s. .help tells more, EXIT or Ctrl-D ends.\n",
                  json_tree_text(version, "node"), json_tree_text(version, "version"),
                  remote_url(sh->remote));
    yajl_tree_free(version);
    yajl_tree_free(list);
    return code;
}

static void read_lines(struct shell *sh, struct edit *editor, const char *fallback)
{
    struct shell_source src;
    struct buf line = BUF_INIT;
    char prompt[PROMPT_SIZE];
    shell_source_init(&src, NULL);
    while (!sh->ended) {
        make_prompt(sh, &src, fallback, prompt);
        enum edit_got got = edit_read(editor, prompt, &line);
        if (got == EDIT_END) {
            (void)fputc('\n', stdout);
            break;
        }
        sh->stopped = false;
        if (got == EDIT_LINE) {
            shell_feed(sh, &src, line.data ? line.data : "", line.len, true);
            edit_interrupted = edit_ending;
            continue;
        }
        (void)fputs("^C\n", stdout);
        shell_source_free(&src);
        shell_source_init(&src, NULL);
    }
    shell_source_free(&src);
    buf_free(&line);
}

/* Owned; NULL = none. */
static char *history_file(void)
{
    const char *named = getenv("HA_HISTORY"), *home = getenv("HOME");
    char *path = NULL;
    if (named)
        return *named ? strdup(named) : NULL;
    return home && asprintf(&path, "%s/.ha_history", home) > 0 ? path : NULL;
}

static enum err_code run_terminal(struct shell *sh, struct err *e)
{
    struct edit *editor = NULL;
    char fallback[PROMPT_SIZE];
    enum err_code code = greet(sh, fallback, e);
    if (code != ERR_OK)
        return code;
    char *history = history_file();
    code = edit_open(&editor, history, shell_complete, sh, e);
    if (code == ERR_OK && edit_is_plain(editor))
        shell_say(sh, "Without libedit (Debian's libedit2) lines cannot be edited.\n");
    if (code == ERR_OK)
        read_lines(sh, editor, fallback);
    edit_close(editor);
    free(history);
    return code;
}

/* ---- everything else ---- */

static enum err_code run_all(struct shell *sh, const struct shell_options *o, struct err *e)
{
    enum err_code code = ERR_OK;
    if (o->database && *o->database)
        code = remote_use(sh->remote, o->database, e);
    if (code != ERR_OK)
        return code;
    if (sh->interactive)
        return run_terminal(sh, e);
    if (o->command && *o->command)
        shell_text(sh, "-c", o->command);
    for (size_t i = 0; i < o->n_files && code == ERR_OK && !shell_is_over(sh); i++)
        code = shell_file(sh, o->files[i], e);
    if (o->n_files == 0 && !(o->command && *o->command))
        code = shell_file(sh, "-", e);
    return code;
}

int cli_shell(const struct shell_options *o)
{
    struct shell sh = {0};
    struct err e = ERR_INIT;
    sh.interactive = o->n_files == 0 && !(o->command && *o->command) && isatty(STDIN_FILENO);
    sh.timer = sh.interactive;
    sh.bail = !sh.interactive;
    text_locale();
    edit_signals(sh.interactive);
    show_init(&sh.show, stdout, o->mode);
    enum err_code code =
        remote_open(&sh.remote, o->urls, o->token, o->cacert, &edit_interrupted, &e);
    if (code == ERR_OK)
        code = run_all(&sh, o, &e);
    if (code != ERR_OK) {
        sh.failed = true;
        (void)fprintf(stderr, "ha: %s\n", e.msg);
    }
    bool interrupted = edit_interrupted && !sh.interactive;
    remote_free(sh.remote);
    show_free(&sh.show);
    free(sh.names);
    if (fflush(stdout) != 0)
        sh.failed = true;
    if (interrupted)
        return EXIT_INTERRUPTED;
    return code == ERR_CONFIG ? CLI_WRONG : sh.failed && !sh.interactive ? CLI_FAILED : CLI_DONE;
}
