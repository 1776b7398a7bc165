/* Who the patient is, how the image is taken, and the curves that follow from both. */
#include "synth/phantom.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

double ark_smoothstep(double lo, double hi, double v) {
    double t = (v - lo) / (hi - lo);
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    return t * t * (3 - 2 * t);
}

static double clamp(double v, double lo, double hi) {
    return v < lo ? lo : v > hi ? hi : v;
}

static double normal(ark_rng *rng, double mean, double sd, double reach) {
    return mean + sd * clamp(ark_rng_normal(rng), -reach, reach);
}

void ark_patient_draw(ark_patient *p, ark_rng *rng, bool child) {
    *p = (ark_patient){.child = child};
    p->female = ark_rng_f64(rng) < 0.48;
    p->age = child ? 1 + (int)ark_rng_below(rng, 9) : (int)lround(normal(rng, 57, 16, 2.3));
    double small = p->female ? 0.93 : 1;
    p->half_width = normal(rng, 0.352, 0.014, 2) * small;
    p->half_depth = normal(rng, 0.265, 0.018, 2) * (p->female ? 0.96 : 1);
    p->apex_y = normal(rng, 0.150, 0.014, 2) + (p->female ? 0.012 : 0);
    p->dome_y = normal(rng, 0.705, 0.022, 2) - (p->female ? 0.012 : 0);
    p->fat = clamp(normal(rng, 0.036, 0.014, 2), 0.015, 0.07);
    p->breast = p->female && !child ? clamp(normal(rng, 0.62, 0.22, 2), 0.22, 1) : 0;
    p->rib_pitch = normal(rng, 0.0605, 0.002, 2);
    p->rib_tilt = normal(rng, 0.165, 0.022, 2);
    p->clavicle = normal(rng, 0.045, 0.022, 2);
    p->scoliosis = normal(rng, 0, 0.008, 2.5);
    p->stomach = ark_rng_f64(rng);
    p->knob = clamp(0.75 + 0.006 * (p->age - 50) + 0.25 * ark_rng_normal(rng), 0.3, 1.5);
    p->heart_tilt = normal(rng, 0.76, 0.09, 2);
    p->ctr = 0.385 + 0.110 * sqrt(ark_rng_f64(rng)); // most of them near one half
    if (child) { // a barrel with level ribs, a large heart and no aortic knob
        p->half_width = normal(rng, 0.335, 0.014, 2);
        p->half_depth = normal(rng, 0.215, 0.014, 2);
        p->dome_y = normal(rng, 0.665, 0.02, 2);
        p->fat = clamp(normal(rng, 0.030, 0.008, 2), 0.015, 0.05);
        p->rib_tilt = normal(rng, 0.105, 0.018, 2);
        p->rib_pitch = normal(rng, 0.0575, 0.002, 2);
        p->knob = 0.2;
        p->ctr = ark_rng_range(rng, 0.42, 0.495);
    }
    for (int s = 0; s < 2; s++) {
        for (int k = 0; k < 4; k += 2) {
            p->wobble[s][k] = normal(rng, 0, k ? 0.0018 : 0.0032, 2);
            p->wobble[s][k + 1] = ark_rng_range(rng, 0, 2 * PI);
        }
    }
}

void ark_exam_draw(ark_exam *e, ark_rng *rng, const ark_hospital *h) {
    *e = (ark_exam){.ap = ark_rng_f64(rng) < h->ap_share};
    e->roll = normal(rng, 0, h->roll_deg * (e->ap ? 1.4 : 1), 2.2) * PI / 180;
    e->yaw = normal(rng, 0, e->ap ? 0.10 : 0.05, 2);
    e->dx = normal(rng, 0, e->ap ? 0.020 : 0.011, 2);
    e->dy = normal(rng, 0, e->ap ? 0.024 : 0.014, 2);
    e->scale = h->zoom * normal(rng, 1, 0.035, 2);
    e->breath = e->ap ? normal(rng, -0.045, 0.026, 2) : normal(rng, 0, 0.02, 2);
    e->abduction = clamp(e->ap ? normal(rng, 0.15, 0.25, 2) : normal(rng, 0.6, 0.25, 2), 0, 1);
    e->exposure = ark_rng_normal(rng);
    e->collimated = ark_rng_f64(rng) < h->collimated;
    e->lines = e->ap && ark_rng_f64(rng) < h->lines;
}

