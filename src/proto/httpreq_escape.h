/*
 * JSON's \u escapes can spell halves of surrogate pairs. UTF-8 cannot, and yajl would quietly put
 * something else there; so they are looked for ahead of it. Fed piece by piece, as bytes arrive; a
 * zeroed struct begins. Pure; any thread.
 */
#ifndef HA_PROTO_HTTPREQ_ESCAPE_H
#define HA_PROTO_HTTPREQ_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

enum httpreq_escape { ESC_NONE, ESC_BACKSLASH, ESC_HEX, ESC_WANT_BACKSLASH, ESC_WANT_U };

struct httpreq_escapes {
    enum httpreq_escape state;
    unsigned digits, code; /* of the \u being read */
    bool high;             /* a high half came before it */
};

/* Offset in `s` where an unpaired half is certain, or `n`. */
size_t httpreq_escapes_check(struct httpreq_escapes *x, const char *s, size_t n);

#endif
