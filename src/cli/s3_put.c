/* s3_put(): one PUT, or in parts: create, put each, complete; on failure abort. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/s3.h"
#include "cli/s3_call.h"
#include "os/file.h"

#define S3_PARTS_MAX  10000 /* the protocol's */
#define S3_UPLOAD_MAX 1024  /* bytes of an upload's id */

/* A signal that ends the process came while something was being put. It ends the sending only: the
 * parts that are there have yet to be aborted. */
static volatile sig_atomic_t stopping;

static void stop(int number)
{
    stopping = number;
}

/* Is what is there now what was sent? `tag` is what the server called it when it took it. */
static enum err_code compare(struct s3 *s, int64_t size, const char *tag, struct err *e)
{
    struct s3_call c;
    s3_call_init(&c, s, "HEAD");
    enum err_code err = s3_call_send(&c, e);
    if (err == ERR_OK && c.status != S3_OK)
        err = s3_call_refused(&c, "look at", e);
    else if (err == ERR_OK && c.size != size)
        err = err_set(e, ERR_IO, "%.100s has %" PRId64 " bytes after %" PRId64 " were sent",
                      s->name, c.size, size);
    else if (err == ERR_OK && tag[0] && strcmp(c.tag, tag) != 0)
        err = err_set(e, ERR_IO, "%.100s was replaced by another object meanwhile", s->name);
    buf_free(&c.answer);
    return err;
}

/* `len` bytes at `offset` of a file of `total`. */
struct piece {
    int fd;
    int64_t offset, len, total;
    const char *query; /* which part of an upload it is; NULL = the whole object */
};

static enum err_code send_piece(struct s3 *s, const struct piece *p, char tag[S3_TAG_SIZE],
                                struct err *e)
{
    struct s3_call c;
    s3_call_init(&c, s, "PUT");
    c.query = p->query;
    c.from = p->fd;
    c.offset = c.before = p->offset;
    c.len = p->len;
    c.total = p->total;
    c.stopping = &stopping;
    enum err_code err = s3_call_send(&c, e);
    if (err == ERR_OK && c.status != S3_OK)
        err = s3_call_refused(&c, "put", e);
    else if (err == ERR_OK && p->query && !c.tag[0])
        err = err_set(e, ERR_IO, "%.100s: the storage gave a part no ETag", s->name);
    memcpy(tag, c.tag, S3_TAG_SIZE);
    buf_free(&c.answer);
    return err;
}

static enum err_code begin(struct s3 *s, char id[S3_UPLOAD_MAX], struct err *e)
{
    struct s3_call c;
    s3_call_init(&c, s, "POST");
    c.query = "uploads=";
    c.text = "";
    enum err_code err = s3_call_send(&c, e);
    if (err == ERR_OK && c.status != S3_OK)
        err = s3_call_refused(&c, "put", e);
    else if (err == ERR_OK && (!s3_call_element(&c, "UploadId", id, S3_UPLOAD_MAX) || !id[0]))
        err = err_set(e, ERR_IO, "%.100s: the storage gave the upload no id", s->name);
    buf_free(&c.answer);
    return err;
}

/* The parts that arrived cost money until this. Says it where it fails, behind what failed. */
static void give_up(struct s3 *s, const char *query, struct err *e)
{
    struct err ignored = ERR_INIT;
    char why[ERR_MSG_SIZE];
    struct s3_call c;
    s3_call_init(&c, s, "DELETE");
    c.query = query;
    if (s3_call_send(&c, &ignored) != ERR_OK || c.status / 100 != 2) {
        memcpy(why, e->msg, sizeof why);
        err_set(e, e->code, "%.350s; parts of it stay in the storage (abort the upload there)",
                why);
    }
    buf_free(&c.answer);
}

static enum err_code complete(struct s3 *s, const char *query, struct buf *list,
                              char tag[S3_TAG_SIZE], struct err *e)
{
    struct s3_call c;
    char text[S3_TAG_SIZE] = "";
    s3_call_init(&c, s, "POST");
    c.query = query;
    c.text = buf_cstr(list);
    enum err_code err = s3_call_send(&c, e);
    /* The status is sent before the server knows how it ends; the body says it. */
    if (err == ERR_OK &&
        (c.status != S3_OK || !strstr(buf_cstr(&c.answer), "MultipartUploadResult")))
        err = s3_call_refused(&c, "complete", e);
    /* The quotes around it may be escaped. */
    (void)s3_call_element(&c, "ETag", text, sizeof text);
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
    cli_http_escape(&upload, id);
    buf_puts(&list, "<CompleteMultipartUpload>");
    int64_t number = 1;
    for (int64_t at = 0; at < size && err == ERR_OK; at += step, number++) {
        struct piece p = {
            .fd = fd, .offset = at, .len = size - at < step ? size - at : step, .total = size};
        buf_reset(&query);
        buf_printf(&query, "partNumber=%" PRId64 "&%s", number, buf_cstr(&upload));
        p.query = buf_cstr(&query);
        err = send_piece(s, &p, part_tag, e);
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
    const struct piece whole = {.fd = fd, .len = st.st_size, .total = st.st_size};
    enum err_code err = st.st_size <= s->part_bytes ? send_piece(s, &whole, tag, e)
                                                    : put_parts(s, fd, st.st_size, tag, e);
    pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGTERM, &terminate, NULL);
    s->bar = NULL;
    return err == ERR_OK ? compare(s, st.st_size, tag, e) : err;
}
