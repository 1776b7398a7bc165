/* Bones, as tubes of cortex around spongy bone, and the cables that lie on the patient. */
#include "synth/phantom.h"

#include <math.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

enum { PATH_MAX_POINTS = 64 };

/* A path in space. */
typedef struct path {
    double p[PATH_MAX_POINTS][3];
    int n;
} path;

static int project(ark_waypoint *w, const ark_anatomy *a, const path *t) {
    for (int i = 0; i < t->n; i++) {
        ark_point q = ark_project(a, t->p[i][0], t->p[i][1], t->p[i][2]);
        double len = 0;
        if (i) {
            double dx = t->p[i][0] - t->p[i - 1][0], dy = t->p[i][1] - t->p[i - 1][1];
            double dz = 0.5 * (t->p[i][2] - t->p[i - 1][2]); // ribs are half as thick as they are tall
            len = sqrt(dx * dx + dy * dy + dz * dz);
        }
        w[i] = (ark_waypoint){q.x, q.y, len};
    }
    return t->n;
}

/* Cortex of relative thickness `wall` with spongy bone of density `spongy` inside. */
static void bone_tube(
    ark_scene *s, const ark_anatomy *a, const path *t, double r0, double r1, double wall, double spongy) {
    ark_waypoint w[PATH_MAX_POINTS];
    int n = project(w, a, t);
    double k = a->exam->scale, in = 1 - wall;
    ark_canvas_tube(&s->bone, w, n, k * r0, k * r1, 1);
    ark_canvas_tube(&s->bone, w, n, k * r0 * in, k * r1 * in, spongy - 1);
}

/* Cubic Bezier curve through 4 control points, in a plane of constant Z. */
static void bezier(path *t, const double c[4][2], double z, int n) {
    t->n = n;
    for (int i = 0; i < n; i++) {
        double u = (double)i / (n - 1), v = 1 - u;
        double w[4] = {v * v * v, 3 * v * v * u, 3 * v * u * u, u * u * u};
        for (int d = 0; d < 2; d++) {
            t->p[i][d] = w[0] * c[0][d] + w[1] * c[1][d] + w[2] * c[2][d] + w[3] * c[3][d];
        }
        t->p[i][2] = z;
    }
}

enum { RIBS = 12 };

/* Rib number r of one side: from the spine backwards out, around the side, forwards and down. */
static void rib_path(path *t, const ark_anatomy *a, int side, int r) {
    static const double narrow[RIBS] = {0.66, 0.86, 0.95, 0.985, 1, 1, 1, 1, 1, 1, 0.98, 0.9};
    static const double end_deg[RIBS] = {150, 146, 143, 140, 138, 136, 132, 126, 116, 104, 80, 45};
    const ark_patient *p = a->patient;
    double sign = side == ARK_RIGHT ? -1 : 1;
    double y0 = p->apex_y - 0.012 + p->rib_pitch * r;
    double tilt = p->rib_tilt * (0.55 + 0.45 * (r < 4 ? r / 4.0 : 1));
    double y_side = y0 + 0.5 * tilt;
    double wide = (ark_cage_half_width(a, y_side) + 0.010) * narrow[r];
    double deep = 0.78 * ark_profile_at(&a->depth, y_side) * (0.7 + 0.3 * narrow[r]);
    t->n = 48;
    for (int i = 0; i < t->n; i++) {
        double u = (double)i / (t->n - 1), th = u * end_deg[r] * PI / 180;
        double x = 0.020 + (wide - 0.020) * sin(th) * (th < PI / 2 ? 1 : 0.55 + 0.45 * sin(th));
        double lift = 0.016 * exp(-pow((th - 0.32) / 0.25, 2)); // over the transverse process
        t->p[i][0] = sign * x + ark_profile_at(&a->spine, y0);
        t->p[i][1] = y0 + tilt * 0.5 * (1 - cos(th)) - lift;
        t->p[i][2] = -deep * cos(th);
    }
}

static void ribs(ark_scene *s, const ark_anatomy *a) {
    double r = a->patient->child ? 0.0105 : a->patient->female ? 0.0125 : 0.0140;
    for (int side = 0; side < 2; side++) {
        for (int k = 0; k < RIBS; k++) {
            path t;
            rib_path(&t, a, side, k);
            bone_tube(s, a, &t, r * (k ? 1 : 1.15), r * 0.92, 0.26, 0.34);
        }
    }
}

