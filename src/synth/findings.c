/* Diseases: where they sit, how large they are, and what they do to the thickness maps. */
#include "synth/phantom.h"

#include <math.h>

const char *ark_finding_name(ark_finding_kind k) {
    static const char *const names[] = {
#define ARK_FINDING_TEXT(name, text) text,
        ARK_FINDING_LIST(ARK_FINDING_TEXT)
#undef ARK_FINDING_TEXT
    };
    return names[k];
}

/* A point of one lung: `across` 0 at the mediastinum .. 1 at the ribs, `down` 0 at the
 * apex .. 1 at the diaphragm. */
static ark_point lung_point(const ark_anatomy *a, int side, double across, double down) {
    double y = a->patient->apex_y + down * (a->dome_y[side] - a->patient->apex_y);
    double near = ark_profile_at(&a->medial[side], y), far = ark_profile_at(&a->lateral[side], y);
    double d = near + across * (far - near), mid = 0.5 * ark_profile_at(&a->spine, y);
    return (ark_point){mid + (side == ARK_RIGHT ? -d : d), y};
}

static bool behind_heart(const ark_anatomy *a, ark_point q) {
    return ark_ellipse_at(&a->ventricle, q.x, q.y) > -0.3 || ark_ellipse_at(&a->atrium, q.x, q.y) > -0.3;
}

/* A random point of the lung that the heart does not hide. */
static ark_point free_point(const ark_anatomy *a, int side, ark_rng *rng, double top, double bottom) {
    ark_point q = lung_point(a, side, 0.5, top);
    for (int tries = 0; tries < 16; tries++) {
        double across = ark_rng_range(rng, 0.22, 0.82);
        q = lung_point(a, side, across, ark_rng_range(rng, top, bottom));
        if (!behind_heart(a, q)) {
            break;
        }
    }
    return q;
}

static void append(ark_exam *e, ark_finding f) {
    if (e->nfindings < ARK_FINDINGS_MAX) {
        e->findings[e->nfindings++] = f;
    }
}

/* A draw in [0,1) pushed towards 1 by the exam's severity. */
static double plainer(const ark_exam *e, double u) {
    return e->severity + (1 - e->severity) * u;
}

static void draw_patches(ark_exam *e, const ark_anatomy *a, ark_rng *rng) {
    int n = 3 + (int)ark_rng_below(rng, 3);
    int first = (int)ark_rng_below(rng, 2);
    for (int k = 0; k < n; k++) { // both lungs, in turn
        ark_finding f = {.kind = ARK_FINDING_CONSOLIDATION_PATCHY, .side = (first + k) % 2};
        ark_point q = free_point(a, f.side, rng, 0.25, 0.92);
        f.x = q.x;
        f.y = q.y;
        f.size = 0.09 + 0.10 * plainer(e, ark_rng_f64(rng));
        f.strength = 0.20 + 0.30 * plainer(e, ark_rng_f64(rng));
        append(e, f);
    }
}

