/* Searching posting lists: query words -> votes for images -> the best images -> their hits.
 *
 * Signatures lie side by side, so several are compared at once. Images are anywhere in memory: only those of hits are
 * looked up, many on their way at the same time. Votes are float32, added in the order of entries and postings, nothing
 * fused (-ffp-contract=off): the same bits at every instruction level. tests/native/postings_twin.py says the same in
 * NumPy.
 *
 * Lists may come from a stranger: where they lie is compared with what there is before it is used. Nothing here
 * allocates, and nothing is kept between calls.
 */

#include <math.h>
#include <stdint.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "kernels.h"

enum {
    GROUP = 8,      /* signatures compared at once */
    STEP = 64,      /* postings between two looks at what was found: a bit each */
    AHEAD = 1024,   /* postings that are asked for before they are compared; a processor does not look beyond a page */
    HITS = 1024,    /* whose images are on their way at the same time */
    LISTS = 32,     /* bisected side by side, at most */
    SPREAD = 1,     /* roots of a list's length: so far an image stands from where it is looked for, mostly */
    SCORED = 64     /* images whose scores are looked at together */
};
static const float LEAST = 0x1p-149f; /* there is nothing between this and 0 */

enum { REFUSED = -1, NO_LIST = -2, NO_IMAGE = -3 }; /* what functions return in place of a count */

typedef struct {
    const uint32_t *offsets; /* the postings of word w are the rows offsets[w] to offsets[w + 1] */
    const uint32_t *images;
    const uint64_t *signatures;
    int64_t words, postings;
} posting_lists;

typedef struct {
    const int32_t *words;
    const uint64_t *signatures;
    const float *weights;
    int64_t count;
} query_entries;

typedef struct {
    int32_t *entries;
    int64_t *rows;
    uint32_t *images;
    uint8_t *distances;
    int64_t capacity;
} hit_columns;

/* ------------------------------------------------------------------- lists */

/* A place in the lists of a query, one list after the other. */
typedef struct {
    int64_t entry; /* of the query, whose list this is */
    int64_t row, end;
} place;

/* On to the first row of an entry's list. 0: it is not within the postings. */
static int look_up(const posting_lists *lists, const query_entries *query, int64_t entry, place *at) {
    int64_t word = query->words[entry];
    if (word < 0 || word >= lists->words) return 0;
    *at = (place){entry, lists->offsets[word], lists->offsets[word + 1]};
    return at->row <= at->end && at->end <= lists->postings;
}

/* On to the next list, where this one is at its end, until there is a row. 0: there is none; or NO_LIST. */
static inline int find_row(const posting_lists *lists, const query_entries *query, place *at) {
    while (at->row >= at->end) {
        if (at->entry + 1 >= query->count) return 0;
        if (!look_up(lists, query, at->entry + 1, at)) return NO_LIST;
    }
    return 1;
}

/* -------------------------------------------------------------- signatures */

static inline int64_t count_bits(uint64_t x) { /* compilers know this as one instruction */
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (int64_t)(x * 0x0101010101010101u >> 56);
}

static inline uint64_t is_near(uint64_t one, uint64_t other, int64_t limit) {
    return count_bits(one ^ other) <= limit;
}

/* Which of GROUP signatures differ from one in at most so many bits. */
#if defined(__AVX512VPOPCNTDQ__)
static inline uint64_t near_of_group(const uint64_t *signatures, uint64_t one, int64_t limit) {
    __m512i differing = _mm512_xor_si512(_mm512_loadu_si512(signatures), _mm512_set1_epi64((int64_t)one));
    return _mm512_cmple_epi64_mask(_mm512_popcnt_epi64(differing), _mm512_set1_epi64(limit));
}
#elif defined(__AVX2__)
static inline uint64_t near_of_four(const uint64_t *signatures, uint64_t one, int64_t limit) {
    const __m256i of_nibble = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
                                               0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i differing = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)signatures),
                                         _mm256_set1_epi64x((int64_t)one));
    __m256i low = _mm256_shuffle_epi8(of_nibble, _mm256_and_si256(differing, nibble));
    __m256i high = _mm256_shuffle_epi8(of_nibble, _mm256_and_si256(_mm256_srli_epi16(differing, 4), nibble));
    __m256i distances = _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256());
    __m256i far = _mm256_cmpgt_epi64(distances, _mm256_set1_epi64x(limit));
    return (uint64_t)~_mm256_movemask_pd(_mm256_castsi256_pd(far)) & 15;
}

