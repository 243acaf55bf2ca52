/* Messages of logical replication: whatever comes is refused or read within its bounds. */
#include "proto/pgoutput.h"

#include <stdlib.h>

static volatile size_t sum; /* so that nothing that is read is optimised away */

static void touch(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum += (unsigned char)bytes[i];
}

static void touch_text(const char *s)
{
    for (; *s; s++)
        sum += (unsigned char)*s;
}

static void touch_row(const struct pgoutput_tuple *t)
{
    for (size_t i = 0; t->values && i < t->n; i++)
        if (t->values[i].kind == 't' || t->values[i].kind == 'b')
            touch(t->values[i].data, t->values[i].len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pgoutput *p = pgoutput_new();
    struct pgoutput_frame f;
    struct pgoutput_message m;
    const void *bytes = data;
    uint64_t lsn, again;
    char text[PGOUTPUT_LSN_SIZE];

    if (!p)
        return 0;
    if (pgoutput_frame(data, size, &f) && f.kind == PGOUTPUT_DATA) {
        bytes = f.data;
        size = f.len;
    }
    if (pgoutput_read(p, bytes, size, &m)) {
        if (m.type == PGOUTPUT_RELATION) {
            touch_text(m.schema);
            touch_text(m.table);
            for (size_t i = 0; i < m.n_columns; i++)
                touch_text(m.columns[i].name);
        }
        for (size_t i = 0; i < m.n_relations; i++)
            sum += m.relations[i];
        touch_row(&m.old_row);
        touch_row(&m.new_row);
        pgoutput_print_lsn(m.lsn, text);
        if (!pgoutput_parse_lsn(text, &again) || again != m.lsn)
            abort();
    }
    if (size < sizeof text) {
        for (size_t i = 0; i < size; i++)
            text[i] = ((const char *)bytes)[i];
        text[size] = '\0';
        (void)pgoutput_parse_lsn(text, &lsn);
    }
    pgoutput_free(p);
    return 0;
}
