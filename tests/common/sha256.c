#include "common/sha256.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t rotate(uint32_t x, int by) {
    return x >> by | x << (32 - by);
}

/* First 32 bits of the fractional part of the root of the nth prime: square roots start, cube roots mix. */
static uint32_t fraction(int n, int degree) {
    int prime = 2;
    for (int found = 0; found < n; found++) {
        int divisor;
        do {
            prime++;
            for (divisor = 2; prime % divisor; divisor++) {
            }
        } while (divisor < prime);
    }
    /* bisection in 128 bits: the largest x with x^degree <= prime * 2^(32 degree) */
    unsigned __int128 low = 0, high = (unsigned __int128)1 << 37;
    while (high - low > 1) {
        unsigned __int128 mid = (low + high) / 2, power = mid * mid;
        power = degree == 3 ? power * mid : power;
        if (power <= (unsigned __int128)prime << 32 * degree) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return (uint32_t)low;
}

static void block(const uint8_t *p, const uint32_t *k, uint32_t *state) {
    uint32_t w[64], s[8];
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        if (i < 16) {
            w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 |
                   p[4 * i + 3];
        } else {
            uint32_t a = w[i - 15], b = w[i - 2];
            w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
                   (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
        }
        uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
        uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        uint32_t t1 = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) + choice + k[i] + w[i];
        uint32_t t2 = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) + majority;
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) {
        state[i] += s[i];
    }
}

void ark_test_sha256(const void *bytes, size_t n, char hex[65]) {
    uint32_t k[64], state[8];
    for (int i = 0; i < 64; i++) {
        k[i] = fraction(i, 3);
        state[i % 8] = i < 8 ? fraction(i, 2) : state[i % 8];
    }
    const uint8_t *p = bytes;
    size_t left = n;
    for (; left >= 64; left -= 64, p += 64) {
        block(p, k, state);
    }
    uint8_t tail[128] = {0};
    size_t size = left < 56 ? 64 : 128;
    memcpy(tail, p, left);
    tail[left] = 0x80;
    for (int i = 0; i < 8; i++) {
        tail[size - 1 - (size_t)i] = (uint8_t)((uint64_t)n * 8 >> 8 * i);
    }
    for (size_t at = 0; at < size; at += 64) {
        block(tail + at, k, state);
    }
    for (int i = 0; i < 8; i++) {
        snprintf(hex + 8 * i, 9, "%08x", state[i]);
    }
}
