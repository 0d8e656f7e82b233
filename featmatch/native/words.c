/* Visual words: descriptors -> the nearest cells, the nearest words of these, and signatures.
 *
 * The same words at every instruction level: bytes are multiplied and added up in whole numbers, which is exact in any
 * order, and a score takes one rounded product and one rounded difference in float32 (-ffp-contract=off).
 * tests/native/words_twin.py says the same in NumPy.
 *
 * Descriptors meet centres in tiles: one strip of centres stays in registers and cache while several descriptors are
 * multiplied with it, and no sum runs across a register until all is added up. Nothing here allocates, nothing is kept
 * between calls, and every number that leads into an array is checked before.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "kernels.h"
#define INLINE static inline __attribute__((always_inline))

/* What is within such a loop stays in registers. */
#if defined(__clang__)
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED _Pragma("GCC unroll 8")
#endif

enum {
    BLOCK = 32,       /* centres that lie side by side: GROUP values of each, then the next GROUP of each */
    GROUP = 4,
    TILE = 16,        /* descriptors that are compared with a span of centres at once */
    MOST_SIZE = 1024, /* values of a descriptor: neither sums nor keys overflow */
    SIGNATURE = 64    /* bits */
};

enum { REFUSED = -1 };

/* A key is a score and a number in one: the larger key is the nearer centre, and of equally near ones that with the
 * lower number. */
enum { KEY_SHIFT = 24, KEY_STEP = 1 << KEY_SHIFT }; /* numbers are below it */
static const int64_t NO_KEY = -((int64_t)1 << 62);

/* What descriptors are compared with. A span begins with a block of its own; its last block is filled up with centres
 * that are infinitely far away. */
typedef struct {
    const uint8_t *packed; /* blocks * BLOCK * GROUP * groups_of(size) */
    const float *norms;    /* blocks * BLOCK, squared */
    const int64_t *offsets; /* spans + 1: the numbers of the centres in a span */
    int64_t spans, size, blocks;
} centres;

/* ---------------------------------------------------- instruction levels */

/* Each level says how a value of a descriptor is kept, and how the products with a strip of centres are added up: in
 * VECTORS registers of LANES sums for each of ROWS descriptors, PARTS sums for each centre. */

#if defined(__AVX512VNNI__)
typedef uint8_t value;
typedef __m512i sums, factors;
enum { ROWS = 8, VECTORS = 2, LANES = 16, PARTS = 1, BIAS = 128 }; /* the processor wants one factor with a sign */

INLINE factors centres_at(const uint8_t *from) {
    return _mm512_xor_si512(_mm512_loadu_si512(from), _mm512_set1_epi8(-128));
}

INLINE factors group_at(const value *from) {
    int32_t group;
    memcpy(&group, from, sizeof group);
    return _mm512_set1_epi32(group);
}

INLINE sums add_products(sums total, factors of_centres, factors group) {
    return _mm512_dpbusd_epi32(total, group, of_centres);
}

INLINE uint32_t at_least(const float *scores, float worst) {
    __m512 least = _mm512_set1_ps(worst);
    uint32_t low = _mm512_cmp_ps_mask(_mm512_loadu_ps(scores), least, _CMP_GE_OQ);
    return low | (uint32_t)_mm512_cmp_ps_mask(_mm512_loadu_ps(scores + 16), least, _CMP_GE_OQ) << 16;
}

INLINE void store_sums(const sums *total, int32_t *to) {
    _mm512_storeu_si512(to, total[0]);
    _mm512_storeu_si512(to + LANES, total[1]);
}

#elif defined(__AVX2__)
typedef int16_t value;
typedef __m256i sums, factors;
enum { ROWS = 2, VECTORS = 4, LANES = 8, PARTS = 2, BIAS = 0 };

INLINE factors centres_at(const uint8_t *from) { return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)from)); }

INLINE factors group_at(const value *from) {
    int64_t group;
    memcpy(&group, from, sizeof group);
    return _mm256_set1_epi64x(group);
}

INLINE sums add_products(sums total, factors of_centres, factors group) {
    total = _mm256_add_epi32(total, _mm256_madd_epi16(of_centres, group));
    __asm__("" : "+x"(total)); /* else GCC moves sums from register to register, and to memory */
    return total;
}

