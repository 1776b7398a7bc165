/* window_attn: tasks are (chunk of windows, group of heads); the arithmetic of one window and head is
 * simd/attn.c. The heads of a token are neighbours in memory, so a task takes the heads of a window one after
 * another, and while one is computed the rows of the next are being fetched.
 *
 * In backward a chunk's sums for the bias table and for padding go to slots of its own,
 * and the slots are added in order. */
#include "backend/cpu/cpu.h"

#include <math.h>
#include <string.h>

enum { QKV, TABLE, BIAS, FWD_CHUNKS = 128, BWD_CHUNKS = 32, WANTED_TASKS = 64, GROUP_FLOATS = 1 << 17 };
enum { BWD_WINDOWS = 4 }; /* of a chunk, at least: the sums of its scores cost half a window to spread */

/* Which token sits where, in which region, for all windows of the grid; made once. */
typedef struct {
    int64_t heads, M, T, C, D, grid, windows;
    int64_t side; /* T rounded up to the level's lanes: a row of scores */
    bool padded;
    bool *mixed;           /* (windows): several mask regions */
    int32_t *token;        /* (windows,T) row of the grid, -1 for padding */
    int32_t *region;       /* (windows,T) */
    int32_t *bias_at;      /* (T,T) row of the table */
    int64_t max_group;     /* heads whose score gradients a thread can sum at a time */
    int64_t bias_floats;   /* relative bias of all heads, at the start of scratch */
    int64_t thread_floats; /* then one part per thread */
    int64_t slot_floats;   /* then (chunks,heads) slots: table column, then dq dk dv of padding */
} attention;

typedef struct {
    const ark_call *c;
    const ark_node *n;
    const attention *a;
    float *bias, *threads, *slots;
    int64_t chunks;
    int64_t group, groups; /* heads of a task, tasks of a window or chunk */
} job;

/* 0, 1, 2 along an axis whose padded length is `side`: cut at side - M and side - shift. */
static int strip(int64_t at, int64_t side, int64_t M, int64_t shift) {
    return at < side - M ? 0 : at < side - shift ? 1 : 2;
}

static void locate(const attention *a, const ark_node *n, int64_t H, int64_t W, int64_t window) {
    const int64_t M = a->M, shift = n->a.attn.shift;
    const int64_t Hp = ark_ceil_div(H, M) * M, Wp = ark_ceil_div(W, M) * M;
    int32_t *token = a->token + window * a->T, *region = a->region + window * a->side;
    a->mixed[window] = false;
    for (int64_t i = 0; i < a->T; i++) {
        int64_t y = window / (Wp / M) * M + i / M, x = window % (Wp / M) * M + i % M;
        token[i] = y < H && x < W ? (int32_t)((y + shift) % H * W + (x + shift) % W) : -1;
        region[i] = shift > 0 ? 3 * strip(y, Hp, M, shift) + strip(x, Wp, M, shift) : 0;
        a->mixed[window] |= region[i] != region[0];
    }
}

static int64_t to_lanes(const ark_simd *k, int64_t n) {
    return ark_ceil_div(n, k->lanes) * k->lanes;
}

static attention sizes(const ark_simd *k, const ark_node *n) {
    const int64_t *qkv = n->in[QKV]->dims;
    attention a = {.heads = n->a.attn.heads, .M = n->a.attn.window, .C = qkv[3] / 3, .grid = qkv[1] * qkv[2]};
    a.T = a.M * a.M;
    a.D = a.C / a.heads;
    a.windows = ark_ceil_div(qkv[1], a.M) * ark_ceil_div(qkv[2], a.M);
    a.padded = a.windows * a.T != a.grid;
    a.side = to_lanes(k, a.T);
    const int64_t table = (2 * a.M - 1) * (2 * a.M - 1), square = a.T * a.side;
    a.bias_floats = ark_simd_pad(a.heads * square);
    a.max_group = ark_max64(1, ark_min64(a.heads, GROUP_FLOATS / square));
    a.thread_floats = ark_attn_work(a.T, a.D) + ark_simd_pad(a.max_group * square);
    a.slot_floats = ark_simd_pad(table + 3 * a.D);
    return a;
}

