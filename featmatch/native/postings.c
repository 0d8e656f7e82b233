/* Searching posting lists: query words -> votes for images -> the best images -> their hits.
 *
 * The list of a word may be cut into parts by the highest bits of the signatures. What is looked up says in which of its
 * 8 highest bits no hit may differ, or in all but one of which: of lists in parts, only those parts are read that can
 * have such hits, and each of them once.
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
    SOON = 8,       /* lists whose offsets are asked for before these are looked up */
    LINE = 16,      /* offsets that come together */
    AHEAD = 16,     /* steps that are asked for before they are compared; a processor does not look beyond a page */
    HITS = 1024,    /* whose images are on their way at the same time, or all of one entry */
    PARTS = 256,    /* of a list, at most */
    PREFIX = 8,     /* highest bits of a signature */
    KEPT = 12,      /* lowest bits of a key, that do not say which row or image: of these eight are the distance */
    RUN = 16,       /* keys that are sorted one by one */
    SIEVE = 1024,   /* bits that tell of most images that they are not looked for */
    LISTS = 32,     /* bisected side by side, at most */
    SPREAD = 1,     /* roots of a list's length: so far an image stands from where it is looked for, mostly */
    FEW = 4,        /* postings of a list for each image that is looked for, up to which it is quicker to read them all */
    SCORED = 64,    /* images whose scores are looked at together */
    NAMED = 32      /* hits whose images are asked for before these are written */
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
    const int32_t *variants; /* of the query: which row of votes it counts in */
    int64_t count;
    int64_t nearest_first; /* whether of several hits of an entry in an image the nearest counts whole; else the first */
    int64_t all_but_one;   /* whether one of the fixed bits may differ after all, which does not count */
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

