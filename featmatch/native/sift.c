/* SIFT (Lowe, IJCV 2004): grey pixels -> keypoints -> orientations and descriptors.
 *
 * The same bits on every machine and at every instruction level: float32 in a fixed order of additions, nothing fused
 * (-ffp-contract=off), nothing of libm but sqrtf, which is exact. tests/native/twin.py says the same in NumPy.
 *
 * Each octave has six layers, and each row streams through their blurs while its neighbours are in the cache: a layer
 * lags behind the one before it by the reach of its blur. A layer is a ring of rows. Only the three layers in which
 * keypoints lie are kept whole, and only where they fit into the memory allowed; else the picture streams a second
 * time to be described. Nothing here allocates, and nothing is kept between calls but the caller's workspace.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"

/* As many floats side by side as one register holds. Which sums are added, and when, does not depend on it. */
#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
typedef float lanes __attribute__((vector_size(4 * LANES)));

enum {
    LAYERS = 3,         /* of an octave in which keypoints are looked for */
    BLURS = LAYERS + 2, /* so an octave has layers 0 to BLURS */
    WIDE = 16,          /* rows are padded to multiples of it */
    PAD = 32,           /* floats before and after what is mirrored at its ends; more than any blur reaches */
    BORDER = 5,         /* px of an octave without keypoints */
    DRIFT = 3,          /* px that a keypoint may move while it is refined */
    ROUNDS = 5,         /* of refinement */
    RING = 64,          /* rows: a blur's reach, and what refinement looks at */
    LONG_RING = 128,    /* rows: a descriptor's reach, too */
    GREY_RING = 16,
    SCAN_RING = 4,
    SMALLEST = 24,      /* an octave with a shorter side is the last */
    MOST_OCTAVES = 20,
    MOST_TURNS = 4,     /* orientations of a keypoint */
    REACH = 42,         /* rows below a keypoint that its descriptor looks at, at most */
    DOUBLED_UP_TO = 1400, /* px, longer side of a picture: a larger one has details enough as it is */
    LONGEST = 1 << 15   /* px, side of a picture: twice as many are exact in float32 */
};

enum { REFUSED = -1, TOO_SMALL = -2 }; /* what functions return in place of a count */

/* Half of each blur's symmetric kernel, centre first. Blurred by 2 px, a picture has next to nothing above a quarter of
 * its sampling rate, so the later kernels take every second or third px only. tests/native/test_sift.py has the
 * formula. */
static const struct {
    int pairs, dilation, lag; /* lag: rows behind layer 0, the sum of reaches so far */
    float weights[6];
} BLUR[BLURS + 1] = {
    {0, 0, 0, {0}},
    {5, 1, 5, {0.325330317f, 0.23330304f, 0.0860415027f, 0.0163187664f, 0.00159168954f, 7.98401161e-05f}},
    {3, 2, 11, {0.516420424f, 0.223422959f, 0.0180925988f, 0.000274234975f}},
    {4, 2, 19, {0.40988943f, 0.241790608f, 0.0496315248f, 0.00354504073f, 8.81110318e-05f}},
    {5, 2, 29, {0.325330317f, 0.23330304f, 0.0860415027f, 0.0163187664f, 0.00159168954f, 7.98401161e-05f}},
    {4, 3, 41, {0.387322962f, 0.241764873f, 0.0587967187f, 0.0055712536f, 0.000205680277f}},
};
enum { LAST_LAG = 41 };

/* Doubles a picture linearly about the centres of its px and blurs it from 1 px (as doubled) to 1.6 px: of px m - 3 to
 * m + 3, for the doubled px 2 m. The doubled px 2 m + 1 has the same weights the other way round, so all doubled px are
 * equally sharp, and the doubled px d lies at d / 2 - 1 / 4. */
static const float DOUBLING[7] = {0.000552642334f, 0.0369885787f, 0.324650556f, 0.493536621f,
                                  0.138284042f,    0.00596112944f, 2.64464143e-05f};

/* Half of the kernel that blurs a picture that is not doubled from 0.5 px, as a camera leaves it, to 1.6 px. */
enum { SOFTENING_PAIRS = 5 };
static const float SOFTENING[SOFTENING_PAIRS + 1] = {0.262545228f, 0.211446732f, 0.110456571f, 0.0374262147f, 0.00822534133f, 0.00117253477f};

typedef struct {
    float *rows;
    int64_t mask; /* row r lies at r & mask */
} layer;

typedef struct {
    int64_t height, width, stride;
    int64_t steps;       /* taken so far: rows of layer 0, then as many as it takes until the last blur is through */
    int64_t next, end;   /* of the keypoints to describe, those of this octave that are left */
    layer layers[BLURS + 1];
    float *differences;  /* SCAN_RING rows of BLURS differences */
} octave;

typedef struct {
    float x, y, level, response; /* px of the octave; layer with fraction; contrast, 0 to 1 */
    int32_t column, row, layer, octave;
} keypoint;

typedef struct {
    float x, y, size, turn; /* px of the octave, diameter likewise; share of a full turn, from +x towards -y */
    int32_t keypoint;       /* place among those given */
} feature;