/* One block: the struct, then its arrays. */
ark_status ark_cpu_window_attn_prepare(ark_dev *dev, ark_node *n, size_t *scratch) {
    attention a = sizes(ark_cpu_of(dev)->simd, n);
    const size_t places = (size_t)(a.windows * a.T), pairs = (size_t)(a.T * a.T);
    const size_t regions = (size_t)(a.windows * a.side);
    char *block = ark_calloc(
        1, sizeof a + (places + regions + pairs) * sizeof(int32_t) + (size_t)a.windows * sizeof(bool));
    if (!block) {
        return ARK_ERR(ARK_ENOMEM, "out of memory: %zu places of attention windows", places);
    }
    a.token = (int32_t *)(void *)(block + sizeof a);
    a.region = a.token + places;
    a.bias_at = a.region + regions;
    a.mixed = (bool *)(a.bias_at + pairs);
    for (int64_t w = 0; w < a.windows; w++) {
        locate(&a, n, n->in[QKV]->dims[1], n->in[QKV]->dims[2], w);
    }
    const int64_t M = a.M;
    for (int64_t i = 0; i < a.T; i++) {
        for (int64_t j = 0; j < a.T; j++) {
            a.bias_at[i * a.T + j] = (int32_t)((i / M - j / M + M - 1) * (2 * M - 1) + i % M - j % M + M - 1);
        }
    }
    memcpy(block, &a, sizeof a);
    n->priv = block;
    int64_t floats = a.bias_floats + a.thread_floats * dev->threads + BWD_CHUNKS * a.heads * a.slot_floats;
    *scratch = (size_t)floats * sizeof(float);
    return ARK_OK;
}

/* Spread the table of one head into (T,T) with padding columns that softmax turns into nothing. */
static void bias_task(void *ctx, int64_t head, int thread) {
    (void)thread;
    const job *j = ctx;
    const attention *a = j->a;
    const int64_t side = a->side;
    const float *table = ark_ptr(j->c, j->n->in[TABLE]);
    float *bias = j->bias + head * a->T * side;
    for (int64_t i = 0; i < a->T; i++) {
        for (int64_t k = 0; k < side; k++) {
            bias[i * side + k] = k < a->T ? table[a->bias_at[i * a->T + k] * a->heads + head] : -1e30f;
        }
    }
}

/* All heads in one task where there are chunks enough to go round. */
static void group_heads(job *j) {
    int64_t wanted = ark_ceil_div(WANTED_TASKS, j->chunks);
    j->group = ark_min64(ark_max64(1, j->a->heads / wanted), j->a->max_group);
    j->groups = ark_ceil_div(j->a->heads, j->group);
}

static job job_of(const ark_call *c, const ark_node *n) {
    const attention *a = n->priv;
    job j = {.c = c, .n = n, .a = a, .bias = c->scratch};
    j.threads = j.bias + a->bias_floats;
    j.slots = j.threads + a->thread_floats * c->dev->threads;
    ark_parallel(c->dev->threads, a->heads, bias_task, &j);
    return j;
}

static ark_attn_tile tile_of(const job *j, int64_t index, int64_t head, int thread) {
    const attention *a = j->a;
    const ark_tensor *qkv = j->n->in[QKV];
    int64_t sample = index / a->windows, window = index % a->windows, side = a->side;
    return (ark_attn_tile){
        .tokens = (int)a->T,
        .dim = (int)a->D,
        .ld_score = (int)side,
        .ld_dim = (int)to_lanes(ark_simd_of(j->c), a->D),
        .scale = (float)(1.0 / sqrt((double)a->D)),
        .dtype = qkv->dtype,
        .row = a->C,
        .column = head * a->D,
        .token = a->token + window * a->T,
        .region = a->mixed[window] ? a->region + window * side : NULL,
        .bias = j->bias + head * a->T * side,
        .qkv_bias = a->padded ? ark_ptr(j->c, j->n->in[BIAS]) : NULL,
        .qkv = ark_at(qkv, ark_ptr(j->c, qkv), sample * a->grid * 3 * a->C),
        .out = ark_at(qkv, ark_ptr(j->c, j->n->out), sample * a->grid * a->C),
        .work = j->threads + a->thread_floats * thread,
    };
}

static void fwd_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    const ark_simd *k = ark_simd_of(j->c);
    const int64_t chunk = task / j->groups, total = j->c->batch * j->a->windows;
    const int64_t head = task % j->groups * j->group, heads = ark_min64(j->group, j->a->heads - head);
    const int64_t from = ark_piece(total, j->chunks, chunk), to = ark_piece(total, j->chunks, chunk + 1);
    for (int64_t i = 0; i < (to - from) * heads; i++) {
        ark_attn_tile t = tile_of(j, from + i / heads, head + i % heads, thread);
        ark_attn_tile next =
            tile_of(j, ark_min64(from + (i + 1) / heads, to - 1), head + (i + 1) % heads, thread);
        t.next = &next;
        k->attn_forward(&t);
    }
}

