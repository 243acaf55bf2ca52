#include "cli/edit.h"

#include <dlfcn.h>
#include <errno.h>
#include <histedit.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "os/library.h"

#define LIBRARY        "libedit.so.2"
#define EDIT_HISTORY   2000 /* lines */
#define EDIT_LISTED    200  /* candidates that are shown at once */
#define EDIT_CANDIDATE 4000 /* that are looked at */

/* What is used of it, by the names of its interface. */
static struct {
    __typeof__(el_init) *el_init;
    __typeof__(el_end) *el_end;
    __typeof__(el_set) *el_set;
    __typeof__(el_get) *el_get;
    __typeof__(el_gets) *el_gets;
    __typeof__(el_line) *el_line;
    __typeof__(el_insertstr) *el_insertstr;
    __typeof__(el_source) *el_source;
    __typeof__(el_resize) *el_resize;
    __typeof__(history_init) *history_init;
    __typeof__(history_end) *history_end;
    __typeof__(history) *history;
} lib;

struct edit {
    EditLine *el; /* NULL = plain */
    History *history;
    char *file; /* owned; NULL = none */
    char *prompt;
    edit_complete *complete;
    void *arg;
    mbstate_t state; /* of the character that is being read */
};

/* ---- signals ---- */

volatile sig_atomic_t edit_interrupted, edit_ending;
static volatile sig_atomic_t resized, continued;

static void on_signal(int number)
{
    switch (number) {
    case SIGWINCH:
        resized = 1;
        break;
    case SIGCONT:
        continued = 1;
        break;
    case SIGINT:
        edit_interrupted = 1;
        break;
    default:
        edit_interrupted = edit_ending = 1;
        break;
    }
}

void edit_signals(bool interactive)
{
    static const int all[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGCONT};
    struct sigaction action = {.sa_handler = on_signal}; /* calls are to end with EINTR */
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < (interactive ? sizeof all / sizeof *all : 1); i++)
        (void)sigaction(all[i], &action, NULL);
}

/* Waits until there is something to read. A signal ends it, also one that has come a moment
 * before. */
static bool wait_for_input(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    sigset_t ours, before;
    bool there = false;
    (void)sigemptyset(&ours);
    (void)sigaddset(&ours, SIGINT);
    (void)sigaddset(&ours, SIGTERM);
    (void)sigaddset(&ours, SIGHUP);
    (void)sigaddset(&ours, SIGWINCH);
    (void)sigaddset(&ours, SIGCONT);
    (void)pthread_sigmask(SIG_BLOCK, &ours, &before);
    if (!edit_interrupted && !resized && !continued)
        there = ppoll(&p, 1, NULL, &before) > 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return there;
}

/* ---- the library ---- */

#define FIND(library, name) library_find(library, #name, (void *)&lib.name, sizeof lib.name)

static bool load(void)
{
    void *l = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    return l && FIND(l, el_init) && FIND(l, el_end) && FIND(l, el_set) && FIND(l, el_get) &&
           FIND(l, el_gets) && FIND(l, el_line) && FIND(l, el_insertstr) && FIND(l, el_source) &&
           FIND(l, el_resize) && FIND(l, history_init) && FIND(l, history_end) && FIND(l, history);
}

static struct edit *of(EditLine *el)
{
    void *d = NULL;
    lib.el_get(el, EL_CLIENTDATA, &d);
    return d;
}

static char *give_prompt(EditLine *el)
{
    return of(el)->prompt;
}

/* False: the line is to be given up. */
static bool tend_signals(EditLine *el)
{
    if (edit_interrupted)
        return false;
    if (resized)
        lib.el_resize(el);
    if (continued) {
        lib.el_set(el, EL_PREP_TERM, 1);
        lib.el_set(el, EL_REFRESH);
    }
    resized = continued = 0;
    return true;
}

/* One character: 1, or 0 for the end. libedit's own reading begins again after a signal. */
static int give_character(EditLine *el, wchar_t *out)
{
    struct edit *d = of(el);
    char byte;
    for (;;) {
        if (!tend_signals(el))
            return 0;
        if (!wait_for_input())
            continue;
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n == 0 || (n < 0 && errno != EINTR))
            return 0;
        if (n < 0)
            continue;
        size_t used = mbrtowc(out, &byte, 1, &d->state);
        if (used == (size_t)-1) { /* no UTF-8 */
            memset(&d->state, 0, sizeof d->state);
            *out = L'?';
            return 1;
        }
        if (used != (size_t)-2)
            return 1;
    }
}

/* ---- completion ---- */

struct candidates {
    char *texts[EDIT_CANDIDATE];
    size_t n;
};

static void add_candidate(void *list, const char *text)
{
    struct candidates *c = list;
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->texts[i], text) == 0)
            return;
    if (c->n < EDIT_CANDIDATE && (c->texts[c->n] = strdup(text)))
        c->n++;
}

static size_t common_length(const struct candidates *c)
{
    size_t len = strlen(c->texts[0]);
    for (size_t i = 1; i < c->n; i++) {
        size_t k = 0;
        while (k < len && c->texts[i][k] == c->texts[0][k])
            k++;
        len = k;
    }
    return len;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || (unsigned char)c >= 0x80;
}

