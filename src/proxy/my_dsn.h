/*
 * Where a MySQL source is, as --mysql-proxied says it:
 *
 *   user:password@tcp(host:3306)/db?tls=true       as Go's driver takes it; unix(/path/to/socket)
 *   mysql://user:password@host:3306/db?tls=true    a URL, with %-escapes
 *
 * tls is false (the default), preferred, skip-verify or true (the server's certificate is checked
 * against the system's CAs, or those of ca=FILE). Go's driver has more parameters, which mean
 * nothing here and are passed over.
 */
#ifndef HA_PROXY_MY_DSN_H
#define HA_PROXY_MY_DSN_H

#include <stdbool.h>

#include "base/err.h"

enum my_tls { MY_TLS_OFF, MY_TLS_PREFERRED, MY_TLS_UNVERIFIED, MY_TLS_ON };

/* Strings are owned. */
struct my_dsn {
    char *user, *password;
    char *host;   /* "" = by the socket */
    char *socket; /* "" = over TCP */
    char *database;
    char *ca; /* "" = the system's */
    unsigned port;
    enum my_tls tls;
};

/* ERR_CONFIG where it is none; the message does not show it. */
enum err_code my_dsn_read(struct my_dsn *out, const char *text, struct err *e);
void my_dsn_free(struct my_dsn *d); /* a zeroed one is fine */

#endif
