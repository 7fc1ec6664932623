// Fused kernels for search networks on a CPU, built by nas_lightning/networks/native.py.
//
// Images lie channels last: (N, H, W, C) in memory. Every sum over images is taken image by image
// and then over the images in order, so that no bit depends on the number of threads.
// A stage is an entry (scale and shift per channel, ReLU), a depthwise and a 1x1 convolution. Its
// gradient enters as a * grad + b * y + c, three numbers per channel, as that of BatchNorm is.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

using Int = std::int64_t;

namespace {

struct Shape {  // of a stage: images (n, h, w, c) to (n, oh, ow, co), kernels (c, 1, kh, kw)
    Int n, h, w, c, oh, ow, co, kh, kw, stride, dilation, threads;
    Int ph() const { return dilation * (kh - 1) / 2; }
    Int pw() const { return dilation * (kw - 1) / 2; }
    Int taps() const { return kh * kw; }
    Int padded() const { return (h + 2 * ph()) * (w + 2 * pw()); }
};

template <typename T, int L> struct Lanes {
    typedef T type __attribute__((vector_size(L * sizeof(T)), aligned(alignof(T)), may_alias));
};
template <typename T, int L> using Vec = typename Lanes<T, L>::type;
template <typename T, int L> using Numbers = decltype(Vec<T, L>{} > Vec<T, L>{});  // whole ones
template <typename T, int L> using Number = std::decay_t<decltype(Numbers<T, L>{}[0])>;

template <int L, typename T> inline Vec<T, L> load(const T* p) {
    return *reinterpret_cast<const Vec<T, L>*>(p);
}
template <int L, typename T> inline void store(T* p, Vec<T, L> v) {
    *reinterpret_cast<Vec<T, L>*>(p) = v;
}

// Calls f with the first and the width of each block of channels: a register's, halves to 4, 1.
#ifdef __AVX512F__
constexpr int BYTES = 64;
#else
constexpr int BYTES = 32;
#endif
template <int L> struct Width {};
template <int L, typename F> inline void blocks_of(Int c, Int channels, F&& f) {
    for (; c + L <= channels; c += L) f(c, Width<L>());
    if constexpr (L > 1) blocks_of<(L > 4 ? L / 2 : 1)>(c, channels, f);
}
template <typename T, typename F> inline void blocks(Int channels, F&& f) {
    blocks_of<BYTES / int(sizeof(T))>(0, channels, f);
}

template <typename F> void in_parallel(Int n, Int threads, F&& f) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (Int i = 0; i < n; ++i) f(i);
}

// Memory of a thread, kept between calls (anew it costs page faults), at the start of a cache line.
template <typename T> T* scratch(int which, Int size) {
    struct alignas(64) Line { T of[64 / sizeof(T)]; };
    thread_local std::vector<Line> kept[8];
    kept[which].resize(std::max<std::size_t>(kept[which].size(), size * sizeof(T) / 64 + 1));
    return kept[which][0].of;
}

// How a stage reads its images: x * scale + shift (where there is a scale), then ReLU.
template <typename T> struct Entry {
    const T *scale, *shift;
    Entry(const T* numbers, Int c)  // of a BatchNorm, or null
        : scale(numbers ? numbers + 2 * c : nullptr), shift(numbers ? scale + c : nullptr) {}
    template <int L> Vec<T, L> operator()(const T* x, Int c) const {
        Vec<T, L> v = load<L>(x);
        if (scale) v = v * load<L>(scale + c) + load<L>(shift + c);
        return v > T(0) ? v : Vec<T, L>{};
    }
};

// Copies the channels of a block into the middle of zeros, spread by `stride`.
template <int L, typename T, typename Read>
void pad(T* to, const Shape& s, Int h, Int w, Int stride, Int pixel, const T* from,
         const Read& read) {
    const Int row = (s.w + 2 * s.pw()) * L, edge = s.pw() * L, top = s.ph() * row + edge;
    T* const end = to + s.padded() * L;
    std::fill(to, stride > 1 ? end : to + top, T(0));
    for (Int y = 0; y < h; ++y, from += w * pixel) {
        T* out = to + top + y * stride * row;
        for (Int x = 0; x < w; ++x) store<L>(out + x * stride * L, read(from + x * pixel));
        if (stride == 1) std::fill_n(out + w * L, y + 1 < h ? 2 * edge : end - (out + w * L), T(0));
    }
}

