/* Two small pictures laid over one another: blur, warp, and the sums by which they are aligned.
 *
 * As sift.c: the same bits on every machine, nothing fused, nothing of libm but floor, nothing allocated. Sums are
 * double, in the order of the px. tests/native/test_agreement.py says the same in NumPy.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"

enum { LONGEST = 1 << 15, MOST_REACH = 64 };
enum { REFUSED = -1 };

static int refused(int64_t height, int64_t width) {
    return height < 1 || width < 1 || height > LONGEST || width > LONGEST;
}

/* The place that a border mirrors to: -1 is 1, and n is n - 2. */
static int64_t mirrored(int64_t place, int64_t size) {
    if (size == 1) return 0;
    while (place < 0 || place >= size) place = place < 0 ? -place : 2 * (size - 1) - place;
    return place;
}

/* A symmetric blur along rows and columns; taps: the centre, then those beside it. across: as many floats as the picture
 * has, and line: a row's, and the reach twice. */
EXPORTED int64_t featmatch_smooth(const float *picture, int64_t height, int64_t width, const float *taps, int64_t reach,
                                  float *across, float *line, float *smooth) {
    if (refused(height, width) || reach < 0 || reach > MOST_REACH) return REFUSED;
    for (int64_t y = 0; y < height; y++) {
        const float *row = picture + y * width;
        float *sum = across + y * width;
        for (int64_t x = 0; x < width; x++) line[reach + x] = row[x];
        for (int64_t k = 1; k <= reach; k++) {
            line[reach - k] = row[mirrored(-k, width)];
            line[reach + width - 1 + k] = row[mirrored(width - 1 + k, width)];
        }
        for (int64_t x = 0; x < width; x++) sum[x] = taps[0] * line[reach + x];
        for (int64_t k = 1; k <= reach; k++) {
            const float *left = line + reach - k, *right = line + reach + k;
            for (int64_t x = 0; x < width; x++) sum[x] += taps[k] * (left[x] + right[x]);
        }
    }
    for (int64_t y = 0; y < height; y++) {
        float *sum = smooth + y * width;
        for (int64_t x = 0; x < width; x++) sum[x] = taps[0] * across[y * width + x];
        for (int64_t k = 1; k <= reach; k++) {
            const float *above = across + mirrored(y - k, height) * width;
            const float *below = across + mirrored(y + k, height) * width;
            for (int64_t x = 0; x < width; x++) sum[x] += taps[k] * (above[x] + below[x]);
        }
    }
    return 0;
}

typedef struct {
    int64_t place;   /* of the px above and to the left, in a picture without gaps */
    float x, y;      /* beyond it, 0 to 1 */
    int inside[4];   /* whether the four px around are there: above left, above right, below left, below right */
} spot;

/* Whether any of the four px around a place is there. */
static int found(double x, double y, int64_t height, int64_t width, spot *at) {
    if (!(x > -1 && y > -1 && x < (double)width && y < (double)height)) return 0; /* nor what is not a number */
    double left = floor(x), top = floor(y);
    int64_t column = (int64_t)left, row = (int64_t)top;
    int is_left = column >= 0, is_right = column + 1 < width, is_above = row >= 0, is_below = row + 1 < height;
    at->place = row * width + column;
    at->x = (float)(x - left);
    at->y = (float)(y - top);
    at->inside[0] = is_above && is_left;
    at->inside[1] = is_above && is_right;
    at->inside[2] = is_below && is_left;
    at->inside[3] = is_below && is_right;
    return 1;
}

/* Between the four px, those that are not there being 0. */
static float sampled(const float *picture, int64_t width, const spot *at) {
    float a = at->inside[0] ? picture[at->place] : 0, b = at->inside[1] ? picture[at->place + 1] : 0;
    float c = at->inside[2] ? picture[at->place + width] : 0, d = at->inside[3] ? picture[at->place + width + 1] : 0;
    float above = a + (b - a) * at->x, below = c + (d - c) * at->x;
    return above + (below - above) * at->y;
}

/* A picture seen through a map of nine numbers from px of the result to px of the picture; mask: 1 where the nearest
 * px is there, else 0. */
EXPORTED int64_t featmatch_lay_over(const float *picture, int64_t height, int64_t width, const double *map, int64_t rows,
                                    int64_t columns, float *seen, float *mask) {
    if (refused(height, width) || refused(rows, columns)) return REFUSED;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t column = 0; column < columns; column++) {
            double depth = map[6] * (double)column + map[7] * (double)row + map[8];
            double x = (map[0] * (double)column + map[1] * (double)row + map[2]) / depth;
            double y = (map[3] * (double)column + map[4] * (double)row + map[5]) / depth;
            int64_t place = row * columns + column;
            spot at;
            int is_near = depth != 0 && found(x, y, height, width, &at);
            seen[place] = is_near ? sampled(picture, width, &at) : 0;
            mask[place] = is_near && x >= -0.5 && y >= -0.5 && x < (double)width - 0.5 && y < (double)height - 0.5;
        }
    return 0;
}

/* What a step of alignment needs: the slopes of the moved picture by the six numbers of the map, then the still picture
 * and the moved one, as eight numbers a px. Sums are those of their products, and then of the eight alone. */
enum { NUMBERS = 8 };
typedef double numbers __attribute__((vector_size(8 * NUMBERS)));

/* Over the px that a map of six numbers brings onto px with a mask. All five pictures have one size; sums: (9, 8).
 * Returns how many px they are. */
EXPORTED int64_t featmatch_align_sums(const float *still, const float *moved, const float *along_x, const float *along_y,
                                      const float *mask, int64_t height, int64_t width, const double *map, double *sums) {
    if (refused(height, width)) return REFUSED;
    numbers sum[NUMBERS + 1];
    memset(sum, 0, sizeof sum);
    int64_t count = 0;
    for (int64_t row = 0; row < height; row++)
        for (int64_t column = 0; column < width; column++) {
            double x = map[0] * (double)column + map[1] * (double)row + map[2];
            double y = map[3] * (double)column + map[4] * (double)row + map[5];
            if (!(x >= 0 && y >= 0 && x <= (double)(width - 1) && y <= (double)(height - 1))) continue;
            if (mask[(int64_t)(y + 0.5) * width + (int64_t)(x + 0.5)] == 0) continue;
            spot at;
            found(x, y, height, width, &at);
            double p = sampled(along_x, width, &at), q = sampled(along_y, width, &at);
            numbers one = {p * (double)column, p * (double)row, p, q * (double)column, q * (double)row, q,
                           still[row * width + column], sampled(moved, width, &at)};
            for (int k = 0; k < NUMBERS; k++) sum[k] += one[k] * one;
            sum[NUMBERS] += one;
            count++;
        }
    memcpy(sums, sum, sizeof sum);
    return count;
}
