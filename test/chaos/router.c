/*
 * The network between the namespaces of a test: a program, so that it needs no kernel module, obeys
 * at once, and makes the same choices for the same seed.
 *
 *     router <seed> <interface>…        one tun interface for each host, the first one is host 0
 *
 * A packet goes to the host whose number, plus one, is the last byte of its IPv4 destination. On
 * the way stand, for each ordered pair of hosts, a cut (everything is dropped) and the quality of
 * the line (loss, delay, jitter, packets that overtake). Commands on standard input, a line each;
 * each is answered with "ok", so that whoever sent it knows that it is in force:
 *
 *     cut FROM TO                       drop what goes that way
 *     line FROM TO LOSS DELAY JITTER OVERTAKE    parts per million, µs, µs, parts per million
 *     heal                              no cuts, perfect lines; what is delayed still arrives
 *     count                             answers "ok FORWARDED DROPPED DELAYED"
 *
 * "ready" is printed once the interfaces exist. The end of standard input ends it, and with it its
 * interfaces.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_HOSTS   16
#define MAX_DELAYED 16384 /* packets; more are dropped, as a full queue does */
#define PACKET_SIZE 2048  /* bytes; the interfaces have an MTU of 1500 */
#define BURST       64    /* packets of one interface in a row */
#define MILLION     1000000u

struct line {
    int cut;
    uint32_t loss_ppm, overtake_ppm;
    int64_t delay_us, jitter_us;
};

struct packet {
    int64_t due_us;
    uint64_t order; /* packets due at the same time keep their order */
    int to;
    size_t size;
    unsigned char *data;
};

static struct line lines[MAX_HOSTS][MAX_HOSTS];
static int fds[MAX_HOSTS];
static int hosts;
static struct packet heap[MAX_DELAYED]; /* the earliest on top */
static size_t heap_used;
static uint64_t next_order, forwarded, dropped, delayed;
static uint64_t random_state;

static void die(const char *what)
{
    fprintf(stderr, "router: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* splitmix64 */
static uint64_t next_random(void)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int happens(uint32_t ppm)
{
    return ppm > 0 && next_random() % MILLION < ppm;
}

/* ---- packets on their way ---- */

static int before(const struct packet *a, const struct packet *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void heap_push(struct packet p)
{
    size_t i = heap_used++;
    while (i > 0 && before(&p, &heap[(i - 1) / 2])) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = p;
}

static struct packet heap_pop(void)
{
    struct packet top = heap[0], last = heap[--heap_used];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= heap_used)
            break;
        if (child + 1 < heap_used && before(&heap[child + 1], &heap[child]))
            child++;
        if (!before(&heap[child], &last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

/* A host that does not take a packet (its interface is down, its queue is full) loses it. */
static void deliver(int to, const unsigned char *data, size_t size)
{
    if (write(fds[to], data, size) == (ssize_t)size)
        forwarded++;
    else
        dropped++;
}

static void delay(const struct line *l, int to, const unsigned char *data, size_t size)
{
    struct packet p = {.order = next_order++, .to = to, .size = size};
    int64_t wait = l->delay_us;
    if (l->jitter_us > 0)
        wait += (int64_t)(next_random() % (uint64_t)(2 * l->jitter_us + 1)) - l->jitter_us;
    p.data = heap_used < MAX_DELAYED ? malloc(size) : NULL;
    if (!p.data) {
        dropped++;
        return;
    }
    memcpy(p.data, data, size);
    p.due_us = now_us() + (wait > 0 ? wait : 0);
    delayed++;
    heap_push(p);
}

static void route(int from, const unsigned char *data, size_t size)
{
    if (size < 20 || data[0] >> 4 != 4)
        return; /* what IPv6 says to itself */
    int to = data[19] - 1;
    if (to < 0 || to >= hosts || to == from)
        return;
    const struct line *l = &lines[from][to];
    if (l->cut || happens(l->loss_ppm))
        dropped++;
    else if (l->delay_us > 0 && !happens(l->overtake_ppm))
        delay(l, to, data, size);
    else
        deliver(to, data, size);
}

static void send_due(void)
{
    int64_t now = now_us();
    while (heap_used > 0 && heap[0].due_us <= now) {
        struct packet p = heap_pop();
        deliver(p.to, p.data, p.size);
        free(p.data);
    }
}

/* ---- commands ---- */

static int is_host(int h)
{
    return h >= 0 && h < hosts;
}

static void obey(const char *text)
{
    int from, to;
    unsigned loss, overtake;
    long long wait, jitter;

    if (sscanf(text, "cut %d %d", &from, &to) == 2 && is_host(from) && is_host(to)) {
        lines[from][to].cut = 1;
    } else if (sscanf(text, "line %d %d %u %lld %lld %u", &from, &to, &loss, &wait, &jitter,
                      &overtake) == 6 &&
               is_host(from) && is_host(to)) {
        struct line *l = &lines[from][to];
        l->loss_ppm = loss;
        l->delay_us = wait;
        l->jitter_us = jitter;
        l->overtake_ppm = overtake;
    } else if (strcmp(text, "heal") == 0) {
        memset(lines, 0, sizeof lines);
    } else if (strcmp(text, "count") == 0) {
        printf("ok %llu %llu %llu\n", (unsigned long long)forwarded, (unsigned long long)dropped,
               (unsigned long long)delayed);
        return;
    } else {
        printf("unknown: %s\n", text);
        return;
    }
    printf("ok\n");
}

/* 0 at the end of standard input. */
static int read_commands(void)
{
    static char buffer[4096];
    static size_t used;
    ssize_t n = read(STDIN_FILENO, buffer + used, sizeof buffer - used - 1);

    if (n <= 0)
        return n < 0 && errno == EINTR;
    used += (size_t)n;
    buffer[used] = '\0';
    char *line = buffer, *end;
    while ((end = strchr(line, '\n'))) {
        *end = '\0';
        obey(line);
        line = end + 1;
    }
    used = strlen(line);
    memmove(buffer, line, used);
    fflush(stdout);
    return used < sizeof buffer - 1;
}

static int open_interface(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        die("/dev/net/tun");
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (ioctl(fd, TUNSETIFF, &request) != 0)
        die(name);
    return fd;
}

int main(int argc, char **argv)
{
    struct pollfd wait[MAX_HOSTS + 1];
    unsigned char packet[PACKET_SIZE];

    if (argc < 3 || argc - 2 > MAX_HOSTS) {
        fprintf(stderr, "usage: router seed interface…\n");
        return 2;
    }
    random_state = strtoull(argv[1], NULL, 10);
    hosts = argc - 2;
    for (int i = 0; i < hosts; i++) {
        fds[i] = open_interface(argv[2 + i]);
        wait[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    }
    wait[hosts] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int64_t left = heap_used ? heap[0].due_us - now_us() : -1;
        struct timespec t = {.tv_sec = left > 0 ? left / 1000000 : 0,
                             .tv_nsec = left > 0 ? left % 1000000 * 1000 : 0};
        if (ppoll(wait, (nfds_t)hosts + 1, heap_used ? &t : NULL, NULL) < 0 && errno != EINTR)
            die("ppoll");
        send_due();
        for (int i = 0; i < hosts; i++) {
            if (wait[i].revents & POLLIN)
                for (int n = 0; n < BURST; n++) {
                    ssize_t size = read(fds[i], packet, sizeof packet);
                    if (size <= 0)
                        break;
                    route(i, packet, (size_t)size);
                }
            wait[i].revents = 0;
        }
        if (wait[hosts].revents && !read_commands())
            return 0;
        wait[hosts].revents = 0;
    }
}
