/*
 * Results for people and for programs: a sink that prints.
 *
 *   table   columns one below the other; numbers to the right; NULL as NULL, a BLOB as x'00ff'
 *   line    a line for each value, an empty one between rows
 *   csv     RFC 4180, as the node's own text/csv: NULL is empty, an empty text "", a BLOB base64
 *   tabs    tabs between values; tab, newline and backslash in them are \t, \n and \\
 *   json    an array of objects, the values as in openapi.yaml; jsonl: an object on each line
 *
 * Rows go out as they come. A table is printed in parts of some hundred rows, each as wide as the
 * widest value so far; only one part is in memory. Control characters in table and line come out as
 * escapes. One thread.
 */
#ifndef HA_CLI_SHOW_H
#define HA_CLI_SHOW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "core/sink.h"

/* In the order of --mode's values. */
enum show_mode { SHOW_TABLE, SHOW_LINE, SHOW_CSV, SHOW_TABS, SHOW_JSON, SHOW_JSONL };

#define SHOW_MODES "table|line|csv|tabs|json|jsonl"

struct show_column {
    char *name; /* as it is printed; owned */
    char *key;  /* of an object: quoted, with its colon; owned */
    size_t width;
    bool right;    /* all of it are numbers so far */
    bool has_some; /* there was a value that is not NULL */
};

struct show_cell {
    size_t end; /* in `cells` */
    size_t width;
};

struct show {
    struct sink sink;
    FILE *out; /* borrowed */
    enum show_mode mode;
    bool headers;          /* table, csv and tabs begin with the names */
    const char *null_text; /* borrowed; NULL = as the mode has it */
    /* of the statement */
    struct show_column *columns;
    unsigned n_columns;
    uint64_t rows;
    bool begun; /* something was printed */
    struct sink_done done;
    /* what is to be printed */
    struct buf text;
    struct buf cells; /* of a table's part */
    struct show_cell *cell;
    size_t n_cells, cap_cells;
};

void show_init(struct show *s, FILE *out, enum show_mode mode);
void show_free(struct show *s);
/* Before each statement; ends what was printed of one that has failed. */
void show_reset(struct show *s);
/* Could everything be written? */
bool show_ok(const struct show *s);

const char *show_mode_name(enum show_mode mode);
bool show_mode_parse(const char *name, enum show_mode *mode);

/* ---- show_value.c ---- */

/* As a cell of a table or a line: NULL is `null_text`. */
void show_put_plain(struct buf *b, const struct value *v, const char *null_text);
void show_put_tabs(struct buf *b, const struct value *v, const char *null_text);

#endif
