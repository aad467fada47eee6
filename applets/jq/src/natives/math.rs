//! The functions of C's mathematics that jq offers under their own names (jq 1.8 manual, "Math").
//!
//! What std has is taken from std; the rest from the crate `libm`.

/// A function of one number, by its name.
pub(crate) type One = (&'static str, fn(f64) -> f64);
/// A function of two numbers.
pub(crate) type Two = (&'static str, fn(f64, f64) -> f64);

/// Functions of the input.
pub(crate) const ONE: &[One] = &[
    ("acos", f64::acos),
    ("acosh", libm::acosh),
    ("asin", f64::asin),
    ("asinh", libm::asinh),
    ("atan", f64::atan),
    ("atanh", libm::atanh),
    ("cbrt", f64::cbrt),
    ("ceil", f64::ceil),
    ("cos", f64::cos),
    ("cosh", f64::cosh),
    ("exp", f64::exp),
    ("exp10", libm::exp10),
    ("exp2", f64::exp2),
    ("expm1", f64::exp_m1),
    ("fabs", f64::abs),
    ("floor", f64::floor),
    ("gamma", libm::lgamma),
    ("j0", libm::j0),
    ("j1", libm::j1),
    ("lgamma", libm::lgamma),
    ("log", f64::ln),
    ("log10", f64::log10),
    ("log1p", f64::ln_1p),
    ("log2", f64::log2),
    ("logb", logb),
    ("nearbyint", f64::round_ties_even),
    ("pow10", libm::exp10),
    ("rint", f64::round_ties_even),
    ("round", f64::round),
    ("significand", significand),
    ("sin", f64::sin),
    ("sinh", f64::sinh),
    ("sqrt", f64::sqrt),
    ("tan", f64::tan),
    ("tanh", f64::tanh),
    ("tgamma", libm::tgamma),
    ("trunc", f64::trunc),
    ("y0", libm::y0),
    ("y1", libm::y1),
];

/// Functions of two arguments.
pub(crate) const TWO: &[Two] = &[
    ("atan2", f64::atan2),
    ("copysign", f64::copysign),
    ("drem", libm::remainder),
    ("fdim", libm::fdim),
    ("fmax", f64::max),
    ("fmin", f64::min),
    ("fmod", fmod),
    ("ldexp", scale),
    ("nextafter", libm::nextafter),
    ("nexttoward", libm::nextafter),
    ("pow", f64::powf),
    ("scalb", scale),
    ("scalbln", scale),
];

/// `fma(x; y; z)`.
pub(crate) fn fma(x: f64, y: f64, z: f64) -> f64 {
    f64::mul_add(x, y, z)
}

/// `frexp`: a fraction of at least one half, and the power of two.
pub(crate) fn frexp(x: f64) -> [f64; 2] {
    let (fraction, exponent) = libm::frexp(x);
    // C leaves the exponent of what has none open; glibc, and jq, have 0.
    [fraction, if x.is_finite() { f64::from(exponent) } else { 0.0 }]
}

/// `modf`: the fraction and the whole part, both with the sign.
pub(crate) fn modf(x: f64) -> [f64; 2] {
    let whole = x.trunc();
    [if x.is_infinite() { 0f64.copysign(x) } else { (x - whole).copysign(x) }, whole]
}

/// `lgamma_r`: the logarithm of the gamma function's magnitude, and its sign.
pub(crate) fn lgamma_r(x: f64) -> [f64; 2] {
    let (value, sign) = libm::lgamma_r(x);
    [value, f64::from(sign)]
}

fn logb(x: f64) -> f64 {
    if x == 0.0 {
        f64::NEG_INFINITY
    } else if x.is_finite() {
        f64::from(libm::ilogb(x))
    } else {
        x * x
    }
}

fn significand(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() { x } else { libm::scalbn(x, -libm::ilogb(x)) }
}

fn fmod(x: f64, y: f64) -> f64 {
    x % y
}

/// `x * 2^y`; the exponent is C's int.
fn scale(x: f64, y: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation)]
    let exponent = y as i32;
    if y.is_nan() { y } else { libm::scalbn(x, exponent) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, x: f64) -> f64 {
        ONE.iter().find(|(known, _)| *known == name).unwrap().1(x)
    }

    fn two(name: &str, x: f64, y: f64) -> f64 {
        TWO.iter().find(|(known, _)| *known == name).unwrap().1(x, y)
    }

    #[test]
    fn values() {
        assert_eq!(
            (one("floor", -1.5), one("round", 2.5), one("rint", 2.5), one("trunc", -1.5)),
            (-2.0, 3.0, 2.0, -1.0)
        );
        assert_eq!((one("logb", 10.0), one("significand", 10.0)), (3.0, 1.25));
        assert_eq!((one("logb", 0.0), one("significand", 0.0)), (f64::NEG_INFINITY, 0.0));
        assert_eq!((one("exp10", 3.0), one("tgamma", 5.0)), (1000.0, 24.0));
        assert_eq!((two("ldexp", 3.0, 2.0), two("pow", 2.0, 10.0), two("fmod", 7.0, -4.0)), (12.0, 1024.0, 3.0));
        assert_eq!(
            (two("drem", 5.0, 3.0), two("fmin", f64::NAN, 1.0), two("scalb", 1.0, 1e300)),
            (-1.0, 1.0, f64::INFINITY)
        );
        assert_eq!((frexp(10.0), frexp(0.0), modf(-3.5)), ([0.625, 4.0], [0.0, 0.0], [-0.5, -3.0]));
        assert_eq!((modf(f64::INFINITY), lgamma_r(-0.5)[1]), ([0.0, f64::INFINITY], -1.0));
        assert_eq!(fma(2.0, 3.0, 4.0), 10.0);
    }

    #[test]
    fn each_name_stands_once() {
        let mut names: Vec<&str> = ONE.iter().map(|(name, _)| *name).chain(TWO.iter().map(|(name, _)| *name)).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
    }
}