/* Vertebrae: bodies stacked with dark discs between, denser end plates, pedicles and spinous processes. */
static void spine(ark_scene *s, const ark_anatomy *a) {
    const ark_patient *p = a->patient;
    for (int k = -3; k < 15; k++) {
        double size = 1 + 0.018 * k, pitch = p->rib_pitch * 0.97;
        double y = p->apex_y - 0.012 + pitch * k, x = ark_profile_at(&a->spine, y), z = -0.10;
        double w = (p->child ? 0.021 : 0.0265) * size;
        for (int row = 0; row < 3; row++) { // body: two end plates and the spongy middle
            double dy = (row - 1) * 0.34 * pitch;
            path body = {.p = {{x - w, y + dy, z}, {x + w, y + dy, z}}, .n = 2};
            bone_tube(s, a, &body, 0.0100, 0.0100, 0.25, row == 1 ? 0.05 : 0.20);
        }
        for (int side = -1; side <= 1; side += 2) {
            path pedicle = {
                .p = {{x + side * 0.74 * w, y - 0.10 * pitch, z - 0.05}, {x + side * 0.74 * w, y, z}},
                .n = 2};
            bone_tube(s, a, &pedicle, 0.0055, 0.0055, 0.4, 0.1);
            path transverse = {.p = {{x + side * w, y - 0.1 * pitch, z - 0.06},
                                   {x + side * 1.9 * w, y - 0.2 * pitch, z - 0.08}},
                .n = 2};
            bone_tube(s, a, &transverse, 0.006, 0.0045, 0.3, 0.2);
        }
        path process = {.p = {{x, y + 0.25 * pitch, z - 0.09}, {x, y + 0.55 * pitch, z - 0.11}}, .n = 2};
        bone_tube(s, a, &process, 0.0045, 0.006, 0.4, 0.3);
    }
    path sternum = {
        .p = {{0, p->apex_y + 0.07, 0.19}, {0, p->apex_y + 0.15, 0.2}, {0, p->apex_y + 0.38, 0.21}}, .n = 3};
    bone_tube(s, a, &sternum, 0.022, 0.013, 0.1, 0.06);
}

static void clavicle_path(path *t, const ark_anatomy *a, int side) {
    const ark_patient *p = a->patient;
    double sign = side == ARK_RIGHT ? -1 : 1, y = p->apex_y + (a->exam->ap ? 0.028 : 0.060);
    double rise = p->clavicle + (a->exam->ap ? 0.02 : 0), end = p->half_width + 0.055;
    const double c[4][2] = {{sign * 0.022, y + 0.004}, {sign * 0.36 * end, y + 0.018},
        {sign * 0.58 * end, y - 1.35 * rise}, {sign * end, y - rise}};
    bezier(t, c, 0.17, 32);
}

/* Clavicles, and their mask: the silhouette of the same tube. */
static void clavicles(ark_scene *s, const ark_anatomy *a) {
    size_t n = (size_t)s->side * (size_t)s->side;
    double r = a->patient->child ? 0.0095 : a->patient->female ? 0.0112 : 0.0128;
    ark_canvas_fill(&s->tmp, 0);
    for (int side = 0; side < 2; side++) {
        path t;
        ark_waypoint w[PATH_MAX_POINTS];
        clavicle_path(&t, a, side);
        bone_tube(s, a, &t, 1.2 * r, 0.95 * r, 0.27, 0.65);
        ark_canvas_tube(
            &s->tmp, w, project(w, a, &t), 1.2 * r * a->exam->scale, 0.95 * r * a->exam->scale, 1);
    }
    for (size_t i = 0; i < n; i++) {
        s->mask_clavicles[i] = s->tmp.px[i] > 0.6f * (float)r ? 255 : 0;
    }
}

