/* Tentative matches of two pictures: which agree with the similarity that one of them proposes, and whether enough may
 * agree with a map.
 *
 * As sift.c: the same bits on every machine, nothing fused, nothing of libm but sqrt, nothing allocated.
 * tests/native/test_similar.py says the same in NumPy.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"

enum {
    COLUMNS = 8, /* numbers that are kept of a match */
    MASKS = 2,   /* of matches, to work in */
    FEWEST = 3,  /* matches that make a map */
    MANY = 8,    /* that make a homography */
    SETS = 3     /* of loose agreement that are tried */
};
enum { REFUSED = -1 };

/* The matches of two pictures, column by column. */
typedef struct {
    double *query_x, *query_y, *reference_x, *reference_y, *turn_x, *turn_y, *growths, *errors;
    int64_t count;
} matches;

/* By (count, 2) each: px, and rotation and scale as the vector that they make of (1, 0). */
static matches by_columns(const double *query, const double *reference, const double *turns, int64_t count,
                          double *room) {
    matches own = {room, room + count, room + 2 * count, room + 3 * count, room + 4 * count, room + 5 * count,
                   room + 6 * count, room + 7 * count, count};
    for (int64_t n = 0; n < count; n++) {
        own.query_x[n] = query[2 * n];
        own.query_y[n] = query[2 * n + 1];
        own.reference_x[n] = reference[2 * n];
        own.reference_y[n] = reference[2 * n + 1];
        own.turn_x[n] = turns[2 * n];
        own.turn_y[n] = turns[2 * n + 1];
        own.growths[n] = sqrt(own.turn_x[n] * own.turn_x[n] + own.turn_y[n] * own.turn_y[n]);
    }
    return own;
}

/* Within what a match agrees with the similarity of another one. */
typedef struct {
    double error;        /* px, anywhere */
    double loose, close; /* more for each px of the reference between the two */
    double least_cosine; /* between their rotations */
    double most_growth;  /* from the scale of one to that of the other */
} limits;

/* Which matches agree with each of the first seeds: (seeds, count), 1 or 0. */
static void compare(const matches *own, int64_t seeds, const limits *most, uint8_t *loosely, uint8_t *closely) {
    for (int64_t seed = 0; seed < seeds; seed++) {
        double from_x = own->query_x[seed], from_y = own->query_y[seed];
        double to_x = own->reference_x[seed], to_y = own->reference_y[seed];
        double turn_x = own->turn_x[seed], turn_y = own->turn_y[seed], growth = own->growths[seed];
        uint8_t *of_loosely = loosely + seed * own->count, *of_closely = closely + seed * own->count;
        for (int64_t n = 0; n < own->count; n++) {
            double a = own->query_x[n] - from_x, b = own->query_y[n] - from_y;
            double x = own->reference_x[n] - to_x, y = own->reference_y[n] - to_y;
            double off_x = turn_x * a - turn_y * b - x, off_y = turn_y * a + turn_x * b - y;
            double residual = sqrt(off_x * off_x + off_y * off_y), distance = sqrt(x * x + y * y);
            double along = own->turn_x[n] * turn_x + own->turn_y[n] * turn_y;
            int is_turned = along >= most->least_cosine * (own->growths[n] * growth);
            int is_grown = (own->growths[n] <= most->most_growth * growth) & (growth <= most->most_growth * own->growths[n]);
            int agrees = (residual <= most->error + most->loose * distance) & is_turned & is_grown;
            of_loosely[n] = (uint8_t)agrees;
            of_closely[n] = (uint8_t)(agrees & (residual <= most->error + most->close * distance));
        }
    }
}

/* Each of the first seeds proposes its similarity about its own place. most: five numbers, as struct limits has them.
 * room: COLUMNS * count; loosely, closely: (seeds, count), 1 where a match agrees. */