INLINE uint32_t at_least(const float *scores, float worst) {
    __m256 least = _mm256_set1_ps(worst);
    int low = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(scores), least, _CMP_GE_OQ));
    int high = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(scores + 8), least, _CMP_GE_OQ));
    return (uint32_t)(low | high << 8);
}

INLINE void store_sums(const sums *total, int32_t *to) {
    for (int v = 0; v < VECTORS; v += 2) { /* the second sums of a half come behind the first of both */
        sums both = _mm256_hadd_epi32(total[v], total[v + 1]);
        _mm256_storeu_si256((__m256i *)(to + 4 * v), _mm256_permute4x64_epi64(both, 0xd8));
    }
}

#elif defined(__SSE2__)
typedef int16_t value;
typedef __m128i sums, factors;
enum { ROWS = 2, VECTORS = 4, LANES = 4, PARTS = 2, BIAS = 0 };

INLINE factors centres_at(const uint8_t *from) {
    return _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)from), _mm_setzero_si128());
}

INLINE factors group_at(const value *from) {
    int64_t group;
    memcpy(&group, from, sizeof group);
    return _mm_set1_epi64x(group);
}

INLINE sums add_products(sums total, factors of_centres, factors group) {
    total = _mm_add_epi32(total, _mm_madd_epi16(of_centres, group));
    __asm__("" : "+x"(total)); /* else GCC moves sums from register to register, and to memory */
    return total;
}

INLINE uint32_t at_least(const float *scores, float worst) {
    __m128 least = _mm_set1_ps(worst);
    int low = _mm_movemask_ps(_mm_cmpge_ps(_mm_loadu_ps(scores), least));
    int high = _mm_movemask_ps(_mm_cmpge_ps(_mm_loadu_ps(scores + 4), least));
    return (uint32_t)(low | high << 4);
}

INLINE void store_sums(const sums *total, int32_t *to) {
    for (int v = 0; v < VECTORS; v += 2) {
        __m128 low = _mm_castsi128_ps(total[v]), high = _mm_castsi128_ps(total[v + 1]);
        sums first = _mm_castps_si128(_mm_shuffle_ps(low, high, 0x88));
        sums second = _mm_castps_si128(_mm_shuffle_ps(low, high, 0xdd));
        _mm_storeu_si128((__m128i *)(to + 2 * v), _mm_add_epi32(first, second));
    }
}

#elif defined(__aarch64__)
typedef uint8_t value;
typedef uint32x4_t sums;
typedef uint8x8_t factors;
enum { ROWS = 4, VECTORS = 4, LANES = 4, PARTS = 2, BIAS = 0 };

INLINE factors centres_at(const uint8_t *from) { return vld1_u8(from); }

INLINE factors group_at(const value *from) {
    uint32_t group;
    memcpy(&group, from, sizeof group);
    return vreinterpret_u8_u32(vdup_n_u32(group));
}

INLINE sums add_products(sums total, factors of_centres, factors group) {
    return vpadalq_u16(total, vmull_u8(of_centres, group));
}

INLINE uint32_t at_least(const float *scores, float worst) {
    const uint32x4_t low = {1, 2, 4, 8}, high = {16, 32, 64, 128};
    float32x4_t least = vdupq_n_f32(worst);
    uint32x4_t found = vandq_u32(vcgeq_f32(vld1q_f32(scores), least), low);
    return vaddvq_u32(vorrq_u32(found, vandq_u32(vcgeq_f32(vld1q_f32(scores + 4), least), high)));
}

INLINE void store_sums(const sums *total, int32_t *to) {
    for (int v = 0; v < VECTORS; v += 2)
        vst1q_s32(to + 2 * v, vreinterpretq_s32_u32(vpaddq_u32(total[v], total[v + 1])));
}

#else /* for any other processor */
enum { ROWS = 2, VECTORS = 1, LANES = 8, PARTS = 1, BIAS = 0 };
typedef uint8_t value;
typedef const uint8_t *factors;
typedef struct {
    int32_t of[LANES];
} sums;

