#include "wire/pg/session.h"

bool pg_run_copy(struct pg_conn *c, const struct pg_text *t, char tag[PG_TAG_BYTES])
{
    (void)tag;
    pg_error(c, "0A000", "%s is not available yet", t->tag);
    return false;
}
