/* Two pictures laid over one another and compared cell by cell.
 *
 * Pictures are whole numbers, in eighths of a grey level from the middle of the range on, so that every sum over a cell
 * is exact, in any order: levels and compilers agree without further care. Coordinates are double, each by the same
 * single operations. Nothing is allocated. tests/native/test_difference.py says the same in NumPy.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"

enum { LONGEST = 1 << 15 };
enum { REFUSED = -1 };
enum { STEPS = 8, MOST = 128 * STEPS, BLACK = -MOST }; /* of a grey level; the largest number; what lies outside */
enum { CELL = 24, AREA = CELL * CELL, MOST_REACH = 8, AROUND = CELL + 2 * MOST_REACH, BESIDE = 3 };
enum { SHARES = 128 }; /* of the way from one px to the next */

static int refused(int64_t height, int64_t width) {
    return height < 1 || width < 1 || height > LONGEST || width > LONGEST;
}

/* The place that a border mirrors to: -1 is 1, and n is n - 2. */
static int64_t mirrored(int64_t place, int64_t size) {
    if (size == 1) return 0;
    while (place < 0 || place >= size) place = place < 0 ? -place : 2 * (size - 1) - place;
    return place;
}

/* A Gaussian of sigma 1, in 256ths: the middle, and what lies beside it. */
enum { TAP_0 = 102, TAP_1 = 62, TAP_2 = 14, TAP_3 = 1, FAR = 3, RING = 2 * FAR + 1 };

/* In sixteenths of a grey level. */
static void blur_across(const uint8_t *row, int64_t width, uint16_t *blurred) {
    for (int64_t x = FAR; x < width - FAR; x++) {
        const uint8_t *px = row + x;
        uint16_t near = (uint16_t)(TAP_0 * px[0] + TAP_1 * (px[-1] + px[1]));
        uint16_t far = (uint16_t)(TAP_2 * (px[-2] + px[2]) + TAP_3 * (px[-3] + px[3]));
        blurred[x] = (uint16_t)((uint16_t)(near + far + 8) / 16);
    }
    static const int taps[FAR + 1] = {TAP_0, TAP_1, TAP_2, TAP_3};
    for (int64_t k = 0; k < 2 * FAR; k++) {
        int64_t x = k < FAR ? k : width - 2 * FAR + k; /* the px at either end */
        if (x < 0 || x >= width) continue;
        int sum = taps[0] * row[x];
        for (int64_t beside = 1; beside <= FAR; beside++)
            sum += taps[beside] * (row[mirrored(x - beside, width)] + row[mirrored(x + beside, width)]);
        blurred[x] = (uint16_t)((sum + 8) / 16);
    }
}

/* A blur of sigma 1 along rows and columns, borders mirrored. rows: seven times as many numbers as a row. */
EXPORTED int64_t featmatch_soften(const uint8_t *picture, int64_t height, int64_t width, uint16_t *rows, int16_t *soft) {
    if (refused(height, width)) return REFUSED;
    for (int64_t last = 0; last < height + FAR; last++) {
        if (last < height) blur_across(picture + last * width, width, rows + last % RING * width);
        int64_t y = last - FAR;
        if (y < 0) continue;
        const uint16_t *at[RING];
        for (int k = 0; k < RING; k++) at[k] = rows + mirrored(y + k - FAR, height) % RING * width;
        int16_t *result = soft + y * width;
        for (int64_t x = 0; x < width; x++) {
            int32_t near = TAP_0 * at[3][x] + TAP_1 * (at[2][x] + at[4][x]);
            int32_t far = TAP_2 * (at[1][x] + at[5][x]) + TAP_3 * (at[0][x] + at[6][x]);
            result[x] = (int16_t)(((near + far + 256) >> 9) - MOST);
        }
    }
    return 0;
}