// R neighbouring outputs of a depthwise convolution of padded images. Kernels of side K, taps D
// apart, at stride S are known to the compiler, which keeps in registers what taps share; 0 is any.
template <int L, int R, int K, int D, int S, typename T>
inline void depthwise_run(const T* in, Int row, const T* kernel, const Shape& s, Int stride, T* out,
                          Int pixel) {
    const Int kh = K ? K : s.kh, kw = K ? K : s.kw, d = D ? D : s.dilation, step = S ? S : stride;
    Vec<T, L> acc[R];
    std::fill_n(acc, R, Vec<T, L>{});
    for (Int i = 0; i < kh; ++i) {
        const T* line = in + i * d * row;
#pragma GCC unroll 8
        for (Int j = 0; j < kw; ++j) {
            const Vec<T, L> tap = load<L>(kernel + (i * kw + j) * L);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) acc[r] += tap * load<L>(line + (r * step + j * d) * L);
        }
    }
    for (int r = 0; r < R; ++r) store<L>(out + r * pixel, acc[r]);
}

template <int L, int K, int D, int S, typename T>
void depthwise_row(const T* in, Int row, const T* kernel, const Shape& s, Int stride, Int ow,
                   T* out, Int pixel) {
    blocks_of<8>(0, ow, [&]<int R>(Int x, Width<R>) {
        const T* first = in + x * stride * L;
        depthwise_run<L, R, K, D, S>(first, row, kernel, s, stride, out + x * pixel, pixel);
    });
}

// A depthwise convolution of padded images, to rows `line` apart; done(y, row) is told of each.
template <int L, typename T, typename Done>
void depthwise(const T* padded, const T* kernel, const Shape& s, Int oh, Int ow, Int stride, T* out,
               Int line, Int pixel, const Done& done) {
    const Int row = (s.w + 2 * s.pw()) * L;
    const Int k = s.kh == s.kw && stride == 1 ? s.kw * 10 + s.dilation : 0;
    const auto run = k == 31 ? depthwise_row<L, 3, 1, 1, T>
                   : k == 32 ? depthwise_row<L, 3, 2, 1, T>
                   : k == 51 ? depthwise_row<L, 5, 1, 1, T>
                   : k == 52 ? depthwise_row<L, 5, 2, 1, T> : depthwise_row<L, 0, 0, 0, T>;
    for (Int y = 0; y < oh; ++y) {
        run(padded + y * stride * row, row, kernel, s, stride, ow, out + y * line, pixel);
        done(y, out + y * line);
    }
}

// Sets in sums (taps, L) the gradient of I rows of J taps of the kernel.
template <int L, int I, int J, typename T>
inline void gradient_part(const T* padded, const T* grad, Int pixel, const Shape& s, Int i, Int j,
                          T* sums) {
    const Int row = (s.w + 2 * s.pw()) * L, d = s.dilation;
    Vec<T, L> acc[I][J] = {};
    for (Int y = 0; y < s.oh; ++y) {
        const T* in = padded + (y * s.stride + i * d) * row + j * d * L;
        const T* g = grad + y * s.ow * pixel;
        for (Int x = 0; x < s.ow; ++x) {
            const Vec<T, L> each = load<L>(g + x * pixel);
            const T* first = in + x * s.stride * L;
            for (int q = 0; q < I; ++q)
                for (int r = 0; r < J; ++r)
                    acc[q][r] += each * load<L>(first + q * d * row + r * d * L);
        }
    }
    for (int q = 0; q < I; ++q)
        for (int r = 0; r < J; ++r) store<L>(sums + ((i + q) * s.kw + j + r) * L, acc[q][r]);
}

