/*
 * Events of the binary log of MySQL and MariaDB, as a server sends them to a replica: bytes as
 * structs. Pure: no I/O, no state but what is handed in; any thread.
 *
 *   event   header(19): time(4) type(1) server id(4) length(4) next position(4) flags(2)
 *           what the type says, checksum(4) where the log has them
 *
 * Numbers are little-endian unless told otherwise. What is handed out is borrowed from the event's
 * bytes, or from the buffer or arena that the caller gives. Whatever the bytes are: a decoder
 * answers false for what it does not understand, and reads nothing beyond their end.
 *
 * Sources: "MySQL Internals: The Binary Log", libbinlogevents' and MariaDB's rpl documentation
 * ("Replication Protocol" in MariaDB's Knowledge Base).
 */
#ifndef HA_PROTO_BINLOG_H
#define HA_PROTO_BINLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/reader.h"
#include "base/value.h"

#define BINLOG_HEADER_BYTES 19u
#define BINLOG_LENGTH_AT    9u         /* where its length stands in the header */
#define BINLOG_COLUMNS_MAX  4096u      /* of a table, as both servers have it */
#define BINLOG_EVENT_MAX    (1u << 30) /* bytes, also of what was compressed */

/* What the log says about itself (FORMAT_DESCRIPTION), and what is asked for before that. */
struct binlog_format {
    bool checksum;          /* events end with a CRC32 */
    uint8_t table_id_bytes; /* 6, in very old logs 4; 0 counts as 6 */
};

enum binlog_kind {
    BINLOG_IGNORED, /* means nothing to a reader of rows */
    BINLOG_FORMAT,  /* *format has been changed */
    BINLOG_ROTATE,
    BINLOG_QUERY,
    BINLOG_COMMIT,     /* XID: the transaction ends well */
    BINLOG_GTID,       /* MariaDB's: a transaction begins, or one statement stands alone */
    BINLOG_MYSQL_GTID, /* MySQL's, anonymous ones, too */
    BINLOG_TABLE,      /* what the rows that follow are made of: binlog_read_table() */
    BINLOG_ROWS,       /* binlog_read_rows() */
    BINLOG_HEARTBEAT,
    BINLOG_INCIDENT,   /* the server says that something is missing in its log */
    BINLOG_UNSUPPORTED /* it means something, but cannot be read here: `type` */
};

enum binlog_change { BINLOG_INSERT, BINLOG_UPDATE, BINLOG_DELETE };

struct binlog_event {
    enum binlog_kind kind;
    uint8_t type; /* as the log has it */
    uint32_t time_s, server_id;
    uint32_t next_pos; /* of the event behind it in the file; 0 = it is in no file */
    bool artificial;   /* made for the sending, and so in no file */
    union {
        struct {
            const char *file;
            size_t file_len;
            uint64_t pos;
        } rotate;
        struct {
            const char *schema, *sql;
            size_t schema_len, sql_len;
        } query;
        struct {
            uint32_t domain;
            uint64_t sequence;
            bool standalone; /* no COMMIT ends it: it is one statement */
        } gtid;
        struct {
            enum binlog_change change;
            uint64_t table_id;
            bool version2, compressed;
            struct reader body;
        } rows;
        struct {
            uint64_t table_id;
            struct reader body;
        } table;
    } u;
};

/* One event of `len` bytes, header included. `scratch` takes what was compressed. False: it is no
 * event, or its checksum is wrong. */
bool binlog_read_event(const void *bytes, size_t len, struct binlog_format *format,
                       struct buf *scratch, struct binlog_event *out);

/* ---- tables ---- */

struct binlog_text {
    const char *data;
    size_t len;
};

struct binlog_column {
    uint8_t type;  /* enum mysqltype, or one of those below; ENUM and SET as such */
    uint16_t meta; /* what the type needs: bytes, digits, … (binlog_value.c) */
    bool nullable;
    /* Known where the log tells it (binlog_row_metadata), else for the caller to fill in. */
    bool has_sign, is_unsigned;       /* of numbers */
    uint16_t collation;               /* of texts, ENUM and SET; 0 = not told, 63 = bytes */
    bool is_key;                      /* part of the primary key */
    struct binlog_text name;          /* data NULL = not told */
    const struct binlog_text *labels; /* of ENUM and SET */
    unsigned n_labels;
};

