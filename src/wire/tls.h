/* A server's certificate, for every protocol that speaks TLS. Any thread. */
#ifndef HA_WIRE_TLS_H
#define HA_WIRE_TLS_H

#include <openssl/ssl.h>

#include "base/err.h"

/* TLS 1.2 and newer with the certificate chain and the key of two PEM files; `flags` is how the
 * flags that name them begin, "--pg". ERR_CONFIG says which of them is of no use. */
enum err_code tls_load(SSL_CTX **out, const char *cert, const char *key, const char *flags,
                       struct err *e);

#endif
