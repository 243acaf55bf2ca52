#include "nats/url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

static int decode(const char *s, size_t n, char out[NATS_URL_CREDENTIAL_SIZE])
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        int c = (unsigned char)s[i];
        if (c == '%') {
            c = n - i < 3 ? -1 : hex_pair(s + i + 1);
            i += 2;
        }
        if (c <= 0 || at + 1 >= NATS_URL_CREDENTIAL_SIZE)
            return -1;
        out[at++] = (char)c;
    }
    out[at] = '\0';
    return 0;
}

/* "tls://user:password@host:1" → "tls://host:1" in the same place, shifted right. */
static int take_credentials(const char **url, struct nats_urls *out)
{
    char *text = (char *)*url;
    char *scheme = strstr(text, "://");
    char *begin = scheme ? scheme + 3 : text;
    char *at = strrchr(begin, '@');
    char *colon = at ? memchr(begin, ':', (size_t)(at - begin)) : NULL;
    if (!colon)
        return 0;
    if (!out->user[0] && (decode(begin, (size_t)(colon - begin), out->user) != 0 ||
                          decode(colon + 1, (size_t)(at - colon - 1), out->pass) != 0))
        return -1;
    size_t head = (size_t)(begin - text);
    memmove(at + 1 - head, text, head);
    *url = at + 1 - head;
    return 0;
}

int nats_urls_parse(char *text, struct nats_urls *out)
{
    char *save = NULL;
    *out = (struct nats_urls){.n = 0};
    for (char *u = strtok_r(text, ", ", &save); u; u = strtok_r(NULL, ", ", &save)) {
        if (out->n == NATS_URL_MAX)
            return -1;
        out->url[out->n] = u;
        if (take_credentials(&out->url[out->n], out) != 0)
            return -1;
        out->n++;
    }
    return out->n > 0 ? 0 : -1;
}

/* A URL without its credentials, so that the message shows none. */
static enum err_code check_url(const char *url, struct err *e)
{
    const char *scheme = strstr(url, "://"), *host = scheme ? scheme + 3 : url;
    const char *at = strrchr(host, '@');
    char *end;

    if (scheme && strncmp(url, "nats://", 7) != 0 && strncmp(url, "tls://", 6) != 0)
        return err_set(e, ERR_CONFIG, "'%.*s://' is no scheme of NATS: it is nats:// or tls://",
                       (int)(scheme - url), url);
    host = at ? at + 1 : host;
    size_t n = strcspn(host, "/");
    const char *colon = memrchr(host, ':', n);
    if (n == 0 || colon == host)
        return err_set(e, ERR_CONFIG, "a URL has no host");
    if (!colon || memchr(colon, ']', n - (size_t)(colon - host)))
        return ERR_OK; /* no port: the library has a default */
    long port = strtol(colon + 1, &end, 10);
    if (end != host + n || end == colon + 1 || port < 1 || port > 65535)
        return err_set(e, ERR_CONFIG, "'%.*s' is no port", (int)(n - (size_t)(colon + 1 - host)),
                       colon + 1);
    return ERR_OK;
}

enum err_code nats_urls_check(const char *text, struct err *e)
{
    char *copy = strdup(text);
    struct nats_urls urls;
    enum err_code code = ERR_OK;

    if (!copy)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    if (nats_urls_parse(copy, &urls) != 0)
        code = err_set(e, ERR_CONFIG,
                       "not a list of 1 to %d URLs, whose credentials are percent-encoded",
                       NATS_URL_MAX);
    for (int i = 0; i < urls.n && !code; i++)
        code = check_url(urls.url[i], e);
    free(copy);
    return code;
}

enum err_code nats_credential_check(const char *text, struct err *e)
{
    for (const char *p = text; *p; p++)
        if (*p == '"' || *p == '\\' || iscntrl((unsigned char)*p))
            return err_set(e, ERR_CONFIG,
                           "must not have double quotes, backslashes or control characters");
    return ERR_OK;
}

int nats_url_port(const char *url)
{
    const char *scheme = strstr(url, "://");
    const char *host = scheme ? scheme + 3 : url, *colon = strrchr(host, ':');
    return colon && !strchr(colon, ']') ? (int)strtol(colon + 1, NULL, 10) : 0;
}
