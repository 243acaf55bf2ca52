/*
 * Commands of the program beside running a node: `ha verify`, `ha backup`, `ha restore`,
 * `ha force-recover`, `ha diff`. Each speaks to people: results on standard output, one line on
 * standard error where it cannot go on.
 *
 * Exit status: 0 done, 1 it failed (verify: the nodes differ), 2 it was asked in a wrong way.
 */
#ifndef HA_CLI_CLI_H
#define HA_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/bar.h"
#include "sql/image.h"

enum cli_status { CLI_DONE = 0, CLI_FAILED = 1, CLI_WRONG = 2 };

/* Is this word a command? A database file of that name is written "./verify". */
bool cli_is_command(const char *word);
/* argv[0] is the program, argv[1] the command. */
int cli_main(int argc, char **argv);

/* ---- arguments, in args.c ---- */

enum cli_option {
    CLI_REMOTE = 1,
    CLI_DATABASE = 2,
    CLI_TOKEN = 4,
    CLI_NEW = 8,
    CLI_REPLACE = 16,
    CLI_DRY_RUN = 32,
    CLI_S3 = 64,
    CLI_EXPECT = 128,
    CLI_REPLACE_LOG = 256,
    CLI_CACERT = 512
};

struct cli_args {
    const char *command;
    const char *remote, *database;       /* NULL = not given */
    const char *token, *cacert;          /* the same; $HA_TOKEN, $HA_CACERT */
    const char *s3_endpoint, *s3_region; /* NULL = not given */
    const char *expect;                  /* NULL = not given */
    bool is_new, replace, dry_run, replace_log;
    char **words; /* what is no option; borrowed from argv */
    int n_words;
};

/* What a command takes. */
struct cli_usage {
    const char *help;
    unsigned options; /* of enum cli_option */
    int least, most;  /* words that are no options */
};

/* True: go on; else *status is the exit status, and what there is to say was said. */
bool cli_parse(struct cli_args *a, int argc, char **argv, const struct cli_usage *usage,
               int *status);

/* "ha <command>: …" on standard error; returns `status`. */
int cli_say(const char *command, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Says what failed; the exit status: CLI_WRONG where the user can mend it by asking otherwise. */
int cli_failed(const char *command, const struct err *e);

/* ---- database files, in file.c ---- */

/* Does a process have it open as a database? Where that cannot be told, no. */
bool cli_file_in_use(const char *path);
/* Is it sound? All of it is read, with a bar of its own. *img is what it says of itself. */
enum err_code cli_file_check(const char *path, struct image *img, struct err *e);

/* ---- commands ---- */

int cli_verify(int argc, char **argv);
int cli_backup(int argc, char **argv);
int cli_restore(int argc, char **argv);
int cli_force_recover(int argc, char **argv);
int cli_diff(int argc, char **argv);

/* ---- http.c ---- */

struct cli_get {
    const char *token, *cacert; /* NULL = none */
    bool (*write)(void *arg, const void *bytes, size_t len);
    void *arg;
    struct bar *bar; /* NULL = none; ended by the caller */
    bool is_short;   /* the answer: the bar shows only how long it takes */
};

/* Gets `path` of the node at `base`. An answer other than 200 is an error with the node's own
 * words; ERR_CONFIG: the URL is none, or the node knows no such database. */
enum err_code cli_http_get(const char *base, const char *path, const struct cli_get *get,
                           struct err *e);
/* "/databases/<id, escaped><rest>" */
void cli_http_database(struct buf *path, const char *id, const char *rest);
/* As part of a path or of a query string: all but letters, digits and -._~ as %XX. */
void cli_http_escape(struct buf *b, const char *text);
/* The same of a whole path, which keeps its slashes. */
void cli_http_escape_path(struct buf *b, const char *text);

#endif
