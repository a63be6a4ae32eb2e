/* The work of endpoint_work.py for reliable 1.4.0, in C. Talks with endpoint.py like its other contenders.

   reliable lends: datagrams and payloads are valid only within its callbacks. Who wants to queue a packet, as a program
   with a socket or an application thread does, must copy it. sleepy hands both over for good, so there are two ways to
   compare: "lend", where nothing is kept and a datagram is received within the call that sends it, and "own", where
   datagrams, payloads and acks outlive the call, each in memory of its own, as in Python. */

#include <reliable.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WARM 300 /* exchanges until the memory of 256 packets is full */
#define TURN 10e6 /* nanoseconds, roughly */

struct datagram { int size; uint8_t bytes[]; };
struct packet { uint16_t sequence; int size; uint8_t payload[]; };

static struct reliable_endpoint_t *sides[2];
static int own, lose, queued;
static struct datagram *queue[256];
static struct packet *received;

static void transmit(void *context, uint64_t id, uint16_t sequence, uint8_t *bytes, int size) {
    (void)context, (void)sequence;
    if (lose) return;
    if (!own) {
        reliable_endpoint_receive_packet(sides[1 - id], bytes, size);
        return;
    }
    struct datagram *datagram = malloc(sizeof *datagram + size);
    datagram->size = size;
    memcpy(datagram->bytes, bytes, size);
    queue[queued++] = datagram;
}

static int process(void *context, uint64_t id, uint16_t sequence, uint8_t *bytes, int size) {
    (void)context, (void)id;
    if (own) {
        received = malloc(sizeof *received + size);
        received->sequence = sequence;
        received->size = size;
        memcpy(received->payload, bytes, size);
    }
    return 1;
}

static void send_packet(int from, int size, int lost) {
    static uint8_t payload[1200];
    lose = lost && !own;
    reliable_endpoint_send_packet(sides[from], payload, size);
    for (int i = 0; i < queued; i++) {
        if (!lost) reliable_endpoint_receive_packet(sides[1 - from], queue[i]->bytes, queue[i]->size);
        free(queue[i]);
        free(received);
        received = NULL;
    }
    queued = 0;
}

static void take_acks(int side) {
    int count;
    uint16_t *lent = reliable_endpoint_get_acks(sides[side], &count);
    if (own) {
        uint16_t *volatile acks = malloc(count * sizeof *acks + 1); /* volatile, or the compiler sees that nobody reads */
        memcpy(acks, lent, count * sizeof *acks);
        free(acks);
    }
    reliable_endpoint_clear_acks(sides[side]);
}

static void work(int index, int first, int last) {
    int size = index == 3 ? 1200 : 100;
    for (int number = first; number < last; number++) {
        send_packet(0, size, index == 2 && number % 10 == 0);
        send_packet(1, size, index == 2 && number % 10 == 5);
        take_acks(0);
        take_acks(1);
        if (index == 1) {
            reliable_endpoint_update(sides[0], number * 0.01);
            reliable_endpoint_update(sides[1], number * 0.01);
        }
    }
}

static double nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int count, char **arguments) {
    int index, counts[4] = {0};
    own = count > 1 && !strcmp(arguments[1], "own");
    reliable_init();
    while (scanf("%d", &index) == 1) {
        struct reliable_config_t config;
        reliable_default_config(&config);
        config.transmit_packet_function = transmit;
        config.process_packet_function = process;
        for (config.id = 0; config.id < 2; config.id++) sides[config.id] = reliable_endpoint_create(&config, 0.0);
        int turns = counts[index] ? counts[index] : 100;
        work(index, 0, WARM);
        double started = nanoseconds();
        work(index, WARM, WARM + turns);
        double each = (nanoseconds() - started) / turns;
        if (!counts[index]) counts[index] = TURN / each > 10 ? (int)(TURN / each) : 10;
        printf("%f\n", each);
        fflush(stdout);
        for (int side = 0; side < 2; side++) reliable_endpoint_destroy(sides[side]);
    }
    return 0;
}