static inline uint64_t near_of_group(const uint64_t *signatures, uint64_t one, int64_t limit) {
    return near_of_four(signatures, one, limit) | near_of_four(signatures + 4, one, limit) << 4;
}
#else
static inline uint64_t near_of_group(const uint64_t *signatures, uint64_t one, int64_t limit) {
    uint64_t near = 0;
    for (int n = 0; n < GROUP; n++) near |= is_near(signatures[n], one, limit) << n;
    return near;
}
#endif

/* Which of the next signatures, up to STEP of them, are near, a bit each. Whole groups are compared as long as all of
 * them is there, beyond the end of the list too. */
static inline uint64_t near_of_step(const posting_lists *lists, place at, uint64_t one, int64_t limit) {
    const uint64_t *signatures = lists->signatures + at.row;
    uint64_t near = 0;
    int64_t left = at.end - at.row, n = 0;
    if (left >= STEP) {
        for (; n < STEP; n += GROUP) near |= near_of_group(signatures + n, one, limit) << n;
        return near;
    }
    for (; n < left && at.row + n + GROUP <= lists->postings; n += GROUP)
        near |= near_of_group(signatures + n, one, limit) << n;
    for (; n < left; n++) near |= is_near(signatures[n], one, limit) << n;
    return near & (((uint64_t)1 << left) - 1);
}

/* ------------------------------------------------------------------- votes */

/* Ask for the signatures of one step, into the second cache: what is compared next should stay in the first. */
static inline void ask(const posting_lists *lists, const query_entries *query, place *ahead) {
    if (find_row(lists, query, ahead) <= 0) return;
    const uint64_t *signatures = lists->signatures + ahead->row;
    int64_t count = smaller(STEP, ahead->end - ahead->row);
    for (int64_t n = 0; n <= count; n += GROUP) __builtin_prefetch(signatures + n, 0, 2);
    ahead->row += STEP;
}

/* Hits that wait for their images, in order. */
typedef struct {
    int64_t rows[HITS], count;
    int32_t entries[HITS];
    float weights[HITS];
    uint32_t images[HITS];
    int64_t last_entry, last_image, repeats; /* of the last hit that was counted */
} waiting;

/* Count all hits that wait. The k-th hit of an entry in the same image adds sqrt(k) - sqrt(k - 1) of its weight. */
static int64_t count_hits(waiting *hits, const posting_lists *lists, float *votes, int64_t images) {
    for (int64_t n = 0; n < hits->count; n++) {
        hits->images[n] = lists->images[hits->rows[n]];
        if (hits->images[n] >= images) return NO_IMAGE;
        __builtin_prefetch(votes + hits->images[n], 1, 2);
    }
    for (int64_t n = 0; n < hits->count; n++) {
        int64_t entry = hits->entries[n], image = hits->images[n];
        int again = entry == hits->last_entry && image == hits->last_image;
        int64_t repeats = again ? hits->repeats + 1 : 1;
        float share = 1;
        if (again) share = (float)(sqrt((double)repeats) - sqrt((double)(repeats - 1)));
        votes[image] += hits->weights[n] * share;
        hits->last_entry = entry;
        hits->last_image = image;
        hits->repeats = repeats;
    }
    hits->count = 0;
    return 0;
}