template <int L, typename T>
void kernel_gradient(const T* padded, const T* grad, Int pixel, const Shape& s, T* sums) {
    for (Int i = 0, rows; i < s.kh; i += rows) {
        rows = s.kw == 3 && i + 3 <= s.kh ? 3 : s.kw == 5 && i + 2 <= s.kh ? 2 : 1;
        const auto run = rows == 3 ? gradient_part<L, 3, 3, T>
                       : rows == 2 ? gradient_part<L, 2, 5, T>
                       : s.kw == 5 ? gradient_part<L, 1, 5, T> : gradient_part<L, 1, 1, T>;
        for (Int j = 0; j < (rows > 1 || s.kw == 5 ? 1 : s.kw); ++j)
            run(padded, grad, pixel, s, i, j, sums);
    }
}

// R rows, B blocks wide, of a product: row r is the sum over i of its factor i times line i. The
// factors of a row lie side by side, or those of a line, and the others `stride` apart.
template <int L, int R, int B, bool BY_ROW, typename T>
inline void product_run(const T* factors, Int stride, const T* lines, Int line, Int count, T* out,
                        Int row) {
    Vec<T, L> acc[R][B];  // {} would clear them in memory, though they are in registers
    for (auto& block : acc) std::fill_n(block, B, Vec<T, L>{});
#pragma GCC unroll 4
    for (Int i = 0; i < count; ++i)
        for (int b = 0; b < B; ++b) {
            const Vec<T, L> each = load<L>(lines + i * line + b * L);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r)
                acc[r][b] += each * (BY_ROW ? factors[r * stride + i] : factors[i * stride + r]);
        }
    for (int r = 0; r < R; ++r)
        for (int b = 0; b < B; ++b) store<L>(out + r * row + b * L, acc[r][b]);
}

template <bool BY_ROW, typename T>
void product(const T* factors, Int stride, const T* lines, Int count, T* out, Int rows,
             Int columns) {
    constexpr int W = BYTES / int(sizeof(T));
    const auto part = [&]<int L, int B>(Int c, Width<L>, Width<B>) {
        blocks_of<8>(0, rows, [&]<int R>(Int q, Width<R>) {
            product_run<L, R, B, BY_ROW>(factors + q * (BY_ROW ? stride : 1), stride, lines + c,
                                         columns, count, out + q * columns + c, columns);
        });
    };
    Int c = 0;
    for (; c + 2 * W <= columns; c += 2 * W) part(c, Width<W>(), Width<2>());
    blocks_of<W>(c, columns, [&]<int L>(Int at, Width<L> width) { part(at, width, Width<1>()); });
}

// The kernels (c, 1, kh, kw) of a block as (taps, L), flipped or not.
template <int L, typename T>
void kernel_lanes(const T* weight, Int c, const Shape& s, bool flipped, T* out) {
    for (Int t = 0, taps = s.taps(); t < taps; ++t)
        for (int l = 0; l < L; ++l)
            out[t * L + l] = weight[(c + l) * taps + (flipped ? taps - 1 - t : t)];
}

// Sums (n, size) over images, in order.
template <typename T> void sum_images(const T* parts, Int n, Int size, T* out) {
    std::copy(parts, parts + size, out);
    for (Int i = 1; i < n; ++i)
        for (Int j = 0; j < size; ++j) out[j] += parts[i * size + j];
}

// The gradient (c, 1, kh, kw) of parts (n, taps * c), blocks of channels apart.
template <typename T> void kernel_sums(const T* parts, const Shape& s, T* to_wide) {
    const Int taps = s.taps();
    std::vector<T> sums(taps * s.c);
    sum_images(parts, s.n, taps * s.c, sums.data());
    blocks<T>(s.c, [&]<int L>(Int c, Width<L>) {
        for (Int t = 0; t < taps; ++t)
            for (int l = 0; l < L; ++l) to_wide[(c + l) * taps + t] = sums[c * taps + t * L + l];
    });
}

