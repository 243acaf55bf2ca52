#include "cli/bar.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define BAR_WIDTH   30
#define BAR_LINE    79 /* what was longer before is blotted out */
#define BAR_DRAW_NS (100 * CLOCK_MS)
#define BAR_WAIT_NS (500 * CLOCK_MS) /* what is over by then needs no bar */
#define MEGABYTE    1e6

void bar_begin(struct bar *b, const char *what)
{
    *b = (struct bar){.on = isatty(STDERR_FILENO), .begin_ns = clock_mono_ns()};
    b->next_ns = b->begin_ns + BAR_WAIT_NS;
    (void)snprintf(b->what, sizeof b->what, "%s", what);
}

static void draw(struct bar *b, const char *text)
{
    (void)fprintf(stderr, "\r%-*.*s", BAR_LINE, BAR_LINE, text);
    (void)fflush(stderr);
    b->drawn = true;
}

void bar_show(struct bar *b, uint64_t done, uint64_t total)
{
    char text[512], rail[BAR_WIDTH + 1];
    int64_t now = clock_mono_ns();
    if (!b || !b->on || now < b->next_ns)
        return;
    b->next_ns = now + BAR_DRAW_NS;
    if (total > 0) {
        double part = done < total ? (double)done / (double)total : 1;
        memset(rail, '.', BAR_WIDTH);
        memset(rail, '#', (size_t)(part * BAR_WIDTH));
        rail[BAR_WIDTH] = '\0';
        (void)snprintf(text, sizeof text, "%s %s %3.0f %%  %.1f of %.1f MB", b->what, rail,
                       part * 100, (double)done / MEGABYTE, (double)total / MEGABYTE);
    } else if (done > 0) {
        (void)snprintf(text, sizeof text, "%s %.1f MB", b->what, (double)done / MEGABYTE);
    } else {
        (void)snprintf(text, sizeof text, "%s, %lld s", b->what,
                       (long long)((now - b->begin_ns) / CLOCK_S));
    }
    draw(b, text);
}

void bar_end(struct bar *b)
{
    if (!b || !b->drawn)
        return;
    draw(b, "");
    (void)fputc('\r', stderr);
    b->drawn = false;
}

void bar_moved(void *arg, uint64_t done, uint64_t total)
{
    bar_show(arg, done, total);
}
