/*
 * Events: the header, and what stands behind it in those that matter.
 *
 *   binlog_read_event
 */
#include "proto/binlog.h"

#include <string.h>
#include <zlib.h>

#include "proto/binlog_impl.h"
#include "proto/mysqlwire.h"

#define CHECKSUM_BYTES  4u
#define FLAG_ARTIFICIAL 0x0020u
#define FLAG_IGNORABLE  0x0080u
#define VERSION_BYTES   50u /* of the server, in FORMAT_DESCRIPTION */
#define TABLE_MAP_SHORT 6u  /* the fixed part's length where a table's id has 4 bytes */

#define GTID_STANDALONE 0x01u

/* MySQL's numbers, and MariaDB's from 160 on. */
enum {
    QUERY_EVENT = 2,
    STOP_EVENT = 3,
    ROTATE_EVENT = 4,
    FORMAT_EVENT = 15,
    XID_EVENT = 16,
    TABLE_MAP_EVENT = 19,
    OLD_ROWS_FIRST = 20, /* before 5.1.16 */
    OLD_ROWS_LAST = 22,
    ROWS_V1_FIRST = 23,
    ROWS_V1_LAST = 25,
    INCIDENT_EVENT = 26,
    HEARTBEAT_EVENT = 27,
    ROWS_V2_FIRST = 30,
    ROWS_V2_LAST = 32,
    MYSQL_GTID_EVENT = 33,
    ANONYMOUS_GTID_EVENT = 34,
    XA_PREPARE_EVENT = 38,
    PARTIAL_UPDATE_EVENT = 39,
    PAYLOAD_EVENT = 40, /* a whole transaction, compressed */
    HEARTBEAT2_EVENT = 41,
    TAGGED_GTID_EVENT = 42,
    MARIADB_FIRST = 160,
    ANNOTATE_EVENT = 160,
    CHECKPOINT_EVENT = 161,
    GTID_EVENT = 162,
    GTID_LIST_EVENT = 163,
    ENCRYPTION_EVENT = 164,
    QUERY_COMPRESSED_EVENT = 165,
    COMPRESSED_V1_FIRST = 166,
    COMPRESSED_V1_LAST = 168,
    COMPRESSED_V2_FIRST = 169,
    COMPRESSED_V2_LAST = 171
};

/* MariaDB's compressed texts and rows: 1000 0nnn, the length in nnn bytes (big-endian), zlib's
 * bytes. */
bool binlog_uncompress(struct reader *r, struct buf *out)
{
    uint8_t head = reader_u8(r);
    size_t n = head & 0x07u, size = 0;

    if (r->bad || (head & 0xF8u) != 0x80u || n == 0 || n > 4)
        return false;
    for (size_t i = 0; i < n; i++)
        size = size << 8 | reader_u8(r);
    if (r->bad || size == 0 || size > BINLOG_EVENT_MAX)
        return false;
    char *room = buf_reserve(out, size);
    uLongf len = size;
    if (!room ||
        uncompress((Bytef *)room, &len, (const Bytef *)r->at, (uLong)(r->end - r->at)) != Z_OK ||
        len != size)
        return false;
    out->len += size;
    r->at = r->end;
    return true;
}

static size_t rest(const struct reader *r)
{
    return r->bad ? 0 : (size_t)(r->end - r->at);
}

/* The last bytes of FORMAT_DESCRIPTION say whether events end with a checksum; it has one itself,
 * either way. Every server since 5.6 and MariaDB 5.3 says so. */
static bool read_format(struct reader *r, struct binlog_format *f)
{
    uint16_t version = mysqlwire_u16(r);

    (void)reader_bytes(r, VERSION_BYTES + 4);
    uint8_t header = reader_u8(r);
    size_t n = rest(r);
    if (r->bad || version != 4 || header != BINLOG_HEADER_BYTES || n < TABLE_MAP_EVENT)
        return false;
    /* Lengths of the fixed parts, by type; the first one is type 1's. */
    f->table_id_bytes = (uint8_t)r->at[TABLE_MAP_EVENT - 1] == TABLE_MAP_SHORT ? 4 : 6;
    uint8_t algorithm = (uint8_t)r->end[-1];
    f->checksum = algorithm == 1;
    return algorithm <= 1;
}

static bool read_query(struct reader *r, struct binlog_event *e, bool compressed,
                       struct buf *scratch)
{
    (void)reader_bytes(r, 8); /* the thread, the seconds it took */
    uint8_t schema_len = reader_u8(r);
    (void)reader_bytes(r, 2); /* the error it ended with */
    uint16_t status_len = mysqlwire_u16(r);

    (void)reader_bytes(r, status_len);
    e->u.query.schema = reader_bytes(r, (size_t)schema_len + 1);
    if (r->bad || e->u.query.schema[schema_len] != '\0')
        return false;
    e->u.query.schema_len = schema_len;
    if (compressed) {
        buf_reset(scratch);
        if (!binlog_uncompress(r, scratch))
            return false;
        e->u.query.sql = scratch->data;
        e->u.query.sql_len = scratch->len;
        return true;
    }
    e->u.query.sql_len = rest(r);
    e->u.query.sql = reader_bytes(r, rest(r));
    return e->u.query.sql != NULL;
}

static uint64_t read_id(struct reader *r, const struct binlog_format *f)
{
    uint64_t low = mysqlwire_u32(r);

    return f->table_id_bytes == 4 ? low : low | (uint64_t)mysqlwire_u16(r) << 32;
}

