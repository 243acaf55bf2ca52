/*
 * The packets of MySQL's client/server protocol: a client's as structs, a server's as bytes. Pure:
 * no I/O, no state; any thread.
 *
 *   packet      length(3, of the payload) sequence(1) payload
 *
 * All numbers are little-endian. A payload of 0xFFFFFF bytes goes on in the next packet. A decoder
 * gets a payload of known length and answers false for what is no such payload; what it hands out
 * is borrowed from it. An encoder appends to a buf, whose failure is sticky. Protocol: "MySQL
 * Internals: Client/Server Protocol"; page names are those of its manual.
 */
#ifndef HA_PROTO_MYSQLWIRE_H
#define HA_PROTO_MYSQLWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/reader.h"

#define MYSQLWIRE_HEADER_BYTES 4u
#define MYSQLWIRE_PART_BYTES   0xFFFFFFu /* payload of a packet that goes on in the next one */
#define MYSQLWIRE_NONCE_BYTES  20u
#define MYSQLWIRE_LOGIN_BYTES  (64u << 10) /* longest packet before the client has proved itself */
#define MYSQLWIRE_PARAMS_MAX   65535u

/* Capabilities that are understood here. */
#define MYSQLWIRE_FOUND_ROWS       (UINT32_C(1) << 1)
#define MYSQLWIRE_LONG_FLAG        (UINT32_C(1) << 2)
#define MYSQLWIRE_CONNECT_WITH_DB  (UINT32_C(1) << 3)
#define MYSQLWIRE_IGNORE_SPACE     (UINT32_C(1) << 8)
#define MYSQLWIRE_PROTOCOL_41      (UINT32_C(1) << 9)
#define MYSQLWIRE_SSL              (UINT32_C(1) << 11)
#define MYSQLWIRE_TRANSACTIONS     (UINT32_C(1) << 13)
#define MYSQLWIRE_SECURE           (UINT32_C(1) << 15)
#define MYSQLWIRE_MULTI_STATEMENTS (UINT32_C(1) << 16)
#define MYSQLWIRE_MULTI_RESULTS    (UINT32_C(1) << 17)
#define MYSQLWIRE_PS_MULTI_RESULTS (UINT32_C(1) << 18)
#define MYSQLWIRE_PLUGIN_AUTH      (UINT32_C(1) << 19)
#define MYSQLWIRE_CONNECT_ATTRS    (UINT32_C(1) << 20)
#define MYSQLWIRE_AUTH_LENENC      (UINT32_C(1) << 21)
#define MYSQLWIRE_SESSION_TRACK    (UINT32_C(1) << 23)
#define MYSQLWIRE_DEPRECATE_EOF    (UINT32_C(1) << 24)
#define MYSQLWIRE_QUERY_ATTRIBUTES (UINT32_C(1) << 27)

/* Status flags. */
#define MYSQLWIRE_IN_TRANS       0x0001u
#define MYSQLWIRE_AUTOCOMMIT     0x0002u
#define MYSQLWIRE_MORE_RESULTS   0x0008u
#define MYSQLWIRE_CURSOR         0x0040u
#define MYSQLWIRE_LAST_ROW       0x0080u
#define MYSQLWIRE_NO_BACKSLASH   0x0200u
#define MYSQLWIRE_STATE_CHANGED  0x4000u
#define MYSQLWIRE_CHARSET        255u /* utf8mb4_0900_ai_ci */
#define MYSQLWIRE_CHARSET_BINARY 63u

enum mysqlwire_command {
    MYSQLWIRE_QUIT = 0x01,
    MYSQLWIRE_INIT_DB = 0x02,
    MYSQLWIRE_QUERY = 0x03,
    MYSQLWIRE_FIELD_LIST = 0x04,
    MYSQLWIRE_STATISTICS = 0x09,
    MYSQLWIRE_PROCESS_INFO = 0x0A,
    MYSQLWIRE_PROCESS_KILL = 0x0C,
    MYSQLWIRE_DEBUG = 0x0D,
    MYSQLWIRE_PING = 0x0E,
    MYSQLWIRE_CHANGE_USER = 0x11,
    MYSQLWIRE_STMT_PREPARE = 0x16,
    MYSQLWIRE_STMT_EXECUTE = 0x17,
    MYSQLWIRE_STMT_LONG_DATA = 0x18,
    MYSQLWIRE_STMT_CLOSE = 0x19,
    MYSQLWIRE_STMT_RESET = 0x1A,
    MYSQLWIRE_SET_OPTION = 0x1B,
    MYSQLWIRE_STMT_FETCH = 0x1C,
    MYSQLWIRE_RESET_CONNECTION = 0x1F
};

/* ---- reading ---- */

static inline uint16_t mysqlwire_u16(struct reader *r)
{
    uint16_t v;
    reader_copy(r, &v, sizeof v);
    return le16toh(v);
}
static inline uint32_t mysqlwire_u32(struct reader *r)
{
    uint32_t v;
    reader_copy(r, &v, sizeof v);
    return le32toh(v);
}
static inline uint64_t mysqlwire_u64(struct reader *r)
{
    uint64_t v;
    reader_copy(r, &v, sizeof v);
    return le64toh(v);
}
/* A length-encoded integer (0xFB and 0xFF are none: a failure), and a text with one before it. */
uint64_t mysqlwire_lenenc(struct reader *r);
const char *mysqlwire_lenenc_text(struct reader *r, size_t *len);

