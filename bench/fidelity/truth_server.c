/* A server that streams OpenAI-style answers on an exact schedule and logs when it really did.
 *
 *   gcc -O2 -o truth_server truth_server.c
 *   truth_server -p 8000 -t 200 -i 20 -n 64
 *
 *   -p N      port on 127.0.0.1; 0 takes a free one. The first line printed is the port.
 *   -t MS     time to first token        -i MS   time per token      -n N  tokens per answer
 *   -k N      tokens in one chunk        -r      role-only chunk as soon as the request is read
 *   -R N      the first N tokens are reasoning
 *   -b        the whole answer in one write, when its last token is due
 *   -s AT,LEN the whole server sleeps LEN ms, once, AT ms after its first request
 *
 * -t 0 -i 0 answers at once, one write per chunk. Chunk k is due at arrival + t + i * (tokens
 * before it), an absolute deadline: a late chunk does not push the next one. Usage is sent when
 * "include_usage" is asked for. One thread, epoll, SCHED_FIFO where that is permitted.
 *
 *   GET /__log    one line per request: nanoseconds of CLOCK_REALTIME at which it came (as the
 *                 kernel stamped it), then at which each chunk with tokens was handed to the kernel; "x" ends the line of
 *                 a request whose client went away first
 *   GET /__stats  counters: requests, cancelled, accepts, active, most active at once
 *   GET /__reset  forgets the log and the counters, and arms the stall again
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef int64_t ns_t;
static const char MODELS[] = "{\"object\":\"list\",\"data\":[{\"id\":\"truth\",\"object\":\"model\",\"created\":1760000000,\"owned_by\":\"truth\"}]}";

struct buffer { char *bytes; size_t used, room; };

struct entry { ns_t arrived; ns_t *sent; int count, cancelled; }; /* one request in the log */

struct client {
    int fd, streaming, usage, watching_out, tokens;
    struct buffer in, out;
    size_t flushed;
    ns_t came;         /* CLOCK_REALTIME: when the kernel had the bytes that were read last */
    ns_t arrived, due; /* CLOCK_MONOTONIC */
    long entry;        /* its place in the log */
    int slot;          /* its place in the heap of deadlines; -1: not waiting */
};

static int tokens_total = 64, per_chunk = 1, early_role, reasoning, one_write;
static ns_t ttft, itl, stall_after, stall_length, stall_base;
static struct entry *entries;
static long entry_count, entry_room, accepts, active, most_active, cancelled;
static struct client **heap;
static int heap_size, heap_room, poller;