template <typename V> double four(const V* v, int l) {
    return double(v[0][l]) + v[1][l] + v[2][l] + v[3][l];
}

// Calls f with each of p pixels and one of four sums for it, which stay in registers.
template <typename F> inline void by_fours(Int p, F&& f) {
    Int q = 0;
    for (; q + 4 <= p; q += 4) { f(q, 0); f(q + 1, 1); f(q + 2, 2); f(q + 3, 3); }
    for (; q < p; ++q) f(q, 0);
}

// Mean, and sum of squared deviations from it, per channel of image i of n, into (2, n, C).
template <typename T>
void image_moments(const T* y, Int n, Int i, Int p, Int channels, double* parts) {
    double *mean = parts + i * channels, *squares = mean + n * channels;
    blocks<T>(channels, [&]<int L>(Int c, Width<L>) {
        Vec<T, L> sums[4] = {}, middle;
        by_fours(p, [&](Int q, int r) { sums[r] += load<L>(y + q * channels + c); });
        middle = ((sums[0] + sums[1]) + (sums[2] + sums[3])) / T(p);
        Vec<T, L> around[4] = {}, off[4] = {};
        by_fours(p, [&](Int q, int r) {
            const Vec<T, L> d = load<L>(y + q * channels + c) - middle;
            around[r] += d * d, off[r] += d;
        });
        for (int l = 0; l < L; ++l) {
            const double rest = four(off, l) / p;
            mean[c + l] = middle[l] + rest;
            squares[c + l] = four(around, l) - p * rest * rest;
        }
    });
}

// BatchNorm's numbers (5, C) of images' moments: mean, 1 / std, scale and shift, and the variance
// that running statistics take.
template <typename T>
void finish_moments(const double* mean, Int n, Int p, Int channels, double eps, T* out) {
    const double* squares = mean + n * channels;
    for (Int c = 0; c < channels; ++c) {
        double middle = 0, total = 0;
        for (Int i = 0; i < n; ++i) middle += mean[i * channels + c] / n;
        for (Int i = 0; i < n; ++i) {
            const double d = mean[i * channels + c] - middle;
            total += squares[i * channels + c] + p * d * d;
        }
        const double inverse = 1.0 / std::sqrt(std::max(total, 0.0) / (n * p) + eps);
        const double var = std::max(total, 0.0) / std::max<Int>(1, n * p - 1);
        const double numbers[5] = {middle, inverse, inverse, -middle * inverse, var};
        for (int k = 0; k < 5; ++k) out[k * channels + c] = T(numbers[k]);
    }
}

template <typename T>
void moments(Int n, Int p, Int channels, const T* y, double eps, Int threads, T* out) {
    std::vector<double> parts(2 * n * channels);
    in_parallel(n, threads, [&](Int i) {
        image_moments(y + i * p * channels, n, i, p, channels, parts.data());
    });
    finish_moments(parts.data(), n, p, channels, eps, out);
}

// A stage to run: y = 1x1(depthwise(entry(x))), and BatchNorm's numbers of y. x is read as it is,
// or normalised by `before`, the numbers of what gave it.
template <typename T> struct Stage {
    Shape s;
    const T *x, *before, *wide, *point;
    T *y, *numbers;
};

template <typename T>
void run_image(const Stage<T>& job, Int i, const T* turned, double* parts) {
    const Shape& s = job.s;
    const Int p = s.oh * s.ow, most = BYTES / Int(sizeof(T));
    const Entry<T> entry(job.before, s.c);
    T *padded = scratch<T>(0, s.padded() * most), *kernel = scratch<T>(1, s.taps() * most);
    T* middle = scratch<T>(2, p * s.c);
    blocks<T>(s.c, [&]<int L>(Int c, Width<L>) {
        pad<L>(padded, s, s.h, s.w, 1, s.c, job.x + i * s.h * s.w * s.c + c,
               [&](const T* from) { return entry.template operator()<L>(from, c); });
        kernel_lanes<L>(job.wide, c, s, false, kernel);
        depthwise<L>(padded, kernel, s, s.oh, s.ow, s.stride, middle + c, s.ow * s.c, s.c,
                     [](Int, const T*) {});
    });
    T* out = job.y + i * p * s.co;
    product<true>(middle, s.c, turned, s.c, out, p, s.co);
    image_moments(out, s.n, i, p, s.co, parts);
}

