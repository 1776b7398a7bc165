#include "base/err.h"
#include "base/file.h"
#include "data/pack_priv.h"

#include <stdio.h>

typedef struct reading {
    ark_pack_report *report;
    const char *path;
} reading;

static ark_status visit(void *arg, const ark_mdb_item *item) {
    reading *r = arg;
    r->report->records++;
    r->report->bytes += item->len;
    if (ark__pack_check(r->path, item) != ARK_OK && r->report->damaged++ == 0) {
        snprintf(r->report->first, sizeof r->report->first, "%s", ark_err_msg());
    }
    return ARK_OK;
}

static ark_status verify(const ark_mdb *m, const char *dir, ark_pack_report *report) {
    reading r = {.report = report, .path = ark_mdb_path(m)};
    ark__pack_index x;
    ARK_TRY(ark__pack_index_read(m, true, &x));
    bool complete = x.complete, agrees = x.manifest == x.stored_manifest;
    report->images = x.there;
    ark__pack_index_free(&x);
    ARK_TRY(ark_mdb_walk(m, visit, &r));
    if (!complete) { /* opening it says what is missing */
        ark_pack *p;
        ARK_TRY(ark_pack_open(dir, &p));
        ark_pack_unref(p);
    }
    if (report->damaged == 0 && !agrees) {
        return ARK_ERR(ARK_EFORMAT, "%s: damaged: its records are not those it was finished with", r.path);
    }
    return ARK_OK;
}

ark_status ark_pack_verify(const char *dir, ark_pack_report *out) {
    ark_mdb *m;
    ark_pack_report report = {0};
    ARK_TRY(ark_mdb_open(dir, &m));
    ark_status st = verify(m, dir, &report);
    ark_mdb_close(m);
    ARK_TRY(st);
    *out = report;
    return ARK_OK;
}