static ns_t clock_ns(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (ns_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void append(struct buffer *b, const char *bytes, size_t size)
{
    if (b->used + size + 1 > b->room) {
        b->room = (b->used + size + 1) * 2;
        b->bytes = realloc(b->bytes, b->room);
    }
    memcpy(b->bytes + b->used, bytes, size);
    b->used += size;
    b->bytes[b->used] = 0;
}

/* The heap: the client with the earliest deadline is heap[0]. */
static void place(struct client *c, int slot) { heap[slot] = c; c->slot = slot; }

static void sift(int slot)
{
    struct client *c = heap[slot];
    while (slot && heap[(slot - 1) / 2]->due > c->due) {
        place(heap[(slot - 1) / 2], slot);
        slot = (slot - 1) / 2;
    }
    for (int child; (child = 2 * slot + 1) < heap_size; slot = child) {
        if (child + 1 < heap_size && heap[child + 1]->due < heap[child]->due) child++;
        if (heap[child]->due >= c->due) break;
        place(heap[child], slot);
    }
    place(c, slot);
}

static void wait_until(struct client *c, ns_t due)
{
    c->due = due;
    if (c->slot < 0) {
        if (heap_size == heap_room) {
            heap_room = heap_room ? 2 * heap_room : 1024;
            heap = realloc(heap, heap_room * sizeof *heap);
        }
        place(c, heap_size++);
    }
    sift(c->slot);
}

static void stop_waiting(struct client *c)
{
    if (c->slot < 0) return;
    int slot = c->slot;
    c->slot = -1;
    if (slot == --heap_size) return;
    place(heap[heap_size], slot);
    sift(slot);
}

static void end_answer(struct client *c)
{
    stop_waiting(c);
    c->streaming = 0;
    active--;
}

static void hang_up(struct client *c)
{
    if (c->streaming) {
        entries[c->entry].cancelled = 1;
        cancelled++;
        end_answer(c);
    }
    close(c->fd);
    free(c->in.bytes);
    free(c->out.bytes);
    free(c);
}

static int flush(struct client *c) /* -1: the client is gone */
{
    while (c->flushed < c->out.used) {
        ssize_t n = send(c->fd, c->out.bytes + c->flushed, c->out.used - c->flushed, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return -1;
        if (n < 0) break;
        c->flushed += n;
    }
    int behind = c->flushed < c->out.used;
    if (!behind) c->flushed = c->out.used = 0;
    if (behind != c->watching_out) {
        struct epoll_event e = {EPOLLIN | (behind ? EPOLLOUT : 0), {.ptr = c}};
        epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
        c->watching_out = behind;
    }
    return 0;
}

static void chunk(struct client *c, const char *text)
{
    char size[24];
    size_t length = strlen(text);
    append(&c->out, size, sprintf(size, "%zx\r\n", length));
    append(&c->out, text, length);
    append(&c->out, "\r\n", 2);
}

static void event(struct client *c, const char *delta, const char *finish)
{
    char text[8192];
    snprintf(text, sizeof text,
             "data: {\"id\":\"chatcmpl-%012lx\",\"object\":\"chat.completion.chunk\","
             "\"created\":1760000000,\"model\":\"truth\",\"choices\":[{\"index\":0,"
             "\"delta\":{%s},\"logprobs\":null,\"finish_reason\":%s}]}\n\n",
             c->entry, delta, finish);
    chunk(c, text);
}

static void open_answer(struct client *c)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nserver: truth\r\n"
                               "content-type: text/event-stream; charset=utf-8\r\n"
                               "transfer-encoding: chunked\r\n\r\n";
    append(&c->out, head, sizeof head - 1);
    event(c, "\"role\":\"assistant\",\"content\":\"\"", "null");
}

static void token_chunk(struct client *c, int count, int last)
{
    static const char *words[] = {" the", " of", " and", " to", " in", " is", " for", " that"};
    char delta[4096];
    int used = sprintf(delta, "\"%s\":\"",
                       c->tokens < reasoning ? "reasoning_content" : "content");
    for (int i = 0; i < count && used < 4000; i++)
        used += sprintf(delta + used, "%s", words[(c->tokens + i) & 7]);
    sprintf(delta + used, "\"");
    event(c, delta, last ? "\"length\"" : "null");
}

static void close_answer(struct client *c)
{
    char usage[256];
    sprintf(usage,
            "data: {\"id\":\"chatcmpl-%012lx\",\"object\":\"chat.completion.chunk\","
            "\"created\":1760000000,\"model\":\"truth\",\"choices\":[],\"usage\":"
            "{\"prompt_tokens\":128,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n",
            c->entry, tokens_total, 128 + tokens_total);
    if (c->usage) chunk(c, usage);
    chunk(c, "data: [DONE]\n\n");
    append(&c->out, "0\r\n\r\n", 5);
}

/* Sends every chunk that is due. -1: the client is gone. */
static int speak(struct client *c)
{
    int at_once = one_write || (!ttft && !itl);
    do {
        int left = tokens_total - c->tokens, count = left < per_chunk ? left : per_chunk;
        int last = count == left;
        if (!c->tokens && !early_role) open_answer(c);
        token_chunk(c, count, last);
        if (last) close_answer(c);
        c->tokens += count;
        struct entry *e = &entries[c->entry];
        e->sent[e->count++] = clock_ns(CLOCK_REALTIME);
        if ((!one_write || last) && flush(c) < 0) return -1;
        if (last) {
            end_answer(c);
            return 0;
        }
    } while (at_once);
    wait_until(c, c->arrived + ttft + itl * c->tokens);
    return 0;
}

static void plain(struct client *c, const char *status, const char *body, size_t size)
{
    char head[160];
    append(&c->out, head, sprintf(head, "HTTP/1.1 %s\r\ncontent-type: application/json\r\n"
                                        "content-length: %zu\r\n\r\n", status, size));
    append(&c->out, body, size);
}

static void send_log(struct client *c)
{
    struct buffer text = {0};
    char number[32];
    append(&text, "", 0);
    for (long i = 0; i < entry_count; i++) {
        append(&text, number, sprintf(number, "%lld", (long long)entries[i].arrived));
        for (int k = 0; k < entries[i].count; k++)
            append(&text, number, sprintf(number, " %lld", (long long)entries[i].sent[k]));
        append(&text, " x\n" + (entries[i].cancelled ? 0 : 2), entries[i].cancelled ? 3 : 1);
    }
    plain(c, "200 OK", text.bytes, text.used);
    free(text.bytes);
}

static void send_stats(struct client *c)
{
    char text[256];
    plain(c, "200 OK", text,
          sprintf(text, "{\"requests\":%ld,\"cancelled\":%ld,\"accepts\":%ld,\"active\":%ld,"
                        "\"most_active\":%ld}\n",
                  entry_count, cancelled, accepts, active, most_active));
}

static void forget(void)
{
    for (long i = 0; i < entry_count; i++) free(entries[i].sent);
    entry_count = accepts = cancelled = 0;
    most_active = active;
    stall_base = 0;
}

static int begin_answer(struct client *c, const char *body)
{
    if (entry_count == entry_room) {
        entry_room = entry_room ? 2 * entry_room : 4096;
        entries = realloc(entries, entry_room * sizeof *entries);
    }
    c->entry = entry_count++;
    entries[c->entry] = (struct entry){
        .arrived = c->came,
        .sent = malloc(sizeof(ns_t) * (tokens_total / per_chunk + 1)),
    };
    c->arrived = clock_ns(CLOCK_MONOTONIC) - (clock_ns(CLOCK_REALTIME) - c->came);
    if (!stall_base) stall_base = c->arrived;
    c->usage = strstr(body, "\"include_usage\":true") || strstr(body, "\"include_usage\": true");
    c->streaming = 1;
    c->tokens = 0;
    if (++active > most_active) most_active = active;
    if (early_role) {
        open_answer(c);
        if (flush(c) < 0) return -1;
    }
    ns_t wait = ttft + (one_write ? itl * (tokens_total - 1) : 0);
    if (!wait) return speak(c);
    wait_until(c, c->arrived + wait);
    return 0;
}

/* Takes whole requests from what has come, one at a time. -1: the client is gone. */
static int listen_to(struct client *c)
{
    while (!c->streaming && c->in.used) {
        char *end = strstr(c->in.bytes, "\r\n\r\n"), *field;
        if (!end) return 0;
        size_t head = end + 4 - c->in.bytes, body = 0;
        if ((field = strcasestr(c->in.bytes, "\r\ncontent-length:")) && field < end)
            body = strtoul(field + 17, 0, 10);
        if (c->in.used < head + body) return 0;
        int gone = 0;
        if (!strncmp(c->in.bytes, "POST ", 5)) gone = begin_answer(c, c->in.bytes + head);
        else if (!strncmp(c->in.bytes, "GET /__log", 10)) send_log(c);
        else if (!strncmp(c->in.bytes, "GET /__stats", 12)) send_stats(c);
        else if (!strncmp(c->in.bytes, "GET /v1/models", 14)) plain(c, "200 OK", MODELS, sizeof MODELS - 1);
        else if (!strncmp(c->in.bytes, "GET /__reset", 12)) forget(), plain(c, "200 OK", "{}", 2);
        else plain(c, "404 Not Found", "{}", 2);
        c->in.used -= head + body;
        memmove(c->in.bytes, c->in.bytes + head + body, c->in.used + 1);
        if (gone || flush(c) < 0) return -1;
    }
    return 0;
}

static int receive(struct client *c) /* -1: the client is gone */
{
    char bytes[65536], control[64];
    struct iovec part = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t n = recvmsg(c->fd, &message, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) return -1;
    if (n > 0) {
        append(&c->in, bytes, n);
        c->came = clock_ns(CLOCK_REALTIME);
        struct cmsghdr *stamp = CMSG_FIRSTHDR(&message);
        if (stamp && stamp->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(stamp), sizeof t);
            c->came = (ns_t)t.tv_sec * 1000000000 + t.tv_nsec;
        }
    }
    return listen_to(c);
}

static void welcome(int listener)
{
    for (int fd, one = 1; (fd = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0; accepts++) {
        struct client *c = calloc(1, sizeof *c);
        struct epoll_event e = {EPOLLIN, {.ptr = c}};
        c->fd = fd;
        c->slot = -1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

static int open_listener(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof a;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&a, sizeof a) || listen(fd, 4096)) {
        perror("truth_server");
        exit(1);
    }
    getsockname(fd, (void *)&a, &size);
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

static void read_options(int argc, char **argv, int *port)
{
    double at, length;
    for (int o; (o = getopt(argc, argv, "p:t:i:n:k:rR:bs:")) > 0;) switch (o) {
        case 'p': *port = atoi(optarg); break;
        case 't': ttft = atof(optarg) * 1e6; break;
        case 'i': itl = atof(optarg) * 1e6; break;
        case 'n': tokens_total = atoi(optarg); break;
        case 'k': per_chunk = atoi(optarg); break;
        case 'r': early_role = 1; break;
        case 'R': reasoning = atoi(optarg); break;
        case 'b': one_write = 1; break;
        case 's':
            if (sscanf(optarg, "%lf,%lf", &at, &length) != 2) exit(2);
            stall_after = at * 1e6, stall_length = length * 1e6;
            break;
        default: exit(2);
    }
    if (tokens_total < 1 || per_chunk < 1) exit(2);
}

static void maybe_stall(void)
{
    if (!stall_length || stall_base <= 0) return;
    if (clock_ns(CLOCK_MONOTONIC) < stall_base + stall_after) return;
    struct timespec t = {stall_length / 1000000000, stall_length % 1000000000};
    nanosleep(&t, 0);
    stall_base = -1; /* once */
}

int main(int argc, char **argv)
{
    int port = 0;
    struct sched_param priority = {.sched_priority = 50};
    struct epoll_event events[256];
    ttft = 200000000, itl = 20000000;
    read_options(argc, argv, &port);
    signal(SIGPIPE, SIG_IGN);
    sched_setscheduler(0, SCHED_FIFO, &priority); /* refused: the log still tells the truth */
    int listener = open_listener(port);
    poller = epoll_create1(0);
    struct epoll_event e = {EPOLLIN, {.ptr = 0}};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        struct timespec pause, *limit = 0;
        if (heap_size) {
            ns_t left = heap[0]->due - clock_ns(CLOCK_MONOTONIC);
            if (left < 0) left = 0;
            pause = (struct timespec){left / 1000000000, left % 1000000000};
            limit = &pause;
        }
        int count = epoll_pwait2(poller, events, 256, limit, 0);
        maybe_stall();
        for (int i = 0; i < count; i++) {
            struct client *c = events[i].data.ptr;
            if (!c) { welcome(listener); continue; }
            int gone = (events[i].events & EPOLLOUT) && flush(c) < 0;
            if (!gone && (events[i].events & ~EPOLLOUT)) gone = receive(c) < 0;
            if (gone) hang_up(c);
        }
        ns_t now = clock_ns(CLOCK_MONOTONIC);
        while (heap_size && heap[0]->due <= now) {
            struct client *c = heap[0];
            if (speak(c) < 0 || (!c->streaming && listen_to(c) < 0)) hang_up(c);
        }
    }
}
