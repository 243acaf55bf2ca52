#include "ext/params.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "nats/url.h"

#define TIMEOUT_DEFAULT_MS 5000
#define TIMEOUT_MAX_MS     3600000
#define VALUE_MAX_BYTES    ((size_t)64 * 1024)

enum kind { TEXT, TIMEOUT, BOOLEAN, ROW_IDENTIFY, CONSISTENCY, WRITES, LOGGER };

static const struct param {
    const char *name;
    enum kind kind;
    size_t offset; /* of what it sets */
    const char *text;
} table[] = {
    {"servers", TEXT, offsetof(struct ext_params, servers), ""},
    {"client_name", TEXT, offsetof(struct ext_params, client_name), "ha-sync"},
    {"username", TEXT, offsetof(struct ext_params, username), ""},
    {"password", TEXT, offsetof(struct ext_params, password), ""},
    {"token", TEXT, offsetof(struct ext_params, token), ""},
    {"cert_file", TEXT, offsetof(struct ext_params, cert_file), ""},
    {"cert_key_file", TEXT, offsetof(struct ext_params, cert_key_file), ""},
    {"ca_file", TEXT, offsetof(struct ext_params, ca_file), ""},
    {"extensions", TEXT, offsetof(struct ext_params, extensions), ""},
    {"logger", LOGGER, offsetof(struct ext_params, logger), ""},
    {"timeout", TIMEOUT, offsetof(struct ext_params, timeout_ms), NULL},
    {"insecure", BOOLEAN, offsetof(struct ext_params, insecure), NULL},
    {"row_identify", ROW_IDENTIFY, offsetof(struct ext_params, row_identify), NULL},
    {"consistency", CONSISTENCY, offsetof(struct ext_params, serializable), NULL},
    {"snapshot", BOOLEAN, offsetof(struct ext_params, snapshot), NULL},
    {"writes", WRITES, offsetof(struct ext_params, allow_writes), NULL},
};

#define TABLE_SIZE (sizeof table / sizeof table[0])

static char **text_of(struct ext_params *p, const struct param *k)
{
    return (char **)((char *)p + k->offset);
}

bool ext_params_init(struct ext_params *p)
{
    bool all = true;

    *p = (struct ext_params){
        .timeout_ms = TIMEOUT_DEFAULT_MS, .row_identify = ROW_BY_PK, .snapshot = true};
    for (size_t i = 0; i < TABLE_SIZE; i++)
        if (table[i].text)
            all = (*text_of(p, &table[i]) = strdup(table[i].text)) && all;
    return all;
}

bool ext_params_copy(struct ext_params *to, const struct ext_params *from)
{
    bool all = true;

    *to = *from;
    for (size_t i = 0; i < TABLE_SIZE; i++)
        if (table[i].text)
            all = (*text_of(to, &table[i]) = strdup(*text_of(to, &table[i]))) && all;
    return all;
}

void ext_params_free(struct ext_params *p)
{
    for (size_t i = 0; i < TABLE_SIZE; i++)
        if (table[i].text)
            free(*text_of(p, &table[i]));
    *p = (struct ext_params){0};
}

/* ---- values ---- */

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* *from stands at a dollar sign. False where no variable is named: then it is one like any other
 * byte. */
static bool put_variable(struct buf *out, const char **from, const char *end)
{
    const char *p = *from + 1;
    bool braces = p < end && *p == '{';
    char name[256];
    size_t n = 0;

    p += braces ? 1 : 0;
    while (p + n < end && is_name(p[n]))
        n++;
    if (n == 0 || n >= sizeof name || (braces && (p + n == end || p[n] != '}')))
        return false;
    memcpy(name, p, n);
    name[n] = '\0';
    const char *value = getenv(name);
    buf_puts(out, value ? value : "");
    *from = p + n + (braces ? 1 : 0);
    return true;
}

/* Without the blanks and quotes around it, variables in place. NULL: out of memory, or too long. */
static char *read_value(const char *v)
{
    const char *end = v + strlen(v);
    struct buf out = BUF_INIT;
    char quote = '\0';

    while (v < end && isspace((unsigned char)*v))
        v++;
    while (end > v && isspace((unsigned char)end[-1]))
        end--;
    if (end - v >= 2 && (*v == '\'' || *v == '"') && end[-1] == *v) {
        quote = *v++;
        end--;
    }
    while (v < end && out.len < VALUE_MAX_BYTES) {
        if (*v == '$' && put_variable(&out, &v, end))
            continue;
        if (quote && *v == quote && v + 1 < end && v[1] == quote) /* doubled, as in SQL */
            v++;
        buf_putc(&out, *v++);
    }
    buf_putc(&out, '\0');
    char *text = buf_ok(&out) && v == end ? strdup(out.data) : NULL;
    buf_free(&out);
    return text;
}

static bool read_bool(const char *v, bool *out)
{
    static const char *const words[] = {"false", "true", "0", "1", "f", "t"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(v, words[i]) == 0) {
            *out = i % 2 == 1;
            return true;
        }
    return false;
}

/* Which of the words (n of them) is it? -1: none. */
static int find_word(const char *v, const char *const *words, int n)
{
    for (int i = 0; i < n; i++)
        if (strcasecmp(v, words[i]) == 0)
            return i;
    return -1;
}

static enum err_code wrong(const struct param *k, const char *what, struct err *e)
{
    return err_set(e, ERR_CONFIG, "invalid \"%s\": it is %s", k->name, what);
}

