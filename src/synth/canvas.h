/* Canvas: a square map of floats on which solid bodies leave the thickness that a ray meets in them. */
#ifndef ARK_SYNTH_CANVAS_H
#define ARK_SYNTH_CANVAS_H

#include "ark/status.h"
#include "base/rng.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ark_canvas {
    int side; /* pixels */
    float *px;
} ark_canvas;

typedef struct ark_point {
    double x, y;
} ark_point;

/* A point of a path on the canvas ([0,1)^2), with the length of path in space since the previous point. */
typedef struct ark_waypoint {
    double x, y;
    double length;
} ark_waypoint;

ark_status ark_canvas_new(int side, ark_canvas *c) ARK_MUST_CHECK;
void ark_canvas_free(ark_canvas *c);
void ark_canvas_fill(ark_canvas *c, float v);

/** Add `amount` inside a circle, its edge one pixel wide; circles smaller than a pixel keep their mass. */
void ark_canvas_disc(ark_canvas *c, double x, double y, double radius, double amount);

/** Add density * (thickness of a round tube along a path), radius r0 at its start and r1 at its end.
 *  A tube is the sum of discs along its axis: the integral of a disc over the axis is the chord 2 sqrt(r^2 -
 * d^2), and path that runs along the ray piles up as it does in a real projection. */
void ark_canvas_tube(ark_canvas *c, const ark_waypoint *path, int n, double r0, double r1, double density);

/** Gaussian blur in place; sigma in pixels, the border is repeated. tmp: a canvas of the same side. */
void ark_canvas_blur(ark_canvas *c, double sigma, ark_canvas *tmp);

/* Smooth random texture: values on a periodic lattice. */
enum { ARK_LATTICE = 64 };
typedef struct ark_lattice {
    float v[ARK_LATTICE * ARK_LATTICE];
} ark_lattice;

void ark_lattice_fill(ark_lattice *l, ark_rng *rng);
/** Sum of `octaves` of value noise at (x,y), lattice cells of size 1 in the first; mean 0, about [-1,1]. */
float ark_lattice_at(const ark_lattice *l, float x, float y, int octaves);

#endif