/* Adds up the votes for all images: a hit is a posting whose signature differs from that of its entry in fewer bits than
 * there are distance_weights. Returns 0; or REFUSED, NO_LIST, NO_IMAGE, with a part of the votes counted. */
EXPORTED int64_t featmatch_scan(const posting_lists *lists, const query_entries *query, const float *distance_weights,
                                int64_t distances, float *votes, int64_t images) {
    if (distances < 1 || query->count > INT32_MAX) return REFUSED;
    waiting hits;
    hits.count = hits.repeats = 0;
    hits.last_entry = hits.last_image = -1;
    place at = {-1, 0, 0}, ahead = at;
    for (int n = 0; n < AHEAD; n += STEP) ask(lists, query, &ahead);
    int more;
    while ((more = find_row(lists, query, &at)) > 0) {
        uint64_t signature = query->signatures[at.entry];
        float weight = query->weights[at.entry];
        for (; at.row < at.end; at.row += STEP) {
            ask(lists, query, &ahead);
            for (uint64_t near = near_of_step(lists, at, signature, distances - 1); near; near &= near - 1) {
                int64_t row = at.row + __builtin_ctzll(near);
                __builtin_prefetch(lists->images + row, 0, 3);
                hits.rows[hits.count] = row;
                hits.entries[hits.count] = (int32_t)at.entry;
                hits.weights[hits.count++] = weight * distance_weights[count_bits(lists->signatures[row] ^ signature)];
            }
            if (hits.count > HITS - STEP && count_hits(&hits, lists, votes, images)) return NO_IMAGE;
        }
    }
    return more ? more : count_hits(&hits, lists, votes, images);
}

/* -------------------------------------------------------------------- best */

/* Replace the smallest of a heap, its first element. */
static void replace_first(float *heap, int64_t count, float value) {
    int64_t n = 0;
    for (int64_t child; (child = 2 * n + 1) < count; n = child) {
        if (child + 1 < count && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= value) break;
        heap[n] = heap[child];
    }
    heap[n] = value;
}

/* Finds the images whose votes * weights are the largest: count of them, and all that are as good as the last; none of
 * those without votes. heap has room for count, above for one in SCORED images. Returns their number, and writes which
 * they are, ascending; where that is above capacity, only so many were written. Or REFUSED. */
EXPORTED int64_t featmatch_best(const float *votes, const float *weights, int64_t images, float *heap, int64_t count,
                                uint8_t *above, int64_t blocks, int64_t *best, int64_t capacity) {
    if (count < 1 || blocks < 0 || blocks < (images + SCORED - 1) / SCORED) return REFUSED;
    for (int64_t n = 0; n < count; n++) heap[n] = LEAST;
    for (int64_t first = 0; first < images; first += SCORED) {
        int64_t end = smaller(first + SCORED, images);
        int32_t some = 0;
        for (int64_t image = first; image < end; image++) some |= votes[image] * weights[image] >= heap[0];
        above[first / SCORED] = (uint8_t)some;
        if (!some) continue;
        for (int64_t image = first; image < end; image++) {
            float score = votes[image] * weights[image];
            if (score > heap[0]) replace_first(heap, count, score);
        }
    }
    int64_t found = 0;
    for (int64_t first = 0; first < images; first += SCORED) {
        if (!above[first / SCORED]) continue;
        int64_t end = smaller(first + SCORED, images);
        for (int64_t image = first; image < end; image++) {
            if (!(votes[image] * weights[image] >= heap[0])) continue;
            if (found < capacity) best[found] = image;
            found++;
        }
    }
    return found;
}

/* -------------------------------------------------------------------- hits */

/* Move the starts of some lists, of count images each, on to the first row with that image or a later one, within length
 * rows. One step of all before the next of any: their look-ups, far apart in memory, do not wait for one another. */
