#include "proxy/my_dsn.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/digits.h"
#include "base/hex.h"

#define PORT 3306

/* A copy of s … end, of a URL with its escapes undone. NULL: no memory, or an escape that is none.
 */
static char *take(const char *s, const char *end, bool url)
{
    char *copy = malloc((size_t)(end - s) + 1), *to = copy;

    for (; copy && s < end; s++) {
        if (url && *s == '%') {
            int byte = end - s > 2 ? hex_pair(s + 1) : -1;
            if (byte <= 0) {
                free(copy);
                return NULL;
            }
            *to++ = (char)byte;
            s += 2;
        } else {
            *to++ = *s;
        }
    }
    if (copy)
        *to = '\0';
    return copy;
}

static const char *find_last(const char *s, const char *end, char c)
{
    return memrchr(s, c, (size_t)(end - s));
}

static const char *find(const char *s, const char *end, char c)
{
    return memchr(s, c, (size_t)(end - s));
}

static bool same(const char *s, size_t len, const char *word)
{
    return strlen(word) == len && strncasecmp(s, word, len) == 0;
}

/* host, host:port, [v6]:port */
static bool read_address(struct my_dsn *d, const char *s, const char *end, bool url)
{
    const char *host_end = end, *port = NULL;

    if (s < end && *s == '[') {
        const char *close = find(s, end, ']');
        if (!close)
            return false;
        port = close + 1 < end ? close + 1 : NULL;
        if (port && *port != ':')
            return false;
        s++;
        host_end = close;
    } else {
        port = find_last(s, end, ':');
        host_end = port ? port : end;
    }
    d->port = PORT;
    if (port) {
        uint64_t n;
        char *digits = take(port + 1, end, false);
        const char *p = digits;
        bool fine = digits && digits_read(&p, &n) && *p == '\0' && n > 0 && n < 65536;
        d->port = fine ? (unsigned)n : 0;
        free(digits);
        if (!fine)
            return false;
    }
    free(d->host);
    d->host = host_end > s ? take(s, host_end, url) : strdup("127.0.0.1");
    return d->host != NULL;
}

/* tcp(address), unix(path), tcp; without anything: tcp */
static bool read_net(struct my_dsn *d, const char *s, const char *end)
{
    const char *open = find(s, end, '(');
    size_t word = (size_t)((open ? open : end) - s);

    if (open && end[-1] != ')')
        return false;
    if (same(s, word, "unix") && open) {
        free(d->socket);
        d->socket = take(open + 1, end - 1, false);
        return d->socket && *d->socket;
    }
    if (word > 0 && !same(s, word, "tcp"))
        return false;
    return read_address(d, open ? open + 1 : end, open ? end - 1 : end, false);
}

static bool read_tls(struct my_dsn *d, const char *s, size_t len)
{
    static const struct {
        const char *word;
        enum my_tls tls;
    } words[] = {{"false", MY_TLS_OFF},
                 {"0", MY_TLS_OFF},
                 {"disabled", MY_TLS_OFF},
                 {"preferred", MY_TLS_PREFERRED},
                 {"required", MY_TLS_UNVERIFIED},
                 {"skip-verify", MY_TLS_UNVERIFIED},
                 {"true", MY_TLS_ON},
                 {"1", MY_TLS_ON},
                 {"verify_ca", MY_TLS_ON},
                 {"verify_identity", MY_TLS_ON}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (same(s, len, words[i].word)) {
            d->tls = words[i].tls;
            return true;
        }
    return false;
}

static bool read_params(struct my_dsn *d, const char *s, const char *end)
{
    while (s < end) {
        const char *next = find(s, end, '&');
        const char *stop = next ? next : end, *equals = find(s, stop, '=');
        size_t name = (size_t)((equals ? equals : stop) - s);
        const char *value = equals ? equals + 1 : stop;
        if ((same(s, name, "tls") || same(s, name, "ssl-mode")) &&
            !read_tls(d, value, (size_t)(stop - value)))
            return false;
        if (same(s, name, "ca") || same(s, name, "ssl-ca")) {
            free(d->ca);
            d->ca = take(value, stop, true);
            if (!d->ca)
                return false;
        }
        s = next ? next + 1 : end;
    }
    return true;
}

static bool read_all(struct my_dsn *d, const char *s)
{
    bool url = strncasecmp(s, "mysql://", 8) == 0 || strncasecmp(s, "mariadb://", 10) == 0;
    const char *end = s + strlen(s), *slash, *at, *colon;

    if (url)
        s = strstr(s, "://") + 3;
    /* A socket's path has slashes, and so may have a password; parameters may not. */
    const char *question = find_last(s, end, '?');
    const char *path_end = question ? question : end;
    slash = find_last(s, path_end, '/');
    if (!slash) {
        if (!url)
            return false;
        slash = path_end;
    }
    at = find_last(s, slash, '@');
    if (at) {
        colon = find(s, at, ':');
        free(d->user);
        d->user = take(s, colon ? colon : at, url);
        if (colon) {
            free(d->password);
            d->password = take(colon + 1, at, url);
        }
        s = at + 1;
    }
    if (slash < path_end) {
        free(d->database);
        d->database = take(slash + 1, path_end, url);
    }
    if (!d->user || !d->password || !d->database)
        return false;
    if (!(url ? read_address(d, s, slash, true) : read_net(d, s, slash)))
        return false;
    return !question || read_params(d, question + 1, end);
}

enum err_code my_dsn_read(struct my_dsn *out, const char *text, struct err *e)
{
    *out = (struct my_dsn){.user = strdup("root"),
                           .password = strdup(""),
                           .host = strdup(""),
                           .socket = strdup(""),
                           .database = strdup(""),
                           .ca = strdup(""),
                           .port = PORT};
    if (out->host && out->socket && out->ca && read_all(out, text))
        return ERR_OK;
    my_dsn_free(out);
    return err_set(e, ERR_CONFIG,
                   "is neither user:password@tcp(host:port)/database nor "
                   "mysql://user:password@host:port/database");
}

void my_dsn_free(struct my_dsn *d)
{
    free(d->user);
    free(d->password);
    free(d->host);
    free(d->socket);
    free(d->database);
    free(d->ca);
    *d = (struct my_dsn){.port = 0};
}
