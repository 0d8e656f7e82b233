/* Searching posting lists: query words -> votes for images -> the best images -> their hits.
 *
 * The list of a word may be cut into parts by the highest bits of the signatures. What is looked up says in which of its
 * 8 highest bits no hit may differ: of lists in parts, only those parts are read that can have such hits.
 *
 * Signatures lie side by side, so several are compared at once. Images are anywhere in memory: only those of hits are
 * looked up, many on their way at the same time. Votes are float32, added by entry and image, then in the order of the
 * list; or by distance, so that it does not matter how lists lie. Nothing is fused (-ffp-contract=off): the same bits at
 * every instruction level. tests/native/postings_twin.py says the same in NumPy.
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
    HITS = 1024,    /* whose images are on their way at the same time, or all of one entry */
    ENTRIES = 256,  /* whose hits are on their way at the same time, at most */
    PARTS = 256,    /* of a list, at most */
    PREFIX = 8,     /* highest bits of a signature */
    RUN = 16,       /* keys that are sorted one by one */
    SIEVE = 4096,   /* bits that tell of most images that they are not looked for */
    LISTS = 32,     /* bisected side by side, at most */
    SPREAD = 1,     /* roots of a list's length: so far an image stands from where it is looked for, mostly */
    SCORED = 64     /* images whose scores are looked at together */
};
static const float LEAST = 0x1p-149f; /* there is nothing between this and 0 */

enum { REFUSED = -1, NO_LIST = -2, NO_IMAGE = -3 }; /* what functions return in place of a count */

typedef struct {
    const uint32_t *offsets; /* part p of the list of word w is the rows offsets[w * parts + p] to the next of these */
    const uint32_t *images;
    const uint64_t *signatures;
    int64_t words, parts, postings;
} posting_lists;

typedef struct {
    const int32_t *words;
    const uint64_t *signatures;
    const float *weights;
    const uint8_t *fixed; /* in which of the PREFIX highest bits of its signature no hit differs */
    int64_t count;
    int64_t nearest_first; /* whether of several hits of an entry in an image the nearest counts whole; else the first */
} query_entries;

typedef struct {
    int32_t *entries;
    int64_t *rows;
    uint32_t *images;
    uint8_t *distances;
    int64_t capacity;
} hit_columns;

/* ------------------------------------------------------------------- lists */

/* A query, and the lists that it is looked up in. */
typedef struct {
    const posting_lists *lists;
    const query_entries *query;
    int64_t bits; /* of a signature that say in which part it is */
} search;

/* A place in the lists of a query, one part of a list after the other. */
typedef struct {
    int64_t entry; /* of the query, whose list this is */
    int64_t part;  /* in which bits the signatures there differ */
    int64_t row, end;
} place;

/* 0: lists are not cut into so many parts. */
static int begin(search *own, const posting_lists *lists, const query_entries *query) {
    int64_t parts = lists->parts;
    if (parts < 1 || parts > PARTS || (parts & (parts - 1)) || query->count > INT32_MAX) return 0;
    *own = (search){lists, query, 0};
    while ((int64_t)1 << own->bits < parts) own->bits++;
    return 1;
}

/* The bits by which the parts that an entry reads may differ from its own; the largest such number. */
static inline int64_t free_bits(const search *own, int64_t entry) {
    return ~((int64_t)own->query->fixed[entry] >> (PREFIX - own->bits)) & (own->lists->parts - 1);
}

/* On to the first row of a part of an entry's list. 0: it is not within the postings. */
static int look_up(const search *own, int64_t entry, int64_t part, place *at) {
    const posting_lists *lists = own->lists;
    int64_t word = own->query->words[entry];
    if (word < 0 || word >= lists->words) return 0;
    int64_t first = (int64_t)(own->query->signatures[entry] >> (64 - PREFIX) >> (PREFIX - own->bits));
    const uint32_t *offsets = lists->offsets + word * lists->parts + (first ^ part);
    *at = (place){entry, part, offsets[0], offsets[1]};
    return at->row <= at->end && at->end <= lists->postings;
}

static const place BEFORE = {-1, 0, 0, 0}; /* the first list */