static void bisect(const uint32_t *posting_images, int64_t *starts, int64_t *lengths, int64_t lists,
                   const uint32_t *images, int64_t count) {
    for (int more = 1; more;) {
        more = 0;
        for (int64_t own = 0; own < lists; own++) {
            int64_t half = (lengths[own] + 1) / 2;
            if (!half) continue;
            for (int64_t n = 0; n < count; n++) {
                int64_t start = starts[own * count + n];
                starts[own * count + n] = start + (half & -(int64_t)(posting_images[start + half - 1] < images[n]));
            }
            lengths[own] -= half;
            more = 1;
        }
    }
}

/* Images are spread over a list, so where one stands is about known: move the start of each there. Returns in how many
 * rows from there on to look. */
static int64_t look_near(const uint32_t *posting_images, place at, int64_t *starts, const uint32_t *images, int64_t count) {
    int64_t all = at.end - at.row, some = smaller(all, 8 + (int64_t)(2 * SPREAD * sqrtf((float)all)));
    float rows_an_image = all ? (float)all / ((float)posting_images[at.end - 1] + 1) : 0;
    for (int64_t n = 0; n < count; n++) {
        float about = rows_an_image * (float)images[n];
        int64_t start = about < (float)all ? (int64_t)about - some / 2 : all;
        starts[n] = at.row + larger(0, smaller(start, all - some));
    }
    return some;
}

/* Where bisection came to rest, or, if it was looking too far off, where it would have by looking at the whole list. */
static int64_t first_row(const uint32_t *posting_images, place at, int64_t row, uint32_t image) {
    int after = row == at.row || posting_images[row - 1] < image, before = row == at.end || posting_images[row] >= image;
    if (after && before) return row;
    int64_t length = at.end - at.row;
    bisect(posting_images, &at.row, &length, 1, &image, 1);
    return at.row;
}

/* The hits of one entry in one image, from a row on. Returns how many there are now. */
static int64_t add_hits(const posting_lists *lists, const query_entries *query, place at, uint32_t image, int64_t limit,
                        const hit_columns *hits, int64_t found) {
    for (; at.row < at.end && lists->images[at.row] == image; at.row++) {
        int64_t distance = count_bits(lists->signatures[at.row] ^ query->signatures[at.entry]);
        if (distance > limit) continue;
        if (found < hits->capacity) {
            hits->entries[found] = (int32_t)at.entry;
            hits->rows[found] = at.row;
            hits->images[found] = image;
            hits->distances[found] = (uint8_t)distance;
        }
        found++;
    }
    return found;
}

/* Finds the postings of some images, which ascend, whose signatures differ from those of the query in at most limit bits,
 * by entry and row. starts has room for count rows or more. Returns their number; where that is above the capacity, only
 * so many were written. Or REFUSED, NO_LIST. */
EXPORTED int64_t featmatch_hits(const posting_lists *lists, const query_entries *query, int64_t limit,
                                const uint32_t *images, int64_t count, int64_t *starts, int64_t room,
                                const hit_columns *hits) {
    if (count < 0 || room < count || query->count > INT32_MAX) return REFUSED;
    if (!count) return 0;
    place at[LISTS];
    int64_t lengths[LISTS], found = 0, together = smaller(LISTS, room / count);
    for (int64_t first = 0; first < query->count; first += together) {
        int64_t some = smaller(together, query->count - first);
        for (int64_t own = 0; own < some; own++) {
            if (!look_up(lists, query, first + own, &at[own])) return NO_LIST;
            if (at[own].row < at[own].end) __builtin_prefetch(lists->images + at[own].end - 1, 0, 3);
        }
        for (int64_t own = 0; own < some; own++)
            lengths[own] = look_near(lists->images, at[own], starts + own * count, images, count);
        bisect(lists->images, starts, lengths, some, images, count);
        for (int64_t own = 0; own < some; own++)
            for (int64_t n = 0; n < count; n++) {
                place here = at[own];
                here.row = first_row(lists->images, here, starts[own * count + n], images[n]);
                found = add_hits(lists, query, here, images[n], limit, hits, found);
            }
    }
    return found;
}