INLINE factors centres_at(const uint8_t *from) { return from; }
INLINE factors group_at(const value *from) { return from; }

INLINE sums add_products(sums total, factors of_centres, factors group) {
    for (int n = 0; n < LANES; n++)
        for (int i = 0; i < GROUP; i++) total.of[n] += of_centres[GROUP * n + i] * group[i];
    return total;
}

INLINE uint32_t at_least(const float *scores, float worst) {
    uint32_t found = 0;
    for (int n = 0; n < LANES; n++) found |= (uint32_t)(scores[n] >= worst) << n;
    return found;
}

INLINE void store_sums(const sums *total, int32_t *to) { memcpy(to, total, sizeof *total); }
#endif

enum { STRIP = VECTORS * LANES / PARTS }; /* centres */

/* ---------------------------------------------------------------- products */

typedef struct {
    int64_t *best; /* keys of the nearest centres so far, the nearest first */
    float worst;   /* score of the last of these */
    int64_t form;  /* of the centres that it is compared with */
    int32_t total; /* of the values */
} contender;

/* Descriptors to be compared, one after the other, and what is known of each. */
typedef struct {
    int64_t count, groups; /* of descriptors; of values of each */
    value *values;
    contender of[TILE];
} tile;

static inline int64_t groups_of(int64_t size) { return (size + GROUP - 1) / GROUP; }
static inline int64_t blocks_of(int64_t count) { return (count + BLOCK - 1) / BLOCK; }

/* Where the ROWS descriptors lie of which `row` is one: GROUP values of each in turn. */
static inline value *rows_at(const tile *t, int64_t row) { return t->values + GROUP * t->groups * (row / ROWS * ROWS); }

/* Puts a descriptor, or a form of it, into the tile: its values in the order of a permutation, if there is one. */
static contender *add_to(tile *t, const uint8_t *descriptor, int64_t size, const int32_t *permutation) {
    contender *c = &t->of[t->count];
    value *values = rows_at(t, t->count) + GROUP * (t->count % ROWS);
    c->total = 0;
    for (int64_t i = 0; i < size; i++) c->total += descriptor[i];
    for (int64_t at = 0; at < size; at += GROUP, values += GROUP * ROWS)
        for (int64_t i = at; i < at + GROUP; i++)
            values[i - at] = i >= size ? 0 : descriptor[permutation ? permutation[i] : i];
    t->count++;
    return c;
}

/* Products of the ROWS descriptors at values, or the first few of these, with a strip of centres. */
INLINE void multiply(const value *values, int64_t groups, const uint8_t *strip, int rows, int32_t (*products)[STRIP]) {
    sums total[ROWS][VECTORS];
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int v = 0; v < VECTORS; v++) total[r][v] = (sums){0};
    int64_t g = 0;
    do
        UNROLLED for (int v = 0; v < VECTORS; v++) {
            factors of_centres = centres_at(strip + GROUP * (BLOCK * g + LANES / PARTS * v));
            UNROLLED for (int r = 0; r < rows; r++)
                total[r][v] = add_products(total[r][v], of_centres, group_at(values + GROUP * (ROWS * g + r)));
        }
    while (++g < groups);
    UNROLLED for (int r = 0; r < rows; r++) store_sums(total[r], products[r]);
}

/* The same for those of a tile from `row` on, which is a multiple of ROWS. */
static void multiply_rows(const tile *t, int64_t row, const uint8_t *strip, int32_t (*products)[STRIP]) {
    const value *values = rows_at(t, row);
    if (t->count - row > ROWS / 2) multiply(values, t->groups, strip, ROWS, products);
    else multiply(values, t->groups, strip, ROWS / 2, products);
    for (int r = 0; BIAS > 0 && r < ROWS && row + r < t->count; r++)
        for (int i = 0; i < STRIP; i++) products[r][i] += BIAS * t->of[row + r].total;
}

static const uint8_t *strip_at(const centres *c, int64_t block, int64_t first) {
    return c->packed + GROUP * (BLOCK * groups_of(c->size) * (block + first / BLOCK) + first % BLOCK);
}