/* On to the next part or list, where this one is at its end, until there is a row. 0: there is none; or NO_LIST. */
static inline int find_row(const search *own, place *at) {
    while (at->row >= at->end) {
        int more = at->part > 0;
        int64_t entry = more ? at->entry : at->entry + 1;
        if (entry >= own->query->count) return 0;
        int64_t free = free_bits(own, entry);
        if (!look_up(own, entry, more ? (at->part - 1) & free : free, at)) return NO_LIST;
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

/* Whether what differs of a signature is free to. */
static inline int is_free(uint64_t differing, uint8_t fixed) { return !(differing >> (64 - PREFIX) & fixed); }

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
static inline void ask(const search *own, place *ahead) {
    if (find_row(own, ahead) <= 0) return;
    const uint64_t *signatures = own->lists->signatures + ahead->row;
    int64_t count = smaller(STEP, ahead->end - ahead->row);
    for (int64_t n = 0; n <= count; n += GROUP) __builtin_prefetch(signatures + n, 0, 2);
    ahead->row += STEP;
}

/* Hits that wait for their images: all of some entries. A key is the row of a hit, then its image; and its distance in
 * the lowest eight bits. */
typedef struct {
    uint64_t *keys, *spare;
    int64_t count, room, entries;
    int64_t entry[ENTRIES], first[ENTRIES + 1]; /* whose they are, and where those of each begin */
} waiting;

/* By merging; quick where most are in order already. */
static void sort(uint64_t *keys, uint64_t *spare, int64_t count) {
    for (int64_t n = 1; n < count; n++) {
        int64_t to = n, first = n - n % RUN;
        uint64_t key = keys[n];
        for (; to > first && keys[to - 1] > key; to--) keys[to] = keys[to - 1];
        keys[to] = key;
    }
    for (int64_t half = RUN; half < count; half *= 2)
        for (int64_t first = 0; first + half < count; first += 2 * half) {
            uint64_t *into = keys + first, *right = into + half, *end = keys + smaller(first + 2 * half, count);
            if (right[-1] <= *right) continue;
            for (int64_t n = 0; n < half; n++) spare[n] = into[n];
            for (uint64_t *left = spare, *left_end = spare + half; left < left_end;)
                *into++ = right < end && *right < *left ? *right++ : *left++;
        }
}

/* Count all hits that wait. Of those of an entry in the same image, the k-th adds sqrt(k) - sqrt(k - 1) of its weight.
 * Lists in parts have no other order than by distance. */
static int64_t count_hits(waiting *hits, const search *own, const float *distance_weights, float *votes, int64_t images) {
    for (int64_t n = 0; n < hits->count; n++) {
        int64_t image = own->lists->images[hits->keys[n] >> 8];
        if (image >= images) return NO_IMAGE;
        hits->keys[n] = (uint64_t)image << 8 | (hits->keys[n] & 255);
        __builtin_prefetch(votes + image, 1, 2);
    }
    hits->first[hits->entries] = hits->count;
    for (int64_t n = 0; n < hits->entries; n++) {
        uint64_t *keys = hits->keys + hits->first[n];
        int64_t count = hits->first[n + 1] - hits->first[n], repeats = 1;
        float weight = own->query->weights[hits->entry[n]];
        if (own->query->nearest_first || own->bits) sort(keys, hits->spare, count);
        for (int64_t hit = 0; hit < count; hit++) {
            int again = hit && keys[hit] >> 8 == keys[hit - 1] >> 8;
            repeats = again ? repeats + 1 : 1;
            float share = 1;
            if (again) share = (float)(sqrt((double)repeats) - sqrt((double)(repeats - 1)));
            votes[keys[hit] >> 8] += weight * distance_weights[keys[hit] & 255] * share;
        }
    }
    hits->count = hits->entries = 0;
    return 0;
}

/* Adds up the votes for all images: a hit is a posting whose signature differs from that of its entry in no fixed
 * bit, and in fewer bits than there are distance_weights. keys and spare have room for HITS and all postings of the
 * longest list each. Returns 0; or REFUSED, NO_LIST, NO_IMAGE, with a part of the votes counted. */
EXPORTED int64_t featmatch_scan(const posting_lists *lists, const query_entries *query, const float *distance_weights,
                                int64_t distances, uint64_t *keys, uint64_t *spare, int64_t room, float *votes,
                                int64_t images) {
    search own;
    if (distances < 1 || !begin(&own, lists, query)) return REFUSED;
    waiting hits;
    hits.keys = keys;
    hits.spare = spare;
    hits.count = hits.entries = 0;
    place at = BEFORE, ahead = BEFORE;
    for (int n = 0; n < AHEAD; n += STEP) ask(&own, &ahead);
    int64_t entry = -1;
    int more;
    while ((more = find_row(&own, &at)) > 0) {
        if (at.entry != entry) {
            int full = hits.count >= HITS || hits.entries == ENTRIES;
            if (full && count_hits(&hits, &own, distance_weights, votes, images)) return NO_IMAGE;
            hits.entry[hits.entries] = entry = at.entry;
            hits.first[hits.entries++] = hits.count;
        }
        uint64_t signature = query->signatures[entry];
        uint8_t fixed = query->fixed[entry];
        for (; at.row < at.end; at.row += STEP) {
            ask(&own, &ahead);
            for (uint64_t near = near_of_step(lists, at, signature, distances - 1); near; near &= near - 1) {
                int64_t row = at.row + __builtin_ctzll(near);
                uint64_t differing = lists->signatures[row] ^ signature;
                if (!is_free(differing, fixed)) continue;
                if (hits.count >= room) return NO_LIST; /* lists overlap */
                __builtin_prefetch(lists->images + row, 0, 3);
                hits.keys[hits.count++] = (uint64_t)row << 8 | (uint64_t)count_bits(differing);
            }
        }
    }
    return more ? more : count_hits(&hits, &own, distance_weights, votes, images);
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

/* One more hit, if there is room for it. Returns how many there are now. */
static inline int64_t add_hit(const hit_columns *hits, int64_t found, int64_t entry, int64_t row, uint32_t image,
                              int64_t distance) {
    if (found < hits->capacity) {
        hits->entries[found] = (int32_t)entry;
        hits->rows[found] = row;
        hits->images[found] = image;
        hits->distances[found] = (uint8_t)distance;
    }
    return found + 1;
}

/* The hits of one entry in one image, from a row on. Returns how many there are now. */
static int64_t add_hits(const search *own, place at, uint32_t image, int64_t limit, const hit_columns *hits,
                        int64_t found) {
    const posting_lists *lists = own->lists;
    uint8_t fixed = own->query->fixed[at.entry];
    for (; at.row < at.end && lists->images[at.row] == image; at.row++) {
        uint64_t differing = lists->signatures[at.row] ^ own->query->signatures[at.entry];
        if (count_bits(differing) > limit || !is_free(differing, fixed)) continue;
        found = add_hit(hits, found, at.entry, at.row, image, count_bits(differing));
    }
    return found;
}

/* The hits in lists that are in one part: long ones, in which a few images are looked for by bisection. */
static int64_t hits_of_lists(const search *own, int64_t limit, const uint32_t *images, int64_t count, int64_t *starts,
                             int64_t room, const hit_columns *hits) {
    const uint32_t *posting_images = own->lists->images;
    place at[LISTS];
    int64_t lengths[LISTS], found = 0, together = smaller(LISTS, room / count);
    for (int64_t first = 0; first < own->query->count; first += together) {
        int64_t some = smaller(together, own->query->count - first);
        for (int64_t n = 0; n < some; n++) {
            if (!look_up(own, first + n, 0, &at[n])) return NO_LIST;
            if (at[n].row < at[n].end) __builtin_prefetch(posting_images + at[n].end - 1, 0, 3);
        }
        for (int64_t n = 0; n < some; n++) lengths[n] = look_near(posting_images, at[n], starts + n * count, images, count);
        bisect(posting_images, starts, lengths, some, images, count);
        for (int64_t list = 0; list < some; list++)
            for (int64_t n = 0; n < count; n++) {
                place here = at[list];
                here.row = first_row(posting_images, here, starts[list * count + n], images[n]);
                found = add_hits(own, here, images[n], limit, hits, found);
            }
    }
    return found;
}

/* Ask for the signatures of one step, and for the images. */
static inline void ask_images(const search *own, place *ahead) {
    ask(own, ahead);
    int64_t row = ahead->row - STEP;
    if (row >= 0 && row < own->lists->postings) {
        __builtin_prefetch(own->lists->images + row, 0, 2);
        __builtin_prefetch(own->lists->images + smaller(row + GROUP * 4, own->lists->postings - 1), 0, 2);
    }
}

/* Whether one of some images, which ascend, is this one. */
static int is_among(const uint32_t *images, int64_t count, uint32_t image) {
    int64_t first = 0;
    while (count > 1) {
        int64_t half = count / 2;
        if (images[first + half] <= image) first += half;
        count -= half;
    }
    return images[first] == image;
}

/* The hits in lists that are in parts: short ones, which are gone through once more. */
static int64_t hits_of_parts(const search *own, int64_t limit, const uint32_t *images, int64_t count,
                             const hit_columns *hits) {
    const posting_lists *lists = own->lists;
    uint64_t sieve[SIEVE / 64] = {0};
    for (int64_t n = 0; n < count; n++) sieve[images[n] % SIEVE / 64] |= (uint64_t)1 << images[n] % 64;
    place at = BEFORE, ahead = BEFORE;
    int64_t found = 0;
    int more;
    for (int n = 0; n < AHEAD; n += STEP) ask_images(own, &ahead);
    while ((more = find_row(own, &at)) > 0) {
        uint64_t signature = own->query->signatures[at.entry];
        uint8_t fixed = own->query->fixed[at.entry];
        for (; at.row < at.end; at.row += STEP) {
            ask_images(own, &ahead);
            for (uint64_t near = near_of_step(lists, at, signature, limit); near; near &= near - 1) {
                int64_t row = at.row + __builtin_ctzll(near);
                uint32_t image = lists->images[row];
                if (!(sieve[image % SIEVE / 64] >> image % 64 & 1) || !is_among(images, count, image)) continue;
                uint64_t differing = lists->signatures[row] ^ signature;
                if (is_free(differing, fixed))
                    found = add_hit(hits, found, at.entry, row, image, count_bits(differing));
            }
        }
    }
    return more ? more : found;
}

/* Finds the postings of some images, which ascend, whose signatures differ from those of the query in no fixed bit and in
 * at most limit bits, by entry. starts has room for count rows or more. Returns their number; where that is
 * above the capacity, only so many were written. Or REFUSED, NO_LIST. */
EXPORTED int64_t featmatch_hits(const posting_lists *lists, const query_entries *query, int64_t limit,
                                const uint32_t *images, int64_t count, int64_t *starts, int64_t room,
                                const hit_columns *hits) {
    search own;
    if (count < 0 || room < count || !begin(&own, lists, query)) return REFUSED;
    if (!count) return 0;
    if (own.bits) return hits_of_parts(&own, limit, images, count, hits);
    return hits_of_lists(&own, limit, images, count, starts, room, hits);
}