void ark_finding_draw(ark_exam *e, ark_patient *p, ark_anatomy *a, ark_finding_kind kind, ark_rng *rng) {
    ark_finding f = {.kind = kind, .side = (int)ark_rng_below(rng, 2)};
    double grade = plainer(e, ark_rng_f64(rng)); // subtle .. plain
    ark_point q = {0};
    double reach = a->dome_y[f.side] - p->apex_y;
    switch (kind) {
    case ARK_FINDING_CARDIOMEGALY:
        p->ctr = 0.505 + 0.110 * grade * grade;
        ark_anatomy_build(a, p, e);
        q = (ark_point){a->ventricle.x, a->ventricle.y};
        f.size = p->ctr;
        f.strength = 1;
        f.side = ARK_LEFT;
        break;
    case ARK_FINDING_EFFUSION:
        f.size = 0.075 + 0.19 * grade * grade;
        f.strength = 0.92;
        q = lung_point(a, f.side, 0.93, 1);
        q.y = ark_dome_at(a, f.side, fabs(q.x)) - 0.5 * f.size;
        break;
    case ARK_FINDING_NODULE:
        f.size = 0.052 + 0.040 * grade;
        f.strength = ark_rng_range(rng, 0.7, 1);
        q = free_point(a, f.side, rng, 0.15, 0.88);
        break;
    case ARK_FINDING_PNEUMOTHORAX:
        f.size = 0.06 + 0.36 * grade * grade; // share of the lung's width, halfway down
        f.strength = 1;
        q = lung_point(a, f.side, 0.85, 0.2);
        break;
    case ARK_FINDING_CONSOLIDATION_LOBAR:
        f.upper = ark_rng_f64(rng) < 0.45;
        f.size = (0.30 + 0.18 * ark_rng_f64(rng)) * reach;
        f.strength = 0.20 + 0.38 * grade;
        q = lung_point(a, f.side, 0.5, f.upper ? 0.55 : 1);
        q.y -= 0.5 * f.size;
        break;
    case ARK_FINDING_CONSOLIDATION_PATCHY:
        draw_patches(e, a, rng);
        return;
    case ARK_FINDING_CAVITY:
        f.size = 0.080 + 0.060 * grade;
        f.strength = ark_rng_range(rng, 0.7, 1);
        q = free_point(a, f.side, rng, 0.16, 0.46);
        break;
    case ARK_FINDING_COUNT:
        return;
    }
    f.x = q.x;
    f.y = q.y;
    append(e, f);
}

double ark_finding_extent(const ark_anatomy *a, const ark_finding *f) {
    double size = f->size;
    if (f->kind == ARK_FINDING_CARDIOMEGALY) {
        size *= 2 * a->patient->half_width;
    } else if (f->kind == ARK_FINDING_PNEUMOTHORAX) {
        double y = 0.5 * (a->patient->apex_y + a->dome_y[f->side]);
        size *= ark_profile_at(&a->lateral[f->side], y) - ark_profile_at(&a->medial[f->side], y);
    }
    return size * a->exam->scale;
}

/* One pixel's view of the lung it lies in. */
typedef struct here {
    double x, y, d; /* body coordinates, distance from the midline */
    int side;
    double near, far; /* the lung's borders at this height */
    float noise;      /* about [-1,1] */
} here;

static double max0(double v) {
    return v > 0 ? v : 0;
}

static double chord(double radius, double r2) {
    return 2 * sqrt(max0(radius * radius - r2));
}

/* Fluid: a meniscus, highest along the ribs, hiding the costophrenic angle. */
static double effusion_fill(const ark_anatomy *a, const ark_finding *f, const here *h) {
    double u = h->d / h->far;
    double angle = ark_dome_at(a, f->side, 0.97 * a->patient->half_width);
    double surface = angle - f->size * (0.45 + 0.55 * u * u * u);
    double soft = 0.012 + 0.22 * f->size;
    return f->strength * ark_smoothstep(surface - 0.3 * soft, surface + soft, h->y);
}

/* Free air between ribs and the collapsed lung: > 0 outside the pleural line, in units of the detector. */
static double pneumothorax_gap(const ark_anatomy *a, const ark_finding *f, const here *h) {
    double reach = a->dome_y[f->side] - a->patient->apex_y;
    double down = (h->y - a->patient->apex_y) / reach;
    double edge = h->far - (h->far - h->near) * f->size * (1.45 - 0.9 * down); // f->size halfway down
    double lateral = h->d - edge;
    double apical = a->patient->apex_y + (0.10 + 0.5 * f->size) * f->size * reach * 2 - h->y;
    double m = lateral > apical ? lateral : apical, soft = 0.07; // smooth maximum: a round collapsed apex
    double other = lateral > apical ? apical : lateral;
    double blend = max0(soft - (m - other)) / soft;
    return m + 0.25 * soft * blend * blend;
}

static double lobe_fill(const ark_anatomy *a, const ark_finding *f, const here *h) {
    double reach = a->dome_y[f->side] - a->patient->apex_y, c;
    double bottom = f->y + 0.5 * f->size, top = bottom - f->size;
    if (f->upper) { // a sharp fissure below, slightly sloping; fades upwards
        double fissure = bottom + 0.10 * (h->d - 0.2);
        c = ark_smoothstep(-0.006, 0.006, fissure - h->y) *
            ark_smoothstep(top - 0.3 * reach, top + 0.1 * reach, h->y);
    } else {
        c = ark_smoothstep(top - 0.06, top + 0.07, h->y);
    }
    return f->strength * c * (0.85 + 0.3 * (double)h->noise);
}