static enum err_code set(struct ext_params *p, const struct param *k, const char *v, struct err *e)
{
    static const char *const identify[] = {"pk", "rowid", "full"};
    static const char *const consistency[] = {"lww", "serializable"};
    static const char *const writes[] = {"refuse", "allow"};
    void *at = (char *)p + k->offset;
    char *end;
    long long n;
    int word;

    switch (k->kind) {
    case TIMEOUT:
        n = isdigit((unsigned char)*v) ? strtoll(v, &end, 10) : -1;
        if (n < 0 || n > TIMEOUT_MAX_MS || *end)
            return wrong(k, "a number of milliseconds, up to an hour", e);
        *(int64_t *)at = n;
        return ERR_OK;
    case BOOLEAN:
        return read_bool(v, at) ? ERR_OK : wrong(k, "true or false", e);
    case ROW_IDENTIFY:
        if ((word = find_word(v, identify, 3)) < 0)
            return wrong(k, "pk, rowid or full", e);
        *(enum row_identify *)at = (enum row_identify)word;
        return ERR_OK;
    case CONSISTENCY:
        if ((word = find_word(v, consistency, 2)) < 0)
            return wrong(k, "lww or serializable", e);
        *(bool *)at = word == 1;
        return ERR_OK;
    case WRITES:
        if ((word = find_word(v, writes, 2)) < 0)
            return wrong(k, "refuse or allow", e);
        *(bool *)at = word == 1;
        return ERR_OK;
    case LOGGER:
        if (*v && strcmp(v, "stdout") != 0 && strcmp(v, "stderr") != 0 &&
            (strncmp(v, "file:", 5) != 0 || !v[5]))
            return wrong(k, "stdout, stderr or file:PATH", e);
        break;
    case TEXT:
        break;
    }
    char *copy = strdup(v);
    if (!copy)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    free(*text_of(p, k));
    *text_of(p, k) = copy;
    return ERR_OK;
}

enum err_code ext_params_take(struct ext_params *p, const char *argument, struct err *e)
{
    const char *equals = strchr(argument, '=');
    size_t n;

    while (isspace((unsigned char)*argument))
        argument++;
    if (!equals)
        return err_set(e, ERR_CONFIG, "invalid option \"%.60s\": it is not key=value", argument);
    n = (size_t)(equals - argument);
    while (n > 0 && isspace((unsigned char)argument[n - 1]))
        n--;
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        if (strlen(table[i].name) != n || strncasecmp(table[i].name, argument, n) != 0)
            continue;
        char *v = read_value(equals + 1);
        if (!v)
            return err_set(e, ERR_NO_MEMORY, "the value of \"%s\" is too long", table[i].name);
        enum err_code code = set(p, &table[i], v, e);
        free(v);
        return code;
    }
    return err_set(e, ERR_CONFIG, "there is no option \"%.*s\"", (int)(n < 60 ? n : 60), argument);
}

enum err_code ext_params_check(const struct ext_params *p, struct err *e)
{
    if (!*p->servers)
        return err_set(e, ERR_CONFIG,
                       "\"servers\" is missing: the URLs of NATS, as servers='nats://host:4222'");
    if (!*p->cert_file != !*p->cert_key_file)
        return err_set(e, ERR_CONFIG, "\"cert_file\" and \"cert_key_file\" belong together");
    const struct {
        const char *name, *text;
    } sent[] = {{"client_name", p->client_name},
                {"username", p->username},
                {"password", p->password},
                {"token", p->token}};
    for (size_t i = 0; i < sizeof sent / sizeof sent[0]; i++)
        if (nats_credential_check(sent[i].text, e) != ERR_OK)
            return err_wrap(e, "\"%s\"", sent[i].name);
    if (*p->password && !*p->username)
        return err_set(e, ERR_CONFIG, "\"password\" needs \"username\"");
    return nats_urls_check(p->servers, e) == ERR_OK ? ERR_OK : err_wrap(e, "\"servers\"");
}

/* ---- the subject ---- */

static void add_id(struct ext_subject *s, const char *id)
{
    for (unsigned i = 0; i < s->n; i++)
        if (strcmp(s->ids[i], id) == 0)
            return;
    if (s->n < EXT_IDS_MAX && strlen(id) < sizeof s->ids[0])
        memcpy(s->ids[s->n++], id, strlen(id) + 1);
}

enum err_code ext_subject_parse(const char *text, struct ext_subject *out, struct err *e)
{
    const char *dot = strchr(text, '.');
    size_t n = dot ? (size_t)(dot - text) : 0;
    char id[NAME_TOKEN_SIZE];

    *out = (struct ext_subject){.n = 0};
    if (n == 0 || n > EXT_STREAM_MAX || !dot[1] || strlen(dot + 1) > NAME_TOKEN_MAX ||
        strpbrk(text, " \t\r\n*>/\\"))
        return err_set(e, ERR_CONFIG,
                       "the subject \"%.100s\" is not STREAM.DATABASE, as ha_replication.ha.db",
                       text);
    memcpy(out->stream, text, n);
    if (strchr(dot, '=') && name_decode(dot + 1, id))
        add_id(out, id);
    add_id(out, dot + 1);
    memcpy(id, dot + 1, strlen(dot + 1) + 1);
    char *underscore = strrchr(id, '_');
    if (underscore) {
        *underscore = '.';
        add_id(out, id);
        while ((underscore = strchr(id, '_')))
            *underscore = '.';
        add_id(out, id);
    }
    return ERR_OK;
}
