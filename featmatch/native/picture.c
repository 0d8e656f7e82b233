/* A small grey picture as a few KB, and back.
 *
 * Cosine transform of blocks of 8 x 8 px, all frequencies in steps of one size, and an adaptive binary range coder (as
 * Igor Pavlov's LZMA has it) whose contexts are made for this: the levels of the zigzag, from the last that is not 0.
 * All is done in whole numbers, so the same picture gives the same bytes on every machine. Whatever bytes come in, a
 * picture comes out: beyond their end zeros are read, and each number is bounded before it is used. Nothing is
 * allocated. tests/native/picture_twin.py says the same in Python.
 */

#include <stdint.h>
#include <string.h>

#include "kernels.h"

enum { LONGEST = 1 << 15, MOST_SIDE = 1024, SIDE = 8, PIXELS = SIDE * SIDE, MOST_BLOCKS = MOST_SIDE / SIDE };
enum { REFUSED = -1, TOO_LONG = -2 };

/* The px of a small picture are means over what they cover: a row of the large one covers `rows` of rows * height parts,
 * one of the small one `height` of them. sums: (width,). */
EXPORTED int64_t featmatch_reduce(const uint8_t *pixels, int64_t height, int64_t width, int64_t rows, int64_t columns,
                                  uint32_t *sums, uint8_t *small) {
    if (rows < 1 || columns < 1 || height < rows || width < columns || height > LONGEST || width > LONGEST)
        return REFUSED;
    int64_t area = height * width;
    for (int64_t row = 0; row < rows; row++) {
        memset(sums, 0, (size_t)width * sizeof *sums);
        int64_t from = row * height, to = from + height;
        for (int64_t y = from / rows; y * rows < to; y++) {
            uint32_t part = (uint32_t)(smaller(to, (y + 1) * rows) - larger(from, y * rows));
            const uint8_t *line = pixels + y * width;
            for (int64_t x = 0; x < width; x++) sums[x] += part * line[x];
        }
        for (int64_t column = 0; column < columns; column++) {
            int64_t left = column * width, right = left + width, sum = 0;
            for (int64_t x = left / columns; x * columns < right; x++)
                sum += (smaller(right, (x + 1) * columns) - larger(left, x * columns)) * sums[x];
            small[row * columns + column] = (uint8_t)((sum + area / 2) / area);
        }
    }
    return 0;
}

/* The orthonormal cosine transform, in 8192nds: row k is frequency k. */
enum { FINE = 13, BETWEEN = 4 };
static const int32_t WAVES[SIDE][SIDE] = {
    {2896, 2896, 2896, 2896, 2896, 2896, 2896, 2896},   {4017, 3406, 2276, 799, -799, -2276, -3406, -4017},
    {3784, 1567, -1567, -3784, -3784, -1567, 1567, 3784}, {3406, -799, -4017, -2276, 2276, 4017, 799, -3406},
    {2896, -2896, -2896, 2896, 2896, -2896, -2896, 2896}, {2276, -4017, 799, 3406, -3406, -799, 4017, -2276},
    {1567, -3784, 3784, -1567, -1567, 3784, -3784, 1567}, {799, -2276, 3406, -4017, 4017, -3406, 2276, -799},
};

static const uint8_t ZIGZAG[PIXELS] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
};

static int32_t bounded(int32_t value, int32_t most) { return value < -most ? -most : value > most ? most : value; }

static int32_t rounded(int32_t value, int bits) { return (value + (1 << (bits - 1))) >> bits; }

/* Frequencies of a block, in 16ths. */
static void transformed(int32_t block[SIDE][SIDE], int32_t waves[SIDE][SIDE]) {
    int32_t across[SIDE][SIDE] = {{0}};
    memset(waves, 0, sizeof across);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int k = 0; k < SIDE; k++) across[y][k] += WAVES[k][x] * block[y][x];
    for (int y = 0; y < SIDE; y++)
        for (int k = 0; k < SIDE; k++) across[y][k] = rounded(across[y][k], FINE - BETWEEN);
    for (int k = 0; k < SIDE; k++)
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) waves[k][x] += WAVES[k][y] * across[y][x];
    for (int k = 0; k < SIDE; k++)
        for (int x = 0; x < SIDE; x++) waves[k][x] = rounded(waves[k][x], FINE);
}

/* The block of whole frequencies, each at most MOST_WAVE. */
enum { MOST_WAVE = 2047, MOST_BETWEEN = (1 << 14) - 1 };
static void restored(int32_t waves[SIDE][SIDE], int32_t block[SIDE][SIDE]) {
    int32_t down[SIDE][SIDE] = {{0}};
    for (int k = 0; k < SIDE; k++)
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) down[y][x] += WAVES[k][y] * waves[k][x];
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) down[y][x] = bounded(rounded(down[y][x], FINE - BETWEEN), MOST_BETWEEN);
    memset(block, 0, sizeof down);
    for (int y = 0; y < SIDE; y++)
        for (int k = 0; k < SIDE; k++)
            for (int x = 0; x < SIDE; x++) block[y][x] += WAVES[k][x] * down[y][k];
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) block[y][x] = rounded(block[y][x], FINE + BETWEEN);
}

