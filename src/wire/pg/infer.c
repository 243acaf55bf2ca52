#include "wire/pg/session.h"

void pg_infer_params(struct pg_conn *c, const char *sql, size_t len, uint32_t *types, unsigned n)
{
    (void)c;
    (void)sql;
    (void)len;
    (void)types;
    (void)n;
}

void pg_infer_columns(struct pg_conn *c, const char *sql, size_t len, struct pg_column *columns,
                      unsigned n)
{
    (void)c;
    (void)sql;
    (void)len;
    (void)columns;
    (void)n;
}