/* ----------------------------------------------------------------- nearest */

/* How centres are numbered and scored: 2 x.c - c.c, the larger, the nearer. */
typedef struct {
    float factor;         /* 2, times what one step of a descriptor is in centres */
    int64_t forms, count; /* of each centre; to be found */
} search;

static void set_worst(contender *c, const search *s) {
    c->worst = (float)((c->best[s->count - 1] + KEY_STEP - 1) >> KEY_SHIFT);
}

static void keep_best(contender *c, const search *s, const int32_t *products, const float *norms, int64_t first) {
    float scores[STRIP];
    for (int i = 0; i < STRIP; i++) scores[i] = (float)products[i] * s->factor - norms[i];
    uint32_t near = at_least(scores, c->worst);
    if (!near) return;
    for (; near; near &= near - 1) {
        int i = __builtin_ctz(near);
        int64_t key = (int64_t)scores[i] * KEY_STEP - ((first + i) * s->forms + c->form);
        for (int64_t place = 0; place < s->count; place++) { /* without a branch, which could not be foreseen */
            int64_t other = c->best[place], better = key > other;
            c->best[place] = better ? key : other;
            key = better ? other : key;
        }
    }
    set_worst(c, s);
}

/* Compares a tile with all centres of a span, which begins at `block`. */
static void compare(tile *t, const search *s, const centres *c, int64_t span, int64_t block) {
    int64_t count = c->offsets[span + 1] - c->offsets[span];
    for (int64_t n = 0; n < t->count; n++) set_worst(&t->of[n], s);
    for (int64_t first = 0; first < count; first += STRIP)
        for (int64_t row = 0; row < t->count; row += ROWS) {
            int32_t products[ROWS][STRIP];
            multiply_rows(t, row, strip_at(c, block, first), products);
            for (int r = 0; r < ROWS && row + r < t->count; r++)
                keep_best(&t->of[row + r], s, products[r], c->norms + BLOCK * block + first, c->offsets[span] + first);
        }
    t->count = 0;
}

static inline int64_t number_of(int64_t key) { return key == NO_KEY ? -1 : (KEY_STEP - 1) & -key; }

/* Whether spans lie within the arrays, and numbers of centres in all their forms within keys. */
static int is_valid(const centres *c, int64_t forms) {
    if (c->size < 1 || c->size > MOST_SIZE || c->spans < 1 || c->blocks < 0 || c->offsets[0] != 0 || forms < 1) return 0;
    int64_t blocks = 0;
    for (int64_t n = 0; n < c->spans; n++) {
        if (c->offsets[n + 1] < c->offsets[n] || c->offsets[n + 1] > KEY_STEP / forms) return 0;
        blocks += blocks_of(c->offsets[n + 1] - c->offsets[n]);
    }
    return blocks == c->blocks;
}

/* What one step of a descriptor is in centres, or twice that: of at most 255, scores do not overflow a key. */
enum { MOST_FACTOR = 2 * 255 };

static int is_factor(float factor) { return factor > 0 && factor <= MOST_FACTOR; } /* nor what is not a number */

/* Whether descriptors, found or to be found, may be so many. */
static int are_valid(int64_t number, int64_t count) {
    return number >= 0 && number < INT32_MAX && count >= 1 && count < INT32_MAX;
}

/* -------------------------------------------------------------- for callers */

/* Packs (offsets[spans], size) vectors: fills in c->packed and c->norms. Returns 0, or REFUSED. */
EXPORTED int64_t featmatch_words_pack(const centres *c, const uint8_t *vectors, int64_t count) {
    if (!is_valid(c, 1) || count != c->offsets[c->spans]) return REFUSED;
    uint8_t *to = (uint8_t *)c->packed;
    float *norm = (float *)c->norms;
    for (int64_t span = 0; span < c->spans; span++)
        for (int64_t first = c->offsets[span]; first < c->offsets[span + 1]; first += BLOCK) {
            const uint8_t *from = vectors + first * c->size;
            int64_t own = smaller(BLOCK, c->offsets[span + 1] - first);
            for (int64_t at = 0; at < c->size; at += GROUP)
                for (int64_t n = 0; n < BLOCK; n++, to += GROUP) {
                    memset(to, 0, GROUP);
                    if (n < own) memcpy(to, from + n * c->size + at, (size_t)smaller(GROUP, c->size - at));
                }
            for (int64_t n = 0; n < BLOCK; n++) {
                int32_t squared = 0;
                for (int64_t i = 0; n < own && i < c->size; i++) squared += from[n * c->size + i] * from[n * c->size + i];
                *norm++ = n < own ? (float)squared : INFINITY;
            }
        }
    return 0;
}

