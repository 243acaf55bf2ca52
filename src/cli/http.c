/* Requests to a node, by libcurl. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_tree.h"
#include "cli/cli.h"
#include "cli/curl.h"

#define HTTP_CONNECT_S 10L
#define HTTP_STALL_S   120L /* without a single byte; verifying takes its time */
#define HTTP_ERROR_MAX ((size_t)64 * 1024)
#define HTTP_URL_MAX   4096
#define HTTP_OK        200

struct transfer {
    CURL *curl;
    const struct cli_get *get;
    struct buf problem; /* the body of an answer other than 200 */
    bool refused;       /* the receiver did not want more */
};

static size_t receive(char *bytes, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    long status = 0;
    libcurl.easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != HTTP_OK) {
        buf_put(&t->problem, bytes, size * n);
        return size * n;
    }
    t->refused = !t->get->write(t->get->arg, bytes, size * n);
    return t->refused ? 0 : size * n;
}

static int show(void *arg, curl_off_t total, curl_off_t now, curl_off_t up, curl_off_t up_now)
{
    const struct cli_get *get = arg;
    (void)up;
    (void)up_now;
    bar_show(get->bar, get->is_short ? 0 : (uint64_t)now, get->is_short ? 0 : (uint64_t)total);
    return 0;
}

/* What the node says of it: problem+json's "detail". */
static enum err_code refusal(struct transfer *t, long status, struct err *e)
{
    yajl_val tree = yajl_tree_parse(buf_cstr(&t->problem), NULL, 0);
    yajl_val detail = json_tree_member(tree, "detail", yajl_t_string);
    enum err_code code = status == 404 ? ERR_CONFIG : status == 401 ? ERR_AUTH : ERR_IO;
    if (detail)
        err_set(e, code, "%s", detail->u.string);
    else
        err_set(e, code, "the node answers with HTTP status %ld", status);
    yajl_tree_free(tree);
    return code;
}

static enum err_code perform(struct transfer *t, const char *url, struct err *e)
{
    char why[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURL *c = t->curl;
    libcurl.easy_setopt(c, CURLOPT_URL, url);
    libcurl.easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    libcurl.easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    libcurl.easy_setopt(c, CURLOPT_CONNECTTIMEOUT, HTTP_CONNECT_S);
    libcurl.easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    libcurl.easy_setopt(c, CURLOPT_LOW_SPEED_TIME, HTTP_STALL_S);
    libcurl.easy_setopt(c, CURLOPT_ERRORBUFFER, why);
    libcurl.easy_setopt(c, CURLOPT_WRITEFUNCTION, receive);
    libcurl.easy_setopt(c, CURLOPT_WRITEDATA, t);
    libcurl.easy_setopt(c, CURLOPT_NOPROGRESS, t->get->bar ? 0L : 1L);
    libcurl.easy_setopt(c, CURLOPT_XFERINFOFUNCTION, show);
    libcurl.easy_setopt(c, CURLOPT_XFERINFODATA, t->get);
    if (t->get->token && *t->get->token) {
        libcurl.easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        libcurl.easy_setopt(c, CURLOPT_XOAUTH2_BEARER, t->get->token);
    }
    CURLcode rc = libcurl.easy_perform(c);
    libcurl.easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    if (t->refused)
        return err_set(e, ERR_IO, "what came could not be written");
    if (rc == CURLE_URL_MALFORMAT || rc == CURLE_UNSUPPORTED_PROTOCOL)
        return err_set(e, ERR_CONFIG, "\"%.200s\" is not the URL of a node", url);
    if (rc != CURLE_OK)
        return err_set(e, ERR_IO, "%.200s: %s", url, why[0] ? why : libcurl.easy_strerror(rc));
    return status == HTTP_OK ? ERR_OK : refusal(t, status, e);
}

enum err_code cli_http_get(const char *base, const char *path, const struct cli_get *get,
                           struct err *e)
{
    char url[HTTP_URL_MAX];
    size_t len = strlen(base);
    struct transfer t = {.get = get};
    if (strncmp(base, "http://", 7) != 0 && strncmp(base, "https://", 8) != 0)
        return err_set(e, ERR_CONFIG, "\"%.200s\" is not the URL of a node (http://host:port)",
                       base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    int n = snprintf(url, sizeof url, "%.*s%s", (int)len, base, path);
    if (n < 0 || (size_t)n >= sizeof url)
        return err_set(e, ERR_CONFIG, "the URL is too long");
    if (libcurl_load(e) != ERR_OK)
        return e->code;
    buf_init(&t.problem, HTTP_ERROR_MAX);
    t.curl = libcurl.easy_init();
    if (!t.curl)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    enum err_code code = perform(&t, url, e);
    libcurl.easy_cleanup(t.curl);
    buf_free(&t.problem);
    return code;
}

static void escape(struct buf *b, const char *text, const char *kept)
{
    for (const char *p = text; *p; p++) {
        if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
            strchr(kept, *p))
            buf_putc(b, *p);
        else
            buf_printf(b, "%%%02X", (unsigned)(unsigned char)*p);
    }
}

void cli_http_escape(struct buf *b, const char *text)
{
    escape(b, text, "-._~");
}

void cli_http_escape_path(struct buf *b, const char *text)
{
    escape(b, text, "-._~/");
}

void cli_http_database(struct buf *path, const char *id, const char *rest)
{
    buf_puts(path, "/databases/");
    cli_http_escape(path, id);
    buf_puts(path, rest);
}
