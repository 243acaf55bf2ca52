/*
 * What goes from node to node when one runs another one's statements: they, and what came of them.
 *
 *     front    u8 flags · [user, database, u32 pid]
 *     queries  u16 n · n × { u32 length, statements · u8 numbered
 *                            u32 parameters × { u8 named, [name], value } }
 *     result   u32 query that failed or ran last
 *              error's name · u32 SQLite's code · u32 offset + 1 · message
 *              u64 last insert rowid · recording (recorder.h), to the end
 *
 * Numbers are big-endian, strings have their NUL, values are as in base/value_pack.h. What is read
 * borrows from the bytes and the arena; it may be anything, so it is read with a bounded reader,
 * which is `bad` afterwards where it was not this. One thread at a time.
 */
#ifndef HA_CORE_PARCEL_H
#define HA_CORE_PARCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/reader.h"
#include "core/session.h"
#include "sql/pg/session.h"

#define PARCEL_QUERIES_MAX ((size_t)UINT16_MAX - 1)

void parcel_put_text(struct buf *b, const char *s);

/* NULL: nobody in particular. */
void parcel_put_front(struct buf *b, const struct pg_session *front);
/* Fills what was sent, but no functions. False: there is none. */
bool parcel_get_front(struct reader *in, struct pg_session *front);

void parcel_put_queries(struct buf *b, const struct query *queries, size_t n);
/* NULL: in->bad, or no memory. */
struct query *parcel_get_queries(struct reader *in, struct arena *a, size_t *n);

struct parcel_result {
    size_t failed;
    struct err err;
    int64_t last_rowid;
    const char *recording; /* where err.code is ERR_OK */
    size_t len;
};

/* `recording` may be NULL where there is an error. */
void parcel_put_result(struct buf *b, size_t failed, const struct err *e, int64_t last_rowid,
                       const struct buf *recording);
/* False: it is none. */
bool parcel_get_result(struct reader *in, struct parcel_result *out);

#endif
