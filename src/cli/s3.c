/*
 * S3 by libcurl.
 *
 *   s3_is_uri, s3_open, s3_free
 *   s3_find, s3_get
 *   s3_put                  one PUT, or in parts: create, put each, complete; on failure abort
 *
 * libcurl 7.88 signs the path and the query as they are given: both are given in the canonical form
 * (escaped; fields in order and each with its "="). It signs the headers that it is given and the
 * ones "host" and "x-amz-date" that it makes itself; x-amz-content-sha256 is given.
 */
#include "cli/s3.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/sha256.h"
#include "cli/cli.h"
#include "cli/curl.h"
#include "os/file.h"

#define S3_SCHEME       "s3://"
#define S3_CONNECT_S    10L
#define S3_STALL_S      120L /* without a single byte; completing takes the server its time */
#define S3_PART_BYTES   ((int64_t)64 * 1024 * 1024)
#define S3_PARTS_MAX    10000 /* the protocol's */
#define S3_KEY_MAX      1024  /* the protocol's, in bytes */
#define S3_ANSWER_MAX   ((size_t)64 * 1024)
#define S3_TAG_SIZE     128
#define S3_UPLOAD_MAX   1024 /* bytes of an upload's id */
#define S3_PIECE_BYTES  ((size_t)64 * 1024)
#define S3_WORDS_SIZE   300 /* of what a server says is wrong */
#define S3_HEADER_BYTES 4096

enum { OK = 200, PARTIAL = 206, MOVED = 301, REDIRECT = 307, NOT_THERE = 404, NO_RANGE = 416 };

struct s3 {
    CURL *curl;
    char *name;     /* as the user wrote it */
    struct buf url; /* endpoint/bucket/key, escaped */
    char *key_id, *secret, *token, *sigv4;
    int64_t part_bytes;
    struct bar *bar; /* borrowed, of the call under way; NULL = none */
};

/* One request. */
struct call {
    /* asked for */
    const char *method, *query; /* query: canonical, NULL = none */
    const char *text;           /* the body, or NULL */
    int from;                   /* the body is of this file, or -1: `len` bytes at `offset` */
    int64_t offset, len;
    int64_t before, total; /* for the bar: bytes of earlier calls, bytes of all */
    /* Where a body of 200 goes; NULL = into `answer`. */
    bool (*write)(void *arg, const void *bytes, size_t len);
    void *arg;
    const char *range;
    /* answered */
    long status;
    int64_t size; /* Content-Length, -1 = unknown */
    char tag[S3_TAG_SIZE];
    struct buf answer; /* cut where it is too long */
    int64_t got;       /* bytes that write() took */
    bool unwanted;     /* it took no more */
    /* on the way */
    struct s3 *s;
    int64_t at; /* bytes of the body that were sent */
    int failed; /* errno of reading a file */
};

/* A signal that ends the process came while something was being put. */
static volatile sig_atomic_t stopping;

static void stop(int number)
{
    stopping = number;
}

bool s3_is_uri(const char *word)
{
    return strncmp(word, S3_SCHEME, strlen(S3_SCHEME)) == 0;
}

/* ---- a request ------------------------------------------------------------------------------ */

static void call_init(struct call *c, struct s3 *s, const char *method)
{
    *c = (struct call){.method = method, .from = -1, .size = -1, .s = s};
    buf_init(&c->answer, S3_ANSWER_MAX);
}