/* Types that only the log has. */
enum { BINLOG_TIMESTAMP2 = 17, BINLOG_DATETIME2 = 18, BINLOG_TIME2 = 19, BINLOG_NEWDATE = 14 };

struct binlog_table {
    uint64_t id;
    const char *schema, *name; /* terminated */
    struct binlog_column *columns;
    unsigned n_columns;
    bool has_names, has_keys; /* the log has told them */
};

/* Everything is copied into the arena. `e` is a BINLOG_TABLE. False: malformed, or no memory. */
bool binlog_read_table(const struct binlog_event *e, struct arena *a, struct binlog_table *out);

/* ---- rows ---- */

struct binlog_cell {
    bool present; /* false: the log does not have this column's value */
    struct value value;
};

struct binlog_rows {
    enum binlog_change change;
    const struct binlog_table *table;
    const uint8_t *before, *after; /* bitmaps of the columns that are there */
    struct reader r;
};

enum binlog_step { BINLOG_ROW, BINLOG_END, BINLOG_BAD };

/* The rows of a BINLOG_ROWS; `table` is the one of its id, and is borrowed until the last row. The
 * scratch buffer takes what was compressed and must not change until then. */
bool binlog_read_rows(const struct binlog_event *e, const struct binlog_table *table,
                      struct buf *scratch, struct binlog_rows *out);
/*
 * One row: `before` of UPDATE and DELETE, `after` of INSERT and UPDATE, table->n_columns cells
 * each; the other one is left as it is. Values are as ha's own MySQL server keeps them:
 *
 *   integers, BIT, YEAR   INTEGER; what is beyond 2^63-1 TEXT of its digits
 *   DECIMAL               INTEGER or REAL where that is exact (15 digits), else TEXT
 *   FLOAT, DOUBLE         REAL; FLOAT as the shortest decimal that is the same FLOAT
 *   DATE, TIME, …         TEXT with as many digits behind the point as the column has; TIMESTAMP
 *                         in UTC
 *   ENUM, SET             TEXT
 *   JSON                  TEXT, as MySQL prints it
 *   CHAR, VARCHAR, TEXT   TEXT in the column's character set, which the caller converts
 *   BINARY, BLOB, …       BLOB; geometry as the server keeps it: SRID(4) and WKB
 *
 * Values live until the next call; `scratch` is theirs, and not the one of binlog_read_rows().
 */
enum binlog_step binlog_next_row(struct binlog_rows *rows, struct binlog_cell *before,
                                 struct binlog_cell *after, struct buf *scratch);

/* ---- parts ---- */

/* Appends to `out`; false: it is none. `json` is MySQL's binary form. */
bool binlog_put_json(struct buf *out, const void *json, size_t len);
/* DECIMAL's binary form to its text; `precision` digits, of them `scale` behind the point. */
bool binlog_put_decimal(struct buf *out, struct reader *r, unsigned precision, unsigned scale);
/* The shortest decimal that is the same FLOAT, as a double. */
double binlog_float(float f);
/* What is TEXT of DECIMAL's digits as the value that is kept. Borrows the text. */
struct value binlog_number(const char *text, size_t len);
/* An integer of 64 bits without a sign; appends its digits where it is beyond 2^63-1, and then the
 * value's data is an offset into `scratch`: *in_scratch. */
struct value binlog_unsigned(uint64_t v, struct buf *scratch, bool *in_scratch);

/* One value that is there and not NULL. Appends what it makes to `scratch`, whose bytes may move
 * until the row is whole: *in_scratch tells that its data is an offset. */
bool binlog_get(struct reader *r, const struct binlog_column *c, struct buf *scratch,
                struct value *out, bool *in_scratch);

#endif
