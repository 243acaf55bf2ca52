/* `ha verify`: the node compares (core/verify.c), this asks it for each database and tells. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json_tree.h"
#include "cli/cli.h"

#define VERIFY_ANSWER_MAX ((size_t)64 * 1024 * 1024)

static const char help[] =
    "Usage: ha verify [-r URL] [--database ID] [--expect-nodes WHO]\n"
    "\n"
    "Compares what all nodes of the cluster hold, table by table, at one and the same\n"
    "place of the log, while writes go on. Asks the node at URL\n"
    "(default http://localhost:8080) about all of its databases, or one.\n"
    "\n"
    "  -r, --remote URL     a node of the cluster\n"
    "      --database ID    this database only\n"
    "      --token TOKEN    the node's --token (default: $HA_TOKEN)\n"
    "      --cacert FILE    CAs for https, instead of the system's (default: $HA_CACERT)\n"
    "      --expect-nodes WHO\n"
    "                       who should answer: a number of nodes, or their names with\n"
    "                       commas between them (default: all that GET /replications\n"
    "                       lists; one that has left for good is taken off that list by\n"
    "                       DELETE /databases/ID/replications/NAME)\n"
    "\n"
    "Exit status: 0 all nodes that should answer hold the same, 1 they do not, some are\n"
    "silent or could not be asked, 2 wrong usage.\n";

static bool collect(void *arg, const void *bytes, size_t len)
{
    buf_put(arg, bytes, len);
    return buf_ok(arg);
}

static enum err_code ask(const struct cli_args *a, const char *path, struct bar *bar,
                         yajl_val *tree, struct err *e)
{
    struct buf body;
    buf_init(&body, VERIFY_ANSWER_MAX);
    const struct cli_get get = {.token = a->token,
                                .cacert = a->cacert,
                                .write = collect,
                                .arg = &body,
                                .bar = bar,
                                .is_short = true};
    enum err_code code =
        cli_http_get(a->remote ? a->remote : "http://localhost:8080", path, &get, e);
    *tree = code == ERR_OK ? yajl_tree_parse(buf_cstr(&body), NULL, 0) : NULL;
    if (code == ERR_OK && !*tree)
        code = err_set(e, ERR_PROTOCOL, "the node's answer cannot be understood");
    buf_free(&body);
    return code;
}

static const char *text(yajl_val v, const char *name)
{
    return json_tree_text(v, name);
}

static long long whole(yajl_val v, const char *name)
{
    return json_tree_integer(v, name, 0);
}

static void tell_silent(yajl_val s)
{
    if (text(s, "last_seen")[0])
        (void)printf("  node %s is silent: it was last heard of at %s, at %lld of the log\n",
                     text(s, "name"), text(s, "last_seen"), whole(s, "seq"));
    else
        (void)printf("  node %s is silent: it was never heard of\n", text(s, "name"));
}

/* True if all is well. */
static bool tell(const char *id, yajl_val report)
{
    yajl_val nodes = json_tree_member(report, "nodes", yajl_t_array);
    yajl_val tables = json_tree_member(report, "tables", yajl_t_array);
    yajl_val differences = json_tree_member(report, "differences", yajl_t_array);
    yajl_val problems = json_tree_member(report, "problems", yajl_t_array);
    yajl_val silent = json_tree_member(report, "silent", yajl_t_array);
    bool equal = json_tree_is_true(report, "equal"),
         complete = json_tree_is_true(report, "complete");
    long long rows = 0;
    for (size_t i = 0; i < json_tree_length(tables); i++)
        if (text(tables->u.array.values[i], "name")[0] != '(') /* the schema's own */
            rows += whole(tables->u.array.values[i], "rows");
    (void)printf("%s: %s at %lld: ", id,
                 json_tree_length(nodes) == 0 ? "NOT COMPARED"
                 : !equal                     ? "NOT EQUAL"
                 : !complete                  ? "NOT COMPLETE"
                                              : "equal",
                 whole(report, "seq"));
    if (complete)
        (void)printf("%zu nodes, ", json_tree_length(nodes));
    else
        (void)printf("%zu of %lld nodes, ", json_tree_length(nodes), whole(report, "expected"));
    (void)printf("%zu tables, %lld rows\n",
                 json_tree_length(tables) > 0 ? json_tree_length(tables) - 1 : 0, rows);
    for (size_t i = 0; !complete && i < json_tree_length(silent); i++)
        tell_silent(silent->u.array.values[i]);
    for (size_t i = 0; i < json_tree_length(differences); i++) {
        yajl_val d = differences->u.array.values[i];
        (void)printf(
            "  node %s differs in \"%s\": %lld rows, %.12s; node %s has %lld rows, %.12s\n",
            text(d, "node"), text(d, "table"), whole(d, "rows"), text(d, "hash"), text(d, "unlike"),
            whole(d, "its_rows"), text(d, "its_hash"));
    }
    for (size_t i = 0; i < json_tree_length(problems); i++)
        if (YAJL_IS_STRING(problems->u.array.values[i]))
            (void)printf("  %s\n", problems->u.array.values[i]->u.string);
    return equal && complete;
}

static enum err_code one(const struct cli_args *a, const char *id, bool *well, struct err *e)
{
    struct buf path = BUF_INIT;
    yajl_val report = NULL;
    struct bar bar;
    char what[64];
    (void)snprintf(what, sizeof what, "comparing %.20s", id);
    bar_begin(&bar, what);
    cli_http_database(&path, id, "/verify");
    if (a->expect) {
        buf_puts(&path, "?expect=");
        cli_http_escape(&path, a->expect);
    }
    enum err_code code = ask(a, buf_cstr(&path), &bar, &report, e);
    bar_end(&bar);
    if (code == ERR_OK)
        *well = tell(id, report) && *well;
    yajl_tree_free(report);
    buf_free(&path);
    return code;
}

static enum err_code all(const struct cli_args *a, bool *well, struct err *e)
{
    yajl_val list = NULL;
    enum err_code code = ask(a, "/databases", NULL, &list, e);
    yajl_val ids = json_tree_member(list, "databases", yajl_t_array);
    /* Nothing compared is not "equal". */
    if (code == ERR_OK && json_tree_length(ids) == 0)
        code = err_set(e, ERR_PROTOCOL, "the answer names no database: nothing was compared");
    for (size_t i = 0; code == ERR_OK && i < json_tree_length(ids); i++)
        if (YAJL_IS_STRING(ids->u.array.values[i]))
            code = one(a, ids->u.array.values[i]->u.string, well, e);
    yajl_tree_free(list);
    return code;
}

int cli_verify(int argc, char **argv)
{
    static const struct cli_usage usage = {
        help, CLI_REMOTE | CLI_DATABASE | CLI_TOKEN | CLI_CACERT | CLI_EXPECT, .least = 0,
        .most = 0};
    struct cli_args a;
    struct err e = ERR_INIT;
    int status;
    bool well = true;
    if (!cli_parse(&a, argc, argv, &usage, &status))
        return status;
    enum err_code code = a.database ? one(&a, a.database, &well, &e) : all(&a, &well, &e);
    if (code != ERR_OK)
        return cli_failed("verify", &e);
    return well ? CLI_DONE : CLI_FAILED;
}
