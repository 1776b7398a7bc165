#include "data/phash.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"

#include <math.h>
#include <string.h>

enum { LOW = 16 };               /* frequencies per axis */
static const double FLAT = 1e-3; /* of the mean: a deviation below this is no structure */
static const double PI = 3.14159265358979323846;

uint64_t ark_bytes_hash(uint64_t seed, const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    uint64_t h = seed ^ (n * 0x9E3779B97F4A7C15u);
    for (; n; p += 8) {
        uint64_t w = 0;
        size_t take = n < 8 ? n : 8;
        memcpy(&w, p, take);
        n -= take;
        h = (h ^ w) * 0xD6E8FEB86659FD93u;
        h ^= h >> 32;
    }
    h = (h ^ (h >> 29)) * 0xBF58476D1CE4E5B9u;
    return h ^ (h >> 32);
}

void ark_dct_init(ark_dct *t) {
    for (int u = 0; u < LOW; u++) {
        for (int x = 0; x < ARK_THUMB; x++) {
            t->cos[u][x] = (float)cos(PI * (2 * x + 1) * u / (2 * ARK_THUMB));
        }
    }
}

/* Sum of pixels [a,b) of a row. */
static double sum8(const uint8_t *row, int a, int b) {
    uint32_t s = 0; /* 2^24 pixels a row at most */
    for (int x = a; x < b; x++) {
        s += row[x];
    }
    return s;
}

static double sum16(const uint16_t *row, int a, int b) {
    uint64_t s = 0;
    for (int x = a; x < b; x++) {
        s += row[x];
    }
    return (double)s;
}

/* Where the cells of an axis begin: whole part and fraction of a pixel. */
typedef struct edges {
    int at[ARK_THUMB + 1];
    double part[ARK_THUMB + 1];
} edges;

static void find_edges(double from, double to, edges *e) {
    for (int i = 0; i <= ARK_THUMB; i++) {
        double x = from + (to - from) * i / ARK_THUMB;
        e->at[i] = (int)x;
        e->part[i] = x - e->at[i];
    }
}

/* Sums of the cells of row y, edge pixels by their share. */
static void reduce_row(const ark_image *im, int y, const edges *e, double out[ARK_THUMB]) {
    size_t start = (size_t)y * (size_t)im->width;
    for (int c = 0; c < ARK_THUMB; c++) {
        int a = e->at[c], b = e->at[c + 1];
        double first, last, sum;
        if (im->depth == 8) {
            const uint8_t *row = im->px8 + start;
            sum = sum8(row, a, b);
            first = row[a];
            last = e->part[c + 1] > 0 ? row[b] : 0;
        } else {
            const uint16_t *row = im->px16 + start;
            sum = sum16(row, a, b);
            first = row[a];
            last = e->part[c + 1] > 0 ? row[b] : 0;
        }
        out[c] = sum - e->part[c] * first + e->part[c + 1] * last;
    }
}

void ark_thumb(const ark_image *im, bool square, float out[ARK_THUMB * ARK_THUMB]) {
    double w = im->width, h = im->height, side = w < h ? w : h;
    double x0 = square ? (w - side) / 2 : 0, y0 = square ? (h - side) / 2 : 0;
    double cell_w = (square ? side : w) / ARK_THUMB, cell_h = (square ? side : h) / ARK_THUMB;
    double sums[ARK_THUMB * ARK_THUMB] = {0}, row[ARK_THUMB];
    edges e;
    find_edges(x0, x0 + cell_w * ARK_THUMB, &e);
    for (int y = (int)y0; y < im->height; y++) {
        double from = (y - y0) / cell_h, to = (y + 1 - y0) / cell_h; /* in cells */
        from = from < 0 ? 0 : from;
        to = to > ARK_THUMB ? ARK_THUMB : to;
        if (from >= to) {
            break;
        }
        reduce_row(im, y, &e, row);
        for (int r = (int)from; r < to; r++) {
            double share = (to < r + 1 ? to : r + 1) - (from > r ? from : r);
            for (int c = 0; c < ARK_THUMB; c++) {
                sums[r * ARK_THUMB + c] += share * row[c];
            }
        }
    }
    for (int i = 0; i < ARK_THUMB * ARK_THUMB; i++) {
        out[i] = (float)(sums[i] / cell_w);
    }
}

/* Neighbouring frequencies go to different words of 16 bits, which near.c uses as keys: their values repeat
 * less than those of neighbours together. */
static void set_bit(ark_phash *h, int rank) {
    int key = rank % 16, at = rank / 16;
    h->w[key / 4] |= (uint64_t)1 << (key % 4 * 16 + at);
}

/* Ranks go from low to high frequencies, along the diagonals v + u = sum, without the mean. */
static int first_row(int sum) {
    return sum < LOW ? 0 : sum - LOW + 1;
}

static bool is_flat(const float *thumb) {
    double mean = 0, var = 0;
    for (int i = 0; i < ARK_THUMB * ARK_THUMB; i++) {
        mean += (double)thumb[i];
    }
    mean /= ARK_THUMB * ARK_THUMB;
    for (int i = 0; i < ARK_THUMB * ARK_THUMB; i++) {
        var += ((double)thumb[i] - mean) * ((double)thumb[i] - mean);
    }
    return sqrt(var / (ARK_THUMB * ARK_THUMB)) <= FLAT * mean;
}

