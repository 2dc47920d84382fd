#include "core/ternary.h"

// TQ1_0: 256 ternary weights, one scale.     x = d * q,  q in {-1, 0, 1}.     1.6875 bits per weight.
// A byte b holds five digits of base 3 (four in the last bytes), the first in the highest place, as ceil(256 n / 243):
// digit k is the upper byte of 3 * (b * 3^k mod 256). Weight i < 160: digit i / 32 of byte i % 32; i < 240: digit
// (i - 160) / 16 of byte 32 + i % 16; else digit (i - 240) / 4 of byte 48 + i % 4.
namespace quern {
namespace {

constexpr int kPowers[5] {1, 3, 9, 27, 81};

int digit(std::uint8_t byte, int k)
{
    return ((byte * kPowers[k] & 255) * 3 >> 8) - 1;
}

// Where a weight lies.
struct Place {
    int byte, digit;
};

Place placeOf(int i)
{
    if (i < 160)
        return {i % 32, i / 32};
    if (i < 240)
        return {32 + (i - 160) % 16, (i - 160) / 16};
    return {48 + (i - 240) % 4, (i - 240) / 4};
}

struct Block {
    std::uint8_t digits[52];
    Half d;

    static constexpr int kValues = 256, kGroup = 256;
    static constexpr bool kOffset = false;

    Grid grid(int) const { return {d, 0.0f}; }
    void unpack(std::int8_t* v) const
    {
        for (int i = 0; i < 160; ++i)
            v[i] = static_cast<std::int8_t>(digit(digits[i % 32], i / 32));
        for (int i = 0; i < 80; ++i)
            v[160 + i] = static_cast<std::int8_t>(digit(digits[32 + i % 16], i / 16));
        for (int i = 0; i < 16; ++i)
            v[240 + i] = static_cast<std::int8_t>(digit(digits[48 + i % 4], i / 4));
    }
    void set(int i, int v)
    {
        const Place place = placeOf(i);
        std::uint8_t& byte = digits[place.byte];
        int number = 0;
        for (int k = 0; k < 5; ++k)
            number = 3 * number + (k == place.digit ? v : digit(byte, k)) + 1;
        byte = byteOf(number);
    }
    void pack(const std::int8_t* v)
    {
        int numbers[52] {};
        for (int i = 0; i < kValues; ++i) {
            const Place place = placeOf(i);
            numbers[place.byte] += (v[i] + 1) * kPowers[4 - place.digit];
        }
        for (int i = 0; i < 52; ++i)
            digits[i] = byteOf(numbers[i]);
    }
    static int nearest(float t) { return static_cast<int>(roundedWithin(t, -1, 1)); }
    void fit(const Sample& sample) { d = fitTernary(sample); }
    void setParameters(const Grid& grid) { d = grid.scale; }

private:
    static std::uint8_t byteOf(int number) { return static_cast<std::uint8_t>((256 * number + 242) / 243); }
};
static_assert(sizeof(Block) == 54);

} // namespace

extern const BlockFormat tq1_0;
constinit const BlockFormat tq1_0 = formatOf<Block>("TQ1_0", 34, encodeBlocks<Block>);

} // namespace quern
