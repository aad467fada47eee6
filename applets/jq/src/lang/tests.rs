//! Filters with their input and results, one case a line: FILTER ;; INPUT ;; RESULTS.

use std::path::PathBuf;

use crate::host::{NoHost, Outcome, Settings, Stop};
use crate::value::{Map, Value};
use crate::{read, write};

fn settings() -> Settings {
    let mut variables = Map::new();
    variables.insert("named".into(), Value::from("given"));
    Settings {
        variables,
        library: Some(Vec::new()),
        origin: PathBuf::from("."),
        program: PathBuf::from("."),
        env: Map::new(),
        home: None,
    }
}

/// Results, and the error or halt at the end if any.
fn run(filter: &str, input: &str) -> String {
    let mut compiled = match super::compile(filter, &settings()) {
        Ok(compiled) => compiled,
        Err(messages) => return messages.join("\n"),
    };
    let mut shown = Vec::new();
    let input = read::parse(input).unwrap();
    let outcome = compiled.run(input, &mut NoHost, &mut |value| {
        shown.push(write::to_json(&value));
        if shown.len() < 1000 { Ok(()) } else { Err(Stop) }
    });
    match outcome {
        Outcome::Done => {}
        Outcome::Error(error) => shown.push(format!("error: {}", write::to_json(&error))),
        Outcome::Halt { status, .. } => shown.push(format!("halt: {status}")),
        Outcome::Stopped => shown.push("stopped".to_owned()),
    }
    shown.join(" ")
}

fn check(cases: &str) {
    for case in cases.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut parts = case.split(";;").map(str::trim);
        let (filter, input) = (parts.next().unwrap(), parts.next().unwrap());
        assert_eq!(run(filter, input), parts.next().unwrap(), "{case}");
    }
}