// Runs stages image by image: what stages share of an image stays near.
template <typename T> void stages(Int num, const Stage<T>* jobs, double eps) {
    const Int n = jobs[0].s.n, threads = jobs[0].s.threads;
    std::vector<std::vector<double>> parts;
    std::vector<std::vector<T>> turned;
    for (Int k = 0; k < num; ++k) {
        const Int c = jobs[k].s.c, co = jobs[k].s.co;
        parts.emplace_back(2 * n * co), turned.emplace_back(c * co);
        for (Int j = 0; j < c; ++j)
            for (Int q = 0; q < co; ++q) turned[k][j * co + q] = jobs[k].point[q * c + j];
    }
    in_parallel(n, threads, [&](Int i) {
        for (Int k = 0; k < num; ++k) run_image(jobs[k], i, turned[k].data(), parts[k].data());
    });
    for (Int k = 0; k < num; ++k) {
        const Shape& s = jobs[k].s;
        finish_moments(parts[k].data(), n, s.oh * s.ow, s.co, eps, jobs[k].numbers);
    }
}

// Numbers a, b, c (3, C) such that a * g + b * y + c is the gradient of y before BatchNorm, of the
// sums (2, C) of g and of g * (y - mean), g being the gradient of what BatchNorm gives.
template <typename T>
void norm_gradient(const double* sums, const T* numbers, Int channels, double count, T* out) {
    for (Int c = 0; c < channels; ++c) {
        const double mean = numbers[c], inverse = numbers[channels + c];
        const double b = -inverse * inverse * inverse * sums[channels + c] / count;
        out[c] = T(inverse);
        out[channels + c] = T(b);
        out[2 * channels + c] = T(-inverse * sums[c] / count - b * mean);
    }
}

// out (P, C) = a * grad + b * y + c.
template <typename T>
void line_of(Int p, Int channels, const T* grad, const T* y, const T* in, T* out) {
    blocks<T>(channels, [&]<int L>(Int c, Width<L>) {
        const Vec<T, L> a = load<L>(in + c), b = load<L>(in + channels + c);
        const Vec<T, L> d = load<L>(in + 2 * channels + c);
        for (Int at = c; at < p * channels; at += channels)
            __builtin_prefetch(y + at + 1024),  // else it would be waited for
            store<L>(out + at, a * load<L>(grad + at) + b * load<L>(y + at) + d);
    });
}

struct Pool {  // of images (n, h, w, c) to (n, oh, ow, c), by a window of odd side `kernel`
    Int n, h, w, c, oh, ow, kernel, stride, is_max, threads;
    // Which tap of the window around output a, b a pixel i, j is.
    Int tap(Int i, Int j, Int a, Int b) const { return (i - a * stride) * kernel + j - b * stride; }
};

// The pixels of `size` under the window of an output, and the outputs whose windows hold a pixel.
struct Range {
    Int first, last;
    static Range under(Int at, const Pool& s, Int size) {
        const Int middle = at * s.stride, reach = s.kernel / 2;
        return {std::max<Int>(0, middle - reach), std::min(size - 1, middle + reach)};
    }
    static Range over(Int at, const Pool& s, Int size) {
        const Int reach = s.kernel / 2, low = std::max<Int>(0, at - reach + s.stride - 1);
        return {low / s.stride, std::min(size - 1, (at + reach) / s.stride)};
    }
    Int size() const { return last - first + 1; }
};

template <typename F> inline void each_of(const Range& rows, const Range& columns, F&& f) {
    for (Int i = rows.first; i <= rows.last; ++i)
        for (Int j = columns.first; j <= columns.last; ++j) f(i, j);
}

