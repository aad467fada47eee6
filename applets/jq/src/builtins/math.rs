//! Numbers: C's mathematics and the tests of what a number is.

use super::text::shown;
use super::{Context, Native, Outcome, fail, native_of};
use crate::value::Value;

/// A function of one number.
macro_rules! one {
    ($name:literal, $run:expr) => {
        native_of($name, 0, |_, input, _| {
            let run: fn(f64) -> f64 = $run;
            Ok(Value::number(run(number(&input)?)))
        })
    };
}

/// A function of two numbers.
macro_rules! two {
    ($name:literal, $run:expr) => {
        native_of($name, 2, |_, _, args| {
            let run: fn(f64, f64) -> f64 = $run;
            match args {
                [a, b] => Ok(Value::number(run(number(a)?, number(b)?))),
                _ => fail("two numbers are needed"),
            }
        })
    };
}

pub(super) static TABLE: &[Native] = &[
    one!("acos", f64::acos),
    one!("acosh", libm::acosh),
    one!("asin", f64::asin),
    one!("asinh", libm::asinh),
    one!("atan", f64::atan),
    one!("atanh", libm::atanh),
    one!("cbrt", f64::cbrt),
    one!("ceil", f64::ceil),
    one!("cos", f64::cos),
    one!("cosh", f64::cosh),
    one!("erf", libm::erf),
    one!("erfc", libm::erfc),
    one!("exp", f64::exp),
    one!("exp10", libm::exp10),
    one!("exp2", f64::exp2),
    one!("expm1", f64::exp_m1),
    one!("fabs", f64::abs),
    one!("floor", f64::floor),
    one!("gamma", libm::lgamma),
    one!("j0", libm::j0),
    one!("j1", libm::j1),
    one!("lgamma", libm::lgamma),
    one!("log", f64::ln),
    one!("log10", f64::log10),
    one!("log1p", f64::ln_1p),
    one!("log2", f64::log2),
    one!("logb", logb),
    one!("nearbyint", f64::round_ties_even),
    one!("rint", f64::round_ties_even),
    one!("round", f64::round),
    one!("significand", significand),
    one!("sin", f64::sin),
    one!("sinh", f64::sinh),
    one!("sqrt", f64::sqrt),
    one!("tan", f64::tan),
    one!("tanh", f64::tanh),
    one!("tgamma", libm::tgamma),
    one!("trunc", f64::trunc),
    one!("y0", libm::y0),
    one!("y1", libm::y1),
    two!("atan2", f64::atan2),
    two!("copysign", f64::copysign),
    two!("drem", libm::remainder),
    two!("fdim", libm::fdim),
    two!("fmax", f64::max),
    two!("fmin", f64::min),
    two!("fmod", libm::fmod),
    two!("hypot", f64::hypot),
    two!("jn", |n, x| libm::jn(n as i32, x)),
    two!("ldexp", scaled),
    two!("nextafter", libm::nextafter),
    two!("nexttoward", libm::nextafter),
    two!("pow", f64::powf),
    two!("remainder", libm::remainder),
    two!("scalb", scaled),
    two!("scalbln", scaled),
    two!("yn", |n, x| libm::yn(n as i32, x)),
    native_of("fma", 3, |_, _, args| match args {
        [a, b, c] => Ok(Value::number(libm::fma(number(a)?, number(b)?, number(c)?))),
        _ => fail("three numbers are needed"),
    }),
    native_of("frexp", 0, |_, input, _| {
        let value = number(&input)?;
        let (fraction, exponent) = if value.is_finite() { libm::frexp(value) } else { (value, 0) };
        Ok(Value::array(vec![Value::number(fraction), Value::number(f64::from(exponent))]))
    }),
    native_of("modf", 0, |_, input, _| {
        let value = number(&input)?;
        let fraction = if value.is_infinite() { 0f64.copysign(value) } else { value - value.trunc() };
        let fraction = if fraction == 0.0 { fraction.copysign(value) } else { fraction };
        Ok(Value::array(vec![Value::number(fraction), Value::number(value.trunc())]))
    }),
    native_of("lgamma_r", 0, |_, input, _| {
        let (value, sign) = libm::lgamma_r(number(&input)?);
        Ok(Value::array(vec![Value::number(value), Value::number(f64::from(sign))]))
    }),
    native_of("abs", 0, abs),
    native_of("isinfinite", 0, |_, input, _| Ok(Value::Bool(number(&input)?.is_infinite()))),
    native_of("isnan", 0, |_, input, _| Ok(Value::Bool(number(&input)?.is_nan()))),
    native_of("isnormal", 0, |_, input, _| Ok(Value::Bool(number(&input)?.is_normal()))),
    native_of("isfinite", 0, |_, input, _| Ok(Value::Bool(input.as_f64().is_some_and(|value| !value.is_infinite())))),
];

/// The number of a value.
fn number(value: &Value) -> Result<f64, crate::lang::Fault> {
    match value.as_f64() {
        Some(number) => Ok(number),
        None => fail(format!("{} number required", shown(value))),
    }
}

fn abs(_: &mut Context<'_>, input: Value, _: &[Value]) -> Outcome {
    match &input {
        Value::Number(number) if number.value() < 0.0 => Ok(Value::Number(number.negated())),
        Value::Number(_) => Ok(input),
        _ => fail(format!("{} has no absolute value", shown(&input))),
    }
}

fn logb(value: f64) -> f64 {
    if value == 0.0 {
        f64::NEG_INFINITY
    } else if value.is_infinite() {
        f64::INFINITY
    } else if value.is_nan() {
        value
    } else {
        f64::from(libm::frexp(value).1 - 1)
    }
}

fn significand(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() { value } else { libm::frexp(value).0 * 2.0 }
}

fn scaled(value: f64, exponent: f64) -> f64 {
    if exponent.is_nan() {
        return exponent;
    }
    libm::scalbn(value, exponent.clamp(-100_000.0, 100_000.0) as i32)
}
