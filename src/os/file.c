/*
 * Files and directories.
 *
 *   file_error, file_make_dirs, file_write_all, file_sync_parent, file_write, file_read
 *   file_remove_tree, file_free_bytes
 *   file_lock, file_unlock
 *   file_temp_dir, file_temp_remove
 */
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define LOCK_RETRY_MS  5
#define REMOVE_MAX_FDS 16 /* descriptors that removing a tree may hold open */
#define TEMP_PREFIX    "ha."
#define TEMP_LOCK      ".lock"
#define TEMP_GATE_WAIT (2 * CLOCK_S)

enum err_code file_error(struct err *e, const char *what, const char *path, int number)
{
    enum err_code code = ERR_IO;

    if (number == ENOSPC || number == EDQUOT)
        code = ERR_DISK_FULL;
    else if (number == ENOENT || number == ENOTDIR || number == EACCES || number == EPERM ||
             number == EISDIR || number == EROFS || number == ENAMETOOLONG || number == ELOOP)
        code = ERR_CONFIG;
    return err_set(e, code, "%s %s: %s", what, path, strerror(number));
}

static bool is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum err_code file_make_dirs(const char *path, mode_t mode, struct err *e)
{
    char part[PATH_MAX];
    size_t n = strlen(path);

    if (n == 0 || n >= sizeof part)
        return file_error(e, "cannot create directory", path, n ? ENAMETOOLONG : ENOENT);
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, mode) != 0) {
            int number = errno == EEXIST ? ENOTDIR : errno;
            if (!is_dir(part))
                return file_error(e, "cannot create directory", part, number);
        }
        part[i] = i < n ? '/' : '\0';
    }
    return ERR_OK;
}

int file_write_all(int fd, const void *bytes, size_t len)
{
    const char *p = bytes;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

enum err_code file_sync_parent(const char *path, struct err *e)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash && slash != path ? (size_t)(slash - path) : 1;
    int fd, number = 0;

    if (n >= sizeof dir)
        return file_error(e, "cannot sync the directory of", path, ENAMETOOLONG);
    memcpy(dir, slash ? path : ".", n);
    dir[n] = '\0';
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_error(e, "cannot open", dir, errno);
    if (fsync(fd) != 0 && errno != EINVAL) /* EINVAL: a filesystem that cannot */
        number = errno;
    (void)close(fd);
    return number ? file_error(e, "cannot sync", dir, number) : ERR_OK;
}

enum err_code file_write(const char *path, const void *bytes, size_t len, mode_t mode,
                         struct err *e)
{
    struct err ignored = ERR_INIT;
    char temp[PATH_MAX];
    int n = snprintf(temp, sizeof temp, "%s.XXXXXX", path);
    int fd, number;

    if (n < 0 || (size_t)n >= sizeof temp)
        return file_error(e, "cannot write", path, ENAMETOOLONG);
    fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return file_error(e, "cannot write", path, errno);
    number = file_write_all(fd, bytes, len);
    if (!number && (fchmod(fd, mode) != 0 || fsync(fd) != 0))
        number = errno;
    if (close(fd) != 0 && !number)
        number = errno;
    if (!number && rename(temp, path) != 0)
        number = errno;
    if (number) {
        (void)unlink(temp);
        return file_error(e, "cannot write", path, number);
    }
    (void)file_sync_parent(path, &ignored); /* else a crash may bring back the old content */
    return ERR_OK;
}