static unsigned char show_candidates(const struct candidates *c)
{
    (void)putchar('\n');
    for (size_t i = 0; i < c->n && i < EDIT_LISTED; i++)
        (void)printf("%s  ", c->texts[i]);
    if (c->n > EDIT_LISTED)
        (void)printf("… %zu more", c->n - EDIT_LISTED);
    (void)putchar('\n');
    (void)fflush(stdout);
    return CC_REDISPLAY;
}

/* What all of them share is inserted; where that is nothing new, they are listed. */
static unsigned char offer(EditLine *el, const struct candidates *c, size_t len)
{
    char text[256];
    if (c->n == 0)
        return CC_ERROR;
    size_t common = common_length(c);
    if (common <= len && c->n > 1)
        return show_candidates(c);
    if (common < len || common - len >= sizeof text - 2)
        return CC_ERROR;
    (void)snprintf(text, sizeof text, "%.*s%s", (int)(common - len), c->texts[0] + len,
                   c->n == 1 ? " " : "");
    return lib.el_insertstr(el, text) == 0 ? CC_REFRESH : CC_ERROR;
}

static unsigned char complete(EditLine *el, int key)
{
    struct edit *d = of(el);
    const LineInfo *line = lib.el_line(el);
    const char *word = line->cursor;
    static struct candidates c;
    (void)key;
    while (word > line->buffer && is_word(word[-1]))
        word--;
    size_t len = (size_t)(line->cursor - word);
    c.n = 0;
    if (d->complete)
        d->complete(d->arg, word, len, word == line->buffer, add_candidate, &c);
    unsigned char verdict = offer(el, &c, len);
    while (c.n > 0)
        free(c.texts[--c.n]);
    return verdict;
}

/* ---- opening and closing ---- */

static bool set_up(struct edit *d)
{
    HistEvent ev;
    d->el = lib.el_init("ha", stdin, stdout, stderr);
    d->history = lib.history_init();
    if (!d->el || !d->history)
        return false;
    lib.history(d->history, &ev, H_SETSIZE, EDIT_HISTORY);
    lib.history(d->history, &ev, H_SETUNIQUE, 1);
    if (d->file)
        lib.history(d->history, &ev, H_LOAD, d->file);
    lib.el_set(d->el, EL_CLIENTDATA, d);
    lib.el_set(d->el, EL_PROMPT, give_prompt);
    lib.el_set(d->el, EL_EDITOR, "emacs");
    lib.el_set(d->el, EL_HIST, lib.history, d->history);
    lib.el_set(d->el, EL_GETCFN, give_character);
    lib.el_set(d->el, EL_ADDFN, "ha-complete", "Complete a name", complete);
    lib.el_set(d->el, EL_BIND, "^I", "ha-complete", NULL);
    lib.el_set(d->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    (void)lib.el_source(d->el, NULL);
    return true;
}

enum err_code edit_open(struct edit **out, const char *history_file, edit_complete *complete_fn,
                        void *arg, struct err *e)
{
    struct edit *d = calloc(1, sizeof *d);
    *out = NULL;
    if (!d || (history_file && !(d->file = strdup(history_file)))) {
        free(d);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    d->complete = complete_fn;
    d->arg = arg;
    if (load() && !set_up(d)) {
        edit_close(d);
        return err_set(e, ERR_NO_MEMORY, "the terminal cannot be edited on");
    }
    *out = d;
    return ERR_OK;
}

bool edit_is_plain(const struct edit *d)
{
    return !d->el;
}

void edit_close(struct edit *d)
{
    HistEvent ev;
    if (!d)
        return;
    if (d->history && d->file) {
        mode_t before = umask(077); /* it may hold what is secret */
        lib.history(d->history, &ev, H_SAVE, d->file);
        (void)umask(before);
    }
    if (d->el)
        lib.el_end(d->el);
    if (d->history)
        lib.history_end(d->history);
    free(d->prompt);
    free(d->file);
    free(d);
}

/* ---- lines ---- */

static enum edit_got ended(void)
{
    if (edit_ending || !edit_interrupted)
        return EDIT_END;
    edit_interrupted = 0;
    return EDIT_INTERRUPTED;
}

static enum edit_got read_edited(struct edit *d, struct buf *line)
{
    HistEvent ev;
    int n = 0;
    memset(&d->state, 0, sizeof d->state);
    const char *text = lib.el_gets(d->el, &n);
    if (edit_interrupted || !text || n <= 0)
        return ended();
    buf_put(line, text, (size_t)n);
    if (line->len > 0 && line->data[line->len - 1] == '\n')
        buf_cut(line, line->len - 1);
    if (line->len > 0)
        lib.history(d->history, &ev, H_ENTER, buf_cstr(line));
    return EDIT_LINE;
}

static enum edit_got read_plain(const char *prompt, struct buf *line)
{
    (void)fputs(prompt, stdout);
    (void)fflush(stdout);
    for (;;) {
        char byte;
        if (edit_interrupted)
            return ended();
        resized = continued = 0;
        if (!wait_for_input())
            continue;
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return line->len > 0 ? EDIT_LINE : EDIT_END;
        if (byte == '\n')
            return EDIT_LINE;
        buf_putc(line, byte);
    }
}

enum edit_got edit_read(struct edit *d, const char *prompt, struct buf *line)
{
    buf_reset(line);
    if (!d->el)
        return read_plain(prompt, line);
    free(d->prompt);
    d->prompt = strdup(prompt);
    return d->prompt ? read_edited(d, line) : EDIT_END;
}