// Pooled images y, and of maxima which pixel of the window they are: the first of equal ones.
template <typename T> void pool(const Pool* pool, const T* x, T* y, std::uint8_t* index) {
    const Pool& s = *pool;
    const Int p = s.oh * s.ow * s.c;
    in_parallel(s.n, s.threads, [&](Int n) { blocks<T>(s.c, [&]<int L>(Int c, Width<L>) {
        const T* from = x + n * s.h * s.w * s.c + c;
        for (Int q = 0; q < s.oh * s.ow; ++q) {
            const Int a = q / s.ow, b = q % s.ow, at = n * p + q * s.c + c;
            const Range rows = Range::under(a, s, s.h), columns = Range::under(b, s, s.w);
            Vec<T, L> best = load<L>(from + (rows.first * s.w + columns.first) * s.c), sum{};
            auto place = Numbers<T, L>{} + Number<T, L>(s.tap(rows.first, columns.first, a, b));
            each_of(rows, columns, [&](Int i, Int j) {
                const Vec<T, L> v = load<L>(from + (i * s.w + j) * s.c);
                const Numbers<T, L> more = (v > best) | (v != v);
                sum += v;
                best = more ? v : best;
                place = more ? Numbers<T, L>{} + Number<T, L>(s.tap(i, j, a, b)) : place;
            });
            store<L>(y + at, s.is_max ? best : sum * (T(1) / T(rows.size() * columns.size())));
            if (s.is_max)
                store<L>(index + at, __builtin_convertvector(place, Vec<std::uint8_t, L>));
        }
    }); });
}

// The gradient of a pool, added to to_x, where its outputs have the gradient a * grad + b * y + c.
template <typename T> struct PoolGradient {
    Pool s;
    const T *grad, *y, *in;
    const std::uint8_t* index;
    T* to_x;
};

template <typename T> void run_image(const PoolGradient<T>& job, Int n) {
    const Pool& s = job.s;
    const Int p = s.oh * s.ow * s.c;
    T* line = scratch<T>(3, p);
    line_of(s.oh * s.ow, s.c, job.grad + n * p, job.y + n * p, job.in, line);
    for (Int q = 0; q < s.oh * s.ow && !s.is_max; ++q) {
        const Int rows = Range::under(q / s.ow, s, s.h).size();
        const T part = T(1) / T(rows * Range::under(q % s.ow, s, s.w).size());
        for (Int c = 0; c < s.c; ++c) line[q * s.c + c] *= part;
    }
    for (Int i = 0; i < s.h; ++i) {
        const Range rows = Range::over(i, s, s.oh);
        for (Int j = 0; j < s.w; ++j) {
            const Range columns = Range::over(j, s, s.ow);
            blocks<T>(s.c, [&]<int L>(Int c, Width<L>) {
                T* to = job.to_x + ((n * s.h + i) * s.w + j) * s.c + c;
                Vec<T, L> sum = load<L>(to);
                each_of(rows, columns, [&](Int a, Int b) {
                    const Int at = (a * s.ow + b) * s.c + c;
                    const Vec<T, L> g = load<L>(line + at);
                    if (!s.is_max) { sum += g; return; }
                    const auto index = load<L>(job.index + n * p + at);
                    const auto same = index == std::uint8_t(s.tap(i, j, a, b));
                    sum += __builtin_convertvector(same, Numbers<T, L>) ? g : Vec<T, L>{};
                });
                store<L>(to, sum);
            });
        }
    }
}

// Gradients of a stage to take. That of y is a * grad + b * y + c, by `in` (3, C'). to_x takes that
// of x, added to what is there if `adds`; where x was normalised it is that of the normalised
// images, and `out` takes its a, b, c. to_wide and to_point may be null.
template <typename T> struct Gradient {
    Shape s;
    const T *grad, *y, *in, *x, *before, *wide, *point;
    Int adds;
    T *to_x, *out, *to_wide, *to_point;
};

