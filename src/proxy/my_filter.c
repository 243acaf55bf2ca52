/* Patterns of table names, as everywhere else in this program: PCRE, by sql/pattern. */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/my_table.h"
#include "sql/cross_text.h"

#define NAME_BYTES 1024 /* of a schema and a table, each 64 characters at most */

struct my_filter {
    struct cross_pattern *include, *exclude; /* exclude NULL = nothing */
};

static enum err_code compile(struct cross_pattern **out, const char *flag, const char *pattern,
                             struct err *e)
{
    struct err why = ERR_INIT;

    if (cross_pattern_new(out, pattern, strlen(pattern), &why) == ERR_OK)
        return ERR_OK;
    return why.code == ERR_NO_MEMORY
               ? err_set(e, ERR_NO_MEMORY, "out of memory")
               : err_set(e, ERR_CONFIG, "%s: '%s' is no regular expression", flag, pattern);
}

enum err_code my_filter_new(struct my_filter **out, const char *include, const char *exclude,
                            struct err *e)
{
    struct my_filter *f = calloc(1, sizeof *f);

    *out = NULL;
    if (!f)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    enum err_code code = compile(&f->include, "--mysql-include", include, e);
    if (code == ERR_OK && *exclude)
        code = compile(&f->exclude, "--mysql-exclude", exclude, e);
    if (code != ERR_OK) {
        my_filter_free(f);
        return code;
    }
    *out = f;
    return ERR_OK;
}

void my_filter_free(struct my_filter *f)
{
    if (!f)
        return;
    cross_pattern_free(f->include);
    cross_pattern_free(f->exclude);
    free(f);
}

bool my_filter_takes(const struct my_filter *f, const char *schema, const char *table)
{
    char name[NAME_BYTES];
    int n = snprintf(name, sizeof name, "%s.%s", schema, table);

    return n > 0 && (size_t)n < sizeof name && cross_pattern_matches(f->include, name) &&
           !(f->exclude && cross_pattern_matches(f->exclude, name));
}
