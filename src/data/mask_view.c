/* Views of masks: where each pixel of a view lies in the source, by viewer.c's steps walked backwards. */
#include "data/masks.h"

#include <math.h>

/* A coordinate outside of [0,n-1] mirrored at the centres of the edge pixels, as the image's border is. */
static double reflect(double u, int n) {
    double period = 2.0 * (n > 1 ? n - 1 : 1);
    u = fabs(fmod(u, period));
    return u <= n - 1 ? u : period - u;
}

/* The source pixel of a coordinate of the resized plane. */
static int source_of(double u, int side, double low, double high, int size) {
    double at = low * size + (u + 0.5) / side * (high - low) * size;
    int i = (int)floor(at);
    return i < 0 ? 0 : i >= size ? size - 1 : i;
}

void ark_mask_render(const ark_image *mask, const ark_view *view, int side, uint8_t outside, uint8_t *out) {
    double angle = view->angle_deg * (3.14159265358979323846 / 180), c = (side - 1) / 2.0;
    double a = cos(angle) / view->zoom, b = sin(angle) / view->zoom;
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++) {
            double u = x, v = y;
            if (view->affine) {
                double qx = x - c - side * view->shift[0], qy = y - c - side * view->shift[1];
                u = c + a * qx - b * qy;
                v = c + b * qx + a * qy;
            }
            bool inside = u >= -0.5 && u < side - 0.5 && v >= -0.5 && v < side - 0.5;
            if (!inside && view->fill_zero) {
                out[(size_t)y * (size_t)side + (size_t)x] = outside;
                continue;
            }
            u = inside ? u : reflect(u, side);
            v = inside ? v : reflect(v, side);
            u = view->flip ? side - 1 - u : u;
            int col = source_of(u, side, view->box[0], view->box[2], mask->width);
            int row = source_of(v, side, view->box[1], view->box[3], mask->height);
            out[(size_t)y * (size_t)side + (size_t)x] =
                mask->px8[(size_t)row * (size_t)mask->width + (size_t)col];
        }
    }
}