static double patch_fill(const ark_finding *f, const here *h) {
    double dx = h->x - f->x, dy = h->y - f->y, r = 0.5 * f->size;
    double e = 1 - (dx * dx + dy * dy) / (r * r);
    return f->strength * ark_smoothstep(-0.5, 1.2, e + 0.6 * (double)h->noise);
}

static void apply_round(ark_scene *s, const ark_finding *f, const here *h, size_t k) {
    double dx = h->x - f->x, dy = h->y - f->y, r2 = dx * dx + dy * dy, r = 0.5 * f->size;
    r *= 1 + 0.10 * (double)h->noise;
    if (f->kind == ARK_FINDING_NODULE) {
        s->extra.px[k] += (float)(1.5 * f->strength * chord(r, r2)); // partly calcified
        return;
    }
    double hole = 0.66 * r; // the wall of a cavity is a shell; air inside
    s->extra.px[k] +=
        (float)(f->strength * (1.25 * (chord(r, r2) - chord(hole, r2)) - 0.22 * chord(hole, r2)));
    double around = 0.30 * exp(-r2 / (2.2 * r * r)) * (0.5 + (double)h->noise);
    s->fill.px[k] = (float)(1 - (1 - (double)s->fill.px[k]) * (1 - max0(around)));
}

static void apply(ark_scene *s, const ark_anatomy *a, const ark_finding *f, const here *h, size_t k) {
    double fill = 0;
    switch (f->kind) {
    case ARK_FINDING_EFFUSION:
        fill = effusion_fill(a, f, h);
        break;
    case ARK_FINDING_CONSOLIDATION_LOBAR:
        fill = lobe_fill(a, f, h);
        break;
    case ARK_FINDING_CONSOLIDATION_PATCHY:
        fill = patch_fill(f, h);
        break;
    case ARK_FINDING_PNEUMOTHORAX: {
        double gap = pneumothorax_gap(a, f, h), soft = 1.0 / s->side;
        s->gas.px[k] = (float)ark_smoothstep(-soft, soft, gap);
        s->extra.px[k] += (float)(0.012 * exp(-pow(gap / (0.0022 + 0.5 * soft), 2))); // the visceral pleura
        fill = gap < 0 ? 0.12 * f->size : 0;                                          // the lung shrinks
        break;
    }
    case ARK_FINDING_NODULE:
    case ARK_FINDING_CAVITY:
        apply_round(s, f, h, k);
        return;
    case ARK_FINDING_CARDIOMEGALY: // is in the anatomy
    case ARK_FINDING_COUNT:
        return;
    }
    s->fill.px[k] = (float)(1 - (1 - (double)s->fill.px[k]) * (1 - (fill > 1 ? 1 : fill)));
}

void ark_scene_findings(ark_scene *s, const ark_anatomy *a) {
    const ark_exam *e = a->exam;
    int n = s->side;
    for (int j = 0; j < n && e->nfindings; j++) {
        for (int i = 0; i < n; i++) {
            size_t k = (size_t)j * (size_t)n + (size_t)i;
            if (s->air.px[k] <= 0) {
                continue;
            }
            ark_point b = ark_unproject(a, (i + 0.5) / n, (j + 0.5) / n);
            double x = b.x - 0.5 * ark_profile_at(&a->spine, b.y);
            here h = {.x = b.x, .y = b.y, .d = fabs(x), .side = x < 0 ? ARK_RIGHT : ARK_LEFT};
            h.near = ark_profile_at(&a->medial[h.side], h.y);
            h.far = ark_profile_at(&a->lateral[h.side], h.y);
            h.noise = ark_lattice_at(&s->lattice, (float)(22 * b.x + 300), (float)(22 * b.y + 300), 3);
            for (int q = 0; q < e->nfindings; q++) {
                if (e->findings[q].side == h.side) {
                    apply(s, a, &e->findings[q], &h, k);
                }
            }
        }
    }
}
