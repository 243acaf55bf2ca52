/*
 * NATS URLs as people write them: a comma-separated list, credentials percent-encoded where they
 * hold reserved characters (which libnats 3.4 does not decode). Pure; any thread.
 */
#ifndef HA_NATS_URL_H
#define HA_NATS_URL_H

#include "base/err.h"

#define NATS_URL_MAX             32  /* in a list */
#define NATS_URL_CREDENTIAL_SIZE 256 /* terminator included */

struct nats_urls {
    const char *url[NATS_URL_MAX]; /* into the text that was cut up */
    int n;
    char user[NATS_URL_CREDENTIAL_SIZE]; /* of the first URL that says user:password; "" = none */
    char pass[NATS_URL_CREDENTIAL_SIZE];
};

/* Cuts `text` up, and takes "user:password@" out of its URLs ("token@" stays). 0, or -1 when the
 * list is empty or too long, or credentials are too long or wrongly encoded. */
int nats_urls_parse(char *text, struct nats_urls *out);

/* Can the client library reach that? ERR_CONFIG, with what is wrong, for another scheme than nats
 * and tls (of which the library would make nats), no host, a port that is none. */
enum err_code nats_urls_check(const char *text, struct err *e);

/* A user, a password, a token or a name: the library writes it into a JSON text as it is.
 * ERR_CONFIG where that would be no JSON any more. */
enum err_code nats_credential_check(const char *text, struct err *e);

/* "nats://127.0.0.1:43307" → 43307; 0 where it says none. */
int nats_url_port(const char *url);

#endif
