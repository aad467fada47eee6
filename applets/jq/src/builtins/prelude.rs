//! Functions written in jq.

/// Name, arity, definition. A definition is parsed when a filter first calls it.
pub(super) const DEFINITIONS: &[(&str, usize, &str)] = &[
    ("recurse", 0, "def recurse: def each: ., (.[]? | each); each;"),
    ("recurse", 1, "def recurse(f): def each: ., (f | each); each;"),
    ("recurse", 2, "def recurse(f; cond): def each: ., (f | select(cond) | each); each;"),
    ("add", 1, "def add(f): reduce f as $item (null; . + $item);"),
    ("del", 1, "def del(paths): delpaths([path(paths)]);"),
    ("paths", 0, "def paths: path(..) | select(. != []);"),
    ("paths", 1, "def paths(f): path(.. | select(f)) | select(. != []);"),
    ("pick", 1, "def pick(paths): . as $root | reduce path(paths) as $p (null; setpath($p; $root | getpath($p)));"),
    ("debug", 1, "def debug(messages): (messages | debug | empty), .;"),
    ("with_entries", 1, "def with_entries(f): to_entries | map(f) | from_entries;"),
    (
        "from_entries",
        0,
        "def from_entries: reduce .[] as $entry ({}; . + ($entry | {
        (if .key != null then .key elif .k != null then .k elif .name != null then .name
         elif .Name != null then .Name elif .K != null then .K else .Key end | _entry_key):
        (if has(\"value\") then .value elif has(\"v\") then .v else .Value end)}));",
    ),
    (
        "walk",
        1,
        "def walk(f): def go: if type == \"object\" then map_values(go) elif type == \"array\" then map(go) else . end | f; go;",
    ),
    (
        "range",
        3,
        "def range($from; $upto; $by):
        if $by > 0 then $from | while(. < $upto; . + $by)
        elif $by < 0 then $from | while(. > $upto; . + $by) else empty end;",
    ),
    ("while", 2, "def while(cond; update): def go: if cond then ., (update | go) else empty end; go;"),
    ("until", 2, "def until(cond; update): def go: if cond then . else update | go end; go;"),
    ("repeat", 1, "def repeat(f): def again: f, again; again;"),
    (
        "inputs",
        0,
        "def inputs: def go: (try {input: input} catch (if . == \"break\" then empty else error end)) | .input, go; go;",
    ),
    (
        "limit",
        2,
        "def limit($n; f):
        if $n > 0 then label $done | foreach f as $item ($n; . - 1; $item, if . <= 0 then break $done else empty end)
        elif $n == 0 then empty else error(\"limit doesn't support negative count\") end;",
    ),
    (
        "skip",
        2,
        "def skip($n; f):
        if $n > 0 then foreach f as $item ($n; . - 1; if . < 0 then $item else empty end)
        elif $n == 0 then f else error(\"skip doesn't support negative count\") end;",
    ),
    ("last", 1, "def last(f): reduce f as $item ([]; [$item]) | .[];"),
    (
        "nth",
        2,
        "def nth($n; f):
        if $n < 0 then error(\"nth doesn't support negative indices\") else first(skip($n; f)) end;",
    ),
    ("first", 0, "def first: .[0];"),
    ("last", 0, "def last: .[-1];"),
    ("nth", 1, "def nth($n): .[$n];"),
    ("isempty", 1, "def isempty(f): label $go | (f | false, break $go), true;"),
    ("all", 0, "def all: all(.[]; .);"),
    ("all", 1, "def all(cond): all(.[]; cond);"),
    ("all", 2, "def all(f; cond): isempty(first(f | cond and empty));"),
    ("any", 0, "def any: any(.[]; .);"),
    ("any", 1, "def any(cond): any(.[]; cond);"),
    ("any", 2, "def any(f; cond): isempty(first(f | cond or empty)) | not;"),
    ("in", 1, "def in(container): . as $key | container | has($key);"),
    ("inside", 1, "def inside(outer): . as $inner | outer | contains($inner);"),
    (
        "combinations",
        0,
        "def combinations:
        if length == 0 then [] else .[0][] as $head | (.[1:] | combinations) as $tail | [$head] + $tail end;",
    ),
    ("combinations", 1, "def combinations(n): . as $set | [range(n) | $set] | combinations;"),
    ("ascii", 0, "def ascii: [.] | implode;"),
    ("todate", 0, "def todate: strftime(\"%Y-%m-%dT%H:%M:%SZ\");"),
    ("todateiso8601", 0, "def todateiso8601: strftime(\"%Y-%m-%dT%H:%M:%SZ\");"),
    ("fromdate", 0, "def fromdate: fromdateiso8601;"),
    ("fromdateiso8601", 0, "def fromdateiso8601: strptime(\"%Y-%m-%dT%H:%M:%SZ\") | mktime;"),
    ("dateadd", 2, "def dateadd(u; n): . + n;"),
    ("datesub", 2, "def datesub(u; n): . - n;"),
    ("date", 0, "def date: todate;"),
    (
        "tostream",
        0,
        "def tostream:
        path(def each: (.[]? | each), .; each) as $p | getpath($p) | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);",
    ),
    (
        "fromstream",
        1,
        "def fromstream(events): {value: null, whole: false} as $start
        | foreach events as $event ($start;
            (if .whole then $start else . end)
            | if $event | length == 2
              then setpath([\"whole\"]; $event[0] | length == 0) | setpath([\"value\"] + $event[0]; $event[1])
              else setpath([\"whole\"]; $event[0] | length == 1) end;
            if .whole then .value else empty end);",
    ),
    (
        "truncate_stream",
        1,
        "def truncate_stream(events): . as $depth | null | events | . as $event
        | if (.[0] | length) > $depth then setpath([0]; $event[0][$depth:]) else empty end;",
    ),
    ("arrays", 0, "def arrays: select(type == \"array\");"),
    ("objects", 0, "def objects: select(type == \"object\");"),
    ("iterables", 0, "def iterables: select(type == \"array\" or type == \"object\");"),
    ("booleans", 0, "def booleans: select(type == \"boolean\");"),
    ("numbers", 0, "def numbers: select(type == \"number\");"),
    ("normals", 0, "def normals: select(isnormal);"),
    ("finites", 0, "def finites: select(isfinite);"),
    ("strings", 0, "def strings: select(type == \"string\");"),
    ("nulls", 0, "def nulls: select(. == null);"),
    ("values", 0, "def values: select(. != null);"),
    ("scalars", 0, "def scalars: select(type != \"array\" and type != \"object\");"),
    ("INDEX", 2, "def INDEX(rows; key): reduce rows as $row ({}; .[$row | key | tostring] = $row);"),
    ("INDEX", 1, "def INDEX(key): INDEX(.[]; key);"),
    ("IN", 1, "def IN(set): any(set == .; .);"),
    ("IN", 2, "def IN(f; set): any(f == set; .);"),
    ("JOIN", 2, "def JOIN($index; key): [.[] | [., $index[key]]];"),
    ("JOIN", 3, "def JOIN($index; rows; key): rows | [., $index[key]];"),
    ("JOIN", 4, "def JOIN($index; rows; key; joined): rows | [., $index[key]] | joined;"),
    ("match", 1, "def match($re): _pattern($re) as [$p, $f] | match($p; $f);"),
    ("match", 2, "def match($re; $flags): _matches($re; $flags)[];"),
    ("test", 1, "def test($re): _pattern($re) as [$p, $f] | test($p; $f);"),
    ("test", 2, "def test($re; $flags): _test($re; $flags);"),
    ("capture", 1, "def capture($re): _pattern($re) as [$p, $f] | capture($p; $f);"),
    ("capture", 2, "def capture($re; $flags): _captures($re; $flags)[];"),
    ("scan", 1, "def scan($re): scan($re; null);"),
    ("scan", 2, "def scan($re; $flags): _scan($re; \"g\" + $flags)[];"),
    ("splits", 1, "def splits($re): splits($re; null);"),
    ("splits", 2, "def splits($re; $flags): _pieces($re; \"g\" + $flags)[];"),
    ("split", 2, "def split($re; $flags): _pieces($re; \"g\" + $flags);"),
    (
        "_pattern",
        1,
        "def _pattern($re):
        if ($re | type) == \"string\" then [$re, null]
        elif ($re | type) == \"array\" and $re != [] then [$re[0], $re[1]]
        else error(($re | type) + \" not a string or array\") end;",
    ),
    ("sub", 2, "def sub($re; new): sub($re; new; \"\");"),
    (
        "sub",
        3,
        "def sub($re; new; $flags): . as $text
        | _edits($re; $flags) as $edits
        | (reduce $edits[:-1][] as [$gap, $named] ([];
             . as $rows
             | [$named | new] as $new
             | reduce range($new | length) as $at ($rows; .[$at] += $gap + $new[$at]))
           | .[] + $edits[-1]) // $text;",
    ),
    ("gsub", 2, "def gsub($re; new): sub($re; new; \"g\");"),
    ("gsub", 3, "def gsub($re; new; flags): sub($re; new; flags + \"g\");"),
    ("halt_error", 0, "def halt_error: halt_error(5);"),
    ("error", 0, "def error: error(.);"),
];