/* How likely a bit of one kind is 0, in 65536ths, learnt from those that came: quickly at first. */
typedef struct {
    uint16_t zero;
    uint8_t seen;
} chance;

enum { SLOWEST = 5 };
static void learn(chance *of, int bit) {
    int rate = of->seen < SLOWEST ? of->seen + 1 : SLOWEST;
    of->seen = (uint8_t)rate;
    if (bit) of->zero = (uint16_t)(of->zero - (of->zero >> rate));
    else of->zero = (uint16_t)(of->zero + ((65535 - of->zero) >> rate));
    if (of->zero < 64) of->zero = 64;
    if (of->zero > 65535 - 64) of->zero = 65535 - 64;
}

/* What all bits are coded with: by the last frequency of the blocks beside, by the place in the zigzag, by the levels
 * that came just before. */
enum { KINDS = 5, PREFIX = 15 };
typedef struct {
    chance last[KINDS][PIXELS];
    chance nonzero[PIXELS][KINDS];
    chance more[KINDS][PREFIX];
    chance mean[PREFIX];
} model;

/* One coder for both ways: `packed` is written to, or read from. */
typedef struct {
    uint64_t low;
    uint32_t range, code;
    int64_t place, room, pending;
    const uint8_t *given;
    uint8_t *packed; /* NULL: bits are read */
    uint8_t held;
    int is_first;
    model of;
} coder;

static void begin(coder *with) {
    memset(with, 0, sizeof *with);
    with->range = UINT32_MAX;
    with->is_first = 1;
    chance *each = (chance *)&with->of;
    for (size_t n = 0; n < sizeof with->of / sizeof *each; n++) each[n].zero = 1 << 15;
}

static void put(coder *with, uint8_t byte) {
    if (with->place < with->room) with->packed[with->place] = byte;
    with->place++;
}

/* The highest byte of `low` leaves it, once it is known whether it has to carry. */
static void shift(coder *with) {
    int carries = (int)(with->low >> 32);
    if (carries || with->low < 0xff000000u) {
        if (!with->is_first) put(with, (uint8_t)(with->held + carries));
        with->is_first = 0;
        for (; with->pending; with->pending--) put(with, (uint8_t)(0xff + carries));
        with->held = (uint8_t)(with->low >> 24);
    } else {
        with->pending++;
    }
    with->low = (with->low & 0x00ffffff) << 8;
}

static uint8_t next(coder *with) { return with->place < with->room ? with->given[with->place++] : 0; }

/* A bit that splits the range at `bound`; `bit` counts where it is written. */
static int split(coder *with, uint32_t bound, int bit) {
    if (with->packed == NULL) bit = with->code >= bound;
    if (!bit) {
        with->range = bound;
    } else {
        with->low += bound;
        with->code -= bound;
        with->range -= bound;
    }
    while (with->range < 1u << 24) {
        with->range <<= 8;
        if (with->packed == NULL) with->code = with->code << 8 | next(with);
        else shift(with);
    }
    return bit;
}

static int a_bit(coder *with, chance *of, int bit) {
    bit = split(with, (with->range >> 16) * of->zero, bit);
    learn(of, bit);
    return bit;
}

/* A number from 0 on: how many bits it has, one after the other, and those below the first as they are. */
static int32_t a_number(coder *with, chance *of, int32_t number) {
    int bits = 0;
    while (bits < PREFIX - 1 && a_bit(with, of + bits, number + 1 >= 2 << bits)) bits++;
    int32_t found = 1;
    for (int n = bits - 1; n >= 0; n--) found = found << 1 | split(with, with->range >> 1, (number + 1) >> n & 1);
    return found - 1;
}

static int a_sign(coder *with, int is_negative) { return split(with, with->range >> 1, is_negative); }

static int kind_of(int32_t sum) { return (int)smaller(sum, KINDS - 1); }

/* By the places of the last levels of the blocks to the left and above. */
static int size_kind(int left, int above) {
    int sum = left + above;
    return sum < 2 ? 0 : sum < 8 ? 1 : sum < 20 ? 2 : sum < 48 ? 3 : 4;
}

