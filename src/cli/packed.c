#include "cli/packed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"
#include "repl/pack.h"
#include "repl/unpack.h"

#define PACKED_SUFFIX      ".zst"
#define PACKED_PIECE_BYTES ((size_t)128 * 1024)

/* The first bytes of a zstd frame (RFC 8878). */
static const char magic[4] = {'\x28', '\xb5', '\x2f', '\xfd'};

bool packed_is_name(const char *file)
{
    size_t len = strlen(file), suffix = strlen(PACKED_SUFFIX);
    return len > suffix && strcmp(file + len - suffix, PACKED_SUFFIX) == 0;
}

bool packed_is_file(int fd)
{
    char head[sizeof magic];
    return pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
           memcmp(head, magic, sizeof magic) == 0;
}

/* Every byte of a file, from its beginning. */
static enum err_code each_piece(int fd, const char *name, struct bar *bar,
                                enum err_code (*take)(void *arg, const void *bytes, size_t len,
                                                      struct err *e),
                                void *arg, struct err *e)
{
    struct stat st;
    uint64_t at = 0;
    char *piece = malloc(PACKED_PIECE_BYTES);
    enum err_code code = ERR_OK;
    if (!piece)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    if (fstat(fd, &st) != 0)
        code = file_error(e, "read", name, errno);
    while (code == ERR_OK) {
        ssize_t n = pread(fd, piece, PACKED_PIECE_BYTES, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            code = file_error(e, "read", name, errno);
        if (n <= 0)
            break;
        code = take(arg, piece, (size_t)n, e);
        at += (uint64_t)n;
        bar_show(bar, at, (uint64_t)st.st_size);
    }
    free(piece);
    return code;
}

/* ---- writing -------------------------------------------------------------------------------- */

struct target {
    int fd;
    const char *path;
};

static enum err_code put(void *arg, const void *bytes, size_t len, struct err *e)
{
    const struct target *t = arg;
    int number = file_write_all(t->fd, bytes, len);
    return number == 0 ? ERR_OK : file_error(e, "write", t->path, number);
}

static enum err_code add(void *pack, const void *bytes, size_t len, struct err *e)
{
    return pack_add(pack, bytes, len, e);
}

enum err_code packed_write(int from, int to, const char *path, struct bar *bar, struct err *e)
{
    struct target t = {to, path};
    struct pack *pack = NULL;
    enum err_code code = pack_new(&pack, put, &t, e);
    if (code == ERR_OK)
        code = each_piece(from, path, bar, add, pack, e);
    if (code == ERR_OK)
        code = pack_end(pack, e);
    if (code == ERR_OK && fsync(to) != 0)
        code = file_error(e, "sync", path, errno);
    pack_free(pack);
    return code;
}

/* ---- reading -------------------------------------------------------------------------------- */

void packed_begin(struct packed_sink *s, int fd, const char *path, const char *name, struct err *e)
{
    *s = (struct packed_sink){.fd = fd, .path = path, .name = name, .e = e};
}

static bool write_plain(void *sink, const void *bytes, size_t len)
{
    struct packed_sink *s = sink;
    s->failed = file_write_all(s->fd, bytes, len);
    return s->failed == 0;
}

/* What is known to be compressed, or known not to be. */
static enum err_code pass(struct packed_sink *s, const void *bytes, size_t len)
{
    if (s->unpack)
        (void)unpack_add(s->unpack, bytes, len, s->e);
    else
        (void)write_plain(s, bytes, len);
    if (s->failed)
        file_error(s->e, "write", s->path, s->failed);
    else if (s->e->code != ERR_OK)
        err_wrap(s->e, "%.100s", s->name);
    return s->e->code;
}

static enum err_code decide(struct packed_sink *s)
{
    s->decided = true;
    if (s->n_head == sizeof magic && memcmp(s->head, magic, sizeof magic) == 0 &&
        unpack_new(&s->unpack, UNPACK_ANY, NULL, write_plain, s, s->e) != ERR_OK)
        return s->e->code;
    return pass(s, s->head, s->n_head);
}

bool packed_take(void *sink, const void *bytes, size_t len)
{
    struct packed_sink *s = sink;
    const char *from = bytes;
    while (!s->decided && len > 0) {
        s->head[s->n_head++] = *from++;
        len--;
        if (s->n_head == sizeof s->head && decide(s) != ERR_OK)
            return false;
    }
    return len == 0 || pass(s, from, len) == ERR_OK;
}

enum err_code packed_end(struct packed_sink *s, enum err_code code)
{
    if (code == ERR_OK && !s->decided)
        code = decide(s);
    if (code == ERR_OK && s->unpack && unpack_end(s->unpack, s->e) != ERR_OK)
        code = err_wrap(s->e, "%.100s", s->name);
    if (code == ERR_OK && fsync(s->fd) != 0)
        code = file_error(s->e, "sync", s->path, errno);
    unpack_free(s->unpack);
    s->unpack = NULL;
    return code;
}

static enum err_code take(void *sink, const void *bytes, size_t len, struct err *e)
{
    return packed_take(sink, bytes, len) ? ERR_OK : e->code;
}

enum err_code packed_read(int from, const char *name, int to, const char *path, struct bar *bar,
                          struct err *e)
{
    struct packed_sink s;
    packed_begin(&s, to, path, name, e);
    return packed_end(&s, each_piece(from, name, bar, take, &s, e));
}
