/* `ha diff`: what a file that was kept aside has and the database in use lacks, as SQL. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "sql/difference.h"

static const char help[] =
    "Usage: ha diff KEPT LIVE\n"
    "\n"
    "Says in SQL what the database file KEPT has that LIVE lacks. KEPT is a file that a\n"
    "node has kept aside (NAME.diverged-TIME), LIVE the database that took its place; its\n"
    "node may be running. Neither is changed.\n"
    "\n"
    "  CREATE, INSERT          what only KEPT has. Nothing is in its way.\n"
    "  -- UPDATE, -- DELETE    rows that both have with other values, and rows that only\n"
    "                          LIVE has: lost changes, or newer ones. Take the dashes away\n"
    "                          where KEPT is right.\n"
    "\n"
    "Read it, change it, and run it on any node, all in one transaction:\n"
    "\n"
    "  jq -Rs '{sql: (\"BEGIN;\" + . + \"COMMIT\")}' lost.sql | curl -d @- http://localhost:8080\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

static bool print(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    return fwrite(bytes, 1, len, stdout) == len;
}

int cli_diff(int argc, char **argv)
{
    static const struct cli_usage usage = {help, 0, .least = 2, .most = 2};
    struct cli_args a;
    struct err e = ERR_INIT;
    struct difference d;
    struct bar bar;
    int status;
    if (!cli_parse(&a, argc, argv, &usage, &status))
        return status;
    for (int i = 0; i < 2; i++)
        if (access(a.words[i], R_OK) != 0)
            return cli_say("diff", CLI_WRONG, "%s is not there, or cannot be read", a.words[i]);
    bar_begin(&bar, "comparing");
    bar.on = bar.on && !isatty(STDOUT_FILENO); /* the two would mix */
    enum err_code code = difference_find(a.words[0], a.words[1], print, NULL,
                                         &(struct watch){.moved = bar_moved, .arg = &bar}, &d, &e);
    bar_end(&bar);
    if (code == ERR_OK && fflush(stdout) != 0)
        code = err_set(&e, ERR_IO, "standard output cannot be written");
    if (code != ERR_OK)
        return cli_say("diff", CLI_FAILED, "%s", e.msg);
    return cli_say("diff", CLI_DONE,
                   "%" PRIu64 " rows only in %s, %" PRIu64 " with other values, %" PRIu64
                   " only in %s; %" PRIu64 " tables or other objects only in %s, %" PRIu64
                   " tables not compared",
                   d.only_kept, a.words[0], d.other, d.only_live, a.words[1], d.objects, a.words[0],
                   d.left_out);
}
