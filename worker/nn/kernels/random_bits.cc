#include "worker/nn/kernels/random_bits.h"

#include <immintrin.h>

namespace samovar {
namespace {

// A word of each counter, in the low half of 64 bits: what the high half holds does not matter. So the high half of a
// product is one shift away, and its low half none. Neither Eigen nor the compiler has this product.
#ifdef __AVX512F__
using Words = __m512i;
Words Broadcast(uint32_t word) { return _mm512_set1_epi64(word); }
Words Product(Words a, Words b) { return _mm512_mul_epu32(a, b); }
Words High(Words a) { return _mm512_srli_epi64(a, 32); }
Words Xor(Words a, Words b) { return _mm512_xor_si512(a, b); }
Words Xor(Words a, Words b, Words c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
Words Add(Words a, Words b) { return _mm512_add_epi64(a, b); }
Words Pair(Words low, Words high) { return _mm512_mask_shuffle_epi32(low, 0xAAAA, high, _MM_PERM_CCAA); }
Words FirstOfTwo(Words a, Words b) { return _mm512_unpacklo_epi64(a, b); }
Words SecondOfTwo(Words a, Words b) { return _mm512_unpackhi_epi64(a, b); }
// Counters 0, ... in an order that Store turns into theirs.
Words Places() { return _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7); }
void Store(uint32_t* to, Words a) { _mm512_storeu_si512(to, a); }
#elif defined(__AVX2__)
using Words = __m256i;
Words Broadcast(uint32_t word) { return _mm256_set1_epi64x(word); }
Words Product(Words a, Words b) { return _mm256_mul_epu32(a, b); }
Words High(Words a) { return _mm256_srli_epi64(a, 32); }
Words Xor(Words a, Words b) { return _mm256_xor_si256(a, b); }
Words Xor(Words a, Words b, Words c) { return Xor(Xor(a, b), c); }
Words Add(Words a, Words b) { return _mm256_add_epi64(a, b); }
Words Pair(Words low, Words high) { return _mm256_blend_epi32(low, _mm256_slli_epi64(high, 32), 0xAA); }
Words FirstOfTwo(Words a, Words b) { return _mm256_unpacklo_epi64(a, b); }
Words SecondOfTwo(Words a, Words b) { return _mm256_unpackhi_epi64(a, b); }
Words Places() { return _mm256_setr_epi64x(0, 2, 1, 3); }
void Store(uint32_t* to, Words a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a); }
#else
using Words = __m128i;
Words Broadcast(uint32_t word) { return _mm_set1_epi64x(word); }
Words Product(Words a, Words b) { return _mm_mul_epu32(a, b); }
Words High(Words a) { return _mm_srli_epi64(a, 32); }
Words Xor(Words a, Words b) { return _mm_xor_si128(a, b); }
Words Xor(Words a, Words b, Words c) { return Xor(Xor(a, b), c); }
Words Add(Words a, Words b) { return _mm_add_epi64(a, b); }
Words Pair(Words low, Words high) { return _mm_blend_epi16(low, _mm_slli_epi64(high, 32), 0xCC); }
Words FirstOfTwo(Words a, Words b) { return _mm_unpacklo_epi64(a, b); }
Words SecondOfTwo(Words a, Words b) { return _mm_unpackhi_epi64(a, b); }
Words Places() { return _mm_set_epi64x(1, 0); }
void Store(uint32_t* to, Words a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), a); }
#endif

constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;
// Counters of one vector.
constexpr int64_t kLanes = sizeof(Words) / sizeof(uint64_t);

uint32_t HighHalf(uint64_t product) { return static_cast<uint32_t>(product >> 32); }

// The four words of kLanes counters.
struct State {
  Words c0, c1, c2, c3;
};

// The first two rounds: of a counter's words only the first differs from its neighbours', and it comes to the others
// step by step.
State FirstRounds(uint64_t key, uint64_t counter_high, uint64_t counter_low) {
  const auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  const uint64_t product1 = uint64_t{kMultiplier1} * static_cast<uint32_t>(counter_high);
  const Words varying0 = Product(Broadcast(kMultiplier0), Add(Places(), Broadcast(static_cast<uint32_t>(counter_low))));
  const uint32_t c0 = HighHalf(product1) ^ HighHalf(counter_low) ^ k0;
  const auto c1 = static_cast<uint32_t>(product1);
  const Words c2 = Xor(High(varying0), Broadcast(HighHalf(counter_high) ^ k1));

  const uint64_t product0 = uint64_t{kMultiplier0} * c0;
  const Words varying1 = Product(Broadcast(kMultiplier1), c2);
  return {Xor(High(varying1), Broadcast(c1 ^ (k0 + kWeyl0))), varying1,
          Xor(varying0, Broadcast(HighHalf(product0) ^ (k1 + kWeyl1))), Broadcast(static_cast<uint32_t>(product0))};
}

// The keys of a round, in all lanes.
struct Keys {
  Words k0, k1;
};

void Round(const Keys& keys, State* s) {
  const Words product0 = Product(Broadcast(kMultiplier0), s->c0);
  const Words product1 = Product(Broadcast(kMultiplier1), s->c2);
  s->c0 = Xor(High(product1), s->c1, keys.k0);
  s->c1 = product1;
  s->c2 = Xor(High(product0), s->c3, keys.k1);
  s->c3 = product0;
}

void StoreState(const State& s, uint32_t* bits) {
  const Words first = Pair(s.c0, s.c1), second = Pair(s.c2, s.c3);
  Store(bits, FirstOfTwo(first, second));
  Store(bits + 2 * kLanes, SecondOfTwo(first, second));
}

}  // namespace

void RandomBits(uint64_t key, uint64_t counter_high, uint64_t counter_low, uint32_t* bits) {
  // Vectors that do not wait for each other.
  constexpr int kTogether = 4;
  Keys keys[kRounds];
  for (uint32_t round = 0; round < kRounds; ++round) {
    keys[round] = {Broadcast(static_cast<uint32_t>(key) + round * kWeyl0),
                   Broadcast(static_cast<uint32_t>(key >> 32) + round * kWeyl1)};
  }
  for (int64_t i = 0; i < kRandomCounters; i += kTogether * kLanes) {
    State states[kTogether];
    for (int j = 0; j < kTogether; ++j)
      states[j] = FirstRounds(key, counter_high, counter_low + static_cast<uint64_t>(i + j * kLanes));
    for (int round = 2; round < kRounds; ++round) {
      for (State& state : states) Round(keys[round], &state);
    }
    for (int j = 0; j < kTogether; ++j) StoreState(states[j], bits + 4 * (i + j * kLanes));
  }
}

}  // namespace samovar