/* Protocol::HandshakeResponse41. Before it an SSLRequest may come, its first 32 bytes: `ssl_only`.
 */
struct mysqlwire_login {
    uint32_t capabilities;
    uint8_t charset;
    bool ssl_only; /* nothing behind here is set */
    const char *user;
    const char *auth; /* auth_len bytes */
    size_t auth_len;
    const char *database; /* "" = none */
    const char *plugin;   /* "" = none was named */
};
bool mysqlwire_read_login(const char *body, size_t len, struct mysqlwire_login *out);
/* The body of COM_CHANGE_USER, with the capabilities of the connection. */
bool mysqlwire_read_change_user(const char *body, size_t len, uint32_t capabilities,
                                struct mysqlwire_login *out);

/* Behind the command byte of COM_QUERY: skips the attributes of a query, which mean nothing here.
 */
bool mysqlwire_read_query(const char *body, size_t len, uint32_t capabilities, const char **sql,
                          size_t *sql_len);

/*
 * COM_STMT_EXECUTE up to the values. `types` are two bytes each: mysqltype's number, and 0x80 for
 * unsigned; NULL where the client has not sent them again.
 */
struct mysqlwire_execute {
    uint32_t statement;
    uint8_t flags; /* the cursor's: 1 = read only */
    unsigned n_params;
    const char *nulls; /* a bit each */
    const char *types;
    struct reader values;
};
/* `n_params` as prepared; `known` tells whether types have been sent before. `types` gets room for
 * MYSQLWIRE_PARAMS_MAX * 2 bytes from the caller where the client names its parameters, and may be
 * NULL where it cannot (no QUERY_ATTRIBUTES). */
bool mysqlwire_read_execute(const char *body, size_t len, uint32_t capabilities, unsigned n_params,
                            char *types, struct mysqlwire_execute *out);
uint32_t mysqlwire_execute_statement(const char *body, size_t len); /* 0: too short */
static inline bool mysqlwire_is_null(const struct mysqlwire_execute *x, unsigned i)
{
    return x->nulls && ((unsigned char)x->nulls[i / 8] >> (i % 8) & 1) != 0;
}

/* ---- writing ---- */

/* Packets to one buffer, numbered. */
struct mysqlwire_out {
    struct buf *b;
    uint8_t sequence; /* of the next one */
};

/* Begins a packet's payload; the end writes its header, and splits what is too long for one. */
size_t mysqlwire_begin(struct mysqlwire_out *o);
void mysqlwire_end(struct mysqlwire_out *o, size_t start);

static inline void mysqlwire_put_u16(struct buf *b, uint16_t v)
{
    v = htole16(v);
    buf_put(b, &v, sizeof v);
}
static inline void mysqlwire_put_u32(struct buf *b, uint32_t v)
{
    v = htole32(v);
    buf_put(b, &v, sizeof v);
}
static inline void mysqlwire_put_u64(struct buf *b, uint64_t v)
{
    v = htole64(v);
    buf_put(b, &v, sizeof v);
}
void mysqlwire_put_lenenc(struct buf *b, uint64_t v);
void mysqlwire_put_text(struct buf *b, const char *s, size_t len); /* with its length */

/* Protocol::HandshakeV10. `nonce` has MYSQLWIRE_NONCE_BYTES, none of them NUL. */
void mysqlwire_write_greeting(struct mysqlwire_out *o, const char *version, uint32_t connection,
                              const char *nonce, uint32_t capabilities, uint16_t status,
                              const char *plugin);
/* AuthSwitchRequest and AuthMoreData. */
void mysqlwire_write_auth_switch(struct mysqlwire_out *o, const char *plugin, const char *nonce);
void mysqlwire_write_auth_more(struct mysqlwire_out *o, const void *data, size_t len);

struct mysqlwire_ok {
    uint64_t affected, last_insert_id;
    uint16_t status, warnings;
    const char *info;   /* NULL = none */
    const char *schema; /* the database was changed to this one; NULL = it was not */
};
/* `eof`: the OK that ends rows under DEPRECATE_EOF. */
void mysqlwire_write_ok(struct mysqlwire_out *o, uint32_t capabilities,
                        const struct mysqlwire_ok *ok, bool eof);
void mysqlwire_write_eof(struct mysqlwire_out *o, uint16_t status, uint16_t warnings);
/* `sqlstate` has five characters. NULL (and capabilities 0): before the client's are known. */
void mysqlwire_write_error(struct mysqlwire_out *o, unsigned code, const char *sqlstate,
                           const char *message);

/* Protocol::ColumnDefinition41 */
struct mysqlwire_column {
    const char *schema, *table, *org_table, *name; /* never NULL */
    uint16_t charset, flags;
    uint32_t length;
    uint8_t type, decimals;
    bool has_default; /* COM_FIELD_LIST: a default follows, NULL */
};
void mysqlwire_write_column(struct mysqlwire_out *o, const struct mysqlwire_column *c);
void mysqlwire_write_count(struct mysqlwire_out *o, uint64_t n); /* of columns */
void mysqlwire_write_prepared(struct mysqlwire_out *o, uint32_t statement, unsigned n_columns,
                              unsigned n_params, uint16_t warnings);

#endif
