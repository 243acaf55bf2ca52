/*
 * What the node was told to be: flags, HA_* variables and a configuration file, in this order of
 * precedence, and the defaults of the table in flags.h.
 *
 * It reads and checks; it does not act. One thread. Everything is owned by the struct config and
 * lives until config_free(). Errors are ERR_CONFIG and say where the value came from.
 */
#ifndef HA_SERVER_CONFIG_H
#define HA_SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "core/node.h"
#include "server/flags.h"

enum config_id {
#define X(id, ...) CONFIG_##id,
    CONFIG_FLAGS(X)
#undef X
        CONFIG_COUNT
};

enum config_source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENV, SOURCE_FLAG };

#define CONFIG_FIELD_STRING   char *
#define CONFIG_FIELD_BOOL     bool
#define CONFIG_FIELD_INT      int
#define CONFIG_FIELD_DURATION int64_t
#define CONFIG_FIELD_SIZE     uint64_t
#define CONFIG_FIELD_ENUM     int

struct config {
#define X(id, field, type, ...) CONFIG_FIELD_##type field;
    CONFIG_FLAGS(X)
#undef X

    char **files; /* arguments that are no flags, not expanded yet; n_files of them */
    size_t n_files;

    /* Derived by config_check(). */
    enum replica_start policy;
    uint64_t policy_seq;
    int64_t policy_time_ns;
    char **extension_list; /* NULL-terminated */

    /* Internal. */
    char *texts[CONFIG_COUNT]; /* the values as they were written; STRING fields point here */
    enum config_source sources[CONFIG_COUNT];
    enum config_source files_source;
};

/* All defaults. */
enum err_code config_init(struct config *c, struct err *e);
void config_free(struct config *c); /* what config_init() filled; a zeroed one is fine, too */

/* Command line (argv[0] is the program), environment ("NAME=value", NULL-terminated) and the file
 * that they name. With --help, --version or --help-markdown on the command line, later mistakes do
 * not count. */
enum err_code config_load(struct config *c, int argc, char *const *argv, char *const *env,
                          struct err *e);

/* The text of a configuration file; `path` for messages. */
enum err_code config_read(struct config *c, const char *text, size_t len, const char *path,
                          struct err *e);

/* Do the values make sense together, and does this version have what they ask for? Fills the
 * derived fields. */
enum err_code config_check(struct config *c, struct err *e);

bool config_is_set(const struct config *c, enum config_id id); /* by anyone but the default */

void config_print_help(FILE *out);
void config_print_markdown(FILE *out);
void config_print(const struct config *c, FILE *out);

/* Go's durations: "15s", "1m30s", "1.5h", "300ms", "0". False if it is none, negative or too long.
 */
bool config_parse_duration(const char *text, int64_t *ns);

/* "65536", "64KiB", "64MB", "1G": K, M, G, T are powers of 1024, KB, MB, GB, TB of 1000. */
bool config_parse_size(const char *text, uint64_t *bytes);

#endif