/* A place in the lists of a query: in parts of a list that lie side by side, one behind the other. */
typedef struct {
    int64_t entry;  /* of the query, whose list this is */
    int64_t turned; /* the fixed bit in which these parts differ from the entry's own; 0: in none */
    int64_t part;   /* the free bits of the first of these parts */
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

/* How many parts lie side by side: those that differ in the lowest bits, as far as all of these are free. */
static inline int64_t side_by_side(int64_t free) { return (free + 1) & ~free; }

/* On to the first row of parts of an entry's list. 0: it is not within the postings. */
static inline int look_up(const search *own, int64_t entry, int64_t turned, int64_t part, place *at) {
    const posting_lists *lists = own->lists;
    int64_t word = own->query->words[entry], free = free_bits(own, entry);
    if (word < 0 || word >= lists->words) return 0;
    int64_t prefix = (int64_t)(own->query->signatures[entry] >> (64 - PREFIX) >> (PREFIX - own->bits));
    const uint32_t *offsets = lists->offsets + word * lists->parts + (((prefix ^ turned) & ~free) | part);
    int64_t row = offsets[0], end = offsets[side_by_side(free)];
    if (row > end || end > lists->postings) return 0;
    *at = (place){entry, turned, part, row, end};
    return 1;
}

static const place BEFORE = {-1, 0, 0, 0, 0}; /* the first list */

/* Ask for where the parts of a list lie that is looked up soon. */
static inline void ask_offsets(const search *own, int64_t entry) {
    if (entry >= own->query->count) return;
    const uint32_t *offsets = own->lists->offsets + own->query->words[entry] * own->lists->parts;
    for (int64_t part = 0; part <= own->lists->parts; part += LINE) __builtin_prefetch(offsets + part, 0, 3);
}

/* The fixed bit after this one by which parts are told apart, from the lowest on, or 0; after 0 comes the first. */
static inline int64_t next_turned(const search *own, int64_t free, int64_t turned) {
    int64_t left = (own->lists->parts - 1) & ~free & -(turned ? 2 * turned : 1);
    return left & -left;
}

/* On to the next parts or list, where this is at its end, until there is a row. 0: there is none; or NO_LIST. */
static inline int find_row(const search *own, place *at) {
    while (at->row >= at->end) {
        int64_t entry = at->entry, turned = 0, part = 0;
        if (own->bits && entry >= 0) {
            int64_t free = free_bits(own, entry), apart = free & -side_by_side(free);
            part = (at->part - apart) & apart; /* the next larger number of these bits, or 0 */
            turned = at->turned;
            if (!part && own->query->all_but_one) turned = next_turned(own, free, turned);
        }
        if (!part && !turned) {
            if (++entry >= own->query->count) return 0;
            ask_offsets(own, entry + SOON);
        }
        if (!look_up(own, entry, turned, part, at)) return NO_LIST;
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

static inline uint64_t fixed_bits(const query_entries *query, int64_t entry) {
    return (uint64_t)query->fixed[entry] << (64 - PREFIX);
}

/* Whether what differs of a signature is free to, or all but one bit of it where that is enough. */
static inline int is_free(const query_entries *query, int64_t entry, uint64_t differing) {
    uint64_t fixed = differing & fixed_bits(query, entry);
    return !(query->all_but_one ? fixed & (fixed - 1) : fixed);
}

/* Which fixed bit differs, from 1 for the highest on; 0: none. */
static inline uint64_t which_fixed(const query_entries *query, int64_t entry, uint64_t differing) {
    uint64_t fixed = differing & fixed_bits(query, entry);
    return fixed ? 1 + (uint64_t)__builtin_clzll(fixed) : 0;
}

/* How many bits differ, and count. */
static inline int64_t distance(const query_entries *query, int64_t entry, uint64_t differing) {
    return count_bits(differing & ~fixed_bits(query, entry));
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

/* Up to STEP postings of one list, which lie side by side. */
typedef struct {
    int64_t entry, row;
    int64_t count; /* 0: there are no more; or NO_LIST */
} step;

static inline step next_step(const search *own, place *ahead) {
    int more = find_row(own, ahead);
    if (more <= 0) return (step){ahead->entry, 0, more};
    step next = {ahead->entry, ahead->row, smaller(STEP, ahead->end - ahead->row)};
    ahead->row += next.count;
    return next;
}

/* The next ones; their signatures are asked for, into the second cache: what is compared next should stay in the first. */
static inline step ask(const search *own, place *ahead) {
    step asked = next_step(own, ahead);
    const uint64_t *signatures = own->lists->signatures + asked.row;
    for (int64_t n = 0; n <= asked.count; n += GROUP) __builtin_prefetch(signatures + n, 0, 2);
    return asked;
}

/* Which signatures of a step are near, a bit each. Whole groups are compared as long as all of them is there, beyond
 * the end of the list too. */
static inline uint64_t near_of_step(const posting_lists *lists, step at, uint64_t one, int64_t limit) {
    const uint64_t *signatures = lists->signatures + at.row;
    uint64_t near = 0;
    int64_t n = 0;
    if (at.count == STEP) {
        for (; n < STEP; n += GROUP) near |= near_of_group(signatures + n, one, limit) << n;
        return near;
    }
    for (; n < at.count && at.row + n + GROUP <= lists->postings; n += GROUP)
        near |= near_of_group(signatures + n, one, limit) << n;
    for (; n < at.count; n++) near |= is_near(signatures[n], one, limit) << n;
    return near & (((uint64_t)1 << at.count) - 1);
}

/* ------------------------------------------------------------------- votes */

/* Hits that wait for their images. A key is the row of a hit, then its image; below that which fixed bit differs, then
 * the distance. */
typedef struct {
    uint64_t *keys, *spare;
    int64_t count, entries;
    int64_t entry[HITS], first[HITS + 1];      /* whose they are, and where those of each begin */
    int64_t last_entry, last_key, repeats; /* of the last hit that was counted */
    int is_sorted;                         /* whether they are counted by key, all of an entry at once */
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

/* Count all hits that wait. The k-th hit of an entry in the same image adds sqrt(k) - sqrt(k - 1) of its weight; the fixed
 * bits are taken as part of the word, so that those which differ in another of them are counted apart. */
static int64_t count_hits(waiting *hits, const search *own, const float *distance_weights, float *votes, int64_t images) {
    hits->first[hits->entries] = hits->count;
    for (int64_t entry = 0, n = 0; entry < hits->entries; entry++) {
        float *of_variant = votes + own->query->variants[hits->entry[entry]] * images;
        for (; n < hits->first[entry + 1]; n++) {
            int64_t image = own->lists->images[hits->keys[n] >> KEPT];
            if (image >= images) return NO_IMAGE;
            hits->keys[n] = (uint64_t)image << KEPT | (hits->keys[n] & ((1 << KEPT) - 1));
            __builtin_prefetch(of_variant + image, 1, 2);
        }
    }
    for (int64_t n = 0; n < hits->entries; n++) {
        uint64_t *keys = hits->keys + hits->first[n];
        int64_t entry = hits->entry[n], count = hits->first[n + 1] - hits->first[n];
        float *of_variant = votes + own->query->variants[entry] * images, weight = own->query->weights[entry];
        if (hits->is_sorted) sort(keys, hits->spare, count);
        for (int64_t hit = 0; hit < count; hit++) {
            int64_t image = (int64_t)(keys[hit] >> KEPT), key = (int64_t)(keys[hit] >> 8);
            int again = entry == hits->last_entry && key == hits->last_key;
            hits->repeats = again ? hits->repeats + 1 : 1;
            float share = 1;
            if (again) share = (float)(sqrt((double)hits->repeats) - sqrt((double)(hits->repeats - 1)));
            of_variant[image] += weight * distance_weights[keys[hit] & 255] * share;
            hits->last_entry = entry;
            hits->last_key = key;
        }
    }
    hits->count = hits->entries = 0;
    return 0;
}

/* Write which images the first so many hits are of, as their rows have them. */
static int64_t name_images(const posting_lists *lists, int64_t images, const hit_columns *found, int64_t count) {
    for (int64_t n = 0; n < count; n++) {
        if (n + NAMED < count) __builtin_prefetch(lists->images + found->rows[n + NAMED], 0, 3);
        found->images[n] = lists->images[found->rows[n]];
        if (found->images[n] >= images) return NO_IMAGE;
    }
    return count;
}

static int variants_are_below(const query_entries *query, int64_t variants) {
    for (int64_t n = 0; n < query->count; n++)
        if (query->variants[n] < 0 || query->variants[n] >= variants) return 0;
    return 1;
}

/* Adds up the votes for all images, in a row for each variant: a hit is a posting whose signature differs from that of
 * its entry in no fixed bit (or in one), and else in fewer bits than there are distance_weights. keys and spare have room
 * for HITS each; and, if hits are sorted, for all postings of the longest list. Hits are written as featmatch_hits does,
 * as long as there is capacity, and with them those that differ in at most limit bits, which have no votes. Returns
 * their number; where that is above the capacity, their images were not written. Or REFUSED, NO_LIST, NO_IMAGE, with a
 * part of the votes counted. */
EXPORTED int64_t featmatch_scan(const posting_lists *lists, const query_entries *query, const float *distance_weights,
                                int64_t distances, int64_t limit, uint64_t *keys, uint64_t *spare, int64_t room,
                                float *votes, int64_t variants, int64_t images, const hit_columns *found) {
    search own;
    if (distances < 1 || !begin(&own, lists, query) || !variants_are_below(query, variants)) return REFUSED;
    waiting hits;
    hits.keys = keys;
    hits.spare = spare;
    hits.count = hits.entries = hits.repeats = 0;
    hits.last_entry = hits.last_key = -1;
    hits.is_sorted = query->nearest_first || own.bits; /* lists in parts have no other order */
    int64_t most = larger(distances - 1, smaller(limit, 64));
    int64_t may_be = most + (query->all_but_one != 0); /* one may not count */
    int64_t written = 0;
    place ahead = BEFORE;
    step asked[AHEAD], now;
    for (int n = 0; n < AHEAD; n++) asked[n] = ask(&own, &ahead);
    for (int64_t n = 0; (now = asked[n % AHEAD]).count > 0; n++) {
        asked[n % AHEAD] = ask(&own, &ahead);
        uint64_t signature = query->signatures[now.entry];
        for (uint64_t near = near_of_step(lists, now, signature, may_be); near; near &= near - 1) {
            int64_t row = now.row + __builtin_ctzll(near);
            uint64_t differing = lists->signatures[row] ^ signature;
            int64_t bits = distance(query, now.entry, differing);
            if (bits > most || !is_free(query, now.entry, differing)) continue;
            if (written < found->capacity) {
                found->entries[written] = (int32_t)now.entry;
                found->rows[written] = row;
                found->distances[written] = (uint8_t)bits;
            }
            written++;
            if (bits >= distances) continue;
            int is_new = !hits.entries || hits.entry[hits.entries - 1] != now.entry;
            if (hits.count >= HITS && (is_new || !hits.is_sorted)) {
                if (count_hits(&hits, &own, distance_weights, votes, images)) return NO_IMAGE;
                is_new = 1;
            }
            if (is_new) {
                hits.entry[hits.entries] = now.entry;
                hits.first[hits.entries++] = hits.count;
            }
            if (hits.count >= room) return NO_LIST; /* lists overlap */
            __builtin_prefetch(lists->images + row, 0, 3);
            hits.keys[hits.count++] = (uint64_t)row << KEPT | which_fixed(query, now.entry, differing) << 8 | (uint64_t)bits;
        }
    }
    if (now.count) return now.count;
    if (count_hits(&hits, &own, distance_weights, votes, images)) return NO_IMAGE;
    return written > found->capacity ? written : name_images(lists, images, found, written);
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

/* Finds the images whose votes * weights are the largest, in any of the rows of votes, one for each variant: count of
 * them, and all that are as good as the last; none of those without votes. heap has room for count, above for one in
 * SCORED images of each row. Returns their number, and writes where they are in all rows, ascending; where that is above
 * capacity, only so many were written. Or REFUSED. */
EXPORTED int64_t featmatch_best(const float *votes, int64_t variants, const float *weights, int64_t images, float *heap,
                                int64_t count, uint8_t *above, int64_t blocks, int64_t *best, int64_t capacity) {
    int64_t of_row = (images + SCORED - 1) / SCORED;
    if (count < 1 || variants < 0 || blocks < 0 || blocks < variants * of_row) return REFUSED;
    for (int64_t n = 0; n < count; n++) heap[n] = LEAST;
    for (int64_t block = 0; block < variants * of_row; block++) {
        const float *own = votes + block / of_row * images;
        int64_t first = block % of_row * SCORED, end = smaller(first + SCORED, images);
        int32_t some = 0;
        for (int64_t image = first; image < end; image++) some |= own[image] * weights[image] >= heap[0];
        above[block] = (uint8_t)some;
        if (!some) continue;
        for (int64_t image = first; image < end; image++) {
            float score = own[image] * weights[image];
            if (score > heap[0]) replace_first(heap, count, score);
        }
    }
    int64_t found = 0;
    for (int64_t block = 0; block < variants * of_row; block++) {
        if (!above[block]) continue;
        int64_t row = block / of_row * images, first = block % of_row * SCORED, end = smaller(first + SCORED, images);
        for (int64_t image = first; image < end; image++) {
            if (!(votes[row + image] * weights[image] >= heap[0])) continue;
            if (found < capacity) best[found] = row + image;
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

/* The same with a posting, if it is a hit. */
static inline int64_t add_if_hit(const search *own, int64_t entry, int64_t row, int64_t limit, const hit_columns *hits,
                                 int64_t found) {
    uint64_t differing = own->lists->signatures[row] ^ own->query->signatures[entry];
    int64_t bits = distance(own->query, entry, differing);
    if (bits > limit || !is_free(own->query, entry, differing)) return found;
    return add_hit(hits, found, entry, row, own->lists->images[row], bits);
}

/* The hits of one entry in one image, from a row on. Returns how many there are now. */
static int64_t add_hits(const search *own, place at, uint32_t image, int64_t limit, const hit_columns *hits,
                        int64_t found) {
    for (; at.row < at.end && own->lists->images[at.row] == image; at.row++)
        found = add_if_hit(own, at.entry, at.row, limit, hits, found);
    return found;
}

/* The hits in lists that are in one part, and long: a few images are looked for in them by bisection. */
static int64_t hits_of_lists(const search *own, int64_t limit, const uint32_t *images, int64_t count, int64_t *starts,
                             int64_t room, const hit_columns *hits) {
    const uint32_t *posting_images = own->lists->images;
    place at[LISTS];
    int64_t lengths[LISTS], found = 0, together = smaller(LISTS, room / count);
    for (int64_t first = 0; first < own->query->count; first += together) {
        int64_t some = smaller(together, own->query->count - first);
        for (int64_t n = 0; n < some; n++) {
            if (!look_up(own, first + n, 0, 0, &at[n])) return NO_LIST;
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

/* The next postings; their images are asked for. */
static inline step ask_images(const search *own, place *ahead) {
    step asked = next_step(own, ahead);
    const uint32_t *images = own->lists->images + asked.row;
    for (int64_t n = 0; n <= asked.count; n += 2 * GROUP) __builtin_prefetch(images + n, 0, 2);
    return asked;
}

/* Which of up to STEP images are let through by a sieve, a bit each. */
static inline uint64_t sifted(const uint32_t *sieve, const uint32_t *images, int64_t count) {
    uint64_t passed = 0;
#if defined(__AVX512F__)
    __m512i low = _mm512_loadu_si512(sieve), high = _mm512_loadu_si512(sieve + 16);
    for (int64_t n = 0; n < count; n += 16) {
        __mmask16 there = (__mmask16)(count - n < 16 ? (1 << (count - n)) - 1 : 0xffff);
        __m512i some = _mm512_maskz_loadu_epi32(there, images + n);
        __m512i of_sieve = _mm512_permutex2var_epi32(low, _mm512_srli_epi32(some, 5), high);
        __m512i bit = _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_and_si512(some, _mm512_set1_epi32(31)));
        passed |= (uint64_t)_mm512_mask_test_epi32_mask(there, of_sieve, bit) << n;
    }
#else
    for (int64_t n = 0; n < count; n++) passed |= (uint64_t)(sieve[images[n] % SIEVE / 32] >> images[n] % 32 & 1) << n;
#endif
    return passed;
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

/* The hits in lists that are in parts, or short for the number of images: they are gone through once more. Few postings
 * are of images that are looked for, so only of those is the signature looked up. */
static int64_t hits_of_postings(const search *own, int64_t limit, const uint32_t *images, int64_t count,
                             const hit_columns *hits) {
    const posting_lists *lists = own->lists;
    uint32_t sieve[SIEVE / 32] = {0};
    for (int64_t n = 0; n < count; n++) sieve[images[n] % SIEVE / 32] |= (uint32_t)1 << images[n] % 32;
    place ahead = BEFORE;
    step asked[AHEAD], now;
    int64_t found = 0;
    for (int n = 0; n < AHEAD; n++) asked[n] = ask_images(own, &ahead);
    for (int64_t n = 0; (now = asked[n % AHEAD]).count > 0; n++) {
        asked[n % AHEAD] = ask_images(own, &ahead);
        for (uint64_t left = sifted(sieve, lists->images + now.row, now.count); left; left &= left - 1) {
            int64_t row = now.row + __builtin_ctzll(left);
            if (is_among(images, count, lists->images[row])) found = add_if_hit(own, now.entry, row, limit, hits, found);
        }
    }
    return now.count ? now.count : found;
}

/* Finds the postings of some images, which ascend, whose signatures differ from those of the query in no fixed bit (or in
 * one), and else in at most limit bits; by entry, and of an entry in the order in which its parts are read. starts has
 * room for count rows or more. Returns their number; where that is above the capacity, only so many were written. Or
 * REFUSED, NO_LIST. */
EXPORTED int64_t featmatch_hits(const posting_lists *lists, const query_entries *query, int64_t limit,
                                const uint32_t *images, int64_t count, int64_t *starts, int64_t room,
                                const hit_columns *hits) {
    search own;
    if (count < 0 || room < count || !begin(&own, lists, query)) return REFUSED;
    if (!count) return 0;
    if (own.bits || lists->postings <= FEW * count * lists->words) return hits_of_postings(&own, limit, images, count, hits);
    return hits_of_lists(&own, limit, images, count, starts, room, hits);
}

/* -------------------------------------------------------------------- rows */

/* Finds the postings of the images that are wanted, a byte each that is 0 or 1. rows has room for as many as there are
 * postings. Returns their number; or REFUSED, NO_IMAGE. */
EXPORTED int64_t featmatch_rows(const uint32_t *images, int64_t postings, const uint8_t *wanted, int64_t count,
                                int64_t *rows, int64_t room) {
    if (room < postings) return REFUSED;
    int64_t found = 0;
    for (int64_t row = 0; row < postings; row++) {
        if (images[row] >= count) return NO_IMAGE;
        rows[found] = row;
        found += wanted[images[row]] != 0;
    }
    return found;
}
