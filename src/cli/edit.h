/*
 * Lines from a terminal, edited, with a history and completion: by libedit, which is loaded here
 * and only here; where the machine does not have it, as the terminal itself edits them.
 *
 * Process-wide, one thread: the signals that matter at a prompt are handled from edit_signals() on.
 */
#ifndef HA_CLI_EDIT_H
#define HA_CLI_EDIT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Ctrl-C, and in interactive use an order to end. Whoever has seen the first clears it. */
extern volatile sig_atomic_t edit_interrupted, edit_ending;

/* Ctrl-C sets `edit_interrupted` from now on; with `interactive` SIGTERM and SIGHUP set both, so
 * that the terminal is left as it was found and the history is kept. */
void edit_signals(bool interactive);

struct edit;

/* Told one by one what could stand in place of the word. */
typedef void edit_candidate(void *list, const char *text);
/* Names all of them. `first`: the word begins the line. */
typedef void edit_complete(void *arg, const char *word, size_t len, bool first, edit_candidate *add,
                           void *list);

/* `history`: a file, or NULL for none. */
enum err_code edit_open(struct edit **out, const char *history, edit_complete *complete, void *arg,
                        struct err *e);
void edit_close(struct edit *d);          /* keeps the history; NULL is fine */
bool edit_is_plain(const struct edit *d); /* there is no libedit */

enum edit_got { EDIT_LINE, EDIT_INTERRUPTED, EDIT_END };

/* The next line, without its newline, in place of what `line` holds. */
enum edit_got edit_read(struct edit *d, const char *prompt, struct buf *line);

#endif
