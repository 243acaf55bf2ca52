/*
 * libcurl 7.88 signs the path and the query as they are given: both are given in the canonical form
 * (escaped; fields in order and each with its "="). It signs the headers that it is given and the
 * ones "host" and "x-amz-date" that it makes itself; x-amz-content-sha256 is given.
 */
#include "cli/s3_call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/sha256.h"
#include "os/file.h"

#define S3_CONNECT_S   10L
#define S3_STALL_S     120L /* without a single byte; completing takes the server its time */
#define S3_ANSWER_MAX  ((size_t)64 * 1024)
#define S3_PIECE_BYTES ((size_t)64 * 1024)
#define S3_WORDS_SIZE  300 /* of what a server says is wrong */

void s3_call_init(struct s3_call *c, struct s3 *s, const char *method)
{
    *c = (struct s3_call){.method = method, .from = -1, .size = -1, .s = s};
    buf_init(&c->answer, S3_ANSWER_MAX);
}

static size_t receive(char *bytes, size_t size, size_t n, void *arg)
{
    struct s3_call *c = arg;
    size_t len = size * n;
    libcurl.easy_getinfo(c->s->curl, CURLINFO_RESPONSE_CODE, &c->status);
    if (!c->write || c->status != S3_OK) {
        if (len > S3_ANSWER_MAX - c->answer.len)
            return 0; /* nothing that is kept in memory is as long as that */
        buf_put(&c->answer, bytes, len);
        return len;
    }
    c->unwanted = !c->write(c->arg, bytes, len);
    c->got += (int64_t)len;
    return c->unwanted ? 0 : len;
}

static size_t give(char *bytes, size_t size, size_t n, void *arg)
{
    struct s3_call *c = arg;
    size_t want = size * n;
    if ((int64_t)want > c->len - c->at)
        want = (size_t)(c->len - c->at);
    ssize_t r = pread(c->from, bytes, want, c->offset + c->at);
    if (r < 0) {
        c->failed = errno;
        return CURL_READFUNC_ABORT;
    }
    c->at += r;
    return (size_t)r;
}

