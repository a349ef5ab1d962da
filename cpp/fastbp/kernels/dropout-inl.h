// Dropout, and the generator of its numbers.
#pragma once

namespace fastbp {
namespace {

// Counter and key of Philox4x32 become its numbers in ten rounds. The constants are the
// authors'.
FASTBP_INLINE void philox_rounds(const PhiloxKey& key, Words (&x)[4]) {
  const Words multiplier_0 = all_words(0xD2511F53),
              multiplier_1 = all_words(0xCD9E8D57);
  Word32 key_0 = key.key_0, key_1 = key.key_1;
  FASTBP_UNROLL
  for (int round = 0; round < 10; ++round) {
    const WidePair product_0 = wide_product(x[0], multiplier_0);
    const WidePair product_1 = wide_product(x[2], multiplier_1);
    x[0] = product_1.high ^ x[1] ^ all_words(key_0);
    x[1] = product_1.low;
    x[2] = product_0.high ^ x[3] ^ all_words(key_1);
    x[3] = product_0.low;
    key_0 += 0x9E3779B9;  // the golden ratio
    key_1 += 0xBB67AE85;  // sqrt(3) - 1
  }
}

inline void philox(const PhiloxKey& key, const Word32* counters, Word32* words) {
  for (Index i = 0; i < kPhiloxCounters; i += Words::kLanes) {
    Words x[4] = {Words::load(counters + i), all_words(key.counter_1),
                  all_words(key.counter_2), all_words(key.counter_3)};
    philox_rounds(key, x);
    for (Index k = 0; k < 4; ++k) x[k].store(words + k * kPhiloxCounters + i);
  }
}

constexpr Index kPhiloxWords = 4 * kPhiloxCounters;
template <class T>
constexpr int kNumbersInOne = static_cast<int>(sizeof(T)) / 2;  // 16 bits each

// x * scale where the number, in the lowest 16 bits of `word`, is not below threshold.
template <class T>
Vec<T> dropped(Vec<T> x, Vec<T> word, Vec<T> bound, Vec<T> scale) {
  using V = Vec<T>;
  // As an integer in the low bits of 2^23 or 2^52, to be compared.
  const V number = bit_or(bit_and(word, V(from_word<T>(0xffff))), V(Format<T>::kUlp1));
  return select(less(number, bound), V(0), x * scale);
}

// The panels of one row whose numbers are in a line: the k-th of them, from the
// lowest bits of the integers.
template <class T, int k = 0>
FASTBP_INLINE void drop_line(const Dropout<T>& d, const T* line, Index n_panels,
                             const T* x, T* y) {
  using V = Vec<T>;
  if constexpr (k < kNumbersInOne<T>) {
    if (k >= n_panels) return;
    const V bound(Format<T>::kUlp1 + d.threshold), scale(d.scale);
    FASTBP_UNROLL
    for (int c = 0; c < kVecs<T>; ++c) {
      const Index lane = c * V::kLanes, at = k * kPanel<T> + lane;
      const V word = shift_right<16 * k>(V::load(line + lane));
      dropped(V::load(x + at), word, bound, scale).store(y + at);
    }
    drop_line<T, k + 1>(d, line, n_panels, x, y);
  }
}

template <class T>
void dropout(const Dropout<T>& d) {
  constexpr Index kBlockPanels = kDropoutColumns / kPanel<T>;
  alignas(kCacheLine) Word32 counters[kPhiloxCounters], words[kPhiloxWords];
  for (Index block = 0; block * kBlockPanels < d.n_panels; ++block) {
    for (Index i = 0; i < kPhiloxCounters; ++i)
      counters[i] = static_cast<Word32>(block * kPhiloxCounters + i);
    PhiloxKey key = d.key;
    for (Index r = 0; r < d.n_rows; ++r, ++key.counter_1) {
      philox(key, counters, words);
      for (Index k = 0; k < 4; ++k) {
        const Index panel = block * kBlockPanels + k * kNumbersInOne<T>;
        if (panel >= d.n_panels) break;
        const Index at = panel * kPanel<T>;
        const auto* line = reinterpret_cast<const T*>(words + k * kPhiloxCounters);
        drop_line<T>(d, line, d.n_panels - panel, d.x + r * d.x_stride + at,
                     d.y + r * d.y_stride + at);
      }
    }
  }
}

// Where the number of a column is: in which counter's which word, and how high.
struct NumberPlace {
  Word32 counter;
  Index word;
  int shift;
};
template <class T>
NumberPlace place_of_number(Index col) {
  constexpr Index kLineColumns = kDropoutColumns / 4;
  constexpr Index kWordsInOne = static_cast<Index>(sizeof(T)) / 4;
  const Index lane = col % kPanel<T>;
  const Index bits = 16 * (col % kLineColumns / kPanel<T>);
  const Index counter =
      col / kDropoutColumns * kPhiloxCounters + lane * kWordsInOne + bits / 32;
  return {static_cast<Word32>(counter), col % kDropoutColumns / kLineColumns,
          static_cast<int>(bits % 32)};
}

template <class T>
void sparse_dropout(const Dropout<T>& d, Entry<T>* entries, const Index* first,
                    const Index* last) {
  alignas(kCacheLine) Word32 counters[kPhiloxCounters] = {}, words[kPhiloxWords];
  PhiloxKey key = d.key;
  const auto threshold = static_cast<Word32>(d.threshold);
  for (Index r = 0; r < d.n_rows; ++r, ++key.counter_1) {
    for (Index e = first[r]; e < last[r]; e += kPhiloxCounters) {
      const Index n = last[r] - e < kPhiloxCounters ? last[r] - e : kPhiloxCounters;
      for (Index i = 0; i < n; ++i)
        counters[i] = place_of_number<T>(entries[e + i].col).counter;
      philox(key, counters, words);
      for (Index i = 0; i < n; ++i) {
        const NumberPlace place = place_of_number<T>(entries[e + i].col);
        const Word32 word = words[place.word * kPhiloxCounters + i] >> place.shift;
        T& value = entries[e + i].value;
        value = (word & 0xffff) < threshold ? T{0} : value * d.scale;
      }
    }
  }
}

}  // namespace
}  // namespace fastbp