/* The nearest of one span of cells: (number, count) into found, nearest first; -1, where there are too few. */
EXPORTED int64_t featmatch_words_probe(const centres *cells, float factor, const uint8_t *descriptors, int64_t number,
                                       int64_t count, int64_t *found) {
    if (!is_valid(cells, 1) || cells->spans != 1 || !is_factor(factor) || !are_valid(number, count)) return REFUSED;
    value values[TILE * MOST_SIZE];
    memset(values, 0, sizeof values); /* the last rows may be multiplied without being there */
    tile t = {.groups = groups_of(cells->size), .values = values};
    search s = {factor, 1, count};
    for (int64_t n = 0; n < number * count; n++) found[n] = NO_KEY;
    for (int64_t n = 0; n < number; n++) {
        contender *c = add_to(&t, descriptors + n * cells->size, cells->size, NULL);
        c->best = found + n * count;
        c->form = 0;
        if (t.count == TILE || n + 1 == number) compare(&t, &s, cells, 0, 0);
    }
    for (int64_t n = 0; n < number * count; n++) found[n] = number_of(found[n]);
    return 0;
}

/* Sorts all places of probed by their cell, into order; starts[c] to starts[c + 1] are those of cell c. Returns 0 where
 * a cell is none. */
static int sort_by_cell(const int64_t *probed, int64_t count, int64_t forms, int64_t cells, int64_t *starts,
                        int64_t *order) {
    memset(starts, 0, (size_t)(cells + 2) * sizeof *starts);
    for (int64_t n = 0; n < count; n++) {
        if (probed[n] < 0 || probed[n] >= cells * forms) return 0;
        starts[probed[n] / forms + 2]++;
    }
    for (int64_t c = 0; c < cells; c++) starts[c + 2] += starts[c + 1];
    for (int64_t n = 0; n < count; n++) order[starts[probed[n] / forms + 1]++] = n;
    return 1;
}

static int are_permutations(const int32_t *permutations, int64_t forms, int64_t size) {
    for (int64_t n = 0; n < forms * size; n++)
        if (permutations[n] < 0 || permutations[n] >= size) return 0;
    return 1;
}

/* The nearest words of the cells in probed (number, probes), where cell = span * forms + form, and form is that in which
 * a descriptor is compared: (number, count) into found, nearest first. Where there are too few, the nearest stands in,
 * and where there are none, word 0. The workspace has number * probes + spans + 2 places. */
EXPORTED int64_t featmatch_words_nearest(const centres *words, float factor, const uint8_t *descriptors, int64_t number,
                                         const int32_t *permutations, int64_t forms, const int64_t *probed,
                                         int64_t probes, int64_t *workspace, int64_t places, int64_t count,
                                         int64_t *found) {
    if (forms < 1 || !is_valid(words, forms) || !are_valid(number, count) || !are_valid(number, probes)) return REFUSED;
    if (!is_factor(factor) || !are_permutations(permutations, forms, words->size)) return REFUSED;
    if (words->spans > KEY_STEP || places < number * probes + words->spans + 2) return REFUSED;
    int64_t *starts = workspace, *order = workspace + words->spans + 2;
    if (!sort_by_cell(probed, number * probes, forms, words->spans, starts, order)) return REFUSED;
    value values[TILE * MOST_SIZE];
    memset(values, 0, sizeof values);
    tile t = {.groups = groups_of(words->size), .values = values};
    search s = {factor, forms, count};
    for (int64_t n = 0; n < number * count; n++) found[n] = NO_KEY;
    for (int64_t span = 0, block = 0; span < words->spans; span++) {
        for (int64_t n = starts[span]; n < starts[span + 1]; n++) {
            int64_t one = order[n] / probes, form = probed[order[n]] % forms;
            const int32_t *permutation = forms > 1 ? permutations + form * words->size : NULL;
            contender *c = add_to(&t, descriptors + one * words->size, words->size, permutation);
            c->best = found + one * count;
            c->form = form;
            if (t.count == TILE || n + 1 == starts[span + 1]) compare(&t, &s, words, span, block);
        }
        block += blocks_of(words->offsets[span + 1] - words->offsets[span]);
    }
    for (int64_t n = 0; n < number * count; n++) {
        int64_t nearest = n % count ? found[n / count * count] : 0;
        found[n] = found[n] == NO_KEY ? nearest : number_of(found[n]);
    }
    return 0;
}