EXPORTED int64_t featmatch_similar(const double *query, const double *reference, const double *turns, int64_t count,
                                   int64_t seeds, const double *most, double *room, uint8_t *loosely, uint8_t *closely) {
    if (count < 0 || seeds < 0 || seeds > count) return REFUSED;
    matches own = by_columns(query, reference, turns, count, room);
    limits within = {most[0], most[1], most[2], most[3], most[4]};
    compare(&own, seeds, &within, loosely, closely);
    return 0;
}

/* ------------------------------------------------------------------- maps */

static int64_t sum(const uint8_t *flags, int64_t count) {
    int64_t found = 0;
    for (int64_t n = 0; n < count; n++) found += flags[n];
    return found;
}

static int64_t in_both(const uint8_t *flags, const uint8_t *others, int64_t count) {
    int64_t found = 0;
    for (int64_t n = 0; n < count; n++) found += flags[n] & others[n];
    return found;
}

/* Affine map by least squares of the places of those that are inside, at least one, and of their rotation and scale,
 * which are off by keypoint (radians, or a share): geometry/homography.py. Then the errors of all matches. */
static void fit(const matches *own, const uint8_t *inside, double tolerance, double keypoint) {
    double means[6] = {0}, growth = 0, number = 0;
    const double *columns[6] = {own->query_x, own->query_y, own->reference_x, own->reference_y, own->turn_x, own->turn_y};
    for (int64_t n = 0; n < own->count; n++) {
        if (!inside[n]) continue;
        for (int k = 0; k < 6; k++) means[k] += columns[k][n];
        growth += own->growths[n];
        number++;
    }
    for (int k = 0; k < 6; k++) means[k] /= number;
    double rough = tolerance / 2 / (keypoint * (growth / number)), weight = number * (rough * rough);
    double turn_x = weight * means[4], turn_y = weight * means[5];
    double a = weight, b = 0, c = weight, xx = turn_x, xy = -turn_y, yx = turn_y, yy = turn_x;
    for (int64_t n = 0; n < own->count; n++) {
        if (!inside[n]) continue;
        double x = own->query_x[n] - means[0], y = own->query_y[n] - means[1];
        a += x * x;
        b += x * y;
        c += y * y;
        xx += own->reference_x[n] * x;
        xy += own->reference_x[n] * y;
        yx += own->reference_y[n] * x;
        yy += own->reference_y[n] * y;
    }
    double by = a * c - b * b;
    double map_xx = (xx * c - xy * b) / by, map_xy = (xy * a - xx * b) / by;
    double map_yx = (yx * c - yy * b) / by, map_yy = (yy * a - yx * b) / by;
    double to_x = means[2] - (map_xx * means[0] + map_xy * means[1]);
    double to_y = means[3] - (map_yx * means[0] + map_yy * means[1]);
    for (int64_t n = 0; n < own->count; n++) {
        double x = map_xx * own->query_x[n] + map_xy * own->query_y[n] + to_x - own->reference_x[n];
        double y = map_yx * own->query_x[n] + map_yy * own->query_y[n] + to_y - own->reference_y[n];
        own->errors[n] = sqrt(x * x + y * y);
    }
}

/* Those of a set that are off by no more than that; or if these are too few for a map, the FEWEST nearest. */
static void choose(const matches *own, const uint8_t *set, double most, uint8_t *inside) {
    for (int64_t n = 0; n < own->count; n++) inside[n] = set[n] & (own->errors[n] <= most);
    for (int64_t count = sum(inside, own->count); count < FEWEST; count++) {
        int64_t nearest = -1;
        for (int64_t n = 0; n < own->count; n++)
            if (set[n] && !inside[n] && (nearest < 0 || own->errors[n] < own->errors[nearest])) nearest = n;
        if (nearest < 0) return;
        inside[nearest] = 1;
    }
}