static size_t receive(char *bytes, size_t size, size_t n, void *arg)
{
    struct call *c = arg;
    size_t len = size * n;
    libcurl.easy_getinfo(c->s->curl, CURLINFO_RESPONSE_CODE, &c->status);
    if (!c->write || c->status != OK) {
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
    struct call *c = arg;
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
    struct call *c = arg;
    if (origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    c->at = offset;
    return CURL_SEEKFUNC_OK;
}

static size_t header(char *line, size_t size, size_t n, void *arg)
{
    static const char name[] = "etag:";
    struct call *c = arg;
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
    const struct call *c = arg;
    (void)up;
    if (c->from >= 0)
        bar_show(c->s->bar, (uint64_t)(c->before + up_now), (uint64_t)c->total);
    else if (c->write)
        bar_show(c->s->bar, (uint64_t)now, (uint64_t)total);
    return c->from >= 0 && stopping; /* what is no upload goes on: the abort, too */
}

/* The digest of the body, as the signature has it. */
static enum err_code digest(struct call *c, char text[SHA256_TEXT_SIZE], struct err *e)
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

static struct curl_slist *headers(const struct call *c, const char *hash, struct err *e)
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

static void set_up(struct call *c, const char *url, struct curl_slist *list, char *why)
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

/* ERR_OK: there is an answer, of whatever status. */
static enum err_code call(struct call *c, struct err *e)
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

/* ---- answers -------------------------------------------------------------------------------- */

/* The text of the first element of that name, made fit for one line; false where there is none.
 * These answers are flat, and their elements have no attributes. */
static bool element(struct buf *xml, const char *name, char *out, size_t size)
{
    char open[32], close[32];
    (void)snprintf(open, sizeof open, "<%s>", name);
    (void)snprintf(close, sizeof close, "</%s>", name);
    const char *from = strstr(buf_cstr(xml), open);
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

static enum err_code refusal(struct call *c, const char *what, struct err *e)
{
    char code[64] = "", words[S3_WORDS_SIZE] = "";
    enum err_code err = c->status == NOT_THERE                 ? ERR_NOT_FOUND
                        : c->status == 401 || c->status == 403 ? ERR_AUTH
                                                               : ERR_IO;
    (void)element(&c->answer, "Message", words, sizeof words);
    if (c->status == MOVED || c->status == REDIRECT)
        return err_set(e, err,
                       "cannot %s %.100s: the bucket is in another region, or at another "
                       "endpoint (HTTP status %ld)",
                       what, c->s->name, c->status);
    if (element(&c->answer, "Code", code, sizeof code))
        return err_set(e, err, "cannot %s %.100s: %s%s%s (HTTP status %ld)", what, c->s->name, code,
                       words[0] ? ": " : "", words, c->status);
    return err_set(e, err, "cannot %s %.100s: the storage answers with HTTP status %ld", what,
                   c->s->name, c->status);
}

/* ---- open ----------------------------------------------------------------------------------- */

static void escape(struct buf *b, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char ch = text[i];
        if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
            (ch && strchr("-._~/", ch)))
            buf_putc(b, ch);
        else
            buf_printf(b, "%%%02X", (unsigned)(unsigned char)ch);
    }
}

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
    escape(&s->url, bucket, strlen(bucket));
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

/* ---- find and get --------------------------------------------------------------------------- */

enum err_code s3_find(struct s3 *s, bool *there, struct err *e)
{
    char code[64] = "";
    struct call c;
    call_init(&c, s, "GET"); /* HEAD's answer does not tell a missing key from a missing bucket */
    c.range = "0-0";
    enum err_code err = call(&c, e);
    /* A server that knows no ranges sends all of it, which receive() does not take. */
    *there = c.status == OK || c.status == PARTIAL || c.status == NO_RANGE;
    if (*there || (err == ERR_OK && c.status == NOT_THERE &&
                   element(&c.answer, "Code", code, sizeof code) && strcmp(code, "NoSuchKey") == 0))
        err = ERR_OK;
    else if (err == ERR_OK)
        err = refusal(&c, "look at", e);
    buf_free(&c.answer);
    return err;
}

enum err_code s3_get(struct s3 *s, bool (*write)(void *arg, const void *bytes, size_t len),
                     void *arg, struct bar *bar, struct err *e)
{
    struct call c;
    call_init(&c, s, "GET");
    c.write = write;
    c.arg = arg;
    s->bar = bar;
    enum err_code err = call(&c, e);
    s->bar = NULL;
    if (err == ERR_OK && c.status != OK)
        err = refusal(&c, "get", e);
    else if (err == ERR_OK && c.size >= 0 && c.got != c.size)
        err = err_set(e, ERR_IO, "%.100s: only %" PRId64 " of %" PRId64 " bytes came", s->name,
                      c.got, c.size);
    buf_free(&c.answer);
    return err;
}

/* ---- put ------------------------------------------------------------------------------------ */

/* Is what is there now what was sent? `tag` is what the server called it when it took it. */
static enum err_code compare(struct s3 *s, int64_t size, const char *tag, struct err *e)
{
    struct call c;
    call_init(&c, s, "HEAD");
    enum err_code err = call(&c, e);
    if (err == ERR_OK && c.status != OK)
        err = refusal(&c, "look at", e);
    else if (err == ERR_OK && c.size != size)
        err = err_set(e, ERR_IO, "%.100s has %" PRId64 " bytes after %" PRId64 " were sent",
                      s->name, c.size, size);
    else if (err == ERR_OK && tag[0] && strcmp(c.tag, tag) != 0)
        err = err_set(e, ERR_IO, "%.100s was replaced by another object meanwhile", s->name);
    buf_free(&c.answer);
    return err;
}

static enum err_code send_piece(struct s3 *s, int fd, const char *query, int64_t offset,
                                int64_t len, int64_t total, char tag[S3_TAG_SIZE], struct err *e)
{
    struct call c;
    call_init(&c, s, "PUT");
    c.query = query;
    c.from = fd;
    c.offset = c.before = offset;
    c.len = len;
    c.total = total;
    enum err_code err = call(&c, e);
    if (err == ERR_OK && c.status != OK)
        err = refusal(&c, "put", e);
    else if (err == ERR_OK && query && !c.tag[0])
        err = err_set(e, ERR_IO, "%.100s: the storage gave a part no ETag", s->name);
    memcpy(tag, c.tag, S3_TAG_SIZE);
    buf_free(&c.answer);
    return err;
}

static enum err_code begin(struct s3 *s, char id[S3_UPLOAD_MAX], struct err *e)
{
    struct call c;
    call_init(&c, s, "POST");
    c.query = "uploads=";
    c.text = "";
    enum err_code err = call(&c, e);
    if (err == ERR_OK && c.status != OK)
        err = refusal(&c, "put", e);
    else if (err == ERR_OK && (!element(&c.answer, "UploadId", id, S3_UPLOAD_MAX) || !id[0]))
        err = err_set(e, ERR_IO, "%.100s: the storage gave the upload no id", s->name);
    buf_free(&c.answer);
    return err;
}

/* The parts that arrived cost money until this. Says it where it fails, behind what failed. */
static void give_up(struct s3 *s, const char *query, struct err *e)
{
    struct err ignored = ERR_INIT;
    char why[ERR_MSG_SIZE];
    struct call c;
    call_init(&c, s, "DELETE");
    c.query = query;
    if (call(&c, &ignored) != ERR_OK || c.status / 100 != 2) {
        memcpy(why, e->msg, sizeof why);
        err_set(e, e->code, "%.350s; parts of it stay in the storage (abort the upload there)",
                why);
    }
    buf_free(&c.answer);
}

static enum err_code complete(struct s3 *s, const char *query, struct buf *list,
                              char tag[S3_TAG_SIZE], struct err *e)
{
    struct call c;
    char text[S3_TAG_SIZE] = "";
    call_init(&c, s, "POST");
    c.query = query;
    c.text = buf_cstr(list);
    enum err_code err = call(&c, e);
    /* The status is sent before the server knows how it ends; the body says it. */
    if (err == ERR_OK && (c.status != OK || !strstr(buf_cstr(&c.answer), "MultipartUploadResult")))
        err = refusal(&c, "complete", e);
    /* The quotes around it may be escaped. */
    (void)element(&c.answer, "ETag", text, sizeof text);
    const char *from = text + strspn(text, "\"");
    if (strncmp(from, "&quot;", 6) == 0 || strncmp(from, "&#34;", 5) == 0)
        from = strchr(from, ';') + 1;
    (void)snprintf(tag, S3_TAG_SIZE, "%.*s", (int)strcspn(from, "\"&"), from);
    buf_free(&c.answer);
    return err;
}

static enum err_code put_parts(struct s3 *s, int fd, int64_t size, char tag[S3_TAG_SIZE],
                               struct err *e)
{
    char id[S3_UPLOAD_MAX] = "", part_tag[S3_TAG_SIZE];
    struct buf upload = BUF_INIT, query = BUF_INIT, list = BUF_INIT;
    int64_t step = s->part_bytes, least = (size + S3_PARTS_MAX - 1) / S3_PARTS_MAX;
    if (step < least)
        step = least;
    enum err_code err = begin(s, id, e);
    if (err != ERR_OK)
        return err;
    buf_puts(&upload, "uploadId=");
    for (const char *p = id; *p; p++) /* a slash is no separator here */
        if (*p == '/')
            buf_puts(&upload, "%2F");
        else
            escape(&upload, p, 1);
    buf_puts(&list, "<CompleteMultipartUpload>");
    int64_t number = 1;
    for (int64_t at = 0; at < size && err == ERR_OK; at += step, number++) {
        int64_t len = size - at < step ? size - at : step;
        buf_reset(&query);
        buf_printf(&query, "partNumber=%" PRId64 "&%s", number, buf_cstr(&upload));
        err = send_piece(s, fd, buf_cstr(&query), at, len, size, part_tag, e);
        buf_printf(&list, "<Part><PartNumber>%" PRId64 "</PartNumber><ETag>\"%s\"</ETag></Part>",
                   number, part_tag);
    }
    buf_puts(&list, "</CompleteMultipartUpload>");
    if (err == ERR_OK && (!buf_ok(&list) || !buf_ok(&query)))
        err = err_set(e, ERR_NO_MEMORY, "out of memory");
    if (err == ERR_OK)
        err = complete(s, buf_cstr(&upload), &list, tag, e);
    if (err != ERR_OK)
        give_up(s, buf_cstr(&upload), e);
    buf_free(&upload);
    buf_free(&query);
    buf_free(&list);
    return err;
}

enum err_code s3_put(struct s3 *s, int fd, struct bar *bar, struct err *e)
{
    char tag[S3_TAG_SIZE] = "";
    struct stat st;
    if (fstat(fd, &st) != 0)
        return file_error(e, "read", "the file to be sent", errno);
    /* Parts that are there are aborted, and the caller's files removed, before the process ends. */
    struct sigaction on = {.sa_handler = stop}, interrupt, terminate;
    sigemptyset(&on.sa_mask);
    stopping = 0;
    sigaction(SIGINT, &on, &interrupt);
    sigaction(SIGTERM, &on, &terminate);
    sigset_t both, blocked; /* the program blocks them where it starts */
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &both, &blocked);
    s->bar = bar;
    enum err_code err = st.st_size <= s->part_bytes
                            ? send_piece(s, fd, NULL, 0, st.st_size, st.st_size, tag, e)
                            : put_parts(s, fd, st.st_size, tag, e);
    pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGTERM, &terminate, NULL);
    s->bar = NULL;
    return err == ERR_OK ? compare(s, st.st_size, tag, e) : err;
}