enum err_code file_read(const char *path, size_t limit, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t total = 0;

    if (fd < 0)
        return file_error(e, "cannot read", path, errno);
    for (;;) {
        char bytes[4096];
        ssize_t n = read(fd, bytes, sizeof bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int number = errno;
            (void)close(fd);
            return file_error(e, "cannot read", path, number);
        }
        if (n == 0)
            break;
        total += (size_t)n;
        if (total > limit) {
            (void)close(fd);
            return err_set(e, ERR_TOO_BIG, "%s is larger than %zu bytes", path, limit);
        }
        buf_put(out, bytes, (size_t)n);
    }
    (void)close(fd);
    return buf_ok(out) ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* ---- locks --------------------------------------------------------------------------------- */

/* What the holder wrote: its process id. */
static void read_holder(int fd, char *out, size_t size)
{
    ssize_t n = pread(fd, out, size - 1, 0);

    out[n > 0 ? n : 0] = '\0';
    out[strspn(out, "0123456789")] = '\0';
}

/* Opens the lock file; the name must be a plain file, for in /dev/shm anybody may have made it. */
static int open_lock(const char *path)
{
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
}

/* Whoever removes the file it has locked leaves its descriptor to who waited for it: what is locked
 * then has no name any more, and others lock another file. */
static bool is_at(int fd, const char *path)
{
    struct stat opened, there;

    return fstat(fd, &opened) == 0 && stat(path, &there) == 0 && opened.st_ino == there.st_ino &&
           opened.st_dev == there.st_dev;
}

enum err_code file_lock(int *fd, const char *path, int64_t deadline_ns, struct err *e)
{
    char pid[24];
    int n;

    *fd = -1;
    for (;;) {
        if (*fd < 0)
            *fd = open_lock(path);
        if (*fd < 0)
            return file_error(e, "cannot open lock file", path, errno);
        if (flock(*fd, LOCK_EX | LOCK_NB) == 0) {
            if (is_at(*fd, path))
                break;
            file_unlock(*fd);
            *fd = -1;
            continue;
        }
        int number = errno;

        if (number == EINTR)
            continue;
        if (number == EWOULDBLOCK && clock_mono_ns() < deadline_ns) {
            (void)poll(NULL, 0, LOCK_RETRY_MS);
            continue;
        }
        read_holder(*fd, pid, sizeof pid);
        file_unlock(*fd);
        *fd = -1;
        if (number != EWOULDBLOCK)
            return file_error(e, "cannot lock", path, number);
        return err_set(e, ERR_BUSY, "%s is locked by another process%s%s%s", path, *pid ? " (" : "",
                       pid, *pid ? ")" : "");
    }
    n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    /* Only for people: a lock without it is as good. */
    if (ftruncate(*fd, 0) != 0 || pwrite(*fd, pid, (size_t)n, 0) != n)
        errno = 0;
    return ERR_OK;
}

void file_unlock(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

void file_lock_remove(int fd, const char *path)
{
    if (fd >= 0)
        (void)unlink(path);
    file_unlock(fd);
}

/* ---- trees --------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    (void)remove(path); /* what cannot go makes the directory above it stay, which is reported */
    return 0;
}

bool file_remove_tree(const char *path)
{
    struct stat st;

    (void)nftw(path, remove_one, REMOVE_MAX_FDS, FTW_DEPTH | FTW_PHYS);
    return lstat(path, &st) != 0 && errno == ENOENT;
}

uint64_t file_free_bytes(const char *path)
{
    struct statvfs vfs;

    if (statvfs(path, &vfs) != 0 || vfs.f_frsize == 0)
        return UINT64_MAX;
    return (uint64_t)vfs.f_bavail * (uint64_t)vfs.f_frsize;
}

/* ---- directories in memory ----------------------------------------------------------------- */

/* A directory whose lock nobody holds and that is ours by owner. */
static void remove_if_stale(const char *dir)
{
    char lock[PATH_MAX];
    struct stat st;
    int n = snprintf(lock, sizeof lock, "%s/%s", dir, TEMP_LOCK);
    int fd;

    if (n < 0 || (size_t)n >= sizeof lock || lstat(dir, &st) != 0 || !S_ISDIR(st.st_mode) ||
        st.st_uid != geteuid())
        return;
    fd = open(lock, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        /* Its maker died between two system calls, and it is empty; or it is not one of ours. */
        (void)rmdir(dir);
        return;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        LOG_INFO("removing what a killed process left in memory", LOG_STR("dir", dir));
        (void)file_remove_tree(dir);
    }
    file_unlock(fd);
}

static void remove_stale(const char *base)
{
    DIR *d = opendir(base);
    struct dirent *entry;

    while (d && (entry = readdir(d))) {
        char path[PATH_MAX];
        int n;

        if (strncmp(entry->d_name, TEMP_PREFIX, strlen(TEMP_PREFIX)) != 0 ||
            strlen(entry->d_name) != strlen(TEMP_PREFIX) + 6)
            continue;
        n = snprintf(path, sizeof path, "%s/%s", base, entry->d_name);
        if (n > 0 && (size_t)n < sizeof path)
            remove_if_stale(path);
    }
    if (d)
        (void)closedir(d);
}

static enum err_code make_temp(const char *base, char path[FILE_TEMP_SIZE], int *lock_fd,
                               struct err *e)
{
    char lock[FILE_TEMP_SIZE + 16];
    int n = snprintf(path, FILE_TEMP_SIZE, "%s/%sXXXXXX", base, TEMP_PREFIX);

    if (n < 0 || n >= FILE_TEMP_SIZE)
        return file_error(e, "cannot create a directory in", base, ENAMETOOLONG);
    if (!mkdtemp(path))
        return file_error(e, "cannot create a directory in", base, errno);
    (void)snprintf(lock, sizeof lock, "%s/%s", path, TEMP_LOCK);
    if (file_lock(lock_fd, lock, 0, e)) {
        (void)file_remove_tree(path);
        return e->code;
    }
    return ERR_OK;
}

enum err_code file_temp_dir(char path[FILE_TEMP_SIZE], int *lock_fd, bool *in_memory, struct err *e)
{
    const char *base = getenv("TMPDIR");
    char gate[PATH_MAX];
    int gate_fd = -1;
    int n;
    enum err_code code;

    *in_memory = is_dir("/dev/shm") && access("/dev/shm", W_OK) == 0;
    if (*in_memory)
        base = "/dev/shm";
    else if (!base || !*base || !is_dir(base))
        base = "/tmp";
    /* Makers and cleaners pass a gate one at a time (per user), so that a directory is never seen
     * between its creation and its lock. */
    n = snprintf(gate, sizeof gate, "%s/ha-%lu.lock", base, (unsigned long)geteuid());
    if (n < 0 || (size_t)n >= sizeof gate)
        return file_error(e, "cannot create a directory in", base, ENAMETOOLONG);
    code = file_lock(&gate_fd, gate, clock_deadline(TEMP_GATE_WAIT), e);
    if (code)
        return code;
    remove_stale(base);
    code = make_temp(base, path, lock_fd, e);
    file_unlock(gate_fd);
    return code;
}

void file_temp_remove(const char *path, int lock_fd)
{
    (void)file_remove_tree(path);
    file_unlock(lock_fd);
}
