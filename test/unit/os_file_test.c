#include "os/file.h"

#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

static char dir[] = "/tmp/ha-file-test-XXXXXX";

static const char *in_dir(const char *name)
{
    static char path[2][512];
    static int turn;

    turn = !turn;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return file_remove_tree(dir) ? 0 : -1;
}

static void test_dirs(void **state)
{
    struct err e = ERR_INIT;
    struct stat st;

    (void)state;
    assert_int_equal(file_make_dirs(in_dir("a/b//c/"), 0700, &e), ERR_OK);
    assert_int_equal(file_make_dirs(in_dir("a/b/c"), 0700, &e), ERR_OK);
    assert_int_equal(stat(in_dir("a/b/c"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(file_write(in_dir("plain"), "x", 1, 0600, &e), ERR_OK);
    assert_int_equal(file_make_dirs(in_dir("plain/sub"), 0700, &e), ERR_CONFIG);
    assert_int_equal(file_make_dirs("", 0700, &e), ERR_CONFIG);
    assert_int_equal(symlink("/etc", in_dir("a/link")), 0);
    assert_true(file_remove_tree(in_dir("a")));
    assert_int_equal(stat("/etc/passwd", &st), 0);
}

static void test_write_and_read(void **state)
{
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT;
    struct stat st;

    (void)state;
    assert_int_equal(file_write(in_dir("f"), "old content", 11, 0600, &e), ERR_OK);
    assert_int_equal(file_write(in_dir("f"), "new", 3, 0640, &e), ERR_OK);
    assert_int_equal(file_read(in_dir("f"), 100, &b, &e), ERR_OK);
    assert_string_equal(buf_cstr(&b), "new");
    assert_int_equal(stat(in_dir("f"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(file_read(in_dir("f"), 2, &b, &e), ERR_TOO_BIG);
    assert_int_equal(file_read(in_dir("none"), 2, &b, &e), ERR_CONFIG);
    assert_non_null(strstr(e.msg, "none"));
    assert_int_equal(file_write(in_dir("no/f"), "x", 1, 0600, &e), ERR_CONFIG);
    err_clear(&e);
    assert_int_equal(file_sync_parent(in_dir("f"), &e), ERR_OK);
    assert_int_equal(file_sync_parent("f", &e), ERR_OK);
    assert_int_equal(file_sync_parent("/f", &e), ERR_OK);
    assert_int_equal(file_sync_parent(in_dir("no/f"), &e), ERR_CONFIG);
    assert_true(file_free_bytes(dir) > 0);
    buf_free(&b);
}

static void test_locks(void **state)
{
    struct err e = ERR_INIT;
    int one = -1, two = -1, copy;
    char pid[24];
    int64_t start = clock_mono_ns();

    (void)state;
    assert_int_equal(file_lock(&one, in_dir("lock"), 0, &e), ERR_OK);
    assert_int_equal(file_lock(&two, in_dir("lock"), clock_deadline(20 * CLOCK_MS), &e), ERR_BUSY);
    assert_true(clock_mono_ns() - start >= 20 * CLOCK_MS);
    assert_int_equal(two, -1);
    (void)snprintf(pid, sizeof pid, "(%ld)", (long)getpid());
    assert_non_null(strstr(e.msg, pid));
    copy = dup(one); /* as a child would hold it */
    file_unlock(one);
    assert_int_equal(file_lock(&two, in_dir("lock"), 0, &e), ERR_BUSY);
    (void)close(copy);
    assert_int_equal(file_lock(&two, in_dir("lock"), 0, &e), ERR_OK);
    file_unlock(two);
    file_unlock(-1);
}

/* Has another descriptor of this process the file open, too? */
static bool is_waited_for(const char *path)
{
    DIR *fds = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(fds);
    for (struct dirent *d = readdir(fds); d; d = readdir(fds)) {
        char target[PATH_MAX];
        ssize_t len = readlinkat(dirfd(fds), d->d_name, target, sizeof target - 1);

        target[len > 0 ? len : 0] = '\0';
        n += strcmp(target, path) == 0;
    }
    (void)closedir(fds);
    return n > 1;
}

static void *wait_for_lock(void *fd)
{
    struct err e = ERR_INIT;

    (void)file_lock(fd, in_dir("gone"), clock_deadline(10 * CLOCK_S), &e);
    return NULL;
}

/* Whoever has waited for a lock whose file is removed has the one that others find, too. */
static void test_lock_removed(void **state)
{
    struct err e = ERR_INIT;
    int one = -1, two = -1, three = -1;
    char path[PATH_MAX];
    pthread_t waiter;

    (void)state;
    (void)snprintf(path, sizeof path, "%s", in_dir("gone"));
    assert_int_equal(file_lock(&one, path, 0, &e), ERR_OK);
    assert_int_equal(pthread_create(&waiter, NULL, wait_for_lock, &two), 0);
    while (!is_waited_for(path))
        (void)poll(NULL, 0, 1);
    file_lock_remove(one, path);
    assert_int_equal(pthread_join(waiter, NULL), 0);
    assert_true(two >= 0);
    assert_int_equal(file_lock(&three, path, 0, &e), ERR_BUSY);
    file_lock_remove(two, path);
    assert_int_not_equal(access(path, F_OK), 0);
    file_lock_remove(-1, path);
}

static void test_temp_dir(void **state)
{
    struct err e = ERR_INIT;
    char mine[FILE_TEMP_SIZE], theirs[FILE_TEMP_SIZE] = "", next[FILE_TEMP_SIZE];
    char inside[FILE_TEMP_SIZE + 16];
    int fd, fd2, fds[2];
    bool in_memory;
    struct stat st;
    pid_t pid;

    (void)state;
    assert_int_equal(file_temp_dir(mine, &fd, &in_memory, &e), ERR_OK);
    (void)snprintf(inside, sizeof inside, "%s/db", mine);
    assert_int_equal(file_write(inside, "x", 1, 0600, &e), ERR_OK);

    /* Another process makes one and is killed. */
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        (void)close(fd);
        if (file_temp_dir(theirs, &fd2, &in_memory, &e) ||
            write(fds[1], theirs, sizeof theirs) != sizeof theirs)
            _exit(1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(fds[0], theirs, sizeof theirs), sizeof theirs);
    assert_int_equal(stat(theirs, &st), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    (void)close(fds[0]);
    (void)close(fds[1]);

    assert_int_equal(file_temp_dir(next, &fd2, &in_memory, &e), ERR_OK);
    assert_int_not_equal(stat(theirs, &st), 0); /* gone */
    assert_int_equal(stat(inside, &st), 0);     /* ours is in use */
    file_temp_remove(next, fd2);
    assert_int_not_equal(stat(next, &st), 0);
    file_temp_remove(mine, fd);
    assert_int_not_equal(stat(mine, &st), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dirs),     cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_locks),    cmocka_unit_test(test_lock_removed),
        cmocka_unit_test(test_temp_dir),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