template <typename T> struct Parts {  // of the gradients, one for each image
    std::vector<T> wide, point;
    std::vector<double> sums;
    Parts(const Gradient<T>& job)
        : wide(job.to_wide ? job.s.n * job.s.taps() * job.s.c : 0),
          point(job.to_point ? job.s.n * job.s.co * job.s.c : 0),
          sums(job.before ? job.s.n * 2 * job.s.c : 0) {}
};

template <typename T> void run_image(const Gradient<T>& job, Int i, Parts<T>& parts) {
    const Shape& s = job.s;
    const Int p = s.oh * s.ow, size = s.padded(), taps = s.taps(), most = BYTES / Int(sizeof(T));
    const Entry<T> entry(job.before, s.c);
    T* padded = scratch<T>(0, size * s.c);
    T *kernel = scratch<T>(1, taps * most), *middle = scratch<T>(2, p * s.c);
    T* from_y = scratch<T>(3, p * s.co);
    T *spread = scratch<T>(4, size * most), *buffer = scratch<T>(5, s.w * most);
    const T* image = job.x + i * s.h * s.w * s.c;
    line_of(p, s.co, job.grad + i * p * s.co, job.y + i * p * s.co, job.in, from_y);
    if (job.to_wide || job.to_point) blocks<T>(s.c, [&]<int L>(Int c, Width<L>) {
        pad<L>(padded + size * c, s, s.h, s.w, 1, s.c, image + c,
               [&](const T* from) { return entry.template operator()<L>(from, c); });
        if (!job.to_point) return;
        kernel_lanes<L>(job.wide, c, s, false, kernel);
        depthwise<L>(padded + size * c, kernel, s, s.oh, s.ow, s.stride, middle + c, s.ow * s.c,
                     s.c, [](Int, const T*) {});
    });
    if (job.to_point)
        product<false>(from_y, s.co, middle, p, &parts.point[i * s.co * s.c], s.co, s.c);
    product<true>(from_y, s.co, job.point, s.co, middle, p, s.c);
    blocks<T>(s.c, [&]<int L>(Int c, Width<L>) {
        T* part = job.to_wide ? &parts.wide[(i * s.c + c) * taps] : nullptr;
        if (part) kernel_gradient<L>(padded + size * c, middle + c, s.c, s, part);
        pad<L>(spread, s, s.oh, s.ow, s.stride, s.c, middle + c, load<L, T>);
        kernel_lanes<L>(job.wide, c, s, true, kernel);
        T* result = job.to_x + i * s.h * s.w * s.c + c;
        Vec<T, L> total{}, along{}, mean{};
        if (job.before) mean = load<L>(job.before + c);
        depthwise<L>(spread, kernel, s, s.h, s.w, 1, buffer, 0, L, [&](Int y, const T* row) {
            for (Int w = 0, at = y * s.w * s.c; w < s.w; ++w, at += s.c) {
                const Vec<T, L> open = entry.template operator()<L>(image + c + at, c);
                const Vec<T, L> v = open > T(0) ? load<L>(row + w * L) : Vec<T, L>{};
                total += v;
                if (job.before) along += v * (load<L>(image + c + at) - mean);
                __builtin_prefetch(image + c + at + s.w * s.c);
                __builtin_prefetch(result + at + s.w * s.c);
                store<L>(result + at, job.adds ? v + load<L>(result + at) : v);
            }
        });
        if (job.before)
            for (int l = 0; l < L; ++l) {
                parts.sums[i * 2 * s.c + c + l] = total[l];
                parts.sums[i * 2 * s.c + s.c + c + l] = along[l];
            }
    });
}