/* Of each descriptor of a tile, how the rows of a projection see it. Their int8 are packed as bytes, more by 128. */
static void project(tile *t, const centres *projection, float (*projected)[SIGNATURE]) {
    for (int64_t first = 0; first < SIGNATURE; first += STRIP)
        for (int64_t row = 0; row < t->count; row += ROWS) {
            int32_t products[ROWS][STRIP];
            multiply_rows(t, row, strip_at(projection, 0, first), products);
            for (int r = 0; r < ROWS && row + r < t->count; r++)
                for (int i = 0; i < STRIP; i++)
                    projected[row + r][first + i] = (float)(products[r][i] - 128 * t->of[row + r].total);
        }
    t->count = 0;
}

/* Bit i is set where row i sees the descriptor above the word. A row sees a form of a word as it sees the word, or with
 * the sign turned; compared is the plain form, so that a tie does not depend on the form. */
static uint64_t signature_of(const float *descriptor, const float *word, const float *signs) {
    uint64_t bits = 0;
    for (int i = 0; i < SIGNATURE; i++) {
        int above = (descriptor[i] * signs[i] > word[i]) != (signs[i] < 0);
        bits |= (uint64_t)above << i;
    }
    return bits;
}

/* Signatures of descriptors relative to their words: ids (number, count) are word * forms + form, of word_count words;
 * signs (forms, SIGNATURE) tell how rows see forms. One step of a descriptor is `unit` in words. */
EXPORTED int64_t featmatch_words_sign(const centres *projection, float unit, const uint8_t *descriptors, int64_t number,
                                      const uint8_t *words, int64_t word_count, const float *signs, int64_t forms,
                                      const int32_t *ids, int64_t count, uint64_t *signatures) {
    if (!is_valid(projection, 1) || projection->spans != 1 || projection->offsets[1] != SIGNATURE) return REFUSED;
    if (!is_factor(unit) || !are_valid(number, count)) return REFUSED;
    if (forms < 1 || word_count < 0 || word_count > KEY_STEP / forms) return REFUSED;
    for (int64_t n = 0; n < number * count; n++)
        if (ids[n] < 0 || ids[n] >= word_count * forms) return REFUSED;
    value values[TILE * MOST_SIZE];
    memset(values, 0, sizeof values);
    int64_t size = projection->size;
    tile t = {.groups = groups_of(size), .values = values};
    float descriptor[TILE][SIGNATURE], word[TILE][SIGNATURE];
    for (int64_t first = 0; first < number; first += TILE) {
        int64_t end = smaller(first + TILE, number);
        for (int64_t n = first; n < end; n++) add_to(&t, descriptors + n * size, size, NULL);
        project(&t, projection, descriptor);
        for (int64_t n = 0; n < end - first; n++)
            for (int i = 0; i < SIGNATURE; i++) descriptor[n][i] *= unit;
        for (int64_t n = first * count; n < end * count; n++) {
            add_to(&t, words + ids[n] / forms * size, size, NULL);
            if (t.count < TILE && n + 1 < end * count) continue;
            int64_t start = n + 1 - t.count;
            project(&t, projection, word);
            for (int64_t m = start; m <= n; m++)
                signatures[m] = signature_of(descriptor[m / count - first], word[m - start],
                                             signs + ids[m] % forms * SIGNATURE);
        }
    }
    return 0;
}
