#include "os/holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The beginning of a file of /proc/<pid>, terminated. */
static void read_about(long pid, const char *name, char *out, size_t size)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%ld/%s", pid, name);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(out, 1, size - 1, f) : 0;
    if (f)
        (void)fclose(f);
    out[n] = '\0';
}

/* What the process calls itself, or what it was called by whoever started it. */
static bool is_called(long pid, const char *program)
{
    char text[PATH_MAX];
    size_t n = strlen(program);

    read_about(pid, "comm", text, sizeof text);
    if (strncmp(text, program, n) == 0)
        return true;
    read_about(pid, "cmdline", text, sizeof text);
    const char *slash = strrchr(text, '/');
    return strncmp(slash ? slash + 1 : text, program, n) == 0;
}

/* The kernel lists there the locks that stand or fall with this descriptor and its duplicates. */
static bool has_lock(long pid, const char *fd)
{
    char name[64], text[4096];

    (void)snprintf(name, sizeof name, "fdinfo/%.32s", fd);
    read_about(pid, name, text, sizeof text);
    const char *lock = strstr(text, "\nlock:");
    return lock && strstr(lock, "FLOCK");
}

static bool holds(long pid, const struct stat *file)
{
    char path[64];
    bool found = false;

    (void)snprintf(path, sizeof path, "/proc/%ld/fd", pid);
    DIR *d = opendir(path);
    struct dirent *entry;
    struct stat st;
    while (d && !found && (entry = readdir(d)))
        found = fstatat(dirfd(d), entry->d_name, &st, 0) == 0 && st.st_dev == file->st_dev &&
                st.st_ino == file->st_ino && has_lock(pid, entry->d_name);
    if (d)
        (void)closedir(d);
    return found;
}

pid_t holder_find(const char *path, const char *program)
{
    struct stat file;
    pid_t found = 0;
    DIR *d = stat(path, &file) == 0 ? opendir("/proc") : NULL;
    struct dirent *entry;

    while (d && found == 0 && (entry = readdir(d))) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);

        if (pid > 0 && *end == '\0' && pid != (long)getpid() && is_called(pid, program) &&
            holds(pid, &file))
            found = (pid_t)pid;
    }
    if (d)
        (void)closedir(d);
    return found;
}