/* Each px the mean of four; half: as many as there are whole fours. */
EXPORTED int64_t featmatch_halve(const int16_t *picture, int64_t height, int64_t width, int16_t *half) {
    if (refused(height, width)) return REFUSED;
    int64_t columns = width / 2;
    for (int64_t y = 0; y < height / 2; y++) {
        const int16_t *above = picture + 2 * y * width, *below = above + width;
        for (int64_t x = 0; x < columns; x++)
            half[y * columns + x] = (int16_t)((above[2 * x] + above[2 * x + 1] + below[2 * x] + below[2 * x + 1] + 2) >> 2);
    }
    return 0;
}

/* A field of shifts, px to the right and then px down, at nodes that lie CELL px apart; linear between them. */
typedef struct {
    const float *shifts;   /* 2 * rows * columns */
    int64_t rows, columns; /* 0: none */
    int64_t start;         /* halves of a px that the first node lies before the first px, in both directions */
} field;

enum { NODE = 2 * CELL, MOST_NODES = LONGEST / CELL + 4, CHUNK = 64 };

/* Whether there are nodes on both sides of each of so many px. */
static int spans(int64_t nodes, int64_t start, int64_t first, int64_t count) {
    return first >= 0 && (2 * (first + count - 1) + start) / NODE + 1 < nodes;
}

/* The shifts of the nodes along one row of px. */
static void along_row(const field *of, int direction, int64_t row, float *line) {
    int64_t place = 2 * row + of->start;
    const float *above = of->shifts + (direction * of->rows + place / NODE) * of->columns, *below = above + of->columns;
    float share = (float)(place % NODE) / NODE;
    for (int64_t k = 0; k < of->columns; k++) line[k] = above[k] + (below[k] - above[k]) * share;
}

static void between_nodes(const float *line, int64_t start, int64_t column, int64_t count, float *shifts) {
    for (int64_t done = 0; done < count;) {
        int64_t place = 2 * (column + done) + start, node = place / NODE, beyond = place % NODE;
        int64_t stop = smaller(count, done + (NODE - beyond + 1) / 2);
        float first = line[node], step = line[node + 1] - first;
        for (int64_t k = done; k < stop; k++) shifts[k] = first + step * ((float)(beyond + 2 * (k - done)) / NODE);
        done = stop;
    }
}

/* Some px of a row: their shifts; where they lie in a picture, in SHARES of a px; whether they are there; and the four
 * px around. Loops over these are short and have numbers of one size each, so that they become vectors everywhere. */
typedef struct {
    float move_right[CHUNK], move_down[CHUNK];
    double x[CHUNK], y[CHUNK];
    int64_t inside[CHUNK];
    int32_t right[CHUNK], down[CHUNK];
    int16_t around[4][CHUNK];
} spots;

static double within(double place, double most) {
    place = place > 0 ? place : 0; /* nor is it not a number */
    return place < most ? place : most;
}

static void find(spots *at, const double *map, int64_t column, int64_t row, int64_t height, int64_t width) {
    double right = SHARES * ((double)width - 0.5), bottom = SHARES * ((double)height - 0.5), least = -0.5 * SHARES;
    double most_x = larger(SHARES * (width - 1) - 1, 0), most_y = larger(SHARES * (height - 1) - 1, 0);
    for (int k = 0; k < CHUNK; k++) {
        at->x[k] = (double)(int32_t)(column + k) + (double)at->move_right[k];
        at->y[k] = (double)row + (double)at->move_down[k];
    }
    for (int k = 0; k < CHUNK; k++) {
        double x = at->x[k], y = at->y[k], depth = map[6] * x + map[7] * y + map[8];
        at->x[k] = SHARES * ((map[0] * x + map[1] * y + map[2]) / depth);
        at->y[k] = SHARES * ((map[3] * x + map[4] * y + map[5]) / depth);
    }
    for (int k = 0; k < CHUNK; k++)
        at->inside[k] = (at->x[k] >= least) & (at->y[k] >= least) & (at->x[k] < right) & (at->y[k] < bottom);
    for (int k = 0; k < CHUNK; k++) {
        at->right[k] = (int32_t)(within(at->x[k], most_x) + 0.5);
        at->down[k] = (int32_t)(within(at->y[k], most_y) + 0.5);
    }
}

