# Builtins that jq itself can say. Names with an underscore at their head are functions of the table.

# Selecting and mapping
def select(f): if f then . else empty end;
def map(f): [.[] | f];
def map_values(f): .[] |= f;
def recurse(f): def r: ., (f | r); r;
def recurse: recurse(.[]?);
def recurse(f; cond): def r: ., (f | select(cond) | r); r;
def values: select(. != null);
def nulls: select(. == null);
def booleans: select(type == "boolean");
def numbers: select(type == "number");
def strings: select(type == "string");
def arrays: select(type == "array");
def objects: select(type == "object");
def iterables: select(type | . == "array" or . == "object");
def scalars: select(type | . != "array" and . != "object");
def finites: select(isfinite);
def normals: select(isnormal);
def isfinite: type == "number" and (isinfinite | not);
def not: if . then false else true end;
def add(f): reduce f as $x (null; . + $x);
def add: add(.[]);
def toarray: if type == "array" then . else [.] end;
def abs: if type == "number" and . < 0 then -. else . end;
def in($container): . as $key | $container | has($key);
def inside($container): . as $part | $container | contains($part);
def walk(f): def w: if type == "object" then map_values(w) elif type == "array" then map(w) else . end | f; w;
def pick(paths): . as $top | reduce path(paths) as $p (null; setpath($p; $top | getpath($p)));
def del(paths): delpaths([path(paths)]);
def paths: path(..) | select(. != []);
def paths(cond): path(.. | select(cond)) | select(. != []);
def env: $ENV;
def error(message): message | error;
def halt_error: halt_error(5);
def debug(messages): (messages | debug | empty), .;
def todate: strftime("%Y-%m-%dT%H:%M:%SZ");
def fromdateiso8601: strptime("%Y-%m-%dT%H:%M:%SZ") | mktime;
def todateiso8601: todate;
def fromdate: fromdateiso8601;
def date: todate;
def dateadd(unit; n): . + n;
def datesub(unit; n): . - n;

# Streams of values
def range($upto): range(0; $upto);
def range($from; $upto; $by):
  if $by > 0 then $from | while(. < $upto; . + $by)
  elif $by < 0 then $from | while(. > $upto; . + $by)
  else empty end;
def while(cond; update): def w: if cond then ., (update | w) else empty end; w;
def until(cond; update): def u: if cond then . else (update | u) end; u;
def repeat(f): def r: ., (f | r); r;
def first: .[0];
def last: .[-1];
def last(f): reduce f as $x ([]; [$x]) | .[];
def nth($n): .[$n];
def nth($n; f): if $n < 0 then error("nth doesn't support negative indices") else first(skip($n; f)) end;
def limit($n; f):
  if $n > 0 then label $enough | foreach f as $x (0; . + 1; $x, if . >= $n then break $enough else empty end)
  elif $n == 0 then empty
  else error("limit doesn't support negative count") end;
def skip($n; f):
  if $n > 0 then foreach f as $x ($n; . - 1; if . < 0 then $x else empty end)
  elif $n == 0 then f
  else error("skip doesn't support negative count") end;
def isempty(f): label $some | (f | false, break $some), true;
def any(f; cond): isempty(first(f | cond | select(.))) | not;
def any(cond): any(.[]; cond);
def any: any(.);
def all(f; cond): isempty(first(f | cond | select(not)));
def all(cond): all(.[]; cond);
def all: all(.);
def inputs: def r: (try input catch if . == "break" then empty else error end) | ., r; r;
def combinations: if . == [] then [] else .[0][] as $x | [$x] + (.[1:] | combinations) end;
def combinations(n): . as $set | [range(n) | $set] | combinations;

# Order
def sort_by(f): _sort_by(map([f]));
def group_by(f): _group_by(map([f]));
def unique_by(f): _unique_by(map([f]));
def unique: unique_by(.);
def min_by(f): _extreme_by(map([f]); false);
def max_by(f): _extreme_by(map([f]); true);
def min: _extreme_by(.; false);
def max: _extreme_by(.; true);
def flatten($depth): _flatten($depth);
def flatten: _flatten(1e9);

# Entries and tables
def from_entries: reduce .[] as $e ({};
  . + {($e | (if .key == null then .k // .name // .Name // .K // .Key else .key end)
        | if type == "string" then . else tojson end):
       ($e | if has("value") then .value elif has("v") then .v else .Value end)});
def with_entries(f): to_entries | map(f) | from_entries;
def INDEX(f; key): reduce f as $row ({}; .[$row | key | tostring] = $row);
def INDEX(key): INDEX(.[]; key);
def IN(f): any(. == f; .);
def IN(f; g): any(f == g; .);
def JOIN($index; key): [.[] | [., $index[key]]];
def JOIN($index; f; key): f | [., $index[key]];
def JOIN($index; f; key; join): f | [., $index[key]] | join;
def join($with):
  def text: if . == null then "" elif type == "boolean" or type == "number" then tojson else . end;
  reduce .[] as $x (null; (if . == null then "" else . + $with end) + ($x | text)) // "";
def indices($x):
  if type == "string" and ($x | type) == "string" then _strindices($x)
  elif type == "array" and ($x | type) == "array" then .[$x]
  elif type == "array" then .[[$x]]
  else .[$x] end;
def index($x): indices($x) | .[0];
def rindex($x): indices($x) | .[-1:][0];

# Events
def tostream: path(def r: (.[]? | r), .; r) as $p | getpath($p) | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);
def fromstream(events):
  foreach events as $e ({done: false};
    (if .done then {done: false} else . end)
    | if ($e | length) == 2 then .done = ($e[0] == []) | setpath(["value"] + $e[0]; $e[1])
      else .done = (($e[0] | length) == 1) end;
    if .done then .value else empty end);
def truncate_stream(events): . as $n | null | events | . as $e | if ($e[0] | length) > $n then .[0] |= .[$n:] else empty end;

# Regular expressions
def _pattern($x):
  if ($x | type) == "string" then [$x, null]
  elif ($x | type) == "array" and ($x | length) > 1 then $x[:2]
  elif ($x | type) == "array" and $x != [] then [$x[0], null]
  else error("\($x | type) not a string or array") end;
def match($re; $flags): _matches($re; $flags)[];
def match($x): _pattern($x) as [$re, $flags] | match($re; $flags);
def test($re; $flags): _test($re; $flags);
def test($x): _pattern($x) as [$re, $flags] | _test($re; $flags);
def capture($re; $flags): _captures($re; $flags)[];
def capture($x): _pattern($x) as [$re, $flags] | capture($re; $flags);
def scan($re; $flags): _scan($re; "g" + $flags)[];
def scan($re): scan($re; null);
def splits($re; $flags): _pieces($re; "g" + $flags)[];
def splits($re): splits($re; null);
def split($re; $flags): _pieces($re; "g" + $flags);
def sub($re; text; $flags): . as $whole
  | _edits($re; $flags) as $edits
  | (reduce $edits[:-1][] as [$gap, $named] ([];
       . as $rows
       | [$named | text] as $new
       | reduce range($new | length) as $i ($rows; .[$i] += $gap + $new[$i]))
     | .[] + $edits[-1]) // $whole;
def sub($re; text): sub($re; text; "");
def gsub($re; text; $flags): sub($re; text; $flags + "g");
def gsub($re; text): sub($re; text; "g");
