/* Soft tissue and air: trunk, arms, breasts, lungs, heart, diaphragm, airways. */
#include "synth/phantom.h"

#include <math.h>

/* Thickness of an ellipsoid of half thickness h, where e is ark_ellipse_at (or alike). */
static double dome(double e, double h) {
    return e > 0 ? 2 * h * sqrt(e) : 0;
}

static double ramp(double v, double width) {
    double t = 0.5 + v / width;
    return t < 0 ? 0 : t > 1 ? 1 : t;
}

/* Breasts: rounded below, fading into the chest above; in the erect patient they hang over the lower lung. */
static double breast_at(const ark_patient *p, double d, double y) {
    double size = p->breast;
    double rx = 0.105 + 0.045 * size, below = 0.060 + 0.055 * size, above = 0.26;
    double cx = 0.60 * p->half_width + 0.03 * size, cy = 0.605 + 0.055 * size;
    double u = (d - cx) / rx, v = (y - cy) / (y > cy ? below : above);
    double e = 1 - u * u - v * v;
    return e > 0 ? 2 * (0.014 + 0.045 * size) * (y > cy ? sqrt(e) : pow(e, 0.5 + 1.2 * (cy - y) / above)) : 0;
}

/* Chest muscle, mainly in men: a fan from the armpit, edged below. */
static double pectoral_at(const ark_patient *p, double d, double y) {
    double u = (d - 0.26) / 0.15, v = (y - 0.36) / (y > 0.36 ? 0.13 : 0.17);
    return dome(1 - u * u - v * v, p->female || p->child ? 0.008 : 0.020);
}

static double trunk_thickness(const ark_anatomy *a, double x, double y, double half_depth) {
    const ark_patient *p = a->patient;
    double d = fabs(x), u = d / ark_profile_at(&a->trunk, y);
    double t = u < 1 ? 2 * half_depth * sqrt(1 - u * u) : 0;
    // The arm: a tube from the shoulder, hanging away from the trunk by the abduction.
    double sx = p->half_width + 0.115, sy = p->apex_y + 0.09;
    double lean = 0.05 + 0.22 * a->exam->abduction, r = 0.062 + 0.7 * p->fat;
    double off = ((d - sx) - lean * (y - sy)) / sqrt(1 + lean * lean);
    if (y > sy && fabs(off) < r) {
        double arm = 2 * r * sqrt(1 - off * off / (r * r)) * ark_smoothstep(sy, sy + 0.08, y);
        t = t > arm ? t : arm;
    }
    if (t > 0) {
        t += pectoral_at(p, d, y);
    }
    return t + (p->breast > 0 ? breast_at(p, d, y) : 0);
}

/* Lung between front and back wall; *cover is 1 inside the outline. Below the diaphragm's dome a wedge of
 * lung remains behind it. */
static double lung_thickness(
    const ark_anatomy *a, double x, double y, double half_depth, double soft, double *cover) {
    double mid = ark_profile_at(&a->spine, y) * 0.5;
    int side = x < mid ? ARK_RIGHT : ARK_LEFT;
    double d = fabs(x - mid), wide = ark_profile_at(&a->lateral[side], y);
    *cover = 0;
    if (y < a->patient->apex_y || d >= wide) {
        return 0;
    }
    double near = ark_profile_at(&a->medial[side], y), floor = ark_dome_at(a, side, d);
    // Lung also lies before and behind the edge of the mediastinum, and a little of it reaches the midline.
    double behind = 0.08 * ark_smoothstep(0, 0.1, a->ventricle.y - y);
    double open = behind + (1 - behind) * ramp(d - near, soft + 0.006) *
                               (0.62 + 0.38 * ark_smoothstep(0, 0.075, d - near));
    double side_wall = ramp(wide - d, soft);
    double across = ramp(d - near, soft) * side_wall;
    double recess = 0.16 * exp((floor - y) / 0.022);
    double up = ramp(floor - y, soft);
    *cover = across * up;
    double u = d / wide;
    double front_back = 2 * (half_depth - 0.042) * sqrt(1 - u * u);
    return front_back * open * side_wall * (up + (1 - up) * (y > floor ? recess : 0.16));
}

void ark_scene_soft_tissue(ark_scene *s, const ark_anatomy *a) {
    int n = s->side;
    double soft = 1.0 / n / a->exam->scale;
    double floor_left = a->dome_y[ARK_LEFT];
    double gas = a->patient->stomach;
    const ark_ellipse stomach = {0.14 + 0.05 * gas, floor_left + 0.05 + 0.035 * gas, 0.03 + 0.05 * gas,
        0.012 + 0.030 * gas, 0.15, 0.989};
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < n; i++) {
            size_t k = (size_t)j * (size_t)n + (size_t)i;
            ark_point b = ark_unproject(a, (i + 0.5) / n, (j + 0.5) / n);
            double half_depth = ark_profile_at(&a->depth, b.y), cover;
            double body = trunk_thickness(a, b.x, b.y, half_depth);
            double air = lung_thickness(a, b.x, b.y, half_depth, soft, &cover);
            double inside = ark_heart_at(a, b.x, b.y);
            double heart = inside > 0 ? 2 * a->heart_depth * pow(inside, 0.4) : 0;
            bool heart_here =
                inside > 0 && b.y < ark_dome_at(a, b.x < 0 ? ARK_RIGHT : ARK_LEFT, fabs(b.x)) + 0.02;
            body -= dome(ark_ellipse_at(&stomach, b.x, b.y), 0.015 + 0.04 * gas);
            if (b.y > floor_left + 0.06) { // bowel
                double bowel = ark_lattice_at(&s->lattice, (float)(9 * b.x + 40), (float)(11 * b.y + 40), 2);
                body -= 0.06 * ark_smoothstep(0.2, 1.1, bowel) * ark_smoothstep(0.06, 0.13, b.y - floor_left);
            }
            s->body.px[k] = (float)(body > 0 ? body : 0);
            s->air.px[k] = (float)(air > heart ? air - heart : 0);
            s->cover.px[k] = (float)cover;
            s->mask_heart[k] = heart_here ? 255 : 0;
            s->mask_lungs[k] = cover > 0.5 && !heart_here ? 255 : 0;
        }
    }
}