/* Between the four px around each. */
static void sample(spots *at, const int16_t *picture, int64_t count, int64_t height, int64_t width, int16_t *seen,
                   uint8_t *mask) {
    int64_t next = width > 1, below = height > 1 ? width : 0;
    for (int64_t k = 0; k < count; k++) {
        const int16_t *px = picture + at->down[k] / SHARES * width + at->right[k] / SHARES;
        at->around[0][k] = px[0];
        at->around[1][k] = px[next];
        at->around[2][k] = px[below];
        at->around[3][k] = px[below + next];
    }
    int16_t found[CHUNK];
    for (int k = 0; k < CHUNK; k++) {
        int32_t right = at->right[k] % SHARES, down = at->down[k] % SHARES;
        int32_t above = at->around[0][k] * (SHARES - right) + at->around[1][k] * right;
        int32_t under = at->around[2][k] * (SHARES - right) + at->around[3][k] * right;
        found[k] = (int16_t)((above * (SHARES - down) + under * down + SHARES * SHARES / 2) >> 14);
    }
    for (int64_t k = 0; k < count; k++) {
        seen[k] = at->inside[k] ? found[k] : BLACK;
        mask[k] = (uint8_t)at->inside[k];
    }
}

/* Parts of a picture as it is seen through a map of nine numbers from px of the result to px of the picture, which a
 * field may shift before. corners: of each part, row and column. mask: 1 where the nearest px is there, else 0. */
EXPORTED int64_t featmatch_lay_parts(const int16_t *picture, int64_t height, int64_t width, const double *map,
                                     const float *shifts, int64_t node_rows, int64_t node_columns, int64_t start,
                                     const int64_t *corners, int64_t parts, int64_t rows, int64_t columns, int16_t *seen,
                                     uint8_t *mask) {
    if (refused(height, width) || refused(rows, columns) || parts < 0) return REFUSED;
    if (node_rows < 0 || node_columns < 0 || node_rows > MOST_NODES || node_columns > MOST_NODES) return REFUSED;
    field of = {shifts, node_rows, node_columns, start};
    int shifted = node_rows > 0 && node_columns > 0;
    if (start < 0 || start > NODE) return REFUSED;
    for (int64_t k = 0; k < parts; k++) {
        int64_t row = corners[2 * k], column = corners[2 * k + 1];
        if (row < -LONGEST || column < -LONGEST || row > LONGEST || column > LONGEST) return REFUSED;
        if (shifted && !(spans(node_rows, start, row, rows) && spans(node_columns, start, column, columns)))
            return REFUSED;
    }
    float right[MOST_NODES], down[MOST_NODES];
    spots at;
    memset(&at, 0, sizeof at);
    for (int64_t number = 0; number < parts * rows; number++) {
        int64_t row = corners[2 * (number / rows)] + number % rows, column = corners[2 * (number / rows) + 1];
        if (shifted) {
            along_row(&of, 0, row, right);
            along_row(&of, 1, row, down);
        }
        for (int64_t begin = 0; begin < columns; begin += CHUNK) {
            int64_t count = smaller(columns - begin, CHUNK);
            if (shifted) {
                between_nodes(right, start, column + begin, count, at.move_right);
                between_nodes(down, start, column + begin, count, at.move_down);
            }
            find(&at, map, column + begin, row, height, width);
            int64_t place = number * columns + begin;
            sample(&at, picture, count, height, width, seen + place, mask + place);
        }
    }
    return 0;
}

static int16_t clamped(int16_t value) {
    return value < -MOST ? -MOST : value > MOST ? MOST : value;
}

