#include <string.h>

#include "proto/pgtype.h"
#include "proxy/pg_impl.h"

void pg_value(uint32_t oid, const char *text, size_t len, struct value *out, struct buf *scratch,
              bool *in_scratch)
{
    size_t before = scratch->len;

    *in_scratch = false;
    /* SQLite takes it for NULL, which the column may not allow. */
    bool nan = len == 3 && memcmp(text, "NaN", 3) == 0;
    if (!nan && pgtype_get(oid, false, text, len, out, scratch, in_scratch) == PGTYPE_FINE)
        return;
    /* Dates before Christ, "infinity" … */
    buf_cut(scratch, before);
    *out = value_text(text, len);
}