/* Whether the affine map of a set of FEWEST or more brings enough matches close, or may be bettered by a homography. */
static int may_lead(const matches *own, const uint8_t *set, double tolerance, double keypoint, int64_t enough,
                    uint8_t *masks) {
    static const double factors[] = {6, 4, 2, 1.5, 1, 1};
    uint8_t *inside = masks, *last = masks + own->count;
    memcpy(inside, set, (size_t)own->count);
    fit(own, inside, tolerance, keypoint);
    for (int step = 0; step < 6; step++) {
        memcpy(last, inside, (size_t)own->count);
        choose(own, set, factors[step] * tolerance, inside);
        if (memcmp(last, inside, (size_t)own->count)) fit(own, inside, tolerance, keypoint);
    }
    if (sum(inside, own->count) >= MANY) return 1;
    int64_t close = 0;
    for (int64_t n = 0; n < own->count; n++) close += !(own->errors[n] > tolerance); /* what is no number is left to others */
    return close >= enough;
}

/* The first of the rows with the most. */
static int64_t largest(const int64_t *weights, int64_t rows) {
    int64_t best = 0;
    for (int64_t row = 1; row < rows; row++)
        if (weights[row] > weights[best]) best = row;
    return best;
}

/* Whether any of the sets that geometry/homography.py tries may lead to a map with enough inliers. */
static int may_fit(const matches *own, int64_t seeds, const limits *most, double tolerance, double keypoint,
                   int64_t enough, int64_t *weights, uint8_t *loosely, uint8_t *closely, uint8_t *masks) {
    int64_t count = own->count;
    if (count < FEWEST || count < enough || seeds < 1) return 0;
    compare(own, seeds, most, loosely, closely);
    for (int64_t seed = 0; seed < seeds; seed++) weights[seed] = sum(loosely + seed * count, count);
    if (weights[largest(weights, seeds)] < enough) return 0;
    for (int set = 0; set < SETS; set++) {
        int64_t seed = largest(weights, seeds);
        const uint8_t *own_set = loosely + seed * count;
        if (weights[seed] < FEWEST) break;
        if (may_lead(own, own_set, tolerance, keypoint, enough, masks)) return 1;
        for (int64_t other = 0; other < seeds; other++)
            if (2 * in_both(loosely + other * count, own_set, count) > weights[other]) weights[other] = 0;
    }
    for (int64_t seed = 0; seed < seeds; seed++) weights[seed] = sum(closely + seed * count, count);
    int64_t seed = largest(weights, seeds);
    return weights[seed] >= FEWEST && may_lead(own, closely + seed * count, tolerance, keypoint, enough, masks);
}

/* Of several pairs of pictures: the matches of pair n are the rows ends[n] up to ends[n + 1]. most: as above, but for the
 * error, which is twice the tolerance of each pair; then how far keypoints are off. Room for the longest pair: COLUMNS *
 * longest, MASKS * longest, and seeds * longest for loosely and closely each; weights: seeds. found: 1 or 0 a pair. */
EXPORTED int64_t featmatch_may_fit(const double *query, const double *reference, const double *turns, int64_t count,
                                   const int64_t *ends, int64_t pairs, const double *tolerances, const int64_t *enough,
                                   const double *most, int64_t seeds, int64_t longest, double *room, uint8_t *masks,
                                   int64_t *weights, uint8_t *loosely, uint8_t *closely, uint8_t *found) {
    if (count < 0 || pairs < 0 || seeds < 0 || longest < 0) return REFUSED;
    for (int64_t n = 0; n < pairs; n++)
        if (ends[n] < 0 || ends[n] > ends[n + 1] || ends[n + 1] > count || ends[n + 1] - ends[n] > longest) return REFUSED;
    for (int64_t n = 0; n < pairs; n++) {
        int64_t first = 2 * ends[n], own_count = ends[n + 1] - ends[n];
        matches own = by_columns(query + first, reference + first, turns + first, own_count, room);
        limits within = {2 * tolerances[n], most[0], most[1], most[2], most[3]};
        found[n] = (uint8_t)may_fit(&own, smaller(seeds, own_count), &within, tolerances[n], most[4], enough[n], weights,
                                    loosely, closely, masks);
    }
    return 0;
}