/* What is known of some px: their sum, and that of their squares. */
typedef struct {
    int64_t sum, squares;
} moments;

/* AREA times the variance times AREA; exact. */
static double energy(moments of) {
    return (double)(AREA * of.squares - of.sum * of.sum);
}

static moments moments_of(const int16_t *cell) {
    int32_t sum = 0, squares = 0;
    for (int k = 0; k < AREA; k++) {
        sum += cell[k];
        squares += cell[k] * cell[k];
    }
    return (moments){sum, squares};
}

/* Cut out a part of a picture, rows * columns. */
static void cut(const int16_t *picture, int64_t width, int64_t row, int64_t column, int64_t rows, int64_t columns,
                int16_t *part) {
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < columns; x++) part[y * columns + x] = clamped(picture[(row + y) * width + column + x]);
}

/* Whether a cell and the px around it are there. */
static int is_covered(const uint8_t *mask, int64_t height, int64_t width, int64_t row, int64_t column) {
    uint8_t least = 1;
    int64_t left = larger(column - 1, 0), right = smaller(column + CELL + 1, width);
    for (int64_t y = larger(row - 1, 0); y < smaller(row + CELL + 1, height); y++)
        for (int64_t x = left; x < right; x++) least = mask[y * width + x] < least ? mask[y * width + x] : least;
    return least;
}

enum { SHIFTS = 2 * MOST_REACH + 1, AT_ONCE = 6, MOST_SHIFTS = SHIFTS + AT_ONCE - 1 };

/* Of each shift, down and then right: sums over the cell that lies there, of it alone and with the cell that is shifted. */
typedef struct {
    int32_t sum[SHIFTS * SHIFTS], squares[SHIFTS * SHIFTS], products[SHIFTS * SHIFTS];
} shifted_sums;

static void slide(const int16_t *around, int side, int shifts, shifted_sums *sums) {
    int32_t sum[AROUND] = {0}, squares[AROUND] = {0};
    for (int y = 0; y < side; y++) {
        const int16_t *enters = around + y * side, *leaves = y < CELL ? NULL : enters - CELL * side;
        for (int x = 0; x < side; x++) {
            sum[x] += enters[x];
            squares[x] += enters[x] * enters[x];
        }
        for (int x = 0; x < side && leaves; x++) {
            sum[x] -= leaves[x];
            squares[x] -= leaves[x] * leaves[x];
        }
        if (y < CELL - 1) continue;
        int32_t all = 0, all_squares = 0;
        for (int x = 0; x < side; x++) {
            all += sum[x];
            all_squares += squares[x];
            if (x < CELL - 1) continue;
            int place = (y - CELL + 1) * shifts + x - CELL + 1;
            sums->sum[place] = all;
            sums->squares[place] = all_squares;
            all -= sum[x - CELL + 1];
            all_squares -= squares[x - CELL + 1];
        }
    }
}

/* Of a cell with those that begin AT_ONCE rows one after the other. */
static void multiply(const int16_t *cell, const int16_t *strip, int32_t *products) {
    int32_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0;
    for (int k = 0; k < AREA; k++) {
        a += cell[k] * strip[k];
        b += cell[k] * strip[k + CELL];
        c += cell[k] * strip[k + 2 * CELL];
        d += cell[k] * strip[k + 3 * CELL];
        e += cell[k] * strip[k + 4 * CELL];
        f += cell[k] * strip[k + 5 * CELL];
    }
    memcpy(products, (int32_t[AT_ONCE]){a, b, c, d, e, f}, AT_ONCE * sizeof *products);
}

static void multiply_all(const int16_t *cell, const int16_t *around, int side, int shifts, shifted_sums *sums) {
    int16_t strip[(AROUND + AT_ONCE - 1) * CELL];
    memset(strip + side * CELL, 0, (AT_ONCE - 1) * CELL * sizeof *strip);
    for (int right = 0; right < shifts; right++) {
        for (int y = 0; y < side; y++) memcpy(strip + y * CELL, around + y * side + right, CELL * sizeof *strip);
        int32_t products[MOST_SHIFTS];
        for (int down = 0; down < shifts; down += AT_ONCE) multiply(cell, strip + down * CELL, products + down);
        for (int down = 0; down < shifts; down++) sums->products[down * shifts + right] = products[down];
    }
}