double ark_profile_at(const ark_profile *p, double y) {
    double t = (y + 0.25) * (ARK_PROFILE_N - 1) / 1.5;
    t = clamp(t, 0, ARK_PROFILE_N - 1.001);
    int i = (int)t;
    float f = (float)(t - i);
    return (double)(p->v[i] + f * (p->v[i + 1] - p->v[i]));
}

static double profile_y(int i) {
    return -0.25 + 1.5 * i / (ARK_PROFILE_N - 1);
}

double ark_cage_half_width(const ark_anatomy *a, double y) {
    double w = a->patient->half_width, top = a->patient->apex_y;
    double t = (a->widest_y - y) / (a->widest_y - top);
    if (t <= 0) {
        return w - 0.22 * (y - a->widest_y) * (y - a->widest_y);
    }
    return t >= 1 ? a->apex_x : a->apex_x + (w - a->apex_x) * sqrt(1 - t * t);
}

double ark_dome_at(const ark_anatomy *a, int side, double d) {
    double top = 0.52 * a->patient->half_width;
    double t = d > top ? (d - top) / (a->patient->half_width - top) : (top - d) / top;
    return a->dome_y[side] + (d > top ? 0.092 : 0.038) * t * t;
}

double ark_ellipse_at(const ark_ellipse *e, double x, double y) {
    double dx = x - e->x, dy = y - e->y;
    double u = (dx * e->cos + dy * e->sin) / e->a, v = (dy * e->cos - dx * e->sin) / e->b;
    return 1 - u * u - v * v;
}

/* Maximum with the corner rounded off over a width k. */
static double smooth_max(double a, double b, double k) {
    double h = k - fabs(a - b);
    return (a > b ? a : b) + (h > 0 ? 0.25 * h * h / k : 0);
}

double ark_heart_at(const ark_anatomy *a, double x, double y) {
    double e = smooth_max(ark_ellipse_at(&a->ventricle, x, y), ark_ellipse_at(&a->atrium, x, y), 0.25);
    e = smooth_max(e, ark_ellipse_at(&a->base, x, y), 0.35);
    return e < 1 ? e : 1;
}

ark_point ark_project(const ark_anatomy *a, double x, double y, double z) {
    const ark_exam *e = a->exam;
    double u = (x + e->yaw * z) * e->scale, v = (y - 0.5) * e->scale;
    return (ark_point){
        0.5 + e->dx + u * a->cos_roll - v * a->sin_roll, 0.5 + e->dy + u * a->sin_roll + v * a->cos_roll};
}

ark_point ark_unproject(const ark_anatomy *a, double x, double y) {
    const ark_exam *e = a->exam;
    double u = x - 0.5 - e->dx, v = y - 0.5 - e->dy;
    return (ark_point){
        (u * a->cos_roll + v * a->sin_roll) / e->scale, 0.5 + (v * a->cos_roll - u * a->sin_roll) / e->scale};
}

