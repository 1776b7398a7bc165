/* The scene: all maps of one image, put together into the exponent of Beer's law. */
#include "synth/phantom.h"

#include "base/alloc.h"
#include "base/err.h"

#include <math.h>
#include <string.h>

/* Linear attenuation per detector side (40 cm) at about 70 keV: soft tissue 0.19 / cm;
 * bone adds 0.32 / cm. */
static const float MU_SOFT = 7.6f;
static const float MU_BONE = 12.8f;
static const float LUNG_DENSITY = 0.26f; /* of aerated lung, relative to soft tissue */

ark_status ark_scene_new(int side, ark_scene *s) {
    *s = (ark_scene){.side = side};
    ark_canvas *all[] = {&s->body, &s->air, &s->cover, &s->fill, &s->gas, &s->vessel, &s->bone, &s->extra,
        &s->exponent, &s->tmp};
    size_t n = (size_t)side * (size_t)side;
    ark_status st = ARK_OK;
    for (size_t i = 0; !st && i < sizeof all / sizeof all[0]; i++) {
        st = ark_canvas_new(side, all[i]);
    }
    uint8_t **masks[] = {&s->mask_lungs, &s->mask_heart, &s->mask_clavicles, &s->grey};
    for (size_t i = 0; !st && i < sizeof masks / sizeof masks[0]; i++) {
        st = ARK_NEW(masks[i], n, "image");
    }
    if (st) {
        ark_scene_free(s);
    }
    return st;
}

void ark_scene_free(ark_scene *s) {
    ark_canvas *all[] = {&s->body, &s->air, &s->cover, &s->fill, &s->gas, &s->vessel, &s->bone, &s->extra,
        &s->exponent, &s->tmp};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        ark_canvas_free(all[i]);
    }
    ark_free(s->mask_lungs);
    ark_free(s->mask_heart);
    ark_free(s->mask_clavicles);
    ark_free(s->grey);
    *s = (ark_scene){0};
}

/* Thickness maps -> exponent. Fluid and pus replace air; free air replaces lung and its vessels; larger
 * airways stay open inside a consolidation and show as dark branches (air bronchogram). */
static void combine(ark_scene *s) {
    size_t n = (size_t)s->side * (size_t)s->side;
    for (size_t k = 0; k < n; k++) {
        float fill = s->fill.px[k], gas = s->gas.px[k], air = s->air.px[k];
        float x = (float)(k % (size_t)s->side) / (float)s->side,
              y = (float)(k / (size_t)s->side) / (float)s->side;
        float mottle = air > 0 ? 1 + 0.05f * ark_lattice_at(&s->lattice, 70 * x, 70 * y, 2) : 1;
        float void_part = air * (1 - fill) * (gas + (1 - gas) * (1 - LUNG_DENSITY * mottle));
        float branches =
            s->vessel.px[k] * s->cover.px[k] * (1 - gas) * (1 - LUNG_DENSITY) * (1 - 1.9f * fill);
        float soft = s->body.px[k] - void_part + branches + s->extra.px[k];
        s->exponent.px[k] = MU_SOFT * (soft > 0 ? soft : 0) + MU_BONE * s->bone.px[k];
    }
}

void ark_scene_render(ark_scene *s, const ark_anatomy *a, const ark_synth_id *id) {
    ark_canvas *zero[] = {&s->fill, &s->gas, &s->vessel, &s->bone, &s->extra};
    for (size_t i = 0; i < sizeof zero / sizeof zero[0]; i++) {
        ark_canvas_fill(zero[i], 0);
    }
    ark_rng texture = ark_synth_rng(id, id->image, ARK_SYNTH_TEXTURE);
    ark_rng tree = ark_synth_rng(id, id->patient, ARK_SYNTH_VESSELS);
    ark_lattice_fill(&s->lattice, &texture);
    ark_scene_soft_tissue(s, a);
    ark_scene_airways(s, a);
    ark_scene_vessels(s, a, &tree);
    ark_scene_bones(s, a);
    if (a->exam->lines) {
        ark_scene_cables(s, a, &texture);
    }
    ark_scene_findings(s, a);
    combine(s);
}