#[test]
fn combinations() {
    check(
        r#"
        [(1,2) * (3,4)]                      ;; null ;; [3,6,4,8]
        [range(0,1; 3,4)]                    ;; null ;; [0,1,2,0,1,2,3,1,2,1,2,3]
        "\(1,2)-\(3,4)"                      ;; null ;; "1-3" "2-3" "1-4" "2-4"
        {(("a","b")): (1,2)}                 ;; null ;; {"a":1} {"a":2} {"b":1} {"b":2}
        [.[(0,1):(1,2)]]                     ;; [7,8] ;; [[7],[7,8],[],[8]]
        [(true,false) or (false,true)]       ;; null ;; [true,false,true]
        [(null,1,2) // 3]                    ;; null ;; [1,2]
        (null,false) // (3,4)                ;; null ;; 3 4
        "#,
    );
}

#[test]
fn loops() {
    check(
        r#"
        reduce .[] as $x (0; empty)          ;; [1]  ;; null
        reduce .[] as $x (0; ., $x)          ;; [1,2] ;; 2
        [foreach .[] as $x (0; . + $x; [$x, .])] ;; [1,2] ;; [[1,1],[2,3]]
        [foreach .[] as [$a,$b] (0; . + $a + $b)] ;; [[1,2],[3,4]] ;; [3,10]
        [limit(3; repeat(1))]                ;; null ;; [1,1,1]
        [limit(0; error)], [skip(2; range(4))] ;; null ;; [] [2,3]
        try limit(-1; 1) catch .             ;; null ;; "limit doesn't support negative count"
        [label $out | range(9) | ., if . == 2 then break $out else empty end] ;; null ;; [0,1,2]
        [label $a | label $b | 1, break $a, 2], 3 ;; null ;; [1] 3
        last(range(100000))                  ;; null ;; 99999
        [recurse(if . < 3 then . + 1 else empty end)] ;; 0 ;; [0,1,2,3]
        first(range(5;10)), isempty(empty)   ;; null ;; 5 true
        "#,
    );
}

#[test]
fn paths() {
    check(
        r#"
        [paths]                              ;; {"a":[1,{"b":2}]} ;; [["a"],["a",0],["a",1],["a",1,"b"]]
        path(first(.a,.b))                   ;; null ;; ["a"]
        path(.a | . as $x | $x)              ;; null ;; ["a"]
        [path(.a[1:2][0])]                   ;; {"a":[1,2]} ;; [["a",{"start":1,"end":2},0]]
        try path(.a | map(.b)) catch .       ;; {"a":[{"b":0}]} ;; "Invalid path expression with result [0]"
        try path([1] | .[0]) catch .         ;; null ;; "Invalid path expression near attempt to access element 0 of [1]"
        path(getpath(["a","b"]))             ;; null ;; ["a","b"]
        (.[] | select(. > 1)) |= empty       ;; [1,2,3] ;; [1]
        .a[1:] = [9]                         ;; {"a":[1,2,3]} ;; {"a":[1,9]}
        .[3] = 1                             ;; [0] ;; [0,null,null,1]
        del(.[0,2], .[-1])                   ;; [0,1,2,3] ;; [1]
        .a += (1,2)                          ;; {"a":10} ;; {"a":11} {"a":12}
        .[] //= 5                            ;; [null,1] ;; [5,1]
        .a.b |= . + 1                        ;; {"a":{"b":1,"c":2}} ;; {"a":{"b":2,"c":2}}
        pick(.a[1])                          ;; {"a":[1,2,3]} ;; {"a":[null,2]}
        to_entries, with_entries(.value += 1) ;; {"a":1} ;; [{"key":"a","value":1}] {"a":2}
        "#,
    );
}

#[test]
fn errors() {
    check(
        r#"
        try error(null) catch .              ;; 1 ;; null
        (try 1 catch 2) | error("later")     ;; 1 ;; error: "later"
        [.[] | try if . == 1 then error("one") else . end catch .] ;; [0,1,2] ;; [0,"one",2]
        .a                                   ;; 1 ;; error: "Cannot index number with string \"a\""
        .[]                                  ;; 1 ;; error: "Cannot iterate over number (1)"
        1 / 0                                ;; 1 ;; error: "number (1) and number (0) cannot be divided because the divisor is zero"
        {(1|tostring): 2} | {(.): 1}         ;; 1 ;; error: "Cannot use object ({\"1\":2}) as object key"
        [.[]?, (.a)?, 7]                     ;; 1 ;; [7]
        1, halt, 2                           ;; 1 ;; 1 halt: 0
        "x" | halt_error(3)                  ;; 1 ;; halt: 3
        [.[] as [$a] ?// $a | if ($a | type) == "number" then error("no") else $a end] ;; [["q"],"r"] ;; ["q","r"]
        "#,
    );
}

#[test]
fn names() {
    check(
        r#"
        def f: 1; def g: f + 1; def f: 10; [f, g] ;; null ;; [10,2]
        def f(g): [g, g]; f(1,2)             ;; null ;; [1,2,1,2]
        def f($a; b): $a + b; f(1; 2)        ;; null ;; 3
        def fac: if . < 2 then 1 else . * (. - 1 | fac) end; 10 | fac ;; null ;; 3628800
        . as {a: $x, b: [$y, {$z}]} | [$x, $y, $z] ;; {"a":1,"b":[2,{"z":3}]} ;; [1,2,3]
        . as {$a: [$b]} | [$a, $b]           ;; {"a":[5]} ;; [[5],5]
        . as {"k": $n, ($n): $v} | $v        ;; {"k":"j","j":8} ;; 8
        $named, $__prog_args                 ;; null ;; "given" {"named":"given"}
        $__loc__                             ;; null ;; {"file":"<top-level>","line":1}
        {if: 1, $__loc__} | keys             ;; null ;; ["__loc__","if"]
        "#,
    );
}

#[test]
fn recursion_takes_no_stack() {
    check(
        "
        def f: if . == 0 then . else . - 1 | f end; 1000000 | f ;; null ;; 0
        def f: if . == 0 then 0 else (. - 1 | f) + 1 end; 100000 | f ;; null ;; 100000
        [limit(100000; repeat(1))] | length  ;; null ;; 100000
        def f(g): if . == 0 then g else . - 1 | f(g + 1) end; 50000 | f(0) ;; null ;; 50000
        reduce range(20000) as $i (null; [.]) | [recurse(.[0]; . != null)] | length ;; null ;; 20000
        last(limit(100000; path(repeat(.a)))) ;; null ;; [\"a\"]
        ",
    );
}

#[test]
fn compile_errors() {
    let failed = |filter: &str| match super::compile(filter, &settings()) {
        Ok(_) => panic!("{filter}"),
        Err(messages) => messages,
    };
    assert_eq!(
        failed("1 | nope(2)"),
        ["jq: error: nope/1 is not defined at <top-level>, line 1, column 5:\n    1 | nope(2)\n        ^^^^^^^"]
    );
    assert_eq!(failed("$a + $b").len(), 2);
    assert!(failed("break $x")[0].starts_with("jq: error: $*label-x is not defined"));
    assert!(failed("{1+2: 3}").last().unwrap().starts_with("jq: error: May need parentheses around object key"));
    for broken in
        ["(", "[1", "{", "if 1 then 2", "1 +", "\"a", ".a.[", "reduce 1 as", "}", "@", "1 as x | 2", "def f: 1", "."]
    {
        let result = super::compile(broken, &settings());
        assert_eq!(result.is_ok(), broken == ".", "{broken}");
    }
}

#[test]
fn deep_filters_are_refused() {
    // Frames of a test build are several times as large as those of a release; the stack is that of a process.
    let refused = std::thread::Builder::new().stack_size(8 << 20).spawn(|| {
        for bracket in
            ["(", "[", "{a:", "-", "try ", "if ", ".[", "\"\\(", "def f: ", ". as [", "reduce ", "1|", "label $x|"]
        {
            assert!(super::compile(&bracket.repeat(5000), &settings()).is_err(), "{bracket}");
        }
        for chain in ["1+", "1,", "1|", "-1*"] {
            assert!(super::compile(&format!("{}1", chain.repeat(800)), &settings()).is_ok(), "{chain}");
        }
    });
    refused.unwrap().join().unwrap();
}

#[test]
fn every_builtin_compiles() {
    let Value::Array(names) = crate::builtins::names() else { panic!() };
    assert!(names.len() > 200);
    for name in names.iter() {
        let (name, arity) = name.as_str().unwrap().split_once('/').unwrap();
        let args = vec!["."; arity.parse().unwrap()].join("; ");
        let call = if args.is_empty() { name.to_owned() } else { format!("{name}({args})") };
        if let Err(messages) = super::compile(&call, &settings()) {
            panic!("{}", messages.join("\n"));
        }
    }
}