/* The shadow's widest points lie `right` and `left` of the midline, together ctr times the thorax. */
static void build_heart(ark_anatomy *a) {
    const ark_patient *p = a->patient;
    double total = p->ctr * 2 * p->half_width;
    double right = 0.34 * total, left = total - right;
    double excess = p->ctr - 0.44; // a larger heart lies flatter
    double tilt = p->heart_tilt - 1.6 * excess, flat = 0.70 - 0.4 * excess;
    double s = sin(tilt), c = cos(tilt);
    double reach = 0.60 * total / 1.2;                       // half extent of the tilted ellipse along X
    double axis = reach / sqrt(c * c + flat * flat * s * s); // from the support function of an ellipse
    double tall = axis * sqrt(s * s + flat * flat * c * c);
    double y = a->dome_y[ARK_LEFT] + 0.030 - tall;
    a->ventricle = (ark_ellipse){left - reach, y, axis, flat * axis, s, c};
    a->atrium = (ark_ellipse){-right + 0.27 * total, y - 0.012, 0.27 * total, 0.05 + 0.18 * total, 0, 1};
    a->base = (ark_ellipse){0.012, y - 0.62 * tall, 0.05 + 0.07 * total, 0.10 + 0.10 * total, 0.19, 0.982};
    a->heart_depth = 0.34 * total + 0.045;
}

/* Distance of the mediastinum's edge from the midline: spine and great vessels, rounded off at the apex. */
static double medial_at(const ark_anatomy *a, int side, double y) {
    const ark_patient *p = a->patient;
    double base = p->child ? 0.058 : side == ARK_RIGHT ? 0.050 : 0.046;
    if (side == ARK_LEFT) { // aortic knob and pulmonary trunk
        double arch = p->apex_y + 0.150, trunk = arch + 0.085;
        base += 0.026 * p->knob * exp(-pow((y - arch) / 0.040, 2));
        base += 0.020 * exp(-pow((y - trunk) / 0.060, 2));
    } else { // superior vena cava
        base += 0.008 * ark_smoothstep(p->apex_y + 0.05, p->apex_y + 0.2, y);
    }
    double t = (p->apex_y + 0.10 - y) / 0.10;
    if (t <= 0) {
        return base;
    }
    return t >= 1 ? a->apex_x : base + (a->apex_x - base) * (1 - sqrt(1 - t * t));
}

static double trunk_at(const ark_anatomy *a, double y) {
    const ark_patient *p = a->patient;
    double top = p->apex_y;
    double neck = (p->child ? 0.115 : 0.098) + 0.4 * p->fat;
    double shoulders = p->half_width + 0.165 + 0.5 * p->fat;
    double chest = ark_cage_half_width(a, y > a->widest_y ? a->widest_y : y) + 0.034 + 1.15 * p->fat;
    double slope = ark_smoothstep(top - 0.17, top + 0.045, y);
    slope = slope * (0.55 + 0.45 * slope);
    double upper = neck + (shoulders - neck) * slope;
    return upper + (chest - upper) * ark_smoothstep(top + 0.13, top + 0.31, y);
}

void ark_anatomy_build(ark_anatomy *a, const ark_patient *p, const ark_exam *e) {
    *a = (ark_anatomy){.patient = p, .exam = e, .sin_roll = sin(e->roll), .cos_roll = cos(e->roll)};
    a->dome_y[ARK_RIGHT] = p->dome_y + e->breath;
    a->dome_y[ARK_LEFT] = p->dome_y + e->breath + 0.024;
    a->widest_y = a->dome_y[ARK_RIGHT] + 0.015;
    a->apex_x = 0.30 * p->half_width;
    for (int i = 0; i < ARK_PROFILE_N; i++) {
        double y = profile_y(i);
        for (int s = 0; s < 2; s++) {
            const double *w = p->wobble[s];
            double wave = w[0] * sin(11 * y + w[1]) + w[2] * sin(29 * y + w[3]);
            a->lateral[s].v[i] = (float)(ark_cage_half_width(a, y) + wave);
            a->medial[s].v[i] = (float)medial_at(a, s, y);
        }
        a->trunk.v[i] = (float)trunk_at(a, y);
        double thin = p->child ? 0.13 : 0.15;
        double deep = p->half_depth + 0.4 * (p->fat - 0.036);
        a->depth.v[i] = (float)(thin + (deep - thin) * ark_smoothstep(p->apex_y - 0.1, p->apex_y + 0.33, y));
        a->spine.v[i] = (float)(p->scoliosis * sin(PI * clamp(y, 0, 1)));
    }
    build_heart(a);
}
