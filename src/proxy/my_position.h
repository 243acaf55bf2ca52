/*
 * A place in the binary log of a MySQL source, as the tracker keeps it:
 *
 *   {"Name":"bin.000002","Pos":1234,"server":"<uuid>"}
 *   {"Name":"bin.000002","Pos":1234,"gtid":"0-1-57","server":"1"}
 *
 * A file is one of the server's whose server_uuid (MySQL) or server_id (MariaDB) this is. Where
 * there is a GTID (MariaDB) it counts, on whichever server the log goes on.
 *
 * Pure; any thread.
 */
#ifndef HA_PROXY_MY_POSITION_H
#define HA_PROXY_MY_POSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define MY_DOMAINS_MAX 64 /* of MariaDB's GTIDs; a server with more is followed by file */

struct my_gtid {
    uint32_t domain, server;
    uint64_t sequence;
};

struct my_position {
    char file[256]; /* "" = nothing was ever followed */
    uint64_t pos;
    char server[64]; /* "" = not known */
    struct my_gtid gtids[MY_DOMAINS_MAX];
    unsigned n_gtids;
};

/* Of the tracker's text; the empty text is the empty position. False: it is none. */
bool my_position_read(struct my_position *p, const char *text, size_t len);
void my_position_put(struct buf *b, const struct my_position *p);

/* "0-1-57,1-2-9" in and out. False: it is none, or has too many domains; then there are none. */
bool my_position_set_gtids(struct my_position *p, const char *text, size_t len);
void my_position_put_gtids(struct buf *b, const struct my_position *p);
/* The newest of its domain. False: too many domains; then there are none. */
bool my_position_add_gtid(struct my_position *p, const struct my_gtid *g);

/* False: there is no such name, or it is too long. */
bool my_position_set_file(struct my_position *p, const char *name, size_t len);

/* Is everything that is before `want` before `p`, too? By GTIDs where `want` has them. */
bool my_position_reached(const struct my_position *p, const struct my_position *want);

#endif
