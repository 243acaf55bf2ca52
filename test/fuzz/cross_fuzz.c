/*
 * Statements over several databases: whatever the text, the hint and the clauses are found within
 * its bounds, and what SQLite takes as a whole it takes as each database's part, too, where the
 * pieces could be put together.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sql/cross_text.h"
#include "sql/scratch.h"

#define COLUMNS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[COLUMNS] = {"a", "b", "count(*)"};
    static struct scratch *scratch;
    struct err e = ERR_INIT;
    struct cross_text *t = NULL;
    struct cross_plan plan;
    const char *pattern;
    char *sql = malloc(size > 0 ? size : 1); /* exactly so many bytes */
    size_t n;

    if (!scratch && scratch_open(&scratch, COLUMNS, NULL, &e) != ERR_OK)
        abort();
    if (!sql)
        abort();
    memcpy(sql, data, size);
    if (cross_hint(sql, size, &pattern, &n) && (pattern < sql || pattern + n > sql + size))
        abort();
    if (cross_text_new(&t, sql, size, &e) == ERR_OK) {
        size_t whole = strlen(cross_text_whole(t));
        for (size_t i = 0; i <= whole; i += 7) {
            int place = cross_text_place(t, sql, size, (int)i);
            if (place < 0 || (size_t)place > size)
                abort();
        }
        for (int alias = 0; alias < 2; alias++)
            if (cross_text_plan(t, names, COLUMNS, alias, scratch_can, scratch, &plan, &e) ==
                ERR_OK) {
                if (plan.hidden > CROSS_HIDDEN)
                    abort();
                cross_plan_free(&plan);
            }
        cross_text_free(t);
    }
    free(sql);
    return 0;
}
