/* An object's name and credentials, and reading it. s3_put.c puts it there, s3_call.c is one
 * request. */
#include "cli/s3.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/s3_call.h"

#define S3_SCHEME     "s3://"
#define S3_PART_BYTES ((int64_t)64 * 1024 * 1024)
#define S3_KEY_MAX    1024 /* the protocol's, in bytes */

bool s3_is_uri(const char *word)
{
    return strncmp(word, S3_SCHEME, strlen(S3_SCHEME)) == 0;
}

/* ---- open ---- */

static bool is_word(const char *text, size_t len, const char *others)
{
    for (size_t i = 0; i < len; i++)
        if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9') ||
              (text[i] >= 'A' && text[i] <= 'Z') || (text[i] && strchr(others, text[i]))))
            return false;
    return len > 0;
}

static const char *environment(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

static enum err_code make_url(struct s3 *s, const char *endpoint, const char *region, struct err *e)
{
    const char *bucket = s->name + strlen(S3_SCHEME);
    const char *slash = strchr(bucket, '/');
    size_t len = slash ? (size_t)(slash - bucket) : 0;
    if (!slash || !slash[1] || !is_word(bucket, len, "-._") || strlen(slash + 1) > S3_KEY_MAX)
        return err_set(e, ERR_CONFIG, "\"%.200s\" is not s3://bucket/key", s->name);
    if (endpoint) {
        size_t n = strlen(endpoint);
        while (n > 0 && endpoint[n - 1] == '/')
            n--;
        /* A password in it would be sent, and shown. */
        if ((strncmp(endpoint, "http://", 7) != 0 && strncmp(endpoint, "https://", 8) != 0) ||
            strpbrk(endpoint, "@?# \r\n"))
            return err_set(e, ERR_CONFIG, "the S3 endpoint is not a URL (http://host:port)");
        buf_put(&s->url, endpoint, n);
    } else {
        buf_printf(&s->url, "https://s3.%s.amazonaws.com", region);
    }
    buf_putc(&s->url, '/');
    cli_http_escape_path(&s->url, bucket);
    return buf_ok(&s->url) ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

static enum err_code set_credentials(struct s3 *s, const char *region, struct err *e)
{
    const char *key_id = environment("AWS_ACCESS_KEY_ID");
    const char *secret = environment("AWS_SECRET_ACCESS_KEY");
    const char *token = environment("AWS_SESSION_TOKEN");
    char sigv4[128];
    if (!key_id || !secret)
        return err_set(e, ERR_CONFIG, "%s is not set",
                       key_id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    if (token && (strpbrk(token, "\r\n") || strlen(token) > S3_HEADER_BYTES - 64))
        return err_set(e, ERR_CONFIG, "AWS_SESSION_TOKEN is none");
    if (libcurl_load(e) != ERR_OK)
        return e->code;
    (void)snprintf(sigv4, sizeof sigv4, "aws:amz:%s:s3", region);
    s->key_id = strdup(key_id);
    s->secret = strdup(secret);
    s->token = token ? strdup(token) : NULL;
    s->sigv4 = strdup(sigv4);
    s->curl = libcurl.easy_init();
    if (!s->key_id || !s->secret || (token && !s->token) || !s->sigv4 || !s->curl)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    return ERR_OK;
}

enum err_code s3_open(struct s3 **out, const char *uri, const char *endpoint, const char *region,
                      struct err *e)
{
    struct s3 *s = calloc(1, sizeof *s);
    const char *part = environment("HA_S3_PART_BYTES"); /* for tests */
    *out = NULL;
    if (!s || !(s->name = strdup(uri))) {
        free(s);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    if (!endpoint)
        endpoint = environment("AWS_ENDPOINT_URL");
    if (!region)
        region = environment("AWS_REGION");
    if (!region)
        region = "us-east-1";
    s->part_bytes = part ? strtoll(part, NULL, 10) : S3_PART_BYTES;
    if (s->part_bytes <= 0)
        s->part_bytes = S3_PART_BYTES;
    enum err_code code = ERR_OK;
    if (!is_word(region, strlen(region), "-") || strlen(region) > 64) /* libcurl's limit */
        code = err_set(e, ERR_CONFIG, "\"%.100s\" is not the name of a region", region);
    if (code == ERR_OK)
        code = make_url(s, endpoint, region, e);
    if (code == ERR_OK)
        code = set_credentials(s, region, e);
    if (code == ERR_OK)
        *out = s;
    else
        s3_free(s);
    return code;
}

void s3_free(struct s3 *s)
{
    if (!s)
        return;
    if (s->curl)
        libcurl.easy_cleanup(s->curl);
    buf_free(&s->url);
    free(s->name);
    free(s->key_id);
    free(s->secret);
    free(s->token);
    free(s->sigv4);
    free(s);
}

/* ---- find and get ---- */

enum err_code s3_find(struct s3 *s, bool *there, struct err *e)
{
    char code[64] = "";
    struct s3_call c;
    s3_call_init(&c, s,
                 "GET"); /* HEAD's answer does not tell a missing key from a missing bucket */
    c.range = "0-0";
    enum err_code err = s3_call_send(&c, e);
    /* A server that knows no ranges sends all of it, which receive() does not take. */
    *there = c.status == S3_OK || c.status == S3_PARTIAL || c.status == S3_NO_RANGE;
    if (*there ||
        (err == ERR_OK && c.status == S3_NOT_THERE &&
         s3_call_element(&c, "Code", code, sizeof code) && strcmp(code, "NoSuchKey") == 0))
        err = ERR_OK;
    else if (err == ERR_OK)
        err = s3_call_refused(&c, "look at", e);
    buf_free(&c.answer);
    return err;
}

enum err_code s3_get(struct s3 *s, bool (*write)(void *arg, const void *bytes, size_t len),
                     void *arg, struct bar *bar, struct err *e)
{
    struct s3_call c;
    s3_call_init(&c, s, "GET");
    c.write = write;
    c.arg = arg;
    s->bar = bar;
    enum err_code err = s3_call_send(&c, e);
    s->bar = NULL;
    if (err == ERR_OK && c.status != S3_OK)
        err = s3_call_refused(&c, "get", e);
    else if (err == ERR_OK && c.size >= 0 && c.got != c.size)
        err = err_set(e, ERR_IO, "%.100s: only %" PRId64 " of %" PRId64 " bytes came", s->name,
                      c.got, c.size);
    buf_free(&c.answer);
    return err;
}
