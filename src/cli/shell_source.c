#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/edit.h"
#include "cli/shell.h"

#define SOURCE_PIECE     ((size_t)64 << 10)  /* of a line that is read at once */
#define SOURCE_STATEMENT ((size_t)256 << 20) /* no node takes a larger one */

void shell_source_init(struct shell_source *src, const char *name)
{
    *src = (struct shell_source){.name = name, .line = 1, .begun = 1};
    buf_init(&src->text, SOURCE_STATEMENT);
}

void shell_source_free(struct shell_source *src)
{
    buf_free(&src->text);
}

static bool is_blank(const char *s, size_t len)
{
    struct lex_token t;
    return !lex_next(&s, s + len, &t);
}

/* The same, and no comment is open that what comes next would belong to. */
static bool is_blank_for_good(const char *s, size_t len)
{
    struct buf b = BUF_INIT;
    if (!is_blank(s, len))
        return false;
    buf_put(&b, s, len);
    buf_puts(&b, "\n;");
    bool closed = !is_blank(buf_cstr(&b), b.len);
    buf_free(&b);
    return closed;
}

bool shell_source_is_inside(const struct shell_source *src)
{
    return src->text.len > 0;
}

static unsigned long newlines(const char *s, size_t len)
{
    unsigned long n = 0;
    for (const char *end = s + len; (s = memchr(s, '\n', (size_t)(end - s))); s++)
        n++;
    return n;
}

/* Runs the statements that the text holds, and keeps what is behind them. */
static void run_complete(struct shell *sh, struct shell_source *src)
{
    size_t at = 0, n;
    while (!shell_is_over(sh) &&
           (n = lex_split(&src->split, src->text.data + at, src->text.len - at)) > 0) {
        shell_statement(sh, src, src->text.data + at, n);
        src->begun += newlines(src->text.data + at, n);
        src->split = (struct lex_split)LEX_SPLIT_INIT;
        at += n;
    }
    if (at == 0)
        return;
    size_t left = src->text.len - at;
    char *text = src->text.data;
    if (text && left > 0)
        memmove(text, text + at, left);
    buf_cut(&src->text, left);
    if (left == 0 || is_blank_for_good(text, left))
        buf_reset(&src->text);
}

static void forget(struct shell_source *src)
{
    buf_reset(&src->text);
    src->split = (struct lex_split)LEX_SPLIT_INIT;
}

static void refuse(struct shell *sh, struct shell_source *src, const char *why)
{
    struct err e = ERR_INIT;
    err_set(&e, ERR_PROTOCOL, "%s", why);
    shell_error(sh, src, NULL, 0, &e);
    forget(src);
}

/* EXIT and its like need no semicolon where they stand alone on a line. */
static bool is_farewell(const char *text, size_t len)
{
    struct lex_token t, more;
    const char *at = text, *end = text + len;
    if (len == 2 && memcmp(text, "\\q", 2) == 0)
        return true;
    return lex_next(&at, end, &t) && (lex_is(&t, "EXIT") || lex_is(&t, "QUIT")) &&
           !lex_next(&at, end, &more);
}

static void dot_line(struct shell *sh, const struct shell_source *src, const char *text, size_t len)
{
    char *line = strndup(text, len);
    if (line)
        shell_dot(sh, src, line);
    free(line);
}

void shell_feed(struct shell *sh, struct shell_source *src, const char *text, size_t len,
                bool whole)
{
    bool fresh = src->text.len == 0;
    if (memchr(text, '\0', len)) {
        refuse(sh, src, "the input holds a NUL byte: it is no SQL text");
        return;
    }
    if (fresh)
        src->begun = src->line;
    if (fresh && whole && len > 0 && *text == '.') {
        dot_line(sh, src, text, len);
    } else if (fresh && whole && sh->interactive && is_farewell(text, len)) {
        sh->ended = true;
    } else if (!fresh || !whole || !is_blank_for_good(text, len)) {
        buf_put(&src->text, text, len);
        if (whole)
            buf_putc(&src->text, '\n');
        if (!buf_ok(&src->text))
            refuse(sh, src, "the statement is too large");
        else if (memchr(text, ';', len))
            run_complete(sh, src);
    }
    if (whole)
        src->line++;
}

void shell_feed_end(struct shell *sh, struct shell_source *src)
{
    if (!shell_is_over(sh) && src->text.len > 0 && !is_blank(src->text.data, src->text.len))
        shell_statement(sh, src, src->text.data, src->text.len);
    forget(src);
}

void shell_text(struct shell *sh, const char *name, const char *text)
{
    struct shell_source src;
    shell_source_init(&src, name);
    for (const char *nl; !shell_is_over(sh) && *text; text = nl + (*nl == '\n')) {
        nl = strchrnul(text, '\n');
        shell_feed(sh, &src, text, (size_t)(nl - text), true);
    }
    shell_feed_end(sh, &src);
    shell_source_free(&src);
}

/* A line, or as much of one as fits. 0: that was all. */
static size_t read_piece(FILE *in, char *piece, size_t size, bool *whole)
{
    size_t n = 0;
    int c = 0;
    *whole = false;
    while (n < size && !edit_interrupted && (c = getc_unlocked(in)) != EOF) {
        piece[n++] = (char)c;
        if (c == '\n') {
            *whole = true;
            break;
        }
    }
    return n;
}

static void run_stream(struct shell *sh, struct shell_source *src, FILE *in, char *piece)
{
    bool whole;
    size_t n;
    while (!shell_is_over(sh) && (n = read_piece(in, piece, SOURCE_PIECE, &whole)) > 0) {
        if (whole)
            n--;
        if (whole && n > 0 && piece[n - 1] == '\r')
            n--;
        shell_feed(sh, src, piece, n, whole || feof(in));
    }
    if (edit_interrupted)
        sh->stopped = true;
    shell_feed_end(sh, src);
}

enum err_code shell_file(struct shell *sh, const char *path, struct err *e)
{
    bool standard = strcmp(path, "-") == 0;
    struct shell_source src;
    FILE *in = standard ? stdin : fopen(path, "re");
    char *piece = malloc(SOURCE_PIECE);
    enum err_code code = ERR_OK;
    if (!in)
        code = err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
    else if (!piece)
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    if (code == ERR_OK && piece) {
        shell_source_init(&src, standard ? "stdin" : path);
        run_stream(sh, &src, in, piece);
        shell_source_free(&src);
        if (ferror(in) && !edit_interrupted)
            code = err_set(e, ERR_CONFIG, "%s: it cannot be read", path);
    }
    if (in && !standard)
        (void)fclose(in);
    free(piece);
    return code;
}
