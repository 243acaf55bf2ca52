#include "os/holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has_open(long pid, const struct stat *file)
{
    char path[64];
    bool found = false;

    (void)snprintf(path, sizeof path, "/proc/%ld/fd", pid);
    DIR *d = opendir(path);
    struct dirent *entry;
    struct stat st;
    while (d && !found && (entry = readdir(d)))
        found = fstatat(dirfd(d), entry->d_name, &st, 0) == 0 && st.st_dev == file->st_dev &&
                st.st_ino == file->st_ino;
    if (d)
        (void)closedir(d);
    return found;
}

pid_t holder_find(const char *path)
{
    struct stat file;
    pid_t found = 0;
    DIR *d = stat(path, &file) == 0 ? opendir("/proc") : NULL;
    struct dirent *entry;

    while (d && found == 0 && (entry = readdir(d))) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);

        if (pid > 0 && *end == '\0' && pid != (long)getpid() && has_open(pid, &file))
            found = (pid_t)pid;
    }
    if (d)
        (void)closedir(d);
    return found;
}