ark_phash ark_phash_of(const ark_dct *t, const float thumb[ARK_THUMB * ARK_THUMB]) {
    ark_phash h = {{0}};
    float rows[ARK_THUMB][LOW], low[LOW][LOW];
    if (is_flat(thumb)) {
        h.w[3] = (uint64_t)1 << 63;
        return h;
    }
    for (int y = 0; y < ARK_THUMB; y++) {
        for (int u = 0; u < LOW; u++) {
            float s = 0;
            for (int x = 0; x < ARK_THUMB; x++) {
                s += t->cos[u][x] * thumb[y * ARK_THUMB + x];
            }
            rows[y][u] = s;
        }
    }
    for (int v = 0; v < LOW; v++) {
        for (int u = 0; u < LOW; u++) {
            float s = 0;
            for (int y = 0; y < ARK_THUMB; y++) {
                s += t->cos[v][y] * rows[y][u];
            }
            low[v][u] = s;
        }
    }
    for (int rank = 0, sum = 1; sum <= 2 * (LOW - 1); sum++) {
        for (int v = first_row(sum); v <= sum && v < LOW; v++, rank++) {
            if (low[v][sum - v] > 0) {
                set_bit(&h, rank);
            }
        }
    }
    return h;
}

/* A negative changes every sign, a mirror image those of the odd frequencies across. */
ark_phash ark_phash_turned(ark_turn turn) {
    ark_phash h = {{0}};
    for (int rank = 0, sum = 1; sum <= 2 * (LOW - 1); sum++) {
        for (int v = first_row(sum); v <= sum && v < LOW; v++, rank++) {
            if (turn == ARK_TURN_NEGATIVE || (turn == ARK_TURN_MIRROR && (sum - v) % 2)) {
                set_bit(&h, rank);
            }
        }
    }
    return h;
}

bool ark_phash_flat(const ark_phash *h) {
    return h->w[3] >> 63;
}

int ark_phash_distance(const ark_phash *a, const ark_phash *b) {
    int n = 0;
    for (int i = 0; i < ARK_PHASH_BITS / 64; i++) {
        n += __builtin_popcountll(a->w[i] ^ b->w[i]);
    }
    return n;
}

/* Sums over windows of 9 along one axis, clamped at the ends. */
static void box9(const float *in, float *out, int step) {
    for (int i = 0; i < ARK_THUMB; i++) {
        float s = 0;
        for (int k = i - 4; k <= i + 4; k++) {
            int at = k < 0 ? 0 : k >= ARK_THUMB ? ARK_THUMB - 1 : k;
            s += in[at * step];
        }
        out[i * step] = s / 9;
    }
}

void ark_thumb_detail(float thumb[ARK_THUMB * ARK_THUMB]) {
    float along[ARK_THUMB * ARK_THUMB], mean[ARK_THUMB * ARK_THUMB];
    double sum = 0, square = 0;
    for (int i = 0; i < ARK_THUMB; i++) {
        box9(thumb + (size_t)i * ARK_THUMB, along + (size_t)i * ARK_THUMB, 1);
    }
    for (int i = 0; i < ARK_THUMB; i++) {
        box9(along + i, mean + i, ARK_THUMB);
    }
    for (int i = 0; i < ARK_THUMB * ARK_THUMB; i++) {
        thumb[i] -= mean[i];
        sum += (double)thumb[i];
    }
    sum /= ARK_THUMB * ARK_THUMB;
    for (int i = 0; i < ARK_THUMB * ARK_THUMB; i++) {
        thumb[i] -= (float)sum;
        square += (double)thumb[i] * (double)thumb[i];
    }
    float scale = square > 0 ? (float)(1 / sqrt(square)) : 0;
    for (int i = 0; i < ARK_THUMB * ARK_THUMB; i++) {
        thumb[i] *= scale;
    }
}

double ark_thumb_correlation(
    const float a[ARK_THUMB * ARK_THUMB], const float b[ARK_THUMB * ARK_THUMB], ark_turn turn) {
    double s = 0;
    for (int y = 0; y < ARK_THUMB; y++) {
        for (int x = 0; x < ARK_THUMB; x++) {
            int other = turn == ARK_TURN_MIRROR ? ARK_THUMB - 1 - x : x;
            s += (double)a[y * ARK_THUMB + x] * (double)b[y * ARK_THUMB + other];
        }
    }
    return turn == ARK_TURN_NEGATIVE ? -s : s;
}

void ark_fingerprint_image(const ark_dct *t, const ark_image *im, ark_fingerprint *out) {
    float thumb[ARK_THUMB * ARK_THUMB];
    size_t bytes = (size_t)im->width * (size_t)im->height * (size_t)(im->depth / 8);
    uint64_t seed = (uint64_t)im->width << 34 ^ (uint64_t)im->height << 8 ^ (uint64_t)im->depth;
    out->pixels = ark_bytes_hash(seed, im->px, bytes);
    ark_thumb(im, false, thumb);
    out->whole = out->square = ark_phash_of(t, thumb);
    if (im->width != im->height) {
        ark_thumb(im, true, thumb);
        out->square = ark_phash_of(t, thumb);
    }
}

ark_status ark_fingerprint_read(const ark_dct *t, const char *path, ark_fingerprint *out) {
    char *bytes;
    size_t n;
    ark_image im;
    ARK_TRY(ark_file_read(path, ark_image_default_limits().max_file_bytes, &bytes, &n));
    ark_status st = ark_image_decode8(bytes, n, path, NULL, NULL, NULL, &im);
    if (st == ARK_OK) {
        out->file = ark_bytes_hash(0, bytes, n);
        ark_fingerprint_image(t, &im, out);
        ark_image_free(&im);
    }
    ark_free(bytes);
    return st;
}
