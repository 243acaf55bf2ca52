/*
 * A spool is a file of `file_len` bytes (none yet: 0) followed by the tail in memory:
 *
 *     |<------- file_len ------->|<-- tail.len -->|
 *     0                                            spool_len()
 */
#include "base/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"

struct spool {
    struct buf tail;
    uint64_t file_len;
    size_t memory_limit;
    int fd; /* -1 = no file */
    struct err err;
    char dir[];
};

struct spool *spool_new(const char *dir, size_t memory_limit)
{
    size_t n = strlen(dir) + 1;
    struct spool *s = calloc(1, sizeof *s + n);

    if (!s)
        return NULL;
    memcpy(s->dir, dir, n);
    s->memory_limit = memory_limit;
    s->fd = -1;
    err_clear(&s->err);
    return s;
}

static void close_file(struct spool *s)
{
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
    s->file_len = 0;
}

void spool_free(struct spool *s)
{
    if (!s)
        return;
    close_file(s);
    buf_free(&s->tail);
    free(s);
}

void spool_reset(struct spool *s)
{
    close_file(s);
    err_clear(&s->err);
    /* One huge change must not keep its memory for ever. */
    if (s->tail.cap > s->memory_limit && s->tail.cap - s->memory_limit > s->memory_limit)
        buf_free(&s->tail);
    buf_reset(&s->tail);
}

struct buf *spool_tail(struct spool *s)
{
    return &s->tail;
}

static enum err_code io_error(struct err *e, const char *what, const char *dir, int number)
{
    bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;

    return err_set(e, full ? ERR_DISK_FULL : ERR_IO, "temporary file in %s: %s: %s", dir, what,
                   strerror(number));
}

/* Filesystems without O_TMPFILE (overlayfs of old kernels, NFS) get a named file that loses its
 * name at once. */
static enum err_code open_file(struct spool *s)
{
    char path[4096];
    int fd = open(s->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT)) {
        int n = snprintf(path, sizeof path, "%s/ha-spool-XXXXXX", s->dir);
        if (n < 0 || (size_t)n >= sizeof path)
            return io_error(&s->err, "open", s->dir, ENAMETOOLONG);
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0)
            (void)unlink(path);
    }
    if (fd < 0)
        return io_error(&s->err, "open", s->dir, errno);
    s->fd = fd;
    return ERR_OK;
}

void spool_flush(struct spool *s)
{
    size_t done = 0;

    if (s->err.code || !buf_ok(&s->tail) || s->tail.len <= s->memory_limit)
        return;
    if (s->fd < 0 && open_file(s))
        return;
    if (FAULT_FAILS("spool.write")) {
        (void)io_error(&s->err, "write", s->dir, ENOSPC);
        return;
    }
    while (done < s->tail.len) {
        ssize_t n =
            pwrite(s->fd, s->tail.data + done, s->tail.len - done, (off_t)(s->file_len + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            (void)io_error(&s->err, "write", s->dir, n < 0 ? errno : ENOSPC);
            return;
        }
        done += (size_t)n;
    }
    s->file_len += done;
    buf_reset(&s->tail);
}

uint64_t spool_len(const struct spool *s)
{
    return s->file_len + s->tail.len;
}

void spool_cut(struct spool *s, uint64_t len)
{
    if (len >= s->file_len) {
        uint64_t keep = len - s->file_len;
        if (keep < s->tail.len)
            buf_cut(&s->tail, (size_t)keep);
        return;
    }
    buf_cut(&s->tail, 0);
    s->file_len = len;
    /* Only gives room back; what lies beyond file_len is never read. */
    if (ftruncate(s->fd, (off_t)len) != 0)
        return;
}

bool spool_ok(const struct spool *s)
{
    return !s->err.code && buf_ok(&s->tail);
}

enum err_code spool_error(const struct spool *s, struct err *e)
{
    if (s->err.code) {
        *e = s->err;
        return e->code;
    }
    if (!buf_ok(&s->tail))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    return ERR_OK;
}

bool spool_in_memory(const struct spool *s, const char **data)
{
    if (s->file_len > 0)
        return false;
    *data = s->tail.data ? s->tail.data : "";
    return true;
}

enum err_code spool_read(struct spool *s, uint64_t offset, void *out, size_t n, size_t *got,
                         struct err *e)
{
    char *p = out;

    *got = 0;
    while (n > 0 && offset < s->file_len) {
        uint64_t left = s->file_len - offset;
        ssize_t r = pread(s->fd, p, left < n ? (size_t)left : n, (off_t)offset);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return io_error(e, "read", s->dir, r < 0 ? errno : EIO);
        p += r;
        n -= (size_t)r;
        offset += (uint64_t)r;
        *got += (size_t)r;
    }
    if (n > 0 && offset >= s->file_len && offset - s->file_len < s->tail.len) {
        size_t from = (size_t)(offset - s->file_len);
        size_t take = s->tail.len - from < n ? s->tail.len - from : n;
        memcpy(p, s->tail.data + from, take);
        *got += take;
    }
    return ERR_OK;
}
