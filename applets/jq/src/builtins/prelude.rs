//! Functions written in jq.

/// Name, arity, definition. A definition is parsed when a filter first calls it.
pub(super) const DEFINITIONS: &[(&str, usize, &str)] = &[
    ("recurse", 0, "def recurse: def below: .[]? | (., below); ., below;"),
    ("recurse", 1, "def recurse(f): def below: f | (., below); ., below;"),
    ("recurse", 2, "def recurse(f; cond): def below: f | select(cond) | (., below); ., below;"),
    ("add", 1, "def add(f): reduce f as $item (null; . + $item);"),
    ("del", 1, "def del(paths): delpaths([path(paths)]);"),
    ("paths", 0, "def paths: path(..) | select(. != []);"),
    ("paths", 1, "def paths(f): path(.. | select(f)) | select(. != []);"),
    ("pick", 1, "def pick(paths): reduce (path(paths) as $at | [$at, getpath($at)]) as [$at, $found] (null; setpath($at; $found));"),
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
        "def walk(f): def inner: f;
        def every: (if type == \"array\" then [.[] | every] elif type == \"object\" then map_values(every) else . end) | inner;
        every;",
    ),
    (
        "range",
        3,
        "def range($first; $end; $step):
        def going: select(if $step > 0 then . < $end else $step < 0 and . > $end end) | (., ($step + . | going));
        $first | going;",
    ),
    ("while", 2, "def while(cond; update): def going: select(cond) | (., (update | going)); going;"),
    ("until", 2, "def until(cond; update): def going: if cond | not then update | going else . end; going;"),
    ("repeat", 1, "def repeat(f): def more: f, more; more;"),
    (
        "inputs",
        0,
        "def inputs: def go: (try {input: input} catch (if . == \"break\" then empty else error end)) | .input, go; go;",
    ),
    (
        "limit",
        2,
        "def limit($count; f):
        if $count < 0 then error(\"limit doesn't support negative count\")
        elif $count > 0 then
          label $enough | foreach f as $one (1; . + 1; $one, (select(. > $count) | break $enough))
        else empty end;",
    ),
    (
        "skip",
        2,
        "def skip($count; f):
        if $count < 0 then error(\"skip doesn't support negative count\")
        elif $count == 0 then f
        else foreach f as $one (0; . + 1; select(. > $count) | $one) end;",
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
    ("isempty", 1, "def isempty(f): first((f | false), true);"),
    ("all", 0, "def all: all(.[]; .);"),
    ("all", 1, "def all(cond): all(.[]; cond);"),
    ("all", 2, "def all(f; cond): first((f | select(cond | not) | false), true);"),
    ("any", 0, "def any: any(.[]; .);"),
    ("any", 1, "def any(cond): any(.[]; cond);"),
    ("any", 2, "def any(f; cond): first((f | select(cond) | true), false);"),
    ("in", 1, "def in(container): . as $key | container | has($key);"),
    ("inside", 1, "def inside(outer): . as $inner | outer | contains($inner);"),
    (
        "combinations",
        0,
        "def combinations: if . == [] then . else .[-1] as $last | .[:-1] | combinations | . + ($last[] | [.]) end;",
    ),
    ("combinations", 1, "def combinations(n): [range(n) as $_ | .] | combinations;"),
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
        def events($at):
          if (type == \"array\" or type == \"object\") and length > 0 then
            (keys_unsorted as $keys | range($keys | length) as $n | .[$keys[$n]] | events($at + [$keys[$n]])),
            [$at + [keys_unsorted[-1]]]
          else [$at, .] end;
        events([]);",
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
    ("INDEX", 2, "def INDEX(rows; key): reduce (rows | [(key | tostring), .]) as [$name, $row] ({}; .[$name] = $row);"),
    ("INDEX", 1, "def INDEX(key): INDEX(.[]; key);"),
    ("IN", 1, "def IN(set): . as $self | any(set; . == $self);"),
    ("IN", 2, "def IN(f; set): any(f; IN(set));"),
    ("JOIN", 2, "def JOIN($index; key): [JOIN($index; .[]; key)];"),
    ("JOIN", 3, "def JOIN($index; rows; key): rows as $row | [$row, $index[$row | key]];"),
    ("JOIN", 4, "def JOIN($index; rows; key; joined): JOIN($index; rows; key) | joined;"),
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
