/*
 * The client of a cluster, `ha -r URL`: SQL and a few commands of its own, from a terminal, a pipe,
 * files or the command line; results to standard output, errors to standard error.
 *
 *     shell.c           from the options to the exit status; a terminal's lines
 *     shell_source.c    texts into lines, statements and commands
 *     shell_run.c       a statement: run, shown, and what went wrong with it
 *     shell_words.c     SHOW DATABASES and the other commands in SQL's clothes
 *     shell_dot.c       .tables and the other commands with a dot
 *     shell_dump.c      .dump
 *
 * One thread; handles signals for the whole process.
 */
#ifndef HA_CLI_SHELL_H
#define HA_CLI_SHELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/remote.h"
#include "cli/show.h"
#include "sql/lex.h"

/* All borrowed; what is not given is NULL or "". */
struct shell_options {
    const char *urls; /* with commas between them */
    const char *token;
    const char *cacert; /* file of CAs for https, instead of the system's */
    const char *database;
    const char *command; /* statements to run instead of standard input */
    enum show_mode mode;
    char *const *files; /* to run instead of standard input, "-" is that; n_files of them */
    size_t n_files;
};

/* Exit status: 0 all went well, 1 a statement failed or no node could be reached, 2 it was asked in
 * a wrong way, 130 Ctrl-C ended it. */
int cli_shell(const struct shell_options *o);

/* ---- inside ---- */

#define SHELL_DEPTH 16 /* of .read in what .read reads */

struct shell {
    struct remote *remote;
    struct show show;
    bool interactive; /* a person is at a terminal */
    bool timer;       /* says how long statements take */
    bool bail;        /* the first error ends it */
    bool failed;      /* something went wrong */
    bool stopped;     /* an error or Ctrl-C: the rest of what is being read is left out */
    bool ended;       /* EXIT */
    unsigned depth;
    char *names; /* of tables for completion, a line each; owned; NULL = to be asked for */
};

static inline bool shell_is_over(const struct shell *sh)
{
    return sh->ended || sh->stopped;
}

/* What is being read. */
struct shell_source {
    const char *name;    /* for messages; NULL = a terminal */
    unsigned long line;  /* number of the line that is being read */
    struct buf text;     /* of the statement that is not complete yet */
    unsigned long begun; /* number of the line on which `text` begins */
    struct lex_split split;
};

/* ---- shell_source.c ---- */

void shell_source_init(struct shell_source *src, const char *name);
void shell_source_free(struct shell_source *src);
/* Is a statement under way? */
bool shell_source_is_inside(const struct shell_source *src);
/* A line without its newline, or a part of one: `whole` where it ends with it. Runs what is
 * complete. */
void shell_feed(struct shell *sh, struct shell_source *src, const char *text, size_t len,
                bool whole);
/* What is left is a statement, too. */
void shell_feed_end(struct shell *sh, struct shell_source *src);
void shell_text(struct shell *sh, const char *name, const char *text);
/* "-" is standard input. ERR_CONFIG where it cannot be read. */
enum err_code shell_file(struct shell *sh, const char *path, struct err *e);

/* ---- shell_run.c ---- */

/* One statement with its semicolon, and what is in front of it. */
void shell_statement(struct shell *sh, const struct shell_source *src, const char *sql, size_t len);
/* Says it; `sql` NULL = it is about no statement. */
void shell_error(struct shell *sh, const struct shell_source *src, const char *sql, size_t len,
                 const struct err *e);
/* In interactive use only: what is no result. */
void shell_say(const struct shell *sh, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The texts of the first column, one after the other; `each` is not called again after false. */
enum err_code shell_each(struct shell *sh, const char *sql, const char *param,
                         bool (*each)(void *arg, const char *text, size_t len), void *arg,
                         struct err *e);

/* ---- shell_words.c ---- */

/* False: it is SQL. */
bool shell_word(struct shell *sh, const struct shell_source *src, const char *sql, size_t len);
void shell_databases(struct shell *sh, const struct shell_source *src);

/* ---- shell_dump.c ---- */

/* The database as SQL, to where results go; tables whose names are LIKE that, NULL = all. */
enum err_code shell_dump(struct shell *sh, const char *like, struct err *e);

/* ---- shell_dot.c ---- */

void shell_dot(struct shell *sh, const struct shell_source *src, const char *line);
/* For edit.h; `arg` is the shell. */
void shell_complete(void *arg, const char *word, size_t len, bool first,
                    void (*add)(void *list, const char *text), void *list);

#endif
