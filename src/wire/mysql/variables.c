#include "wire/mysql/variables.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"

enum rule {
    FIXED,  /* cannot be set */
    ANY,    /* takes whatever text */
    NUMBER, /* a number */
    ON_OFF  /* shown as ON and OFF, read as 1 and 0 */
};

static const struct {
    const char *name, *value;
    enum rule rule;
} table[] = {
    {"auto_increment_increment", "1", NUMBER},
    {"auto_increment_offset", "1", NUMBER},
    {"autocommit", "ON", ON_OFF},
    {"automatic_sp_privileges", "ON", ON_OFF},
    {"back_log", "151", FIXED},
    {"basedir", "/", FIXED},
    {"big_tables", "OFF", ON_OFF},
    {"binlog_format", "ROW", ANY},
    {"block_encryption_mode", "aes-128-ecb", ANY},
    {"bulk_insert_buffer_size", "8388608", NUMBER},
    {"character_set_client", "utf8mb4", ANY},
    {"character_set_connection", "utf8mb4", ANY},
    {"character_set_database", "utf8mb4", ANY},
    {"character_set_filesystem", "binary", ANY},
    {"character_set_results", "utf8mb4", ANY},
    {"character_set_server", "utf8mb4", ANY},
    {"character_set_system", "utf8mb3", FIXED},
    {"collation_connection", "utf8mb4_0900_ai_ci", ANY},
    {"collation_database", "utf8mb4_0900_ai_ci", ANY},
    {"collation_server", "utf8mb4_0900_ai_ci", ANY},
    {"completion_type", "NO_CHAIN", ANY},
    {"connect_timeout", "60", FIXED},
    {"cte_max_recursion_depth", "1000", NUMBER},
    {"datadir", "", FIXED},
    {"default_collation_for_utf8mb4", "utf8mb4_0900_ai_ci", ANY},
    {"default_storage_engine", "InnoDB", ANY},
    {"default_tmp_storage_engine", "InnoDB", ANY},
    {"default_week_format", "0", NUMBER},
    {"div_precision_increment", "4", NUMBER},
    {"event_scheduler", "OFF", FIXED},
    {"explicit_defaults_for_timestamp", "ON", ON_OFF},
    {"flush", "OFF", FIXED},
    {"foreign_key_checks", "ON", ON_OFF},
    {"ft_min_word_len", "4", FIXED},
    {"general_log", "OFF", FIXED},
    {"group_concat_max_len", "1048576", NUMBER},
    {"gtid_mode", "OFF", FIXED},
    {"have_openssl", "YES", FIXED},
    {"have_profiling", "NO", FIXED},
    {"have_query_cache", "NO", FIXED},
    {"have_ssl", "YES", FIXED},
    {"hostname", "localhost", FIXED},
    {"identity", "0", NUMBER},
    {"init_connect", "", FIXED},
    {"innodb_autoinc_lock_mode", "2", FIXED},
    {"innodb_default_row_format", "dynamic", FIXED},
    {"innodb_file_format", "Barracuda", FIXED},
    {"innodb_file_per_table", "ON", FIXED},
    {"innodb_large_prefix", "ON", FIXED},
    {"innodb_lock_wait_timeout", "50", NUMBER},
    {"innodb_page_size", "16384", FIXED},
    {"innodb_stats_on_metadata", "OFF", ON_OFF},
    {"innodb_strict_mode", "ON", ON_OFF},
    {"innodb_version", "8.0.36", FIXED},
    {"interactive_timeout", "28800", NUMBER},
    {"join_buffer_size", "262144", NUMBER},
    {"key_buffer_size", "8388608", NUMBER},
    {"large_files_support", "ON", FIXED},
    {"last_insert_id", "0", NUMBER},
    {"lc_messages", "en_US", ANY},
    {"lc_time_names", "en_US", ANY},
    {"license", "Apache-2.0", FIXED},
    {"local_infile", "OFF", FIXED},
    {"lock_wait_timeout", "31536000", NUMBER},
    {"log_bin", "OFF", FIXED},
    {"long_query_time", "10.000000", NUMBER},
    {"low_priority_updates", "OFF", ON_OFF},
    {"lower_case_file_system", "OFF", FIXED},
    {"lower_case_table_names", "0", FIXED},
    {"max_allowed_packet", "67108864", NUMBER},
    {"max_connections", "4096", FIXED},
    {"max_error_count", "64", FIXED},
    {"max_execution_time", "0", NUMBER},
    {"max_heap_table_size", "16777216", NUMBER},
    {"max_join_size", "18446744073709551615", NUMBER},
    {"max_length_for_sort_data", "4096", NUMBER},
    {"max_prepared_stmt_count", "16382", FIXED},
    {"max_sort_length", "1024", NUMBER},
    {"max_sp_recursion_depth", "0", NUMBER},
    {"max_user_connections", "0", FIXED},
    {"mysqlx_port", "0", FIXED},
    {"net_buffer_length", "16384", FIXED},
    {"net_read_timeout", "30", NUMBER},
    {"net_retry_count", "10", NUMBER},
    {"net_write_timeout", "60", NUMBER},
    {"old_alter_table", "OFF", ON_OFF},
    {"old_passwords", "0", NUMBER},
    {"optimizer_search_depth", "62", NUMBER},
    {"optimizer_switch", "", ANY},
    {"performance_schema", "OFF", FIXED},
    {"port", "3306", FIXED},
    {"profiling", "OFF", ON_OFF},
    {"protocol_version", "10", FIXED},
    {"pseudo_thread_id", "0", NUMBER},
    {"query_cache_limit", "0", ANY},
    {"query_cache_size", "0", FIXED},
    {"query_cache_type", "OFF", ON_OFF},
    {"read_only", "OFF", FIXED},
    {"require_secure_transport", "OFF", FIXED},
    {"server_id", "1", FIXED},
    {"server_uuid", "", FIXED},
    {"session_track_gtids", "OFF", ANY},
    {"session_track_schema", "ON", ON_OFF},
    {"session_track_state_change", "OFF", ON_OFF},
    {"session_track_system_variables", "", ANY},
    {"show_create_table_verbosity", "OFF", ON_OFF},
    {"show_old_temporals", "OFF", ON_OFF},
    {"skip_name_resolve", "ON", FIXED},
    {"skip_networking", "OFF", FIXED},
    {"slow_query_log", "OFF", FIXED},
    {"socket", "", FIXED},
    {"sort_buffer_size", "262144", NUMBER},
    {"sql_auto_is_null", "OFF", ON_OFF},
    {"sql_big_selects", "ON", ON_OFF},
    {"sql_buffer_result", "OFF", ON_OFF},
    {"sql_generate_invisible_primary_key", "OFF", ON_OFF},
    {"sql_log_bin", "ON", ON_OFF},
    {"sql_mode",
     "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
     "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION",
     ANY},
    {"sql_notes", "ON", ON_OFF},
    {"sql_quote_show_create", "ON", ON_OFF},
    {"sql_require_primary_key", "OFF", ON_OFF},
    {"sql_safe_updates", "OFF", ON_OFF},
    {"sql_select_limit", "18446744073709551615", NUMBER},
    {"sql_warnings", "OFF", ON_OFF},
    {"storage_engine", "InnoDB", ANY},
    {"super_read_only", "OFF", FIXED},
    {"system_time_zone", "UTC", FIXED},
    {"table_definition_cache", "2000", FIXED},
    {"table_open_cache", "4000", FIXED},
    {"thread_cache_size", "0", FIXED},
    {"thread_handling", "one-thread-per-connection", FIXED},
    {"time_zone", "SYSTEM", ANY},
    {"timestamp", "0", NUMBER},
    {"tmp_table_size", "16777216", NUMBER},
    {"tmpdir", "", FIXED},
    {"transaction_alloc_block_size", "8192", NUMBER},
    {"transaction_isolation", "SERIALIZABLE", ANY},
    {"transaction_prealloc_size", "4096", NUMBER},
    {"transaction_read_only", "OFF", ON_OFF},
    {"tx_isolation", "SERIALIZABLE", ANY},
    {"tx_read_only", "OFF", ON_OFF},
    {"unique_checks", "ON", ON_OFF},
    {"updatable_views_with_limit", "YES", ANY},
    {"use_secondary_engine", "OFF", ANY},
    {"version", "8.0.36-ha", FIXED},
    {"version_comment", "ha, a highly available SQLite cluster", FIXED},
    {"version_compile_machine", "x86_64", FIXED},
    {"version_compile_os", "Linux", FIXED},
    {"wait_timeout", "28800", NUMBER},
    {"warning_count", "0", FIXED},
    {"error_count", "0", FIXED},
    {"windowing_use_high_precision", "ON", ON_OFF},
};