/* What is found of a cell, as it is handed out. */
typedef struct {
    float correlation, right, down, fixed_right, fixed_down, contrast, seen_contrast;
} finding;

/* The larger of the correlations to either side of the best, or the best where none is there. */
static double beside(const double *alike, int place, int shifts, int step, double best) {
    double found = -2;
    for (int side = -BESIDE; side <= BESIDE; side += 2 * BESIDE)
        if (place + side >= 0 && place + side < shifts && alike[side * step] > found) found = alike[side * step];
    return found > -2 ? found : best;
}

static void find_best(const shifted_sums *sums, moments cell, int reach, finding *found) {
    int shifts = 2 * reach + 1, place = 0;
    double alike[SHIFTS * SHIFTS], sum = (double)cell.sum, own = energy(cell);
    for (int k = 0; k < shifts * shifts; k++) {
        double other = AREA * (double)sums->squares[k] - (double)sums->sum[k] * (double)sums->sum[k];
        double common = AREA * (double)sums->products[k] - sum * (double)sums->sum[k];
        alike[k] = own * other > 0 ? common / sqrt(own * other) : 0;
    }
    for (int k = 1; k < shifts * shifts; k++)
        if (alike[k] > alike[place]) place = k;
    double best = alike[place];
    found->correlation = (float)best;
    found->right = (float)(place % shifts - reach);
    found->down = (float)(place / shifts - reach);
    found->fixed_right = (float)(best - beside(alike + place, place % shifts, shifts, 1, best));
    found->fixed_down = (float)(best - beside(alike + place, place / shifts, shifts, shifts, best));
}

static int outside(const int64_t *corners, int64_t count, int64_t reach, int64_t height, int64_t width) {
    for (int64_t k = 0; k < 2 * count; k++) {
        int64_t size = k % 2 ? width : height;
        if (corners[k] < reach || corners[k] > size - CELL - reach) return 1;
    }
    return 0;
}

/* Correlate cells of a picture that is seen with another around them, up to so many px away. corners: of each cell, row
 * and column; mask: not 0 where the one that is seen is there. Cells of less contrast, in grey levels, than is enough
 * are not correlated. found: 7 numbers a cell. */
EXPORTED int64_t featmatch_compare_cells(const int16_t *picture, const int16_t *seen, const uint8_t *mask, int64_t height,
                                         int64_t width, const int64_t *corners, int64_t count, int64_t reach, float enough,
                                         float *found) {
    if (refused(height, width) || count < 0 || reach < 0 || reach > MOST_REACH) return REFUSED;
    if (outside(corners, count, reach, height, width)) return REFUSED;
    int side = CELL + 2 * (int)reach, shifts = 2 * (int)reach + 1;
    for (int64_t k = 0; k < count; k++) {
        int64_t row = corners[2 * k], column = corners[2 * k + 1];
        int16_t cell[AREA], around[AROUND * AROUND];
        shifted_sums sums;
        finding one = {0, 0, 0, 0, 0, 0, 0};
        if (is_covered(mask, height, width, row, column)) {
            cut(picture, width, row, column, CELL, CELL, cell);
            one.contrast = (float)(sqrt(energy(moments_of(cell))) / (AREA * STEPS));
            cut(seen, width, row, column, CELL, CELL, cell);
            moments own = moments_of(cell);
            one.seen_contrast = (float)(sqrt(energy(own)) / (AREA * STEPS));
            if (one.contrast >= enough && one.seen_contrast >= enough) {
                cut(picture, width, row - reach, column - reach, side, side, around);
                slide(around, side, shifts, &sums);
                multiply_all(cell, around, side, shifts, &sums);
                find_best(&sums, own, (int)reach, &one);
            }
        }
        memcpy(found + k * 7, &one, sizeof one);
    }
    return 0;
}