typedef struct {
    const uint8_t *pixels;
    int64_t height, width;
    int doubled;   /* whether the first octave has twice as many px along each side */
    int64_t count; /* of octaves */
    int kept;      /* whether the layers of keypoints are whole */
    float *workspace; /* from a multiple of 64 bytes on */
    int64_t used;     /* floats of it */
    float *grey, *line, *even, *odd;
    uint8_t *flags;
    octave octaves[MOST_OCTAVES];

    /* What streaming is for: to find keypoints, or to describe those given. */
    int describing;
    float contrast, edge;
    keypoint *found;
    const keypoint *given;
    int64_t found_count, capacity;
    feature *features;
    uint8_t *descriptors;
} pyramid;

/* ------------------------------------------------------------------ memory */

static float *take(pyramid *p, int64_t floats) {
    int64_t start = p->used + PAD;
    p->used = start + (floats + WIDE - 1) / WIDE * WIDE + PAD;
    return p->workspace ? p->workspace + start : NULL;
}

static void lay_out_layers(pyramid *p) {
    for (int64_t n = 0; n < p->count; n++) {
        octave *o = &p->octaves[n];
        for (int l = 0; l <= BLURS; l++) {
            int looked_at = l >= 1 && l <= LAYERS;
            int64_t ring = looked_at ? LONG_RING : RING;
            int whole = (looked_at && p->kept) || o->height <= ring;
            o->layers[l].mask = whole ? -1 : ring - 1;
            o->layers[l].rows = take(p, (whole ? o->height : ring) * o->stride);
        }
        o->differences = take(p, SCAN_RING * BLURS * o->stride);
    }
}

/* Fills in sizes and, where there is a workspace, places in it. Returns the floats it takes; 0: no such picture. */
static int64_t lay_out(pyramid *p, int64_t most_floats) {
    if (p->height < 1 || p->width < 1 || p->height > LONGEST || p->width > LONGEST) return 0;
    p->doubled = larger(p->height, p->width) <= DOUBLED_UP_TO;
    int64_t height = (1 + p->doubled) * p->height, width = (1 + p->doubled) * p->width;
    for (p->count = 0; p->count < MOST_OCTAVES; height /= 2, width /= 2) {
        octave *o = &p->octaves[p->count++];
        o->height = height, o->width = width, o->stride = (width + WIDE - 1) / WIDE * WIDE;
        if (height < SMALLEST || width < SMALLEST) break;
    }
    int64_t stride = p->octaves[0].stride;
    p->grey = take(p, GREY_RING * stride);
    p->line = take(p, stride);
    p->even = take(p, stride);
    p->odd = take(p, stride);
    p->flags = (uint8_t *)take(p, stride / 4 + WIDE);
    int64_t before = p->used;
    p->kept = 1;
    float *workspace = p->workspace; /* first count only */
    p->workspace = NULL;
    lay_out_layers(p);
    p->kept = p->used <= smaller(most_floats, INT32_MAX); /* places within a layer are int32 */
    p->workspace = workspace;
    p->used = before;
    lay_out_layers(p);
    return p->used;
}

static inline float *row_of(const layer *l, int64_t row, int64_t stride) { return l->rows + (row & l->mask) * stride; }

/* ----------------------------------------------------------------- pyramid */

/* The row (or column) that stands for one beyond the end. */
static inline int64_t mirrored(int64_t at, int64_t count) {
    if (at < 0) at = -at;
    if (at >= count) at = 2 * count - 2 - at;
    return larger(0, smaller(at, count - 1));
}

static void mirror_ends(float *line, int64_t width) {
    if (width > PAD) {
        for (int64_t x = 1; x <= PAD; x++) line[-x] = line[x];
        for (int64_t x = 1; x <= PAD; x++) line[width - 1 + x] = line[width - 1 - x];
        return;
    }
    for (int64_t x = 1; x <= PAD; x++) {
        line[-x] = line[mirrored(-x, width)];
        line[width - 1 + x] = line[mirrored(width - 1 + x, width)];
    }
}

