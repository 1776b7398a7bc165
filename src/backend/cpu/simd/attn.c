/* One head of one attention window, in float32 tiles that stay in the cache.
 *
 * Tiles are (T,ld_dim) or (T,ld_score) with zeros in the padding columns, so the products
 * run over whole vectors. Padding columns of the scores start from the bias' large
 * negative number and end as weights that count for nothing. */
#include "backend/cpu/simd/math.h"

/* dst (T,ld_dim) = scale * the head's columns of (grid,row_elems), padding tokens from `pad` (D) or zero. */
static void gather(float *dst, const ark_attn_tile *t, const void *base, int64_t row_elems, int64_t column,
    const float *pad, float scale) {
    for (int i = 0; i < t->tokens; i++) {
        float *row = dst + (int64_t)i * t->ld_dim;
        int64_t at = t->token[i] * row_elems + column;
        if (t->token[i] < 0) {
            for (int d = 0; d < t->dim; d++) {
                row[d] = pad ? scale * pad[d] : 0.0f;
            }
        } else if (t->dtype == ARK_F32) {
            const float *src = (const float *)base + at;
#pragma omp simd
            for (int d = 0; d < t->dim; d++) {
                row[d] = scale * src[d];
            }
        } else {
            const uint16_t *src = (const uint16_t *)base + at;
#pragma omp simd
            for (int d = 0; d < t->dim; d++) {
                row[d] = scale * ark_from_bits((int32_t)((uint32_t)src[d] << 16));
            }
        }
        for (int d = t->dim; d < t->ld_dim; d++) {
            row[d] = 0.0f;
        }
    }
}

/* The inverse of gather; padding tokens are left out. */
static void scatter(const float *src, const ark_attn_tile *t, void *base, int64_t row_elems, int64_t column,
    float scale, bool acc) {
    float line[1024];
    for (int i = 0; i < t->tokens; i++) {
        if (t->token[i] < 0) {
            continue;
        }
        const float *row = src + (int64_t)i * t->ld_dim;
        int64_t at = t->token[i] * row_elems + column;
        if (t->dtype == ARK_F32) {
            float *dst = (float *)base + at;
            if (acc) {
#pragma omp simd
                for (int d = 0; d < t->dim; d++) {
                    dst[d] += scale * row[d];
                }
            } else {
#pragma omp simd
                for (int d = 0; d < t->dim; d++) {
                    dst[d] = scale * row[d];
                }
            }
            continue;
        }
        uint16_t *dst = (uint16_t *)base + at;
        for (int d0 = 0; d0 < t->dim; d0 += 1024) {
            int n = t->dim - d0 < 1024 ? t->dim - d0 : 1024;
            for (int d = 0; d < n; d++) {
                line[d] = scale * row[d0 + d];
            }
            if (acc) {
                for (int d = 0; d < n; d++) {
                    line[d] += ark_from_bits((int32_t)((uint32_t)dst[d0 + d] << 16));
                }
            }
            ARK_FN(narrow)(dst + d0, line, n);
        }
    }
}

/* dst (D,ld_score) = src (T,ld_dim) transposed, zeros in the padding columns. */
static void transposed(float *dst, const float *src, const ark_attn_tile *t) {
    ARK_FN(transpose)(dst, t->ld_score, src, t->ld_dim, t->tokens, t->dim);
    for (int d = 0; d < t->dim; d++) {
        for (int j = t->tokens; j < t->ld_score; j++) {
            dst[(int64_t)d * t->ld_score + j] = 0.0f;
        }
    }
}

/* Scores of one row get bias and, where region is given, mask; returns the largest. */
ARK_INLINE float add_bias(
    float *restrict row, const float *restrict bias, const int32_t *restrict region, int32_t mine, int n) {
    if (region) {
#pragma omp simd
        for (int j = 0; j < n; j++) {
            row[j] += region[j] == mine ? 0.0f : -100.0f;
        }
    }
    int32_t top = INT32_MIN;
#pragma omp simd reduction(max : top)
    for (int j = 0; j < n; j++) {
        float s = row[j] + bias[j];
        row[j] = s;
        int32_t rank = ark_rank(ark_to_bits(s));
        top = rank > top ? rank : top;
    }
    return ark_from_bits(ark_rank(top));
}

/* p (T,ld_score): raw scores in, attention weights out. */
static void softmax_rows(float *p, const ark_attn_tile *t) {
    const int n = t->ld_score;
    for (int i = 0; i < t->tokens; i++) {
        float *row = p + (int64_t)i * n;
        const float *bias = t->bias + (int64_t)i * n;
        float top = add_bias(row, bias, t->region, t->region ? t->region[i] : 0, n);
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (int j = 0; j < n; j++) {
            float e = ark_exp(row[j] - top);
            row[j] = e;
            sum += e;
        }
        float inverse = 1.0f / sum;
#pragma omp simd
        for (int j = 0; j < n; j++) {
            row[j] *= inverse;
        }
    }
}

