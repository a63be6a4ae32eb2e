/* The server that clients are measured against: as cheap as it gets, so that the client is what is measured.

   One thread, epoll, an answer of 13 bytes for each request; requests have no body and end with an empty line. Those that
   come together are answered together. "GET /gate/N" is answered when N of these wait, each on a connection of its own:
   so a client can be made to open N. The Date changes every second, as any server's does.

   cc -O2 -o server server.c && ./server        prints the port, listens on all of 127/8, ends when its standard input does */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 65536   /* file descriptors */
#define BATCH 1024   /* answers in one write */

static int epoll_fd;
static struct {
    int matched;      /* bytes of the end of a head that were read last */
    int owed;         /* answers */
    int sent;         /* bytes of the first of them that are sent already */
    unsigned watched; /* what epoll looks out for */
} connections[MOST], nobody;
static char answers[BATCH * 256];
static int answer_size;
static int gate[MOST], gated;

static void die(const char *what) { perror(what); exit(1); }

static void compose(void) {
    static time_t last;
    time_t now = time(NULL);
    if (now == last) return;
    last = now;
    char date[64];
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
    answer_size = sprintf(answers,
        "HTTP/1.1 200 OK\r\nServer: floor\r\nDate: %s\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!", date);
    for (int i = 1; i < BATCH; i++) memcpy(answers + i * answer_size, answers, answer_size);
}

static void watch(int fd, unsigned events, int how) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    connections[fd].watched = events;
    if (epoll_ctl(epoll_fd, how, fd, &event)) die("epoll_ctl");
}

/* Send what is owed to fd; what the kernel does not take waits for room. */
static void pay(int fd) {
    if (connections[fd].owed <= 0) return;
    while (connections[fd].owed > 0) {
        int count = connections[fd].owed < BATCH ? connections[fd].owed : BATCH;
        ssize_t sent = send(fd, answers + connections[fd].sent, (size_t)count * answer_size - connections[fd].sent, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN) { connections[fd].owed = 0; return; } /* reading will tell that it is gone */
            break;
        }
        sent += connections[fd].sent;
        connections[fd].owed -= sent / answer_size;
        connections[fd].sent = sent % answer_size;
    }
    unsigned wanted = EPOLLIN | (connections[fd].owed ? EPOLLOUT : 0);
    if (wanted != connections[fd].watched) watch(fd, wanted, EPOLL_CTL_MOD);
}

static void serve(int fd) {
    static char data[65536];
    ssize_t size = recv(fd, data, sizeof data, 0);
    if (size <= 0) {
        if (size < 0 && errno == EAGAIN) return;
        connections[fd].owed = 0;
        close(fd);
        return;
    }
    int needed = size > 10 && !memcmp(data, "GET /gate/", 10) ? atoi(data + 10) : 0;
    for (ssize_t i = 0; i < size; i++) {
        int *matched = &connections[fd].matched;
        *matched = data[i] == "\r\n\r\n"[*matched] ? *matched + 1 : data[i] == '\r';
        if (*matched == 4) { *matched = 0; connections[fd].owed++; }
    }
    if (!needed) { pay(fd); return; }
    gate[gated++] = fd;
    if (gated < needed) return;
    while (gated) pay(gate[--gated]);
}

int main(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t length = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) || listen(listener, 16384)) die("listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    epoll_fd = epoll_create1(0);
    watch(listener, EPOLLIN, EPOLL_CTL_ADD);
    watch(STDIN_FILENO, EPOLLIN, EPOLL_CTL_ADD);
    for (;;) {
        struct epoll_event events[512];
        int count = epoll_wait(epoll_fd, events, 512, -1);
        compose();
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == STDIN_FILENO) return 0;
            if (fd != listener) {
                if (events[i].events & EPOLLOUT) pay(fd);
                if (events[i].events & ~EPOLLOUT) serve(fd);
                continue;
            }
            int peer;
            while ((peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                if (peer >= MOST) { close(peer); continue; }
                setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                connections[peer] = nobody;
                watch(peer, EPOLLIN, EPOLL_CTL_ADD);
            }
        }
    }
}