/* A connection that broke before the first answer is begun anew by libcurl. */
static int again(void *arg, curl_off_t offset, int origin)
{
    struct s3_call *c = arg;
    if (origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    c->at = offset;
    return CURL_SEEKFUNC_OK;
}

static size_t header(char *line, size_t size, size_t n, void *arg)
{
    static const char name[] = "etag:";
    struct s3_call *c = arg;
    size_t len = size * n, skip = sizeof name - 1;
    if (len > skip && strncasecmp(line, name, skip) == 0) {
        while (skip < len && (line[skip] == ' ' || line[skip] == '"'))
            skip++;
        size_t end = skip;
        while (end < len && !strchr("\"\r\n", line[end]) && end - skip < S3_TAG_SIZE - 1)
            end++;
        memcpy(c->tag, line + skip, end - skip);
        c->tag[end - skip] = '\0';
    }
    return size * n;
}

static int show(void *arg, curl_off_t total, curl_off_t now, curl_off_t up, curl_off_t up_now)
{
    const struct s3_call *c = arg;
    (void)up;
    if (c->from >= 0)
        bar_show(c->s->bar, (uint64_t)(c->before + up_now), (uint64_t)c->total);
    else if (c->write)
        bar_show(c->s->bar, (uint64_t)now, (uint64_t)total);
    return c->stopping && *c->stopping;
}

/* The digest of the body, as the signature has it. */
static enum err_code digest(struct s3_call *c, char text[SHA256_TEXT_SIZE], struct err *e)
{
    unsigned char d[SHA256_SIZE];
    if (c->from < 0) {
        sha256(c->text ? c->text : "", c->text ? strlen(c->text) : 0, d);
        sha256_text(d, text);
        return ERR_OK;
    }
    static char piece[S3_PIECE_BYTES];
    struct sha256 *sum = sha256_new();
    int64_t at = 0;
    while (at < c->len) {
        size_t want = c->len - at < (int64_t)sizeof piece ? (size_t)(c->len - at) : sizeof piece;
        ssize_t r = pread(c->from, piece, want, c->offset + at);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        sha256_add(sum, piece, (size_t)r);
        at += r;
    }
    int number = errno;
    sha256_end(sum, d);
    sha256_free(sum);
    sha256_text(d, text);
    return at == c->len ? ERR_OK : file_error(e, "read", "the file to be sent", number);
}

static struct curl_slist *headers(const struct s3_call *c, const char *hash, struct err *e)
{
    char line[S3_HEADER_BYTES];
    struct curl_slist *list = NULL, *more;
    (void)snprintf(line, sizeof line, "x-amz-content-sha256: %s", hash);
    list = libcurl.slist_append(NULL, line);
    if (list && (c->from >= 0 || c->text)) {
        more = libcurl.slist_append(list, "content-type: application/octet-stream");
        if (!more)
            libcurl.slist_free_all(list);
        list = more;
    }
    if (list && c->s->token) {
        (void)snprintf(line, sizeof line, "x-amz-security-token: %s", c->s->token);
        more = libcurl.slist_append(list, line);
        if (!more)
            libcurl.slist_free_all(list);
        list = more;
    }
    if (!list)
        err_set(e, ERR_NO_MEMORY, "out of memory");
    return list;
}

static void set_up(struct s3_call *c, const char *url, struct curl_slist *list, char *why)
{
    CURL *h = c->s->curl;
    libcurl.easy_reset(h); /* keeps the connection */
    libcurl.easy_setopt(h, CURLOPT_URL, url);
    libcurl.easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);
    libcurl.easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    libcurl.easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    libcurl.easy_setopt(h, CURLOPT_CONNECTTIMEOUT, S3_CONNECT_S);
    libcurl.easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
    libcurl.easy_setopt(h, CURLOPT_LOW_SPEED_TIME, S3_STALL_S);
    libcurl.easy_setopt(h, CURLOPT_ERRORBUFFER, why);
    libcurl.easy_setopt(h, CURLOPT_AWS_SIGV4, c->s->sigv4);
    libcurl.easy_setopt(h, CURLOPT_USERNAME, c->s->key_id);
    libcurl.easy_setopt(h, CURLOPT_PASSWORD, c->s->secret);
    libcurl.easy_setopt(h, CURLOPT_HTTPHEADER, list);
    libcurl.easy_setopt(h, CURLOPT_WRITEFUNCTION, receive);
    libcurl.easy_setopt(h, CURLOPT_WRITEDATA, c);
    libcurl.easy_setopt(h, CURLOPT_HEADERFUNCTION, header);
    libcurl.easy_setopt(h, CURLOPT_HEADERDATA, c);
    libcurl.easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    libcurl.easy_setopt(h, CURLOPT_XFERINFOFUNCTION, show);
    libcurl.easy_setopt(h, CURLOPT_XFERINFODATA, c);
    if (c->range)
        libcurl.easy_setopt(h, CURLOPT_RANGE, c->range);
    if (c->from >= 0) {
        libcurl.easy_setopt(h, CURLOPT_UPLOAD, 1L);
        libcurl.easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)c->len);
        libcurl.easy_setopt(h, CURLOPT_READFUNCTION, give);
        libcurl.easy_setopt(h, CURLOPT_READDATA, c);
        libcurl.easy_setopt(h, CURLOPT_SEEKFUNCTION, again);
        libcurl.easy_setopt(h, CURLOPT_SEEKDATA, c);
    } else if (c->text) {
        libcurl.easy_setopt(h, CURLOPT_POSTFIELDS, c->text);
        libcurl.easy_setopt(h, CURLOPT_POSTFIELDSIZE, (long)strlen(c->text));
    } else if (strcmp(c->method, "HEAD") == 0) {
        libcurl.easy_setopt(h, CURLOPT_NOBODY, 1L);
    } else if (strcmp(c->method, "GET") != 0) {
        libcurl.easy_setopt(h, CURLOPT_CUSTOMREQUEST, c->method);
    }
}

