//! The names of the functions here, as filters call them. A name with an underscore at its head is for the prelude alone.

use crate::time::Zone;
use crate::value::Value;

use super::regex::Search;
use super::{Failure, collection, date, format, math, string, type_error};

/// What runs: input, arguments, the local zone.
pub(crate) type Function = fn(&Value, &[Value], &Zone) -> Result<Value, Failure>;

/// A function with its name and number of arguments.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) arity: usize,
    pub(crate) function: Function,
}

const fn entry(name: &'static str, arity: usize, function: Function) -> Entry {
    Entry { name, arity, function }
}

/// Every function but those of [`math`].
pub(crate) static TABLE: &[Entry] = &[
    entry("_edits", 2, |input, args, _| search(input, args)?.edits()),
    entry("_extreme_by", 2, |input, args, _| collection::extreme_by(input, at(args, 0), at(args, 1).is_truthy())),
    entry("_flatten", 1, |input, args, _| {
        let depth = at(args, 0);
        collection::flatten(input, depth.as_f64().ok_or_else(|| type_error(depth, "is not a number"))?)
    }),
    entry("_group_by", 1, |input, args, _| collection::group_by(input, at(args, 0))),
    entry("_matches", 2, |input, args, _| search(input, args)?.objects().map(Value::array)),
    entry("_pieces", 2, |input, args, _| search(input, args)?.pieces().map(Value::array)),
    entry("_captures", 2, |input, args, _| {
        let search = search(input, args)?;
        Ok(Value::array(search.spans()?.iter().map(|found| search.named(found)).collect()))
    }),
    entry("_scan", 2, |input, args, _| {
        let search = search(input, args)?;
        Ok(Value::array(search.spans()?.iter().map(|found| search.scanned(found)).collect()))
    }),
    entry("_sort_by", 1, |input, args, _| collection::sort_by(input, at(args, 0))),
    entry("_strindices", 1, |input, args, _| string::indices(input, at(args, 0))),
    entry("_test", 2, |input, args, _| search(input, args)?.is_match().map(Value::Bool)),
    entry("_unique_by", 1, |input, args, _| collection::unique_by(input, at(args, 0))),
    entry("ascii_downcase", 0, |input, _, _| string::ascii_case(input, false)),
    entry("ascii_upcase", 0, |input, _, _| string::ascii_case(input, true)),
    entry("bsearch", 1, |input, args, _| collection::bsearch(input, at(args, 0))),
    entry("contains", 1, |input, args, _| collection::contains(input, at(args, 0))),
    entry("endswith", 1, |input, args, _| string::ends_with(input, at(args, 0))),
    entry("explode", 0, |input, _, _| string::explode(input)),
    entry("format", 1, |input, args, _| format::format(input, at(args, 0))),
    entry("fromjson", 0, |input, _, _| string::from_json(input)),
    entry("gmtime", 0, |input, _, _| date::gmtime(input)),
    entry("has", 1, |input, args, _| collection::has(input, at(args, 0))),
    entry("implode", 0, |input, _, _| string::implode(input)),
    entry("keys", 0, |input, _, _| collection::keys(input, true)),
    entry("keys_unsorted", 0, |input, _, _| collection::keys(input, false)),
    entry("length", 0, |input, _, _| string::length(input)),
    entry("localtime", 0, |input, _, zone| date::localtime(input, zone)),
    entry("ltrim", 0, |input, _, _| string::trim(input, true, false)),
    entry("ltrimstr", 1, |input, args, _| Ok(string::ltrimstr(input, at(args, 0)))),
    entry("mktime", 0, |input, _, _| date::mktime(input)),
    entry("reverse", 0, |input, _, _| collection::reverse(input)),
    entry("rtrim", 0, |input, _, _| string::trim(input, false, true)),
    entry("rtrimstr", 1, |input, args, _| Ok(string::rtrimstr(input, at(args, 0)))),
    entry("sort", 0, |input, _, _| collection::sort(input.clone())),
    entry("split", 1, |input, args, _| string::split(input, at(args, 0))),
    entry("startswith", 1, |input, args, _| string::starts_with(input, at(args, 0))),
    entry("strflocaltime", 1, |input, args, zone| date::strflocaltime(input, at(args, 0), zone)),
    entry("strftime", 1, |input, args, zone| date::strftime(input, at(args, 0), zone)),
    entry("strptime", 1, |input, args, zone| date::strptime(input, at(args, 0), zone)),
    entry("to_entries", 0, |input, _, _| collection::to_entries(input)),
    entry("tojson", 0, |input, _, _| Ok(Value::string(crate::write::to_json(input)))),
    entry("tonumber", 0, |input, _, _| string::to_number(input)),
    entry("tostring", 0, |input, _, _| Ok(string::tostring(input))),
    entry("transpose", 0, |input, _, _| collection::transpose(input)),
    entry("trim", 0, |input, _, _| string::trim(input, true, true)),
    entry("trimstr", 1, |input, args, _| Ok(string::trimstr(input, at(args, 0)))),
    entry("type", 0, |input, _, _| Ok(Value::string(input.type_name()))),
    entry("utf8bytelength", 0, |input, _, _| string::utf8_byte_length(input)),
    entry("fma", 3, |_, args, _| {
        let x = [number(at(args, 0))?, number(at(args, 1))?, number(at(args, 2))?];
        let [x, y, z] = x;
        Ok(Value::number(math::fma(x, y, z)))
    }),
    entry("frexp", 0, |input, _, _| number(input).map(|x| pair(math::frexp(x)))),
    entry("lgamma_r", 0, |input, _, _| number(input).map(|x| pair(math::lgamma_r(x)))),
    entry("modf", 0, |input, _, _| number(input).map(|x| pair(math::modf(x)))),
];

const NULL: &Value = &Value::Null;

fn at(args: &[Value], index: usize) -> &Value {
    args.get(index).unwrap_or(NULL)
}

fn search(input: &Value, args: &[Value]) -> Result<Search, Failure> {
    Search::new(input, at(args, 0), at(args, 1))
}

/// A number, for the functions of mathematics.
pub(crate) fn number(value: &Value) -> Result<f64, Failure> {
    value.as_f64().ok_or_else(|| type_error(value, "number required"))
}

fn pair(numbers: [f64; 2]) -> Value {
    Value::array(numbers.into_iter().map(Value::number).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_once() {
        let mut names: Vec<(&str, usize)> = TABLE.iter().map(|entry| (entry.name, entry.arity)).collect();
        names.extend(math::ONE.iter().map(|(name, _)| (*name, 0)));
        names.extend(math::TWO.iter().map(|(name, _)| (*name, 2)));
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
    }

    #[test]
    fn wrong_arguments_are_refused() {
        let zone = Zone::default();
        for entry in TABLE {
            let none = vec![Value::Null; entry.arity];
            let _ = (entry.function)(&Value::Null, &none, &zone);
            let _ = (entry.function)(&Value::array(vec![Value::Null]), &[], &zone);
        }
        assert!(number(&Value::Null).is_err());
    }
}