/* Gathers q (scaled), k, v and computes the weights p. kt is workspace (D,ld_score). */
static void weights(const ark_attn_tile *t, float *q, float *k, float *v, float *kt, float *p) {
    const float *pad = t->qkv_bias;
    const int64_t c = t->row, h = t->column;
    gather(q, t, t->qkv, 3 * c, h, pad ? pad + h : NULL, t->scale);
    gather(k, t, t->qkv, 3 * c, c + h, pad ? pad + c + h : NULL, 1.0f);
    gather(v, t, t->qkv, 3 * c, 2 * c + h, pad ? pad + 2 * c + h : NULL, 1.0f);
    transposed(kt, k, t);
    ARK_FN(gemm)(p, t->ld_score, q, t->ld_dim, 1, kt, t->ld_score, t->tokens, t->ld_score, t->dim, false);
    softmax_rows(p, t);
}

/* Ask for the lines of one operand's rows. Inline, because gcc 12 takes a function that only prefetches for one
 * without effects and drops every call of it. */
ARK_INLINE void fetch(const ark_attn_tile *t, const void *base, int64_t row_elems, int64_t column) {
    const int64_t size = (int64_t)ark_dtype_bytes(t->dtype), bytes = t->dim * size;
    for (int i = 0; i < t->tokens; i++) {
        if (t->token[i] >= 0) {
            const char *row = (const char *)base + (t->token[i] * row_elems + column) * size;
            for (int64_t b = 0; b < bytes; b += 64) {
                __builtin_prefetch(row + b, 0, 2);
            }
        }
    }
}

void ARK_FN(attn_fetch)(const ark_attn_tile *t) {
    for (int part = 0; part < 3; part++) {
        fetch(t, t->qkv, 3 * t->row, part * t->row + t->column);
    }
    if (t->dout) {
        fetch(t, t->dout, t->row, t->column);
    }
}

void ARK_FN(attn_forward)(const ark_attn_tile *t) {
    const int64_t rows = t->tokens * (int64_t)t->ld_dim;
    float *q = t->work, *k = q + rows, *v = k + rows;
    float *kt = v + rows, *p = kt + (int64_t)t->dim * t->ld_score;
    weights(t, q, k, v, kt, p);
    ARK_FN(gemm)(q, t->ld_dim, p, t->ld_score, 1, v, t->ld_dim, t->tokens, t->ld_dim, t->tokens, false);
    scatter(q, t, t->out, t->row, t->column, 1.0f, false);
}

/* dp -> gradient of the scores, p (dp - sum_j p dp), in place. */
static void softmax_rows_grad(float *dp, const float *p, const ark_attn_tile *t) {
    const int n = t->ld_score;
    for (int i = 0; i < t->tokens; i++) {
        float *d = dp + (int64_t)i * n;
        const float *w = p + (int64_t)i * n;
        float dot = 0.0f;
#pragma omp simd reduction(+ : dot)
        for (int j = 0; j < n; j++) {
            dot += d[j] * w[j];
        }
#pragma omp simd
        for (int j = 0; j < n; j++) {
            d[j] = w[j] * (d[j] - dot);
        }
    }
}

/* What padding tokens received is the gradient of the bias that stood in for them. */
static void pad_grad(float *dbias, const float *grad, const ark_attn_tile *t, float scale) {
    for (int i = 0; i < t->tokens; i++) {
        if (t->token[i] < 0) {
            for (int d = 0; d < t->dim; d++) {
                dbias[d] += scale * grad[(int64_t)i * t->ld_dim + d];
            }
        }
    }
}

void ARK_FN(attn_backward)(const ark_attn_tile *t) {
    const int T = t->tokens, S = t->ld_score, L = t->ld_dim;
    const int64_t rows = T * (int64_t)L, turned = t->dim * (int64_t)S;
    float *q = t->work, *k = q + rows, *v = k + rows, *dout = v + rows;
    float *dq = dout + rows, *dk = dq + rows, *dv = dk + rows;
    float *kt = dv + rows, *vt = kt + turned;
    float *p = vt + turned, *ds = p + T * (int64_t)S;
    weights(t, q, k, v, kt, p);
    gather(dout, t, t->dout, t->row, t->column, NULL, 1.0f);
    transposed(vt, v, t);
    ARK_FN(gemm)(ds, S, dout, L, 1, vt, S, T, S, t->dim, false); /* dp = dout v^T */
    softmax_rows_grad(ds, p, t);
    if (t->dbias) {
        ARK_FN(add)(t->dbias, ds, T * (int64_t)S);
    }
    if (!t->dqkv && !t->dqkv_bias) {
        return;
    }
    ARK_FN(gemm)(dv, L, p, 1, S, dout, L, T, L, T, false); /* p^T dout */
    ARK_FN(gemm)(dq, L, ds, S, 1, k, L, T, L, T, false);   /* ds k, times the scale below */
    ARK_FN(gemm)(dk, L, ds, 1, S, q, L, T, L, T, false);   /* ds^T q; q is scaled already */
    if (t->dqkv) {
        scatter(dq, t, t->dqkv, 3 * t->row, t->column, t->scale, t->acc);
        scatter(dk, t, t->dqkv, 3 * t->row, t->row + t->column, 1.0f, t->acc);
        scatter(dv, t, t->dqkv, 3 * t->row, 2 * t->row + t->column, 1.0f, t->acc);
    }
    if (t->dqkv_bias) {
        pad_grad(t->dqkv_bias, dq, t, t->scale);
        pad_grad(t->dqkv_bias + t->dim, dk, t, 1.0f);
        pad_grad(t->dqkv_bias + 2 * t->dim, dv, t, 1.0f);
    }
}
