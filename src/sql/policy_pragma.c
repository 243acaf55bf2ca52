/*
 * Which PRAGMA users may run. Connections are shared, so a setting is accepted only where it is the
 * one in force anyway, and then compiled to nothing; reading is always fine. Whatever is not in the
 * table is refused: SQLite would silently ignore an unknown PRAGMA.
 *
 *   PRAGMA optimize compiles to nothing: it would run ANALYZE now and then, whose result is
 *   replicated and so is only asked for by its own name.
 */
#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "sql/policy.h"

enum pragma_rule {
    RULE_READ,    /* an argument, if any, only says what to look at */
    RULE_NOTHING, /* compiled to nothing */
    RULE_DDL,     /* setting it is replicated as text */
    RULE_LOCAL,
    RULE_BOOL,  /* setting it to the value in force is fine */
    RULE_INT,   /* the same */
    RULE_SYNC,  /* the same, OFF | NORMAL | FULL | EXTRA */
    RULE_WORD,  /* the same; runs, because it answers with a row */
    RULE_QUIET, /* the same; answers nothing */
    RULE_FIXED, /* reading only */
    RULE_REFUSED
};

enum {
    FORCE_FOREIGN_KEYS = INT_MAX - 16,
    FORCE_TRIGGERS,
    FORCE_LIKE,
    FORCE_CACHE,
    FORCE_MMAP,
    FORCE_BUSY
};

static const char why_shared[] = "connections are shared between sessions; set it when the node "
                                 "starts, where there is a setting for it";
static const char why_file[] = "it belongs to the file, which is the same on every node";
static const char why_node[] = "the node takes care of it";
static const char why_log[] = "the log depends on the write-ahead log";

static const struct {
    const char *name;
    enum pragma_rule rule;
    int force; /* RULE_BOOL, RULE_INT: the value in force, or FORCE_… for a configured one */
    const char *words; /* RULE_WORD, RULE_QUIET: spellings of the value in force */
    const char *why;
} pragmas[] = {
    {"analysis_limit", RULE_INT, 0, NULL, why_shared},
    {"application_id", RULE_DDL, 0, NULL, NULL},
    {"auto_vacuum", RULE_FIXED, 0, NULL, why_file},
    {"automatic_index", RULE_BOOL, 1, NULL, why_shared},
    {"busy_timeout", RULE_INT, FORCE_BUSY, NULL, why_shared},
    {"cache_size", RULE_INT, FORCE_CACHE, NULL, why_shared},
    {"cache_spill", RULE_BOOL, 1, NULL, why_shared},
    {"case_sensitive_like", RULE_BOOL, FORCE_LIKE, NULL, why_shared},
    {"cell_size_check", RULE_BOOL, 0, NULL, why_shared},
    {"checkpoint_fullfsync", RULE_BOOL, 0, NULL, why_shared},
    {"collation_list", RULE_READ, 0, NULL, NULL},
    {"compile_options", RULE_READ, 0, NULL, NULL},
    {"count_changes", RULE_BOOL, 0, NULL, why_shared},
    {"data_version", RULE_READ, 0, NULL, NULL},
    {"database_list", RULE_READ, 0, NULL, NULL},
    {"default_cache_size", RULE_FIXED, 0, NULL, why_shared},
    {"defer_foreign_keys", RULE_LOCAL, 0, NULL, NULL},
    {"empty_result_callbacks", RULE_BOOL, 0, NULL, why_shared},
    {"encoding", RULE_QUIET, 0, "utf-8 utf8", why_file},
    {"foreign_key_check", RULE_READ, 0, NULL, NULL},
    {"foreign_key_list", RULE_READ, 0, NULL, NULL},
    {"foreign_keys", RULE_BOOL, FORCE_FOREIGN_KEYS, NULL, why_shared},
    {"freelist_count", RULE_READ, 0, NULL, NULL},
    {"full_column_names", RULE_BOOL, 0, NULL, why_shared},
    {"fullfsync", RULE_BOOL, 0, NULL, why_shared},
    {"function_list", RULE_READ, 0, NULL, NULL},
    {"hard_heap_limit", RULE_INT, 0, NULL, why_shared},
    {"ignore_check_constraints", RULE_BOOL, 0, NULL, why_shared},
    {"incremental_vacuum", RULE_REFUSED, 0, NULL, why_node},
    {"index_info", RULE_READ, 0, NULL, NULL},
    {"index_list", RULE_READ, 0, NULL, NULL},
    {"index_xinfo", RULE_READ, 0, NULL, NULL},
    {"integrity_check", RULE_READ, 0, NULL, NULL},
    {"journal_mode", RULE_WORD, 0, "wal", why_log},
    {"journal_size_limit", RULE_INT, -1, NULL, why_shared},
    {"legacy_alter_table", RULE_BOOL, 0, NULL, why_shared},
    {"locking_mode", RULE_WORD, 0, "normal", why_log},
    {"max_page_count", RULE_FIXED, 0, NULL, why_shared},
    {"mmap_size", RULE_INT, FORCE_MMAP, NULL, why_shared},
    {"module_list", RULE_READ, 0, NULL, NULL},
    {"optimize", RULE_NOTHING, 0, NULL, NULL},
    {"page_count", RULE_READ, 0, NULL, NULL},
    {"page_size", RULE_FIXED, 0, NULL, why_file},
    {"pragma_list", RULE_READ, 0, NULL, NULL},
    {"query_only", RULE_BOOL, 0, NULL, why_shared},
    {"quick_check", RULE_READ, 0, NULL, NULL},
    {"read_uncommitted", RULE_BOOL, 0, NULL, why_shared},
    {"recursive_triggers", RULE_BOOL, FORCE_TRIGGERS, NULL, why_shared},
    {"reverse_unordered_selects", RULE_BOOL, 0, NULL, why_shared},
    {"schema_version", RULE_FIXED, 0, NULL, "SQLite counts it by itself"},
    {"secure_delete", RULE_BOOL, 0, NULL, why_shared},
    {"short_column_names", RULE_BOOL, 1, NULL, why_shared},
    {"shrink_memory", RULE_NOTHING, 0, NULL, NULL},
    {"soft_heap_limit", RULE_INT, 0, NULL, why_shared},
    {"stats", RULE_READ, 0, NULL, NULL},
    {"synchronous", RULE_SYNC, 0, NULL, why_shared},
    {"table_info", RULE_READ, 0, NULL, NULL},
    {"table_list", RULE_READ, 0, NULL, NULL},
    {"table_xinfo", RULE_READ, 0, NULL, NULL},
    {"temp_store", RULE_QUIET, 0, "0 default", why_shared},
    {"threads", RULE_INT, 0, NULL, why_shared},
    {"trusted_schema", RULE_BOOL, 1, NULL, why_shared},
    {"user_version", RULE_DDL, 0, NULL, NULL},
    {"wal_autocheckpoint", RULE_INT, 1000, NULL, why_node},
    {"wal_checkpoint", RULE_REFUSED, 0, NULL, why_node},
    {"writable_schema", RULE_BOOL, 0, NULL, "writing to the schema as a table is not replicated"},
};

