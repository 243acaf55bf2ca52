/*
 * A main() that stands in for libFuzzer in the ordinary test run: it hands every file of the
 * directories (or files) given on the command line to LLVMFuzzerTestOneInput() once, each in a
 * buffer of exactly its size, so that a sanitizer sees the first byte read behind it.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of a path; corpora are shallow. */
enum { REPLAY_PATH_MAX = 4096 };

static unsigned long replayed;

static int replay_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    uint8_t *bytes = malloc(size ? size : 1);
    if (!bytes || fread(bytes, 1, size, f) != size) {
        fprintf(stderr, "%s: cannot be read whole\n", path);
        free(bytes);
        fclose(f);
        return 1;
    }
    fclose(f);
    /* Flushed before the input runs, so that a crash leaves the culprit's name as the last line. */
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    replayed++;
    return 0;
}

static int replay_path(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        return 1;
    }
    if (!S_ISDIR(st.st_mode))
        return replay_file(path, (size_t)st.st_size);

    DIR *dir = opendir(path);
    if (!dir) {
        perror(path);
        return 1;
    }
    int failed = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        char child[REPLAY_PATH_MAX];
        int n = snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (n < 0 || (size_t)n >= sizeof child) {
            fprintf(stderr, "%s/%s: the path is too long\n", path, entry->d_name);
            failed = 1;
            continue;
        }
        failed |= replay_path(child);
    }
    closedir(dir);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= replay_path(argv[i]);
    printf("replayed %lu inputs\n", replayed);
    return failed || replayed == 0;
}