/* A straight tube through body coordinates, added to a map. */
static void tube(ark_canvas *c, const ark_anatomy *a, const double (*pts)[2], int n, double r0, double r1,
    double density) {
    ark_waypoint w[8];
    for (int i = 0; i < n; i++) {
        ark_point q = ark_project(a, pts[i][0], pts[i][1], 0);
        double len = i ? hypot(pts[i][0] - pts[i - 1][0], pts[i][1] - pts[i - 1][1]) : 0;
        w[i] = (ark_waypoint){q.x, q.y, len};
    }
    ark_canvas_tube(c, w, n, r0 * a->exam->scale, r1 * a->exam->scale, density);
}

void ark_scene_airways(ark_scene *s, const ark_anatomy *a) {
    const ark_patient *p = a->patient;
    double top = p->apex_y, carina = top + 0.185, r = p->child ? 0.016 : p->female ? 0.020 : 0.023;
    double bend = 0.006; // the aortic arch pushes the trachea to the right
    const double trachea[4][2] = {{0, -0.1}, {0, top}, {-bend, carina - 0.05}, {-bend, carina}};
    const double right[3][2] = {{-bend, carina}, {-0.045, carina + 0.045}, {-0.075, carina + 0.09}};
    const double left[3][2] = {{-bend, carina}, {0.04, carina + 0.038}, {0.085, carina + 0.062}};
    tube(&s->extra, a, trachea, 4, r, r, -1.0);
    tube(&s->extra, a, right, 3, 0.75 * r, 0.5 * r, -0.7);
    tube(&s->extra, a, left, 3, 0.68 * r, 0.45 * r, -0.7);
}

typedef struct branch {
    double x, y, heading, length, radius;
    int depth;
} branch;

enum { BRANCH_STACK = 64, BRANCH_DEPTH = 6 };

/* The pulmonary tree: arteries and veins leave the hilum, split in two again and again and fade outwards. */
void ark_scene_vessels(ark_scene *s, const ark_anatomy *a, ark_rng *rng) {
    const ark_patient *p = a->patient;
    double reach = a->dome_y[ARK_RIGHT] - p->apex_y, caliber = p->child ? 0.8 : 1;
    for (int side = 0; side < 2; side++) {
        double sign = side == ARK_RIGHT ? -1 : 1;
        double hx = side == ARK_RIGHT ? 0.068 : 0.074,
               hy = p->apex_y + (side == ARK_RIGHT ? 0.46 : 0.42) * reach;
        branch stack[BRANCH_STACK];
        int top = 0;
        for (int k = 0; k < 9; k++) { // heading 0 points outwards, + down
            double heading = -1.35 + 2.75 * k / 8 + 0.16 * ark_rng_normal(rng);
            double big = ark_rng_range(rng, 0.0085, 0.0135) * caliber;
            stack[top++] =
                (branch){hx, hy + 0.008 * (k - 4), heading, ark_rng_range(rng, 0.055, 0.095), big, 0};
        }
        while (top > 0) {
            branch b = stack[--top];
            double pts[3][2] = {{sign * b.x, b.y}};
            double heading = b.heading;
            for (int k = 1; k < 3; k++) {
                heading += 0.13 * ark_rng_normal(rng);
                b.x += 0.5 * b.length * cos(heading);
                b.y += 0.5 * b.length * sin(heading);
                pts[k][0] = sign * b.x;
                pts[k][1] = b.y;
            }
            tube(&s->vessel, a, (const double(*)[2])pts, 3, b.radius, 0.86 * b.radius, 1.35);
            bool out = b.x > ark_profile_at(&a->lateral[side], b.y) || b.y < p->apex_y || b.x < 0.02;
            if (out || b.depth >= BRANCH_DEPTH || top + 2 > BRANCH_STACK) {
                continue;
            }
            double fork = ark_rng_range(rng, 0.22, 0.55), part = ark_rng_range(rng, 0.4, 0.62);
            for (int k = 0; k < 2; k++) {
                double share = k ? 1 - part : part; // Murray's law: the cubes of the radii add up
                double turn = k ? fork * part * 2 : -fork * (1 - part) * 2;
                stack[top++] = (branch){b.x, b.y, heading + turn, b.length * ark_rng_range(rng, 0.62, 0.95),
                    b.radius * cbrt(share) * 0.93, b.depth + 1};
            }
        }
    }
}
