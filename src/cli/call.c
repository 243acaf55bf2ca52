#include "cli/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json_tree.h"

#define CALL_CONNECT_S   10L
#define CALL_STALL_S     120L /* without a single byte; verifying takes its time */
#define CALL_KEEPALIVE_S 15L
#define CALL_PROBLEM_MAX ((size_t)64 * 1024)
#define CALL_URL_MAX     4096

static bool is_success(long status)
{
    return status >= 200 && status < 300;
}

/* ---- what libcurl calls ---- */

static size_t take_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct call *c = arg;
    long status = 0;
    libcurl.easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    if (!is_success(status)) {
        buf_put(&c->problem, bytes, size * n);
        return size * n;
    }
    if (!c->write)
        return size * n;
    c->unwanted = !c->write(c->arg, bytes, size * n);
    return c->unwanted ? 0 : size * n;
}

/* The value of a header line with that name, without blanks around it. */
static bool header_value(const char *line, size_t len, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);
    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return false;
    for (n++; n < len && line[n] == ' '; n++)
        ;
    while (len > n && (unsigned char)line[len - 1] <= ' ')
        len--;
    (void)snprintf(out, size, "%.*s", (int)(len - n), line + n);
    return true;
}

static size_t take_header(char *bytes, size_t size, size_t n, void *arg)
{
    struct call *c = arg;
    char number[32];
    if (header_value(bytes, size * n, "HA-Seq", number, sizeof number))
        c->seq = strtoull(number, NULL, 10);
    header_value(bytes, size * n, "HA-Node", c->node, sizeof c->node);
    return size * n;
}

static size_t give_body(char *out, size_t size, size_t n, void *arg)
{
    struct call *c = arg;
    size_t len = c->body_len - c->body_at;
    if (c->sent && c->body_at == 0) /* from its beginning once more */
        return CURL_READFUNC_ABORT;
    if (len > size * n)
        len = size * n;
    c->sent = true;
    memcpy(out, c->body + c->body_at, len);
    c->body_at += len;
    return len;
}

/* libcurl asks for it where it wants to send the body again. */
static int refuse_seek(void *arg, curl_off_t offset, int origin)
{
    (void)arg;
    (void)offset;
    (void)origin;
    return CURL_SEEKFUNC_FAIL;
}

static int watch(void *arg, curl_off_t total, curl_off_t now, curl_off_t up, curl_off_t up_now)
{
    const struct call *c = arg;
    (void)up;
    (void)up_now;
    bar_show(c->bar, c->is_short ? 0 : (uint64_t)now, c->is_short ? 0 : (uint64_t)total);
    return c->stopping && *c->stopping;
}

/* ---- putting it together ---- */

enum err_code call_check_url(const char *base, struct err *e)
{
    if (strncmp(base, "http://", 7) == 0 || strncmp(base, "https://", 8) == 0)
        return ERR_OK;
    return err_set(e, ERR_CONFIG, "\"%.200s\" is not the URL of a node (http://host:port)", base);
}

static bool add_header(struct curl_slist **list, const char *name, const char *value)
{
    char line[512];
    int n = snprintf(line, sizeof line, "%s:%s%s", name, *value ? " " : "", value);
    struct curl_slist *longer =
        n > 0 && (size_t)n < sizeof line ? libcurl.slist_append(*list, line) : NULL;
    if (longer)
        *list = longer;
    return longer != NULL;
}

static bool add_headers(const struct call *c, struct curl_slist **list)
{
    char seq[24];
    (void)snprintf(seq, sizeof seq, "%llu", (unsigned long long)c->min_seq);
    return (!c->accept || add_header(list, "Accept", c->accept)) &&
           (!c->transaction || add_header(list, "HA-Transaction", c->transaction)) &&
           (c->min_seq == 0 || add_header(list, "HA-Min-Seq", seq)) &&
           /* libcurl would have the node answer once before it gets the body */
           (!c->body || (add_header(list, "Content-Type", "application/json") &&
                         add_header(list, "Expect", "")));
}