template <typename T>
void gradients(Int num, const Gradient<T>* jobs, Int num_pools, const PoolGradient<T>* pools) {
    const Int n = num ? jobs->s.n : pools->s.n, threads = num ? jobs->s.threads : pools->s.threads;
    std::vector<Parts<T>> parts(jobs, jobs + num);
    in_parallel(n, threads, [&](Int i) {
        for (Int k = 0; k < num; ++k) run_image(jobs[k], i, parts[k]);
        for (Int k = 0; k < num_pools; ++k) run_image(pools[k], i);
    });
    for (Int k = 0; k < num; ++k) {
        const Gradient<T>& job = jobs[k];
        const Shape& s = job.s;
        if (job.before) {
            std::vector<double> sums(2 * s.c);
            sum_images(parts[k].sums.data(), n, 2 * s.c, sums.data());
            norm_gradient(sums.data(), job.before, s.c, double(n) * s.h * s.w, job.out);
        }
        if (job.to_point) sum_images(parts[k].point.data(), n, s.co * s.c, job.to_point);
        if (job.to_wide) kernel_sums(parts[k].wide.data(), s, job.to_wide);
    }
}

// The gradient of the kernels alone, of a depthwise convolution without entry.
template <typename T>
void wide_gradient(const Shape* shape, const T* x, const T* grad, T* to_wide) {
    const Shape& s = *shape;
    const Int size = s.padded(), taps = s.taps(), p = s.oh * s.ow;
    std::vector<T> parts(s.n * taps * s.c);
    in_parallel(s.n, s.threads, [&](Int i) {
        T* padded = scratch<T>(0, size * (BYTES / Int(sizeof(T))));
        blocks<T>(s.c, [&]<int L>(Int c, Width<L>) {
            pad<L>(padded, s, s.h, s.w, 1, s.c, x + i * s.h * s.w * s.c + c, load<L, T>);
            kernel_gradient<L>(padded, grad + i * p * s.c + c, s.c, s,
                               &parts[(i * s.c + c) * taps]);
        });
    });
    kernel_sums(parts.data(), s, to_wide);
}

// out (N, P, C) = the sum over k of scale[k] * terms[k], and shift; scale is (K, C).
template <typename T>
void sum_terms(Int n, Int p, Int channels, Int num, const T* const* terms, const T* scale,
               const T* shift, Int threads, T* out) {
    in_parallel(n, threads, [&](Int i) { blocks<T>(channels, [&]<int L>(Int c, Width<L>) {
        for (Int at = i * p * channels + c; at < (i + 1) * p * channels; at += channels) {
            Vec<T, L> sum = load<L>(shift + c);
            for (Int k = 0; k < num; ++k)
                sum += load<L>(scale + k * channels + c) * load<L>(terms[k] + at);
            store<L>(out + at, sum);
        }
    }); });
}

// sums (1 + K, C) = the sums of grad, and of grad * (term - mean) for each of K terms.
template <typename T>
void sum_terms_gradient(Int n, Int p, Int channels, Int num, const T* grad, const T* const* terms,
                        const T* mean, Int threads, double* sums) {
    std::vector<double> parts(n * (num + 1) * channels);
    in_parallel(n, threads, [&](Int i) {
        const T* g = grad + i * p * channels;
        double* part = &parts[i * (num + 1) * channels];
        blocks<T>(channels, [&]<int L>(Int c, Width<L>) {
            for (Int k = -1; k < num; ++k) {
                Vec<T, L> acc[4] = {};
                const Vec<T, L> middle = k < 0 ? Vec<T, L>{} : load<L>(mean + k * channels + c);
                const T* term = k < 0 ? nullptr : terms[k] + i * p * channels;
                by_fours(p, [&](Int q, int r) {
                    const Vec<T, L> each = load<L>(g + q * channels + c);
                    acc[r] += term ? each * (load<L>(term + q * channels + c) - middle) : each;
                });
                for (int l = 0; l < L; ++l) part[(k + 1) * channels + c + l] = four(acc, l);
            }
        });
    });
    sum_images(parts.data(), n, (num + 1) * channels, sums);
}

}  // namespace

#define KERNEL(NAME) \
    extern "C" { auto *NAME##_float = &NAME<float>; auto *NAME##_double = &NAME<double>; }
KERNEL(stages) KERNEL(gradients) KERNEL(wide_gradient) KERNEL(moments)
KERNEL(sum_terms) KERNEL(sum_terms_gradient) KERNEL(pool)