enum { BORDERED = CELL + 2 };

/* The slopes of a cell, by Sobel's kernels; beyond the picture it is mirrored. */
static void slopes(const int16_t *picture, int64_t height, int64_t width, const int64_t *corner, int16_t *across,
                   int16_t *down) {
    int16_t part[BORDERED * BORDERED];
    int64_t left = mirrored(corner[1] - 1, width), right = mirrored(corner[1] + CELL, width);
    for (int64_t y = 0; y < BORDERED; y++) {
        const int16_t *row = picture + mirrored(corner[0] + y - 1, height) * width;
        int16_t *to = part + y * BORDERED;
        to[0] = clamped(row[left]);
        for (int64_t x = 0; x < CELL; x++) to[1 + x] = clamped(row[corner[1] + x]);
        to[BORDERED - 1] = clamped(row[right]);
    }
    for (int y = 0; y < CELL; y++) {
        const int16_t *a = part + y * BORDERED, *b = a + BORDERED, *c = b + BORDERED;
        for (int x = 0; x < CELL; x++) {
            across[y * CELL + x] = (int16_t)(a[x + 2] - a[x] + 2 * (b[x + 2] - b[x]) + c[x + 2] - c[x]);
            down[y * CELL + x] = (int16_t)(c[x] - a[x] + 2 * (c[x + 1] - a[x + 1]) + c[x + 2] - a[x + 2]);
        }
    }
}

/* Slopes are below 2^13, so that 24 products are below 2^31. */
static void compare_slopes(const int16_t *first, const int16_t *second, float *alike, float *edges) {
    moments one = {0, 0}, other = {0, 0};
    int64_t products = 0;
    for (int y = 0; y < AREA; y += CELL) {
        int32_t sum[2] = {0, 0}, squares[2] = {0, 0}, both = 0;
        for (int k = y; k < y + CELL; k++) {
            sum[0] += first[k];
            sum[1] += second[k];
            squares[0] += first[k] * first[k];
            squares[1] += second[k] * second[k];
            both += first[k] * second[k];
        }
        one = (moments){one.sum + sum[0], one.squares + squares[0]};
        other = (moments){other.sum + sum[1], other.squares + squares[1]};
        products += both;
    }
    double energies[2] = {energy(one), energy(other)}, common = (double)(AREA * products - one.sum * other.sum);
    double both_energies = energies[0] * energies[1];
    *alike = both_energies > 0 ? (float)(common / sqrt(both_energies)) : 0;
    *edges = (float)sqrt(energies[0] < energies[1] ? energies[0] : energies[1]);
}

/* Correlate the slopes of cells of two pictures of one size, across and down. corners: of each cell in either picture,
 * row and column. alike and edges: two a cell; how strong the slopes are in the picture where they are weaker. */
EXPORTED int64_t featmatch_compare_slopes(const int16_t *picture, const int16_t *seen, int64_t height, int64_t width,
                                          const int64_t *corners, const int64_t *seen_corners, int64_t count, float *alike,
                                          float *edges) {
    if (refused(height, width) || count < 0) return REFUSED;
    if (outside(corners, count, 0, height, width) || outside(seen_corners, count, 0, height, width)) return REFUSED;
    for (int64_t k = 0; k < count; k++) {
        int16_t own[2][AREA], other[2][AREA];
        slopes(picture, height, width, corners + 2 * k, own[0], own[1]);
        slopes(seen, height, width, seen_corners + 2 * k, other[0], other[1]);
        for (int along = 0; along < 2; along++)
            compare_slopes(own[along], other[along], alike + 2 * k + along, edges + 2 * k + along);
    }
    return 0;
}