static void prepare(struct call *c, const char *url, struct curl_slist *headers, char *why)
{
    CURL *h = c->curl;
    libcurl.easy_reset(h);
    libcurl.easy_setopt(h, CURLOPT_URL, url);
    libcurl.easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    libcurl.easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    libcurl.easy_setopt(h, CURLOPT_CONNECTTIMEOUT, CALL_CONNECT_S);
    libcurl.easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L); /* a machine that is gone says nothing */
    libcurl.easy_setopt(h, CURLOPT_TCP_KEEPIDLE, CALL_KEEPALIVE_S);
    libcurl.easy_setopt(h, CURLOPT_TCP_KEEPINTVL, CALL_KEEPALIVE_S);
    libcurl.easy_setopt(h, CURLOPT_ERRORBUFFER, why);
    libcurl.easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    libcurl.easy_setopt(h, CURLOPT_WRITEFUNCTION, take_body);
    libcurl.easy_setopt(h, CURLOPT_WRITEDATA, c);
    libcurl.easy_setopt(h, CURLOPT_HEADERFUNCTION, take_header);
    libcurl.easy_setopt(h, CURLOPT_HEADERDATA, c);
    libcurl.easy_setopt(h, CURLOPT_NOPROGRESS, c->bar || c->stopping ? 0L : 1L);
    libcurl.easy_setopt(h, CURLOPT_XFERINFOFUNCTION, watch);
    libcurl.easy_setopt(h, CURLOPT_XFERINFODATA, c);
    if (!c->stopping) { /* else somebody is there who can end it */
        libcurl.easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
        libcurl.easy_setopt(h, CURLOPT_LOW_SPEED_TIME, CALL_STALL_S);
    }
    if (c->body) {
        libcurl.easy_setopt(h, CURLOPT_POST, 1L);
        libcurl.easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body_len);
        libcurl.easy_setopt(h, CURLOPT_READFUNCTION, give_body);
        libcurl.easy_setopt(h, CURLOPT_READDATA, c);
        libcurl.easy_setopt(h, CURLOPT_SEEKFUNCTION, refuse_seek);
    } else if (strcmp(c->method, "GET") != 0) {
        libcurl.easy_setopt(h, CURLOPT_CUSTOMREQUEST, c->method);
        libcurl.easy_setopt(h, CURLOPT_FRESH_CONNECT, 1L); /* then it is sent once, too */
        c->sent = true;
    }
    if (c->cacert && *c->cacert)
        libcurl.easy_setopt(h, CURLOPT_CAINFO, c->cacert);
    if (c->token && *c->token) {
        libcurl.easy_setopt(h, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        libcurl.easy_setopt(h, CURLOPT_XOAUTH2_BEARER, c->token);
    }
}

/* ---- the answer ---- */

enum err_code call_problem(const char *text, size_t len, long status, struct err *e)
{
    yajl_val tree = json_tree_parse(text, len);
    const char *detail = json_tree_text(tree, "detail"), *code = json_tree_text(tree, "code");
    if (*detail && *code) {
        err_set(e, err_of_name(code, strlen(code)), "%s", detail);
        e->offset = (int)json_tree_integer(tree, "offset", -1);
        e->sqlite_code = (int)json_tree_integer(tree, "sqlite_extended_code", 0);
        if (e->code == ERR_OK)
            e->code = ERR_INTERNAL;
    } else {
        err_set(e, ERR_IO, "the node answers with HTTP status %ld", status);
    }
    yajl_tree_free(tree);
    return e->code;
}

static bool never_left(CURLcode rc)
{
    return rc == CURLE_COULDNT_CONNECT || rc == CURLE_COULDNT_RESOLVE_HOST ||
           rc == CURLE_COULDNT_RESOLVE_PROXY || rc == CURLE_SSL_CONNECT_ERROR ||
           rc == CURLE_PEER_FAILED_VERIFICATION;
}

static enum err_code perform(struct call *c, const char *url, struct err *e)
{
    char why[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    if (!add_headers(c, &headers)) {
        libcurl.slist_free_all(headers);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    prepare(c, url, headers, why);
    CURLcode rc = libcurl.easy_perform(c->curl);
    libcurl.easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->status);
    libcurl.slist_free_all(headers);
    if (never_left(rc))
        c->sent = false;
    if (c->stopping && *c->stopping && rc != CURLE_OK)
        return err_set(e, ERR_INTERRUPTED, "canceled");
    if (c->unwanted)
        return err_set(e, ERR_IO, "what came could not be written");
    if (rc == CURLE_URL_MALFORMAT || rc == CURLE_UNSUPPORTED_PROTOCOL)
        return err_set(e, ERR_CONFIG, "\"%.200s\" is not the URL of a node", url);
    if (rc != CURLE_OK)
        return err_set(e, ERR_IO, "%.200s: %s", url, why[0] ? why : libcurl.easy_strerror(rc));
    return is_success(c->status) ? ERR_OK
                                 : call_problem(c->problem.data, c->problem.len, c->status, e);
}

enum err_code call_run(struct call *c, CURL *curl, struct err *e)
{
    char url[CALL_URL_MAX];
    size_t len = strlen(c->base);
    if (call_check_url(c->base, e) != ERR_OK)
        return e->code;
    while (len > 0 && c->base[len - 1] == '/')
        len--;
    int n = snprintf(url, sizeof url, "%.*s%s", (int)len, c->base, c->path);
    if (n < 0 || (size_t)n >= sizeof url)
        return err_set(e, ERR_CONFIG, "the URL is too long");
    c->curl = curl;
    c->status = 0;
    c->seq = 0;
    c->node[0] = '\0';
    c->sent = c->unwanted = false;
    c->body_at = 0;
    buf_init(&c->problem, CALL_PROBLEM_MAX);
    enum err_code code = perform(c, url, e);
    buf_free(&c->problem);
    return code;
}
