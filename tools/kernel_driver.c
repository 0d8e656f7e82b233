/* Calls kernels as it is told on standard input, and says what they answered: a program of its own, so that each
 * compiler, instruction level, sanitizer and processor (by an emulator) is tried in the same way. fuzz_kernels.py builds
 * it together with kernel_calls.h, which has a wrapper for each kernel, and speaks to it.
 *
 *     case:    buffers, calls                      all numbers are int64 of this machine
 *     buffers: their count, then for each: bytes, what it is (below), and the bytes themselves of what is GIVEN, or of
 *              a RECORD, a struct, for each field: whether it is a pointer, and the number, or that of a buffer before
 *     calls:   their count, then for each: the kernel's number, the count of arguments, and these: whole numbers, the
 *              bits of a float, or the number of a buffer
 *     answer:  their count, then for each call what was returned, and for each buffer GIVEN or WRITTEN a checksum
 *
 * The first call that returns a negative number ends its case: what follows would build on it. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

typedef union {
    int64_t whole;
    float real;
    void *at;
} argument;

#include "kernel_calls.h"

enum { GIVEN, WRITTEN, SCRATCH, RECORD };
enum { MOST_BUFFERS = 48, MOST_ARGUMENTS = 32, MOST_CALLS = 8, SECONDS = 60 };

static int64_t read_number(void) {
    int64_t number;
    if (fread(&number, sizeof number, 1, stdin) != 1) exit(feof(stdin) ? 0 : 3);
    return number;
}

static int64_t read_count(int64_t most) {
    int64_t count = read_number();
    if (count < 0 || count > most) exit(4);
    return count;
}

/* FNV-1a, eight bytes at a time. */
static int64_t checksum(const uint8_t *bytes, int64_t size) {
    uint64_t sum = 14695981039346656037u, word;
    for (int64_t n = 0; n < size; n += 8) {
        word = 0;
        memcpy(&word, bytes + n, (size_t)(size - n < 8 ? size - n : 8));
        sum = (sum ^ word) * 1099511628211u;
        sum ^= sum >> 32;
    }
    return (int64_t)sum;
}

static void fill_record(argument *fields, int64_t count, const argument *buffers, int64_t known) {
    for (int64_t f = 0; f < count; f++) {
        int64_t is_pointer = read_count(1), number = is_pointer ? read_count(known - 1) : read_number();
        if (is_pointer) fields[f].at = buffers[number].at;
        else fields[f].whole = number;
    }
}

/* Each buffer is exactly as long as is said, so that a sanitizer sees the first byte beyond. What a kernel should write
 * before it reads holds the same byte everywhere, which differs from build to build. */
static void run_case(int scratch) {
    argument buffers[MOST_BUFFERS], arguments[MOST_ARGUMENTS];
    int64_t sizes[MOST_BUFFERS], kinds[MOST_BUFFERS], answer[1 + MOST_CALLS + MOST_BUFFERS], said = 1, refused = 0;
    int64_t count = read_count(MOST_BUFFERS);
    for (int64_t b = 0; b < count; b++) {
        sizes[b] = read_count((int64_t)1 << 32), kinds[b] = read_count(RECORD);
        buffers[b].at = malloc((size_t)sizes[b]);
        if (!buffers[b].at && sizes[b]) exit(5);
        if (kinds[b] == RECORD)
            fill_record(buffers[b].at, sizes[b] / 8, buffers, b);
        else if (kinds[b] != GIVEN)
            memset(buffers[b].at, kinds[b] == WRITTEN ? 0xa5 : scratch, (size_t)sizes[b]);
        else if (sizes[b] && fread(buffers[b].at, (size_t)sizes[b], 1, stdin) != 1)
            exit(3);
    }
    int64_t calls = read_count(MOST_CALLS);
    for (int64_t c = 0; c < calls; c++) {
        int64_t kernel = read_count(KERNELS - 1), given = read_count(MOST_ARGUMENTS);
        if (given != CALLS[kernel].count) exit(4);
        for (int64_t a = 0; a < given; a++) {
            arguments[a].whole = read_number();
            if (CALLS[kernel].kinds[a] == 'p') {
                if (arguments[a].whole < 0 || arguments[a].whole >= count) exit(4);
                arguments[a] = buffers[arguments[a].whole];
            }
        }
        if (refused) continue;
        answer[said] = CALLS[kernel].call(arguments);
        refused = answer[said++] < 0;
    }
    for (int64_t b = 0; b < count; b++) {
        if (kinds[b] == GIVEN || kinds[b] == WRITTEN) answer[said++] = checksum(buffers[b].at, sizes[b]);
        free(buffers[b].at);
    }
    answer[0] = said - 1;
    fwrite(answer, sizeof answer[0], (size_t)said, stdout);
    fflush(stdout); /* it is not lost where the next case ends the process */
}

/* Whether tiny numbers are kept: a machine that takes them for zero has other bits. */
static int keeps_tiny_numbers(void) {
    volatile float tiny = 1e-30f;
    return tiny * tiny == 0 && tiny * 1e-10f > 0;
}

int main(int count, char **words) {
    if (count != 2 || !keeps_tiny_numbers()) return 6;
    struct itimerval limit = {.it_value = {.tv_sec = SECONDS}}; /* of the processor's time: others may be at work */
    for (;;) {
        setitimer(ITIMER_PROF, &limit, NULL);
        run_case(atoi(words[1]));
    }
}
