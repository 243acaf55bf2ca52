/*
 * A folder through which every write and every sync of another folder takes longer: for programs
 * that ask the kernel themselves, as nats-server does, so that no preloaded library can slow them.
 *
 *     slowfs FOLDER MOUNTPOINT       then a number of milliseconds on a line of its own, any time
 *
 * It says "ready" once it is mounted, answers each number with "ok", and ends when it is unmounted
 * or its standard input ends.
 */
#define FUSE_USE_VERSION 31
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static const char *folder;
static atomic_int delay_ms;

struct path {
    char text[PATH_MAX];
};

static const char *there(struct path *p, const char *path)
{
    snprintf(p->text, sizeof p->text, "%s%s", folder, path);
    return p->text;
}

static void take_time(void)
{
    int ms = atomic_load(&delay_ms);
    if (ms > 0)
        (void)poll(NULL, 0, ms); /* the fault itself */
}

static int done(int rc)
{
    return rc < 0 ? -errno : 0;
}

static int do_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
    struct path p;
    return done(fi ? fstat((int)fi->fh, st) : lstat(there(&p, path), st));
}

static int do_mkdir(const char *path, mode_t mode)
{
    struct path p;
    return done(mkdir(there(&p, path), mode));
}

static int do_unlink(const char *path)
{
    struct path p;
    return done(unlink(there(&p, path)));
}

static int do_rmdir(const char *path)
{
    struct path p;
    return done(rmdir(there(&p, path)));
}

static int do_rename(const char *from, const char *to, unsigned flags)
{
    struct path a, b;
    return done(renameat2(AT_FDCWD, there(&a, from), AT_FDCWD, there(&b, to), flags));
}

static int do_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    struct path p;
    return done(fi ? fchmod((int)fi->fh, mode) : chmod(there(&p, path), mode));
}

static int do_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *fi)
{
    struct path p;
    return done(fi ? fchown((int)fi->fh, uid, gid) : lchown(there(&p, path), uid, gid));
}

static int do_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
    struct path p;
    take_time();
    return done(fi ? ftruncate((int)fi->fh, size) : truncate(there(&p, path), size));
}

static int do_utimens(const char *path, const struct timespec tv[2], struct fuse_file_info *fi)
{
    struct path p;
    return done(fi ? futimens((int)fi->fh, tv)
                   : utimensat(AT_FDCWD, there(&p, path), tv, AT_SYMLINK_NOFOLLOW));
}

static int opened(int fd, struct fuse_file_info *fi)
{
    if (fd < 0)
        return -errno;
    fi->fh = (uint64_t)fd;
    return 0;
}

/* The kernel gives each write its place: O_APPEND would move it. */
static int do_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    struct path p;
    return opened(open(there(&p, path), (fi->flags & ~O_APPEND) | O_CREAT | O_CLOEXEC, mode), fi);
}

static int do_open(const char *path, struct fuse_file_info *fi)
{
    struct path p;
    return opened(open(there(&p, path), (fi->flags & ~O_APPEND) | O_CLOEXEC), fi);
}

static int do_read(const char *path, char *buf, size_t n, off_t at, struct fuse_file_info *fi)
{
    (void)path;
    ssize_t got = pread((int)fi->fh, buf, n, at);
    return got < 0 ? -errno : (int)got;
}

static int do_write(const char *path, const char *buf, size_t n, off_t at,
                    struct fuse_file_info *fi)
{
    (void)path;
    take_time();
    ssize_t put = pwrite((int)fi->fh, buf, n, at);
    return put < 0 ? -errno : (int)put;
}

static int do_fsync(const char *path, int data_only, struct fuse_file_info *fi)
{
    (void)path;
    take_time();
    return done(data_only ? fdatasync((int)fi->fh) : fsync((int)fi->fh));
}

static int do_release(const char *path, struct fuse_file_info *fi)
{
    (void)path;
    close((int)fi->fh);
    return 0;
}

static int do_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t at,
                      struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
    struct path p;
    struct dirent *d;
    (void)at, (void)fi, (void)flags;
    DIR *dir = opendir(there(&p, path));
    if (!dir)
        return -errno;
    while ((d = readdir(dir)))
        fill(buf, d->d_name, NULL, 0, 0);
    closedir(dir);
    return 0;
}

static int do_statfs(const char *path, struct statvfs *st)
{
    struct path p;
    return done(statvfs(there(&p, path), st));
}

static void *listen_to_orders(void *arg)
{
    char line[32];
    struct fuse *fuse = arg;
    while (fgets(line, sizeof line, stdin)) {
        atomic_store(&delay_ms, (int)strtol(line, NULL, 10));
        puts("ok");
    }
    fuse_exit(fuse);
    fuse_unmount(fuse);
    return NULL;
}

static void *do_init(struct fuse_conn_info *conn, struct fuse_config *cfg)
{
    pthread_t thread;
    (void)conn;
    cfg->hard_remove = 1; /* a file that is removed while it is open is reached by its handle */
    if (pthread_create(&thread, NULL, listen_to_orders, fuse_get_context()->fuse) == 0)
        pthread_detach(thread);
    puts("ready");
    return NULL;
}

static const struct fuse_operations operations = {
    .init = do_init,
    .getattr = do_getattr,
    .mkdir = do_mkdir,
    .unlink = do_unlink,
    .rmdir = do_rmdir,
    .rename = do_rename,
    .chmod = do_chmod,
    .chown = do_chown,
    .truncate = do_truncate,
    .utimens = do_utimens,
    .create = do_create,
    .open = do_open,
    .read = do_read,
    .write = do_write,
    .fsync = do_fsync,
    .release = do_release,
    .readdir = do_readdir,
    .statfs = do_statfs,
};

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    folder = argv[1];
    setvbuf(stdout, NULL, _IOLBF, 0);
    umask(0);
    char *args[] = {argv[0], (char *)"-f", argv[2]};
    return fuse_main(3, args, &operations, NULL);
}
