#include "wire/pg/session.h"

bool pg_run_cursor(struct pg_conn *c, const struct pg_text *t, bool describe, const char *formats,
                   unsigned n_formats, char tag[PG_TAG_BYTES])
{
    (void)describe;
    (void)formats;
    (void)n_formats;
    (void)tag;
    pg_error(c, "0A000", "%s is not available yet", t->tag);
    return false;
}
