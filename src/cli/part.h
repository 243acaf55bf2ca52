/*
 * FILE.part: a file that is being made, until it is complete and gets its name. A process holds it
 * open and locked (flock), so that what a killed one left behind can be told from what another one
 * is writing just now: the former is replaced, the latter refused.
 */
#ifndef HA_CLI_PART_H
#define HA_CLI_PART_H

#include <limits.h>

#include "base/err.h"

struct part {
    char path[PATH_MAX]; /* "" = nothing is there to remove */
    int fd;              /* owned, open for reading and writing, locked; -1 = none */
};

#define PART_INIT                                                                                  \
    {                                                                                              \
        "", -1                                                                                     \
    }

/* Creates FILE.part, empty and for its owner only. What replacing a leftover takes away is said on
 * standard error, in the name of `command`. ERR_CONFIG: another process is at it, something else
 * than a file has the name, or the name is impossible. */
enum err_code part_open(struct part *p, const char *command, const char *file, struct err *e);
/* One more while `of` is held: `<FILE.part><suffix>`, in place of what may be left of such a one.
 */
enum err_code part_beside(struct part *p, const struct part *of, const char *suffix, struct err *e);
/* Creates one without a FILE in $TMPDIR or /tmp. */
enum err_code part_temp(struct part *p, struct err *e);
/* Gives what is at `path` the name `file`, too, durably, and never over a file that has come
 * meanwhile. */
enum err_code part_keep(const char *path, const char *file, struct err *e);
/* Removes FILE.part and what SQLite keeps beside it. A part that was never opened is fine. */
void part_close(struct part *p);

#endif
