/* HISTORY and UNDO with whatever stands behind: a statement is read within its bytes, and what it
 * names can be written down and read again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/command.h"
#include "sql/lex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *sql = (const char *)data;
    const struct lex x = lex_statement(sql, size);
    const struct param params[] = {
        {NULL, {.type = VALUE_INTEGER, .u.i = (int64_t)size}},
        {NULL, {.type = VALUE_TEXT, .u.s = {sql, size}}},
    };
    const struct query q = {.sql = sql, .len = size, .params = params, .n_params = 2};
    struct command c;
    struct err e = ERR_INIT;
    unsigned n_params;

    if (x.kind != LEX_HISTORY && x.kind != LEX_UNDO)
        return 0;
    if (x.len > size)
        abort();
    (void)command_read(&c, sql, x.len, NULL, &n_params, &e);
    err_clear(&e);
    if (command_read(&c, sql, x.len, &q, &n_params, &e) != ERR_OK) {
        if (e.code == ERR_OK || e.offset > (int)size)
            abort();
        return 0;
    }
    if (n_params > 1 || (c.by_time && c.ns <= 0))
        abort();
    if (!c.by_time && c.at.seq > 0) {
        char text[ADDRESS_SIZE];
        struct address again;
        address_print(&c.at, text);
        if (!address_parse(text, &again) || again.seq != c.at.seq ||
            (again.index != c.at.index && c.at.index != 1))
            abort();
    }
    return 0;
}
