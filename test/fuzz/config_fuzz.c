/*
 * Configuration. The first byte chooses: a file's text, the words of HA_ARGS, or the value of one
 * flag. Whatever is accepted must mean the same when it is printed and read again.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/config.h"
#include "server/config_flags.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What --print-config prints is a file that gives the same texts, but for what it blanks. */
static void check_reads_back(const struct config *c)
{
    struct config again;
    struct err e = ERR_INIT;
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        abort();
    config_print(c, f);
    (void)fclose(f);
    if (config_init(&again, &e) || config_read(&again, text, len, "printed", &e)) {
        (void)fprintf(stderr, "%s\n%s\n", e.msg, text);
        abort();
    }
    for (int id = 0; id < CONFIG_COUNT; id++) {
        enum flag_show show = config_flags[id].show;

        if (show == SHOW_PLAIN && id != CONFIG_CONFIG &&
            strcmp(c->texts[id], again.texts[id]) != 0) {
            (void)fprintf(stderr, "%s: '%s' came back as '%s'\n", config_flags[id].name,
                          c->texts[id], again.texts[id]);
            abort();
        }
    }
    config_free(&again);
    free(text);
}

static enum err_code load_words(struct config *c, const char *text, struct err *e)
{
    char arg0[] = "ha";
    char *argv[] = {arg0, NULL};
    char *env[] = {NULL, NULL};
    enum err_code code;

    if (strstr(text, "config")) /* would open a file of the fuzzer's choice */
        return err_set(e, ERR_CONFIG, "not here");
    if (asprintf(&env[0], "HA_ARGS=%s", text) < 0)
        abort();
    code = config_load(c, 1, argv, env, e);
    free(env[0]);
    return code;
}

static enum err_code load_value(struct config *c, const char *text, unsigned char which,
                                struct err *e)
{
    const struct flag *f = &config_flags[which % CONFIG_COUNT];
    char name[FLAG_ENV_SIZE], arg0[] = "ha";
    char *argv[] = {arg0, NULL};
    char *env[] = {NULL, NULL};
    enum err_code code;

    if (which % CONFIG_COUNT == CONFIG_CONFIG)
        return err_set(e, ERR_CONFIG, "not here");
    config_env_name(f, name);
    if (asprintf(&env[0], "%s=%s", name, text) < 0)
        abort();
    code = config_load(c, 1, argv, env, e);
    free(env[0]);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c;
    struct err e = ERR_INIT;
    enum err_code code;
    char *text;

    if (size < 2 || size > 65536)
        return 0;
    text = strndup((const char *)data + 2, size - 2);
    if (!text || config_init(&c, &e))
        abort();
    switch (data[0] % 3) {
    case 0:
        code = config_read(&c, (const char *)data + 2, size - 2, "fuzz", &e);
        break;
    case 1:
        code = load_words(&c, text, &e);
        break;
    default:
        code = load_value(&c, text, data[1], &e);
    }
    if (!code)
        code = config_check(&c, &e);
    if (!code)
        check_reads_back(&c);
    else if (code != ERR_CONFIG || !*e.msg)
        abort();
    config_free(&c);
    free(text);
    return 0;
}