enum err_code s3_call_send(struct s3_call *c, struct err *e)
{
    struct s3 *s = c->s;
    char why[CURL_ERROR_SIZE] = "", hash[SHA256_TEXT_SIZE];
    struct buf url = BUF_INIT;
    if (digest(c, hash, e) != ERR_OK)
        return e->code;
    buf_puts(&url, buf_cstr(&s->url));
    if (c->query)
        buf_printf(&url, "?%s", c->query);
    struct curl_slist *list = headers(c, hash, e);
    if (!list || !buf_ok(&url)) {
        libcurl.slist_free_all(list);
        buf_free(&url);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    set_up(c, buf_cstr(&url), list, why);
    CURLcode rc = libcurl.easy_perform(s->curl);
    curl_off_t size = -1;
    libcurl.easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &c->status);
    libcurl.easy_getinfo(s->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
    c->size = size;
    libcurl.easy_setopt(s->curl, CURLOPT_HTTPHEADER, NULL);
    libcurl.easy_setopt(s->curl, CURLOPT_ERRORBUFFER, NULL);
    libcurl.slist_free_all(list);
    buf_free(&url);
    if (c->failed)
        return file_error(e, "read", "the local file", c->failed);
    if (c->unwanted)
        return e->code;
    if (rc == CURLE_URL_MALFORMAT || rc == CURLE_UNSUPPORTED_PROTOCOL)
        return err_set(e, ERR_CONFIG, "the S3 endpoint is not a URL (http://host:port)");
    if (rc == CURLE_ABORTED_BY_CALLBACK)
        return err_set(e, ERR_INTERRUPTED, "%.100s: interrupted", s->name);
    if (rc != CURLE_OK)
        return err_set(e, ERR_IO, "%.100s: %.300s", s->name,
                       why[0] ? why : libcurl.easy_strerror(rc));
    return ERR_OK;
}

/* ---- answers ---- */

bool s3_call_element(struct s3_call *c, const char *name, char *out, size_t size)
{
    char open[32], close[32];
    (void)snprintf(open, sizeof open, "<%s>", name);
    (void)snprintf(close, sizeof close, "</%s>", name);
    const char *from = strstr(buf_cstr(&c->answer), open);
    const char *to = from ? strstr(from, close) : NULL;
    if (!to)
        return false;
    from += strlen(open);
    size_t len = (size_t)(to - from) < size - 1 ? (size_t)(to - from) : size - 1;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)((unsigned char)from[i] < ' ' || from[i] == 127 ? ' ' : from[i]);
    out[len] = '\0';
    return true;
}

enum err_code s3_call_refused(struct s3_call *c, const char *what, struct err *e)
{
    char code[64] = "", words[S3_WORDS_SIZE] = "";
    enum err_code err = c->status == S3_NOT_THERE              ? ERR_NOT_FOUND
                        : c->status == 401 || c->status == 403 ? ERR_AUTH
                                                               : ERR_IO;
    (void)s3_call_element(c, "Message", words, sizeof words);
    if (c->status == S3_MOVED || c->status == S3_REDIRECT)
        return err_set(e, err,
                       "cannot %s %.100s: the bucket is in another region, or at another "
                       "endpoint (HTTP status %ld)",
                       what, c->s->name, c->status);
    if (s3_call_element(c, "Code", code, sizeof code))
        return err_set(e, err, "cannot %s %.100s: %s%s%s (HTTP status %ld)", what, c->s->name, code,
                       words[0] ? ": " : "", words, c->status);
    return err_set(e, err, "cannot %s %.100s: the storage answers with HTTP status %ld", what,
                   c->s->name, c->status);
}
