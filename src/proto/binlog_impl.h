/* What the files of binlog share. */
#ifndef HA_PROTO_BINLOG_IMPL_H
#define HA_PROTO_BINLOG_IMPL_H

#include "proto/binlog.h"

/* MariaDB's compressed form, appended to `out`; the reader ends behind it. False: it is none. */
bool binlog_uncompress(struct reader *r, struct buf *out);

/* A moment as MySQL packs it in JSON, and DATETIME2 and TIME2 in rows: appended as text. */
struct binlog_moment {
    bool negative;
    unsigned year, month, day, hour, minute, second, micros;
};
void binlog_put_date(struct buf *b, const struct binlog_moment *m);
/* With `digits` behind the second's point. */
void binlog_put_time(struct buf *b, const struct binlog_moment *m, unsigned digits);
void binlog_put_datetime(struct buf *b, const struct binlog_moment *m, unsigned digits);
/* The whole seconds of a DATETIME2, and of a TIME2. */
void binlog_unpack_datetime(uint64_t packed, struct binlog_moment *m);
void binlog_unpack_time(uint64_t packed, struct binlog_moment *m);

#endif
