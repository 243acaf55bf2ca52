/* Making a database file empty without replacing it, while other connections have it open. */
#ifndef HA_SQL_WIPE_H
#define HA_SQL_WIPE_H

#include "base/err.h"
#include "sql/conn.h"

/* Drops everything in the file, ha_ tables included. No transaction may be open on `c`. */
enum err_code conn_wipe(struct conn *c, struct err *e);

#endif