static inline lanes load(const float *from) {
    lanes value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline void store(float *to, lanes value) { memcpy(to, &value, sizeof value); }

/* out[x] = w0 * middle[x] + the sum over pairs of w * (before[x] + after[x]), the nearest pair first. */
static inline __attribute__((always_inline)) void add_pairs(const float *const *rows, const float *weights, int pairs,
                                                            float *out, int64_t count) {
    const float *middle = rows[0], *before[5], *after[5]; /* copies: what is stored cannot be these */
    float weight[6];
    weight[0] = weights[0];
    for (int t = 0; t < pairs; t++)
        before[t] = rows[2 * t + 1], after[t] = rows[2 * t + 2], weight[t + 1] = weights[t + 1];
    for (int64_t x = 0; x < count; x += LANES) {
        lanes total = weight[0] * load(middle + x);
        for (int t = 0; t < pairs; t++) total += weight[t + 1] * (load(before[t] + x) + load(after[t] + x));
        store(out + x, total);
    }
}

/* The number of pairs is known to the compiler in each case, so that the loop over them is unrolled. */
static void blur_line(const float *const *rows, const float *weights, int pairs, float *out, int64_t count) {
    if (pairs == 3) add_pairs(rows, weights, 3, out, count);
    if (pairs == 4) add_pairs(rows, weights, 4, out, count);
    if (pairs == 5) add_pairs(rows, weights, 5, out, count);
}

/* Blurs a row along itself; the row has room for what is mirrored at its ends. */
static void blur_along(float *line, int64_t width, const float *weights, int pairs, int dilation, float *out,
                       int64_t count) {
    const float *rows[11] = {line};
    mirror_ends(line, width);
    for (int t = 1; t <= pairs; t++) rows[2 * t - 1] = line - t * dilation, rows[2 * t] = line + t * dilation;
    blur_line(rows, weights, pairs, out, count);
}

static void blur_row(const octave *o, int number, int64_t row, float *line) {
    const layer *from = &o->layers[number - 1];
    const float *rows[11];
    int pairs = BLUR[number].pairs, dilation = BLUR[number].dilation;
    rows[0] = row_of(from, row, o->stride);
    for (int t = 1; t <= pairs; t++) {
        rows[2 * t - 1] = row_of(from, mirrored(row - t * dilation, o->height), o->stride);
        rows[2 * t] = row_of(from, mirrored(row + t * dilation, o->height), o->stride);
    }
    blur_line(rows, BLUR[number].weights, pairs, line, o->stride);
    float *out = row_of(&o->layers[number], row, o->stride);
    blur_along(line, o->width, BLUR[number].weights, pairs, dilation, out, o->stride);
}

/* Seven rows, or seven px of a row, by the weights of doubling, from the last on where backwards. */
static void double_line(const float *const *rows, int backwards, float *out, int64_t count) {
    for (int64_t x = 0; x < count; x += LANES) {
        lanes total = DOUBLING[backwards ? 6 : 0] * load(rows[0] + x);
        for (int t = 1; t < 7; t++) total += DOUBLING[backwards ? 6 - t : t] * load(rows[t] + x);
        store(out + x, total);
    }
}

static inline int64_t grey_stride(const pyramid *p) { return (p->width + WIDE - 1) / WIDE * WIDE; }

/* The grey px of a row near one that has come before. */
static inline const float *grey_row(const pyramid *p, int64_t row) {
    return p->grey + mirrored(row, p->height) % GREY_RING * grey_stride(p);
}

/* Brings grey px into their ring, up to some rows below this one. Rows come in turn, from 0 on. */
static void read_rows(pyramid *p, int64_t row, int64_t below) {
    int64_t stride = grey_stride(p), first = row ? row + below : 0;
    for (int64_t y = first; y < smaller(row + below + 1, p->height); y++) {
        float *to = p->grey + y % GREY_RING * stride;
        const uint8_t *from = p->pixels + y * p->width;
        for (int64_t x = 0; x < p->width; x++) to[x] = from[x];
        for (int64_t x = p->width; x < stride; x++) to[x] = 0;
    }
}

/* Row of the first octave's layer 0, of a picture that is not doubled. */
static void soften_row(pyramid *p, int64_t row) {
    const octave *o = &p->octaves[0];
    const float *rows[2 * SOFTENING_PAIRS + 1];
    read_rows(p, row, SOFTENING_PAIRS);
    rows[0] = grey_row(p, row);
    for (int t = 1; t <= SOFTENING_PAIRS; t++) rows[2 * t - 1] = grey_row(p, row - t), rows[2 * t] = grey_row(p, row + t);
    blur_line(rows, SOFTENING, SOFTENING_PAIRS, p->line, o->stride);
    float *out = row_of(&o->layers[0], row, o->stride);
    blur_along(p->line, o->width, SOFTENING, SOFTENING_PAIRS, 1, out, o->stride);
}

/* Row of the first octave's layer 0, of a picture that is doubled. */
static void double_row(pyramid *p, int64_t row) {
    const octave *o = &p->octaves[0];
    int64_t stride = grey_stride(p), middle = row / 2;
    if (row % 2 == 0) read_rows(p, middle, 3);
    const float *rows[7];
    for (int t = 0; t < 7; t++) rows[t] = grey_row(p, middle + t - 3);
    double_line(rows, row % 2, p->line, stride);
    mirror_ends(p->line, p->width);
    for (int t = 0; t < 7; t++) rows[t] = p->line + t - 3;
    double_line(rows, 0, p->even, stride);
    double_line(rows, 1, p->odd, stride);
    float *to = row_of(&o->layers[0], row, o->stride);
    for (int64_t x = 0; x < p->width; x++) to[2 * x] = p->even[x], to[2 * x + 1] = p->odd[x];
    for (int64_t x = 2 * p->width; x < o->stride; x++) to[x] = 0;
}

static void halve_row(const octave *from, int64_t row, const octave *to) {
    const float *in = row_of(&from->layers[LAYERS], row, from->stride);
    float *out = row_of(&to->layers[0], row / 2, to->stride);
    for (int64_t x = 0; x < to->width; x++) out[x] = in[2 * x];
    for (int64_t x = to->width; x < to->stride; x++) out[x] = 0;
}

/* ----------------------------------------------------------------- extrema */

static inline float *difference(const octave *o, int64_t row, int number) {
    return o->differences + (row % SCAN_RING * BLURS + number) * o->stride;
}

static void subtract_row(const octave *o, int64_t row) {
    for (int l = 0; l < BLURS; l++) {
        const float *finer = row_of(&o->layers[l], row, o->stride), *coarser = row_of(&o->layers[l + 1], row, o->stride);
        float *out = difference(o, row, l);
        for (int64_t x = 0; x < o->stride; x += LANES) store(out + x, load(coarser + x) - load(finer + x));
    }
}

/* flags[x] = 1 where the px is strong, and at least as large, or as small, as six of its 26 neighbours. */
static void flag_row(const octave *o, int64_t row, int number, float threshold, uint8_t *restrict flags) {
    const float *own = difference(o, row, number);
    const float *others[4] = {difference(o, row - 1, number), difference(o, row + 1, number),
                              difference(o, row, number - 1), difference(o, row, number + 1)};
    for (int64_t x = 0; x < o->stride; x++) {
        float value = own[x], most = threshold, least = -threshold;
        for (int n = 0; n < 4; n++) {
            most = others[n][x] > most ? others[n][x] : most;
            least = others[n][x] < least ? others[n][x] : least;
        }
        most = own[x - 1] > most ? own[x - 1] : most;
        least = own[x - 1] < least ? own[x - 1] : least;
        most = own[x + 1] > most ? own[x + 1] : most;
        least = own[x + 1] < least ? own[x + 1] : least;
        flags[x] = (value >= most) | (value <= least);
    }
}

static int is_extremum(const octave *o, int64_t row, int number, int64_t column) {
    float value = difference(o, row, number)[column], sign = value > 0 ? 1.0f : -1.0f;
    for (int l = number - 1; l <= number + 1; l++)
        for (int64_t y = row - 1; y <= row + 1; y++)
            for (int64_t x = column - 1; x <= column + 1; x++)
                if (sign * difference(o, y, l)[x] > sign * value) return 0;
    return 1;
}

static inline int64_t nearest(float value) { return (int64_t)(value + 1024.5f) - 1024; }

static inline float magnitude(float value) { return value < 0 ? -value : value; }

/* The difference of two layers at three by three px around a place. */
static void cut_out(const octave *o, int number, int64_t row, int64_t column, float out[3][3]) {
    for (int y = 0; y < 3; y++) {
        const float *finer = row_of(&o->layers[number], row + y - 1, o->stride) + column - 1;
        const float *coarser = row_of(&o->layers[number + 1], row + y - 1, o->stride) + column - 1;
        for (int x = 0; x < 3; x++) out[y][x] = coarser[x] - finer[x];
    }
}

/* Fits a parabola around an extremum, and again where that lies nearer to another px. Returns whether it is a keypoint:
 * one that comes to rest, has contrast, and is no edge. */
static int refine(const octave *o, const pyramid *p, keypoint *k) {
    int64_t column = k->column, row = k->row, at = k->layer;
    for (int round = 0; round < ROUNDS; round++) {
        float d[3][3][3];
        for (int l = 0; l < 3; l++) cut_out(o, (int)at + l - 1, row, column, d[l]);
        float c = d[1][1][1];
        float dx = (d[1][1][2] - d[1][1][0]) * 0.5f, dy = (d[1][2][1] - d[1][0][1]) * 0.5f;
        float ds = (d[2][1][1] - d[0][1][1]) * 0.5f;
        float dxx = d[1][1][2] + d[1][1][0] - 2 * c, dyy = d[1][2][1] + d[1][0][1] - 2 * c;
        float dss = d[2][1][1] + d[0][1][1] - 2 * c;
        float dxy = 0.25f * (d[1][2][2] - d[1][2][0] - d[1][0][2] + d[1][0][0]);
        float dxs = 0.25f * (d[2][1][2] - d[2][1][0] - d[0][1][2] + d[0][1][0]);
        float dys = 0.25f * (d[2][2][1] - d[2][0][1] - d[0][2][1] + d[0][0][1]);
        /* Cramer's rule for: second derivatives * (x, y, s) = -first derivatives */
        float m0 = dyy * dss - dys * dys, m1 = dxy * dss - dys * dxs, m2 = dxy * dys - dyy * dxs;
        float determinant = dxx * m0 - dxy * m1 + dxs * m2;
        if (determinant == 0) return 0;
        float inverse = -1 / determinant;
        float x = inverse * (dx * m0 - dxy * (dy * dss - dys * ds) + dxs * (dy * dys - dyy * ds));
        float y = inverse * (dxx * (dy * dss - ds * dys) - dx * m1 + dxs * (dxy * ds - dy * dxs));
        float s = inverse * (dxx * (dyy * ds - dys * dy) - dxy * (dxy * ds - dy * dxs) + dx * m2);
        if (magnitude(x) < 0.5f && magnitude(y) < 0.5f && magnitude(s) < 0.5f) {
            float trace = dxx + dyy, product = dxx * dyy - dxy * dxy, bound = p->edge + 1;
            k->response = magnitude(c + 0.5f * (dx * x + dy * y + ds * s)) * (1 / 255.0f);
            k->x = (float)column + x, k->y = (float)row + y, k->level = (float)at + s;
            k->column = (int32_t)column, k->row = (int32_t)row, k->layer = (int32_t)at;
            return k->response * LAYERS >= p->contrast && trace * trace * p->edge < bound * bound * product;
        }
        if (!(magnitude(x) <= DRIFT && magnitude(y) <= DRIFT && magnitude(s) <= DRIFT)) return 0; /* or no number */
        column += nearest(x), row += nearest(y), at += nearest(s);
        if (at < 1 || at > LAYERS || column < BORDER || column >= o->width - BORDER || row < BORDER ||
            row >= o->height - BORDER || column < k->column - DRIFT || column > k->column + DRIFT ||
            row < k->row - DRIFT || row > k->row + DRIFT)
            return 0;
    }
    return 0;
}

static void find_in_row(pyramid *p, int number, int64_t row) {
    const octave *o = &p->octaves[number];
    float threshold = 0.5f * p->contrast / LAYERS * 255;
    for (int l = 1; l <= LAYERS; l++) {
        flag_row(o, row, l, threshold, p->flags);
        for (int64_t start = 0; start < o->width - BORDER; start += 8) {
            uint64_t eight;
            memcpy(&eight, p->flags + start, 8);
            if (!eight) continue;
            for (int64_t x = larger(start, BORDER); x < smaller(start + 8, o->width - BORDER); x++) {
                if (!p->flags[x] || !is_extremum(o, row, l, x)) continue;
                keypoint k = {.column = (int32_t)x, .row = (int32_t)row, .layer = l, .octave = number};
                if (!refine(o, p, &k)) continue;
                if (p->found_count < p->capacity) p->found[p->found_count] = k;
                p->found_count++;
            }
        }
    }
}

/* --------------------------------------------- functions that libm has, too */

/* Two to a power between -60 and 60: Taylor's series about the nearest whole number, right to 1e-7. */
static float power_of_two(float power) {
    int whole = (int)(power + 64.5f) - 64;
    float x = (power - (float)whole), value = 1.0f;
    value = 0.000154035304f;
    value = value * x + 0.00133335581f;
    value = value * x + 0.00961812911f;
    value = value * x + 0.0555041087f;
    value = value * x + 0.240226507f;
    value = value * x + 0.693147181f;
    value = value * x + 1.0f;
    uint32_t bits = (uint32_t)(whole + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return value * scale;
}

/* The angle of (dx, dy) as a share of a full turn, 0 to 1: a polynomial, right to 2e-6. */
static inline float turn_of(float dy, float dx) {
    float ax = magnitude(dx), ay = magnitude(dy);
    float low = ax < ay ? ax : ay, high = ax < ay ? ay : ax;
    float c = low / (high + 1e-20f), c2 = c * c;
    float a = -0.0117212f;
    a = a * c2 + 0.05265332f;
    a = a * c2 - 0.11643287f;
    a = a * c2 + 0.19354346f;
    a = a * c2 - 0.33262347f;
    a = a * c2 + 0.99997726f;
    a = a * c * 0.159154943f;
    a = ay > ax ? 0.25f - a : a;
    a = dx < 0 ? 0.5f - a : a;
    return dy < 0 ? 1.0f - a : a;
}

/* Cosine and sine of a share of a full turn, 0 to 1: Taylor's series within an eighth of a turn. */
static void direction_of(float turn, float *cosine, float *sine) {
    int quarter = (int)(turn * 4 + 0.5f);
    float x = (turn - (float)quarter * 0.25f) * 6.28318531f, x2 = x * x;
    float s = ((x2 * -0.000198412698f + 0.00833333333f) * x2 - 0.166666667f) * x2 * x + x;
    float c = (((x2 * 2.48015873e-05f - 0.00138888889f) * x2 + 0.0416666667f) * x2 - 0.5f) * x2 + 1.0f;
    const float cosines[4] = {c, -s, -c, s}, sines[4] = {s, c, -s, -c};
    *cosine = cosines[quarter & 3], *sine = sines[quarter & 3];
}

/* ------------------------------------------------------------ orientations */

enum { BINS = 36, MOST_RADIUS = 17, MOST_AREA = (2 * MOST_RADIUS + 1) * (2 * MOST_RADIUS + 1) };

/* Gradients within a radius of a keypoint, clipped to the layer, row by row: lengths and bins. Returns how many. */
static int gradients_around(const octave *o, const keypoint *k, int64_t radius, float *restrict lengths,
                            int32_t *restrict bins) {
    float ys[MOST_AREA];
    int64_t first = larger(k->column - radius, 1), last = smaller(k->column + radius, o->width - 2);
    int count = 0;
    for (int64_t y = larger(k->row - radius, 1); y <= smaller(k->row + radius, o->height - 2); y++) {
        const layer *l = &o->layers[k->layer];
        const float *own = row_of(l, y, o->stride);
        const float *above = row_of(l, y - 1, o->stride), *below = row_of(l, y + 1, o->stride);
        for (int64_t x = first; x <= last; x++, count++) {
            lengths[count] = own[x + 1] - own[x - 1];
            ys[count] = above[x] - below[x];
        }
    }
    for (int n = 0; n < count; n++) {
        bins[n] = (int32_t)(turn_of(ys[n], lengths[n]) * BINS + 0.5f);
        lengths[n] = sqrtf(lengths[n] * lengths[n] + ys[n] * ys[n]);
    }
    return count;
}

/* Bins are added up alternately in two histograms: an addition need not wait for the one before it. */
static void fill_histogram(const octave *o, const keypoint *k, float sigma, float histogram[BINS]) {
    float lengths[MOST_AREA], weights[2 * MOST_RADIUS + 1], halves[2][BINS + 1] = {{0}};
    int32_t bins[MOST_AREA];
    int64_t radius = smaller(nearest(4.5f * sigma), MOST_RADIUS);
    gradients_around(o, k, radius, lengths, bins);
    float fall = -0.5f * 1.44269504f / (2.25f * sigma * sigma);
    for (int64_t x = 0; x <= radius; x++) weights[radius + x] = weights[radius - x] = power_of_two((float)(x * x) * fall);
    int n = 0;
    for (int64_t y = larger(k->row - radius, 1); y <= smaller(k->row + radius, o->height - 2); y++)
        for (int64_t x = larger(k->column - radius, 1); x <= smaller(k->column + radius, o->width - 2); x++, n++)
            halves[n & 1][bins[n]] += weights[radius + y - k->row] * weights[radius + x - k->column] * lengths[n];
    for (int b = 0; b < BINS; b++) histogram[b] = halves[0][b] + halves[1][b];
    histogram[0] += halves[0][BINS] + halves[1][BINS];
}

/* Peaks of the smoothed histogram that reach 0.8 of the highest, as shares of a full turn. Returns how many. */
static int orientations(const octave *o, const keypoint *k, float sigma, float turns[MOST_TURNS]) {
    float raw[BINS], smooth[BINS], most = 0;
    fill_histogram(o, k, sigma, raw);
    for (int b = 0; b < BINS; b++) {
        smooth[b] = (raw[(b + 34) % BINS] + raw[(b + 2) % BINS]) * (1 / 16.0f) +
                    (raw[(b + 35) % BINS] + raw[(b + 1) % BINS]) * (4 / 16.0f) + raw[b] * (6 / 16.0f);
        most = smooth[b] > most ? smooth[b] : most;
    }
    int count = 0;
    for (int b = 0; b < BINS && count < MOST_TURNS; b++) {
        float before = smooth[(b + 35) % BINS], own = smooth[b], after = smooth[(b + 1) % BINS];
        if (!(own > before && own > after && own >= 0.8f * most)) continue;
        float turn = ((float)b + 0.5f * (before - after) / (before - 2 * own + after)) / BINS;
        turns[count++] = turn < 0 ? turn + 1 : turn;
    }
    return count;
}

/* ------------------------------------------------------------- descriptors */

/* Gradients are sampled on a grid of 16 by 16 that is turned with the keypoint and five cells wide: four cells, and
 * half a cell around them. So the cells that a sample falls into, and its Gaussian weight, are fixed. */
enum { SIDE = 16, SAMPLES = SIDE * SIDE, CELLS = 4, TURNS = 8, SIZE = CELLS * CELLS * TURNS };

static const float SHARES[CELLS][SIDE] = {
    {0.0786345974f, 0.279869258f, 0.540034235f, 0.707772553f, 0.511282444f, 0.260590434f},
    {0, 0, 0, 0.0732178539f, 0.349824846f, 0.665953338f, 0.942504585f, 0.654250324f, 0.342702568f, 0.0304033738f},
    {0, 0, 0, 0, 0, 0, 0.0304033738f, 0.342702568f, 0.654250324f, 0.942504585f, 0.665953338f, 0.349824846f,
     0.0732178539f},
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.260590434f, 0.511282444f, 0.707772553f, 0.540034235f, 0.279869258f,
     0.0786345974f},
};
static const int FIRST[CELLS] = {0, 3, 6, 10}, LAST[CELLS] = {5, 9, 12, 15}; /* samples with a share in each cell */

static inline int32_t within(int32_t value, int32_t least, int32_t most) {
    value = value > least ? value : least;
    return value < most ? value : most;
}

/* Gradients at the px nearest to each sample, zero beyond the layer; sample [across * SIDE + down]. */
static void sample(const octave *o, const keypoint *k, float cosine, float sine, float *restrict xs, float *restrict ys) {
    const layer *l = &o->layers[k->layer];
    int32_t own[SAMPLES], above[SAMPLES], below[SAMPLES];
    float inside[SAMPLES];
    int32_t width = (int32_t)o->width, height = (int32_t)o->height, mask = (int32_t)l->mask, stride = (int32_t)o->stride;
    for (int across = 0; across < SIDE; across++) {
        float u = (float)(2 * across - SIDE + 1) * (2.5f / SIDE);
        for (int down = 0; down < SIDE; down++) {
            float v = (float)(2 * down - SIDE + 1) * (2.5f / SIDE);
            float x = k->x + v * sine + u * cosine, y = k->y + v * cosine - u * sine;
            int32_t column = (int32_t)(x + 64.5f) - 64, row = (int32_t)(y + 64.5f) - 64;
            int32_t near_column = within(column, 1, width - 2), near_row = within(row, 1, height - 2);
            int n = across * SIDE + down;
            own[n] = (near_row & mask) * stride + near_column;
            above[n] = ((near_row - 1) & mask) * stride + near_column;
            below[n] = ((near_row + 1) & mask) * stride + near_column;
            inside[n] = column == near_column && row == near_row ? 1.0f : 0.0f;
        }
    }
    for (int n = 0; n < SAMPLES; n++) {
        xs[n] = inside[n] * (l->rows[own[n] + 1] - l->rows[own[n] - 1]);
        ys[n] = inside[n] * (l->rows[above[n]] - l->rows[below[n]]);
    }
}

/* Gradients -> for each orientation, how much of each sample falls to it. */
static void share_out(const float *xs, const float *ys, float turn, float shares[TURNS][SAMPLES]) {
    float bins[SAMPLES], lengths[SAMPLES];
    for (int n = 0; n < SAMPLES; n++) {
        float bin = (turn_of(ys[n], xs[n]) - turn) * TURNS;
        bins[n] = bin < 0 ? bin + TURNS : bin;
        lengths[n] = sqrtf(xs[n] * xs[n] + ys[n] * ys[n]);
    }
    for (int b = 0; b < TURNS; b++)
        for (int n = 0; n < SAMPLES; n++) {
            float one = magnitude(bins[n] - (float)b), other = TURNS - one; /* both ways round */
            float share = 1.0f - (one < other ? one : other);
            shares[b][n] = (share > 0 ? share : 0) * lengths[n];
        }
}

/* Sums over samples across, then over samples down: [row][column][orientation] of cells. */
static void add_up(float shares[TURNS][SAMPLES], float *restrict cells) {
    float turned[SIDE][CELLS * TURNS];
    for (int c = 0; c < CELLS; c++)
        for (int b = 0; b < TURNS; b++) {
            float total[SIDE] = {0};
            for (int across = FIRST[c]; across <= LAST[c]; across++)
                for (int down = 0; down < SIDE; down++)
                    total[down] += SHARES[c][across] * shares[b][across * SIDE + down];
            for (int down = 0; down < SIDE; down++) turned[down][c * TURNS + b] = total[down];
        }
    for (int r = 0; r < CELLS; r++) {
        float total[CELLS * TURNS] = {0};
        for (int down = FIRST[r]; down <= LAST[r]; down++)
            for (int n = 0; n < CELLS * TURNS; n++) total[n] += SHARES[r][down] * turned[down][n];
        memcpy(cells + r * CELLS * TURNS, total, sizeof total);
    }
}

/* The sum of SIZE values, in 16 sums side by side first. */
static float sum_of(const float *values) {
    float sums[16] = {0}, total = 0;
    for (int n = 0; n < SIZE; n += 16)
        for (int i = 0; i < 16; i++) sums[i] += values[n + i];
    for (int i = 0; i < 16; i++) total += sums[i];
    return total;
}

/* RootSIFT (Arandjelovic and Zisserman, CVPR 2012) times 512, as whole numbers. */
static void whole_numbers(float cells[SIZE], uint8_t out[SIZE]) {
    float squares[SIZE];
    for (int n = 0; n < SIZE; n++) squares[n] = cells[n] * cells[n];
    float most = sqrtf(sum_of(squares)) * 0.2f;
    for (int n = 0; n < SIZE; n++) cells[n] = cells[n] < most ? cells[n] : most;
    float inverse = 1.0f / (sum_of(cells) + 1e-12f);
    for (int n = 0; n < SIZE; n++) {
        float value = sqrtf(cells[n] * inverse) * 512 + 0.5f;
        out[n] = (uint8_t)(value < 255.0f ? value : 255.0f);
    }
}

static void describe(const octave *o, const keypoint *k, float sigma, float turn, uint8_t out[SIZE]) {
    float cosine, sine, xs[SAMPLES], ys[SAMPLES], shares[TURNS][SAMPLES], cells[SIZE];
    direction_of(turn, &cosine, &sine);
    sample(o, k, cosine * (3 * sigma), sine * (3 * sigma), xs, ys);
    share_out(xs, ys, turn, shares);
    add_up(shares, cells);
    whole_numbers(cells, out);
}

/* All features of a keypoint; whether there was room for them. */
static int describe_keypoint(pyramid *p, int64_t number) {
    const keypoint *k = &p->given[number];
    const octave *o = &p->octaves[k->octave];
    float turns[MOST_TURNS], sigma = 1.6f * power_of_two(k->level / LAYERS);
    int count = orientations(o, k, sigma, turns);
    for (int n = 0; n < count; n++) {
        if (p->found_count == p->capacity) return 0;
        feature *f = &p->features[p->found_count];
        f->x = k->x, f->y = k->y, f->size = 2 * sigma, f->turn = turns[n], f->keypoint = (int32_t)number;
        describe(o, k, sigma, turns[n], p->descriptors + SIZE * p->found_count++);
    }
    return 1;
}

/* --------------------------------------------------------------- streaming */

/* A row of layer 0 has come, or one that only makes the later layers go on: all that can be done now is done. */
static void step(pyramid *p, int number) {
    octave *o = &p->octaves[number], *next = number + 1 < p->count ? o + 1 : NULL;
    int64_t now = o->steps++;
    int last = p->describing ? LAYERS : BLURS; /* no descriptor looks at the later ones */
    for (int l = 1; l <= last; l++) {
        int64_t row = now - BLUR[l].lag;
        if (row < 0 || row >= o->height) continue;
        blur_row(o, l, row, p->line);
        if (l == LAYERS && row % 2 == 0 && next && row / 2 < next->height) {
            halve_row(o, row, next);
            step(p, number + 1);
        }
    }
    if (p->describing) {
        for (; o->next < o->end; o->next++) {
            if (smaller(p->given[o->next].row + REACH, o->height - 1) > now - BLUR[LAYERS].lag) break;
            describe_keypoint(p, o->next);
        }
        return;
    }
    int64_t row = now - LAST_LAG - DRIFT; /* later rows are there already: refinement may look at them */
    if (row < 0 || row >= o->height) return;
    subtract_row(o, row);
    if (row - 1 >= BORDER && row - 1 < o->height - BORDER) find_in_row(p, number, row - 1);
}

static void stream(pyramid *p) {
    for (int64_t row = 0; row < p->octaves[0].height; row++) {
        if (p->doubled) double_row(p, row);
        else soften_row(p, row);
        step(p, 0);
    }
    for (int number = 0; number < p->count; number++)
        while (p->octaves[number].steps < p->octaves[number].height + LAST_LAG + DRIFT) step(p, number);
}

/* -------------------------------------------------------------- for callers */

/* Floats of a workspace; 0: no picture has this size. Layers are kept whole where it need not exceed most_floats. */
EXPORTED int64_t featmatch_sift_workspace(int64_t height, int64_t width, int64_t most_floats) {
    pyramid p = {.height = height, .width = width};
    int64_t floats = lay_out(&p, most_floats);
    return floats ? floats + WIDE : 0;
}

static int prepare(pyramid *p, int64_t most_floats, int64_t workspace_floats) {
    int64_t needed = featmatch_sift_workspace(p->height, p->width, most_floats);
    p->workspace += -((uintptr_t)p->workspace / sizeof(float)) % WIDE;
    return needed > 0 && workspace_floats >= needed && p->capacity >= 0 && lay_out(p, most_floats) > 0;
}

/* Finds all keypoints: of (height, width) pixels, one row after the other. Returns their number; where that is above
 * capacity, only so many were written. A negative number: REFUSED. */
EXPORTED int64_t featmatch_sift_detect(const uint8_t *pixels, int64_t height, int64_t width, int64_t most_floats,
                                       float *workspace, int64_t workspace_floats, float contrast, float edge,
                                       keypoint *keypoints, int64_t capacity) {
    pyramid p = {.pixels = pixels, .height = height, .width = width, .workspace = workspace, .contrast = contrast,
                 .edge = edge, .found = keypoints, .capacity = capacity};
    if (!prepare(&p, most_floats, workspace_floats)) return REFUSED;
    stream(&p);
    return p.found_count;
}

/* Whether a keypoint lies where detection finds them, so that nothing is read beyond a layer. */
static int is_valid(const pyramid *p, const keypoint *k) {
    if (k->octave < 0 || k->octave >= p->count || k->layer < 1 || k->layer > LAYERS) return 0;
    const octave *o = &p->octaves[k->octave];
    return k->column >= BORDER && k->column < o->width - BORDER && k->row >= BORDER && k->row < o->height - BORDER &&
           magnitude(k->x - (float)k->column) <= 0.5f && magnitude(k->y - (float)k->row) <= 0.5f &&
           magnitude(k->level - (float)k->layer) <= 0.5f;
}

/* Whether given keypoints come octave by octave and row by row, as the picture streams by. */
static int assign_octaves(pyramid *p, int64_t count) {
    for (int64_t n = 0; n < count; n++) {
        const keypoint *k = &p->given[n];
        if (n && (k[-1].octave > k->octave || (k[-1].octave == k->octave && k[-1].row > k->row))) return 0;
        octave *o = &p->octaves[k->octave];
        if (!o->end) o->next = n;
        o->end = n + 1;
    }
    return 1;
}

/* Whether the first octave has twice as many px along each side as a picture of this size. */
EXPORTED int64_t featmatch_sift_doubled(int64_t height, int64_t width) {
    pyramid p = {.height = height, .width = width};
    return lay_out(&p, 0) && p.doubled;
}

/* Whether the workspace keeps what was detected, so that keypoints may be described in any order. */
EXPORTED int64_t featmatch_sift_kept(int64_t height, int64_t width, int64_t most_floats) {
    pyramid p = {.height = height, .width = width};
    return lay_out(&p, most_floats) && p.kept;
}

/* Orientations and descriptors of keypoints, until capacity is full. Returns the number of features; a negative number:
 * REFUSED, or TOO_SMALL where capacity does not do for all that streams by. The workspace is that of detection, not
 * written to since; where it does not keep the layers, keypoints come sorted by octave and row. */
EXPORTED int64_t featmatch_sift_describe(const uint8_t *pixels, int64_t height, int64_t width, int64_t most_floats,
                                         float *workspace, int64_t workspace_floats, const keypoint *keypoints,
                                         int64_t count, feature *features, uint8_t *descriptors, int64_t capacity) {
    pyramid p = {.pixels = pixels, .height = height, .width = width, .workspace = workspace, .given = keypoints,
                 .features = features, .descriptors = descriptors, .capacity = capacity, .describing = 1};
    if (!prepare(&p, most_floats, workspace_floats)) return REFUSED;
    if (count < 0 || count > INT32_MAX) return REFUSED;
    for (int64_t n = 0; n < count; n++)
        if (!is_valid(&p, &keypoints[n])) return REFUSED;
    if (p.kept) {
        for (int64_t n = 0; n < count && describe_keypoint(&p, n); n++) {
        }
        return p.found_count;
    }
    if (!assign_octaves(&p, count)) return REFUSED;
    if (capacity < MOST_TURNS * count) return TOO_SMALL;
    stream(&p);
    return p.found_count;
}
