//! Powers, logarithms and circles: all of them on doubles.

use super::signature::{Takes, float, strict};
use super::{Argument, CallInfo, Function, Resolved, arity};
use crate::row::Value;
use crate::types::TypeKind;
use std::f64::consts;

type Eval = fn(&[Value], &CallInfo) -> Result<Value, String>;

const fn one(name: &'static str, eval: Eval) -> Function {
    Function::strict(name, |arguments| strict(arguments, &[Takes::Double], 0, TypeKind::Double), eval)
}

const fn two(name: &'static str, eval: Eval) -> Function {
    Function::strict(
        name,
        |arguments| strict(arguments, &[Takes::Double, Takes::Double], 0, TypeKind::Double),
        eval,
    )
}

fn given(value: f64) -> Result<Value, String> {
    Ok(Value::Float(value))
}

pub(super) const FUNCTIONS: &[Function] = &[
    Function::strict("PI", constant, |_, _| given(consts::PI)),
    Function::strict("E", constant, |_, _| given(consts::E)),
    one("SQRT", |args, _| given(float(args, 0).sqrt())),
    one("EXP", |args, _| given(float(args, 0).exp())),
    one("LN", |args, _| given(float(args, 0).ln())),
    one("LOG10", |args, _| given(float(args, 0).log10())),
    one("LOG2", |args, _| given(float(args, 0).ln() / 2f64.ln())),
    Function::strict("LOG", resolve_log, log),
    two("POWER", |args, _| given(power(float(args, 0), float(args, 1)))),
    one("SIN", |args, _| given(float(args, 0).sin())),
    one("COS", |args, _| given(float(args, 0).cos())),
    one("TAN", |args, _| given(float(args, 0).tan())),
    one("COT", |args, _| given(1.0 / float(args, 0).tan())),
    one("ASIN", |args, _| given(float(args, 0).asin())),
    one("ACOS", |args, _| given(float(args, 0).acos())),
    one("ATAN", |args, _| given(float(args, 0).atan())),
    two("ATAN2", |args, _| given(float(args, 0).atan2(float(args, 1)))),
    one("SINH", |args, _| given(float(args, 0).sinh())),
    one("COSH", |args, _| given(float(args, 0).cosh())),
    one("TANH", |args, _| given(float(args, 0).tanh())),
    // Java's own factors, so that the last digit is the same.
    one("DEGREES", |args, _| given(float(args, 0) * 57.295_779_513_082_32)),
    one("RADIANS", |args, _| given(float(args, 0) * 0.017_453_292_519_943_295)),
];

fn constant(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 0..=0)?;
    Ok(Resolved { params: Vec::new(), result: TypeKind::Double.not_null() })
}

/// A number, or a base and a number.
fn resolve_log(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Double, Takes::Double], 1, TypeKind::Double)
}

fn log(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    given(if args.len() == 1 { float(args, 0).ln() } else { float(args, 1).ln() / float(args, 0).ln() })
}

/// 1 to the power of what is no number is no number in Java.
fn power(base: f64, exponent: f64) -> f64 {
    if exponent.is_nan() || (base.abs() == 1.0 && exponent.is_infinite()) {
        f64::NAN
    } else {
        base.powf(exponent)
    }
}