/* The levels of a block but the first, in the order of the zigzag; returns the place of the last, 0: all are 0. */
static int a_block(coder *with, int32_t levels[PIXELS], int beside) {
    model *of = &with->of;
    int last = 0, tree = 1;
    if (with->packed != NULL)
        for (last = PIXELS - 1; last && !levels[last]; last--) {
        }
    for (int n = 5; n >= 0; n--) tree = tree << 1 | a_bit(with, &of->last[beside][tree], last >> n & 1);
    last = tree - PIXELS;
    int32_t before = 0, earlier = 0;
    for (int k = PIXELS - 1; k > last; k--) levels[k] = 0;
    for (int k = last; k > 0; k--) {
        int kind = kind_of(before + earlier);
        int32_t size = levels[k] < 0 ? -levels[k] : levels[k];
        if (k == last || a_bit(with, &of->nonzero[k][kind], size > 0)) {
            size = 1 + a_number(with, of->more[kind], size - 1);
            levels[k] = a_sign(with, levels[k] < 0) ? -size : size;
        } else {
            levels[k] = size = 0;
        }
        earlier = before;
        before = size;
    }
    return last;
}

/* The first level, its mean, is expected to be as those of the blocks before. */
static int32_t a_mean(coder *with, int32_t level, int32_t expected) {
    int32_t off = level - expected, size = a_number(with, with->of.mean, off < 0 ? -off : off);
    return size && a_sign(with, off < 0) ? expected - size : expected + size;
}

static int refused(int64_t height, int64_t width, int64_t step) {
    return height < 1 || width < 1 || height > MOST_SIDE || width > MOST_SIDE || step < 1 || step > 255;
}

/* Px beyond the border are as those at it. */
static void cut(const uint8_t *pixels, int64_t height, int64_t width, int64_t top, int64_t left,
                int32_t block[SIDE][SIDE]) {
    for (int64_t y = 0; y < SIDE; y++)
        for (int64_t x = 0; x < SIDE; x++)
            block[y][x] = pixels[smaller(top + y, height - 1) * width + smaller(left + x, width - 1)] - 128;
}

static void quantise(int32_t waves[SIDE][SIDE], int32_t step, int32_t levels[PIXELS]) {
    for (int k = 0; k < PIXELS; k++) {
        int32_t wave = waves[ZIGZAG[k] / SIDE][ZIGZAG[k] % SIDE];
        int32_t size = ((wave < 0 ? -wave : wave) + (k ? 6 : 8) * step) / (16 * step); /* small ones rather to 0 */
        levels[k] = wave < 0 ? -size : size;
    }
}

/* All blocks, row by row: written from `from`, or read into `to`. */
static void all_blocks(coder *with, const uint8_t *from, uint8_t *to, int64_t height, int64_t width, int32_t step) {
    int lasts[MOST_BLOCKS] = {0};
    int32_t means[MOST_BLOCKS] = {0};
    for (int64_t top = 0; top < height; top += SIDE)
        for (int64_t left = 0; left < width; left += SIDE) {
            int32_t block[SIDE][SIDE], waves[SIDE][SIDE], levels[PIXELS] = {0};
            int64_t column = left / SIDE;
            if (from != NULL) {
                cut(from, height, width, top, left, block);
                transformed(block, waves);
                quantise(waves, step, levels);
            }
            int32_t beside = means[column ? column - 1 : 0], above = means[column];
            int32_t expected = !top ? (column ? beside : 0) : !column ? above : (beside + above) >> 1;
            levels[0] = means[column] = bounded(a_mean(with, levels[0], expected), MOST_WAVE);
            int last_beside = column ? lasts[column - 1] : lasts[0], last_above = top ? lasts[column] : last_beside;
            lasts[column] = a_block(with, levels, size_kind(last_beside, last_above));
            if (to == NULL) continue;
            for (int k = 0; k < PIXELS; k++)
                waves[ZIGZAG[k] / SIDE][ZIGZAG[k] % SIDE] = bounded(levels[k] * step, MOST_WAVE);
            restored(waves, block);
            for (int64_t y = top; y < smaller(top + SIDE, height); y++)
                for (int64_t x = left; x < smaller(left + SIDE, width); x++)
                    to[y * width + x] = (uint8_t)(128 + larger(-128, smaller(127, block[y - top][x - left])));
        }
}

/* Returns how many bytes it takes, which end in none that is 0. */
EXPORTED int64_t featmatch_picture_pack(const uint8_t *pixels, int64_t height, int64_t width, int64_t step,
                                        uint8_t *packed, int64_t room) {
    if (refused(height, width, step) || room < 0) return REFUSED;
    coder with;
    begin(&with);
    with.packed = packed;
    with.room = room;
    all_blocks(&with, pixels, NULL, height, width, (int32_t)step);
    for (int n = 0; n < 5; n++) shift(&with);
    if (with.place > room) return TOO_LONG;
    while (with.place && !packed[with.place - 1]) with.place--;
    return with.place;
}

EXPORTED int64_t featmatch_picture_unpack(const uint8_t *packed, int64_t bytes, int64_t height, int64_t width,
                                          int64_t step, uint8_t *pixels) {
    if (refused(height, width, step) || bytes < 0) return REFUSED;
    coder with;
    begin(&with);
    with.given = packed;
    with.room = bytes;
    for (int n = 0; n < 4; n++) with.code = with.code << 8 | next(&with);
    all_blocks(&with, NULL, pixels, height, width, (int32_t)step);
    return 0;
}
