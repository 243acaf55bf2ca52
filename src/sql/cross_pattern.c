#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "sql/cross_text.h"

#define PATTERN_STEPS 100000

struct cross_pattern {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

void cross_pattern_free(struct cross_pattern *p)
{
    if (!p)
        return;
    pcre2_match_context_free(p->limits);
    pcre2_match_data_free(p->data);
    pcre2_code_free(p->code);
    free(p);
}

enum err_code cross_pattern_new(struct cross_pattern **out, const char *pattern, size_t n,
                                struct err *e)
{
    struct cross_pattern *p = calloc(1, sizeof *p);
    PCRE2_UCHAR why[120];
    PCRE2_SIZE offset = 0;
    int error = 0;
    *out = NULL;
    if (!p)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    p->code = pcre2_compile((PCRE2_SPTR)pattern, n, PCRE2_UTF | PCRE2_MATCH_INVALID_UTF, &error,
                            &offset, NULL);
    if (!p->code) {
        (void)pcre2_get_error_message(error, why, sizeof why);
        cross_pattern_free(p);
        return err_set(e, ERR_PARAM, "the hint db=%.*s is no regular expression: %s",
                       (int)(n < 200 ? n : 200), pattern, (const char *)why);
    }
    p->data = pcre2_match_data_create_from_pattern(p->code, NULL);
    p->limits = pcre2_match_context_create(NULL);
    if (!p->data || !p->limits) {
        cross_pattern_free(p);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    (void)pcre2_set_match_limit(p->limits, PATTERN_STEPS);
    *out = p;
    return ERR_OK;
}

bool cross_pattern_matches(const struct cross_pattern *p, const char *id)
{
    return pcre2_match(p->code, (PCRE2_SPTR)id, strlen(id), 0, 0, p->data, p->limits) > 0;
}