static bool read_rows_head(struct reader *r, struct binlog_event *e, const struct binlog_format *f,
                           unsigned which, bool version2)
{
    e->kind = BINLOG_ROWS;
    e->u.rows.change = (enum binlog_change)which;
    e->u.rows.version2 = version2;
    e->u.rows.table_id = read_id(r, f);
    (void)reader_bytes(r, 2); /* flags */
    if (version2) {
        uint16_t extra = mysqlwire_u16(r); /* its own two bytes included */
        if (extra < 2)
            return false;
        (void)reader_bytes(r, extra - 2u);
    }
    e->u.rows.body = *r;
    return !r->bad;
}

static bool read_rotate(struct reader *r, struct binlog_event *e)
{
    e->kind = BINLOG_ROTATE;
    e->u.rotate.pos = mysqlwire_u64(r);
    e->u.rotate.file_len = rest(r);
    e->u.rotate.file = reader_bytes(r, rest(r));
    return e->u.rotate.file != NULL && e->u.rotate.file_len > 0;
}

static bool read_gtid(struct reader *r, struct binlog_event *e)
{
    e->kind = BINLOG_GTID;
    e->u.gtid.sequence = mysqlwire_u64(r);
    e->u.gtid.domain = mysqlwire_u32(r);
    e->u.gtid.standalone = (reader_u8(r) & GTID_STANDALONE) != 0;
    return !r->bad;
}

static bool between(unsigned type, unsigned first, unsigned last)
{
    return type >= first && type <= last;
}

static bool read_body(struct reader *r, struct binlog_event *e, struct binlog_format *f,
                      uint16_t flags, struct buf *scratch)
{
    unsigned type = e->type;

    if (between(type, ROWS_V1_FIRST, ROWS_V1_LAST))
        return read_rows_head(r, e, f, type - ROWS_V1_FIRST, false);
    if (between(type, ROWS_V2_FIRST, ROWS_V2_LAST))
        return read_rows_head(r, e, f, type - ROWS_V2_FIRST, true);
    if (between(type, COMPRESSED_V1_FIRST, COMPRESSED_V2_LAST)) {
        e->u.rows.compressed = true;
        return read_rows_head(r, e, f, (type - COMPRESSED_V1_FIRST) % 3,
                              type >= COMPRESSED_V2_FIRST);
    }
    switch (type) {
    case QUERY_EVENT:
    case QUERY_COMPRESSED_EVENT:
        e->kind = BINLOG_QUERY;
        return read_query(r, e, type == QUERY_COMPRESSED_EVENT, scratch);
    case ROTATE_EVENT:
        return read_rotate(r, e);
    case FORMAT_EVENT:
        e->kind = BINLOG_FORMAT;
        return read_format(r, f);
    case XID_EVENT:
        e->kind = BINLOG_COMMIT;
        return true;
    case TABLE_MAP_EVENT:
        e->kind = BINLOG_TABLE;
        e->u.table.table_id = read_id(r, f);
        (void)reader_bytes(r, 2); /* flags */
        e->u.table.body = *r;
        return !r->bad;
    case GTID_EVENT:
        return read_gtid(r, e);
    case MYSQL_GTID_EVENT:
    case ANONYMOUS_GTID_EVENT:
    case TAGGED_GTID_EVENT:
        e->kind = BINLOG_MYSQL_GTID;
        return true;
    case HEARTBEAT_EVENT:
    case HEARTBEAT2_EVENT:
        e->kind = BINLOG_HEARTBEAT;
        return true;
    case INCIDENT_EVENT:
        e->kind = BINLOG_INCIDENT;
        return true;
    case XA_PREPARE_EVENT:
    case PARTIAL_UPDATE_EVENT:
    case PAYLOAD_EVENT:
    case ENCRYPTION_EVENT:
        e->kind = BINLOG_UNSUPPORTED;
        return true;
    default:
        break;
    }
    /* What is not known may be passed over if it says so, or is one of the kinds that only
     * statement-based logs need, or those that a server makes for itself. */
    e->kind = between(type, OLD_ROWS_FIRST, OLD_ROWS_LAST) ||
                      (type > TAGGED_GTID_EVENT && type < MARIADB_FIRST) ||
                      type > COMPRESSED_V2_LAST
                  ? BINLOG_UNSUPPORTED
                  : BINLOG_IGNORED;
    if (flags & FLAG_IGNORABLE)
        e->kind = BINLOG_IGNORED;
    return true;
}

bool binlog_read_event(const void *bytes, size_t len, struct binlog_format *format,
                       struct buf *scratch, struct binlog_event *out)
{
    struct reader r = reader_of(bytes, len);
    uint16_t flags;

    memset(out, 0, sizeof *out);
    out->time_s = mysqlwire_u32(&r);
    out->type = reader_u8(&r);
    out->server_id = mysqlwire_u32(&r);
    uint32_t length = mysqlwire_u32(&r);
    out->next_pos = mysqlwire_u32(&r);
    flags = mysqlwire_u16(&r);
    out->artificial = (flags & FLAG_ARTIFICIAL) != 0;
    if (r.bad || length != len)
        return false;
    if (format->checksum || out->type == FORMAT_EVENT) {
        if (rest(&r) < CHECKSUM_BYTES)
            return false;
        struct reader sum = reader_of(r.end - CHECKSUM_BYTES, CHECKSUM_BYTES);
        uint32_t said = mysqlwire_u32(&sum);
        r.end -= CHECKSUM_BYTES;
        /* A log without checksums has a place for one in FORMAT_DESCRIPTION all the same. */
        if (format->checksum &&
            said != crc32(0, (const Bytef *)bytes, (uInt)(len - CHECKSUM_BYTES)))
            return false;
    }
    return read_body(&r, out, format, flags, scratch) && !r.bad;
}