/* Shoulder blade and upper arm. With the hands on the hips (PA) the blades slide off the lungs. */
static void shoulder(ark_scene *s, const ark_anatomy *a, int side) {
    const ark_patient *p = a->patient;
    double sign = side == ARK_RIGHT ? -1 : 1, out = p->half_width + (a->exam->ap ? -0.035 : 0.02),
           y = p->apex_y;
    double hx = p->half_width + 0.092, hy = y + 0.052, lean = 0.05 + 0.22 * a->exam->abduction;
    path t = {.n = 2};
    const double lateral[4][2] = {{sign * (out + 0.055), y + 0.085}, {sign * (out + 0.05), y + 0.15},
        {sign * (out + 0.02), y + 0.23}, {sign * (out - 0.005), y + 0.335}};
    const double medial[4][2] = {{sign * (out - 0.075), y + 0.045}, {sign * (out - 0.085), y + 0.14},
        {sign * (out - 0.06), y + 0.25}, {sign * (out - 0.005), y + 0.335}};
    const double ridge[4][2] = {{sign * (out - 0.08), y + 0.10}, {sign * (out - 0.01), y + 0.085},
        {sign * (out + 0.03), y + 0.045}, {sign * (hx - 0.005), y - 0.002}};
    bezier(&t, lateral, -0.17, 24);
    bone_tube(s, a, &t, 0.011, 0.008, 0.35, 0.8);
    bezier(&t, medial, -0.19, 24);
    bone_tube(s, a, &t, 0.004, 0.005, 0.5, 0.4);
    bezier(&t, ridge, -0.21, 24);
    bone_tube(s, a, &t, 0.008, 0.013, 0.3, 0.65);
    for (int k = 1; k < 8; k++) { // the thin blade between its borders
        double u = k / 8.0, blade[4][2];
        for (int c = 0; c < 4; c++) {
            for (int d = 0; d < 2; d++) {
                blade[c][d] = medial[c][d] + u * (lateral[c][d] - medial[c][d]);
            }
        }
        bezier(&t, (const double(*)[2])blade, -0.18, 24);
        ark_waypoint w[PATH_MAX_POINTS];
        ark_canvas_tube(
            &s->bone, w, project(w, a, &t), 0.0125 * a->exam->scale, 0.004 * a->exam->scale, 0.34);
    }
    path head = {.p = {{sign * (hx - 0.006), hy - 0.004, 0}, {sign * (hx + 0.012), hy + 0.006, 0}}, .n = 2};
    bone_tube(s, a, &head, 0.036, 0.034, 0.1, 0.48);
    path shaft = {.p = {{sign * (hx + 0.014), hy + 0.01, 0}, {sign * (hx + 0.020), hy + 0.06, 0},
                      {sign * (hx + 0.022 + lean * 0.7), hy + 0.75, 0}},
        .n = 3};
    bone_tube(s, a, &shaft, 0.024, 0.0185, 0.36, 0.15);
}

void ark_scene_bones(ark_scene *s, const ark_anatomy *a) {
    ribs(s, a);
    spine(s, a);
    clavicles(s, a);
    shoulder(s, a, ARK_RIGHT);
    shoulder(s, a, ARK_LEFT);
}

void ark_scene_cables(ark_scene *s, const ark_anatomy *a, ark_rng *rng) {
    for (int k = 0; k < 3; k++) { // three electrodes, each with a cable that leaves the field
        double sign = k == 0 ? -1 : 1, x = sign * ark_rng_range(rng, 0.16, 0.3),
               y = ark_rng_range(rng, 0.2, 0.34);
        if (k == 2) {
            y += 0.4;
        }
        double sag = ark_rng_range(rng, 0.1, 0.4), edge = ark_rng_range(rng, 0.3, 0.9);
        const double c[4][2] = {
            {x, y}, {x + sign * 0.02, y + sag}, {sign * 0.3, edge - 0.2}, {sign * 0.6, edge}};
        path t = {.n = 0};
        bezier(&t, c, 0.27, 40);
        ark_waypoint w[PATH_MAX_POINTS];
        ark_canvas_tube(&s->bone, w, project(w, a, &t), 0.0026, 0.0026, 2.6);
        ark_point q = ark_project(a, x, y, 0.27);
        ark_canvas_disc(&s->bone, q.x, q.y, 0.012, 0.010);
        ark_canvas_disc(&s->bone, q.x, q.y, 0.006, 0.028);
    }
}
