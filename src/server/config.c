/*
 * Where values come from.
 *
 *   config_parse_duration, config_parse_size
 *   set_value            text → typed field, by the table
 *   config_init, config_free, config_is_set
 *   config_read          the file: lines of a name and a value
 *   parse_args           the command line, and HA_ARGS, which is one in a variable
 *   config_load          all of them, in the order of precedence
 */
#include "server/config.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digits.h"
#include "base/duration.h"
#include "base/list.h"
#include "os/file.h"
#include "server/config_flags.h"

#define CONFIG_FILE_MAX ((size_t)1 << 20) /* bytes */
#define CONFIG_ARGS_MAX 4096              /* words in HA_ARGS */
#define HOST_NAME_SIZE  256

const struct flag config_flags[CONFIG_COUNT] = {
#define X(id, field, type, name, letter, dflt, limits, group, show, missing, help)                 \
    {name, letter, FLAG_##type, GROUP_##group, SHOW_##show,                                        \
     dflt, limits, missing,     help,          offsetof(struct config, field)},
    CONFIG_FLAGS(X)
#undef X
};

const char *const config_groups[GROUP_COUNT] = {
#define X(id, title) title,
    CONFIG_GROUPS(X)
#undef X
};

void config_env_name(const struct flag *f, char out[FLAG_ENV_SIZE])
{
    size_t n = 3;

    memcpy(out, "HA_", 3);
    for (const char *p = f->name; *p && n < FLAG_ENV_SIZE - 1; p++)
        out[n++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
    out[n] = '\0';
}

/* ---- numbers with units --------------------------------------------------------------------- */

bool config_parse_duration(const char *text, int64_t *ns)
{
    return duration_parse(text, ns);
}

bool config_parse_size(const char *text, uint64_t *bytes)
{
    static const char letters[] = "KMGT";
    uint64_t factor = 1;

    if (!digits_read(&text, bytes))
        return false;
    for (size_t i = 0; i < 4 && *text; i++) {
        if (toupper((unsigned char)*text) != letters[i])
            continue;
        text++;
        for (size_t j = 0; j <= i; j++)
            factor *= (text[0] == 'b' || text[0] == 'B') ? 1000 : 1024;
        if (*text == 'i')
            text++;
        break;
    }
    if (*text == 'b' || *text == 'B')
        text++;
    if (*text || *bytes > UINT64_MAX / factor)
        return false;
    *bytes *= factor;
    return true;
}

/* ---- values --------------------------------------------------------------------------------- */

static bool parse_bool(const char *text, bool *out)
{
    static const char *const yes[] = {"true", "1", "t", "yes", "on"};
    static const char *const no[] = {"false", "0", "f", "no", "off"};

    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *out = strcasecmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

static bool parse_int(const char *text, const char *limits, int *out)
{
    char *end = NULL;
    long least = strtol(limits, &end, 10);
    long most = strtol(end + 2, NULL, 10); /* "1..65535" */
    long v;

    if (!*text || isspace((unsigned char)*text))
        return false;
    v = strtol(text, &end, 10);
    if (*end || v < least || v > most)
        return false;
    *out = (int)v;
    return true;
}

static bool parse_choice(const char *text, const char *choices, int *out)
{
    size_t len = strlen(text);

    for (int i = 0;; i++) {
        size_t n = strcspn(choices, "|");

        if (n == len && strncmp(choices, text, n) == 0) {
            *out = i;
            return true;
        }
        if (!choices[n])
            return false;
        choices += n + 1;
    }
}

/* `where` names the place the text comes from: "--port", "HA_PORT", "ha.conf:3: port". */
static enum err_code set_value(struct config *c, enum config_id id, const char *text,
                               enum config_source source, const char *where, struct err *e)
{
    const struct flag *f = &config_flags[id];
    void *field = (char *)c + f->offset;
    char *copy;
    bool good = true;
    const char *wanted = "";

    switch (f->type) {
    case FLAG_STRING:
        break;
    case FLAG_BOOL:
        good = parse_bool(text, field);
        wanted = "true or false";
        break;
    case FLAG_INT:
        good = parse_int(text, f->limits, field);
        wanted = "a number in the range ";
        break;
    case FLAG_DURATION:
        good = config_parse_duration(text, field) &&
               (strcmp(f->limits, "positive") != 0 || *(int64_t *)field > 0);
        wanted = *f->limits ? "a positive duration like 15s or 1m30s"
                            : "a duration like 15s, 1m30s or 24h";
        break;
    case FLAG_SIZE:
        good = config_parse_size(text, field);
        wanted = "a size like 65536, 64KiB or 1GB";
        break;
    case FLAG_ENUM:
        good = parse_choice(text, f->limits, field);
        wanted = "one of ";
        break;
    }
    if (!good) {
        bool range = f->type == FLAG_INT || f->type == FLAG_ENUM;
        return err_set(e, ERR_CONFIG, "%s: '%s' is not %s%s", where,
                       f->show == SHOW_SECRET ? "***" : text, wanted, range ? f->limits : "");
    }
    copy = strdup(text);
    if (!copy)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    free(c->texts[id]);
    c->texts[id] = copy;
    if (f->type == FLAG_STRING)
        *(char **)field = copy;
    c->sources[id] = source;
    return ERR_OK;
}

static enum err_code add_file(struct config *c, const char *name, enum config_source source,
                              struct err *e)
{
    char **more;

    /* Those of the command line replace those of HA_ARGS. */
    if (source != c->files_source) {
        while (c->n_files > 0)
            free(c->files[--c->n_files]);
        c->files_source = source;
    }
    more = realloc(c->files, (c->n_files + 1) * sizeof *more);
    if (!more)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    c->files = more;
    more[c->n_files] = strdup(name);
    if (!more[c->n_files])
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    c->n_files++;
    return ERR_OK;
}

enum err_code config_init(struct config *c, struct err *e)
{
    char host[HOST_NAME_SIZE];

    memset(c, 0, sizeof *c);
    for (int id = 0; id < CONFIG_COUNT; id++) {
        const char *text = config_flags[id].text;

        if (id == CONFIG_NAME) {
            if (gethostname(host, sizeof host) != 0)
                memcpy(host, "localhost", 10);
            host[sizeof host - 1] = '\0';
            text = host;
        }
        if (set_value(c, (enum config_id)id, text, SOURCE_DEFAULT, config_flags[id].name, e)) {
            config_free(c);
            return e->code;
        }
    }
    return ERR_OK;
}

void config_free(struct config *c)
{
    for (int id = 0; id < CONFIG_COUNT; id++)
        free(c->texts[id]);
    for (size_t i = 0; i < c->n_files; i++)
        free(c->files[i]);
    free(c->files);
    list_free(c->extension_list);
    memset(c, 0, sizeof *c);
}

bool config_is_set(const struct config *c, enum config_id id)
{
    return c->sources[id] != SOURCE_DEFAULT;
}

/* By name or, where that is one character, by letter; CONFIG_COUNT if there is none. */
static enum config_id find_flag(const char *name, size_t len, bool letter)
{
    for (int id = 0; id < CONFIG_COUNT; id++) {
        const struct flag *f = &config_flags[id];

        if (letter ? f->short_name && *name == f->short_name
                   : strlen(f->name) == len && memcmp(f->name, name, len) == 0)
            return (enum config_id)id;
    }
    return CONFIG_COUNT;
}

/* ---- the file ------------------------------------------------------------------------------- */

/* The value of a line, in place: "…" with \" \\ \n inside, or as it stands up to " #". */
static bool unquote(char *v)
{
    char *out = v;

    if (*v != '"') {
        char *comment = strstr(v, " #");
        if (comment)
            *comment = '\0';
        for (size_t n = strlen(v); n > 0 && isspace((unsigned char)v[n - 1]); n--)
            v[n - 1] = '\0';
        return true;
    }
    for (char *p = v + 1; *p; p++) {
        if (*p == '"') {
            *out = '\0';
            p += 1 + strspn(p + 1, " \t\r");
            return !*p || *p == '#';
        }
        if (*p == '\\' && p[1]) {
            p++;
            *out++ = *p == 'n' ? '\n' : *p;
        } else {
            *out++ = *p;
        }
    }
    return false;
}

static enum err_code read_line(struct config *c, char *line, const char *path, int number,
                               struct err *e)
{
    char where[512];
    char *value;
    enum config_id id;

    line += strspn(line, " \t\r");
    if (!*line || *line == '#')
        return ERR_OK;
    value = line + strcspn(line, " \t\r");
    if (*value)
        *value++ = '\0';
    value += strspn(value, " \t\r");
    (void)snprintf(where, sizeof where, "%s:%d: %s", path, number, line);
    id = find_flag(line, strlen(line), false);
    if (id == CONFIG_COUNT)
        return err_set(e, ERR_CONFIG, "%s is not the name of a flag", where);
    if (id == CONFIG_CONFIG || config_flags[id].show == SHOW_ACTION ||
        config_flags[id].show == SHOW_HIDDEN)
        return err_set(e, ERR_CONFIG, "%s belongs on the command line", where);
    if (!unquote(value))
        return err_set(e, ERR_CONFIG, "%s: the closing quote is missing or not the end", where);
    if (!*value && config_flags[id].type == FLAG_BOOL)
        return set_value(c, id, "true", SOURCE_FILE, where, e);
    return set_value(c, id, value, SOURCE_FILE, where, e);
}

enum err_code config_read(struct config *c, const char *text, size_t len, const char *path,
                          struct err *e)
{
    char *copy;
    int number = 0;
    enum err_code code = ERR_OK;

    if (memchr(text, '\0', len))
        return err_set(e, ERR_CONFIG, "%s is not a text file", path);
    copy = strndup(text, len);
    if (!copy)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    for (char *line = copy, *next; line && !code; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        code = read_line(c, line, path, ++number, e);
    }
    free(copy);
    return code;
}

static enum err_code load_file(struct config *c, const char *path, struct err *e)
{
    struct buf b = BUF_INIT;
    enum err_code code = file_read(path, CONFIG_FILE_MAX, &b, e);

    if (!code)
        code = config_read(c, b.data ? b.data : "", b.len, path, e);
    else
        e->code = code = ERR_CONFIG;
    buf_free(&b);
    return code;
}

/* ---- the command line ----------------------------------------------------------------------- */

/* An argument that is a flag: which, and its value within the argument if it has one. */
static enum err_code split_arg(const char *arg, enum config_id *id, const char **value,
                               char where[FLAG_ENV_SIZE], struct err *e)
{
    bool letter = arg[1] != '-';
    const char *name = arg + (letter ? 1 : 2);
    size_t len = letter ? 1 : strcspn(name, "=");

    *id = find_flag(name, len, letter);
    *value = NULL;
    if (*id == CONFIG_COUNT)
        return err_set(e, ERR_CONFIG, "unknown flag %.*s (see ha --help)",
                       (int)(len + (letter ? 1 : 2)), arg);
    if (name[len] == '=')
        *value = name + len + 1;
    else if (name[len] && config_flags[*id].type != FLAG_BOOL)
        *value = name + len; /* -p8081 */
    else if (name[len])
        return err_set(e, ERR_CONFIG, "unknown flag %s (one letter at a time)", arg);
    (void)snprintf(where, FLAG_ENV_SIZE, "%.*s", (int)(len + (letter ? 1 : 2)), arg);
    return ERR_OK;
}

/* With `peek` nothing but what the other sources depend on is taken: the actions that need none of
 * them, and the file's name. */
static enum err_code parse_args(struct config *c, size_t n, char *const *args,
                                enum config_source source, bool peek, struct err *e)
{
    bool only_files = false;
    enum err_code code = ERR_OK;

    for (size_t i = 0; i < n && !code; i++) {
        enum config_id id;
        const char *value;
        char where[FLAG_ENV_SIZE];

        if (only_files || args[i][0] != '-' || !args[i][1]) {
            code = peek ? ERR_OK : add_file(c, args[i], source, e);
            continue;
        }
        if (strcmp(args[i], "--") == 0) {
            only_files = true;
            continue;
        }
        code = split_arg(args[i], &id, &value, where, e);
        if (code)
            break;
        if (!value && config_flags[id].type == FLAG_BOOL)
            value = "true";
        else if (!value && i + 1 < n)
            value = args[++i];
        if (!value)
            return err_set(e, ERR_CONFIG, "%s needs a value", where);
        if (!peek || id == CONFIG_CONFIG || id == CONFIG_HELP || id == CONFIG_VERSION ||
            id == CONFIG_HELP_MARKDOWN)
            code = set_value(c, id, value, source, where, e);
        if (peek && (c->help || c->version || c->help_markdown))
            break;
    }
    return code;
}

/* Splits HA_ARGS into words as a shell would: at blanks, quotes keep blanks. In place. */
static enum err_code split_words(char *text, char **words, size_t *n, struct err *e)
{
    *n = 0;
    for (;;) {
        char *out;

        text += strspn(text, " \t\r\n");
        if (!*text)
            return ERR_OK;
        if (*n == CONFIG_ARGS_MAX)
            return err_set(e, ERR_CONFIG, "HA_ARGS has more than %d words", CONFIG_ARGS_MAX);
        words[(*n)++] = out = text;
        while (*text && !strchr(" \t\r\n", *text)) {
            char quote = *text;

            if (quote != '"' && quote != '\'') {
                *out++ = *text++;
                continue;
            }
            for (text++; *text && *text != quote; text++)
                *out++ = *text;
            if (!*text++)
                return err_set(e, ERR_CONFIG, "HA_ARGS: a quote is not closed");
        }
        if (*text)
            text++;
        *out = '\0';
    }
}

static const char *find_env(char *const *env, const char *name)
{
    size_t n = strlen(name);

    for (; env && *env; env++)
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return (*env)[n + 1] ? *env + n + 1 : NULL; /* empty is as good as unset */
    return NULL;
}

static enum err_code load_env_args(struct config *c, char *const *env, bool peek, struct err *e)
{
    const char *text = find_env(env, "HA_ARGS");
    char *copy;
    char **words;
    size_t n;
    enum err_code code;

    if (!text)
        return ERR_OK;
    copy = strdup(text);
    words = calloc(CONFIG_ARGS_MAX, sizeof *words);
    if (!copy || !words) {
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    } else {
        code = split_words(copy, words, &n, e);
        if (!code)
            code = parse_args(c, n, words, SOURCE_ENV, peek, e);
        if (code)
            (void)err_wrap(e, "HA_ARGS");
    }
    free(words);
    free(copy);
    return code;
}

/* Variables of our name that others set: Kubernetes gives every pod HA_PORT=tcp://… where there is
 * a service "ha", images say their version. */
static bool is_foreign(enum config_id id, const char *value)
{
    bool ignored;

    return (id == CONFIG_PORT && strncmp(value, "tcp://", 6) == 0) ||
           (id == CONFIG_VERSION && !parse_bool(value, &ignored));
}

static enum err_code load_env(struct config *c, char *const *env, bool peek, struct err *e)
{
    enum err_code code = load_env_args(c, env, peek, e);

    for (int id = 0; id < CONFIG_COUNT && !code; id++) {
        char name[FLAG_ENV_SIZE];
        const char *value;

        if (peek && id != CONFIG_CONFIG)
            continue;
        config_env_name(&config_flags[id], name);
        value = find_env(env, name);
        if (value && !is_foreign((enum config_id)id, value))
            code = set_value(c, (enum config_id)id, value, SOURCE_ENV, name, e);
    }
    return code;
}

enum err_code config_load(struct config *c, int argc, char *const *argv, char *const *env,
                          struct err *e)
{
    size_t n = argc > 0 ? (size_t)argc - 1 : 0;
    enum err_code code = load_env(c, env, true, e);

    if (!code)
        code = parse_args(c, n, argv + 1, SOURCE_FLAG, true, e);
    if (code || c->help || c->version || c->help_markdown)
        return code;
    if (*c->config)
        code = load_file(c, c->config, e);
    if (!code)
        code = load_env(c, env, false, e);
    if (!code)
        code = parse_args(c, n, argv + 1, SOURCE_FLAG, false, e);
    return code;
}