#define N_TABLE (sizeof table / sizeof table[0])

static size_t find(const char *name)
{
    for (size_t i = 0; i < N_TABLE; i++)
        if (strcasecmp(table[i].name, name) == 0)
            return i;
    return N_TABLE;
}

void mysql_variables_free(struct mysql_variables *v)
{
    for (size_t i = 0; v->values && i < N_TABLE; i++)
        free(v->values[i]);
    free(v->values);
    for (size_t i = 0; i < v->n_users; i++) {
        free(v->users[i].name);
        free(v->users[i].data);
    }
    free(v->users);
    *v = (struct mysql_variables){0};
}

const char *mysql_variable(const struct mysql_variables *v, const char *name)
{
    size_t i = find(name);

    if (i == N_TABLE)
        return NULL;
    return v->values && v->values[i] ? v->values[i] : table[i].value;
}

static bool is_number(const char *s)
{
    size_t n = 0;

    if (*s == '-')
        s++;
    for (; *s; s++, n++)
        if ((*s < '0' || *s > '9') && *s != '.')
            return false;
    return n > 0;
}

/* "1" and "true" are ON. */
static const char *on_off(const char *s)
{
    if (strcasecmp(s, "on") == 0 || strcasecmp(s, "true") == 0 || strcmp(s, "1") == 0)
        return "ON";
    if (strcasecmp(s, "off") == 0 || strcasecmp(s, "false") == 0 || strcmp(s, "0") == 0)
        return "OFF";
    return NULL;
}