static int64_t in_force(const struct conn_config *cfg, int force)
{
    switch (force) {
    case FORCE_FOREIGN_KEYS:
        return cfg->foreign_keys;
    case FORCE_TRIGGERS:
        return cfg->recursive_triggers;
    case FORCE_LIKE:
        return cfg->case_sensitive_like;
    case FORCE_CACHE:
        return cfg->cache_kib > 0 ? -cfg->cache_kib : -2000; /* SQLite's default */
    case FORCE_MMAP:
        return cfg->mmap_bytes;
    case FORCE_BUSY:
        return cfg->busy_ms;
    default:
        return force;
    }
}

static bool read_int(const char *s, int64_t *out)
{
    char *end;

    *out = strtoll(s, &end, 10);
    return end != s && *end == '\0';
}

/* SQLite's spellings of truth; false where it has none. */
static bool read_bool(const char *s, int64_t *out)
{
    static const char *const yes[] = {"on", "yes", "true"};
    static const char *const no[] = {"off", "no", "false"};

    for (size_t i = 0; i < 3; i++) {
        if (sqlite3_stricmp(s, yes[i]) == 0 || sqlite3_stricmp(s, no[i]) == 0) {
            *out = sqlite3_stricmp(s, yes[i]) == 0;
            return true;
        }
    }
    if (!read_int(s, out))
        return false;
    *out = *out != 0;
    return true;
}

static bool is_sync(const char *arg, bool full)
{
    return full ? sqlite3_stricmp(arg, "full") == 0 || strcmp(arg, "2") == 0
                : sqlite3_stricmp(arg, "normal") == 0 || strcmp(arg, "1") == 0;
}

/* Is `arg` one of the words, which are separated by blanks? */
static bool is_word_of(const char *arg, const char *words)
{
    size_t n = strlen(arg);

    while (*words) {
        size_t w = strcspn(words, " ");
        if (n == w && sqlite3_strnicmp(arg, words, (int)n) == 0)
            return true;
        words += w + (words[w] == ' ');
    }
    return false;
}

enum policy_pragma policy_pragma(const struct conn_config *cfg, const char *name, const char *arg,
                                 const char **why)
{
    size_t i = 0;
    int64_t v;

    *why = "it is not known here";
    while (i < sizeof pragmas / sizeof pragmas[0] && sqlite3_stricmp(pragmas[i].name, name) != 0)
        i++;
    if (i == sizeof pragmas / sizeof pragmas[0])
        return POLICY_PRAGMA_REFUSED;
    *why = pragmas[i].why;
    switch (pragmas[i].rule) {
    case RULE_READ:
        return POLICY_PRAGMA_READ;
    case RULE_NOTHING:
        return POLICY_PRAGMA_NOOP;
    case RULE_REFUSED:
        return POLICY_PRAGMA_REFUSED;
    default:
        break;
    }
    if (!arg)
        return POLICY_PRAGMA_READ;
    switch (pragmas[i].rule) {
    case RULE_DDL:
        return POLICY_PRAGMA_DDL;
    case RULE_LOCAL:
        return POLICY_PRAGMA_LOCAL;
    case RULE_BOOL:
        if (read_bool(arg, &v) && v == in_force(cfg, pragmas[i].force))
            return POLICY_PRAGMA_NOOP;
        break;
    case RULE_INT:
        if (read_int(arg, &v) && v == in_force(cfg, pragmas[i].force))
            return POLICY_PRAGMA_NOOP;
        break;
    case RULE_SYNC:
        if (is_sync(arg, cfg->full_sync))
            return POLICY_PRAGMA_NOOP;
        break;
    case RULE_WORD:
        if (is_word_of(arg, pragmas[i].words))
            return POLICY_PRAGMA_READ;
        break;
    case RULE_QUIET:
        if (is_word_of(arg, pragmas[i].words))
            return POLICY_PRAGMA_NOOP;
        break;
    default:
        break;
    }
    return POLICY_PRAGMA_REFUSED;
}