ark_status ark_cpu_window_attn_fwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    j.chunks = ark_min64(FWD_CHUNKS, c->batch * j.a->windows);
    group_heads(&j);
    ark_parallel(c->dev->threads, j.chunks * j.groups, fwd_task, &j);
    return ARK_OK;
}

/* Tile of backward: window `index`, and where its sums go. */
static ark_attn_tile grad_tile(
    const job *j, int64_t index, int64_t head, int thread, float *dbias, float *slot) {
    const attention *a = j->a;
    ark_attn_tile t = tile_of(j, index, head, thread);
    int64_t first = index / a->windows * a->grid; /* row of the sample */
    t.dout = ark_at(j->n->out, ark_grad_ptr(j->c, j->n->out), first * a->C);
    if (j->n->want_grad[QKV]) {
        t.dqkv = ark_at(j->n->in[QKV], ark_grad_ptr(j->c, j->n->in[QKV]), first * 3 * a->C);
        t.acc = j->n->acc[QKV];
    }
    t.dbias = dbias;
    t.dqkv_bias = a->padded ? slot + (2 * a->M - 1) * (2 * a->M - 1) : NULL;
    return t;
}

static void bwd_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    const attention *a = j->a;
    const ark_simd *k = ark_simd_of(j->c);
    const int64_t chunk = task / j->groups, total = j->c->batch * a->windows;
    const int64_t head = task % j->groups * j->group, heads = ark_min64(j->group, a->heads - head);
    const int64_t from = ark_piece(total, j->chunks, chunk), to = ark_piece(total, j->chunks, chunk + 1);
    const int64_t side = a->side, square = a->T * side;
    float *slots = j->slots + (chunk * a->heads + head) * a->slot_floats;
    float *dbias = j->threads + a->thread_floats * thread + ark_attn_work(a->T, a->D);
    memset(slots, 0, (size_t)(heads * a->slot_floats) * sizeof *slots);
    memset(dbias, 0, (size_t)(heads * square) * sizeof *dbias);
    for (int64_t i = 0; i < (to - from) * heads; i++) {
        int64_t h = i % heads, n = (i + 1) % heads, after = ark_min64(from + (i + 1) / heads, to - 1);
        ark_attn_tile t =
            grad_tile(j, from + i / heads, head + h, thread, dbias + h * square, slots + h * a->slot_floats);
        ark_attn_tile next = grad_tile(j, after, head + n, thread, NULL, slots);
        t.next = &next;
        k->attn_backward(&t);
    }
    for (int64_t h = 0; h < heads; h++, slots += a->slot_floats, dbias += square) {
        for (int64_t i = 0; i < a->T; i++) {
            for (int64_t m = 0; m < a->T; m++) {
                slots[a->bias_at[i * a->T + m]] += dbias[i * side + m];
            }
        }
    }
}

/* Add the slots of one head in chunk order. */
static void reduce_task(void *ctx, int64_t head, int thread) {
    (void)thread;
    const job *j = ctx;
    const attention *a = j->a;
    const int64_t table = (2 * a->M - 1) * (2 * a->M - 1);
    float *dtable = j->n->want_grad[TABLE] ? ark_grad_ptr(j->c, j->n->in[TABLE]) : NULL;
    bool wants_bias = a->padded && j->n->want_grad[BIAS];
    float *dbias = wants_bias ? ark_grad_ptr(j->c, j->n->in[BIAS]) : NULL;
    for (int64_t chunk = 0; chunk < j->chunks; chunk++) {
        const float *slot = j->slots + (chunk * a->heads + head) * a->slot_floats;
        for (int64_t i = 0; dtable && i < table; i++) {
            dtable[i * a->heads + head] += slot[i];
        }
        for (int64_t i = 0; dbias && i < 3 * a->D; i++) {
            dbias[i / a->D * a->C + head * a->D + i % a->D] += slot[table + i];
        }
    }
}

ark_status ark_cpu_window_attn_bwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    j.chunks = ark_min64(BWD_CHUNKS, ark_ceil_div(c->batch * j.a->windows, BWD_WINDOWS));
    group_heads(&j);
    ark_parallel(c->dev->threads, j.chunks * j.groups, bwd_task, &j);
    ark_parallel(c->dev->threads, j.a->heads, reduce_task, &j);
    return ARK_OK;
}
