/*
 * The statements that are the cluster's own and no database's, for all protocols:
 *
 *   HISTORY [n | 'duration']     the transactions of the log
 *   UNDO n | 'duration'          takes them back from there on
 *   UNDOE n                      what has happened to the rows that transaction n changed
 *   UNDOT n                      the transactions that changed these rows
 *   UNDOE|UNDOT n WHERE t(1, 2)  the same of rows that are named by their rowids
 *
 * n is `150`, `150.2` (proto/address.h), or 0 for the last one; it may be a parameter, and stand in
 * quotes. A duration is Go's, '10m'. Pure; any thread.
 */
#ifndef HA_CORE_COMMAND_H
#define HA_CORE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/session.h"
#include "proto/address.h"
#include "repl/undo.h"

enum command_kind { COMMAND_HISTORY, COMMAND_UNDO, COMMAND_UNDOE, COMMAND_UNDOT };

struct command {
    enum command_kind kind;
    bool by_time;
    int64_t ns;        /* by_time; more than 0 */
    struct address at; /* not by_time; seq 0 = the last one */
    struct undo_where where;
};

/* What stands for n or the duration, alone. ERR_PARAM. */
enum err_code command_argument(struct command *c, enum command_kind kind, const char *text,
                               struct err *e);
/* A whole statement, as lex_statement() has found it; `q` has its parameters. *n_params = how many
 * of them it has (0 or 1). With `q` NULL parameters have no value yet, and stand for 0. ERR_SYNTAX,
 * ERR_PARAM. */
enum err_code command_read(struct command *c, const char *sql, size_t len, const struct query *q,
                           unsigned *n_params, struct err *e);

#endif