enum mysql_set mysql_variable_set(struct mysql_variables *v, const char *name, const char *value)
{
    size_t i = find(name);
    char *copy = NULL;

    if (i == N_TABLE)
        return MYSQL_SET_UNKNOWN;
    if (table[i].rule == FIXED)
        return MYSQL_SET_FIXED;
    if (value && table[i].rule == ON_OFF) {
        value = on_off(value);
        if (!value)
            return MYSQL_SET_INVALID;
    }
    if (value &&
        (strlen(value) >= MYSQL_VARIABLE_BYTES || (table[i].rule == NUMBER && !is_number(value))))
        return MYSQL_SET_INVALID;
    if (!v->values)
        v->values = calloc(N_TABLE, sizeof *v->values);
    if (!v->values || (value && !(copy = strdup(value))))
        return MYSQL_SET_NO_MEMORY;
    free(v->values[i]);
    v->values[i] = copy;
    return MYSQL_SET_OK;
}

bool mysql_variable_at(const struct mysql_variables *v, size_t i, const char **name,
                       const char **value)
{
    if (i >= N_TABLE)
        return false;
    *name = table[i].name;
    *value = v->values && v->values[i] ? v->values[i] : table[i].value;
    return true;
}

bool mysql_variable_is_number(const char *name)
{
    size_t i = find(name);

    return i < N_TABLE && (table[i].rule == NUMBER || table[i].rule == FIXED) &&
           is_number(table[i].value);
}

/* ---- @variables ---- */

static struct mysql_user_variable *find_user(const struct mysql_variables *v, const char *name)
{
    for (size_t i = 0; i < v->n_users; i++)
        if (strcasecmp(v->users[i].name, name) == 0)
            return &v->users[i];
    return NULL;
}

const struct value *mysql_user_variable(const struct mysql_variables *v, const char *name)
{
    const struct mysql_user_variable *u = find_user(v, name);

    return u ? &u->value : NULL;
}

static struct mysql_user_variable *add_user(struct mysql_variables *v, const char *name)
{
    struct mysql_user_variable *room;

    if (v->n_users == MYSQL_USER_VARIABLES)
        return NULL;
    room = array_room(v->users, v->n_users, &v->cap_users, sizeof *room);
    if (!room)
        return NULL;
    v->users = room;
    room += v->n_users;
    *room = (struct mysql_user_variable){.name = strdup(name), .value = value_null()};
    if (!room->name)
        return NULL;
    v->n_users++;
    return room;
}

bool mysql_user_variable_set(struct mysql_variables *v, const char *name, const struct value *value)
{
    bool has_bytes = value->type == VALUE_TEXT || value->type == VALUE_BLOB;
    char *data = NULL;
    struct mysql_user_variable *u = find_user(v, name);

    if (!u)
        u = add_user(v, name);
    if (!u)
        return false;
    if (has_bytes) {
        data = malloc(value->u.s.len + 1);
        if (!data)
            return false;
        if (value->u.s.len > 0)
            memcpy(data, value->u.s.data, value->u.s.len);
    }
    free(u->data);
    u->data = data;
    u->value = *value;
    if (has_bytes)
        u->value.u.s.data = data;
    return true;
}
